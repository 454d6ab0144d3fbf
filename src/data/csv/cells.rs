//! From cells to features, and how messages name a cell.

use ::csv::ByteRecord;

use super::columns::{Columns, Layout};
use super::lines::Lines;
use crate::error::{Error, Result};

/// Cells that stand for a missing value. They do not make a first line a header.
const MISSING: [&str; 8] = ["", "?", "-", "na", "n/a", "nan", "null", "none"];
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
    pub(super) fn place(&self, record: &ByteRecord, index: usize, columns: &Columns) -> String {
        cell_in(&record[index], self.line(record), &columns.name(index))
    }

    /// The cell `text` in column `index` of the record that the reader found at byte `start`, and its place.
    pub(super) fn place_at(&self, start: u64, text: &str, index: usize, columns: &Columns) -> String {
        let line = self.numbers(&[start]).pop().unwrap_or(0);
        cell_in(text.as_bytes(), line, &columns.name(index))
    }
}

fn cell_in(cell: &[u8], line: u64, column: &str) -> String {
    format!("{} in line {line}, {column}", show(cell))
}

/// Whether a cell stands for a missing value.
pub(crate) fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.to_ascii_lowercase().as_str())
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
