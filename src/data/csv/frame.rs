//! The rows of a table in memory, as read and not yet encoded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::blocks::Blocks;
use super::parse::{self, Cells, Faults, Form, NO_TEXT, Ragged, Slot};
use crate::error::{Error, Result};

/// The most values that are read: 4 GiB of them.
const MAX_VALUES: usize = 1 << 30;

/// What a frame holds of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) enum Held {
    /// Nothing.
    Nothing,
    /// Numbers less an origin, at this place of a row's numbers.
    Number {
        /// The place.
        at: usize,
        /// The origin.
        origin: f64,
    },
    /// Text, at this place of a row's codes.
    Text {
        /// The place.
        at: usize,
    },
}

/// The rows of a table.
#[derive(Debug, Default)]
pub(in crate::data) struct Frame {
    /// What it holds of each column of the file.
    pub(in crate::data) held: Vec<Held>,
    /// The different texts of each column of text, in the order in which they appear.
    pub(in crate::data) texts: Vec<Vec<String>>,
    /// The rows, some at a time.
    pub(in crate::data) chunks: Vec<Chunk>,
}

/// Rows that follow each other.
#[derive(Debug, Default)]
pub(in crate::data) struct Chunk {
    /// Row-major, one per column of numbers; NaN where one is missing.
    pub(in crate::data) numbers: Vec<f32>,
    /// Row-major, one per column of text: indices into the frame's texts, or [`NO_TEXT`].
    pub(in crate::data) codes: Vec<u32>,
    /// The line of each row, from 1.
    pub(in crate::data) lines: Vec<u64>,
}

/// What was met while rows were read.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Cells that are no numbers where numbers are expected, by column of the file.
    pub(super) faults: Vec<(usize, Faults)>,
    /// The first row of another number of cells.
    pub(super) ragged: Option<Ragged>,
    /// Cells of text in no UTF-8.
    pub(super) odd: u64,
    /// Rows with an empty cell after the last column.
    pub(super) longer: u64,
    /// Numbers with a percent sign or a sign of money.
    pub(super) units: u64,
    /// Whether there are more values than can be held.
    pub(super) too_many: bool,
}

impl Frame {
    /// Reads all rows of `blocks`. `row` is told the target of each row, if there is one, and the
    /// row's line; it says whether the row is kept.
    pub(super) fn read(
        blocks: &mut Blocks<'_>,
        form: &Form<'_>,
        mut row: impl FnMut(&[u8], u64) -> Result<bool>,
    ) -> Result<(Self, Met)> {
        let (mut number, mut text) = (0, 0);
        let next = |counter: &mut usize| std::mem::replace(counter, *counter + 1);
        let held = form.slots.iter().map(|slot| match *slot {
            Slot::Number(origin) => Held::Number { at: next(&mut number), origin },
            Slot::Text => Held::Text { at: next(&mut text) },
            Slot::Skip | Slot::Target => Held::Nothing,
        });
        let held = held.collect();
        let mut frame = Frame { held, texts: vec![Vec::new(); text], chunks: Vec::new() };
        let mut merge = Merge { numbers: vec![HashMap::new(); text], met: Met::default(), values: 0 };
        let ready = parse_all(blocks, form)?;
        for cells in ready {
            match cells {
                Ok(cells) => merge.add(&mut frame, cells, &mut row)?,
                Err(ragged) => {
                    merge.met.ragged = Some(ragged);
                    break;
                }
            }
        }
        merge.met.too_many = merge.values > MAX_VALUES;
        Ok((frame, merge.met))
    }

    /// Number of rows.
    pub(in crate::data) fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.lines.len()).sum()
    }

    /// Numbers and texts of a row.
    pub(in crate::data) fn widths(&self) -> (usize, usize) {
        (self.held.iter().filter(|held| matches!(held, Held::Number { .. })).count(), self.texts.len())
    }

    /// The line of each row, from 1.
    pub(in crate::data) fn lines(&self) -> impl Iterator<Item = u64> {
        self.chunks.iter().flat_map(|chunk| chunk.lines.iter().copied())
    }

    /// The numbers at place `at` of each row.
    pub(in crate::data) fn numbers(&self, at: usize) -> impl Iterator<Item = f32> {
        let width = self.widths().0.max(1);
        self.chunks.iter().flat_map(move |chunk| chunk.numbers.iter().skip(at).step_by(width).copied())
    }

    /// The numbers at the `count` places from `first` on, of the rows that `wanted` accepts: a list for each place.
    pub(in crate::data) fn gather(&self, first: usize, count: usize, wanted: impl Fn(usize) -> bool) -> Vec<Vec<f32>> {
        let width = self.widths().0.max(1);
        let mut places = vec![Vec::with_capacity(self.rows()); count];
        let rows = self.chunks.iter().flat_map(|chunk| chunk.numbers.chunks_exact(width));
        for (_, row) in rows.enumerate().filter(|(row, _)| wanted(*row)) {
            places.iter_mut().zip(&row[first..]).for_each(|(place, value)| place.push(*value));
        }
        places
    }

    /// The codes at place `at` of each row.
    pub(in crate::data) fn codes(&self, at: usize) -> impl Iterator<Item = u32> {
        let width = self.texts.len().max(1);
        self.chunks.iter().flat_map(move |chunk| chunk.codes.iter().skip(at).step_by(width).copied())
    }

    /// Keeps the rows whose index `wanted` accepts.
    pub(in crate::data) fn retain(&mut self, wanted: impl Fn(usize) -> bool) {
        let (numbers, texts) = self.widths();
        let mut first = 0;
        for chunk in &mut self.chunks {
            let rows = chunk.lines.len();
            chunk.retain(numbers, texts, |row| wanted(first + row));
            first += rows;
        }
    }
}

impl Chunk {
    fn retain(&mut self, numbers: usize, texts: usize, wanted: impl Fn(usize) -> bool) {
        fn keep<T: Copy>(values: &mut Vec<T>, width: usize, wanted: impl Fn(usize) -> bool) {
            if width > 0 {
                let mut at = 0;
                values.retain(|_| {
                    at += 1;
                    wanted((at - 1) / width)
                });
            }
        }
        keep(&mut self.numbers, numbers, &wanted);
        keep(&mut self.codes, texts, &wanted);
        keep(&mut self.lines, 1, &wanted);
    }
}

/// The cells of all blocks, in their order, up to the first row that is of another number of cells. Each thread takes a block
/// when it is done with its last one.
fn parse_all(blocks: &mut Blocks<'_>, form: &Form<'_>) -> Result<Vec<Result<Cells, Ragged>>> {
    struct Taken<'b, 'a> {
        blocks: &'b mut Blocks<'a>,
        count: usize,
        values: usize,
        failed: Option<Error>,
    }
    let taken = Mutex::new(Taken { blocks, count: 0, values: 0, failed: None });
    let parsed = Mutex::new(Vec::new());
    let next = || {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.failed.is_some() || taken.values > MAX_VALUES {
            return None;
        }
        let block = taken.blocks.next().unwrap_or_else(|error| {
            taken.failed = Some(error);
            None
        })?;
        taken.count += 1;
        Some((taken.count, block))
    };
    rayon::broadcast(|_| {
        while let Some((number, block)) = next() {
            let cells = parse::parse(&block, form);
            let values = cells.as_ref().map_or(MAX_VALUES, |cells| cells.numbers.len() + cells.codes.len());
            taken.lock().unwrap_or_else(PoisonError::into_inner).values += values + usize::from(cells.is_err());
            parsed.lock().unwrap_or_else(PoisonError::into_inner).push((number, cells));
        }
    });
    if let Some(error) = taken.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        return Err(error);
    }
    let mut parsed = parsed.into_inner().unwrap_or_else(PoisonError::into_inner);
    parsed.sort_unstable_by_key(|(number, _)| *number);
    Ok(parsed.into_iter().map(|(_, cells)| cells).collect())
}

/// Blocks that become one frame.
struct Merge {
    /// The code of each text, by column of text.
    numbers: Vec<HashMap<String, u32>>,
    met: Met,
    values: usize,
}

impl Merge {
    fn add(&mut self, frame: &mut Frame, cells: Cells, row: &mut impl FnMut(&[u8], u64) -> Result<bool>) -> Result<()> {
        let Cells { numbers, mut codes, words, targets, lines, faults, odd, longer, units } = cells;
        let of_frame: Vec<Vec<u32>> = words
            .into_iter()
            .zip(&mut self.numbers)
            .zip(&mut frame.texts)
            .map(|((words, known), texts)| {
                let code = |(text, _): (String, bool)| {
                    *known.entry(text).or_insert_with_key(|text| {
                        texts.push(text.clone());
                        texts.len() as u32 - 1
                    })
                };
                words.texts.into_iter().map(code).collect()
            })
            .collect();
        if !of_frame.is_empty() {
            for row in codes.chunks_exact_mut(of_frame.len()) {
                for (code, of_frame) in row.iter_mut().zip(&of_frame) {
                    if *code != NO_TEXT {
                        *code = of_frame[*code as usize];
                    }
                }
            }
        }
        let mut start = 0;
        let mut dropped = Vec::new();
        let ends = &targets.1;
        for (index, &line) in lines.iter().enumerate() {
            let end = ends.get(index).copied().unwrap_or(start);
            if !row(&targets.0[start..end], line)? {
                dropped.push(index);
            }
            start = end;
        }
        self.values += numbers.len() + codes.len();
        let (width, texts) = frame.widths();
        let mut chunk = Chunk { numbers, codes, lines };
        if !dropped.is_empty() {
            chunk.retain(width, texts, |row| dropped.binary_search(&row).is_err());
        }
        frame.chunks.push(chunk);
        self.met.odd += odd;
        self.met.longer += longer;
        self.met.units += units;
        for (column, faults) in faults {
            match self.met.faults.iter_mut().find(|(other, _)| *other == column) {
                Some((_, all)) => (all.cells, all.texts) = (all.cells + faults.cells, all.texts + faults.texts),
                None => self.met.faults.push((column, faults)),
            }
        }
        Ok(())
    }
}
