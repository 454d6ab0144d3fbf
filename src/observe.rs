//! Observers: what sees a run and keeps something of it, and how a run is trained under the eyes of several.
//!
//! The lines on the terminal, the log, saved models and the files for TensorBoard and MLflow are all observers, and you can write
//! your own:
//!
//! ```
//! use std::ops::ControlFlow;
//! use mlp_gpu::observe::{Observer, RunInfo};
//! use mlp_gpu::train::{Event, Outcome, Snapshot};
//! use mlp_gpu::{Mlp, Recipe, Result, Trainer, data};
//!
//! /// Ends a run once the weights are large.
//! #[derive(Default)]
//! struct Norms(Vec<f64>);
//!
//! impl Observer for Norms {
//!     fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
//!         println!("{} parameters on {}", run.model.parameters(), run.data.name);
//!         Ok(())
//!     }
//!
//!     fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
//!         if let Event::Epoch(_, snapshot) = event {
//!             self.0.push(mlp_gpu::metrics::norm(&snapshot.state()?.parameters));
//!         }
//!         let large = self.0.last().is_some_and(|norm| *norm > 100.0);
//!         Ok(if large { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
//!     }
//!
//!     fn finish(&mut self, outcome: &Outcome, _: &mut Snapshot<'_>) -> Result<()> {
//!         println!("epoch {}: {:?}", outcome.epoch, self.0);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let (digits, _) = data::load("digits", &data::Options::default())?;
//! let recipe = Recipe { epochs: 2, ..Recipe::default() };
//! let mut norms = Norms::default();
//! Trainer::new(Mlp::new(&[784, 8, 10])?, &digits).recipe(recipe).observe(&mut norms).run()?;
//! assert_eq!(norms.0.len(), 2);
//! # Ok(())
//! # }
//! ```

use std::ops::ControlFlow;
use std::time::Duration;

use crate::backend::{About, Backend, Split};
use crate::data::{Dataset, TargetScale};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::train::{self, Begun, Epoch, Event, Outcome, Run, Snapshot};

pub mod log;
pub mod mlflow;
pub mod tensorboard;

/// What a run works on, as observers are told at its start.
#[derive(Clone, Copy)]
pub struct RunInfo<'a> {
    /// The network.
    pub model: &'a Mlp,
    /// The data set. Its parts were uploaded; the test and the validation part are evaluated after epochs.
    pub data: &'a Dataset,
    /// How the network is trained.
    pub recipe: &'a Recipe,
    /// The backend that trains it.
    pub device: &'a About,
    /// Epochs that it was trained for before.
    pub done: u32,
}

impl RunInfo<'_> {
    /// The parts that are evaluated beside the training part.
    pub fn evaluated(&self) -> Vec<Split> {
        let parts = [(Split::Test, &self.data.test), (Split::Validation, &self.data.validation)];
        parts.into_iter().filter_map(|(split, part)| part.is_some().then_some(split)).collect()
    }
}

/// Sees a run from its start to its end. What it fails with ends the run and is what the run fails with.
pub trait Observer {
    /// The run begins.
    ///
    /// # Errors
    /// Whatever keeps the observer from its work, such as a file that cannot be written.
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// Something happened. [`ControlFlow::Break`] stops the run soon after, perhaps in the middle of an epoch.
    ///
    /// # Errors
    /// As [`Observer::start`], and when the device fails that a snapshot is read from.
    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>>;

    /// The run ended by itself or was stopped, and `end` is the state that it ended with: that of the epoch which `outcome` names.
    /// A run that fails does not finish.
    ///
    /// # Errors
    /// As [`Observer::event`].
    fn finish(&mut self, outcome: &Outcome, end: &mut Snapshot<'_>) -> Result<()> {
        let _ = (outcome, end);
        Ok(())
    }
}

/// A function sees the events alone.
impl<F: FnMut(&mut Event<'_>) -> Result<ControlFlow<()>>> Observer for F {
    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        self(event)
    }
}

/// Trains as [`train::train`] does, from the backend's state on, and tells `observers` of it in their order; the data of `run` were
/// uploaded. All of them see each event, and the run stops where any of them says so. `clock` is the time since some moment.
///
/// # Errors
/// What training or the first observer fails with.
pub fn train(
    backend: &mut dyn Backend,
    run: &RunInfo<'_>,
    clock: &dyn Fn() -> Duration,
    observers: &mut [&mut dyn Observer],
) -> Result<Outcome> {
    train_from(backend, run, Begun::default(), clock, observers)
}

/// Goes on with a run as [`train()`] does, of which so much is `begun`.
///
/// # Errors
/// As [`train()`].
pub fn train_from(
    backend: &mut dyn Backend,
    run: &RunInfo<'_>,
    begun: Begun,
    clock: &dyn Fn() -> Duration,
    observers: &mut [&mut dyn Observer],
) -> Result<Outcome> {
    for observer in observers.iter_mut() {
        observer.start(run)?;
    }
    let evaluated = run.evaluated();
    let rows = run.data.train.len();
    let course = Run { recipe: run.recipe, rows, evaluated: &evaluated, done: run.done, clock };
    let outcome = train::train_from(backend, course, begun, |mut event| {
        let mut flow = ControlFlow::Continue(());
        for observer in observers.iter_mut() {
            if observer.event(&mut event)?.is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    })?;
    let mut read = || backend.state(None);
    for observer in observers.iter_mut() {
        observer.finish(&outcome, &mut Snapshot::new(&mut read))?;
    }
    Ok(outcome)
}

/// The names of the figures that are kept of a part, whose targets `scale` standardised if they are numbers.
fn names(scale: Option<&TargetScale>) -> &'static [&'static str] {
    if scale.is_some() { &["loss", "rmse", "mae", "r2"] } else { &["loss", "accuracy"] }
}

/// The figures that are kept of `part` by their names; errors are in the unit of the targets.
fn figures(part: &Evaluation, scale: Option<&TargetScale>) -> impl Iterator<Item = (&'static str, f64)> {
    let values = match scale {
        None => vec![part.mean_loss(), part.accuracy()],
        Some(scale) => {
            let found = part.in_units(scale);
            vec![part.mean_loss(), found.rmse(), found.mae(), found.r2()]
        }
    };
    names(scale).iter().copied().zip(values)
}

/// What is kept of an epoch for other software: the figures of each part, the learning rate and the speed.
fn scalars(epoch: &Epoch, scale: Option<&TargetScale>) -> Vec<(String, f64)> {
    let parts = [("train", &epoch.train), ("test", &epoch.test), ("validation", &epoch.validation)];
    let mut found = vec![
        ("learning_rate".to_owned(), epoch.learning_rate),
        ("rows_per_second".to_owned(), epoch.samples_per_second()),
    ];
    for (name, part) in parts {
        let figures = part.iter().flat_map(|part| figures(part, scale));
        found.extend(figures.map(|(figure, value)| (format!("{figure}/{name}"), value)));
    }
    found
}
