//! Whether the parameters are still numbers, within the epoch and without a part that is evaluated, and the last state in which they
//! were.

use std::time::Duration;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::state::State;

/// Epochs at the start behind each of which it looks: most runs that diverge do so soon.
const EARLY: u32 = 10;
/// A look at the state is worth one part in so many of the time.
const SHARE: u32 = 100;

/// Looks at the state from time to time.
pub(super) struct Finite<'a> {
    clock: &'a dyn Fn() -> Duration,
    /// When it last looked, and how long that took.
    looked: (Duration, Duration),
    /// Epochs behind which it looked.
    epochs: u32,
    /// The last epoch that left a finite state, of those that were looked at, and the state.
    good: Option<(u32, State)>,
}

impl<'a> Finite<'a> {
    pub(super) fn new(clock: &'a dyn Fn() -> Duration) -> Self {
        Self { clock, looked: (clock(), Duration::ZERO), epochs: 0, good: None }
    }

    /// Whether it is worth the time to look again.
    pub(super) fn is_due(&self) -> bool {
        let (at, took) = self.looked;
        (self.clock)() - at >= SHARE * took
    }

    /// Whether to look behind a whole epoch.
    pub(super) fn is_due_behind(&self) -> bool {
        self.epochs < EARLY || self.is_due()
    }

    /// Looks at the state in epoch `epoch`, from 1, or behind it where that is `whole`.
    ///
    /// # Errors
    /// [`Error::Diverged`] where it is not finite, and what `read` fails with.
    pub(super) fn look(
        &mut self,
        (epoch, whole): (u32, bool),
        learning_rate: f64,
        read: impl FnOnce() -> Result<State>,
    ) -> Result<()> {
        let start = (self.clock)();
        let state = read()?;
        if !state.is_finite() {
            return Err(Error::Diverged { epoch, learning_rate, loss: None, kept: None });
        }
        if whole {
            self.epochs += 1;
            self.good = Some((epoch, state));
        }
        let now = (self.clock)();
        self.looked = (now, now - start);
        Ok(())
    }

    /// `error` of a run; where that diverged, `backend` has the last finite state again, and where the device is lost, the error has it.
    pub(super) fn restore(self, backend: &mut dyn Backend, error: Error) -> Error {
        if let Error::Lost { why, .. } = error {
            return Error::Lost { why, kept: self.good.map(Box::new) };
        }
        let (Error::Diverged { epoch, learning_rate, loss, .. }, Some((last, state))) = (&error, &self.good) else {
            return error;
        };
        match backend.set_state(state) {
            Ok(()) => Error::Diverged { epoch: *epoch, learning_rate: *learning_rate, loss: *loss, kept: Some(*last) },
            Err(error) => error,
        }
    }
}
