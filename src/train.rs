//! The epoch and batch loop. It knows the backend's trait and nothing under it, and has no clock but the one it is given.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Split, Steps, Ticket};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::random;
use crate::recipe::Recipe;
use crate::schedule::Length;
use crate::state::State;
use finite::Finite;
use judge::{Judge, Left, Passed};

mod finite;
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
    /// A run of its own is between two portions of an epoch: what it is there can be kept, to go on from. Packs do not tell it.
    Between(&'a mut Between<'a>),
}

/// Where a run is between two portions of an epoch.
pub struct Between<'a> {
    /// The last epoch that was told.
    pub epoch: u32,
    /// Batches of the next one that were taken.
    pub batches: usize,
    learning_rate: f64,
    judged: Option<&'a Judged>,
    /// The evaluation of the last epoch; none where this run told none yet.
    told: Option<Ticket>,
    read: &'a mut dyn FnMut(Option<Ticket>) -> Result<State>,
}

impl Between<'_> {
    /// The state, and what else it takes to go on from here.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a state that is not finite, and what the device fails with.
    pub fn place(&mut self) -> Result<(State, Begun)> {
        let state = self.finite(None, self.epoch + 1)?;
        Ok((state, Begun { batches: self.batches, judged: self.judged.cloned() }))
    }

    /// The state as [`Between::epoch`] left it; none where this run told no epoch yet.
    ///
    /// # Errors
    /// As [`Between::place`].
    pub fn whole_epoch(&mut self) -> Result<Option<State>> {
        self.told.map(|ticket| self.finite(Some(ticket), self.epoch)).transpose()
    }

    /// The state at `at`, which is of `epoch`.
    fn finite(&mut self, at: Option<Ticket>, epoch: u32) -> Result<State> {
        let state = (self.read)(at)?;
        if !state.is_finite() {
            return Err(Error::Diverged { epoch, learning_rate: self.learning_rate, loss: None, kept: None });
        }
        Ok(state)
    }
}

/// What of a run was done before, beside whole epochs and the state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Begun {
    /// Batches of the next epoch that were taken.
    pub batches: usize,
    /// Where it may stop early, what came of the epochs before.
    pub judged: Option<Judged>,
}

/// The epoch of the least validation loss so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// That loss, per row.
    pub loss: f64,
    /// The epoch, from 1.
    pub epoch: u32,
    /// Evaluations since then.
    pub since: u32,
    /// Its state.
    pub state: State,
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
    observe: impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    train_from(backend, run, Begun::default(), observe)
}

/// Goes on with a run as [`train`] does, of which so much is `begun`: it ends as the run that was never stopped.
///
/// # Errors
/// As [`train`].
pub fn train_from(
    backend: &mut dyn Backend,
    run: Run<'_>,
    begun: Begun,
    observe: impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let mut finite = Finite::new(run.clock);
    epochs(backend, run, begun, &mut finite, observe).map_err(|error| finite.restore(backend, error))
}

fn epochs(
    backend: &mut dyn Backend,
    run: Run<'_>,
    begun: Begun,
    finite: &mut Finite<'_>,
    mut observe: impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let Run { recipe, done, clock, .. } = run;
    let course = Course::new(run)?;
    let mut judge = Judge::new(run, begun.judged)?;
    let mut order = Vec::new();
    // The epoch before, where the device goes on while that is evaluated and told.
    let mut late: Option<Passed> = None;
    for epoch in done..recipe.epochs {
        let number = epoch + 1;
        let mut start = clock();
        if order.is_empty() {
            course.list(epoch, &mut order);
        }
        let rates = course.rates(epoch);
        let (batches, rows) = (course.batches, run.rows);
        let mut handed = if epoch == done { begun.batches.min(batches) } else { 0 };
        let advance = |backend: &mut dyn Backend, handed: usize| {
            let steps = Steps { order: &order[handed * recipe.batch_size..], rates: &rates[handed..] };
            backend.train(steps).map(|taken| handed + taken)
        };
        let mut flow = ControlFlow::Continue(());
        if let Some(passed) = late.take() {
            for _ in 0..AHEAD {
                if handed < batches {
                    handed = advance(backend, handed)?;
                }
            }
            let told = tell(&mut judge, backend, passed, finite, &mut observe)?;
            if let Some(end) = judge.end {
                return finish(judge, backend, end);
            }
            start = told;
            // Short epochs are whole by now.
            flow = between(&judge, backend, handed, course.rate(epoch), &mut observe)?;
        }
        if let Some(floor) = course.floor(epoch).filter(|_| flow.is_continue()) {
            flow = observe(floor)?;
        }
        while handed < batches && flow.is_continue() {
            handed = advance(backend, handed)?;
            if finite.is_due() {
                finite.look((number, false), course.rate(epoch), || backend.state(None))?;
            }
            flow = observe(Event::Progress { epoch: number, done: rows.min(handed * recipe.batch_size), of: rows })?;
            if flow.is_continue() {
                flow = between(&judge, backend, handed, course.rate(epoch), &mut observe)?;
            }
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
            course.list(number, &mut order);
        }
        backend.wait()?;
        let at = clock();
        let train_seconds = (at - start).as_secs_f64();
        let passed = Passed { number, learning_rate: course.rate(epoch), train_seconds, at, ticket, splits };
        if ticket.ahead && number < recipe.epochs {
            late = Some(passed);
            continue;
        }
        tell(&mut judge, backend, passed, finite, &mut observe)?;
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
    finite: &mut Finite<'_>,
    observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Duration> {
    let (ticket, number) = (passed.ticket, passed.number);
    let found = backend.collect(ticket)?;
    let is_sum_finite = found.iter().all(|part| part.loss_sum.is_finite());
    // What the loss says is told with it.
    if is_sum_finite && (finite.is_due_behind() || number == judge.last()) {
        finite.look((number, true), passed.learning_rate, || backend.state(Some(ticket)))?;
    }
    judge.tell(passed, &found, &mut || backend.state(Some(ticket)), observe)
}

/// Tells that so many batches of the next epoch were taken.
fn between(
    judge: &Judge<'_>,
    backend: &mut dyn Backend,
    batches: usize,
    learning_rate: f64,
    observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let ((epoch, told), judged, read) = (judge.told(), judge.judged(), &mut |at| backend.state(at));
    observe(Event::Between(&mut Between { epoch, batches, learning_rate, judged, told, read }))
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

    /// Lists the rows of epoch `epoch`, from 0, in `order`.
    fn list(&self, epoch: u32, order: &mut Vec<u32>) {
        let Self { recipe, rows, .. } = *self;
        if recipe.shuffle {
            random::fill_order(order, recipe.seed, u64::from(epoch), rows);
        } else {
            order.clear();
            order.extend(0..rows);
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::backend::faulty::{Fault, Faulty};
    use crate::data::{Inputs, Samples};
    use crate::model::{Init, Mlp};

    /// A run of some epochs on a CPU whose calls fail so from call `after` on: what came of it, its last epoch, and the state.
    fn faulty(after: usize, fault: Fault) -> (Result<Outcome>, u32, State) {
        let model = Mlp::new(&[4, 3, 2]).unwrap();
        let recipe = Recipe { hidden: vec![3], batch_size: 4, epochs: 5, train_eval: false, ..Recipe::default() };
        let inputs = (0..64u32).map(|at| (at * 7 % 11) as f32 / 11.0).collect();
        let train = Arc::new(Samples::new(Inputs::F32(inputs), 4, (0..16).map(|row| row % 2).collect()).unwrap());
        let mut cpu = Cpu::new(model.clone(), &recipe, 1).unwrap();
        cpu.upload(Split::Train, &train).unwrap();
        cpu.set_state(&State::new(model.initial_parameters(Init::He, 1), recipe.optimizer.kind)).unwrap();
        let mut last = 0;
        let run = Run { recipe: &recipe, rows: 16, evaluated: &[], done: 0, clock: &|| Duration::ZERO };
        let ended = super::train(&mut Faulty { inner: &mut cpu, after, fault, calls: 0 }, run, |event| {
            if let Event::Epoch(epoch, _) = event {
                last = epoch.number;
            }
            Ok(ControlFlow::Continue(()))
        });
        (ended, last, cpu.state(None).unwrap())
    }

    #[test]
    fn a_device_that_is_lost_at_any_call_ends_the_run_with_its_error() {
        let calls = (0..).find(|after| faulty(*after, Fault::Lost).0.is_ok()).unwrap();
        assert!(calls > 10);
        for after in 0..calls {
            let (ended, last, _) = faulty(after, Fault::Lost);
            assert!(ended.unwrap_err().to_string().contains("the device was lost") && last < 6);
        }
    }

    #[test]
    fn parameters_that_are_not_finite_end_the_run_within_the_epoch_and_the_last_finite_state_is_back() {
        let (_, _, whole) = faulty(usize::MAX, Fault::NotANumber);
        for after in [0, 6, 12, 18] {
            let (ended, last, state) = faulty(after, Fault::NotANumber);
            let Err(Error::Diverged { epoch, loss: None, kept, .. }) = ended else { panic!("{ended:?}") };
            assert!(state.is_finite() && epoch <= last + 1 && kept.unwrap_or(0) <= last);
            assert!(state != whole);
        }
    }

    #[test]
    fn a_run_goes_on_between_any_two_portions_to_the_same_bits() {
        let model = Mlp::new(&[4, 3, 2]).unwrap();
        let mut recipe = Recipe { hidden: vec![3], batch_size: 4, epochs: 4, ..Recipe::default() };
        recipe.stopping.early_stop = Some(2);
        let samples = |rows: u32| {
            let inputs = (0..4 * rows).map(|at| (at * 7 % 11) as f32 / 11.0).collect();
            Arc::new(Samples::new(Inputs::F32(inputs), 4, (0..rows).map(|row| row % 2).collect()).unwrap())
        };
        let start = State::new(model.initial_parameters(Init::He, 1), recipe.optimizer.kind);
        let go = |done, state: &State, begun: Begun, places: &mut Vec<(u32, State, Begun)>| {
            let mut cpu = Cpu::new(model.clone(), &recipe, 1).unwrap();
            cpu.upload(Split::Train, &samples(22)).unwrap();
            cpu.upload(Split::Validation, &samples(9)).unwrap();
            cpu.set_state(state).unwrap();
            let run =
                Run { recipe: &recipe, rows: 22, evaluated: &[Split::Validation], done, clock: &|| Duration::ZERO };
            let outcome = train_from(&mut cpu, run, begun, |event| {
                if let Event::Between(between) = event {
                    let (state, begun) = between.place()?;
                    places.push((between.epoch, state, begun));
                }
                Ok(ControlFlow::Continue(()))
            });
            (outcome.unwrap(), cpu.state(None).unwrap())
        };
        let mut places = Vec::new();
        let whole = go(0, &start, Begun::default(), &mut places);
        assert!(places.len() >= 3);
        for (epoch, state, begun) in places {
            assert_eq!(go(epoch, &state, begun, &mut Vec::new()), whole);
        }
    }
}
