//! Columns that go beside predictions as they stand, whatever they hold: ids, names.

use std::path::Path;

use ::csv::ByteRecord;

use super::Opened;
use super::blocks::Block;
use super::cells::decode;
use super::columns::{Columns, named, numbered};
use super::dialect::{is_blank, start_of};
use super::marks::Marks;
use super::opened::days_alone;
use super::pieces::Piece;
use super::source::Source;
use crate::data::{Options, classes};
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
    /// of the file at `path`, or of `content`, which messages call `path`, which has `columns`. `options` say how it is read.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such column, and [`Error::File`] for a file that has other rows than it had when the
    /// lines were read.
    pub fn read(
        path: &Path,
        content: Option<&[u8]>,
        options: &Options,
        columns: &Columns,
        wanted: &[String],
        lines: &[u64],
    ) -> Result<Self> {
        let names = columns.names.as_deref().unwrap_or_default();
        let places = wanted.iter().map(|name| place(path, name, names, columns.count)).collect::<Result<Vec<_>>>()?;
        let mut opened = Opened::new(Source { path, content }, options, None, &mut Vec::new())?;
        let marks = opened.dialect.marks;
        let mut rows: Vec<Vec<String>> = Vec::new();
        while let Some(piece) = opened.pieces.next()? {
            match piece {
                Piece::Text(Block { text, line }) => {
                    for (line, record) in records(&marks.plain(&text), line, marks) {
                        if lines.binary_search(&line).is_ok() {
                            let cell = |&index: &usize| decode(record.get(index).unwrap_or_default()).0.into_owned();
                            rows.push(places.iter().map(cell).collect());
                        }
                    }
                }
                #[cfg(feature = "columnar")]
                Piece::Columns(batch) => {
                    let columns: Vec<Vec<String>> = places.iter().map(|place| batch.texts(*place)).collect();
                    let wanted = batch.rows().enumerate().filter(|(_, line)| lines.binary_search(line).is_ok());
                    rows.extend(wanted.map(|(row, _)| columns.iter().map(|column| column[row].clone()).collect()));
                }
            }
        }
        if rows.len() != lines.len() {
            let found = format!("{} of {} rows when it is read again for columns to keep", rows.len(), lines.len());
            return Err(Error::file(path, found, "all of them, in a file that stays as it is"));
        }
        for place in 0..if opened.dialect.is_text { 0 } else { places.len() } {
            days_alone(&mut rows.iter_mut().map(|row| &mut row[place]).collect::<Vec<_>>());
        }
        let name = |(wanted, &index): (&String, &usize)| {
            names.get(index).filter(|name| !name.is_empty()).unwrap_or(wanted).clone()
        };
        Ok(Self { names: wanted.iter().zip(&places).map(name).collect(), rows })
    }
}

/// The records of `text` that are not blank, each with the number of the line on which it begins; `line` is the first one's.
fn records(text: &[u8], mut line: u64, marks: Marks) -> Vec<(u64, ByteRecord)> {
    let mut reader = marks.reader().from_reader(text);
    let mut at = 0;
    let with_line = |mut record: ByteRecord| {
        let start = start_of(&record, text);
        line += memchr::memchr_iter(b'\n', &text[at..start]).count() as u64;
        at = start;
        record.trim();
        (line, record)
    };
    let records = reader.byte_records().map_while(Result::ok).map(with_line);
    records.filter(|(_, record)| !is_blank(record)).collect()
}

/// The index of the column that `wanted` names, or gives the number of, among `count` columns.
fn place(path: &Path, wanted: &str, names: &[String], count: usize) -> Result<usize> {
    let found = named(names, wanted).or_else(|| numbered(wanted, count));
    found.ok_or_else(|| {
        let what = match names {
            [] => format!("its {count} columns have no names: give their numbers"),
            names => format!("its columns are {}", classes::list(names)),
        };
        Error::Usage(format!("{} has no column {wanted} to keep; {what}", path.display()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(content: &str, wanted: &[&str], lines: &[u64]) -> Result<Kept> {
        let wanted: Vec<String> = wanted.iter().copied().map(String::from).collect();
        let first: Vec<String> = content.lines().next().unwrap().split([',', ';']).map(str::to_owned).collect();
        let columns = Columns { count: first.len(), label: 0, names: (lines[0] > 1).then_some(first) };
        Kept::read("some.csv".as_ref(), Some(content.as_bytes()), &Options::default(), &columns, &wanted, lines)
    }

    #[test]
    fn cells_stay_as_they_stand_and_only_rows_that_are_wanted() {
        let found = kept("id;name\n007;\"a;\nb\"\n\n1e3;c\n08;d\n", &["name", "1"], &[2, 6]).unwrap();
        assert_eq!(found.names, ["name", "id"]);
        assert_eq!(found.rows, [["a;\nb", "007"], ["d", "08"]]);
        let found = kept("id,name\n1, \"a, \nb\"\n# no row\n2, 'c'\n", &["2"], &[2, 5]).unwrap();
        assert_eq!(found.rows, [["a, \nb"], ["'c'"]]);
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
            error("id,b\n1,2\n", "name", &[2]).contains("some.csv has no column name to keep; its columns are \"id\"")
        );
        assert!(error("1,2\n", "id", &[1]).contains("no names: give their numbers"));
        assert!(error("id,b\n1,2\n", "id", &[2, 3]).contains("1 of 2 rows"));
    }
}
