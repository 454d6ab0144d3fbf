//! Who tells what epochs did, and sees when a run should end.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{End, Epoch, Event, Judged, Outcome, Run, Snapshot};
use crate::backend::{Split, Ticket};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::state::State;

/// An epoch whose evaluation is under way.
pub(super) struct Passed {
    pub(super) number: u32,
    pub(super) learning_rate: f64,
    pub(super) train_seconds: f64,
    /// When its training pass was done.
    pub(super) at: Duration,
    pub(super) ticket: Ticket,
    pub(super) splits: Vec<Split>,
}

/// The state that a run ends with.
pub(super) enum Left {
    /// This one, of the best epoch.
    Best(State),
    /// That of the evaluation of this ticket.
    At(Ticket),
    /// The one that there is now.
    Now,
}

/// Tells epochs, and sees when a run should end.
pub(super) struct Judge<'a> {
    run: Run<'a>,
    start: Duration,
    /// The last epoch that was told, and what its state is kept for.
    told: (u32, Option<Ticket>),
    pub(super) end: Option<End>,
    /// Where the run may stop early: what came of it so far.
    best: Option<Judged>,
}

impl<'a> Judge<'a> {
    /// `best` is what came of the epochs before.
    pub(super) fn new(run: Run<'a>, best: Option<Judged>) -> Result<Self> {
        if run.recipe.stopping.early_stop.is_some() && !run.evaluated.contains(&Split::Validation) {
            return Err(Error::Usage("stopping early takes a validation part, and there is none".into()));
        }
        Ok(Self { run, start: (run.clock)(), told: (run.done, None), end: None, best })
    }

    /// The last epoch that was told, or that was done before; and the evaluation that it was told by.
    pub(super) fn told(&self) -> (u32, Option<Ticket>) {
        self.told
    }

    /// The last epoch of the run.
    pub(super) fn last(&self) -> u32 {
        self.run.recipe.epochs
    }

    /// What came of the run so far, where it may stop early.
    pub(super) fn judged(&self) -> Option<&Judged> {
        self.best.as_ref()
    }

    /// The parts to evaluate after epoch `number`.
    pub(super) fn splits(&self, number: u32) -> Vec<Split> {
        let Run { recipe, evaluated, .. } = self.run;
        if !number.is_multiple_of(recipe.eval_every.max(1)) && number < recipe.epochs {
            return Vec::new();
        }
        recipe.train_eval.then_some(Split::Train).into_iter().chain(evaluated.iter().copied()).collect()
    }

    /// Tells what the epoch `passed` did, whose evaluation `found` this of its parts; `state` reads its state. When the evaluation
    /// was done.
    pub(super) fn tell(
        &mut self,
        passed: Passed,
        found: &[Evaluation],
        state: &mut dyn FnMut() -> Result<State>,
        observe: &mut impl FnMut(Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Duration> {
        let Passed { number, learning_rate, train_seconds, at, ticket, splits } = passed;
        let collected = (self.run.clock)();
        if let Some(part) = found.iter().find(|part| !part.loss_sum.is_finite()) {
            return Err(Error::Diverged { epoch: number, learning_rate, loss: Some(part.loss_sum), kept: None });
        }
        let of = |split| splits.iter().zip(found).find(|(of, _)| **of == split).map(|(_, found)| found.clone());
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
        let flow = observe(Event::Epoch(&epoch, &mut Snapshot::new(&mut *state)))?;
        self.end = if flow.is_break() { Some(End::Stopped) } else { self.judge(&epoch, state, collected)? };
        Ok(collected)
    }

    /// Why the run should end after `epoch`, if it should.
    fn judge(&mut self, epoch: &Epoch, state: &mut dyn FnMut() -> Result<State>, now: Duration) -> Result<Option<End>> {
        let stopping = &self.run.recipe.stopping;
        if let (Some(patience), Some(validation)) = (stopping.early_stop, &epoch.validation) {
            let loss = validation.mean_loss();
            match &mut self.best {
                Some(best) if loss >= best.loss - stopping.min_delta => {
                    best.since += 1;
                    if best.since >= patience {
                        return Ok(Some(End::NoBetter));
                    }
                }
                best => *best = Some(Judged { loss, epoch: epoch.number, since: 0, state: state()? }),
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
    pub(super) fn outcome(self, end: End) -> (Outcome, Left) {
        let (epoch, ticket) = self.told;
        match (self.best, ticket) {
            (Some(Judged { epoch, state, .. }), _) if end != End::Stopped => {
                (Outcome { epoch, end }, Left::Best(state))
            }
            (_, Some(ticket)) if end != End::Done => (Outcome { epoch, end }, Left::At(ticket)),
            _ => (Outcome { epoch, end }, Left::Now),
        }
    }
}
