//! A device that is lost changes nothing, or ends the run with what is known.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use super::*;
use crate::backend::cpu::Cpu;
use crate::backend::faulty::{Fault, Faulty};
use crate::model::{Init, Mlp};
use crate::recipe::{OptimizerKind, Recipe};
use crate::train::{self, Event, Outcome, Run};

/// A device that runs ahead, as GPUs do: what an epoch left is asked for after steps of the next one.
struct Ahead {
    inner: Cpu,
    number: u64,
    evaluated: Option<(Vec<Evaluation>, State)>,
}

impl Backend for Ahead {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        self.inner.upload_view(split, view)
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        // A few at a time, so that many calls are kept.
        self.inner.train(steps.take(2, 4))
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        let ticket = self.inner.evaluate(splits)?;
        self.evaluated = Some((self.inner.collect(ticket)?, self.inner.state(None)?));
        self.number += 1;
        Ok(Ticket { number: self.number, ahead: true })
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        self.at(ticket).map(|(evaluations, _)| evaluations.clone())
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        self.inner.predict(inputs)
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        match at {
            None => self.inner.state(None),
            Some(ticket) => self.at(ticket).map(|(_, state)| state.clone()),
        }
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.inner.set_state(state)
    }
}

impl Ahead {
    fn at(&self, ticket: Ticket) -> Result<&(Vec<Evaluation>, State)> {
        assert_eq!(ticket.number, self.number, "only the last evaluation may be asked for");
        self.evaluated.as_ref().ok_or_else(|| Error::Data("nothing was evaluated".into()))
    }
}

/// A device that may be lost.
type Device = Alone<Faulty<Box<dyn Backend>>>;

/// What a test's devices and its run are like.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Devices run ahead.
    ahead: bool,
    /// The state is asked for after each epoch.
    reads: bool,
    /// The run may stop early, and asks for the state of the best epoch.
    stops: bool,
}

const WAYS: [Way; 4] = [
    Way { ahead: false, reads: true, stops: true },
    Way { ahead: false, reads: false, stops: false },
    Way { ahead: true, reads: true, stops: true },
    Way { ahead: true, reads: false, stops: false },
];

/// Epochs with what was evaluated and the state, and how the run ended.
type Course = (Vec<(u32, Option<f64>, Option<State>)>, Result<(Outcome, State)>);

/// The recipe and the first state of a run, and what trains it with data, on devices of which the first, or all if `each`, are lost at
/// their call `after`.
fn lasting(way: Way, after: usize, each: bool) -> (Recipe, State, Lasting<Device>) {
    let model = Mlp::new(&[4, 3, 2]).unwrap();
    let mut recipe = Recipe { hidden: vec![3], batch_size: 4, epochs: 6, ..Recipe::default() };
    recipe.optimizer.kind = OptimizerKind::Adam;
    recipe.stopping.early_stop = way.stops.then_some(2);
    let start = State::new(model.initial_parameters(Init::He, 1), recipe.optimizer.kind);
    let by = recipe.clone();
    let mut opened = 0;
    let open = move || -> Result<Device> {
        opened += 1;
        let inner = Cpu::new(model.clone(), &by, 1)?;
        let inner: Box<dyn Backend> =
            if way.ahead { Box::new(Ahead { inner, number: 0, evaluated: None }) } else { Box::new(inner) };
        let after = if each || opened == 1 { after } else { usize::MAX };
        Ok(Alone::new(Faulty { inner, after, fault: Fault::Lost, calls: 0 }))
    };
    let backend = Lasting::new(Box::new(open), recipe.batch_size, |_| ()).unwrap();
    (recipe, start, backend)
}

/// Gives `backend` its data and the state `start`.
fn begin(backend: &mut dyn Backend, start: &State) -> Result<()> {
    let samples = |rows: u32| {
        let inputs = (0..4 * rows).map(|at| (at * 7 % 11) as f32 / 11.0).collect();
        Arc::new(Samples::new(Inputs::F32(inputs), 4, (0..rows).map(|row| row % 2).collect()).unwrap())
    };
    backend.upload_view(Split::Train, &View::of_rows(&samples(30), (4..26).collect())?)?;
    backend.upload(Split::Validation, &samples(9))?;
    backend.set_state(start)
}

/// A run on such devices.
fn run(way: Way, after: usize, each: bool) -> Course {
    let (recipe, start, mut backend) = lasting(way, after, each);
    let mut told = Vec::new();
    let ended = (|| {
        let backend: &mut dyn Backend = &mut backend;
        begin(backend, &start)?;
        let run =
            Run { recipe: &recipe, rows: 22, evaluated: &[Split::Validation], done: 0, clock: &|| Duration::ZERO };
        let outcome = train::train(backend, run, |event| {
            if let Event::Epoch(epoch, snapshot) = event {
                let loss = epoch.validation.as_ref().map(|part| part.loss_sum);
                let state = if way.reads { Some(snapshot.state()?) } else { None };
                told.push((epoch.number, loss, state));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((outcome, backend.state(None)?))
    })();
    (told, ended)
}

#[test]
fn a_device_that_is_lost_once_at_any_call_changes_nothing() {
    for way in WAYS {
        let (told, ended) = run(way, usize::MAX, false);
        let ended = ended.unwrap();
        assert!(told.len() > 2);
        // As many calls as there are on the first device, and one more.
        for after in 0..80 {
            let (found, end) = run(way, after, false);
            assert!(found == told && end.unwrap() == ended, "{way:?}, lost at call {after}");
        }
    }
}

#[test]
fn a_device_that_is_always_lost_ends_the_run_with_the_last_epoch_that_is_known() {
    for way in WAYS {
        let (told, _) = run(way, usize::MAX, false);
        let Err(Error::Lost { why, kept }) = run(way, 2, true).1 else { panic!("{way:?}: the run went on") };
        assert!(why.contains("lost") && kept.is_none(), "{way:?}: {why}");
        // Whatever a device does before it is lost is kept, so that the run gets on.
        let (found, end) = run(way, 25, true);
        match end {
            Ok(_) => assert_eq!(found, told),
            Err(Error::Lost { kept: Some(kept), .. }) if way.reads => {
                assert_eq!(Some(kept.1), found.last().unwrap().2);
            }
            Err(Error::Lost { .. }) if !way.reads => {
                assert!(!found.is_empty() && told.starts_with(&found), "{way:?}");
            }
            Err(error) => panic!("{way:?}: {error}"),
        }
    }
}

#[test]
fn only_so_many_rows_are_kept_to_be_taken_again() {
    let order: Vec<u32> = (0..22).collect();
    let kept = |calls: &[Call]| calls.iter().flatten().map(|(rows, _)| rows.len()).sum::<usize>();
    for (ahead, evaluates) in [(false, false), (false, true), (true, true)] {
        let (_, start, mut backend) = lasting(Way { ahead, reads: false, stops: false }, usize::MAX, false);
        begin(&mut backend, &start).unwrap();
        for epoch in 0..12 {
            let mut done = 0;
            while done < 6 {
                done += Backend::train(&mut backend, Steps { order: &order[done * 4..], rates: &[0.1; 6][done..] })
                    .unwrap();
                let most = MOST_ROWS + order.len();
                assert!(kept(&backend.before) <= most && kept(&backend.after) <= most, "epoch {epoch}");
            }
            if evaluates {
                Backend::evaluate(&mut backend, &[Split::Validation]).unwrap();
            }
        }
    }
}
