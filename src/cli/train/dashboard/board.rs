//! What the screen shows of a run: where it is, and the figures of its epochs.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::backend::Split;
use crate::cli::shown;
use crate::data::TargetScale;
use crate::metrics::Evaluation;
use crate::observe::RunInfo;
use crate::train::{Epoch, Event};

/// The parts in the order of the screen.
pub(super) const PARTS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// What is known of a run.
#[derive(Default)]
pub(super) struct Board {
    /// The network, the device, the data.
    pub(super) title: String,
    pub(super) epochs: u32,
    /// Epochs before the run, and rows of each.
    pub(super) done: u32,
    pub(super) rows: usize,
    /// Whether there is a file for the key to save.
    pub(super) saves: bool,
    /// The classes by name; none for values.
    pub(super) classes: Vec<String>,
    pub(super) scale: Option<TargetScale>,
    pub(super) began: Option<Instant>,
    /// The epoch that is under way, from 1, and its rows that were handed over.
    pub(super) epoch: u32,
    pub(super) handed: usize,
    pub(super) evaluating: bool,
    /// Those that were told.
    pub(super) told: Vec<Point>,
    /// The evaluation that the confusion matrix is of, and its part.
    pub(super) latest: Option<(Split, Evaluation)>,
    pub(super) best: Option<(f64, Point)>,
}

/// What came of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) epoch: u32,
    pub(super) rate: f64,
    pub(super) rows_per_second: f64,
    /// Of [`PARTS`], those that were evaluated.
    pub(super) figures: [Option<Figures>; 3],
}

/// The figures of a part; of values in the unit of the targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) loss: f64,
    /// The accuracy of classes, the RMSE of values.
    pub(super) score: f64,
    /// The MAE and R2 of values.
    pub(super) more: Option<(f64, f64)>,
}

impl Figures {
    fn of(part: &Evaluation, scale: Option<&TargetScale>) -> Self {
        let loss = part.mean_loss();
        match scale {
            None => Self { loss, score: part.accuracy(), more: None },
            Some(scale) => {
                let found = part.in_units(scale);
                Self { loss, score: found.rmse(), more: Some((found.mae(), found.r2())) }
            }
        }
    }
}

impl Board {
    /// Of `run`, which begins; whether it can be saved on request, as `saves` says.
    pub(super) fn new(run: &RunInfo<'_>, saves: bool) -> Self {
        let widths: Vec<String> = run.model.widths().iter().map(ToString::to_string).collect();
        // Of a path the end says most.
        let data = Path::new(&run.data.name).file_name().map_or_else(|| "".into(), |name| name.to_string_lossy());
        let title = format!("{}   {}, {}   {data}", widths.join("-"), run.device.name, run.device.device);
        Self {
            title: shown(&title, &[]).into_owned(),
            epochs: run.recipe.epochs,
            done: run.done,
            rows: run.data.train.len(),
            saves,
            classes: run.data.classes.iter().map(|name| shown(name, &[]).into_owned()).collect(),
            scale: run.data.target_scale.clone(),
            began: Some(Instant::now()),
            epoch: run.done + 1,
            ..Self::default()
        }
    }

    /// Takes in what happened.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Progress { epoch, done, .. } => {
                (self.epoch, self.handed, self.evaluating) = (*epoch, *done, false);
            }
            Event::Evaluating { epoch } => (self.epoch, self.handed, self.evaluating) = (*epoch, self.rows, true),
            Event::Epoch(epoch, _) => self.epoch(epoch),
            Event::RateFloor { .. } | Event::Between(_) => {}
        }
    }

    pub(super) fn epoch(&mut self, epoch: &Epoch) {
        if self.epoch == epoch.number && epoch.number < self.epochs {
            (self.epoch, self.handed) = (epoch.number + 1, 0);
        }
        self.evaluating = false;
        let part = |split: Split| match split {
            Split::Train => epoch.train.as_ref(),
            Split::Validation => epoch.validation.as_ref(),
            Split::Test => epoch.test.as_ref(),
        };
        let point = Point {
            epoch: epoch.number,
            rate: epoch.learning_rate,
            rows_per_second: epoch.samples_per_second(),
            figures: PARTS.map(|split| part(split).map(|found| Figures::of(found, self.scale.as_ref()))),
        };
        if let Some(score) = epoch.score().filter(|score| score.is_finite())
            && self.best.as_ref().is_none_or(|(best, _)| score > *best)
        {
            self.best = Some((score, point.clone()));
        }
        // What training does not see says most.
        let shown = [Split::Test, Split::Validation, Split::Train];
        if let Some((split, found)) = shown.into_iter().find_map(|split| Some((split, part(split)?))) {
            self.latest = Some((split, found.clone()));
        }
        self.told.push(point);
    }

    /// The share of the run that is done.
    pub(super) fn share(&self) -> f64 {
        let all = self.rows as f64 * f64::from(self.epochs.saturating_sub(self.done));
        let before = f64::from(self.epoch.saturating_sub(self.done + 1)) * self.rows as f64;
        if all > 0.0 { ((before + self.handed as f64) / all).min(1.0) } else { 0.0 }
    }

    /// How long the run has lasted.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// How long it goes on, if it goes on as it did.
    pub(super) fn left(&self) -> Option<Duration> {
        let share = self.share();
        let left = self.elapsed().as_secs_f64() * (1.0 - share) / share;
        Duration::try_from_secs_f64(left).ok()
    }

    /// Rows per second, evaluation counted in.
    pub(super) fn speed(&self) -> f64 {
        let all = self.rows as f64 * f64::from(self.epochs.saturating_sub(self.done));
        self.share() * all / self.elapsed().as_secs_f64().max(1e-3)
    }

    /// The best epoch.
    pub(super) fn best(&self) -> Option<&Point> {
        self.best.as_ref().map(|(_, point)| point)
    }

    /// The name of the score.
    pub(super) fn score_name(&self) -> &'static str {
        if self.scale.is_some() { "RMSE" } else { "Accuracy" }
    }
}
