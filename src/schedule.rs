//! The learning rate.

use serde::{Deserialize, Serialize};

/// Step decay: before epoch `e` (from 0), where `e % lr_decay_every == 0`, the rate falls by `lr_decay`, but never below
/// `min_lr`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rate before the first subtraction, which comes before the first epoch.
    pub lr: f64,
    /// What is subtracted.
    pub lr_decay: f64,
    /// Epochs between two subtractions; at least 1.
    pub lr_decay_every: u32,
    /// The lowest rate; a rate that starts below stays as it is.
    pub min_lr: f64,
}

/// The notebook's: five epochs at 0.15, five at 0.10, then lower, but never below 0.01.
impl Default for Schedule {
    fn default() -> Self {
        Self { lr: 0.2, lr_decay: 0.05, lr_decay_every: 5, min_lr: 0.01 }
    }
}

impl Schedule {
    /// Always `rate`.
    pub fn constant(rate: f64) -> Self {
        Self { lr: rate, lr_decay: 0.0, lr_decay_every: 1, min_lr: 0.0 }
    }

    /// The rate of `epoch` (from 0): `lr - lr_decay (epoch / lr_decay_every + 1)`, not below the floor.
    ///
    /// One product in f64 rather than repeated subtraction: a resumed run needs no history.
    pub fn rate(&self, epoch: u32) -> f64 {
        self.unclamped(epoch).max(self.min_lr.min(self.lr))
    }

    /// Whether `epoch` (from 0) is the first that the floor holds up.
    pub fn reaches_floor(&self, epoch: u32) -> bool {
        let held = |epoch| self.unclamped(epoch) < self.min_lr.min(self.lr);
        held(epoch) && (epoch == 0 || !held(epoch - 1))
    }

    fn unclamped(&self, epoch: u32) -> f64 {
        self.lr - self.lr_decay * f64::from(epoch / self.lr_decay_every.max(1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notebook_runs_five_epochs_at_015_then_five_at_010() {
        let rates: Vec<f32> = (0..10).map(|epoch| Schedule::default().rate(epoch) as f32).collect();
        assert_eq!(rates, [0.15, 0.15, 0.15, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1]);
    }

    #[test]
    fn the_floor_holds_where_the_notebook_would_reach_zero_and_is_reported_once() {
        assert_eq!(Schedule::default().rate(14) as f32, 0.05);
        assert_eq!(Schedule::default().rate(15), 0.01);
        assert_eq!(Schedule::default().rate(1000), 0.01);
        assert_eq!((0..40).filter(|&epoch| Schedule::default().reaches_floor(epoch)).collect::<Vec<_>>(), [15]);
    }

    #[test]
    fn without_decay_the_rate_stays_even_below_the_floor() {
        let schedule = Schedule { lr: 0.001, lr_decay: 0.0, ..Schedule::default() };
        assert_eq!(schedule.rate(100), 0.001);
        assert!(!schedule.reaches_floor(0));
    }
}
