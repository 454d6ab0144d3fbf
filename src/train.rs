//! The epoch and batch loop. It knows the backend's trait and nothing under it, and has no clock but the one it is given.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Split, Steps};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::random;
use crate::recipe::Recipe;
use crate::schedule::Length;
use crate::state::State;
use judge::{Judge, Left, Passed};

mod judge;
mod pack;

pub use pack::train_pack;

/// Portions of an epoch that a device has to go on with while the epoch before is read back and told.
const AHEAD: usize = 2;

/// What a run works on and where it begins.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What it does.
    pub recipe: &'a Recipe,
    /// Rows of the training part, which was uploaded.
    pub rows: usize,
    /// The parts that were uploaded beside it, to be evaluated after each epoch.
    pub evaluated: &'a [Split],
    /// Epochs that the state was trained for before.
    pub done: u32,
    /// The time since some moment: tells how long training and evaluation took.
    pub clock: &'a dyn Fn() -> Duration,
}

/// What one epoch did. Parts that were not evaluated after it have no evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u32,
    /// The learning rate of its first step.
    pub learning_rate: f64,
    /// Rows of the training part.
    pub rows: usize,
    /// Over the whole training part, after the epoch.
    pub train: Option<Evaluation>,
    /// Over the test part, after the epoch.
    pub test: Option<Evaluation>,
    /// Over the validation part, after the epoch.
    pub validation: Option<Evaluation>,
    /// Wall-clock seconds of the training pass.
    pub train_seconds: f64,
    /// Wall-clock seconds of the evaluations.
    pub eval_seconds: f64,
}

impl Epoch {
    /// How good it is, higher for better: less validation loss; without a validation part more test accuracy, or less test loss
    /// where values are predicted; without a test part less training loss. None where nothing was evaluated.
    pub fn score(&self) -> Option<f64> {
        let of = |part: &Evaluation| if part.errors.is_empty() { part.accuracy() } else { -part.mean_loss() };
        match (&self.validation, &self.test, &self.train) {
            (Some(validation), ..) => Some(-validation.mean_loss()),
            (None, Some(test), _) => Some(of(test)),
            (None, None, train) => train.as_ref().map(|train| -train.mean_loss()),
        }
    }

    /// Whether any part was evaluated.
    pub fn is_evaluated(&self) -> bool {
        self.train.is_some() || self.test.is_some() || self.validation.is_some()
    }

    /// Training rows per second, evaluation not counted.
    pub fn samples_per_second(&self) -> f64 {
        self.rows as f64 / self.train_seconds.max(f64::MIN_POSITIVE)
    }
}

/// What the loop tells as it goes.
pub enum Event<'a> {
    /// `done` of `of` rows of epoch `epoch` (from 1) were handed over.
    Progress {
        /// The epoch, from 1.
        epoch: u32,
        /// Rows handed over.
        done: usize,
        /// Rows of an epoch.
        of: usize,
    },
    /// From this epoch (from 1) on, the floor holds the learning rate up.
    RateFloor {
        /// The epoch, from 1.
        epoch: u32,
        /// The floor.
        rate: f64,
    },
    /// The training pass of epoch `epoch` (from 1) was handed over; its evaluation begins.
    Evaluating {
        /// The epoch, from 1.
        epoch: u32,
    },
    /// An epoch is done and evaluated.
    Epoch(&'a Epoch, &'a mut Snapshot<'a>),
}

/// The state as an epoch left it; the backend may be steps ahead.
pub struct Snapshot<'a> {
    read: &'a mut dyn FnMut() -> Result<State>,
}

impl<'a> Snapshot<'a> {
    /// The state that `read` reads.
    pub(crate) fn new(read: &'a mut dyn FnMut() -> Result<State>) -> Self {
        Self { read }
    }

    /// The state.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&mut self) -> Result<State> {
        (self.read)()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The last epoch that was told, or the best one where the run may stop early. The backend has its state, unless the
    /// observer stopped the run before any epoch was told.
    pub epoch: u32,
    /// Why it ended.
    pub end: End,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// All epochs were done.
    Done,
    /// The observer stopped it.
    Stopped,
    /// The validation loss no longer fell: the best state was restored.
    NoBetter,
    /// The accuracy that was asked for was reached.
    Accurate,
    /// The time was up.
    Late,
}

/// Trains until `recipe.epochs` epochs are done or a reason to stop is met, from the backend's state on. `observe` is told what
/// happens, and may stop the run: soon after it breaks, the run ends, perhaps in the middle of an epoch.
///
/// # Errors
/// What the backend or `observe` fails with; [`Error::Diverged`] when a loss is no longer a number; [`Error::Usage`] for early
/// stopping without a validation part.
pub fn train(
    backend: &mut dyn Backend,
    run: Run<'_>,
    mut observe: impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let Run { recipe, done, clock, .. } = run;
    let course = Course::new(run)?;
    let mut judge = Judge::new(run)?;
    let mut order = Vec::new();
    // The epoch before, where the device goes on while that is evaluated and told.
    let mut late: Option<Passed> = None;
    for epoch in done..recipe.epochs {
        let number = epoch + 1;
        let mut start = clock();
        if order.is_empty() {
            order = course.order(epoch);
        }
        let rates = course.rates(epoch);
        let (batches, rows) = (course.batches, run.rows);
        let mut handed = 0;
        let advance = |backend: &mut dyn Backend, handed: usize| {
            let steps = Steps { order: &order[handed * recipe.batch_size..], rates: &rates[handed..] };
            backend.train(steps).map(|taken| handed + taken)
        };
        if let Some(passed) = late.take() {
            for _ in 0..AHEAD {
                if handed < batches {
                    handed = advance(backend, handed)?;
                }
            }
            let told = tell(&mut judge, backend, passed, &mut observe)?;
            if let Some(end) = judge.end {
                return finish(judge, backend, end);
            }
            start = told;
        }
        let mut flow = ControlFlow::Continue(());
        if let Some(floor) = course.floor(epoch) {
            flow = observe(floor)?;
        }
        while handed < batches && flow.is_continue() {
            handed = advance(backend, handed)?;
            flow = observe(Event::Progress { epoch: number, done: rows.min(handed * recipe.batch_size), of: rows })?;
        }
        let splits = judge.splits(number);
        if flow.is_continue() && !splits.is_empty() {
            flow = observe(Event::Evaluating { epoch: number })?;
        }
        if flow.is_break() {
            return finish(judge, backend, End::Stopped);
        }
        let ticket = backend.evaluate(&splits)?;
        if number < recipe.epochs && recipe.shuffle {
            // While the device works.
            order = course.order(number);
        }
        backend.wait()?;
        let at = clock();
        let train_seconds = (at - start).as_secs_f64();
        let passed = Passed { number, learning_rate: course.rate(epoch), train_seconds, at, ticket, splits };
        if ticket.ahead && number < recipe.epochs {
            late = Some(passed);
            continue;
        }
        tell(&mut judge, backend, passed, &mut observe)?;
        if let Some(end) = judge.end {
            return finish(judge, backend, end);
        }
    }
    finish(judge, backend, End::Done)
}

/// Tells of an epoch that passed, once its evaluation is there: when that was.
fn tell(
    judge: &mut Judge<'_>,
    backend: &mut dyn Backend,
    passed: Passed,
    observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Duration> {
    let ticket = passed.ticket;
    let found = backend.collect(ticket)?;
    judge.tell(passed, &found, &mut || backend.state(Some(ticket)), observe)
}

/// Ends the run, and leaves the backend with the state that it ends with.
fn finish(judge: Judge<'_>, backend: &mut dyn Backend, end: End) -> Result<Outcome> {
    let (outcome, left) = judge.outcome(end);
    let state = match left {
        Left::Best(state) => state,
        // The backend may be steps ahead.
        Left::At(ticket) => backend.state(Some(ticket))?,
        Left::Now => return Ok(outcome),
    };
    backend.set_state(&state)?;
    Ok(outcome)
}

/// Which rows a run visits, and at which rates.
struct Course<'a> {
    recipe: &'a Recipe,
    /// Rows of an epoch.
    rows: u32,
    /// Batches of an epoch.
    batches: usize,
    length: Length,
}

impl<'a> Course<'a> {
    fn new(run: Run<'a>) -> Result<Self> {
        let Run { recipe, rows, .. } = run;
        let count = u32::try_from(rows).map_err(|_| Error::Data(format!("{rows} rows are more than 2^32 - 1")))?;
        let batches = rows.div_ceil(recipe.batch_size);
        let length = Length { steps_per_epoch: batches as u64, epochs: recipe.epochs };
        Ok(Self { recipe, rows: count, batches, length })
    }

    /// The rows of epoch `epoch`, from 0.
    fn order(&self, epoch: u32) -> Vec<u32> {
        let Self { recipe, rows, .. } = *self;
        if recipe.shuffle { random::order(recipe.seed, u64::from(epoch), rows) } else { (0..rows).collect() }
    }

    /// The rate of the step `step` of epoch `epoch`, both from 0.
    fn rate_of(&self, epoch: u32, step: usize) -> f64 {
        let first = u64::from(epoch) * self.batches as u64;
        self.recipe.schedule.rate(first + step as u64, self.length)
    }

    /// The rate of the first step of epoch `epoch`.
    fn rate(&self, epoch: u32) -> f64 {
        self.rate_of(epoch, 0)
    }

    /// The rate of each step of epoch `epoch`.
    fn rates(&self, epoch: u32) -> Vec<f32> {
        (0..self.batches).map(|step| self.rate_of(epoch, step) as f32).collect()
    }

    /// What there is to tell where from epoch `epoch` on the floor holds the rate up.
    fn floor(&self, epoch: u32) -> Option<Event<'static>> {
        let reaches = self.recipe.schedule.reaches_floor(epoch);
        reaches.then(|| Event::RateFloor { epoch: epoch + 1, rate: self.rate(epoch) })
    }
}
