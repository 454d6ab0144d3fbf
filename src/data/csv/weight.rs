//! Columns that are no features: what says how much each row weighs in training, and which rows belong together.

use std::path::Path;

use super::columns::Columns;
use super::frame::{Frame, Place};
use super::parse::NO_TEXT;
use crate::data::Options;
use crate::error::{Error, Remedy, Result};

/// The column that `options` name for it, if they name one.
///
/// # Errors
/// [`Error::Usage`] for a column that is not there, or that is used for something else.
pub(super) fn column(columns: &Columns, options: &Options) -> Result<Option<usize>> {
    let Some(name) = &options.weight else { return Ok(None) };
    let index = columns.find(std::slice::from_ref(name))?[0];
    let taken = |what: &str| Err(Error::Usage(format!("{} is the weight of rows and {what}", columns.name(index))));
    if index == columns.label {
        return taken("what is to be predicted: name another column for one of them");
    }
    for (given, what) in [(&options.ignore, "left out"), (&options.categories, "a column of categories")] {
        if columns.find(given)?.contains(&index) {
            return taken(&format!("{what}: say one of them"));
        }
    }
    Ok(Some(index))
}

/// Refuses to leave out what is to be predicted, or to take it as categories: that would do nothing.
///
/// # Errors
/// [`Error::Usage`] for such options, and for a column that is not there.
pub(super) fn refuse_target(columns: &Columns, options: &Options) -> Result<()> {
    let (left_out, taken) = ("leave it out", "take it as categories, which features are,");
    for (given, flag, what) in [(&options.ignore, "ignore", left_out), (&options.categories, "categories", taken)] {
        if columns.find(given)?.contains(&columns.label) {
            let name = columns.name(columns.label);
            let error = Error::Usage(format!("{name} is what is to be predicted: to {what} would do nothing"));
            return Err(error.advise(&[Remedy::Without(flag), Remedy::Option("label")]));
        }
    }
    Ok(())
}

/// Takes the weights of all rows out of `frame`, so that they are no feature.
///
/// # Errors
/// [`Error::File`] for a weight that is missing or negative, and where all are 0.
pub(super) fn take(path: &Path, frame: &mut Frame, columns: &Columns, index: usize) -> Result<Vec<f32>> {
    let weights = frame.take(index);
    let refused = |found: String| {
        Err(Error::file(path, found, "a number from 0 on for each row").advise(&[Remedy::Option("weight")]))
    };
    let bad = weights.iter().position(|weight| weight.is_nan() || *weight < 0.0);
    if let Some(row) = bad {
        let place: Place = frame.rows_places().nth(row).unwrap_or_default();
        let what = if weights[row].is_nan() { "no weight".to_owned() } else { format!("the weight {}", weights[row]) };
        return refused(format!("{what} in {}, {}", frame.places.name(place), columns.name(index)));
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return refused(format!("no weight but 0 in {}", columns.name(index)));
    }
    Ok(weights)
}

/// The column that `options` name for groups of rows, if they name one.
///
/// # Errors
/// [`Error::Usage`] for a column that is not there, or that is to be predicted.
pub(super) fn groups_column(columns: &Columns, options: &Options) -> Result<Option<usize>> {
    let Some(name) = &options.groups else { return Ok(None) };
    let index = columns.find(std::slice::from_ref(name))?[0];
    if index == columns.label {
        let name = columns.name(index);
        return Err(Error::Usage(format!("{name} is to be predicted and cannot say which rows belong together")));
    }
    Ok(Some(index))
}

/// Takes the group of each row out of `frame`, so that it is no feature.
///
/// # Errors
/// [`Error::File`] for a row without one.
pub(super) fn take_groups(path: &Path, frame: &mut Frame, columns: &Columns, index: usize) -> Result<Vec<u32>> {
    let groups = frame.take_codes(index);
    match groups.iter().position(|group| *group == NO_TEXT) {
        Some(row) => {
            let place: Place = frame.rows_places().nth(row).unwrap_or_default();
            let found = format!("no group in {}, {}", frame.places.name(place), columns.name(index));
            Err(Error::file(path, found, "one for each row").advise(&[Remedy::Option("groups")]))
        }
        None => Ok(groups),
    }
}
