//! The columns of a CSV file, and which of them holds the labels.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dialect::{Header, is_header};
use crate::data::classes;
use crate::error::{Error, Result};

/// Names of a label column, the preferred one first, for files where none is named.
const LABELS: [&str; 4] = ["label", "class", "target", "y"];

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The number of columns, the label's included.
    pub count: usize,
    /// The index of the label column, from 0.
    pub label: usize,
    /// The names of the columns, where the file has a header.
    pub names: Option<Vec<String>>,
}

impl Columns {
    /// The name or the number (from 1) of column `index`, for messages.
    pub(super) fn name(&self, index: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(index)) {
            Some(name) => format!("column {} ({name:?})", index + 1),
            None => format!("column {}", index + 1),
        }
    }

    /// The name of a predicted number: that of the label column, or its number (from 1).
    pub(super) fn output(&self) -> String {
        let name = self.names.as_ref().and_then(|names| names.get(self.label)).filter(|name| !name.is_empty());
        name.cloned().unwrap_or_else(|| format!("column {}", self.label + 1))
    }

    /// A note on the columns, of which one holds the `targets`.
    pub(super) fn note(&self, targets: &str) -> String {
        let header = if self.names.is_some() { "a header" } else { "no header" };
        format!("{header}, {} features, {targets} in {}", self.count - 1, self.name(self.label))
    }
}

/// The note for a table with labels: whether there is a header, the number of features, and the label column.
impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.note("labels"))
    }
}

/// The meaning of the cells of a line.
pub(super) struct Layout {
    pub(super) columns: Columns,
    /// The cell of each feature.
    pub(super) features: Vec<usize>,
    /// The cell of the label.
    pub(super) label: Option<usize>,
    /// Names of other columns, which a first file does not have.
    pub(super) extra: Vec<String>,
}

impl Layout {
    /// The layout of a file to learn from, by its first line and the label column that the user named.
    ///
    /// # Errors
    /// [`Error::File`] for a single column or equal names, [`Error::Usage`] where the label column is not found.
    pub(super) fn new(path: &Path, first: Vec<String>, header: Header, label: Option<&str>) -> Result<Self> {
        let count = first.len();
        if count < 2 {
            let expected = "features and a label, with commas, semicolons or tabs between them";
            return Err(Error::file(path, "a single column", expected));
        }
        let by_number = label.and_then(|label| numbered(label, count));
        let by_name = match label {
            Some(label) => first.iter().position(|cell| cell == label),
            None => label_by_habit(&first),
        };
        let names = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => (by_number.is_none() && by_name.is_some()) || is_header(&first, by_number),
        };
        let Some(label) = by_name.filter(|_| names).or(by_number) else {
            let what = match label {
                Some(label) if header == Header::No => format!("{label:?} is no column's number"),
                Some(label) => format!("there is no column {label:?}"),
                None => {
                    format!("no column is called {}: say with --label which one holds the labels", LABELS.join(", "))
                }
            };
            let columns = classes::list(&first);
            return Err(Error::Usage(format!(
                "{}: {what}; the {count} columns of its first line: {columns}",
                path.display()
            )));
        };
        let names = if names { Some(first) } else { None };
        check_names(path, names.as_deref().unwrap_or_default())?;
        let features = (0..count).filter(|&index| index != label).collect();
        Ok(Self { columns: Columns { count, label, names }, features, label: Some(label), extra: Vec::new() })
    }
}

/// The column whose name is one of [`LABELS`].
pub(super) fn label_by_habit(names: &[String]) -> Option<usize> {
    LABELS.iter().find_map(|label| names.iter().position(|name| name.eq_ignore_ascii_case(label)))
}

/// The column that `text` names by number: from 1 (the first), from -1 (the last, counting down), or `last`.
pub(super) fn numbered(text: &str, count: usize) -> Option<usize> {
    if text == "last" {
        return count.checked_sub(1);
    }
    match text.parse::<isize>().ok()? {
        0 => None,
        number if number > 0 => Some(number as usize - 1).filter(|&index| index < count),
        number => count.checked_sub(number.unsigned_abs()),
    }
}

/// Refuses two columns of the same name.
pub(super) fn check_names(path: &Path, names: &[String]) -> Result<()> {
    match names.iter().enumerate().find(|(index, name)| !name.is_empty() && names[..*index].contains(name)) {
        Some((_, name)) => Err(Error::file(path, format!("two columns named {name:?}"), "a name for each")),
        None => Ok(()),
    }
}
