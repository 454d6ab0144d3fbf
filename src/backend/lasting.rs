//! A backend that outlives its device. Where that is lost, another is opened, and what was done since the last known state is done
//! again: the bits are those of a run that nothing disturbed, and nothing is told twice.

use std::sync::Arc;
use std::time::Duration;

use super::pack::{Pack, for_each_member};
use super::{About, Backend, Measure, Parts, Split, Steps, Ticket};
use crate::data::{Inputs, Samples, View};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::state::State;

/// How often a device is opened anew before a state is known that is later than the last one.
const TRIES: u32 = 3;
/// How long a driver has to recover before another try.
const PAUSE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };
/// Rows of steps that are kept to be taken again; before there are more, the state is read.
const MOST_ROWS: usize = if cfg!(test) { 60 } else { 1 << 22 };
/// As many per member are kept where these are more: an epoch or two of many members.
const MOST_ROWS_EACH: usize = if cfg!(test) { 1 } else { 1 << 17 };

/// Opens what trains, without data, all parameters 0.
pub type Open<P> = Box<dyn FnMut() -> Result<P> + Send>;

/// What trains, and what it takes to get another one to the same place.
pub struct Lasting<P> {
    inner: P,
    open: Open<P>,
    /// Is told that a device was lost, and what comes of it.
    tell: fn(&str),
    batch_size: usize,
    tries: u32,
    data: Parts<Uploaded>,
    /// Of each member: the last known state before the evaluation that was handed over last, or before now where none was.
    known: Vec<Option<State>>,
    /// Steps from there on to that evaluation.
    before: Vec<Call>,
    /// That evaluation.
    evaluation: Option<Asked>,
    /// Of each member: the last known state since then.
    since: Vec<Option<State>>,
    /// Steps from there on.
    after: Vec<Call>,
}

/// A part of a data set, and the rows of each member where it has its own.
struct Uploaded {
    samples: Arc<Samples>,
    lists: Option<Vec<Vec<u32>>>,
}

/// The steps that each member took in one call: rows, and a rate for each batch.
type Call = Vec<(Vec<u32>, Vec<f32>)>;

/// An evaluation that was handed over: of each member these parts, as far as they are still to be collected.
struct Asked {
    parts: Vec<Vec<Split>>,
    /// The ticket that it has here, and that of what trains now.
    tickets: (Ticket, Ticket),
}

impl<P: Pack> Lasting<P> {
    /// What `open` opens, for batches of `batch_size` rows. `tell` is told of devices that are lost.
    ///
    /// # Errors
    /// What `open` fails with.
    pub fn new(mut open: Open<P>, batch_size: usize, tell: fn(&str)) -> Result<Self> {
        let inner = open()?;
        let none = vec![None; inner.members()];
        Ok(Self {
            inner,
            open,
            tell,
            batch_size,
            tries: TRIES,
            data: Parts::default(),
            known: none.clone(),
            before: Vec::new(),
            evaluation: None,
            since: none,
            after: Vec::new(),
        })
    }

    /// What `work` does, on another device where the one there is lost.
    fn attempt<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            match work(self) {
                Err(error) if error.is_lost() => self.recover(error)?,
                found => return found,
            }
        }
    }

    /// Opens another device after one was lost, and gets it to the same place.
    fn recover(&mut self, mut error: Error) -> Result<()> {
        while self.tries > 0 {
            if self.tries < TRIES {
                std::thread::sleep(PAUSE);
            }
            self.tries -= 1;
            let number = TRIES - self.tries;
            (self.tell)(&format!(
                "{error}; it is opened anew and goes on from the last state known (try {number} of {TRIES})"
            ));
            match self.again() {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        // Without advice for what failed on the way: the caller saves the last epoch where it meets this kind of error.
        Err(match error {
            Error::Lost { .. } => error,
            error => Error::lost(format!("the device was lost, and cannot be opened anew: {error}")),
        })
    }

    fn again(&mut self) -> Result<()> {
        self.inner = (self.open)()?;
        for (split, Uploaded { samples, lists }) in self.data.each() {
            self.inner.upload(split, samples)?;
            if let Some(lists) = lists {
                self.inner.assign(split, lists)?;
            }
        }
        set(&mut self.inner, &self.known)?;
        take(&mut self.inner, &self.before, self.batch_size)?;
        if let Some(asked) = &mut self.evaluation {
            asked.tickets.1 = self.inner.evaluate(&asked.parts)?;
        }
        set(&mut self.inner, &self.since)?;
        take(&mut self.inner, &self.after, self.batch_size)
    }

    /// What trains now calls the last evaluation.
    fn inner_ticket(&self, ticket: Ticket) -> Result<Ticket> {
        match &self.evaluation {
            Some(Asked { tickets: (own, inner), .. }) if *own == ticket => Ok(*inner),
            _ => Err(Error::Data(format!("evaluation {} is over: another came after it", ticket.number))),
        }
    }

    /// The state of `member` is known as of now, or as of the last evaluation.
    fn know(&mut self, member: usize, state: &State, at: Option<Ticket>) {
        self.tries = TRIES;
        let (known, calls) = match (&self.evaluation, at) {
            (Some(_), None) => (&mut self.since, &mut self.after),
            _ => (&mut self.known, &mut self.before),
        };
        known[member] = Some(state.clone());
        forget(calls, member);
    }

    /// Reads all states as they are, or as they were at the last evaluation, so that they are known.
    fn know_all(&mut self, at: Option<Ticket>) -> Result<()> {
        Pack::states(self, at).map(drop)
    }
}

/// Whether `calls` have more rows than are to be kept.
fn is_long(calls: &[Call]) -> bool {
    let members = calls.first().map_or(0, Vec::len);
    calls.iter().flatten().map(|(rows, _)| rows.len()).sum::<usize>() > MOST_ROWS.max(members * MOST_ROWS_EACH)
}

/// Sets the states that are known.
fn set(pack: &mut impl Pack, states: &[Option<State>]) -> Result<()> {
    let mut known = states.iter().enumerate().filter_map(|(member, state)| Some((member, state.as_ref()?)));
    known.try_for_each(|(member, state)| pack.set_state(member, state))
}

/// Takes the steps of `calls`.
fn take(pack: &mut impl Pack, calls: &[Call], batch_size: usize) -> Result<()> {
    for call in calls {
        let most = call.iter().map(|(_, rates)| rates.len()).max().unwrap_or(0);
        let mut done = 0;
        while done < most {
            let rest = call.iter().map(|(order, rates)| Steps {
                order: &order[(done * batch_size).min(order.len())..],
                rates: &rates[done.min(rates.len())..],
            });
            let steps: Vec<Steps<'_>> = rest.collect();
            done += pack.train(&steps)?;
        }
    }
    Ok(())
}

/// Removes the steps of `member`, and calls that nobody has steps in.
fn forget(calls: &mut Vec<Call>, member: usize) {
    calls.iter_mut().for_each(|call| call[member] = (Vec::new(), Vec::new()));
    calls.retain(|call| call.iter().any(|(_, rates)| !rates.is_empty()));
}

impl<P: Pack> Pack for Lasting<P> {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn members(&self) -> usize {
        self.inner.members()
    }

    fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()> {
        self.attempt(|this| this.inner.upload(split, samples))?;
        self.data.set(split, Uploaded { samples: Arc::clone(samples), lists: None });
        Ok(())
    }

    fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()> {
        self.attempt(|this| this.inner.assign(split, rows))?;
        self.data.get_mut(split)?.lists = Some(rows.to_vec());
        Ok(())
    }

    fn train(&mut self, steps: &[Steps<'_>]) -> Result<usize> {
        if is_long(if self.evaluation.is_some() { &self.after } else { &self.before }) {
            self.know_all(None)?;
        }
        let taken = self.attempt(|this| this.inner.train(steps))?;
        let own = |steps: &Steps<'_>| {
            let steps = steps.take(taken, self.batch_size);
            (steps.order.to_vec(), steps.rates.to_vec())
        };
        let call = for_each_member(steps, own);
        let calls = if self.evaluation.is_some() { &mut self.after } else { &mut self.before };
        calls.push(call);
        Ok(taken)
    }

    fn wait(&mut self) -> Result<()> {
        self.attempt(|this| this.inner.wait())
    }

    fn evaluate(&mut self, splits: &[Vec<Split>]) -> Result<Ticket> {
        let inner = self.attempt(|this| this.inner.evaluate(splits))?;
        // Nobody asks for the evaluation before any more: what came after it came before this one.
        let number = self.evaluation.take().map_or(0, |asked| asked.tickets.0.number + 1);
        for (member, state) in self.since.iter_mut().enumerate() {
            if let Some(state) = state.take() {
                self.known[member] = Some(state);
                forget(&mut self.before, member);
            }
        }
        self.before.append(&mut self.after);
        let own = Ticket { number, ahead: inner.ahead };
        self.evaluation = Some(Asked { parts: splits.to_vec(), tickets: (own, inner) });
        // Nobody has to ask for a state between two evaluations.
        if is_long(&self.before) {
            self.know_all(Some(own))?;
        }
        Ok(own)
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Vec<Evaluation>>> {
        let found = self.attempt(|this| {
            let inner = this.inner_ticket(ticket)?;
            this.inner.collect(inner)
        })?;
        // It is not asked for again, but the state that it was of may be.
        if let Some(asked) = &mut self.evaluation {
            asked.parts.iter_mut().for_each(Vec::clear);
        }
        Ok(found)
    }

    fn predict(&mut self, member: usize, inputs: &Inputs) -> Result<Vec<f32>> {
        self.attempt(|this| this.inner.predict(member, inputs))
    }

    fn state(&mut self, member: usize, at: Option<Ticket>) -> Result<State> {
        let state = self.attempt(|this| {
            let at = at.map(|ticket| this.inner_ticket(ticket)).transpose()?;
            this.inner.state(member, at)
        })?;
        self.know(member, &state, at);
        Ok(state)
    }

    fn states(&mut self, at: Option<Ticket>) -> Result<Vec<State>> {
        let states = self.attempt(|this| {
            let at = at.map(|ticket| this.inner_ticket(ticket)).transpose()?;
            this.inner.states(at)
        })?;
        states.iter().enumerate().for_each(|(member, state)| self.know(member, state, at));
        Ok(states)
    }

    fn set_state(&mut self, member: usize, state: &State) -> Result<()> {
        self.attempt(|this| this.inner.set_state(member, state))?;
        self.know(member, state, None);
        Ok(())
    }
}

/// A backend as a pack of one.
pub struct Alone<B>(pub B, Parts<Arc<Samples>>);

impl<B: Backend> Alone<B> {
    /// `backend`, which has no data yet.
    pub fn new(backend: B) -> Self {
        Self(backend, Parts::default())
    }
}

/// The entry of the only member.
fn only<T: Clone + Default>(of: &[T]) -> T {
    of.first().cloned().unwrap_or_default()
}

impl<B: Backend> Pack for Alone<B> {
    fn about(&self) -> About {
        self.0.about()
    }

    fn members(&self) -> usize {
        1
    }

    fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()> {
        self.1.set(split, Arc::clone(samples));
        self.0.upload(split, samples)
    }

    fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()> {
        let samples = Arc::clone(self.1.get(split)?);
        self.0.upload_view(split, &View { samples, rows: Some(only(rows).into()) })
    }

    fn train(&mut self, steps: &[Steps<'_>]) -> Result<usize> {
        self.0.train(steps.first().copied().unwrap_or(Steps { order: &[], rates: &[] }))
    }

    fn wait(&mut self) -> Result<()> {
        self.0.wait()
    }

    fn evaluate(&mut self, splits: &[Vec<Split>]) -> Result<Ticket> {
        self.0.evaluate(&only(splits))
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Vec<Evaluation>>> {
        Ok(vec![self.0.collect(ticket)?])
    }

    fn predict(&mut self, _: usize, inputs: &Inputs) -> Result<Vec<f32>> {
        self.0.predict(inputs)
    }

    fn state(&mut self, _: usize, at: Option<Ticket>) -> Result<State> {
        self.0.state(at)
    }

    fn set_state(&mut self, _: usize, state: &State) -> Result<()> {
        self.0.set_state(state)
    }
}

impl<B: Backend> Backend for Lasting<Alone<B>> {
    fn about(&self) -> About {
        Pack::about(self)
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        self.attempt(|this| this.inner.0.upload_view(split, view))?;
        let (samples, lists) = (Arc::clone(&view.samples), view.rows.as_ref().map(|rows| vec![rows.to_vec()]));
        self.inner.1.set(split, Arc::clone(&samples));
        self.data.set(split, Uploaded { samples, lists });
        Ok(())
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        Pack::train(self, &[steps])
    }

    fn wait(&mut self) -> Result<()> {
        Pack::wait(self)
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        Pack::evaluate(self, &[splits.to_vec()])
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        Ok(Pack::collect(self, ticket)?.pop().unwrap_or_default())
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        Pack::predict(self, 0, inputs)
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        Pack::state(self, 0, at)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        Pack::set_state(self, 0, state)
    }

    fn measure(&mut self) -> Option<&mut dyn Measure> {
        self.inner.0.measure()
    }
}

#[cfg(test)]
mod tests;
