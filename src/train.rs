//! The epoch and batch loop. It knows the backend's trait and nothing under it, and has no clock but the one it is given.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::backend::{Backend, Split, Steps, Ticket};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::random;
use crate::recipe::Recipe;
use crate::state::State;

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

/// What one epoch did.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u32,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Over the whole training part, after the epoch.
    pub train: Evaluation,
    /// Over the test part, if there is one, after the epoch.
    pub test: Option<Evaluation>,
    /// Over the validation part, if there is one, after the epoch.
    pub validation: Option<Evaluation>,
    /// Wall-clock seconds of the training pass.
    pub train_seconds: f64,
    /// Wall-clock seconds of the evaluations.
    pub eval_seconds: f64,
}

impl Epoch {
    /// How good it is, higher for better: less validation loss; without a validation part more test accuracy, and without a
    /// test part less training loss.
    pub fn score(&self) -> f64 {
        match (&self.validation, &self.test) {
            (Some(validation), _) => -validation.mean_loss(),
            (None, Some(test)) => test.accuracy(),
            (None, None) => -self.train.mean_loss(),
        }
    }

    /// Training rows per second, evaluation not counted.
    pub fn samples_per_second(&self) -> f64 {
        self.train.samples() as f64 / self.train_seconds.max(f64::MIN_POSITIVE)
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
    /// An epoch is done and evaluated.
    Epoch(&'a Epoch, &'a mut Snapshot<'a>),
}

/// The state as an epoch left it; the backend may be steps ahead.
pub struct Snapshot<'a> {
    backend: &'a mut dyn Backend,
    ticket: Ticket,
}

impl Snapshot<'_> {
    /// The state.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&mut self) -> Result<State> {
        self.backend.state(Some(self.ticket))
    }

    /// What the backend gives the state for until the next epoch is told, also when it went on.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Epochs that were told, those before the run included.
    pub epochs: u32,
    /// Whether the observer stopped it.
    pub stopped: bool,
}

/// An epoch whose evaluation is under way.
struct Passed {
    number: u32,
    learning_rate: f64,
    train_seconds: f64,
    /// When its training pass was done.
    at: Duration,
    ticket: Ticket,
}

/// Trains until `recipe.epochs` epochs are done, from the backend's state on. `observe` is told what happens, and may stop the
/// run: soon after it breaks, the run ends, perhaps in the middle of an epoch.
///
/// # Errors
/// What the backend or `observe` fails with; [`Error::Diverged`] when the loss is no longer a number.
pub fn train(
    backend: &mut dyn Backend,
    run: Run<'_>,
    mut observe: impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let Run { recipe, rows, evaluated, done, clock } = run;
    let count = u32::try_from(rows).map_err(|_| Error::Data(format!("{rows} rows are more than 2^32 - 1")))?;
    let order_of = |epoch: u32| match recipe.shuffle {
        true => random::order(recipe.seed, u64::from(epoch), count),
        false => (0..count).collect(),
    };
    let batch_size = recipe.batch_size;
    let splits = [&[Split::Train], evaluated].concat();
    let mut outcome = Outcome { epochs: done, stopped: false };
    let mut order = Vec::new();
    // The epoch before, where the device goes on while that is evaluated and told.
    let mut late: Option<Passed> = None;
    for epoch in done..recipe.epochs {
        let number = epoch + 1;
        let learning_rate = recipe.schedule.rate(epoch);
        let mut start = clock();
        if order.is_empty() {
            order = order_of(epoch);
        }
        let rates = vec![learning_rate as f32; rows.div_ceil(batch_size)];
        let mut batches = 0;
        let advance = |backend: &mut dyn Backend, batches: usize| {
            let steps = Steps { order: &order[batches * batch_size..], rates: &rates[batches..] };
            backend.train(steps).map(|taken| batches + taken)
        };
        if let Some(passed) = late.take() {
            for _ in 0..AHEAD {
                if batches < rates.len() {
                    batches = advance(backend, batches)?;
                }
            }
            outcome.epochs = passed.number;
            let (told, flow) = tell(backend, passed, evaluated, clock, &mut observe)?;
            if flow.is_break() {
                return Ok(Outcome { stopped: true, ..outcome });
            }
            start = told;
        }
        let mut flow = ControlFlow::Continue(());
        if recipe.schedule.reaches_floor(epoch) {
            flow = observe(Event::RateFloor { epoch: number, rate: learning_rate })?;
        }
        while batches < rates.len() && flow.is_continue() {
            batches = advance(backend, batches)?;
            flow = observe(Event::Progress { epoch: number, done: rows.min(batches * batch_size), of: rows })?;
        }
        if flow.is_break() {
            return Ok(Outcome { stopped: true, ..outcome });
        }
        let ticket = backend.evaluate(&splits)?;
        if number < recipe.epochs && recipe.shuffle {
            // While the device works.
            order = order_of(number);
        }
        backend.wait()?;
        let at = clock();
        let train_seconds = (at - start).as_secs_f64();
        let passed = Passed { number, learning_rate, train_seconds, at, ticket };
        if ticket.ahead && number < recipe.epochs {
            late = Some(passed);
            continue;
        }
        outcome.epochs = number;
        if tell(backend, passed, evaluated, clock, &mut observe)?.1.is_break() {
            return Ok(Outcome { stopped: true, ..outcome });
        }
    }
    Ok(outcome)
}

/// Tells what the epoch `passed` did: when its evaluation was done, and whether to go on.
fn tell(
    backend: &mut dyn Backend,
    passed: Passed,
    evaluated: &[Split],
    clock: &dyn Fn() -> Duration,
    observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<(Duration, ControlFlow<()>)> {
    let Passed { number, learning_rate, train_seconds, at, ticket } = passed;
    let mut found = backend.collect(ticket)?.into_iter();
    let collected = clock();
    let train = found.next().ok_or_else(|| Error::Data(format!("epoch {number} was not evaluated")))?;
    if !train.loss_sum.is_finite() {
        return Err(Error::Diverged { epoch: number, learning_rate, loss: train.loss_sum });
    }
    let of = |split| evaluated.iter().zip(found.clone()).find(|(of, _)| **of == split).map(|(_, found)| found);
    let (test, validation) = (of(Split::Test), of(Split::Validation));
    let eval_seconds = (collected - at).as_secs_f64();
    let epoch = Epoch { number, learning_rate, train, test, validation, train_seconds, eval_seconds };
    let flow = observe(Event::Epoch(&epoch, &mut Snapshot { backend, ticket }))?;
    Ok((collected, flow))
}
