//! From the pieces of one file, or of many, to one frame.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::frame::{Chunk, Frame, Held, MAX_VALUES};
use super::parse::{Cells, Faults, Form, NO_TEXT, Ragged};
use super::pieces::Pieces;
use crate::error::{Error, Result};

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
    /// Comments among the rows, and lines that are the header once more.
    pub(super) comments: u64,
    pub(super) headers: u64,
    /// Numbers with a percent sign or a sign of money.
    pub(super) units: u64,
    /// Whether there are more values than can be held.
    pub(super) too_many: bool,
}

/// The cells of all pieces, in their order, up to the first row that is of another number of cells. Each thread takes a piece
/// when it is done with its last one.
fn parse_all(pieces: &mut Pieces<'_>, form: &Form<'_>) -> Result<Vec<Result<Cells, Ragged>>> {
    struct Taken<'b, 'a> {
        pieces: &'b mut Pieces<'a>,
        count: usize,
        values: usize,
        failed: Option<Error>,
    }
    let taken = Mutex::new(Taken { pieces, count: 0, values: 0, failed: None });
    let parsed = Mutex::new(Vec::new());
    let next = || {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.failed.is_some() || taken.values > MAX_VALUES {
            return None;
        }
        let piece = taken.pieces.next().unwrap_or_else(|error| {
            taken.failed = Some(error);
            None
        })?;
        taken.count += 1;
        Some((taken.count, piece))
    };
    rayon::broadcast(|_| {
        while let Some((number, piece)) = next() {
            let cells = piece.parse(form);
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

/// The places of a row's values, where a file has them in another order than the frame.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// For each number of the frame its place in the file's rows; none where they are the same.
    pub(super) numbers: Option<Vec<usize>>,
    /// The same of texts.
    pub(super) texts: Option<Vec<usize>>,
}

impl Order {
    /// The order of values of which each lies in a column of the file.
    pub(super) fn of(numbers: &[usize], texts: &[usize]) -> Self {
        let ranks = |columns: &[usize]| {
            let mut sorted = columns.to_vec();
            sorted.sort_unstable();
            let rank = |column: &usize| sorted.binary_search(column).unwrap_or_default();
            (!columns.is_sorted()).then(|| columns.iter().map(rank).collect())
        };
        Self { numbers: ranks(numbers), texts: ranks(texts) }
    }
}

/// Puts the values of each row into another order.
fn reorder<T: Copy>(values: &mut [T], order: Option<&Vec<usize>>) {
    let Some(order) = order else { return };
    let mut row = Vec::with_capacity(order.len());
    for values in values.chunks_exact_mut(order.len()) {
        row.clear();
        row.extend(order.iter().map(|place| values[*place]));
        values.copy_from_slice(&row);
    }
}

/// Files that become one frame.
pub(super) struct Merge {
    frame: Frame,
    /// The code of each text, by column of text.
    numbers: Vec<HashMap<String, u32>>,
    values: usize,
}

impl Merge {
    /// For a frame that holds this of the columns of training; places are set.
    pub(super) fn new(held: &[Held]) -> Self {
        let (mut number, mut text) = (0, 0);
        let next = |counter: &mut usize| std::mem::replace(counter, *counter + 1);
        let held = held.iter().map(|held| match *held {
            Held::Number { origin, .. } => Held::Number { at: next(&mut number), origin },
            Held::Text { .. } => Held::Text { at: next(&mut text) },
            Held::Nothing => Held::Nothing,
        });
        let frame = Frame { held: held.collect(), texts: vec![Vec::new(); text], ..Frame::default() };
        Self { frame, numbers: vec![HashMap::new(); text], values: 0 }
    }

    /// Adds the rows of a file, which is called by the `places`. `row` is told the target of each row, if there is one, and the
    /// row's line; it says whether the row is kept.
    pub(super) fn read(
        &mut self,
        pieces: &mut Pieces<'_>,
        form: &Form<'_>,
        order: &Order,
        places: (&'static str, Option<String>),
        mut row: impl FnMut(&[u8], u64) -> Result<bool>,
    ) -> Result<Met> {
        self.frame.places.files.push(places);
        let mut met = Met::default();
        for cells in parse_all(pieces, form)? {
            match cells {
                Ok(cells) => self.add(cells, order, &mut met, &mut row)?,
                Err(ragged) => {
                    met.ragged = Some(ragged);
                    break;
                }
            }
        }
        met.too_many = self.values > MAX_VALUES;
        Ok(met)
    }

    /// The frame of all rows.
    pub(super) fn finish(self) -> Frame {
        self.frame
    }

    fn add(
        &mut self,
        cells: Cells,
        order: &Order,
        met: &mut Met,
        row: &mut impl FnMut(&[u8], u64) -> Result<bool>,
    ) -> Result<()> {
        let Cells { mut numbers, mut codes, words, targets, lines, faults, odd, longer, units, comments, headers } =
            cells;
        let mut words: Vec<_> = words.into_iter().map(|words| words.texts).collect();
        if let Some(order) = &order.texts {
            words = order.iter().map(|place| std::mem::take(&mut words[*place])).collect();
        }
        reorder(&mut numbers, order.numbers.as_ref());
        reorder(&mut codes, order.texts.as_ref());
        let of_frame: Vec<Vec<u32>> = words
            .into_iter()
            .zip(&mut self.numbers)
            .zip(&mut self.frame.texts)
            .map(|((words, known), texts)| {
                let code = |(text, _): (String, bool)| {
                    *known.entry(text).or_insert_with_key(|text| {
                        texts.push(text.clone());
                        texts.len() as u32 - 1
                    })
                };
                words.into_iter().map(code).collect()
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
        let (width, texts) = self.frame.widths();
        let mut chunk = Chunk { numbers, codes, lines, file: self.frame.places.files.len() - 1 };
        if !dropped.is_empty() {
            chunk.retain(width, texts, |row| dropped.binary_search(&row).is_err());
        }
        self.frame.chunks.push(chunk);
        met.odd += odd;
        met.longer += longer;
        met.comments += comments;
        met.headers += headers;
        met.units += units;
        for (column, faults) in faults {
            match met.faults.iter_mut().find(|(other, _)| *other == column) {
                Some((_, all)) => (all.cells, all.texts) = (all.cells + faults.cells, all.texts + faults.texts),
                None => met.faults.push((column, faults)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::blocks::Blocks;
    use super::super::cells::Reading;
    use super::super::marks::Marks;
    use super::super::parse::Slot;
    use super::super::source::Source;
    use super::*;

    /// The rows of some text, of columns that are held so; `row` as for [`Merge::read`].
    fn read(text: &str, slots: &[Slot], held: &[Held], row: impl FnMut(&[u8], u64) -> Result<bool>) -> (Frame, Met) {
        let source = Source { path: "some".as_ref(), content: Some(text.as_bytes()) };
        let form = Form { marks: Marks::of(b','), reading: &Reading::default(), slots, header: None };
        let mut pieces = Pieces::Text(Blocks::new(source).unwrap());
        let mut merge = Merge::new(held);
        let met = merge.read(&mut pieces, &form, &Order::default(), ("line", None), row).unwrap();
        (merge.finish(), met)
    }

    const NUMBER_AND_TEXT: [Held; 2] = [Held::Number { at: 0, origin: 0.0 }, Held::Text { at: 0 }];

    #[test]
    fn blocks_become_one_frame_in_the_order_of_the_file() {
        let cell = |row: usize| format!("{row},name {},{}\n", row % 70_000, row % 3);
        let text: String = (0..200_000).map(cell).collect();
        let slots = [Slot::Number(0.0), Slot::Text, Slot::Target];
        let mut targets = Vec::new();
        let (mut frame, met) = read(&text, &slots, &NUMBER_AND_TEXT, |target, line| {
            targets.push((target[0] - b'0', line));
            Ok(target != b"2")
        });
        assert!(met.ragged.is_none() && frame.chunks.len() > 2);
        assert!(targets.iter().enumerate().all(|(row, found)| *found == ((row % 3) as u8, row as u64 + 1)));
        let kept: Vec<usize> = (0..200_000).filter(|row| row % 3 != 2).collect();
        assert!(frame.numbers(0).map(|value| value as usize).eq(kept.iter().copied()));
        assert!(frame.codes(0).map(|code| code as usize).eq(kept.iter().map(|row| row % 70_000)));
        assert_eq!((frame.texts[0].len(), &frame.texts[0][12_345][..]), (70_000, "name 12345"));
        frame.retain(|row| row % 1000 == 0);
        let lines = frame.rows_places().map(|place| place.number);
        assert!(lines.eq(kept.iter().step_by(1000).map(|row| *row as u64 + 1)));
        assert!(frame.gather(0, 1, |row| row < 2)[0].iter().eq([0.0, 1500.0].iter()));
    }

    #[test]
    fn the_first_row_of_another_length_is_told() {
        let mut text: String = (0..300_000).map(|row| format!("{row},a\n")).collect();
        text.insert_str(2_000_000, "\n1,2,3\n");
        let text = format!("{text}1\n");
        let (_, met) = read(&text, &[Slot::Number(0.0), Slot::Text], &NUMBER_AND_TEXT, |_, _| Ok(true));
        let line = text[..2_000_000].matches('\n').count() as u64 + 1;
        let ragged = met.ragged.unwrap();
        assert!(ragged.line == line || ragged.line == line + 1, "{ragged:?} {line}");
    }

    #[test]
    fn values_are_put_into_the_order_of_the_frame() {
        let order = Order::of(&[4, 0, 2], &[1, 3]);
        assert_eq!((&order.numbers, &order.texts), (&Some(vec![2, 0, 1]), &None));
        let mut rows = [1, 2, 3, 4, 5, 6];
        reorder(&mut rows, order.numbers.as_ref());
        assert_eq!(rows, [3, 1, 2, 6, 4, 5]);
    }
}
