//! What each row is predicted by the network that was trained without it, as a CSV file.

use std::path::Path;

use crate::checkpoint::{Ensemble, HeldBack};
use crate::cli::predict::most_probable;
use crate::data::folds::Fold;
use crate::data::{Dataset, Samples};
use crate::ensemble::Evaluated;
use crate::error::{Error, Result};
use crate::files;

/// The lines of the file, by their repeat and row.
pub(super) struct Predictions {
    repeats: u32,
    header: Vec<String>,
    lines: Vec<((u32, u32), Vec<String>)>,
}

impl Predictions {
    /// None yet, of so many `repeats`.
    pub(super) fn new(repeats: u32) -> Self {
        Self { repeats, header: Vec::new(), lines: Vec::new() }
    }

    /// Adds the rows of `fold`, the `samples` that were held back, of which its network `found` so much.
    pub(super) fn add(
        &mut self,
        held_back: HeldBack,
        fold: &Fold,
        ensemble: &Ensemble,
        found: &Evaluated,
        samples: &Samples,
    ) {
        let dataset = &fold.dataset;
        if self.header.is_empty() {
            self.header = self.header_of(dataset);
        }
        let outputs = dataset.outputs();
        // In the unit of the targets.
        let scale = ensemble.target_scale();
        let targets = scale.map(|scale| scale.undo_shortest(samples.values())).unwrap_or_default();
        let predicted = scale.map(|scale| scale.undo(&found.predicted)).unwrap_or_default();
        for (index, &row) in fold.rows.iter().enumerate() {
            let mut line = vec![(row + 1).to_string()];
            line.extend((self.repeats > 1).then(|| held_back.repeat.to_string()));
            line.push(held_back.fold.to_string());
            if scale.is_none() {
                let p = &found.predicted[index * outputs..][..outputs];
                line.push(dataset.classes[samples.labels()[index] as usize].clone());
                line.extend(most_probable(p, 1).into_iter().map(|class| dataset.classes[class].clone()));
                // The shortest text of a number is not that of 1e-30 without an exponent.
                line.extend(p.iter().map(|p| format!("{p:?}")));
            } else {
                let of = index * outputs..(index + 1) * outputs;
                let pairs = targets[of.clone()].iter().zip(&predicted[of]);
                line.extend(pairs.flat_map(|(target, predicted)| [target.to_string(), predicted.to_string()]));
            }
            self.lines.push(((held_back.repeat, row), line));
        }
    }

    /// The names of the columns.
    fn header_of(&self, dataset: &Dataset) -> Vec<String> {
        let mut header: Vec<String> = vec!["row".into()];
        header.extend((self.repeats > 1).then(|| "repeat".into()));
        header.push("fold".into());
        match &dataset.target_scale {
            None => {
                header.extend(["class", "predicted"].map(String::from));
                header.extend(dataset.classes.iter().map(|class| format!("p_{class}")));
            }
            Some(scale) => {
                header.extend(scale.names.iter().flat_map(|name| [name.clone(), format!("predicted_{name}")]));
            }
        }
        header
    }

    /// Writes the file, the rows in their order, repeat after repeat.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub(super) fn write(mut self, path: &Path) -> Result<()> {
        self.lines.sort_by_key(|(place, _)| *place);
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::Data(format!("out-of-fold predictions: {error}"));
        table.write_record(&self.header).map_err(failed)?;
        self.lines.iter().try_for_each(|(_, line)| table.write_record(line).map_err(failed))?;
        let bytes = table.into_inner().map_err(|error| Error::Data(format!("out-of-fold predictions: {error}")))?;
        files::write_table(path, &bytes)
    }
}
