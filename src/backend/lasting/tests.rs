//! A device that is lost changes nothing, or ends the run with what is known.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use super::*;
use crate::backend::cpu::Cpu;
use crate::backend::faulty::{Fault, Faulty};
use crate::model::{Init, Mlp};
use crate::recipe::{OptimizerKind, Recipe};
use crate::train::{self, Event, Outcome, Run};

/// Epochs with what was evaluated and the state, and how the run ended.
type Course = (Vec<(u32, Option<f64>, State)>, Result<(Outcome, State)>);

/// A run on devices of which the first, or all if `each`, are lost at their call `after`.
fn run(after: usize, each: bool) -> Course {
    let model = Mlp::new(&[4, 3, 2]).unwrap();
    let mut recipe = Recipe { hidden: vec![3], batch_size: 4, epochs: 6, ..Recipe::default() };
    recipe.optimizer.kind = OptimizerKind::Adam;
    recipe.stopping.early_stop = Some(2);
    let samples = |rows: u32| {
        let inputs = (0..4 * rows).map(|at| (at * 7 % 11) as f32 / 11.0).collect();
        Arc::new(Samples::new(Inputs::F32(inputs), 4, (0..rows).map(|row| row % 2).collect()).unwrap())
    };
    let (of, by) = (model.clone(), recipe.clone());
    let mut opened = 0;
    let open = move || -> Result<Alone<Faulty<Box<dyn Backend>>>> {
        opened += 1;
        let inner: Box<dyn Backend> = Box::new(Cpu::new(of.clone(), &by, 1)?);
        let after = if each || opened == 1 { after } else { usize::MAX };
        Ok(Alone::new(Faulty { inner, after, fault: Fault::Lost, calls: 0 }))
    };
    let mut backend = Lasting::new(Box::new(open), recipe.batch_size, |_| ()).unwrap();
    let start = State::new(model.initial_parameters(Init::He, 1), recipe.optimizer.kind);
    let mut told = Vec::new();
    let ended = (|| {
        let backend: &mut dyn Backend = &mut backend;
        backend.upload_view(Split::Train, &View::of_rows(&samples(30), (4..26).collect())?)?;
        backend.upload(Split::Validation, &samples(9))?;
        backend.set_state(&start)?;
        let run =
            Run { recipe: &recipe, rows: 22, evaluated: &[Split::Validation], done: 0, clock: &|| Duration::ZERO };
        let outcome = train::train(backend, run, |event| {
            if let Event::Epoch(epoch, snapshot) = event {
                let loss = epoch.validation.as_ref().map(|part| part.loss_sum);
                told.push((epoch.number, loss, snapshot.state()?));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((outcome, backend.state(None)?))
    })();
    (told, ended)
}

#[test]
fn a_device_that_is_lost_once_at_any_call_changes_nothing() {
    let (told, ended) = run(usize::MAX, false);
    let ended = ended.unwrap();
    assert!(told.len() > 2);
    // As many calls as there are on the first device, and one more.
    for after in 0..60 {
        let (found, end) = run(after, false);
        assert!(found == told && end.unwrap() == ended, "lost at call {after}");
    }
}

#[test]
fn a_device_that_is_always_lost_ends_the_run_with_the_last_epoch_that_is_known() {
    let (told, _) = run(usize::MAX, false);
    let Err(Error::Lost { why, kept }) = run(2, true).1 else { panic!("the run went on") };
    assert!(why.contains("lost") && kept.is_none(), "{why}");
    // Whatever a device does before it is lost is kept, so that the run gets on.
    let (found, end) = run(25, true);
    match end {
        Ok(_) => assert_eq!(found, told),
        Err(Error::Lost { kept: Some(kept), .. }) => assert_eq!(kept.1, found.last().unwrap().2),
        Err(error) => panic!("{error}"),
    }
}
