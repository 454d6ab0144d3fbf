//! What a run does on the data at hand: a recipe that suits them, and the state that it starts from.

use std::path::Path;

use super::class_weight::class_weights;
use super::is_table;
use crate::checkpoint::Checkpoint;
use crate::cli::recipe::Given;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::model::{Head, Mlp};
use crate::recipe::{Facts, Recipe};
use crate::state::State;

/// Changes what nobody asked for, as `given` says, to what suits `dataset`.
pub(in crate::cli) fn suit(recipe: &mut Recipe, given: &Given, dataset: &Dataset) {
    let facts = Facts {
        table: is_table(dataset),
        values: dataset.task() == Task::Values,
        rows: dataset.train.len(),
        validation: dataset.validation.is_some(),
    };
    recipe.suit(&facts, |name| !given.contains_key(name));
}

/// `recipe` with what the rows of `dataset` decide; `class_weight` is what the flag says, and a recipe that is `kept` from an
/// earlier run must have the same weights.
///
/// # Errors
/// [`Error::Usage`] where recipe and data do not fit.
pub(in crate::cli) fn fit(
    mut recipe: Recipe,
    dataset: &Dataset,
    class_weight: Option<&str>,
    kept: bool,
) -> Result<Recipe> {
    if (dataset.task() == Task::Values) != (recipe.loss.head() == Head::Values) {
        let (loss, task) = (recipe.loss.name(), dataset.task().name());
        return Err(Error::Usage(format!(
            "--loss {loss} is not for {task}, as the targets of {} are: give {} (or --task, where they were taken for the \
             wrong kind)",
            dataset.name,
            if task == "values" { "mse, mae or huber" } else { "cross-entropy" }
        )));
    }
    if !recipe.augment.is_none() && dataset.image().is_none() {
        let message = format!(
            "--augment {} is for images, and the rows of {} are no images of known size; leave it out",
            recipe.augment, dataset.name
        );
        return Err(Error::Usage(message));
    }
    if let Some(text) = class_weight {
        let weights = class_weights(text, dataset)?;
        if kept && weights != recipe.class_weight {
            let message = "--class-weight contradicts the model, which was trained with other weights: leave it out";
            return Err(Error::Usage(message.into()));
        }
        recipe.class_weight = weights;
    }
    recipe.row_weights = dataset.train.weights.is_some();
    recipe.batch_size = recipe.batch_size.min(dataset.train.len());
    Ok(recipe)
}

/// The model that a run starts from, as `task` takes it: one output may stand for two classes.
pub(in crate::cli) fn initial(checkpoint: Checkpoint, task: Task) -> Checkpoint {
    match checkpoint.with_two_classes() {
        Some(two) if task == Task::Classes => two,
        _ => checkpoint,
    }
}

/// Where the training of `model` by `recipe` starts: from what it is told, or from the parameters of the file that is `initial`.
///
/// # Errors
/// [`Error::File`] for a model of other widths.
pub(in crate::cli) fn start(model: &Mlp, recipe: &Recipe, initial: Option<(&Path, &Checkpoint)>) -> Result<State> {
    let parameters = match initial {
        None => model.initial_parameters(recipe.init, recipe.seed),
        Some((path, initial)) => {
            check_widths(model, path, initial)?;
            initial.state.parameters.clone()
        }
    };
    Ok(State::new(parameters, recipe.optimizer.kind))
}

/// Refuses an `initial` model of other widths than `model`.
///
/// # Errors
/// [`Error::File`] naming both.
pub(in crate::cli) fn check_widths(model: &Mlp, path: &Path, initial: &Checkpoint) -> Result<()> {
    if initial.model.widths() == model.widths() {
        return Ok(());
    }
    let expected = format!("widths {:?} (the data's, and --hidden)", model.widths());
    Err(Error::file(path, format!("a network of widths {:?}", initial.model.widths()), expected))
}
