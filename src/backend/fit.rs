//! What fits a model, and what does not: checked in one place for all backends.

use crate::data::{Inputs, Samples, Targets};
use crate::error::{Error, Result};
use crate::model::Mlp;

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
    let Targets::Classes(labels) = &samples.targets else {
        return Err(Error::Data("the targets are numbers, but this backend trains on classes only".into()));
    };
    match labels.iter().position(|&label| label as usize >= model.classes()) {
        Some(row) => Err(Error::Data(format!(
            "row {row} has class {}, but the network has {} classes",
            labels[row],
            model.classes()
        ))),
        None => Ok(()),
    }
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
