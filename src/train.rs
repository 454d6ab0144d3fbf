//! The epoch and batch loop. It knows the backend's trait and nothing under it, and has no clock but the one it is given.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::backend::{Backend, Split, Steps, Ticket};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::random;
use crate::recipe::Recipe;
use crate::schedule::Length;
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
    /// Their numbers in the samples that were uploaded, where these have more.
    pub numbers: Option<&'a [u32]>,
    /// The parts that were uploaded beside it, to be evaluated after each epoch.
    pub evaluated: &'a [Split],
    /// Epochs that the state was trained for before.
    pub done: u32,
    /// The time since some moment: tells how long training and evaluation took.
    pub clock: &'a dyn Fn() -> Duration,
}

/// What one epoch did. Parts that were not evaluated after it have no evaluation.
#[derive(Debug, Clone, PartialEq)]
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
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The last epoch that was told, or the best one where the run may stop early. The backend has its state, unless the
    /// observer stopped the run before any epoch was told.
    pub epoch: u32,
    /// Why it ended.
    pub end: End,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// An epoch whose evaluation is under way.
struct Passed {
    number: u32,
    learning_rate: f64,
    train_seconds: f64,
    /// When its training pass was done.
    at: Duration,
    ticket: Ticket,
    splits: Vec<Split>,
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
    let Run { recipe, rows, done, clock, .. } = run;
    let count = u32::try_from(rows).map_err(|_| Error::Data(format!("{rows} rows are more than 2^32 - 1")))?;
    let order_of = |epoch: u32| -> Vec<u32> {
        let mut order =
            if recipe.shuffle { random::order(recipe.seed, u64::from(epoch), count) } else { (0..count).collect() };
        if let Some(numbers) = run.numbers {
            order.iter_mut().for_each(|row| *row = numbers[*row as usize]);
        }
        order
    };
    let batch_size = recipe.batch_size;
    let batches = rows.div_ceil(batch_size);
    let length = Length { steps_per_epoch: batches as u64, epochs: recipe.epochs };
    let mut judge = Judge::new(run)?;
    let mut order = Vec::new();
    // The epoch before, where the device goes on while that is evaluated and told.
    let mut late: Option<Passed> = None;
    for epoch in done..recipe.epochs {
        let number = epoch + 1;
        let mut start = clock();
        if order.is_empty() {
            order = order_of(epoch);
        }
        let first = u64::from(epoch) * batches as u64;
        let rate = |step: usize| recipe.schedule.rate(first + step as u64, length);
        let rates: Vec<f32> = (0..batches).map(|step| rate(step) as f32).collect();
        let mut handed = 0;
        let advance = |backend: &mut dyn Backend, handed: usize| {
            let steps = Steps { order: &order[handed * batch_size..], rates: &rates[handed..] };
            backend.train(steps).map(|taken| handed + taken)
        };
        if let Some(passed) = late.take() {
            for _ in 0..AHEAD {
                if handed < batches {
                    handed = advance(backend, handed)?;
                }
            }
            let told = judge.tell(backend, passed, &mut observe)?;
            if let Some(end) = judge.end {
                return judge.outcome(backend, end);
            }
            start = told;
        }
        let mut flow = ControlFlow::Continue(());
        if recipe.schedule.reaches_floor(epoch) {
            flow = observe(Event::RateFloor { epoch: number, rate: rate(0) })?;
        }
        while handed < batches && flow.is_continue() {
            handed = advance(backend, handed)?;
            flow = observe(Event::Progress { epoch: number, done: rows.min(handed * batch_size), of: rows })?;
        }
        if flow.is_break() {
            return judge.outcome(backend, End::Stopped);
        }
        let splits = judge.splits(number);
        let ticket = backend.evaluate(&splits)?;
        if number < recipe.epochs && recipe.shuffle {
            // While the device works.
            order = order_of(number);
        }
        backend.wait()?;
        let at = clock();
        let train_seconds = (at - start).as_secs_f64();
        let passed = Passed { number, learning_rate: rate(0), train_seconds, at, ticket, splits };
        if ticket.ahead && number < recipe.epochs {
            late = Some(passed);
            continue;
        }
        judge.tell(backend, passed, &mut observe)?;
        if let Some(end) = judge.end {
            return judge.outcome(backend, end);
        }
    }
    judge.outcome(backend, End::Done)
}

/// Tells epochs, and sees when a run should end.
struct Judge<'a> {
    run: Run<'a>,
    start: Duration,
    /// The last epoch that was told, and what the backend keeps its state for.
    told: (u32, Option<Ticket>),
    end: Option<End>,
    /// Where the run may stop early: the least validation loss, its epoch and state.
    best: Option<(f64, u32, State)>,
    /// Evaluations since then.
    since: u32,
}

impl<'a> Judge<'a> {
    fn new(run: Run<'a>) -> Result<Self> {
        if run.recipe.stopping.early_stop.is_some() && !run.evaluated.contains(&Split::Validation) {
            return Err(Error::Usage("stopping early takes a validation part, and there is none".into()));
        }
        Ok(Self { run, start: (run.clock)(), told: (run.done, None), end: None, best: None, since: 0 })
    }

    /// The parts to evaluate after epoch `number`.
    fn splits(&self, number: u32) -> Vec<Split> {
        let Run { recipe, evaluated, .. } = self.run;
        if !number.is_multiple_of(recipe.eval_every.max(1)) && number < recipe.epochs {
            return Vec::new();
        }
        recipe.train_eval.then_some(Split::Train).into_iter().chain(evaluated.iter().copied()).collect()
    }

    /// Tells what the epoch `passed` did: when its evaluation was done.
    fn tell(
        &mut self,
        backend: &mut dyn Backend,
        passed: Passed,
        observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Duration> {
        let Passed { number, learning_rate, train_seconds, at, ticket, splits } = passed;
        let found = backend.collect(ticket)?;
        let collected = (self.run.clock)();
        if let Some(part) = found.iter().find(|part| !part.loss_sum.is_finite()) {
            return Err(Error::Diverged { epoch: number, learning_rate, loss: part.loss_sum });
        }
        let of = |split| splits.iter().zip(&found).find(|(of, _)| **of == split).map(|(_, found)| found.clone());
        let epoch = Epoch {
            number,
            learning_rate,
            rows: self.run.rows,
            train: of(Split::Train),
            test: of(Split::Test),
            validation: of(Split::Validation),
            train_seconds,
            eval_seconds: (collected - at).as_secs_f64(),
        };
        self.told = (number, Some(ticket));
        let flow = observe(Event::Epoch(&epoch, &mut Snapshot { backend, ticket }))?;
        self.end = if flow.is_break() { Some(End::Stopped) } else { self.judge(backend, &epoch, ticket, collected)? };
        Ok(collected)
    }

    /// Why the run should end after `epoch`, if it should.
    fn judge(
        &mut self,
        backend: &mut dyn Backend,
        epoch: &Epoch,
        ticket: Ticket,
        now: Duration,
    ) -> Result<Option<End>> {
        let stopping = &self.run.recipe.stopping;
        if let (Some(patience), Some(validation)) = (stopping.early_stop, &epoch.validation) {
            let loss = validation.mean_loss();
            if self.best.as_ref().is_none_or(|(best, ..)| loss < best - stopping.min_delta) {
                self.best = Some((loss, epoch.number, backend.state(Some(ticket))?));
                self.since = 0;
            } else {
                self.since += 1;
            }
            if self.since > 0 && self.since >= patience {
                return Ok(Some(End::NoBetter));
            }
        }
        let judged = epoch.validation.as_ref().or(epoch.test.as_ref()).filter(|part| part.errors.is_empty());
        if stopping.target_accuracy.is_some_and(|target| judged.is_some_and(|part| part.accuracy() >= target)) {
            return Ok(Some(End::Accurate));
        }
        let seconds = (now - self.start).as_secs_f64();
        Ok(stopping.max_seconds.is_some_and(|most| seconds >= most).then_some(End::Late))
    }

    /// Ends the run: with the best state where it may stop early, unless the observer stopped it, otherwise with that of the last
    /// epoch that was told.
    fn outcome(self, backend: &mut dyn Backend, end: End) -> Result<Outcome> {
        let (mut epoch, ticket) = self.told;
        let state = match (self.best, ticket) {
            (Some((_, best, state)), _) if end != End::Stopped => {
                epoch = best;
                Some(state)
            }
            // The backend may be steps ahead.
            (_, Some(ticket)) if end != End::Done => Some(backend.state(Some(ticket))?),
            _ => None,
        };
        if let Some(state) = state {
            backend.set_state(&state)?;
        }
        Ok(Outcome { epoch, end })
    }
}
