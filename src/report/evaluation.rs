//! What a report tells of a model beside its training: computed once from the model and the rows that it is judged by, and kept as
//! `evaluation.json`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::checkpoint::Ensemble;
use crate::data::{Part, Samples};
use crate::ensemble::{Evaluated, Running};
use crate::error::{Error, Result};
use crate::files;

pub use classes::{Class, Classes};
pub use first_layer::FirstLayer;
pub use importance::{Importance, Importances};
pub use machine::Machine;
pub use mistakes::{Mistake, Mistakes};
pub use values::{Histogram, Target};

mod classes;
mod columns;
mod first_layer;
mod importance;
mod machine;
mod mistakes;
mod values;

/// The seed of what is drawn: rows that are shown where they are many, and the permutations of columns.
pub const SEED: u64 = 0;
/// The name of the file in the folder of a run.
pub const FILE: &str = "evaluation.json";

/// What was found of a model on some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The version of mlp-gpu that made it.
    pub version: String,
    /// The model.
    pub model: Model,
    /// The part of the data set that the rows are of: `test`, `validation` or `training`.
    pub part: String,
    /// Number of rows.
    pub rows: u64,
    /// The mean loss per row, of values that of the standardised ones; none where it is not finite.
    pub loss: Option<f64>,
    /// Figures of predicted classes; none where values are predicted.
    pub classes: Option<Classes>,
    /// Figures of each predicted value; empty where classes are predicted.
    pub targets: Vec<Target>,
    /// The rows with the most confident mistakes, or the largest errors.
    pub mistakes: Mistakes,
    /// How much worse the model is without each column; none for images, and for very many columns.
    pub importance: Option<Importances>,
    /// The units of the first layer; of an ensemble those of its first member. None where it has no hidden layer.
    pub first_layer: Option<FirstLayer>,
    /// Where it was made.
    pub machine: Machine,
}

/// What a report says of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The data set that it learnt from; empty where its file does not say it.
    pub data: String,
    /// Rows that it learnt from; 0 where it is not known.
    pub training_rows: usize,
    /// Epochs that it was trained for; 0 where it is not known.
    pub epochs: u32,
    /// Widths of its layers; of an ensemble those of the first member.
    pub widths: Vec<usize>,
    /// Number of parameters, of all members together.
    pub parameters: usize,
    /// The activation between its layers.
    pub activation: String,
    /// Number of members; 1 for a single model.
    pub members: usize,
    /// Whether its inputs are images.
    pub images: bool,
    /// Every option of its recipe, by name; empty where its file does not say it.
    pub recipe: Map<String, Value>,
    /// The backend that it was trained on, and the plan of its steps.
    pub trained_on: Option<(String, String)>,
}

impl Evaluation {
    /// The evaluation of the ensemble that is `running`, on the rows of `part`, which `samples` holds as each of
    /// [`Ensemble::readers`] takes them. What is drawn is drawn by [`SEED`]. How important columns are takes most of the time, and
    /// can be left out.
    ///
    /// # Errors
    /// [`Error::Data`] for no rows or rows that do not fit the model, and what the device fails with.
    pub fn of(
        ensemble: &Ensemble,
        running: &mut Running<'_>,
        samples: &[Arc<Samples>],
        part: Part,
        importance: bool,
    ) -> Result<Self> {
        let first = samples.first().filter(|first| !first.is_empty());
        let Some(first) = first else {
            return Err(Error::Data(format!("{}: there are no rows to evaluate it on", ensemble.name())));
        };
        let evaluated = running.evaluate(samples, |_, _| Ok(()))?;
        let Evaluated { found, predicted } = &evaluated;
        let importance = if importance { importance::of(ensemble, running, samples)? } else { None };
        let model = ensemble.first();
        let (classes, targets) = match model.target_scale() {
            None => (Some(Classes::of(&model.class_names(), found, predicted, first.labels())), Vec::new()),
            Some(scale) => (None, values::targets(found, predicted, first.values(), scale)),
        };
        let about = running.about()?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            model: Model::of(ensemble),
            part: part.name().into(),
            rows: found.samples(),
            loss: Some(found.mean_loss()).filter(|loss| loss.is_finite()),
            classes,
            targets,
            mistakes: mistakes::of(model, first, predicted, importance.as_ref())?,
            importance,
            first_layer: FirstLayer::of(model)?,
            machine: Machine::of(&about),
        })
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for one that holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let unread = |found: String| Error::file(path, found, "an evaluation of mlp-gpu");
        let found: Self =
            serde_json::from_slice(&bytes).map_err(|error| unread(format!("what does not parse ({error})")))?;
        let are_named = |of: &Classes| of.confusion.len() == of.classes.len().pow(2);
        let have_columns = |of: &FirstLayer| of.weights.len() == of.columns.len() * of.units.len();
        match found.classes.as_ref().is_none_or(are_named) && found.first_layer.as_ref().is_none_or(have_columns) {
            true => Ok(found),
            false => Err(unread("matrices of other sizes than there are names".into())),
        }
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|error| Error::Data(format!("the evaluation: {error}")))?;
        files::write(path, format!("{text}\n").as_bytes())
    }
}

impl Model {
    fn of(ensemble: &Ensemble) -> Self {
        let first = ensemble.first();
        let metadata = first.metadata.as_ref().filter(|metadata| !metadata.data.is_empty());
        let recipe = metadata.and_then(|metadata| metadata.recipe.options().ok());
        Self {
            data: metadata.map_or_else(String::new, |metadata| metadata.data.clone()),
            training_rows: metadata.map_or(0, |metadata| metadata.training.rows),
            epochs: metadata.map_or(0, |metadata| metadata.epochs),
            widths: first.model.widths().to_vec(),
            parameters: ensemble.members().iter().map(|member| member.model.parameters()).sum(),
            activation: first.model.activation().name().into(),
            members: ensemble.len(),
            images: is_of_images(first),
            recipe: recipe.unwrap_or_default(),
            trained_on: metadata.and_then(|metadata| metadata.training.device.clone()),
        }
    }
}

/// Whether the inputs of `model` are images: its file says it, or says nothing and they may be.
fn is_of_images(model: &crate::checkpoint::Checkpoint) -> bool {
    match &model.metadata {
        Some(metadata) => metadata.image.is_some(),
        None => model.image().is_some(),
    }
}
