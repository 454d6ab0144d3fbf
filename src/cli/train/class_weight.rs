//! `--class-weight`: how much the rows of each class weigh.

use std::path::Path;

use crate::data::{Dataset, classes};
use crate::error::{Error, Result};

/// The weight of each class of `dataset`. `balanced` gives every class the same weight in all: rows / (classes x rows of the
/// class), as in scikit-learn. Otherwise `text` names a CSV file with a line `class,weight` for each class.
///
/// # Errors
/// [`Error::Usage`] for targets that are no classes, [`Error::Io`] or [`Error::File`] for a file that does not give a weight to
/// each class.
pub(super) fn class_weights(text: &str, dataset: &Dataset) -> Result<Vec<f64>> {
    let classes = &dataset.classes;
    if classes.is_empty() {
        return Err(Error::Usage(format!("--class-weight: the targets of {} are numbers, not classes", dataset.name)));
    }
    if text == "balanced" {
        let mut counts = vec![0usize; classes.len()];
        dataset.train.labels().iter().for_each(|&label| counts[label as usize] += 1);
        let share = dataset.train.len() as f64 / classes.len() as f64;
        return Ok(counts.into_iter().map(|count| share / count.max(1) as f64).collect());
    }
    let path = Path::new(text);
    let expected = "a line `class,weight` for each class, with weights from 0 on";
    let bad = |found: String| Error::file(path, found, expected);
    let content = std::fs::read(path).map_err(Error::io("read", path))?;
    let mut weights: Vec<Option<f64>> = vec![None; classes.len()];
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(&content[..]);
    for (number, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| bad(format!("a line that cannot be read ({error})")))?;
        let (class, weight) = match (record.get(0), record.get(1), record.len()) {
            (Some(class), Some(weight), 2) => (class, weight),
            _ => return Err(bad(format!("{} cells in line {number}", record.len()))),
        };
        let parsed = weight.parse().ok().filter(|weight: &f64| weight.is_finite() && *weight >= 0.0);
        let of = |class: &str| classes.iter().position(|name| name == class);
        let place = of(class).or_else(|| of(&classes::name(class, class.parse().ok())));
        match (place, parsed) {
            (Some(place), Some(weight)) if weights[place].is_none() => weights[place] = Some(weight),
            (Some(_), Some(_)) => return Err(bad(format!("the class {class:?} again in line {number}"))),
            // A header.
            (None, None) if number == 1 => {}
            (None, _) => return Err(bad(format!("the class {class:?} in line {number}, which the data do not have"))),
            (Some(_), None) => return Err(bad(format!("the weight {weight:?} in line {number}"))),
        }
    }
    let missing = weights.iter().position(Option::is_none);
    match missing {
        Some(place) => Err(bad(format!("no weight of the class {:?}", classes[place]))),
        None => Ok(weights.into_iter().flatten().collect()),
    }
}
