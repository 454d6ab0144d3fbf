//! Flags that say which model is read, and what its file does not say.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{flags_for, note};
use crate::checkpoint::{self, Assumption, Checkpoint, Normalize, Reading};
use crate::data::Task;
use crate::error::{Remedy, Result};
use crate::model::Activation;

/// A model, and what its file does not say.
#[derive(Debug, Args)]
pub(super) struct ModelOptions {
    /// A file of train --save or of export, or a safetensors file of other software
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Activation between the layers of a model of other software [default: relu]
    #[arg(long, value_enum, value_name = "NAME")]
    activation: Option<Activation>,
}

/// What files of other software do not say.
#[derive(Debug, Args)]
pub(super) struct ReadingOptions {
    /// Layers of a model of other software in their order: names of linear layers, and of batch norms at their places; the
    /// word activation stands before a batch norm that is behind it [default: what shapes and names say]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    layers: Vec<String>,
    /// Mean and standard deviation by which a model of other software has its inputs normalised, such as 0.1307,0.3081
    #[arg(long, value_name = "MEAN,STD", value_parser = parse_normalize, allow_hyphen_values = true)]
    normalize: Option<Normalize>,
}

/// What the outputs of a model of other software are, where no data say it.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Whether a model of other software tells classes apart or predicts values [default: classes]
    #[arg(long, value_enum)]
    pub(super) task: Option<Task>,
}

impl ModelOptions {
    /// The model.
    pub(super) fn read(&self, task: Option<Task>) -> Result<Checkpoint> {
        self.reading.load(&self.model, self.activation, task)
    }

    /// The model; what was assumed of it goes to standard error.
    pub(super) fn load(&self, task: Option<Task>) -> Result<Checkpoint> {
        let checkpoint = self.read(task)?;
        checkpoint.assumed.iter().for_each(|assumption| note(&format!("Model: {}", told(assumption))));
        Ok(checkpoint)
    }
}

impl ReadingOptions {
    /// The model of `path`, whose outputs are of `task`.
    pub(super) fn load(&self, path: &Path, activation: Option<Activation>, task: Option<Task>) -> Result<Checkpoint> {
        let Self { layers, normalize } = self;
        let layers = layers.iter().map(|name| name.trim().to_owned()).collect();
        checkpoint::load_as(path, &Reading { layers, activation, normalize: *normalize, task })
    }

    /// The first flag that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [("--layers", !self.layers.is_empty()), ("--normalize", self.normalize.is_some())]
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

/// An assumption with the flag that says otherwise.
pub(super) fn told(Assumption { what, remedy }: &Assumption) -> String {
    match remedy {
        Some(remedy) => format!("{what} ({})", flags_for(remedy)),
        None => what.clone(),
    }
}

/// Those of `assumed` that matter where a run has an activation and targets of its own.
pub(super) fn of_parameters(assumed: &[Assumption]) -> impl Iterator<Item = &Assumption> {
    assumed.iter().filter(|assumption| assumption.remedy != Some(Remedy::Activation))
}

fn parse_normalize(text: &str) -> Result<Normalize, String> {
    let number = |text: &str| text.trim().parse().ok().filter(|value: &f64| value.is_finite());
    let both = text.split_once(',').and_then(|(mean, deviation)| Some((number(mean)?, number(deviation)?)));
    match both {
        Some((mean, deviation)) if deviation.is_normal() => Ok(Normalize { mean, deviation }),
        _ => Err("give mean and standard deviation with a comma between them, such as 0.1307,0.3081".into()),
    }
}
