//! A file whose form is known, and the reading of its rows.

use std::path::Path;

use super::blocks::Blocks;
use super::cells::{self, Number, show};
use super::columns::{Columns, Layout};
use super::dialect::Dialect;
use super::frame::{Frame, Held, Met};
use super::parse::{Faults, Form, Slot};
use super::source::Source;
use crate::data::targets::{Column, Fault, Found};
use crate::data::{Expected, Note, Options};
use crate::error::{Error, Result};

/// The share of its magnitude below which the spread of a column is small, so that float32 would lose digits of it.
const NARROW: f64 = 1.0 / 256.0;

/// A file whose form is known.
pub(super) struct Opened<'a> {
    pub(super) source: Source<'a>,
    pub(super) blocks: Blocks<'a>,
    pub(super) dialect: Dialect,
}

/// Rows that were read.
pub(super) struct Rows {
    pub(super) frame: Frame,
    pub(super) found: Option<Found>,
    pub(super) met: Met,
    /// Rows without a target, and the line of the first one.
    pub(super) untold: (usize, u64),
    /// The number of columns.
    pub(super) columns: usize,
}

impl<'a> Opened<'a> {
    pub(super) fn new(source: Source<'a>, options: &Options, notes: &mut Vec<Note>) -> Result<Self> {
        let mut blocks = Blocks::new(source)?;
        notes.extend(blocks.note().map(|note| note.to_owned().into()));
        let dialect = Dialect::of(blocks.head()?, options, notes);
        if dialect.records.is_empty() {
            return Err(Error::file(source.path, "an empty file", "one row per line"));
        }
        blocks.start(dialect.skipped, dialect.delimiter);
        Ok(Self { source, blocks, dialect })
    }

    /// What column `index` holds, by the first rows.
    pub(super) fn look(&self, index: usize, names: bool) -> Held {
        let rows = &self.dialect.records[usize::from(names)..];
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for cell in rows.iter().filter_map(|row| row.get(index)) {
            match self.dialect.reading.number(cell.as_bytes()) {
                Number::Value(value) => (least, most) = (least.min(value), most.max(value)),
                Number::Missing | Number::TooLarge => {}
                Number::Text => return Held::Text { at: 0 },
            }
        }
        let spread = most - least;
        let narrow = spread > 0.0 && spread < NARROW * least.abs().max(most.abs());
        Held::Number { at: 0, origin: if narrow { least.floor() } else { 0.0 } }
    }

    /// Reads all rows, with what `held` says of the columns of training.
    pub(super) fn rows(&mut self, layout: &Layout, held: &[Held], expected: Expected<'_>) -> Result<Rows> {
        let path = self.source.path;
        let mut slots = vec![Slot::Skip; layout.columns.count];
        for (held, place) in held.iter().zip(&layout.places) {
            if let Some(place) = place {
                slots[*place] = match held {
                    Held::Nothing => Slot::Skip,
                    Held::Number { origin, .. } => Slot::Number(*origin),
                    Held::Text { .. } => Slot::Text,
                };
            }
        }
        if let Some(label) = layout.label {
            slots[label] = Slot::Target;
        }
        // The first records have served.
        self.dialect.records = Vec::new();
        let Dialect { delimiter, blanks, reading, .. } = &self.dialect;
        let form = Form { delimiter: *delimiter, blanks: *blanks, reading, slots: &slots };
        if layout.columns.names.is_some() {
            self.blocks.skip_record()?;
        }
        let (mut targets, mut untold, mut lines, mut units) = (Column::new(expected), (0, 0), Vec::new(), 0);
        let columns = &layout.columns;
        let place = |text: &str, line| {
            let column = columns.name(layout.label.unwrap_or(columns.label));
            format!("{} in line {line}, {column}", show(text))
        };
        let (mut frame, mut met) = Frame::read(&mut self.blocks, &form, |cell, line| {
            if layout.label.is_none() {
                return Ok(true);
            }
            if reading.is_missing(cell) {
                if untold.0 == 0 {
                    untold.1 = line;
                }
                untold.0 += 1;
                return Ok(false);
            }
            let text = cells::decode(cell).0;
            // As Rust writes numbers, whatever marks the file has in them.
            let number = match reading.number(cell) {
                Number::Value(value) if reading.comma || text.parse::<f64>().is_err() => Some(value.to_string()),
                _ => None,
            };
            units += u64::from(number.is_some() && cells::without_unit(cell).is_some());
            targets
                .push(number.as_deref().unwrap_or(&text))
                .map_err(|expected| Error::file(path, place(&text, line), expected))?;
            lines.push(line);
            Ok(true)
        })?;
        let found = match layout.label {
            Some(_) if frame.rows() > 0 => Some(targets.finish().map_err(|Fault { row, text, expected }| {
                Error::file(path, place(&text, lines.get(row).copied().unwrap_or(0)), expected)
            })?),
            _ => None,
        };
        met.units += units;
        // From the file's columns to those of training.
        let of_training = |place: &Option<usize>| place.map_or(Held::Nothing, |place| frame.held[place]);
        frame.held = layout.places.iter().map(of_training).collect();
        Ok(Rows { frame, found, met, untold, columns: layout.columns.count })
    }
}

impl Rows {
    /// Refuses what stands in the way of any use.
    pub(super) fn check(&self, path: &Path, columns: &Columns) -> Result<()> {
        if let Some(ragged) = &self.met.ragged {
            let found = format!("{} cells in line {}", ragged.cells, ragged.line);
            return Err(Error::file(path, found, format!("{}, as in the first line", self.columns)));
        }
        if self.met.too_many {
            return Err(Error::file(path, "more than 4 GiB of values", "fewer rows"));
        }
        if let Some((column, faults)) = self.met.faults.iter().find(|(_, faults)| faults.texts < faults.cells) {
            return Err(refused(path, columns, *column, faults, self.met.faults.len()));
        }
        if self.frame.rows() == 0 {
            let found = match self.untold.0 {
                0 => "no row under the header".to_owned(),
                rows => format!("{rows} rows, all of them without a target in {}", columns.name(columns.label)),
            };
            return Err(Error::file(path, found, "one row per line"));
        }
        Ok(())
    }

    /// Says what is worth it.
    pub(super) fn tell(&self, notes: &mut Vec<Note>) {
        if self.untold.0 > 0 {
            let (rows, line) = self.untold;
            notes.push(format!("{rows} rows without a target are left out, the first in line {line}").into());
        }
        if self.met.longer > 0 {
            let rows = self.met.longer;
            notes.push(format!("{rows} rows end with an empty cell after the last column, which is left aside").into());
        }
        if self.met.units > 0 {
            let text = format!("{} cells with % or a sign of money are read as their numbers", self.met.units);
            notes.push(Note::new(text, "categories"));
        }
        if self.met.odd > 0 {
            notes.push(format!("{} cells that are no UTF-8 are read as Windows-1252", self.met.odd).into());
        }
    }
}

/// The refusal of cells that are no numbers.
pub(super) fn refused(path: &Path, columns: &Columns, column: usize, faults: &Faults, in_columns: usize) -> Error {
    let (text, line) = &faults.first;
    let more = match (faults.cells, in_columns) {
        (1, 1) => String::new(),
        (cells, 1) => format!(" ({cells} such cells in this column)"),
        (cells, others) => format!(" ({cells} such cells in this column, and some in {} others)", others - 1),
    };
    let found =
        format!("{} in line {line}, {}, which is {}{more}", show(text), columns.name(column), cells::described(text));
    Error::file(path, found, "a finite number")
}
