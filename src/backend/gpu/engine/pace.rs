//! How many steps a submission has: by the time that earlier ones took.

use std::time::Duration;

/// How long the device should work on a submission: long beside what handing it over costs, and short beside a desktop's watchdog
/// (2 s) and an interruption's patience.
const TARGET: Duration = Duration::from_millis(25);

/// The time since some moment.
pub type Clock = Box<dyn Fn() -> Duration + Send>;

/// What is known of the time that steps take.
pub(super) struct Pace {
    clock: Clock,
    /// When the last submission was found done.
    last: Duration,
    /// Seconds per step, where steps were timed.
    step: Option<f64>,
}

impl Pace {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: Duration::ZERO, step: None }
    }

    /// The time now.
    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// The most steps of the next submission; none before any was timed.
    pub(super) fn most(&self) -> Option<usize> {
        self.step.map(|step| (TARGET.as_secs_f64() / step.max(1e-9)).clamp(1.0, 1e9) as usize)
    }

    /// That a submission of `steps` steps, handed over at `handed`, was found done; none of an evaluation.
    pub(super) fn done(&mut self, steps: usize, handed: Duration) {
        let now = self.now();
        // It waits for the one before.
        let began = handed.max(self.last);
        self.last = now;
        if steps > 0 {
            let step = now.saturating_sub(began).as_secs_f64() / steps as f64;
            // One that was disturbed counts half.
            self.step = Some(self.step.map_or(step, |before| 0.5 * (before + step)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_submission_has_the_steps_of_a_fortieth_of_a_second() {
        let time = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&time);
        let mut pace = Pace::new(Box::new(move || Duration::from_millis(clock.load(Ordering::Relaxed))));
        assert_eq!(pace.most(), None);
        // 50 steps in 100 ms, 2 ms each; what waits for them is not counted twice.
        time.store(100, Ordering::Relaxed);
        pace.done(50, Duration::ZERO);
        assert_eq!(pace.most(), Some(12));
        time.store(200, Ordering::Relaxed);
        pace.done(50, Duration::from_millis(10));
        assert_eq!(pace.most(), Some(12));
        // An evaluation takes its time, and says nothing of steps.
        time.store(900, Ordering::Relaxed);
        pace.done(0, Duration::from_millis(200));
        time.store(901, Ordering::Relaxed);
        pace.done(1, Duration::from_millis(300));
        assert_eq!(pace.most(), Some(16));
        // A step that takes long is a submission of its own.
        time.store(9_901, Ordering::Relaxed);
        pace.done(1, Duration::from_millis(901));
        assert_eq!(pace.most(), Some(1));
    }
}
