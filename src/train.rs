//! The epoch and batch loop. It knows the backend's trait and nothing under it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::backend::{Backend, Split};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::random;
use crate::schedule::Schedule;

/// Parts of an epoch that a device has to go on with while the epoch before is read back and told.
const AHEAD: usize = 2;

/// What a run does.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Passes over the training part, those before this run included.
    pub epochs: u32,
    /// Epochs that the parameters were trained for before this run: it goes on from there.
    pub done: u32,
    /// Rows a step; at least 1.
    pub batch_size: usize,
    /// The learning rate.
    pub schedule: Schedule,
    /// Seed of the order.
    pub seed: u64,
    /// Whether a validation part was uploaded, to be evaluated after each epoch.
    pub validate: bool,
    /// Whether each epoch visits the rows in a new order; otherwise in the order of the file.
    pub shuffle: bool,
}

/// The notebook's.
impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 10,
            done: 0,
            batch_size: 64,
            schedule: Schedule::default(),
            seed: 0,
            validate: false,
            shuffle: true,
        }
    }
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
    /// Over the test part, after the epoch.
    pub test: Evaluation,
    /// Over the validation part, if there is one, after the epoch.
    pub validation: Option<Evaluation>,
    /// Wall-clock seconds of the training pass.
    pub train_seconds: f64,
    /// Wall-clock seconds of the evaluations.
    pub eval_seconds: f64,
}

impl Epoch {
    /// How good it is, higher for better: less validation loss, or more test accuracy where there is no validation part.
    pub fn score(&self) -> f64 {
        self.validation.as_ref().map_or_else(|| self.test.accuracy(), |validation| -validation.mean_loss())
    }

    /// Training rows a second, evaluation not counted.
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

/// The parameters as an epoch left them; the backend may be steps ahead.
pub struct Snapshot<'a>(&'a mut dyn Backend);

impl Snapshot<'_> {
    /// The flat parameter buffer, laid out as [`crate::model::Mlp`] says.
    ///
    /// # Errors
    /// When the device fails.
    pub fn parameters(&mut self) -> Result<Vec<f32>> {
        self.0.evaluated_parameters()
    }

    /// The same if they are lost once the backend goes on; none where it keeps them until the next epoch is told.
    ///
    /// # Errors
    /// When the device fails.
    pub fn fleeting_parameters(&mut self) -> Result<Option<Vec<f32>>> {
        if self.0.is_asynchronous() { Ok(None) } else { self.parameters().map(Some) }
    }
}

/// An epoch whose evaluation is under way.
struct Passed {
    number: u32,
    learning_rate: f64,
    train_seconds: f64,
    /// When its training pass was done.
    at: Instant,
}

/// Trains until `options.epochs` are done on the uploaded training part of `rows` rows, from the backend's parameters on.
///
/// # Errors
/// What the backend or `observe` fails with; [`Error::Training`] when the loss is no longer a number;
/// [`Error::Interrupted`] soon after `interrupt` was set: [`Backend::evaluated_parameters`] of an asynchronous backend are
/// then those of the last epoch that was told.
pub fn train(
    backend: &mut dyn Backend,
    options: &Options,
    rows: usize,
    interrupt: &AtomicBool,
    mut observe: impl FnMut(Event<'_>) -> Result<()>,
) -> Result<()> {
    let count = u32::try_from(rows).map_err(|_| Error::Data(format!("{rows} rows are more than 2^32 - 1")))?;
    let order_of = |epoch: u32| match options.shuffle {
        true => random::order(options.seed, u64::from(epoch), count),
        false => (0..count).collect(),
    };
    let mut splits = vec![Split::Train, Split::Test];
    splits.extend(options.validate.then_some(Split::Validation));
    let asynchronous = backend.is_asynchronous();
    let mut order = Vec::new();
    // The epoch before, where the device goes on while that is evaluated and told.
    let mut late: Option<Passed> = None;
    for epoch in options.done..options.epochs {
        let number = epoch + 1;
        let learning_rate = options.schedule.rate(epoch);
        let mut start = Instant::now();
        if order.is_empty() {
            order = order_of(epoch);
        }
        backend.begin_pass(&order, learning_rate as f32)?;
        let mut done = 0;
        if let Some(passed) = late.take() {
            for _ in 0..AHEAD {
                if done < rows {
                    done = backend.advance()?;
                }
            }
            start = tell(backend, passed, &splits, &mut observe)?;
            // The whole epoch may be handed over by now.
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
        }
        if options.schedule.reaches_floor(epoch) {
            observe(Event::RateFloor { epoch: number, rate: learning_rate })?;
        }
        while done < rows {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            done = backend.advance()?;
            observe(Event::Progress { epoch: number, done, of: rows })?;
        }
        if asynchronous {
            backend.begin_evaluation(&splits)?;
        }
        if number < options.epochs && options.shuffle {
            // While the device works.
            order = order_of(number);
        }
        backend.finish_pass()?;
        let at = Instant::now();
        if !asynchronous {
            backend.begin_evaluation(&splits)?;
        }
        let passed = Passed { number, learning_rate, train_seconds: (at - start).as_secs_f64(), at };
        if asynchronous && number < options.epochs {
            late = Some(passed);
        } else {
            tell(backend, passed, &splits, &mut observe)?;
        }
    }
    Ok(())
}

/// Tells what the epoch `passed` did, and when its evaluation was done.
fn tell(
    backend: &mut dyn Backend,
    passed: Passed,
    splits: &[Split],
    observe: &mut impl FnMut(Event<'_>) -> Result<()>,
) -> Result<Instant> {
    let Passed { number, learning_rate, train_seconds, at } = passed;
    let mut found = backend.finish_evaluation(splits)?.into_iter();
    let evaluated = Instant::now();
    let (Some(train), Some(test)) = (found.next(), found.next()) else {
        return Err(Error::Training(format!("epoch {number} was not evaluated")));
    };
    if !train.loss_sum.is_finite() {
        return Err(Error::Training(format!(
            "training diverged: the loss is {} after epoch {number} at learning rate {learning_rate}; lower --lr",
            train.loss_sum
        )));
    }
    let validation = found.next();
    let eval_seconds = (evaluated - at).as_secs_f64();
    let epoch = Epoch { number, learning_rate, train, test, validation, train_seconds, eval_seconds };
    observe(Event::Epoch(&epoch, &mut Snapshot(backend)))?;
    Ok(evaluated)
}
