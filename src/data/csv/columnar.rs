//! Tables in columns: Parquet files, and Arrow IPC as files (Feather is one) and as streams. Their cells become what those of
//! the same table as text would.

use std::collections::VecDeque;
use std::path::Path;

use ::arrow_array::RecordBatch;
use ::arrow_schema::{DataType, Schema, SchemaRef};

use super::frame::MAX_VALUES;
use super::source::Source;
use crate::error::{Error, Result};

mod arrow;
mod convert;
mod guard;
mod parquet;

use guard::guarded;

/// The cells of a piece, about: small enough for a processor's cache, large enough to be worth a thread's while.
const PIECE: usize = 1 << 17;

/// The most rows of a piece of so many columns.
fn rows_of_piece(columns: usize) -> usize {
    (PIECE / columns.max(1)).clamp(64, 1 << 16)
}

/// What a file in columns is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Parquet,
    ArrowFile,
    ArrowStream,
}

impl Kind {
    /// The kind of a file that begins so.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some(Self::ArrowFile),
            // The mark of a message, and the length of its head, a multiple of 8 that no text has there.
            [0xff, 0xff, 0xff, 0xff, length, _, _, 0, ..] if length % 8 == 0 => Some(Self::ArrowStream),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet file",
            Self::ArrowFile => "Arrow file",
            Self::ArrowStream => "Arrow stream",
        }
    }

    fn article(self) -> &'static str {
        if self == Self::Parquet { "a" } else { "an" }
    }
}

/// The batches of a file, as its reader gives them; errors are those of the reader.
type Reading<'a> = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send + 'a>;

/// The columns of a file, its rows, and how many there are where the file says it.
type Found<'a> = (SchemaRef, Reading<'a>, Option<u64>);

/// The rows of a file in columns.
pub(super) struct Batches<'a> {
    path: &'a Path,
    kind: Kind,
    reading: Reading<'a>,
    /// Batches that were read and not given yet.
    ready: VecDeque<RecordBatch>,
    /// Values that were read, with two more for each row.
    values: usize,
    /// Rows that were given.
    rows: u64,
    /// The most rows of a piece.
    most: usize,
    /// The names of the columns.
    pub(super) names: Vec<String>,
    /// Columns of numbers that are few different ones by their type: they are categories.
    pub(super) categories: Vec<usize>,
    /// Columns of durations.
    pub(super) durations: Vec<usize>,
    /// Names and types of columns that no model can take: lists, structs, bytes.
    pub(super) left_out: Vec<String>,
}

/// Some rows of it.
pub(super) struct Batch {
    columns: RecordBatch,
    /// The number of its first row, from 1.
    row: u64,
}

impl<'a> Batches<'a> {
    /// The rows of `source`, which is of this kind.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for a damaged file, one of more values than can be held, and one without a column
    /// that can be read.
    pub(super) fn open(source: Source<'a>, kind: Kind) -> Result<Self> {
        let path = source.path;
        let damaged = |error: String| damaged(path, kind, &error);
        let (schema, reading, rows) = match kind {
            Kind::Parquet => parquet::open(source, wanted)?.map_err(damaged)?,
            Kind::ArrowFile | Kind::ArrowStream => arrow::open(source, kind)?.map_err(damaged)?,
        };
        let kept = wanted(&schema);
        let types = || kept.iter().map(|index| schema.field(*index).data_type()).enumerate();
        let those = |is: fn(&DataType) -> bool| types().filter(|(_, kind)| is(kind)).map(|(at, _)| at).collect();
        let left_out = |index: &usize| {
            let field = schema.field(*index);
            format!("{} ({})", field.name(), kind_of(field.data_type()))
        };
        let batches = Self {
            path,
            kind,
            reading,
            ready: VecDeque::new(),
            values: 0,
            rows: 0,
            most: rows_of_piece(kept.len()),
            names: kept.iter().map(|index| schema.field(*index).name().clone()).collect(),
            categories: those(is_numbers_in_dictionary),
            durations: those(|kind| matches!(kind, DataType::Duration(_))),
            left_out: (0..schema.fields().len()).filter(|index| !kept.contains(index)).map(|i| left_out(&i)).collect(),
        };
        if batches.names.is_empty() {
            let found = match &batches.left_out[..] {
                [] => format!("{} {} without columns", kind.article(), kind.name()),
                columns => format!("no column that can be read, but {}", columns.join(", ")),
            };
            return Err(Error::file(path, found, "columns of numbers, text, booleans, dates or times"));
        }
        if rows.is_some_and(|rows| rows.saturating_mul(kept.len() as u64) > MAX_VALUES as u64) {
            return Err(Error::file(path, "more than 4 GiB of values", "fewer rows"));
        }
        Ok(batches)
    }

    /// The cells of the first rows, at most so many, as text. They stay to be read.
    ///
    /// # Errors
    /// [`Error::File`] for a damaged file.
    pub(super) fn head(&mut self, most: usize) -> Result<Vec<Vec<String>>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        while rows.len() < most {
            let Some(batch) = self.read()? else { break };
            let some = batch.slice(0, batch.num_rows().min(most - rows.len()));
            let columns: Vec<Vec<String>> = some.columns().iter().map(convert::shown).collect();
            rows.extend((0..some.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
            self.ready.push_back(batch);
        }
        Ok(rows)
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// [`Error::File`] for a damaged file.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        let batch = match self.ready.pop_front() {
            Some(batch) => batch,
            None => match self.read()? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let rows = batch.num_rows().min(self.most);
        if rows < batch.num_rows() {
            self.ready.push_front(batch.slice(rows, batch.num_rows() - rows));
        }
        let row = self.rows + 1;
        self.rows += rows as u64;
        Ok(Some(Batch { columns: batch.slice(0, rows), row }))
    }

    /// The next batch that has rows, with the columns that are wanted.
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let read = guarded(|| self.reading.next()).and_then(Option::transpose);
            match read.map_err(|error| damaged(self.path, self.kind, &error))? {
                Some(batch) if batch.num_rows() > 0 => {
                    // Rows of no values at all take memory too.
                    self.values = self.values.saturating_add(batch.num_rows().saturating_mul(self.names.len() + 2));
                    if self.values > MAX_VALUES {
                        return Err(Error::file(self.path, "more than 4 GiB of values", "fewer rows"));
                    }
                    return Ok(Some(batch));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

/// A file that cannot be read as what it begins as.
fn damaged(path: &Path, kind: Kind, error: &str) -> Error {
    // What readers say may be long, and of several lines.
    let error: String = error.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect();
    Error::file(path, format!("a damaged {} ({error})", kind.name()), "a whole one")
}

/// The columns of which something can be made.
fn wanted(schema: &Schema) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| is_readable(field.data_type())).map(|(index, _)| index).collect()
}

fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_readable(values) && !values.is_nested(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Interval(_)
        | DataType::RunEndEncoded(..) => false,
        kind => !kind.is_nested(),
    }
}

fn is_numbers_in_dictionary(kind: &DataType) -> bool {
    matches!(kind, DataType::Dictionary(_, values) if values.is_numeric())
}

/// The kind of a column that is left out, in a word.
fn kind_of(kind: &DataType) -> &'static str {
    match kind {
        DataType::Struct(_) => "a struct",
        DataType::Map(..) => "a map",
        DataType::Union(..) => "a union",
        DataType::Interval(_) => "an interval",
        kind if kind.is_nested() => "a list",
        _ => "bytes",
    }
}
