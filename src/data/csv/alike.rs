//! Reading a second file as the first one was read: a test file beside a training file, or rows for a model.

use std::path::Path;

use super::columns::{Columns, Layout, check_names, label_by_habit, numbered};
use super::dialect::{Header, is_header, is_name};
use crate::error::{Error, Result};

impl Layout {
    /// The layout of a file whose columns correspond to those of `like`: by name where both files have a header, which leaves
    /// columns that `like` does not have, else by number.
    ///
    /// # Errors
    /// [`Error::File`] for a column too few, or too many without names.
    pub(super) fn like(
        path: &Path,
        first: Vec<String>,
        header: Header,
        like: &Columns,
        label: Option<&str>,
    ) -> Result<Self> {
        let count = first.len();
        let by_number = match label {
            Some(label) => numbered(label, count),
            None => Some(like.label).filter(|_| count == like.count),
        };
        let find = |name: &str| first.iter().position(|cell| cell == name);
        let known = like.names.as_deref().unwrap_or_default();
        let fits = count == like.count || count + 1 == like.count;
        let names = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => {
                known.iter().any(|name| is_name(name) && find(name).is_some()) || (fits && is_header(&first, by_number))
            }
        };
        let bad = |found: String, expected: String| Error::file(path, found, expected);
        let (features, label, extra) = match &like.names {
            Some(known) if names => {
                check_names(path, &first)?;
                let by_name = label.or(known.get(like.label).map(String::as_str)).and_then(find);
                let label = by_name.or(label.and(by_number));
                let known = known.iter().enumerate().filter(|(index, _)| *index != like.label);
                let features = known
                    .map(|(_, name)| {
                        find(name).ok_or_else(|| bad(format!("no column {name:?}"), "it, as in training".into()))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let extra = (0..count).filter(|index| Some(*index) != label && !features.contains(index));
                let extra = extra.map(|index| first[index].clone()).collect();
                (features, label, extra)
            }
            _ if count == like.count => {
                // Columns without names: a label that is named as in training is found by its name all the same.
                let named = || match label {
                    Some(label) => find(label),
                    None => label_by_habit(&first),
                };
                let by_name = if names { named() } else { None };
                let label = by_name.or(by_number).unwrap_or(like.label);
                ((0..count).filter(|&index| index != label).collect(), Some(label), Vec::new())
            }
            _ if count + 1 == like.count => ((0..count).collect(), None, Vec::new()),
            _ => return Err(bad(format!("{count} columns"), format!("{}, as in training", like.count))),
        };
        Ok(Self {
            columns: Columns { count, label: label.unwrap_or(count), names: names.then_some(first) },
            features,
            label,
            extra,
        })
    }
}
