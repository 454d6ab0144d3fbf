//! Many networks trained side by side. Each ends with the bits that it would have alone. On the CPU whole networks go to
//! threads, where no step waits for another thread, and they share what they learn from; on a GPU those of one shape
//! are packs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::backend::select::Selected;
use crate::backend::{Backend, BackendExt, Parts, Split};
use crate::data::View;
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use crate::train::{self, End, Epoch, Event, Outcome, Run};

mod kept;
mod packs;

pub use kept::Identity;

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

    /// Whether a run by `recipe` can go on from it, if anything is left to do, and end as if it had not been stopped. A run that may
    /// stop early knows of its best epoch, and the state does not.
    pub fn can_go_on(&self, recipe: &Recipe) -> bool {
        self.is_whole() || recipe.stopping.early_stop.is_none()
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
    if let Some(store) = &selected.gpu {
        return packs::train(selected, store, jobs, &mut tell);
    }
    let threads = selected.threads();
    let workers = threads.min(jobs.len()).max(1);
    // The last jobs, fewer than there are workers, get the threads of those who have none.
    let last = jobs.len() % workers;
    let threads_of = |job: usize| if job >= jobs.len() - last { threads / last.max(1) } else { threads / workers };
    let one = |number: usize, teller: &Teller<'_>| {
        let job = &jobs[number];
        let backend = selected.cpu(&job.model, &job.recipe, threads_of(number));
        teller.ended(number, backend.and_then(|mut backend| job.train(&mut backend, |told| teller.tell(number, told))));
    };
    spread(workers, jobs.len(), &one, &mut tell)
}

/// Tells of jobs by their numbers.
struct Teller<'a> {
    sender: Sender<(usize, Told)>,
    stop: &'a AtomicBool,
}

impl Teller<'_> {
    /// Says whether those that are under way are to end.
    fn tell(&self, number: usize, told: Told) -> ControlFlow<()> {
        // Nobody listens once that has failed.
        let _ = self.sender.send((number, told));
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn ended(&self, number: usize, trained: Result<Trained>) {
        let _ = self.tell(number, Told::Ended(Box::new(trained)));
    }
}

/// Does `work` on each of so many `pieces`, in their order, on so many threads. `tell` is told, on this thread, what they tell. When it
/// breaks, no other piece begins.
///
/// # Errors
/// What `tell` fails with.
fn spread(
    threads: usize,
    pieces: usize,
    work: &(dyn Fn(usize, &Teller<'_>) + Sync),
    tell: &mut dyn FnMut(usize, Told) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut failed = Ok(());
    std::thread::scope(|scope| {
        let (sender, told) = channel();
        for _ in 0..threads {
            let teller = Teller { sender: sender.clone(), stop: &stop };
            let next = &next;
            scope.spawn(move || {
                while !teller.stop.load(Ordering::Relaxed) {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    if piece >= pieces {
                        return;
                    }
                    work(piece, &teller);
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
    /// Trains it on `backend` until it is done or `tell` breaks.
    fn train(&self, backend: &mut dyn Backend, mut tell: impl FnMut(Told) -> ControlFlow<()>) -> Result<Trained> {
        for (split, view) in self.data.each() {
            backend.upload_view(split, view)?;
        }
        backend.set_state(&self.state)?;
        let (start, evaluated) = (Instant::now(), self.evaluated());
        let clock = || start.elapsed();
        let run = self.run(&evaluated, &clock)?;
        let mut watch = Watch::default();
        let outcome = train::train(backend, run, |event| Ok(watch.see(event, &mut tell)))?;
        let epochs = match (watch.epochs.is_empty(), self.is_done()) {
            (false, _) => watch.epochs,
            (true, false) => return Err(Error::Interrupted),
            (true, true) => vec![evaluated_now(backend, run)?],
        };
        Ok(Trained { outcome, state: backend.state(None)?, epochs })
    }

    /// The parts that are evaluated beside the training part.
    fn evaluated(&self) -> Vec<Split> {
        self.data.each().map(|(split, _)| split).filter(|split| *split != Split::Train).collect()
    }

    fn run<'a>(&'a self, evaluated: &'a [Split], clock: &'a dyn Fn() -> Duration) -> Result<Run<'a>> {
        let rows = self.data.get(Split::Train)?.len();
        Ok(Run { recipe: &self.recipe, rows, evaluated, done: self.done, clock })
    }

    /// Whether no epoch is left to train.
    fn is_done(&self) -> bool {
        self.done >= self.recipe.epochs
    }
}

/// Sees the events of one run.
#[derive(Default)]
struct Watch {
    epochs: Vec<Epoch>,
    /// Rows of the epoch under way that were told of.
    rows: usize,
}

impl Watch {
    /// Hands `event` on.
    fn see(&mut self, event: Event<'_>, tell: &mut impl FnMut(Told) -> ControlFlow<()>) -> ControlFlow<()> {
        match event {
            Event::Progress { done, .. } => {
                let more = done - self.rows;
                self.rows = done;
                tell(Told::Rows(more))
            }
            Event::RateFloor { .. } | Event::Evaluating { .. } | Event::Between(_) => ControlFlow::Continue(()),
            Event::Epoch(epoch, _) => {
                // What a device was handed ahead is told of with the epoch.
                let rest = epoch.rows - std::mem::take(&mut self.rows);
                self.epochs.push(epoch.clone());
                let flow = if rest > 0 { tell(Told::Rows(rest)) } else { ControlFlow::Continue(()) };
                if flow.is_break() { flow } else { tell(Told::Epoch(Box::new(epoch.clone()))) }
            }
        }
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
