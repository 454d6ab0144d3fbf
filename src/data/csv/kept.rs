//! Columns that go beside predictions as they stand, whatever they hold: ids, names.

use std::path::Path;

use ::csv::{ByteRecord, Position};

use super::columns::{Columns, numbered};
use super::lines::Lines;
use crate::data::classes;
use crate::error::{Error, Result};

/// The text of some columns of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The columns' names, or what they were asked for by.
    pub names: Vec<String>,
    /// Their cells, row by row, without blanks around them.
    pub rows: Vec<Vec<String>>,
}

impl Kept {
    /// The columns `wanted`, by name or by number (from 1, or from -1 for the last), in the rows that begin on `lines`, ascending,
    /// of the file at `path`, or of `content`, which messages call `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such column, [`Error::File`] for text that is not UTF-8, or a file that has other rows
    /// than it had when the lines were read.
    pub fn read(path: &Path, content: Option<&[u8]>, wanted: &[String], lines: &[u64]) -> Result<Self> {
        let mut reader = Lines::open(path, content)?;
        let mut record = ByteRecord::new();
        let (mut columns, mut places, mut starts, mut rows) = (None, Vec::new(), Vec::new(), Vec::new());
        while reader.next(&mut record)? {
            let columns = match &mut columns {
                Some(columns) => columns,
                none => {
                    let is_row = lines.first() == Some(&reader.line(&record));
                    let first = Columns { count: record.len(), label: 0, names: None };
                    let names = (0..record.len()).map(|index| reader.text(&record, index, &first).map(str::to_owned));
                    let names: Vec<String> = names.collect::<Result<_>>()?;
                    let first = Columns { names: (!is_row).then_some(names), ..first };
                    let places_of = wanted.iter().map(|name| place(path, name, &first));
                    places = places_of.collect::<Result<Vec<_>>>()?;
                    none.insert(first)
                }
            };
            let cells = places.iter().map(|&index| match record.get(index) {
                Some(_) => reader.text(&record, index, columns).map(str::to_owned),
                None => Ok(String::new()),
            });
            rows.push(cells.collect::<Result<Vec<_>>>()?);
            starts.push(record.position().map_or(0, Position::byte));
        }
        let numbers = reader.numbers(&starts).into_iter();
        let rows = numbers.zip(rows).filter(|(line, _)| lines.binary_search(line).is_ok());
        let rows: Vec<_> = rows.map(|(_, cells)| cells).collect();
        if rows.len() != lines.len() {
            let found = format!("{} of {} rows when it is read again for --keep", rows.len(), lines.len());
            return Err(Error::file(path, found, "all of them, in a file that stays as it is"));
        }
        let names = columns.and_then(|columns| columns.names).unwrap_or_default();
        let name = |(wanted, &index): (&String, &usize)| names.get(index).unwrap_or(wanted).clone();
        Ok(Self { names: wanted.iter().zip(&places).map(name).collect(), rows })
    }
}

/// The index of the column that `wanted` names, or gives the number of.
fn place(path: &Path, wanted: &str, columns: &Columns) -> Result<usize> {
    let names = columns.names.as_deref().unwrap_or_default();
    let found = names.iter().position(|name| name == wanted).or_else(|| numbered(wanted, columns.count));
    found.ok_or_else(|| {
        let what = match names {
            [] => format!("its {} columns have no names: give their numbers", columns.count),
            names => format!("its columns are {}", classes::list(names)),
        };
        Error::Usage(format!("--keep {wanted}: {} has no such column; {what}", path.display()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(content: &str, wanted: &[&str], lines: &[u64]) -> Result<Kept> {
        let wanted: Vec<String> = wanted.iter().copied().map(String::from).collect();
        Kept::read("some.csv".as_ref(), Some(content.as_bytes()), &wanted, lines)
    }

    #[test]
    fn cells_stay_as_they_stand_and_only_rows_that_are_wanted() {
        let found = kept("id;name\n007;\"a;\nb\"\n\n1e3;c\n08;d\n", &["name", "1"], &[2, 6]).unwrap();
        assert_eq!(found.names, ["name", "id"]);
        assert_eq!(found.rows, [["a;\nb", "007"], ["d", "08"]]);
        let found = kept("1,x\n2,y\n", &["-1"], &[1, 2]).unwrap();
        assert_eq!(
            (found.names, found.rows),
            (vec!["-1".to_owned()], vec![vec!["x".to_owned()], vec!["y".to_owned()]])
        );
    }

    #[test]
    fn columns_and_rows_that_are_not_there_are_told() {
        let error = |content, wanted, lines: &[u64]| kept(content, &[wanted], lines).unwrap_err().to_string();
        assert!(
            error("id,b\n1,2\n", "name", &[2])
                .contains("--keep name: some.csv has no such column; its columns are \"id\"")
        );
        assert!(error("1,2\n", "id", &[1]).contains("no names: give their numbers"));
        assert!(error("id,b\n1,2\n", "id", &[2, 3]).contains("1 of 2 rows"));
    }
}
