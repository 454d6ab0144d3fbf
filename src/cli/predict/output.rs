//! The CSV file of predictions.

use std::path::PathBuf;

use clap::Args;

use crate::checkpoint::Ensemble;
use crate::cli::note;
use crate::data::TargetScale;
use crate::error::{Error, Result};
use crate::files;

use super::inputs::Input;
use super::{Predicted, Rows, most_probable};

#[derive(Debug, Args)]
pub(super) struct FileOptions {
    /// Write the predictions to this file, a row for each row, in place of standard output (of which --json stays): CSV of the
    /// class and the probability of each, or the values in their own unit, of an ensemble with their spread between its members.
    /// Images have their paths in the column `input`
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Columns of the input to copy into --output before the predictions, as they stand: names, or numbers from 1 on
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "output", allow_hyphen_values = true)]
    pub(super) keep: Vec<String>,
    /// Number the rows of --output from 1 on, in a first column `row`
    #[arg(long, requires = "output")]
    row_numbers: bool,
    /// Whether --output has the probability of each class, in a column p_CLASS [default: true, unless --column-names names
    /// all columns but these]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", requires = "output")]
    probabilities: Option<bool>,
    /// Names of the columns of --output, in their order, such as ImageId,Label
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "output")]
    column_names: Vec<String>,
}

/// Predictions on their way into a file.
pub(super) struct Output<'a> {
    options: &'a FileOptions,
    ensemble: &'a Ensemble,
    /// Whether there is a column of the inputs' names.
    inputs: bool,
    probabilities: bool,
    /// Whether there is a column of the spread of each value.
    spread: bool,
    /// The names of the columns, once the first row's are known.
    named: bool,
    rows: usize,
    table: csv::Writer<Vec<u8>>,
}

impl<'a> Output<'a> {
    /// Predictions of `inputs` by `ensemble`.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that do not fit them.
    pub(super) fn new(options: &'a FileOptions, ensemble: &'a Ensemble, inputs: &[Input]) -> Result<Self> {
        let image = inputs.iter().find(|input| input.image);
        if let (Some(image), false) = (image, options.keep.is_empty()) {
            let path = image.path.display();
            return Err(Error::Usage(format!("--keep is for the columns of CSV files, and {path} is an image")));
        }
        let scale = ensemble.target_scale();
        if let (Some(_), Some(_)) = (scale, options.probabilities) {
            let name = ensemble.name();
            return Err(Error::Usage(format!("--probabilities is for models of classes, and {name} predicts values")));
        }
        let before = usize::from(options.row_numbers) + usize::from(image.is_some()) + options.keep.len();
        let outputs = ensemble.first().model.outputs();
        let least = before + scale.map_or(1, |_| outputs);
        let classes = if scale.is_some() { 0 } else { outputs };
        let given = options.column_names.len();
        let probabilities = options.probabilities.unwrap_or(scale.is_none() && given != least);
        let spread = scale.is_some() && ensemble.len() > 1 && given != least;
        let count = if probabilities || spread { least + outputs } else { least };
        if given != 0 && given != count {
            let less = match (probabilities, spread) {
                (true, _) => format!(", or {least} with --probabilities false"),
                (_, true) => format!(", or {least} without the spreads"),
                _ => String::new(),
            };
            return Err(Error::Usage(format!(
                "--column-names: {given} names for {count} columns{less}; --row-numbers and --keep add columns before them"
            )));
        }
        if classes > 0 && !probabilities && options.probabilities.is_none() {
            note("--output has no probabilities, as --column-names names none");
        }
        let table = csv::Writer::from_writer(Vec::new());
        Ok(Self { options, ensemble, inputs: image.is_some(), probabilities, spread, named: false, rows: 0, table })
    }

    /// The columns of the input that go before the predictions.
    pub(super) fn keep(&self) -> &'a [String] {
        &self.options.keep
    }

    /// Adds what is `predicted` for `rows`.
    ///
    /// # Errors
    /// [`Error::Usage`] for two columns of the same name.
    pub(super) fn add(&mut self, rows: &Rows, predicted: &Predicted) -> Result<()> {
        if !self.named {
            self.name(rows)?;
            self.named = true;
        }
        let classes = self.ensemble.first().classes();
        let outputs = self.ensemble.first().model.outputs();
        for index in 0..rows.names.len() {
            self.rows += 1;
            let mut cells = Vec::new();
            cells.extend(self.options.row_numbers.then(|| self.rows.to_string()));
            cells.extend(self.inputs.then(|| rows.names[index].clone()));
            cells.extend(rows.kept.iter().flat_map(|kept| kept.rows[index].iter().cloned()));
            let row = index * outputs..(index + 1) * outputs;
            match predicted {
                Predicted::Values { values, spread } => {
                    cells.extend(values[row.clone()].iter().map(f64::to_string));
                    let spread = spread.as_ref().filter(|_| self.spread);
                    cells.extend(spread.iter().flat_map(|spread| spread[row.clone()].iter().map(f64::to_string)));
                }
                Predicted::Classes(p) => {
                    let p = &p[row];
                    cells.extend(most_probable(p, 1).into_iter().map(|class| classes[class].clone()));
                    if self.probabilities {
                        // As few digits as tell it apart, and an exponent where it is next to 0.
                        cells.extend(p.iter().map(|p| format!("{p:?}")));
                    }
                }
            }
            self.table.write_record(&cells).map_err(|error| self.failed(error.into()))?;
        }
        Ok(())
    }

    /// Writes the first line.
    fn name(&mut self, rows: &Rows) -> Result<()> {
        let mut names = self.options.column_names.clone();
        if names.is_empty() {
            names.extend(self.options.row_numbers.then(|| "row".into()));
            names.extend(self.inputs.then(|| "input".into()));
            names.extend(rows.kept.iter().flat_map(|kept| kept.names.iter().cloned()));
            match self.ensemble.target_scale() {
                Some(TargetScale { names: targets, .. }) => {
                    names.extend(targets.iter().cloned());
                    let spreads = targets.iter().filter(|_| self.spread);
                    names.extend(spreads.map(|target| format!("spread_{target}")));
                }
                None => names.push("class".into()),
            }
            if self.probabilities {
                names.extend(self.ensemble.first().classes().iter().map(|class| format!("p_{class}")));
            }
        }
        if let Some((_, twice)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            return Err(Error::Usage(format!(
                "--output would have two columns {twice:?}: name all with --column-names"
            )));
        }
        self.table.write_record(&names).map_err(|error| self.failed(error.into()))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// As [`files::write`].
    pub(super) fn write(self) -> Result<()> {
        let Some(path) = &self.options.output else { return Ok(()) };
        let rows = self.rows;
        let bytes = self.table.into_inner().map_err(|error| Error::io("write", path)(error.into_error()))?;
        files::write_table(path, &bytes)?;
        note(&format!("{}: predictions of {rows} rows", path.display()));
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io("write", self.options.output.as_deref().unwrap_or("--output".as_ref()))(error)
    }
}
