//! The short way: a model, a data set and a recipe become a trained model.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use crate::backend::Backend;
use crate::backend::select::Request;
use crate::checkpoint::{Checkpoint, Metadata};
use crate::data::{Dataset, Inputs};
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::observe::{self, Observer, RunInfo};
use crate::recipe::{Loss, Recipe};
use crate::state::State;
use crate::train::{Epoch, Event, Outcome, Snapshot};

/// Trains a model on a data set.
///
/// The rows of the data set are taken as they are: [`crate::data::load`] scales them.
pub struct Trainer<'a> {
    model: Mlp,
    data: &'a Dataset,
    recipe: Recipe,
    request: Request,
    observers: Vec<Box<dyn Observer + 'a>>,
}

/// A model that was trained, on the backend that trained it.
pub struct Trained {
    /// What [`Trained::save`] writes.
    pub checkpoint: Checkpoint,
    /// What each epoch did.
    pub epochs: Vec<Epoch>,
    backend: Box<dyn Backend>,
}

impl<'a> Trainer<'a> {
    /// Trains `model` on `data` by the recipe that is the default, on a GPU if there is one.
    pub fn new(model: Mlp, data: &'a Dataset) -> Self {
        Self { model, data, recipe: Recipe::default(), request: Request::default(), observers: Vec::new() }
    }

    /// Trains by `recipe`; its hidden layers, activation, loss and front are left to the model.
    pub fn recipe(self, recipe: Recipe) -> Self {
        Self { recipe, ..self }
    }

    /// Trains on what `request` asks for.
    pub fn on(self, request: Request) -> Self {
        Self { request, ..self }
    }

    /// Tells `on_epoch` what each epoch did; training ends when it breaks.
    pub fn each_epoch(self, mut on_epoch: impl FnMut(&Epoch) -> ControlFlow<()> + 'a) -> Self {
        self.with(Box::new(move |event: &mut Event<'_>| match event {
            Event::Epoch(epoch, _) => Ok(on_epoch(epoch)),
            _ => Ok(ControlFlow::Continue(())),
        }))
    }

    /// Shows the run to `observer`, beside those that were given before.
    pub fn observe(self, observer: &'a mut dyn Observer) -> Self {
        self.with(Box::new(Lent(observer)))
    }

    fn with(mut self, observer: Box<dyn Observer + 'a>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Trains.
    ///
    /// # Errors
    /// [`Error::Data`] for inputs that are not finite or do not fit the model, [`Error::Diverged`] when the loss is no longer a
    /// number, and what the backend fails with.
    pub fn run(self) -> Result<Trained> {
        let Self { model, data, recipe, request, mut observers } = self;
        let rows = data.train.len();
        let recipe = Recipe {
            hidden: model.hidden().to_vec(),
            activation: model.activation(),
            loss: if model.head() == recipe.loss.head() { recipe.loss } else { Loss::Mse },
            embed: model.front().embed(),
            trained_scale: model.front().scaled,
            row_weights: data.train.weights.is_some(),
            batch_size: recipe.batch_size.min(rows.max(1)),
            ..recipe
        };
        let (mut backend, _) = request.select()?.backend(&model, &recipe)?;
        for (split, part) in data.parts() {
            if let Inputs::F32(values) = &part.inputs
                && let Some(at) = values.iter().position(|value| !value.is_finite())
            {
                let (row, column, value) = (at / part.width, at % part.width, values[at]);
                let name = split.name();
                return Err(Error::Data(format!(
                    "the {name} part has {value} in row {row}, column {column}: a number is expected"
                )));
            }
            backend.upload(split, part)?;
        }
        let parameters = model.initial_parameters(recipe.init, recipe.seed);
        backend.set_state(&State::new(parameters, recipe.optimizer.kind))?;
        let start = Instant::now();
        let clock = || start.elapsed();
        let mut epochs = Vec::new();
        let mut collect = |event: &mut Event<'_>| {
            if let Event::Epoch(epoch, _) = event {
                epochs.push(Epoch::clone(epoch));
            }
            Ok(ControlFlow::Continue(()))
        };
        let about = backend.about();
        let run = RunInfo { model: &model, data, recipe: &recipe, device: &about, done: 0 };
        let mut all: Vec<&mut dyn Observer> = vec![&mut collect];
        all.extend(observers.iter_mut().map(|observer| &mut **observer as &mut dyn Observer));
        let outcome = observe::train(backend.as_mut(), &run, &clock, &mut all)?;
        let mut metadata = Metadata { epochs: outcome.epoch, ..Metadata::new(&model, data, &recipe) };
        metadata.training.device = Some((about.name.into(), about.plan.into()));
        let state = backend.state(None)?;
        let checkpoint =
            Checkpoint { name: data.name.clone(), model, state, metadata: Some(metadata), assumed: Vec::new() };
        Ok(Trained { checkpoint, epochs, backend })
    }
}

/// An observer that the caller keeps.
struct Lent<'a>(&'a mut dyn Observer);

impl Observer for Lent<'_> {
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        self.0.start(run)
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        self.0.event(event)
    }

    fn finish(&mut self, outcome: &Outcome, end: &mut Snapshot<'_>) -> Result<()> {
        self.0.finish(outcome, end)
    }
}

impl Trained {
    /// Outputs for rows that are as those of the data set: probabilities of the classes, `n x classes`, row-major.
    ///
    /// # Errors
    /// When the rows do not fit the model, or the device fails.
    pub fn predict(&mut self, rows: &Inputs) -> Result<Vec<f32>> {
        self.backend.predict(rows)
    }

    /// Writes the model, with what it takes to use it and to go on training it.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let Checkpoint { model, state, metadata, .. } = &self.checkpoint;
        crate::checkpoint::save(path, model, state, metadata.as_ref())
    }
}
