//! The learning rate of each step.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the learning rate goes. Its numbers are those of the schedule `kind`; the others are left aside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// The shape.
    #[serde(rename = "schedule")]
    pub kind: ScheduleKind,
    /// The rate that the first step after the warm-up has; of `notebook` the rate before the first subtraction, which comes
    /// before the first epoch; of `one-cycle` and `coslog4` the highest rate.
    pub lr: f64,
    /// What `notebook` subtracts.
    pub lr_decay: f64,
    /// Epochs between two falls of `notebook` and `step`; at least 1.
    pub lr_decay_every: u32,
    /// The lowest rate of `notebook`, `cosine` and `linear`; 0.01 for `notebook` and 0 for the others where it is not said.
    pub min_lr: Option<f64>,
    /// The factor of `step` and, per epoch, of `exponential`; 0.1 and 0.95 where it is not said.
    pub gamma: Option<f64>,
    /// The first steps, in which the rate rises linearly; `one-cycle` and `coslog4` have a rise of their own.
    pub warmup: Warmup,
}

/// The shape of a schedule. Formulas and defaults are those of `torch.optim.lr_scheduler`, but for the first and the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The rate falls by lr-decay before the first epoch and every lr-decay-every epochs, never below min-lr
    #[default]
    Notebook,
    /// The same rate throughout
    Constant,
    /// The rate falls to gamma times itself every lr-decay-every epochs
    Step,
    /// The rate falls to gamma times itself every epoch
    Exponential,
    /// Half a cosine from lr to min-lr over all steps
    Cosine,
    /// A line from lr to min-lr over all steps
    Linear,
    /// Up from lr / 25 to lr in three tenths of the steps, then down to nearly 0 (Smith and Topin 2017)
    OneCycle,
    /// Four cycles of a cosine, each twice as long as the one before (Holzmüller et al. 2024, RealMLP)
    Coslog4,
}

impl ScheduleKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Notebook,
        Self::Constant,
        Self::Step,
        Self::Exponential,
        Self::Cosine,
        Self::Linear,
        Self::OneCycle,
        Self::Coslog4,
    ];

    /// Whether the rate of a step depends on how many epochs the run has.
    pub fn spans_the_run(self) -> bool {
        matches!(self, Self::Cosine | Self::Linear | Self::OneCycle | Self::Coslog4)
    }

    /// Its name in recipes, files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notebook => "notebook",
            Self::Constant => "constant",
            Self::Step => "step",
            Self::Exponential => "exponential",
            Self::Cosine => "cosine",
            Self::Linear => "linear",
            Self::OneCycle => "one-cycle",
            Self::Coslog4 => "coslog4",
        }
    }
}

/// How long the rate rises before the schedule begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Warmup {
    /// So many steps.
    Steps(u64),
    /// This share of all steps, from 0 on and below 1.
    Share(f64),
}

impl Default for Warmup {
    fn default() -> Self {
        Self::Steps(0)
    }
}

impl Warmup {
    fn steps(self, total: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps.min(total),
            Self::Share(share) => (share * total as f64).round() as u64,
        }
    }
}

/// A number of steps, or a share of them as `5%`.
impl FromStr for Warmup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => {
                let share = percent.parse().ok().map(|percent: f64| percent / 100.0);
                share.filter(|share| (0.0..1.0).contains(share)).map(Self::Share)
            }
            None => text.parse().ok().map(Self::Steps),
        };
        parsed.ok_or_else(|| "give a number of steps, such as 500, or a share of all, such as 5%".into())
    }
}

impl fmt::Display for Warmup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(out, "{steps}"),
            Self::Share(share) => write!(out, "{}%", 100.0 * share),
        }
    }
}

impl From<Warmup> for String {
    fn from(warmup: Warmup) -> Self {
        warmup.to_string()
    }
}

impl TryFrom<String> for Warmup {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The notebook's: five epochs at 0.15, five at 0.10, then lower, but never below 0.01.
impl Default for Schedule {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Notebook,
            lr: 0.2,
            lr_decay: 0.05,
            lr_decay_every: 5,
            min_lr: None,
            gamma: None,
            warmup: Warmup::default(),
        }
    }
}

/// How long a run is, which decides where a step lies in its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Steps per epoch; at least 1.
    pub steps_per_epoch: u64,
    /// Epochs.
    pub epochs: u32,
}

impl Schedule {
    /// Always `rate`.
    pub fn constant(rate: f64) -> Self {
        Self { kind: ScheduleKind::Constant, lr: rate, ..Self::default() }
    }

    /// The rate of step `step` (from 0) of a run of `length`.
    ///
    /// Each is computed from the step alone: a resumed run needs no history.
    pub fn rate(&self, step: u64, length: Length) -> f64 {
        let per_epoch = length.steps_per_epoch.max(1);
        let total = per_epoch * u64::from(length.epochs);
        let own_rise = matches!(self.kind, ScheduleKind::OneCycle | ScheduleKind::Coslog4);
        let warmup = if own_rise { 0 } else { self.warmup.steps(total) };
        if step < warmup {
            // The step after the warm-up would be the next of the line.
            return self.shape(0, per_epoch, total) * (step + 1) as f64 / (warmup + 1) as f64;
        }
        let (step, total) = match self.kind {
            // Its falls are told by epochs of the run.
            ScheduleKind::Notebook => (step, total),
            _ => (step - warmup, total - warmup),
        };
        self.shape(step, per_epoch, total)
    }

    /// The rate `step` steps after the warm-up, of `total`.
    fn shape(&self, step: u64, per_epoch: u64, total: u64) -> f64 {
        let epoch = u32::try_from(step / per_epoch).unwrap_or(u32::MAX);
        let every = self.lr_decay_every.max(1);
        let (t, end) = (step as f64, total.max(1) as f64);
        let floor = self.min_lr.unwrap_or(0.0);
        match self.kind {
            ScheduleKind::Notebook => self.unclamped(epoch).max(self.floor()),
            ScheduleKind::Constant => self.lr,
            ScheduleKind::Step => self.lr * self.gamma.unwrap_or(0.1).powf(f64::from(epoch / every)),
            ScheduleKind::Exponential => self.lr * self.gamma.unwrap_or(0.95).powf(f64::from(epoch)),
            ScheduleKind::Cosine => floor + (self.lr - floor) * (1.0 + (PI * t / end).cos()) / 2.0,
            ScheduleKind::Linear => floor + (self.lr - floor) * (1.0 - t / end),
            ScheduleKind::OneCycle => {
                let (start, last) = (self.lr / 25.0, self.lr / 25.0 / 1e4);
                let between = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + (PI * share).cos());
                let (top, bottom) = (0.3 * end - 1.0, end - 1.0);
                if t <= top {
                    between(start, self.lr, if top > 0.0 { t / top } else { 1.0 })
                } else {
                    between(self.lr, last, (t - top) / (bottom - top))
                }
            }
            ScheduleKind::Coslog4 => self.lr * (1.0 - (2.0 * PI * (1.0 + 15.0 * t / end).log2()).cos()) / 2.0,
        }
    }

    /// Whether `epoch` (from 0) is the first that the floor holds up.
    pub fn reaches_floor(&self, epoch: u32) -> bool {
        let held = |epoch| self.unclamped(epoch) < self.floor();
        self.kind == ScheduleKind::Notebook && held(epoch) && (epoch == 0 || !held(epoch - 1))
    }

    /// The floor of `notebook`; a rate that starts below it stays as it is.
    fn floor(&self) -> f64 {
        self.min_lr.unwrap_or(0.01).min(self.lr)
    }

    /// One product in f64 rather than repeated subtraction.
    fn unclamped(&self, epoch: u32) -> f64 {
        self.lr - self.lr_decay * f64::from(epoch / self.lr_decay_every.max(1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates of the first step of each epoch.
    fn by_epoch(schedule: Schedule, epochs: u32) -> Vec<f64> {
        let length = Length { steps_per_epoch: 3, epochs };
        (0..epochs).map(|epoch| schedule.rate(3 * u64::from(epoch), length)).collect()
    }

    fn of(kind: ScheduleKind) -> Schedule {
        Schedule { kind, lr: 0.4, ..Schedule::default() }
    }

    #[test]
    fn the_notebook_runs_five_epochs_at_015_then_five_at_010() {
        let rates: Vec<f32> = by_epoch(Schedule::default(), 10).into_iter().map(|rate| rate as f32).collect();
        assert_eq!(rates, [0.15, 0.15, 0.15, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1]);
    }

    #[test]
    fn the_floor_holds_where_the_notebook_would_reach_zero_and_is_reported_once() {
        let rates = by_epoch(Schedule::default(), 1001);
        assert_eq!((rates[14] as f32, rates[15], rates[1000]), (0.05, 0.01, 0.01));
        assert_eq!((0..40).filter(|&epoch| Schedule::default().reaches_floor(epoch)).collect::<Vec<_>>(), [15]);
    }

    #[test]
    fn without_decay_the_rate_stays_even_below_the_floor() {
        let schedule = Schedule { lr: 0.001, lr_decay: 0.0, ..Schedule::default() };
        assert_eq!(by_epoch(schedule, 101)[100], 0.001);
        assert!(!schedule.reaches_floor(0));
    }

    #[test]
    fn the_first_step_after_the_warmup_runs_at_the_rate_that_is_given() {
        let length = Length { steps_per_epoch: 10, epochs: 4 };
        for kind in ScheduleKind::ALL {
            for (warmup, steps) in [(Warmup::Steps(0), 0), (Warmup::Steps(7), 7), (Warmup::Share(0.25), 10)] {
                let schedule = Schedule { warmup, ..of(kind) };
                let rates: Vec<f64> = (0..40).map(|step| schedule.rate(step, length)).collect();
                if matches!(kind, ScheduleKind::OneCycle | ScheduleKind::Coslog4) {
                    let highest = rates.iter().copied().fold(0.0, f64::max);
                    assert!(highest <= 0.4 && highest > 0.39, "{kind:?}: {highest}");
                    continue;
                }
                let expected = if kind == ScheduleKind::Notebook { 0.35 } else { 0.4 };
                assert!((rates[steps] - expected).abs() < 1e-12, "{kind:?} {warmup}: {}", rates[steps]);
                assert!(rates[..steps].is_sorted() && rates[..steps].iter().all(|&rate| 0.0 < rate && rate < expected));
            }
        }
    }

    #[test]
    fn a_warmup_is_steps_or_a_share() {
        for (text, expected) in [("0", Warmup::Steps(0)), ("500", Warmup::Steps(500)), ("5%", Warmup::Share(0.05))] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        for text in ["", "-1", "100%", "x%", "1.5"] {
            assert!(text.parse::<Warmup>().is_err(), "{text}");
        }
    }
}
