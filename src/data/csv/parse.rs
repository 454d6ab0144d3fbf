//! From a block of text to the cells of its rows.

use std::collections::HashMap;

use ::csv::ByteRecord;

use super::blocks::Block;
use super::cells::{Number, Reading, decode, without_unit};
use super::dialect::{is_blank, start_of};
use super::marks::Marks;

/// The code of a missing cell of text.
pub(in crate::data) const NO_TEXT: u32 = u32::MAX;

/// What becomes of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slot {
    /// Nothing.
    Skip,
    /// Numbers less this one, so that those far from 0 keep their digits in float32.
    Number(f64),
    /// Text.
    Text,
    /// The target of a row.
    Target,
}

/// How rows are read.
pub(super) struct Form<'a> {
    pub(super) marks: Marks,
    pub(super) reading: &'a Reading,
    /// One per column of the file.
    pub(super) slots: &'a [Slot],
    /// The cells of the header, which may come again.
    pub(super) header: Option<&'a [String]>,
}

/// The cells of some rows, one after the other.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The numbers of each row, in the order of their columns; NaN where one is missing.
    pub(super) numbers: Vec<f32>,
    /// The text of each row: indices into `words`, or [`NO_TEXT`].
    pub(super) codes: Vec<u32>,
    /// The different texts of each column of text.
    pub(super) words: Vec<Words>,
    /// The targets of all rows, and where each ends.
    pub(super) targets: (Vec<u8>, Vec<usize>),
    /// The line of each row, from 1.
    pub(super) lines: Vec<u64>,
    /// Cells that are no numbers where numbers are expected, by column.
    pub(super) faults: Vec<(usize, Faults)>,
    /// Cells of text in no UTF-8.
    pub(super) odd: u64,
    /// Rows with an empty cell after the last column.
    pub(super) longer: u64,
    /// Comments among the rows, and lines that are the header once more.
    pub(super) comments: u64,
    pub(super) headers: u64,
    /// Numbers with a percent sign or a sign of money.
    pub(super) units: u64,
}

/// Cells of a column that are no numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Faults {
    pub(super) cells: u64,
    /// Those that are text.
    pub(super) texts: u64,
    /// The first one, and its line.
    pub(super) first: (String, u64),
}

/// A row of another number of cells than the first line has.
#[derive(Debug, PartialEq)]
pub(super) struct Ragged {
    pub(super) line: u64,
    /// The line where it ends.
    pub(super) last: u64,
    pub(super) cells: usize,
}

/// The different texts of a column, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<Vec<u8>, u32>,
    /// In the order of their numbers, and whether they were UTF-8.
    pub(super) texts: Vec<(String, bool)>,
    /// The last one: text often comes in runs.
    last: Option<(Vec<u8>, u32)>,
}

impl Words {
    /// The number of the text `cell`, a new one if it is new.
    pub(super) fn number(&mut self, cell: &[u8]) -> u32 {
        if let Some((last, number)) = &self.last
            && last == cell
        {
            return *number;
        }
        let number = match self.numbers.get(cell) {
            Some(&number) => number,
            None => {
                let number = self.texts.len() as u32;
                let (text, odd) = decode(cell);
                self.texts.push((text.into_owned(), !odd));
                self.numbers.insert(cell.to_vec(), number);
                number
            }
        };
        self.last = Some((cell.to_vec(), number));
        number
    }
}

/// Reads the rows of a block.
pub(super) fn parse(block: &Block, form: &Form<'_>) -> Result<Cells, Ragged> {
    let text = &form.marks.plain(&block.text)[..];
    let (numbers, texts) = widths(form.slots);
    let rows = memchr::memchr_iter(b'\n', text).count() + 1;
    let mut rows = Rows {
        form,
        cells: Cells {
            numbers: Vec::with_capacity(rows * numbers),
            codes: Vec::with_capacity(rows * texts),
            lines: Vec::with_capacity(rows),
            words: (0..texts).map(|_| Words::default()).collect(),
            ..Cells::default()
        },
        text: 0,
        faults: Vec::new(),
    };
    let single = memchr::memchr_iter(b'\r', text).any(|at| text.get(at + 1).is_some_and(|next| *next != b'\n'));
    if single || memchr::memchr(form.marks.quote, text).is_some() {
        rows.quoted(text, block.line)?;
    } else {
        rows.plain(text, block.line)?;
    }
    Ok(rows.cells)
}

/// How many columns of numbers and of text there are.
pub(super) fn widths(slots: &[Slot]) -> (usize, usize) {
    let count = |wanted: fn(&Slot) -> bool| slots.iter().filter(|slot| wanted(slot)).count();
    (count(|slot| matches!(slot, Slot::Number(_))), count(|slot| *slot == Slot::Text))
}

/// Rows that are being read.
struct Rows<'a> {
    form: &'a Form<'a>,
    cells: Cells,
    /// The column of text that is next in this row.
    text: usize,
    /// The cells of this row that are no numbers where numbers are expected, by column: whether they are text, and their text.
    faults: Vec<(usize, bool, Vec<u8>)>,
}

impl Rows<'_> {
    /// Reads text without quotes, in which each line is a row.
    fn plain(&mut self, text: &[u8], mut line: u64) -> Result<(), Ragged> {
        let Form { marks: Marks { delimiter, .. }, reading, slots, .. } = *self.form;
        let mut at = 0;
        // What a line that is the header begins with at the least.
        let name = self.form.header.and_then(<[String]>::first).map(|name| {
            let ascii = name.bytes().take_while(u8::is_ascii).count();
            &name.as_bytes()[..ascii]
        });
        while at < text.len() {
            if matches!(text[at], b'\n' | b'\r' | b' ' | b'\t') {
                let length = memchr::memchr(b'\n', &text[at..]).map_or(text.len() - at, |end| end + 1);
                if text[at..at + length].trim_ascii().is_empty() && !(delimiter == b'\t' && text[at] == b'\t') {
                    at += length;
                    line += 1;
                    continue;
                }
            }
            if text[at] == b'#' || name.is_some_and(|name| text[at..].trim_ascii_start().starts_with(name)) {
                let length = memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len() - at);
                let cells = text[at..at + length].split(|byte| *byte == delimiter).map(<[u8]>::trim_ascii);
                if self.leave_aside(cells) {
                    at += length + 1;
                    line += 1;
                    continue;
                }
            }
            let mut column = 0;
            let last = loop {
                let slot = slots.get(column).copied().unwrap_or(Slot::Skip);
                // The common case: a number that ends where its cell does.
                if let Slot::Number(origin) = slot
                    && !reading.comma
                    && reading.missing.is_empty()
                    && let Ok((value, length)) = fast_float2::parse_partial::<f64, _>(&text[at..])
                {
                    let next = text.get(at + length).copied().unwrap_or(b'\n');
                    let less = (value - origin) as f32;
                    if (next == delimiter || next == b'\n') && (value as f32).is_finite() {
                        self.cells.numbers.push(less);
                        at += length + 1;
                        column += 1;
                        if next == delimiter {
                            continue;
                        }
                        break false;
                    }
                }
                let length = memchr::memchr2(delimiter, b'\n', &text[at..]).unwrap_or(text.len() - at);
                let cell = text[at..at + length].trim_ascii();
                self.cell(slot, column, cell);
                at += length + 1;
                column += 1;
                if text.get(at - 1) != Some(&delimiter) {
                    break cell.is_empty();
                }
            };
            self.end(column, last, line)?;
            line += 1;
        }
        Ok(())
    }

    /// Reads text in which cells may be quoted.
    fn quoted(&mut self, text: &[u8], mut line: u64) -> Result<(), Ragged> {
        let mut reader = self.form.marks.reader().from_reader(text);
        let (mut record, mut at) = (ByteRecord::new(), 0);
        // Reading from memory does not fail.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            record.trim();
            if is_blank(&record) {
                continue;
            }
            let start = start_of(&record, text);
            line += memchr::memchr_iter(b'\n', &text[at..start]).count() as u64;
            at = start;
            if self.leave_aside(record.iter()) {
                continue;
            }
            for (column, cell) in record.iter().enumerate() {
                let slot = self.form.slots.get(column).copied().unwrap_or(Slot::Skip);
                self.cell(slot, column, cell);
            }
            let last = record.iter().next_back().is_some_and(<[u8]>::is_empty);
            self.end(record.len(), last, line).map_err(|ragged| {
                let end = (reader.position().byte() as usize).saturating_sub(1).max(start);
                Ragged { last: line + memchr::memchr_iter(b'\n', &text[start..end]).count() as u64, ..ragged }
            })?;
        }
        Ok(())
    }

    fn cell(&mut self, slot: Slot, column: usize, cell: &[u8]) {
        match slot {
            Slot::Skip => {}
            Slot::Number(origin) => {
                let found = self.form.reading.number(cell);
                let value = if let Number::Value(value) = found { (value - origin) as f32 } else { f32::NAN };
                self.cells.numbers.push(value);
                self.cells.units += u64::from(!value.is_nan() && without_unit(cell).is_some());
                if matches!(found, Number::Text | Number::TooLarge) {
                    self.faults.push((column, found == Number::Text, cell.to_vec()));
                }
            }
            Slot::Text => {
                let code = if self.form.reading.is_missing(cell) {
                    NO_TEXT
                } else {
                    let words = &mut self.cells.words[self.text];
                    let code = words.number(cell);
                    self.cells.odd += u64::from(!words.texts[code as usize].1);
                    code
                };
                self.cells.codes.push(code);
                self.text += 1;
            }
            Slot::Target => {
                self.cells.targets.0.extend_from_slice(cell);
                self.cells.targets.1.push(self.cells.targets.0.len());
            }
        }
    }

    fn fault(&mut self, column: usize, text: bool, cell: &[u8], line: u64) {
        let place = self.cells.faults.iter().position(|(other, _)| *other == column).unwrap_or_else(|| {
            let first = (decode(cell).0.into_owned(), line);
            self.cells.faults.push((column, Faults { cells: 0, texts: 0, first }));
            self.cells.faults.len() - 1
        });
        let faults = &mut self.cells.faults[place].1;
        faults.cells += 1;
        faults.texts += u64::from(text);
    }

    /// Whether a line of these cells is no row: it is the header once more, or a comment that has not as many cells as rows have.
    fn leave_aside<'c>(&mut self, cells: impl Iterator<Item = &'c [u8]> + Clone) -> bool {
        let is_marked = cells.clone().next().is_some_and(|cell| cell.starts_with(b"#"));
        if let Some(header) = self.form.header {
            // It may begin as comments do.
            let first = cells.clone().take(1).map(|cell| cell.strip_prefix(b"#").unwrap_or(cell).trim_ascii());
            if is_same(header, cells.clone()) || is_marked && is_same(header, first.chain(cells.clone().skip(1))) {
                self.cells.headers += 1;
                return true;
            }
        }
        let is_comment = is_marked && {
            let (expected, last) = (self.form.slots.len(), cells.clone().last());
            let count = cells.count();
            count != expected && !(count == expected + 1 && last.is_some_and(<[u8]>::is_empty))
        };
        self.cells.comments += u64::from(is_comment);
        is_comment
    }

    /// Ends a row of so many cells, of which the last is empty or not.
    fn end(&mut self, cells: usize, empty: bool, line: u64) -> Result<(), Ragged> {
        let expected = self.form.slots.len();
        if cells == expected + 1 && empty {
            self.cells.longer += 1;
        } else if cells != expected {
            return Err(Ragged { line, last: line, cells });
        }
        // A row without a target is left out, whatever else is in it.
        let (targets, ends) = &self.cells.targets;
        let start = ends.len().checked_sub(2).map_or(0, |before| ends[before]);
        let untold = !ends.is_empty() && self.form.reading.is_missing(&targets[start..]);
        let mut faults = std::mem::take(&mut self.faults);
        for (column, text, cell) in faults.drain(..).filter(|_| !untold) {
            self.fault(column, text, &cell, line);
        }
        self.faults = faults;
        self.cells.lines.push(line);
        self.text = 0;
        Ok(())
    }
}

/// Whether `cells` are those of the header.
fn is_same<'c>(header: &[String], mut cells: impl Iterator<Item = &'c [u8]>) -> bool {
    let mut names = header.iter();
    loop {
        match (names.next(), cells.next()) {
            (None, None) => return true,
            (Some(name), Some(cell)) if name.as_bytes() == cell || decode(cell).0 == name.as_str() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SLOTS: [Slot; 4] = [Slot::Number(0.0), Slot::Text, Slot::Target, Slot::Number(1000.0)];

    fn read(text: &str, blanks: bool) -> Result<Cells, Ragged> {
        let marks = if blanks { Marks::of_blanks() } else { Marks::of(b',') };
        let form = Form { marks, reading: &Reading::default(), slots: &SLOTS, header: None };
        parse(&Block { text: text.as_bytes().to_vec(), line: 1 }, &form)
    }

    #[test]
    fn quoted_and_plain_text_give_the_same_cells() {
        for (text, blanks, lines) in [
            ("1,a,x,1001\n,?,y,-\n2.5,b,z,1e3\n", false, [1, 2, 3]),
            ("1,a,x,1001\r\n\r\n  \r\n,NA,y,\r\n2.5,b,z,1000", false, [1, 4, 5]),
            ("\n 1 , a, x ,1001 \n,,y, \n\"2.5\",\"b\",\"z\",\"1,000.0\"\n", false, [2, 3, 4]),
            ("1,a,x,1001\r,?,y,\r2.5,b,z,1000\r", false, [1, 1, 1]),
            ("  1  a x 1001\n? ?  y\t?\n2.5 \"b\"   z 1000 \n", true, [1, 2, 3]),
        ] {
            let cells = read(text, blanks).unwrap();
            let numbers: Vec<Option<f32>> = cells.numbers.iter().map(|x| Some(*x).filter(|x| !x.is_nan())).collect();
            assert_eq!(numbers, [Some(1.0), Some(1.0), None, None, Some(2.5), Some(0.0)], "{text:?}");
            assert_eq!((&cells.codes[..], &cells.lines[..]), (&[0, NO_TEXT, 1][..], &lines[..]), "{text:?}");
            assert_eq!(cells.words[0].texts, [("a".to_owned(), true), ("b".to_owned(), true)], "{text:?}");
            assert_eq!(cells.targets, (b"xyz".to_vec(), vec![1, 2, 3]), "{text:?}");
        }
    }

    #[test]
    fn marks_of_missing_values_go_before_numbers_in_all_text() {
        let reading = Reading { comma: false, missing: vec!["-9".into()] };
        let form = Form { marks: Marks::of(b','), reading: &reading, slots: &SLOTS, header: None };
        for text in ["-9,a,x,1001\n2,-9,y,-9\n", "\"-9\",a,x,1001\n2,-9,y,-9\n"] {
            let cells = parse(&Block { text: text.as_bytes().to_vec(), line: 1 }, &form).unwrap();
            assert!(cells.numbers[0].is_nan() && cells.numbers[3].is_nan(), "{:?}", cells.numbers);
            assert_eq!((cells.numbers[1], cells.numbers[2], &cells.codes[..]), (1.0, 2.0, &[0, NO_TEXT][..]));
        }
    }

    #[test]
    fn what_is_in_a_row_without_a_target_is_no_fault() {
        let cells = read("total,a,,1\n2,a,x,1\n3,a,NA,none\nbad,a,x,1\n", false).unwrap();
        let faults = [(0, Faults { cells: 1, texts: 1, first: ("bad".into(), 4) })];
        assert_eq!((&cells.faults[..], cells.lines.len()), (&faults[..], 4));
    }

    #[test]
    fn cells_that_are_no_numbers_and_rows_of_another_length_are_told() {
        let cells = read("1,a,x,1\n\nabc,a,x,1e39\n1,5,x,2\nb,a,x,1,\n", false).unwrap();
        assert_eq!(cells.faults.len(), 2);
        assert_eq!(cells.faults[0], (0, Faults { cells: 2, texts: 2, first: ("abc".into(), 3) }));
        assert_eq!(cells.faults[1], (3, Faults { cells: 1, texts: 0, first: ("1e39".into(), 3) }));
        assert_eq!(cells.longer, 1);
        assert_eq!(read("1,a,x,1\n1,a\n", false).unwrap_err(), Ragged { line: 2, last: 2, cells: 2 });
        assert_eq!(read("1,\"a\",x,1\n\n1,a,x,1,1\n", false).unwrap_err(), Ragged { line: 3, last: 3, cells: 5 });
    }
}
