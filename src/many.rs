//! Many networks trained side by side. Each ends with the bits that it would have alone: on the CPU whole networks go to
//! threads, where no step waits for another thread, and what they learn from lies in memory once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use crate::backend::select::Selected;
use crate::backend::{Backend, BackendExt, Parts, Split};
use crate::data::View;
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use crate::train::{self, End, Epoch, Event, Outcome, Run};

/// A network to train.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its shape.
    pub model: Mlp,
    /// How it is trained.
    pub recipe: Recipe,
    /// What it learns from, and what is evaluated beside that.
    pub data: Parts<View>,
    /// Where it starts.
    pub state: State,
    /// Epochs that the state was trained for before.
    pub done: u32,
}

/// A network that was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// How its run ended, and the epoch that the state is of.
    pub outcome: Outcome,
    /// Its state.
    pub state: State,
    /// What each epoch did.
    pub epochs: Vec<Epoch>,
}

impl Trained {
    /// Whether its run ended by itself, and not because it was stopped.
    pub fn is_whole(&self) -> bool {
        self.outcome.end != End::Stopped
    }
}

/// What is told of a job.
pub enum Told {
    /// It was handed so many rows more.
    Rows(usize),
    /// An epoch is done and evaluated.
    Epoch(Box<Epoch>),
    /// It is done, or failed.
    Ended(Box<Result<Trained>>),
}

/// Trains all of `jobs` on the device that was selected. `tell` is told of them by their numbers as they go. When it breaks,
/// those that are under way end with the last epoch that they told, and the others do not begin.
///
/// # Errors
/// What `tell` fails with. What a job fails with is told of that job, and the others go on.
pub fn train(
    selected: &Selected,
    jobs: &[Job],
    mut tell: impl FnMut(usize, Told) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let threads = if selected.gpu.is_some() { 1 } else { selected.threads() };
    let workers = threads.min(jobs.len()).max(1);
    // The last jobs, fewer than there are workers, get the threads of those who have none.
    let last = jobs.len() % workers;
    let threads_of = |job: usize| if job >= jobs.len() - last { threads / last.max(1) } else { threads / workers };
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut failed = Ok(());
    std::thread::scope(|scope| {
        let (sender, told) = channel();
        for _ in 0..workers {
            let sender: Sender<(usize, Told)> = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { return };
                    let send = |told| {
                        // Nobody listens once `tell` has failed.
                        let _ = sender.send((number, told));
                    };
                    let ended = job.train(selected, threads_of(number), &stop, &send);
                    send(Told::Ended(Box::new(ended)));
                }
            });
        }
        drop(sender);
        for (number, told) in told {
            if failed.is_ok() {
                match tell(number, told) {
                    Ok(ControlFlow::Continue(())) => continue,
                    Ok(ControlFlow::Break(())) => {}
                    Err(error) => failed = Err(error),
                }
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    failed
}

impl Job {
    /// Trains it by `threads` threads of the CPU, or on the GPU that was selected, until it is done or `stop` is set.
    fn train(&self, selected: &Selected, threads: usize, stop: &AtomicBool, send: &dyn Fn(Told)) -> Result<Trained> {
        let Self { model, recipe, data, state, done } = self;
        let mut backend: Box<dyn Backend> = match selected.gpu {
            Some(_) => selected.backend(model, recipe)?.0,
            None => Box::new(selected.cpu(model, recipe, threads)?),
        };
        let mut evaluated = Vec::new();
        for (split, view) in data.each() {
            backend.upload_view(split, view)?;
            evaluated.extend((split != Split::Train).then_some(split));
        }
        backend.set_state(state)?;
        let start = Instant::now();
        let clock = || start.elapsed();
        let train = data.get(Split::Train)?;
        let (rows, numbers) = (train.len(), train.rows.as_deref());
        let run = Run { recipe, rows, numbers, evaluated: &evaluated, done: *done, clock: &clock };
        let (mut epochs, mut before) = (Vec::new(), 0);
        let outcome = train::train(backend.as_mut(), run, |event| {
            match event {
                Event::Progress { done, .. } => {
                    // Of each epoch `done` begins anew.
                    send(Told::Rows(done.checked_sub(before).unwrap_or(done)));
                    before = if done == rows { 0 } else { done };
                }
                Event::RateFloor { .. } => {}
                Event::Epoch(epoch, _) => {
                    send(Told::Epoch(Box::new(epoch.clone())));
                    epochs.push(epoch.clone());
                }
            }
            Ok(if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if epochs.is_empty() {
            if recipe.epochs > *done {
                return Err(Error::Interrupted);
            }
            epochs.push(evaluated_now(backend.as_mut(), run)?);
        }
        Ok(Trained { outcome, state: backend.state(None)?, epochs })
    }
}

/// The epoch that a run had ended with before, evaluated.
fn evaluated_now(backend: &mut dyn Backend, run: Run<'_>) -> Result<Epoch> {
    let mut found = Parts::default();
    for &split in run.evaluated {
        found.set(split, backend.evaluate_now(split)?);
    }
    let part = |split| found.get(split).ok().cloned();
    Ok(Epoch {
        number: run.done,
        learning_rate: 0.0,
        rows: run.rows,
        train: None,
        test: part(Split::Test),
        validation: part(Split::Validation),
        train_seconds: 0.0,
        eval_seconds: 0.0,
    })
}
