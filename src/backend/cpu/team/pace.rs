//! How many members of a team work on the next steps.
//!
//! Two threads that meet several times a step are fast only while both have a core each. Where a core is shared with
//! another program, one member stands still for milliseconds and the others with it, and one thread alone is faster. Which
//! is so is found by timing: [`Measured`] compares two numbers of members, the `low` and the `high`. The `high` one works on
//! credit. It saves time against the `low` one's, step by step, or loses some, and the sum is its purse; when that is
//! empty, the `low` one goes on alone. Its work puts a few percent of its time into the purse again, so the `high` one
//! soon gets another trial, and how often it loses and how much is bounded by what there is in the purse. Failed trials
//! also follow each other after longer and longer pauses. While the `high` one works, the `low` one is timed for a few
//! steps now and then.
//!
//! With more than two threads the two numbers move: up where the `high` one keeps winning, down now and then to try.

use std::fmt;

/// Steps to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// How many members work on them.
    pub members: usize,
    /// How many they are.
    pub steps: usize,
    /// How many members shall be awake soon.
    pub call: usize,
}

/// A way to choose how many members work. No value that is computed depends on it.
#[derive(Debug)]
pub enum Pace {
    /// As what was measured suggests.
    Measured(Measured),
    /// Always that many.
    Fixed(usize),
    /// A number from 1 to `most` that changes after a few steps, drawn by `state`: for tests.
    Drawn {
        /// The most members that work.
        most: usize,
        /// The state of the generator, not 0.
        state: u64,
    },
}

impl Pace {
    /// The next steps, of `left`. `awake` says whether so many members are awake.
    pub fn next(&mut self, left: usize, awake: impl Fn(usize) -> bool) -> Chunk {
        match self {
            Pace::Measured(measured) => measured.next(left, awake),
            Pace::Fixed(members) => Chunk { members: *members, steps: left, call: 0 },
            Pace::Drawn { most, state } => {
                // Xorshift.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                let (members, steps) = (1 + (*state >> 8) as usize % *most, 1 + (*state >> 24) as usize % 3);
                Chunk { members, steps: steps.min(left), call: 0 }
            }
        }
    }

    /// Tells that the last chunk took `seconds`.
    pub fn took(&mut self, seconds: f64) {
        if let Pace::Measured(measured) = self {
            measured.took(seconds);
        }
    }
}

/// Seconds of the first chunk after a change, and of the longest: each is twice as long as the one before it.
const CHUNK: (f64, f64) = (50e-6, 500e-6);
/// Seconds that the members that were called have to wake up.
const CALL: f64 = 1e-3;
/// Microseconds of a step from which on those who are called are not waited for.
pub const LONG_US: u64 = 200;
/// The same in seconds.
const LONG: f64 = 1e-6 * LONG_US as f64;
/// Seconds in the purse at the start: enough to survive what any process has to wait for now and then.
const START: f64 = 3e-3;
/// The most seconds in the purse.
const MOST: f64 = 5e-3;
/// The most seconds that are missing in it: what takes longer is no sign of more to come.
const DEBT: f64 = 15e-3;
/// Seconds in the purse, at least, when a trial begins.
const STAKE: f64 = 100e-6;
/// The share of the time of the `low` number's work that goes into the purse.
const TITHE: f64 = 0.03;
/// Seconds between two trials: after the first that failed, and the most.
const PAUSE: (f64, f64) = (1e-3, 0.25);
/// Seconds between two soundings: the first, and the most.
const SOUNDING: (f64, f64) = (5e-3, 1.0);
/// Seconds between two looks at what fewer members do.
const DESCENT: (f64, f64) = (20e-3, 2.0);
/// Times as long as its cost a sounding is followed by no other.
const REST: f64 = 50.0;
/// Seconds after which a measured time counts less by a factor of e.
const MEMORY: f64 = 20e-3;

/// The time of a step, over the last while.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    seconds: f64,
    steps: f64,
}

impl Rate {
    fn step(self) -> Option<f64> {
        (self.steps > 0.0).then(|| self.seconds / self.steps)
    }

    fn add(&mut self, seconds: f64, steps: f64) {
        let keep = (-seconds / MEMORY).exp();
        self.seconds = self.seconds * keep + seconds;
        self.steps = self.steps * keep + steps;
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// The `high` number works.
    High,
    /// The `low` number works.
    Low,
    /// The `low` number works until the others are awake.
    Calling { since: f64 },
    /// The `low` number works for a few steps, so that they are timed: the first of them already, or not yet.
    Sounding { settled: bool },
}

/// What was measured, and what follows from it.
pub struct Measured {
    /// The most members that work.
    most: usize,
    low: usize,
    high: usize,
    state: State,
    /// Seconds of work so far.
    clock: f64,
    chunk: Chunk,
    /// Seconds that the next chunk should take.
    length: f64,
    /// Whether the members of the last chunk were others: their caches hold what they need after a step.
    changed: bool,
    low_rate: Rate,
    high_rate: Rate,
    /// Seconds that the `high` number may lose.
    purse: f64,
    /// Whether the purse was full since the trial began.
    won: bool,
    /// When the `high` number may be tried again, and how long after a trial that fails.
    trial: (f64, f64),
    /// When the `low` number is timed again, and how long after that.
    sounding: (f64, f64),
    /// When fewer members are tried, and how long after that.
    descent: (f64, f64),
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |rate: Rate| rate.step().map(|step| step * 1e6);
        write!(f, "{:.1} ms, {:?}, ", self.clock * 1e3, self.state)?;
        write!(f, "{}: {:.1?} us, {}: {:.1?} us, ", self.low, us(self.low_rate), self.high, us(self.high_rate))?;
        write!(f, "purse {:.3} ms", self.purse * 1e3)
    }
}

impl Measured {
    /// Nothing measured, of at most `most` members.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            low: (most / 2).max(1),
            high: most,
            state: State::High,
            clock: 0.0,
            chunk: Chunk { members: most, steps: 0, call: 0 },
            length: CHUNK.0,
            changed: true,
            low_rate: Rate::default(),
            high_rate: Rate::default(),
            purse: START,
            won: false,
            trial: (0.0, PAUSE.0),
            sounding: (0.0, SOUNDING.0),
            descent: (DESCENT.0, DESCENT.0),
        }
    }

    fn next(&mut self, left: usize, awake: impl Fn(usize) -> bool) -> Chunk {
        if self.most == 1 {
            return Chunk { members: 1, steps: left, call: 0 };
        }
        self.turn(awake);
        let (members, rate, length) = match self.state {
            State::High => (self.high, self.high_rate, self.length),
            State::Low => (self.low, self.low_rate, self.length),
            State::Calling { .. } | State::Sounding { settled: false } => (self.low, Rate::default(), 0.0),
            State::Sounding { settled: true } => {
                let known = self.low_rate.step().is_some();
                (self.low, if known { self.low_rate } else { self.high_rate }, CHUNK.0)
            }
        };
        let steps = rate.step().map_or(1, |step| ((length / step) as usize).clamp(1, left));
        let call = if let State::Calling { .. } = self.state { self.high } else { 0 };
        self.changed = members != self.chunk.members;
        self.chunk = Chunk { members, steps, call };
        self.chunk
    }

    /// Changes the state if it is time.
    fn turn(&mut self, awake: impl Fn(usize) -> bool) {
        let short = self.low_rate.step().is_some_and(|step| step < LONG);
        match self.state {
            State::High => {
                if self.clock >= self.sounding.0 && self.high_rate.steps >= 2.0 {
                    // Of long steps the first is as good as any other.
                    let settled = self.high_rate.step().is_some_and(|step| step > LONG);
                    self.state = State::Sounding { settled };
                } else if short && !awake(self.high) {
                    self.state = State::Calling { since: self.clock };
                }
            }
            State::Low => {
                let stake = self.stake();
                if self.low > 1 && self.clock >= self.descent.0 {
                    self.descent.1 = (2.0 * self.descent.1).min(DESCENT.1);
                    self.descent.0 = self.clock + self.descent.1;
                    (self.high, self.high_rate) = (self.low, self.low_rate);
                    (self.low, self.low_rate) = (self.low / 2, Rate::default());
                    self.sounding = (self.clock, SOUNDING.0);
                    self.state = State::High;
                    self.purse = stake;
                } else if self.clock >= self.trial.0 && self.purse >= stake {
                    self.length = CHUNK.0;
                    self.won = false;
                    // What the trial is compared with may have been an accident.
                    self.sounding = (self.sounding.0.min(self.clock + SOUNDING.0), SOUNDING.0);
                    self.state = if short { State::Calling { since: self.clock } } else { State::High };
                }
            }
            State::Calling { since } => {
                if awake(self.high) {
                    self.length = CHUNK.0;
                    self.state = State::High;
                } else if self.clock > since + CALL {
                    self.fail();
                }
            }
            State::Sounding { .. } => {}
        }
    }

    fn took(&mut self, seconds: f64) {
        self.clock += seconds;
        let steps = self.chunk.steps as f64;
        self.length = (2.0 * self.length).min(CHUNK.1);
        match self.state {
            State::High => {
                if let Some(low) = self.low_rate.step() {
                    self.purse = (self.purse + low * steps - seconds).min(MOST.max(4.0 * low));
                    if self.purse < 0.0 {
                        self.fail();
                    } else if self.purse >= MOST.max(4.0 * low) {
                        self.win();
                    }
                }
                if !self.changed {
                    self.high_rate.add(seconds, steps);
                }
            }
            State::Calling { .. } => {
                // A member that wakes may take the core of one that works.
                let low = self.low_rate.step().unwrap_or_default();
                self.purse -= (seconds - low * steps).max(0.0);
                self.low_rate.add(seconds, steps);
            }
            State::Low => {
                self.low_rate.add(seconds, steps);
                let stake = self.stake();
                if self.purse < stake {
                    self.purse = (self.purse + TITHE * seconds).min(stake);
                }
            }
            State::Sounding { settled: false } => self.state = State::Sounding { settled: true },
            State::Sounding { settled: true } => {
                let step = seconds / steps;
                // A short look sees the best; what is worse may be an accident.
                let known = self.low_rate.step().unwrap_or(step);
                let step = step.min(0.75 * known + 0.25 * step);
                self.low_rate = Rate { seconds: step * steps, steps };
                let high = self.high_rate.step().unwrap_or(step);
                if high > 1.1 * step {
                    self.purse = self.purse.min(self.stake());
                }
                let cost = 2.0 * (step - high).max(0.0) * steps;
                self.sounding.0 = self.clock + self.sounding.1.max(REST * cost);
                self.sounding.1 = (2.0 * self.sounding.1).min(SOUNDING.1);
                self.length = CHUNK.0;
                self.state = State::High;
            }
        }
    }

    /// Seconds that a trial begins with.
    fn stake(&self) -> f64 {
        self.low_rate.step().unwrap_or_default().max(STAKE)
    }

    /// The `high` number loses. If it won before, that is no more than bad luck at first, and it has another trial soon.
    fn fail(&mut self) {
        self.state = State::Low;
        self.purse = if self.won { self.stake() } else { self.purse.max(-DEBT) };
        self.trial = (self.clock + self.trial.1, (2.0 * self.trial.1).min(PAUSE.1));
    }

    /// The `high` number wins.
    fn win(&mut self) {
        self.won = true;
        self.trial.1 = PAUSE.0;
        if self.high < self.most {
            (self.low, self.low_rate) = (self.high, self.high_rate);
            (self.high, self.high_rate) = ((2 * self.high).min(self.most), Rate::default());
            self.sounding.1 = SOUNDING.0;
            self.purse = self.stake();
            self.trial.0 = self.clock;
            self.state = State::Low;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of `steps` steps of a machine, and the share of them that was not done by all `most` members. `step` gives
    /// the seconds of a step by its members and the time.
    fn run(pace: &mut Measured, steps: usize, mut step: impl FnMut(usize, f64) -> f64) -> (f64, f64) {
        let (mut clock, mut done, mut others) = (0.0, 0, 0);
        let mut called = 0;
        while done < steps {
            let chunk = pace.next(steps - done, |members| called >= members);
            called = chunk.call.max(called);
            let start = clock;
            (0..chunk.steps).for_each(|_| clock += step(chunk.members, clock));
            pace.took(clock - start);
            done += chunk.steps;
            others += if chunk.members < pace.most { chunk.steps } else { 0 };
        }
        (clock, others as f64 / steps as f64)
    }

    const US: f64 = 1e-6;

    fn quiet(members: usize, _: f64) -> f64 {
        [25.0 * US, 19.0 * US][members - 1]
    }

    /// Two threads stand still for 3 ms every 4 ms.
    fn stalls(members: usize, clock: f64) -> f64 {
        let stall = members == 2 && (clock / 4e-3).fract() + 19e-6 / 4e-3 > 1.0;
        quiet(members, clock) + if stall { 3e-3 } else { 0.0 }
    }

    #[test]
    fn on_a_quiet_machine_all_work() {
        let (seconds, alone) = run(&mut Measured::new(2), 20_000, quiet);
        assert!(seconds < 1.01 * 20_000.0 * 19.0 * US && alone < 0.01, "{seconds} {alone}");
        // Now and then something stops them.
        let mut count = 0;
        let stray = |members: usize, clock: f64| {
            count += 1;
            quiet(members, clock) + if count % 5000 == 0 { 2e-3 } else { 0.0 }
        };
        let (_, alone) = run(&mut Measured::new(2), 20_000, stray);
        assert!(alone < 0.02, "{alone}");
    }

    #[test]
    fn where_they_hinder_each_other_one_works() {
        let core = |members: usize, _: f64| [25.0 * US, 94.0 * US][members - 1];
        for slow in [&core as &dyn Fn(usize, f64) -> f64, &stalls] {
            let (seconds, alone) = run(&mut Measured::new(2), 40_000, slow);
            assert!(seconds < 1.05 * 40_000.0 * 25.0 * US && alone > 0.8, "{seconds} {alone}");
        }
    }

    #[test]
    fn it_follows_when_the_machine_changes() {
        let mut pace = Measured::new(2);
        for round in 0..3 {
            let (seconds, _) = run(&mut pace, 40_000, stalls);
            assert!(seconds < 1.06 * 40_000.0 * 25.0 * US, "{round}: {seconds}");
            let (seconds, _) = run(&mut pace, 40_000, quiet);
            assert!(seconds < 1.10 * 40_000.0 * 19.0 * US, "{round}: {seconds}");
        }
    }

    #[test]
    fn long_steps_are_seldom_tried_alone() {
        let wide = |members: usize, _: f64| [0.1, 0.055][members - 1];
        let (seconds, _) = run(&mut Measured::new(2), 200, wide);
        assert!(seconds < 1.02 * 200.0 * 0.055, "{seconds}");
    }

    #[test]
    fn of_many_members_the_best_number_works() {
        // Best with four.
        let narrow = |members: usize, _: f64| (10.0 + 40.0 / members as f64 + 3.0 * members as f64) * US;
        let (seconds, _) = run(&mut Measured::new(16), 100_000, narrow);
        assert!(seconds < 1.03 * 100_000.0 * narrow(4, 0.0), "{seconds} {}", seconds / narrow(4, 0.0));
        let wide = |members: usize, _: f64| 0.02 / members as f64;
        let (seconds, _) = run(&mut Measured::new(16), 5_000, wide);
        assert!(seconds < 1.05 * 5_000.0 * wide(16, 0.0), "{}", seconds / wide(16, 0.0));
    }
}
