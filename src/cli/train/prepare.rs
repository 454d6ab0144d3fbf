//! What a run does on the data at hand: a recipe that suits them, and the state that it starts from.

use std::borrow::Cow;
use std::path::Path;

use super::class_weight::class_weights;
use super::is_table;
use crate::checkpoint::Checkpoint;
use crate::cli::recipe::Given;
use crate::data::{Dataset, Task};
use crate::error::{Error, Remedy, Result};
use crate::memory;
use crate::model::{Embed, Front, Head, Mlp};
use crate::recipe::{Facts, Recipe};
use crate::state::State;

/// What of `dataset` decides a recipe's numbers.
pub(in crate::cli) fn facts(dataset: &Dataset) -> Facts {
    Facts {
        table: is_table(dataset),
        values: dataset.task() == Task::Values,
        rows: dataset.train.len(),
        validation: dataset.validation.is_some(),
        numbers: !dataset.numbers().is_empty(),
    }
}

/// Changes what nobody asked for, as `given` says, to what suits `dataset`. A run that starts from the model `initial` has its front.
pub(in crate::cli) fn suit(recipe: &mut Recipe, given: &Given, dataset: &Dataset, initial: Option<&Checkpoint>) {
    recipe.suit(&facts(dataset), |name| !given.contains_key(name));
    let Some(front) = initial.map(|initial| initial.model.front()) else { return };
    if !given.contains_key("embed") {
        recipe.embed = front.embed();
    }
    if !given.contains_key("trained_scale") {
        recipe.trained_scale = front.scaled;
    }
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
    check_front(&recipe, dataset)?;
    if recipe.stopping.early_stop.is_some() && dataset.validation.is_none() {
        return Err(Error::Usage(format!(
            "--early-stop takes a validation part, and {} has none: draw one, as with --validation-split 0.1, or leave it out",
            dataset.name
        )));
    }
    if !kept {
        check_of_classes(&recipe, dataset)?;
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

/// Refuses what is for classes where the targets are numbers.
fn check_of_classes(recipe: &Recipe, dataset: &Dataset) -> Result<()> {
    let options = [
        ("--label-smoothing", recipe.label_smoothing > 0.0),
        ("--target-accuracy", recipe.stopping.target_accuracy.is_some()),
    ];
    match options.into_iter().find(|(_, used)| *used && dataset.task() == Task::Values) {
        Some((flag, _)) => Err(Error::Usage(format!(
            "{flag} is for classes, and the targets of {} are numbers: leave it out (or give --task, where they were taken for \
             the wrong kind)",
            dataset.name
        ))),
        None => Ok(()),
    }
}

/// Refuses an embedding or a trained scale where there is nothing to embed or to scale.
fn check_front(recipe: &Recipe, dataset: &Dataset) -> Result<()> {
    let name = &dataset.name;
    let why = match (is_table(dataset), dataset.numbers().is_empty()) {
        (false, _) => format!("is for tables, and the rows of {name} are bytes or images"),
        (true, true) => format!("is for numbers, and no feature of {name} is one"),
        (true, false) => return Ok(()),
    };
    if recipe.embed != Embed::None {
        return Err(Error::Usage(format!("--embed {} {why}; leave it out", recipe.embed)));
    }
    match recipe.trained_scale && !is_table(dataset) {
        true => Err(Error::Usage(format!("--trained-scale {why}; leave it out"))),
        false => Ok(()),
    }
}

/// The model that a run starts from, as `task` takes it: one output may stand for two classes.
pub(in crate::cli) fn initial(checkpoint: &Checkpoint, task: Task) -> Cow<'_, Checkpoint> {
    match task {
        Task::Classes => checkpoint.with_two_classes().map_or(Cow::Borrowed(checkpoint), Cow::Owned),
        Task::Values => Cow::Borrowed(checkpoint),
    }
}

/// Refuses a network whose training takes more memory than there is.
///
/// # Errors
/// [`Error::Memory`] with what helps.
pub(in crate::cli) fn check_memory(model: &Mlp, recipe: &Recipe) -> Result<()> {
    // The state here, on the backend and as the last finite one, and the gradient.
    let values = 3 * (1 + recipe.optimizer.kind.slots()) + 1;
    let needed = |model: &Mlp| 4 * values as u64 * model.parameters() as u64;
    memory::check(needed(model), || format!("the training of a network of widths {:?}", model.widths())).map_err(
        |error| {
            let Error::Memory { left, .. } = error else { return error };
            error.advise(&[model.widest(|model| needed(model) <= left).map_or(Remedy::FewerInputs, Remedy::LayersOf)])
        },
    )
}

/// Where the training of `model` by `recipe` starts: from what it is told, or from the parameters of the file that is `initial`.
///
/// # Errors
/// [`Error::File`] for a model of other widths or with another front, and as [`check_memory`].
pub(in crate::cli) fn start(model: &Mlp, recipe: &Recipe, initial: Option<(&Path, &Checkpoint)>) -> Result<State> {
    check_memory(model, recipe)?;
    let parameters = match initial {
        None => model.initial_parameters(recipe.init, recipe.seed),
        Some((path, initial)) => {
            check_shape(model, path, initial)?;
            initial.state.parameters.clone()
        }
    };
    Ok(State::new(parameters, recipe.optimizer.kind))
}

/// Refuses an `initial` model of other widths than `model`, or with another front.
///
/// # Errors
/// [`Error::File`] naming both.
pub(in crate::cli) fn check_shape(model: &Mlp, path: &Path, initial: &Checkpoint) -> Result<()> {
    // How frequencies began does not matter.
    let front = |model: &Mlp| Front { deviation: 0.0, ..model.front().clone() };
    if initial.model.widths() == model.widths() {
        if front(&initial.model) == front(model) {
            return Ok(());
        }
        let expected = "those of this run (--embed, --trained-scale)";
        return Err(Error::file(path, "other embedded numbers, or another trained scale", expected));
    }
    let expected = format!("widths {:?} (the data's, and --hidden)", model.widths());
    Err(Error::file(path, format!("a network of widths {:?}", initial.model.widths()), expected))
}
