//! Many runs at once, in lockstep: epoch by epoch, batch by batch.

use std::ops::ControlFlow;
use std::time::Duration;

use rayon::prelude::*;

use super::judge::{Judge, Left, Passed};
use super::{AHEAD, Course, End, Event, Outcome, Run};
use crate::backend::pack::Pack;
use crate::backend::{Steps, Ticket};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::state::State;

/// How a member's run ended, and with which state; or why it failed.
type Ended = Result<(Outcome, State)>;

/// A member whose run goes on.
struct Member<'a> {
    run: Run<'a>,
    course: Course<'a>,
    judge: Judge<'a>,
    /// The epoch under way, from 0.
    epoch: u32,
    order: Vec<u32>,
    rates: Vec<f32>,
    /// Batches handed over, and those of them that were not told of.
    handed: usize,
    untold: usize,
    /// When the epoch began.
    start: Duration,
    /// The epoch before, while it is evaluated.
    passed: Option<Passed>,
}

impl<'a> Member<'a> {
    fn new(run: Run<'a>) -> Result<Self> {
        let (course, judge) = (Course::new(run)?, Judge::new(run, None)?);
        let (order, rates, start) = (Vec::new(), Vec::new(), (run.clock)());
        Ok(Self { run, course, judge, epoch: run.done, order, rates, handed: 0, untold: 0, start, passed: None })
    }

    /// Whether there are epochs to begin.
    fn goes_on(&self) -> bool {
        self.epoch < self.run.recipe.epochs
    }

    /// What is left of the epoch under way.
    fn steps(&self) -> Steps<'_> {
        let first = (self.handed * self.run.recipe.batch_size).min(self.order.len());
        Steps { order: &self.order[first..], rates: &self.rates[self.handed..] }
    }

    /// Begins the next epoch: what is to be made for it, if there is one.
    fn begin(&mut self) -> Option<Coming<'_>> {
        (self.start, self.handed, self.untold) = ((self.run.clock)(), 0, 0);
        self.rates.clear();
        if !self.goes_on() {
            self.order.clear();
            return None;
        }
        Some(self.coming(self.epoch))
    }

    fn coming(&mut self, epoch: u32) -> Coming<'_> {
        Coming { course: &self.course, epoch, order: &mut self.order, rates: &mut self.rates }
    }

    /// The epoch was handed over, and its evaluation.
    fn pass(&mut self, ticket: Ticket, at: Duration) {
        let number = self.epoch + 1;
        self.passed = Some(Passed {
            number,
            learning_rate: self.course.rate(self.epoch),
            train_seconds: (at - self.start).as_secs_f64(),
            at,
            ticket,
            splits: self.judge.splits(number),
        });
        self.epoch = number;
    }
}

/// An epoch of a member that is not begun, and where what it takes goes. Each depends on its own seed and epoch alone, so that those of
/// all members are made side by side.
struct Coming<'a> {
    course: &'a Course<'a>,
    epoch: u32,
    order: &'a mut Vec<u32>,
    rates: &'a mut Vec<f32>,
}

/// Trains all members of `pack` at once, each by its run as [`super::train`] does alone, from the pack's states on: what is told of a
/// member, when and how it ends and the state that it ends with are the same, but for clock times, and that divergence is seen behind
/// the epoch, not within it. `observe` is told what happens and to which member; where it breaks or fails, that member ends, and the
/// others go on. So they do where a loss is no longer a
/// number.
///
/// # Errors
/// What the pack fails with; [`Error::Usage`] for another number of runs than members. A member's own are in its place.
pub fn train_pack(
    pack: &mut dyn Pack,
    runs: &[Run<'_>],
    mut observe: impl FnMut(usize, Event<'_>) -> Result<ControlFlow<()>>,
) -> Result<Vec<Ended>> {
    if runs.len() != pack.members() {
        let (runs, members) = (runs.len(), pack.members());
        return Err(Error::Usage(format!("{runs} runs for a pack of {members} members")));
    }
    let mut lockstep = Lockstep { pack, members: Vec::new(), ended: Vec::new() };
    for &run in runs {
        let (member, ended) = match Member::new(run) {
            Ok(member) => (Some(member), None),
            Err(error) => (None, Some(Err(error))),
        };
        lockstep.members.push(member);
        lockstep.ended.push(ended);
    }
    lockstep.run(&mut observe)?;
    let lost = || Err(Error::Usage("a member was not trained".into()));
    Ok(lockstep.ended.into_iter().map(|ended| ended.unwrap_or_else(lost)).collect())
}

struct Lockstep<'a, 'p> {
    pack: &'p mut dyn Pack,
    members: Vec<Option<Member<'a>>>,
    ended: Vec<Option<Ended>>,
}

impl<'a> Lockstep<'a, '_> {
    fn run(&mut self, observe: &mut impl FnMut(usize, Event<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        // The epoch before, where the device goes on while that is evaluated and told.
        let mut late: Option<Ticket> = None;
        loop {
            let begun: Vec<_> = self.members.iter_mut().flatten().filter_map(Member::begin).collect();
            begun.into_par_iter().for_each(|Coming { course, epoch, order, rates }| {
                if order.is_empty() {
                    course.list(epoch, order);
                }
                *rates = course.rates(epoch);
            });
            if let Some(ticket) = late.take() {
                for _ in 0..AHEAD {
                    self.advance()?;
                }
                self.tell(ticket, observe)?;
            }
            self.each(|_, member| (!member.goes_on()).then_some(Ok(End::Done)))?;
            if self.members.iter().all(Option::is_none) {
                return Ok(());
            }
            self.each(|number, member| match member.course.floor(member.epoch) {
                Some(floor) => stopped(observe(number, floor)),
                None => None,
            })?;
            while self.advance()? {
                self.each(|number, member| {
                    if member.untold == 0 {
                        return None;
                    }
                    let (of, size) = (member.run.rows, member.run.recipe.batch_size);
                    let progress = Event::Progress { epoch: member.epoch + 1, done: of.min(member.handed * size), of };
                    stopped(observe(number, progress))
                })?;
            }
            self.each(|number, member| {
                let epoch = member.epoch + 1;
                if member.judge.splits(epoch).is_empty() {
                    return None;
                }
                stopped(observe(number, Event::Evaluating { epoch }))
            })?;
            let asked = |member: &Option<Member<'_>>| {
                member.as_ref().map_or_else(Vec::new, |member| member.judge.splits(member.epoch + 1))
            };
            let asked: Vec<_> = self.members.iter().map(asked).collect();
            let ticket = self.pack.evaluate(&asked)?;
            // While the device works.
            let shuffles =
                |member: &&mut Member<'_>| member.epoch + 1 < member.run.recipe.epochs && member.run.recipe.shuffle;
            let members = self.members.iter_mut().flatten().filter(shuffles);
            let next: Vec<_> = members.map(|member| member.coming(member.epoch + 1)).collect();
            next.into_par_iter().for_each(|Coming { course, epoch, order, .. }| course.list(epoch, order));
            self.pack.wait()?;
            for member in self.members.iter_mut().flatten() {
                let at = (member.run.clock)();
                member.pass(ticket, at);
            }
            if ticket.ahead && self.members.iter().flatten().any(Member::goes_on) {
                late = Some(ticket);
            } else {
                self.tell(ticket, observe)?;
            }
        }
    }

    /// Hands over the next portion of all members that have one; whether there was any.
    fn advance(&mut self) -> Result<bool> {
        let none = Steps { order: &[], rates: &[] };
        let steps = self.members.iter().map(|member| member.as_ref().map_or(none, Member::steps));
        let steps: Vec<Steps<'_>> = steps.collect();
        if steps.iter().all(|steps| steps.rates.is_empty()) {
            return Ok(false);
        }
        let taken = self.pack.train(&steps)?;
        for member in self.members.iter_mut().flatten() {
            member.untold = taken.min(member.rates.len() - member.handed);
            member.handed += member.untold;
        }
        Ok(true)
    }

    /// Tells of the epoch that passed, once its evaluation is there.
    fn tell(
        &mut self,
        ticket: Ticket,
        observe: &mut impl FnMut(usize, Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let found: Vec<Vec<Evaluation>> = self.pack.collect(ticket)?;
        for (number, found) in found.iter().enumerate() {
            let Some(member) = &mut self.members[number] else { continue };
            let Some(passed) = member.passed.take() else { continue };
            let pack = &mut *self.pack;
            let told = member
                .judge
                .tell(passed, found, &mut || pack.state(number, Some(ticket)), &mut |event| observe(number, event));
            match told {
                Ok(told) => member.start = told,
                Err(error) => {
                    self.leave(number, Err(error))?;
                    continue;
                }
            }
            if let Some(end) = member.judge.end {
                self.leave(number, Ok(end))?;
            }
        }
        Ok(())
    }

    /// Ends the members of which `why` says so.
    fn each(&mut self, mut why: impl FnMut(usize, &Member<'a>) -> Option<Result<End>>) -> Result<()> {
        for number in 0..self.members.len() {
            let end = self.members[number].as_ref().and_then(|member| why(number, member));
            if let Some(end) = end {
                self.leave(number, end)?;
            }
        }
        Ok(())
    }

    /// A member's run is over: the state that it ends with is kept, and the pack goes on without it.
    fn leave(&mut self, number: usize, end: Result<End>) -> Result<()> {
        let Some(member) = self.members[number].take() else { return Ok(()) };
        self.ended[number] = Some(match end {
            Err(error) => Err(error),
            Ok(end) => {
                let (outcome, left) = member.judge.outcome(end);
                let state = match left {
                    Left::Best(state) => state,
                    // The pack may be steps ahead.
                    Left::At(ticket) => self.pack.state(number, Some(ticket))?,
                    Left::Now => self.pack.state(number, None)?,
                };
                Ok((outcome, state))
            }
        });
        Ok(())
    }
}

/// Whether a member ends by what its observer said.
fn stopped(flow: Result<ControlFlow<()>>) -> Option<Result<End>> {
    match flow {
        Ok(ControlFlow::Continue(())) => None,
        Ok(ControlFlow::Break(())) => Some(Ok(End::Stopped)),
        Err(error) => Some(Err(error)),
    }
}
