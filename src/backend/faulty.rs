//! A backend for tests that fails, or computes wrongly, from a certain call on.

use std::ops::DerefMut;

use super::{About, Backend, Split, Steps, Ticket};
use crate::data::{Inputs, View};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::state::State;

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Every call fails, as those of a device that was lost.
    Lost,
    /// States have one wrong parameter.
    Wrong,
    /// States have a parameter that is NaN.
    NotANumber,
}

/// `inner`, which from its call `after` on, from 0, has this fault.
pub(crate) struct Faulty<B> {
    pub(crate) inner: B,
    pub(crate) after: usize,
    pub(crate) fault: Fault,
    pub(crate) calls: usize,
}

impl<B: DerefMut<Target: Backend>> Faulty<B> {
    /// Counts a call.
    fn call(&mut self) -> Result<&mut B::Target> {
        self.calls += 1;
        match self.fault {
            Fault::Lost if self.calls > self.after => Err(Error::lost("the device was lost")),
            _ => Ok(&mut self.inner),
        }
    }
}

impl<B: DerefMut<Target: Backend> + Send> Backend for Faulty<B> {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        self.call()?.upload_view(split, view)
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        self.call()?.train(steps)
    }

    fn wait(&mut self) -> Result<()> {
        self.call()?.wait()
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        self.call()?.evaluate(splits)
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        self.call()?.collect(ticket)
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        self.call()?.predict(inputs)
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        let mut state = self.call()?.state(at)?;
        if self.calls > self.after {
            match self.fault {
                Fault::Lost => {}
                Fault::Wrong => state.parameters[0] += 1.0,
                Fault::NotANumber => state.parameters[0] = f32::NAN,
            }
        }
        Ok(state)
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.call()?.set_state(state)
    }
}
