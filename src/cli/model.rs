//! Flags that say which model is read, and what its file does not say.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{flags_for, note};
use crate::checkpoint::{self, Assumption, Checkpoint, Ensemble, Normalize, Reading};
use crate::data::Task;
use crate::error::{Remedy, Result};
use crate::model::Activation;

/// A model, and what its file does not say.
#[derive(Debug, Args)]
pub(super) struct ModelOptions {
    /// A file of train --save or of export, or a safetensors file of other software
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Take one member of an ensemble alone: its number, from 0 on
    #[arg(long, value_name = "I")]
    member: Option<usize>,
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
    /// The models of the file.
    pub(super) fn read(&self, task: Option<Task>) -> Result<Ensemble> {
        let ensemble = Ensemble::load_as(&self.model, &self.reading.reading(self.activation, task))?;
        match self.member {
            Some(number) => ensemble.member(number),
            None => Ok(ensemble),
        }
    }

    /// The models of the file; what was assumed of them goes to standard error.
    pub(super) fn load(&self, task: Option<Task>) -> Result<Ensemble> {
        let ensemble = self.read(task)?;
        let assumed = ensemble.members().iter().flat_map(|member| &member.assumed);
        assumed.for_each(|assumption| note(&format!("Model: {}", told(assumption))));
        Ok(ensemble)
    }
}

impl ReadingOptions {
    /// The single model of `path`, whose outputs are of `task`.
    pub(super) fn load(&self, path: &Path, task: Task) -> Result<Checkpoint> {
        checkpoint::load_as(path, &self.reading(None, Some(task)))
    }

    fn reading(&self, activation: Option<Activation>, task: Option<Task>) -> Reading {
        let layers = self.layers.iter().map(|name| name.trim().to_owned()).collect();
        Reading { layers, activation, normalize: self.normalize, task }
    }

    /// The first flag that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [("--layers", !self.layers.is_empty()), ("--normalize", self.normalize.is_some())]
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

/// Says where classes are told by other names than the labels that files have.
pub(super) fn tell_names(model: &Checkpoint) {
    let (labels, names) = (model.classes(), model.class_names());
    if let (true, [first, .., last], [first_name, .., last_name]) = (labels != names, &labels[..], &names[..]) {
        note(&format!(
            "Classes are told by their names; in files, with --json and --output they are the labels {first} ({first_name}) to \
             {last} ({last_name})"
        ));
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
