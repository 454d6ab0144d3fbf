//! A column of targets as a file has it: collected cell by cell until it is known whether they are classes or numbers.

use super::{Cells, Task};
use crate::data::Note;
use crate::data::classes::{self, Numbering};
use crate::data::csv::{is_missing, is_number};

/// The most different whole numbers that are taken as classes.
const MOST_CLASSES: usize = 100;
/// The least rows for which it counts how many whole numbers occur only once.
const LEAST_ROWS: usize = 20;

/// What the targets of a file must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected<'a> {
    /// Whatever they look like.
    Any,
    /// Classes of any names.
    NewClasses,
    /// These classes and no others.
    Classes(&'a [String]),
    /// Numbers.
    Values,
}

impl Expected<'_> {
    /// The targets of a file to learn from, of which the user may have given the task.
    pub(in crate::data) fn of(task: Option<Task>) -> Self {
        match task {
            None => Expected::Any,
            Some(Task::Classes) => Expected::NewClasses,
            Some(Task::Values) => Expected::Values,
        }
    }
}

/// A cell that does not hold what it should.
#[derive(Debug, PartialEq)]
pub(in crate::data) struct Fault {
    /// The row of the cell, from 0.
    pub(in crate::data) row: usize,
    /// The text of the cell.
    pub(in crate::data) text: String,
    /// The text that says what was expected.
    pub(in crate::data) expected: String,
}

/// The targets of a file.
#[derive(Debug, PartialEq)]
pub(in crate::data) struct Found {
    pub(in crate::data) cells: Cells,
    /// A note on what was guessed, if anything was.
    pub(in crate::data) note: Option<Note>,
}

/// A column of targets that is being read.
#[derive(Debug)]
pub(in crate::data) struct Column<'a> {
    expected: Expected<'a>,
    numbering: Numbering,
    /// The class of each cell, as long as all of them may be classes.
    labels: Vec<u32>,
    /// The number in each cell; NaN for text.
    values: Vec<f64>,
    /// Number of cells with text, markers of missing values included.
    texts: usize,
    /// Whether there is text other than markers of missing values.
    words: bool,
    first_text: Option<(usize, String)>,
    first_fraction: Option<(usize, String)>,
    /// The first cell that cannot be a class.
    first_refused: Option<Fault>,
    /// The first cell with a number that float32 cannot hold.
    first_large: Option<(usize, String)>,
}

impl<'a> Column<'a> {
    pub(in crate::data) fn new(expected: Expected<'a>) -> Self {
        let numbering = match expected {
            Expected::Classes(classes) => Numbering::of(classes),
            _ => Numbering::default(),
        };
        Self {
            expected,
            numbering,
            labels: Vec::new(),
            values: Vec::new(),
            texts: 0,
            words: false,
            first_text: None,
            first_fraction: None,
            first_refused: None,
            first_large: None,
        }
    }

    /// Adds the next cell.
    ///
    /// # Errors
    /// A text that says what was expected, where the cell cannot be a target.
    pub(in crate::data) fn push(&mut self, text: &str) -> Result<(), String> {
        let number = text.parse::<f64>().ok();
        // Targets may be reported in float32, which cannot hold all that float64 can.
        let held = number.is_some_and(|number| (number as f32).is_finite());
        let fraction = number.is_some_and(|number| number.fract() != 0.0);
        match self.expected {
            Expected::Values if !held => return Err(NUMBER.into()),
            Expected::Values => self.values.push(number.unwrap_or(f64::NAN)),
            _ if text.is_empty() || number.is_some_and(|number| !number.is_finite()) => {
                let any = self.expected == Expected::Any;
                return Err(if any { "a label or a finite number" } else { "a label" }.into());
            }
            Expected::Any => self.keep(text, number, held, fraction),
            Expected::NewClasses | Expected::Classes(_) if fraction => return Err(LABEL.into()),
            Expected::NewClasses | Expected::Classes(_) => {
                let label = self.class(text, number)?;
                self.labels.push(label);
            }
        }
        Ok(())
    }

    /// Adds a cell that may be anything: as a number, and as a class while that is possible.
    fn keep(&mut self, text: &str, number: Option<f64>, held: bool, fraction: bool) {
        let row = self.values.len();
        let cell = || Some((row, text.to_owned()));
        self.values.push(number.unwrap_or(f64::NAN));
        if number.is_none() {
            self.texts += 1;
            self.words |= !is_missing(text);
            self.first_text = self.first_text.take().or_else(cell);
        } else if !held {
            self.first_large = self.first_large.take().or_else(cell);
        }
        if fraction {
            self.first_fraction = self.first_fraction.take().or_else(cell);
        }
        if self.first_refused.is_none() && self.first_fraction.is_none() {
            match self.class(text, number) {
                Ok(label) => self.labels.push(label),
                Err(expected) => self.first_refused = Some(Fault { row, text: text.into(), expected }),
            }
        }
    }

    /// The class of a label that is text or a whole number.
    fn class(&mut self, text: &str, number: Option<f64>) -> Result<u32, String> {
        self.numbering.number(&classes::name(text, number))
    }

    /// The targets. Where anything may come, text makes them classes, and so do few different whole numbers; other numbers
    /// are values. Whole numbers are few where at most 100 different ones occur, and, from 20 rows on, at most half of the
    /// rows have one that occurs nowhere else.
    ///
    /// # Errors
    /// The first cell that does not go with the others.
    pub(in crate::data) fn finish(self) -> Result<Found, Fault> {
        self.finish_as(false).map(|(found, _)| found)
    }

    /// The same without the cells that stand for a missing value among numbers, and the rows of these.
    ///
    /// # Errors
    /// As [`Column::finish`].
    pub(in crate::data) fn finish_with_gaps(self) -> Result<(Found, Vec<usize>), Fault> {
        self.finish_as(true)
    }

    fn finish_as(mut self, gaps: bool) -> Result<(Found, Vec<usize>), Fault> {
        let are_gaps = gaps && !self.words;
        let fault = |cell: Option<(usize, String)>, expected: &str| {
            let (row, text) = cell.unwrap_or_default();
            Fault { row, text, expected: expected.into() }
        };
        let (task, note) = match self.expected {
            Expected::Values => (Task::Values, None),
            Expected::NewClasses | Expected::Classes(_) => (Task::Classes, None),
            Expected::Any if self.first_fraction.is_some() && 2 * self.texts > self.values.len() && !are_gaps => {
                return Err(fault(self.first_fraction, LABEL));
            }
            Expected::Any if self.first_fraction.is_some() => {
                (Task::Values, Some("the targets are taken as numbers, as not all of them are whole".to_owned().into()))
            }
            Expected::Any if self.are_foreign() && self.guess().0 == Task::Values => {
                return Err(fault(self.first_text, FOREIGN));
            }
            Expected::Any if self.words => (Task::Classes, None),
            Expected::Any => self.guess(),
        };
        if task == Task::Classes {
            return match self.first_refused {
                Some(fault) => Err(fault),
                None => {
                    let note = note.or_else(|| self.numbering.note());
                    let names = self.numbering.finish(&mut self.labels);
                    Ok((Found { cells: Cells::Classes { labels: self.labels, names }, note }, Vec::new()))
                }
            };
        }
        let text = self.first_text.filter(|_| !are_gaps);
        if text.is_some() || self.first_large.is_some() {
            return Err(fault(text.or(self.first_large), NUMBER));
        }
        // What is no number here is a gap.
        let without = (0..self.values.len()).filter(|row| self.values[*row].is_nan()).collect();
        self.values.retain(|value| !value.is_nan());
        Ok((Found { cells: Cells::Values(self.values), note }, without))
    }

    /// Whether all that is text is a number with another decimal mark than the file has, or stands for a missing value.
    fn are_foreign(&self) -> bool {
        self.words && self.numbering.names().iter().all(|name| is_missing(name) || is_number(name))
    }

    /// The kind of targets that are whole numbers, and a note on it. Markers of missing values do not count.
    fn guess(&self) -> (Task, Option<Note>) {
        let guessed = |text: String| Some(Note::new(text, "task"));
        let mut counts = vec![0usize; self.numbering.len()];
        self.labels.iter().for_each(|&label| counts[label as usize] += 1);
        let rows = self.values.len();
        let once = counts.iter().filter(|&&count| count == 1).count();
        let different = counts.len();
        if different > MOST_CLASSES || self.first_refused.is_some() {
            let note = format!("the targets are more than {MOST_CLASSES} different whole numbers, taken as numbers");
            (Task::Values, guessed(note))
        } else if rows >= LEAST_ROWS && 2 * once > rows {
            let note = format!("the targets are whole numbers of which {once} of {rows} occur once, taken as numbers");
            (Task::Values, guessed(note))
        } else if self.texts > 0 {
            (Task::Classes, None)
        } else {
            let note = format!("the targets are {different} different whole numbers, taken as classes");
            (Task::Classes, guessed(note))
        }
    }
}

/// What is expected of a cell among classes.
const LABEL: &str = "a label, text or a whole number: is it the right column?";
/// What is expected of a cell among numbers with another decimal mark.
pub(in crate::data) const FOREIGN: &str = "a number with the decimal mark that the file has elsewhere";
/// What is expected of a cell among numbers.
const NUMBER: &str = "a finite number (missing targets must be filled in or left out)";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read<S: AsRef<str>>(expected: Expected<'_>, cells: &[S]) -> Result<Found, Fault> {
        let mut column = Column::new(expected);
        for (row, text) in cells.iter().enumerate() {
            let text = text.as_ref();
            column.push(text).map_err(|expected| Fault { row, text: text.into(), expected })?;
        }
        column.finish()
    }

    fn task<S: AsRef<str>>(cells: &[S]) -> Task {
        task_of(&read(Expected::Any, cells).unwrap())
    }

    fn task_of(found: &Found) -> Task {
        if matches!(found.cells, Cells::Values(_)) { Task::Values } else { Task::Classes }
    }

    fn counted(different: usize, rows: usize) -> Vec<String> {
        (0..rows).map(|row| (row % different).to_string()).collect()
    }

    #[test]
    fn text_makes_classes_and_fractions_make_numbers() {
        assert_eq!(task(&["a", "1", "2"]), Task::Classes);
        assert_eq!(task(&["1", "2.5", "3"]), Task::Values);
        let found = read(Expected::Any, &["1", "-2.5", "3e1"]).unwrap();
        assert_eq!(found.cells, Cells::Values(vec![1.0, -2.5, 30.0]));
        assert!(found.note.unwrap().contains("numbers"));
        assert_eq!(read(Expected::Any, &["b", "a", "b"]).unwrap().note, None);
    }

    #[test]
    fn whole_numbers_are_classes_while_few_and_the_note_names_the_option() {
        for (cells, expected) in [
            (counted(100, 400), Task::Classes),
            (counted(101, 400), Task::Values),
            (counted(5000, 10_000), Task::Values),
            // Each occurs once, but in fewer than 20 rows that says nothing.
            (counted(19, 19), Task::Classes),
            (counted(20, 20), Task::Values),
            // 9 of 20 rows, then 10 of 21, then 12 of 23 have a value of their own.
            ((0..20).map(|row: usize| row.max(10).to_string()).collect(), Task::Classes),
            ((0..21).map(|row: usize| row.max(10).to_string()).collect(), Task::Classes),
            ((0..23).map(|row: usize| row.max(10).to_string()).collect(), Task::Values),
            (["1.0", "2.0", "1.000e+00"].map(String::from).to_vec(), Task::Classes),
        ] {
            let found = read(Expected::Any, &cells).unwrap();
            assert_eq!(task_of(&found), expected, "{cells:?}");
            let (kind, note) = (if expected == Task::Values { "numbers" } else { "classes" }, found.note.unwrap());
            assert!(note.contains(&format!("taken as {kind}")) && note.option == Some("task"), "{note}");
        }
    }

    #[test]
    fn what_the_user_says_goes_before_what_targets_look_like() {
        let many = counted(300, 300);
        let found = read(Expected::NewClasses, &many).unwrap();
        assert_eq!((found.cells.classes().len(), found.note), (300, None));
        let found = read(Expected::Values, &["1", "0", "1"]).unwrap();
        assert_eq!((found.cells, found.note), (Cells::Values(vec![1.0, 0.0, 1.0]), None));
        let known = ["1".to_owned(), "0".to_owned()];
        let found = read(Expected::Classes(&known), &["0", "1.0"]).unwrap();
        assert_eq!(found.cells, Cells::Classes { labels: vec![1, 0], names: known.to_vec() });
    }

    #[test]
    fn a_cell_that_does_not_go_with_the_others_is_found() {
        let many = |cell: &str| [counted(200, 200), vec![cell.to_owned()], counted(200, 200)].concat();
        let cases: [(Expected<'_>, Vec<String>, usize, &str); 9] = [
            (Expected::Any, ["1.5", "?", "2.5"].map(String::from).to_vec(), 1, "a finite number"),
            (Expected::Any, ["x", "y", "2.5"].map(String::from).to_vec(), 2, "a label"),
            (Expected::Any, ["1", ""].map(String::from).to_vec(), 1, "a label"),
            (Expected::Any, ["1.5", "nan"].map(String::from).to_vec(), 1, "a label"),
            (Expected::Any, ["1.5", "1e39"].map(String::from).to_vec(), 1, "a finite number"),
            (Expected::Any, many("NA"), 200, "a finite number"),
            (Expected::NewClasses, ["1", "1.5"].map(String::from).to_vec(), 1, "text or a whole number"),
            (Expected::Values, ["1", "x"].map(String::from).to_vec(), 1, "a finite number"),
            (Expected::Classes(&["a".to_owned()]), ["a", "b"].map(String::from).to_vec(), 1, "one of the classes"),
        ];
        for (expected, cells, row, text) in cases {
            let fault = read(expected, &cells).unwrap_err();
            assert!(fault.row == row && fault.text == cells[row] && fault.expected.contains(text), "{fault:?}");
        }
        assert_eq!(
            task(&["1", "0", "?"]),
            Task::Classes,
            "a marker among few whole numbers is a class, as any text is"
        );
        let commas: Vec<String> = (0..200).map(|row| format!("0,{row:03}")).collect();
        assert_eq!(read(Expected::Any, &commas).unwrap_err().expected, FOREIGN);
        assert_eq!(task(&["1,2", "1", "2,3"]), Task::Classes, "few are names");
        let mut column = Column::new(Expected::Any);
        ["1.5", "-", "2", "None"].into_iter().for_each(|text| column.push(text).unwrap());
        let (found, without) = column.finish_with_gaps().unwrap();
        assert_eq!((found.cells, without), (Cells::Values(vec![1.5, 2.0]), vec![1, 3]));
        let words: Vec<String> = (0..5000).map(|row| format!("word {row}")).collect();
        let fault = read(Expected::Any, &words).unwrap_err();
        assert!(fault.row == 4096 && fault.expected.contains("4096 classes"), "{fault:?}");
    }
}
