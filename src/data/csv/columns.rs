//! The columns of a CSV file, and which of them holds the labels.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dialect::{Dialect, Header};
use crate::data::{Note, classes};
use crate::error::{Error, Remedy, Result};

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
    pub(in crate::data) fn name(&self, index: usize) -> String {
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

    /// The name of column `index` alone, or its number (from 1) where it has none.
    pub(crate) fn short_name(&self, index: usize) -> String {
        let name = self.names.as_ref().and_then(|names| names.get(index)).filter(|name| !name.is_empty());
        name.cloned().unwrap_or_else(|| (index + 1).to_string())
    }

    /// The columns that `given` names, by name or by number (from 1).
    ///
    /// # Errors
    /// [`Error::Usage`] for a column that is not there.
    pub(super) fn find(&self, given: &[String]) -> Result<Vec<usize>> {
        let find = |text: &String| {
            let by_name = self.names.as_ref().and_then(|names| named(names, text));
            by_name.or_else(|| numbered(text, self.count)).ok_or_else(|| {
                let columns =
                    self.names.as_ref().map_or_else(String::new, |names| format!(": {}", classes::list(names)));
                Error::Usage(format!("there is no column {text:?} among the {} of the file{columns}", self.count))
            })
        };
        given.iter().map(find).collect()
    }

    /// A note on the columns, of which one holds the `targets`.
    pub(super) fn note(&self, targets: &str) -> String {
        let header = if self.names.is_some() { "a header" } else { "no header" };
        format!("{header}, {} columns, {targets} in {}", self.count, self.name(self.label))
    }
}

/// The note for a table with labels: whether there is a header, the number of features, and the label column.
impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.note("labels"))
    }
}

/// Where a file has the columns that are to be read.
pub(super) struct Layout {
    /// The columns of the file.
    pub(super) columns: Columns,
    /// Where the file has each column of the training file, if it has it; the label's is not among them.
    pub(super) places: Vec<Option<usize>>,
    /// The column of the labels, if there is one.
    pub(super) label: Option<usize>,
    /// Columns that training did not have.
    pub(super) extra: Vec<String>,
}

impl Layout {
    /// The layout of a file to learn from, by its first lines and the label column that the user named.
    ///
    /// # Errors
    /// [`Error::File`] for a single column, [`Error::Usage`] where the label column is not found.
    pub(super) fn new(
        path: &Path,
        dialect: &Dialect,
        header: Header,
        label: Option<&str>,
        notes: &mut Vec<Note>,
    ) -> Result<Self> {
        let mut first = dialect.records.first().cloned().unwrap_or_default();
        let by_name = match label {
            Some(label) => named(&first, label),
            None => label_by_habit(&first),
        };
        let number = |more| label.and_then(|label| numbered(label, dialect.count() + more));
        let mut unnamed = 0;
        let names = match header {
            _ if !dialect.is_text => true,
            Header::Yes => true,
            Header::No => false,
            Header::Auto => {
                let by_number = number(0);
                (by_number.is_none() && by_name.is_some()) || dialect.has_names(by_number)
            }
        };
        let mut by_name = by_name.filter(|_| names);
        if names {
            let header = dialect.header(path, false)?;
            unnamed = header.len() - first.len();
            first = header;
        }
        if unnamed > 0 {
            by_name = by_name.map(|index| index + unnamed);
            notes.push("rows have a cell more than the header: their first column has no name".to_owned().into());
        }
        let count = first.len();
        if count < 2 && !dialect.is_text {
            return Err(Error::file(path, "a single column", "features and a label"));
        }
        if count < 2 {
            let expected = "features and a label, with commas, semicolons, tabs, | or blanks between them";
            return Err(Error::file(path, "a single column", expected).advise(&[Remedy::Option("delimiter")]));
        }
        let Some(label) = by_name.or(number(unnamed)) else {
            let what = match label {
                Some(label) if header == Header::No => format!("{label:?} is no column's number"),
                Some(label) => format!("there is no column {label:?}"),
                None => format!("no column is called {}", LABELS.join(", ")),
            };
            let (columns, path) = (classes::list(&first), path.display());
            let of = if dialect.is_text { "of its first line" } else { "that it has" };
            let error = Error::Usage(format!("{path}: {what}; the {count} columns {of}: {columns}"));
            return Err(if label.is_some() { error } else { error.advise(&[Remedy::Option("label")]) });
        };
        let names = if names { Some(unique(first, notes)) } else { None };
        let places = (0..count).map(|index| Some(index).filter(|index| *index != label)).collect();
        Ok(Self { columns: Columns { count, label, names }, places, label: Some(label), extra: Vec::new() })
    }
}

/// The column whose name is one of [`LABELS`].
pub(super) fn label_by_habit(names: &[String]) -> Option<usize> {
    LABELS.iter().find_map(|label| names.iter().position(|name| name.eq_ignore_ascii_case(label)))
}

/// The column that is called `text`: names stand in files without the blanks around them.
pub(super) fn named(names: &[String], text: &str) -> Option<usize> {
    let position = |text: &str| names.iter().position(|name| name == text);
    position(text).or_else(|| position(text.trim()))
}

/// The column that `text` names by number: from 1 (the first), from -1 (the last, counting down), or `last`.
pub(super) fn numbered(text: &str, count: usize) -> Option<usize> {
    let text = text.trim();
    if text == "last" {
        return count.checked_sub(1);
    }
    match text.parse::<isize>().ok()? {
        0 => None,
        number if number > 0 => Some(number as usize - 1).filter(|&index| index < count),
        number => count.checked_sub(number.unsigned_abs()),
    }
}

/// Makes the second column of a name, and all others, `name.1` and so on, as pandas does: names must tell columns apart, here and
/// in every file that is read for the model. Columns without a name stay. What was renamed is told.
pub(super) fn unique(names: Vec<String>, notes: &mut Vec<Note>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut met: HashMap<String, usize> = HashMap::new();
    let mut renamed = Vec::new();
    let unique = names.into_iter().map(|name| {
        let times = met.entry(name.clone()).or_insert(0);
        if name.is_empty() || *times == 0 {
            *times += 1;
            return name;
        }
        loop {
            let other = format!("{name}.{times}");
            *times += 1;
            if taken.insert(other.clone()) {
                renamed.push(other.clone());
                return other;
            }
        }
    });
    let unique = unique.collect();
    if !renamed.is_empty() {
        let text = format!("columns of a name that another one has are called {}", classes::list(&renamed));
        notes.push(text.into());
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_again_get_a_number() {
        let mut notes = Vec::new();
        let names = ["a", "b", "a", "a.1", "", "a", ""].map(String::from).to_vec();
        assert_eq!(unique(names, &mut notes), ["a", "b", "a.2", "a.1", "", "a.3", ""]);
        assert!(notes.len() == 1 && notes[0].contains("\"a.2\", \"a.3\""), "{notes:?}");
        assert_eq!(unique(vec!["a".into(), "b".into()], &mut notes).len() + notes.len(), 3);
    }
}
