//! Reading a second file as the first one was read: a test file beside a training file, or rows for a model.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use super::columns::{Columns, Layout, label_by_habit, named, numbered, unique};
use super::dialect::{Dialect, Header};
use super::is_missing;
use crate::data::{Note, classes};
use crate::error::{Error, Result};

impl Layout {
    /// The layout of a file whose columns correspond to those of `like`: by name where both files have a header, else by
    /// number. `needed` says which of them the file must have.
    ///
    /// # Errors
    /// [`Error::File`] for columns too few, or too many where they have no names.
    pub(super) fn like(
        path: &Path,
        dialect: &Dialect,
        header: Header,
        like: &Columns,
        label: Option<&str>,
        needed: impl Fn(usize) -> bool,
        notes: &mut Vec<Note>,
    ) -> Result<Self> {
        let known = like.names.as_deref().unwrap_or_default();
        let mut own = dialect.records.first().cloned().unwrap_or_default();
        let mut first = as_known(known, &own);
        let by_number = |count: usize, more| match label {
            Some(label) => numbered(label, dialect.count() + more),
            None => Some(like.label).filter(|_| count == like.count),
        };
        let fits = first.len() == like.count || first.len() + 1 == like.count;
        let names = match header {
            _ if !dialect.is_text => true,
            Header::Yes => true,
            Header::No => false,
            Header::Auto => are_names(known, &first) || (fits && dialect.has_names(by_number(first.len(), 0))),
        };
        let header = if names { Some(dialect.header(path, is_first_unnamed(known))?) } else { None };
        let unnamed = header.as_ref().map_or(0, |header| header.len() - first.len());
        if let Some(header) = header.filter(|_| unnamed > 0) {
            own = header;
            first = as_known(known, &own);
        }
        let renamed: Vec<String> =
            own.iter().zip(&first).filter(|(own, name)| own != name).map(|(own, _)| own.clone()).collect();
        if names && !renamed.is_empty() {
            let names = classes::list(&renamed);
            notes.push(format!("columns are those of training but for upper and lower case: {names}").into());
        }
        let count = first.len();
        let by_number = by_number(count, unnamed);
        let bad = |found: String, expected: String| Error::file(path, found, expected);
        let features = (0..like.count).filter(|index| *index != like.label);
        let mut places = vec![None; like.count];
        let mut extra = Vec::new();
        let label = match &like.names {
            Some(known) if names => {
                first = unique(first, notes);
                let by_name: HashMap<&str, usize> =
                    first.iter().enumerate().rev().map(|(index, name)| (&name[..], index)).collect();
                let find = |name: &str| by_name.get(name).copied();
                let find_own = |name: &str| find(name).or_else(|| named(&own, name));
                let by_name = label.or(known.get(like.label).map(String::as_str)).and_then(find_own);
                let label = by_name.or(label.and(by_number));
                for index in features {
                    places[index] = find(&known[index]).filter(|place| Some(*place) != label);
                }
                let missing: Vec<String> = (0..like.count)
                    .filter(|index| *index != like.label && needed(*index) && places[*index].is_none())
                    .map(|index| format!("{:?}", known[index]))
                    .collect();
                if !missing.is_empty() {
                    let them = if missing.len() == 1 { "it, as in training" } else { "them, as in training" };
                    return Err(bad(format!("no column {}", missing.join(", ")), them.into()));
                }
                let used: HashSet<usize> = places.iter().flatten().copied().collect();
                let other = |index: &usize| Some(*index) != label && !used.contains(index);
                extra = (0..count).filter(other).map(|index| first[index].clone()).collect();
                label
            }
            _ if count == like.count => {
                // Columns without names: a label that is named as in training is found by its name all the same.
                let by_name = || match label {
                    Some(label) => named(&first, label),
                    None => label_by_habit(&first),
                };
                let by_name = if names { by_name() } else { None };
                let label = by_name.or(by_number).unwrap_or(like.label);
                let there = (0..count).filter(|index| *index != label);
                features.zip(there).for_each(|(index, place)| places[index] = Some(place));
                Some(label)
            }
            _ if count + 1 == like.count => {
                features.zip(0..count).for_each(|(index, place)| places[index] = Some(place));
                None
            }
            _ => return Err(bad(format!("{count} columns"), format!("{}, as in training", like.count))),
        };
        // As they stand in the file.
        let own = if names { Some(unique(own, &mut Vec::new())) } else { None };
        let columns = Columns { count, label: label.unwrap_or(count), names: own };
        Ok(Self { columns, places, label, extra })
    }

    /// The layout of a further file of a table, of whose first one, at `first_path`, this is the layout. A header may stand in each
    /// file or in the first alone; where it stands, columns are found by name, whatever their order.
    ///
    /// # Errors
    /// [`Error::File`] for other columns.
    pub(super) fn of_further(
        &self,
        path: &Path,
        dialect: &Dialect,
        header: Header,
        (first_path, first_rows): (&Path, &[Vec<String>]),
    ) -> Result<Self> {
        let as_first = || format!("the columns of {}", first_path.display());
        let known = self.columns.names.as_deref().unwrap_or_default();
        let first = as_known(known, dialect.records.first().map_or(&[], |first| &first[..]));
        let has_names = match header {
            _ if !dialect.is_text => true,
            Header::Yes => true,
            Header::No => false,
            Header::Auto if known.is_empty() => dialect.has_names(None),
            Header::Auto => are_names(known, &first),
        };
        if has_names && known.is_empty() {
            let found = format!("a header: {}", classes::list(&first));
            return Err(Error::file(path, found, format!("none, as {} has none", first_path.display())));
        }
        if !has_names {
            if header == Header::Auto && !known.is_empty() && names_others(dialect, first_rows) {
                let (found, expected) = (classes::list(&first), classes::list(known));
                let expected = format!("those of {}: {expected}", first_path.display());
                return Err(Error::file(path, format!("a header of other names: {found}"), expected));
            }
            if first.len() != self.columns.count {
                let found = format!("{} columns", first.len());
                return Err(Error::file(
                    path,
                    found,
                    format!("{}, as {} has", self.columns.count, first_path.display()),
                ));
            }
            let columns = Columns { names: None, ..self.columns.clone() };
            return Ok(Self { columns, places: self.places.clone(), label: self.label, extra: Vec::new() });
        }
        let names = dialect.header(path, is_first_unnamed(known))?;
        let names = unique(as_known(known, &names), &mut Vec::new());
        // Columns without a name are found by their order.
        let mut by_name: HashMap<&str, VecDeque<usize>> = HashMap::new();
        names.iter().enumerate().for_each(|(index, name)| by_name.entry(name).or_default().push_back(index));
        let there: HashSet<&String> = known.iter().collect();
        let missing = known.iter().find(|name| !by_name.contains_key(&name[..]));
        let more = names.iter().find(|name| !there.contains(name));
        match (missing, more) {
            (Some(name), _) => return Err(Error::file(path, format!("no column {name:?}"), as_first())),
            (None, Some(name)) => return Err(Error::file(path, format!("a column {name:?} more"), as_first())),
            (None, None) => {}
        }
        let own: Vec<Option<usize>> = known.iter().map(|name| by_name.get_mut(&name[..])?.pop_front()).collect();
        let places = self.places.iter().map(|place| place.and_then(|place| own[place])).collect();
        let label = self.label.and_then(|label| own[label]);
        let columns = Columns { count: names.len(), label: label.unwrap_or(names.len()), names: Some(names) };
        Ok(Self { columns, places, label, extra: Vec::new() })
    }
}

/// Whether the first of the columns `known` has no name, as that of the names of rows in files of R.
fn is_first_unnamed(known: &[String]) -> bool {
    known.first().is_some_and(String::is_empty)
}

/// Whether a further file of a table begins with names that are not those of the first file, of which these are rows: none of them
/// stands under the first file's names, and in some column the cells below do.
fn names_others(dialect: &Dialect, first_rows: &[Vec<String>]) -> bool {
    let Some(names) = dialect.records.first().filter(|_| dialect.rows().next().is_some()) else { return false };
    let is_number = |cell: &String| super::is_number(cell);
    if names.iter().any(is_number) || !dialect.has_names(None) {
        return false;
    }
    let mut alike = false;
    for (column, name) in names.iter().enumerate() {
        let cells: HashSet<&String> = first_rows.iter().filter_map(|row| row.get(column)).collect();
        if cells.contains(name) && !name.is_empty() {
            return false;
        }
        let numbers = cells.iter().any(|cell| is_number(cell));
        let under: Vec<&String> = dialect.rows().filter_map(|row| row.get(column)).collect();
        let known = under.iter().filter(|cell| cells.contains(*cell) || numbers && is_number(cell)).count();
        alike |= 2 * known > under.len();
    }
    alike
}

/// The cells `first`; one that is called as one of the columns `known` but for upper and lower case is called as that one, where no other
/// may be meant.
fn as_known(known: &[String], first: &[String]) -> Vec<String> {
    let folded = |names: &[String]| {
        let mut by_folded: HashMap<String, Option<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            by_folded.entry(name.to_lowercase()).and_modify(|other| *other = None).or_insert(Some(index));
        }
        by_folded
    };
    let (of_known, of_first) = (folded(known), folded(first));
    let name = |cell: &String| {
        let folded = cell.to_lowercase();
        let alone = of_first.get(&folded).is_some_and(Option::is_some);
        let index = of_known.get(&folded).copied().flatten().filter(|_| alone);
        index.map_or_else(|| cell.clone(), |index| known[index].clone())
    };
    first.iter().map(name).collect()
}

/// Whether the cells `first` of a file's first record name columns, some of which are `known`: they are the same, or more than half
/// of either are names that the other has too. A single cell of text may be called as a column is.
fn are_names(known: &[String], first: &[String]) -> bool {
    let is_name = |cell: &&String| cell.parse::<f64>().is_err() && !is_missing(cell);
    let there: HashSet<&String> = first.iter().collect();
    let shared = known.iter().filter(is_name).filter(|name| there.contains(name)).count();
    let names = |cells: &[String]| cells.iter().filter(is_name).count();
    (!known.is_empty() && known == first) || (shared > 0 && 2 * shared > names(known).min(first.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_another_case_are_those_of_training_where_no_other_may_be_meant() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let folded = |known, first| as_known(&names(known), &names(first));
        assert_eq!(folded(&["Age", "size"], &["SIZE", "age", "more"]), ["size", "Age", "more"]);
        assert_eq!(folded(&["Age", "size"], &["AGE", "age", "Size"]), ["AGE", "age", "size"]);
        assert_eq!(folded(&["a", "A", "b"], &["A", "a", "B"]), ["A", "a", "b"]);
    }
}
