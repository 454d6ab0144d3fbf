//! From cells to numbers: features, labels, and what to say of a cell that is neither.

use ::csv::ByteRecord;

use super::columns::{Columns, Layout};
use super::lines::Lines;
use crate::data::classes::Numbering;
use crate::error::{Error, Result};

/// The most values that are read: 4 GiB of them.
const MAX_VALUES: usize = 1 << 30;

impl Lines<'_> {
    /// Appends the features of `record` to `values`.
    ///
    /// # Errors
    /// [`Error::File`] for a line of another length, or a cell that is no finite number.
    pub(super) fn row(&self, record: &ByteRecord, layout: &Layout, values: &mut Vec<f32>) -> Result<()> {
        if record.len() != layout.columns.count {
            let found = format!("{} cells in line {}", record.len(), self.line(record));
            return Err(Error::file(self.path, found, format!("{}, as in the first line", layout.columns.count)));
        }
        for &index in &layout.features {
            values.push(number(&record[index]).ok_or_else(|| {
                let place = self.place(record, index, &layout.columns);
                Error::file(self.path, place, "a finite number (missing values must be filled in or left out)")
            })?);
        }
        if values.len() > MAX_VALUES {
            return Err(Error::file(self.path, "more than 4 GiB of values", "fewer rows"));
        }
        Ok(())
    }

    /// The class of the label in column `index`, numbered by `numbering`.
    ///
    /// # Errors
    /// [`Error::File`] for an empty cell, a number that is not whole, or a class that `numbering` does not take.
    pub(super) fn label(
        &self,
        record: &ByteRecord,
        index: usize,
        columns: &Columns,
        numbering: &mut Numbering,
    ) -> Result<u32> {
        let text = self.text(record, index, columns)?;
        let bad = |expected: String| Error::file(self.path, self.place(record, index, columns), expected);
        let value: Option<f64> = text.parse().ok();
        match value {
            _ if text.is_empty() => Err(bad("a label".into())),
            Some(value) if !value.is_finite() => Err(bad("a label".into())),
            Some(value) if value.fract() != 0.0 => {
                Err(bad("a label, text or a whole number: is --label the right column?".into()))
            }
            // As NumPy and pandas write whole numbers among others: 1.0, 1.000000000000000000e+00.
            Some(value) if text.contains(['.', 'e', 'E']) => {
                numbering.number(&format!("{:.0}", value + 0.0)).map_err(bad)
            }
            _ => numbering.number(text).map_err(bad),
        }
    }

    /// The text of a cell.
    ///
    /// # Errors
    /// [`Error::File`] where it is not UTF-8.
    pub(super) fn text<'c>(&self, record: &'c ByteRecord, index: usize, columns: &Columns) -> Result<&'c str> {
        std::str::from_utf8(&record[index]).map_err(|_| {
            let found = format!("bytes that are not UTF-8 in line {}, {}", self.line(record), columns.name(index));
            Error::file(self.path, found, "UTF-8 text: save it as such")
        })
    }

    /// A cell and its place, for a message.
    fn place(&self, record: &ByteRecord, index: usize, columns: &Columns) -> String {
        format!("{} in line {}, {}", show(&record[index]), self.line(record), columns.name(index))
    }
}

/// The finite number that a cell holds.
fn number(cell: &[u8]) -> Option<f32> {
    std::str::from_utf8(cell).ok()?.parse().ok().filter(|value: &f32| value.is_finite())
}

/// A cell as a message shows it: on one line, and not too long.
fn show(cell: &[u8]) -> String {
    if cell.is_empty() {
        return "an empty cell".into();
    }
    let text = String::from_utf8_lossy(cell);
    let short: String = text.chars().take(40).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{rest}")
}
