//! What fits a model, and what does not: checked in one place for all backends.

use crate::backend::Split;
use crate::backend::cpu::augment::Warper;
use crate::data::{Inputs, Samples, Targets, channels};
use crate::error::{Error, Result};
use crate::model::{Head, Mlp};
use crate::recipe::Recipe;

/// Whether `samples` fit `model`: width and labels.
pub(crate) fn check_samples(model: &Mlp, samples: &Samples) -> Result<()> {
    if samples.width != model.inputs() {
        return Err(Error::Data(format!(
            "the data has {} values per row, but the network takes {}",
            samples.width,
            model.inputs()
        )));
    }
    if u32::try_from(samples.len()).is_err() {
        return Err(Error::Data(format!("{} rows are more than a data set may have (2^32 - 1)", samples.len())));
    }
    let outputs = model.outputs();
    match (&samples.targets, model.head()) {
        (Targets::Classes(labels), Head::Classes) => match labels.iter().position(|&label| label as usize >= outputs) {
            Some(row) => {
                Err(Error::Data(format!("row {row} has class {}, but the network has {outputs} classes", labels[row])))
            }
            None => Ok(()),
        },
        (Targets::Values(values), Head::Values) if values.len() == samples.len() * outputs => Ok(()),
        (Targets::Values(values), Head::Values) => {
            let found = values.len() / samples.len().max(1);
            Err(Error::Data(format!("the data has {found} target values per row, but the network gives {outputs}")))
        }
        (Targets::Classes(_), Head::Values) => {
            Err(Error::Data("the targets are classes, but the network predicts values".into()))
        }
        (Targets::Values(_), Head::Classes) => {
            Err(Error::Data("the targets are numbers, but the network tells classes apart".into()))
        }
    }
}

/// How much each row of `samples`, which are `split`, weighs in the loss that `recipe` makes small: its own weight times that of its
/// class. None where all weigh the same, and where nothing is learnt from them.
///
/// # Errors
/// [`Error::Data`] where the weights are not those of these rows and classes.
pub(crate) fn row_weights(model: &Mlp, recipe: &Recipe, split: Split, samples: &Samples) -> Result<Option<Vec<f32>>> {
    if split != Split::Train {
        return Ok(None);
    }
    let own = samples.weights.as_ref().filter(|_| recipe.row_weights);
    if recipe.row_weights && own.is_none() {
        return Err(Error::Data("rows are to weigh differently, and have no weights".into()));
    }
    let of_class = &recipe.class_weight;
    if of_class.is_empty() {
        return Ok(own.cloned());
    }
    let Targets::Classes(labels) = &samples.targets else {
        return Err(Error::Data("weights of classes do not fit targets that are numbers".into()));
    };
    if of_class.len() != model.outputs() {
        let (weights, classes) = (of_class.len(), model.outputs());
        return Err(Error::Data(format!("{weights} weights of classes do not fit a network of {classes} classes")));
    }
    let weigh = |(row, &label): (usize, &u32)| of_class[label as usize] as f32 * own.map_or(1.0, |own| own[row]);
    Ok(Some(labels.iter().enumerate().map(weigh).collect()))
}

/// What the images in `samples` are augmented with, if they are the training part and `recipe` augments it.
///
/// # Errors
/// [`Error::Data`] where it does and rows are no images of known size.
pub(crate) fn warper(recipe: &Recipe, split: Split, samples: &Samples) -> Result<Option<Warper>> {
    if split != Split::Train || recipe.augment.is_none() {
        return Ok(None);
    }
    let image = samples.image.and_then(|size| Some((size, channels(size, samples.width)?)));
    let Some((size, channels)) = image else {
        let augment = recipe.augment;
        return Err(Error::Data(format!(
            "rows to augment ({augment}) must be images of known size, and these are not"
        )));
    };
    Ok(Some(Warper::new(recipe.augment, size).with_channels(channels)))
}

/// Number of rows in `inputs`, when they are rows of `model`'s width.
pub(crate) fn rows_of(model: &Mlp, inputs: &Inputs) -> Result<u32> {
    if !inputs.len().is_multiple_of(model.inputs()) {
        let (values, width) = (inputs.len(), model.inputs());
        return Err(Error::Data(format!("{values} input values do not make rows of {width}, as the network takes")));
    }
    u32::try_from(inputs.len() / model.inputs())
        .map_err(|_| Error::Data("more rows than fit one prediction (2^32 - 1): split them".into()))
}
