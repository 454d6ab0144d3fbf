//! The rows of a table in memory, as read and not yet encoded.

use super::parse::NO_TEXT;

/// The most values that are read: 4 GiB of them.
pub(super) const MAX_VALUES: usize = 1 << 30;

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

/// Where a row stands: which of the files it is in, and its number there, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::data) struct Place {
    /// The index of the file.
    pub(in crate::data) file: usize,
    /// The line, or the number of the row where a file has no lines.
    pub(in crate::data) number: u64,
}

/// How places are called in messages.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Places {
    /// What a place of each file is, a line or a row, and the file's name where there are several.
    pub(in crate::data) files: Vec<(&'static str, Option<String>)>,
}

impl Places {
    /// What a place is called: `line 5`, `row 5 of b.parquet`.
    pub(in crate::data) fn name(&self, place: Place) -> String {
        let number = place.number;
        match self.files.get(place.file) {
            Some((unit, Some(file))) => format!("{unit} {number} of {file}"),
            Some((unit, None)) => format!("{unit} {number}"),
            None => format!("line {number}"),
        }
    }
}

/// The rows of a table.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Frame {
    /// What places are called.
    pub(in crate::data) places: Places,
    /// What it holds of each column of training.
    pub(in crate::data) held: Vec<Held>,
    /// The different texts of each column of text, in the order in which they appear.
    pub(in crate::data) texts: Vec<Vec<String>>,
    /// The rows, some at a time.
    pub(in crate::data) chunks: Vec<Chunk>,
}

/// Rows that follow each other.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Chunk {
    /// Row-major, one per column of numbers; NaN where one is missing.
    pub(in crate::data) numbers: Vec<f32>,
    /// Row-major, one per column of text: indices into the frame's texts, or [`NO_TEXT`].
    pub(in crate::data) codes: Vec<u32>,
    /// The line of each row, from 1.
    pub(in crate::data) lines: Vec<u64>,
    /// The index of their file.
    pub(in crate::data) file: usize,
}

impl Frame {
    /// Number of rows.
    pub(in crate::data) fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.lines.len()).sum()
    }

    /// Numbers and texts of a row.
    pub(in crate::data) fn widths(&self) -> (usize, usize) {
        // Asked for each column, so that to count them each time would take the square of their number.
        let chunk = self.chunks.iter().find(|chunk| !chunk.lines.is_empty());
        let count = || self.held.iter().filter(|held| matches!(held, Held::Number { .. })).count();
        (chunk.map_or_else(count, |chunk| chunk.numbers.len() / chunk.lines.len()), self.texts.len())
    }

    /// The place of each row.
    pub(in crate::data) fn rows_places(&self) -> impl Iterator<Item = Place> {
        let place = |chunk: &Chunk, number| Place { file: chunk.file, number };
        self.chunks.iter().flat_map(move |chunk| chunk.lines.iter().map(move |line| place(chunk, *line)))
    }

    /// Takes the numbers of column `index` out; none where it holds no numbers.
    pub(in crate::data) fn take(&mut self, index: usize) -> Vec<f32> {
        let Held::Number { at: taken, .. } = self.held[index] else { return Vec::new() };
        let (values, width) = (self.numbers(taken).collect(), self.widths().0);
        for chunk in &mut self.chunks {
            let mut place = 0;
            chunk.numbers.retain(|_| {
                place += 1;
                (place - 1) % width != taken
            });
        }
        self.held[index] = Held::Nothing;
        for held in &mut self.held {
            if let Held::Number { at, .. } = held {
                *at -= usize::from(*at > taken);
            }
        }
        values
    }

    /// Takes the codes of column `index` out; none where it holds no text.
    pub(in crate::data) fn take_codes(&mut self, index: usize) -> Vec<u32> {
        let Held::Text { at: taken } = self.held[index] else { return Vec::new() };
        let (codes, width) = (self.codes(taken).collect(), self.texts.len());
        for chunk in &mut self.chunks {
            let mut place = 0;
            chunk.codes.retain(|_| {
                place += 1;
                (place - 1) % width != taken
            });
        }
        self.texts.remove(taken);
        self.held[index] = Held::Nothing;
        for held in &mut self.held {
            if let Held::Text { at } = held {
                *at -= usize::from(*at > taken);
            }
        }
        codes
    }

    /// The numbers at place `at` of each row.
    pub(in crate::data) fn numbers(&self, at: usize) -> impl Iterator<Item = f32> {
        let width = self.widths().0.max(1);
        self.chunks.iter().flat_map(move |chunk| chunk.numbers.iter().skip(at).step_by(width).copied())
    }

    /// The least and the greatest number at each place, but for those that are missing; infinity and its negative where there are none.
    pub(super) fn ends(&self) -> Vec<(f32, f32)> {
        let width = self.widths().0;
        let mut ends = vec![(f32::INFINITY, f32::NEG_INFINITY); width];
        for row in self.chunks.iter().flat_map(|chunk| chunk.numbers.chunks_exact(width.max(1))) {
            for ((least, most), value) in ends.iter_mut().zip(row) {
                (*least, *most) = (least.min(*value), most.max(*value));
            }
        }
        ends
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

    /// Takes those texts at place `at` of each row for missing that are marked.
    pub(in crate::data) fn forget(&mut self, at: usize, marked: &[bool]) {
        let width = self.texts.len().max(1);
        for code in self.chunks.iter_mut().flat_map(|chunk| chunk.codes.iter_mut().skip(at).step_by(width)) {
            if marked.get(*code as usize) == Some(&true) {
                *code = NO_TEXT;
            }
        }
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
    /// Keeps the rows whose index `wanted` accepts.
    pub(super) fn retain(&mut self, numbers: usize, texts: usize, wanted: impl Fn(usize) -> bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_text_can_be_taken_out() {
        let texts = ["a", "b", "c"].map(|text| vec![text.to_owned()]).to_vec();
        let chunk = Chunk { numbers: Vec::new(), codes: vec![1, 2, 3, 4, 5, 6], lines: vec![1, 2], file: 0 };
        let held = [0, 1, 2].map(|at| Held::Text { at }).to_vec();
        let mut frame = Frame { held, texts, chunks: vec![chunk], ..Frame::default() };
        assert_eq!(frame.take_codes(1), [2, 5]);
        assert_eq!(frame.held, [Held::Text { at: 0 }, Held::Nothing, Held::Text { at: 1 }]);
        assert_eq!((frame.codes(1).collect::<Vec<_>>(), frame.texts[1][0].as_str()), (vec![3, 6], "c"));
    }

    #[test]
    fn a_column_of_numbers_can_be_taken_out() {
        let number = |at| Held::Number { at, origin: 0.0 };
        let numbers = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let chunk = Chunk { numbers, codes: Vec::new(), lines: vec![1, 2], file: 0 };
        let held = vec![number(0), number(1), number(2)];
        let mut frame = Frame { held, chunks: vec![chunk], ..Frame::default() };
        assert_eq!(frame.take(1), [2.0, 5.0]);
        assert_eq!(frame.held, [number(0), Held::Nothing, number(1)]);
        assert_eq!((frame.chunks[0].numbers.clone(), frame.take(1)), (vec![1.0, 3.0, 4.0, 6.0], Vec::new()));
    }
}
