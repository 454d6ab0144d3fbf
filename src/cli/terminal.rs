//! What fits a terminal: its width, lines folded to it, numbers of one width.

use std::borrow::Cow;
use std::io::IsTerminal;

use terminal_size::{Height, Width, terminal_size_of};

use super::full_screen::{self, Stream};
use super::{note, shown};

/// What lines of results are made to fit, whatever the terminal.
pub(super) const WIDTH: usize = 80;

/// Narrower than this nothing is folded.
const LEAST: usize = 20;

/// What ends a line of a command that goes on in the next one.
const CONTINUED: &str = " \\";

/// The columns of the terminal on standard error; without one what COLUMNS says, if it says anything.
fn width_of_notes() -> Option<usize> {
    let error = std::io::stderr();
    if error.is_terminal() {
        return usable(terminal_size_of(&error));
    }
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    said().filter(|width| *width >= LEAST)
}

/// The columns of the terminal on standard output. What goes elsewhere is read by programs.
fn width_of_results() -> Option<usize> {
    let output = std::io::stdout();
    if output.is_terminal() { usable(terminal_size_of(&output)) } else { None }
}

fn usable(size: Option<(Width, Height)>) -> Option<usize> {
    size.map(|(Width(width), _)| usize::from(width)).filter(|width| *width >= LEAST)
}

/// `text`, which goes to standard error, with lines that fit the terminal there, if there is one.
pub(super) fn folded_note(text: &str) -> Cow<'_, str> {
    folded(text, width_of_notes())
}

/// `text`, which goes to standard output, with lines that fit the terminal there, if there is one.
pub(super) fn folded_result(text: &str) -> Cow<'_, str> {
    folded(text, width_of_results())
}

fn folded(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width {
        Some(width) if text.lines().any(|line| line.chars().count() > width) => {
            text.lines().map(|line| fold(line, width, "")).collect::<Vec<_>>().join("\n").into()
        }
        _ => text.into(),
    }
}

/// A command that goes to standard output, with lines that fit the terminal there and can be copied as they are.
pub(super) fn folded_command(command: &str) -> Cow<'_, str> {
    match width_of_results() {
        Some(width) => fold(command, width, CONTINUED).into(),
        None => command.into(),
    }
}

/// A line on standard error that ends with a command, which has lines of its own on a terminal.
pub(super) fn note_command(line: &str, command: &str) {
    match width_of_notes() {
        Some(width) => {
            note(line);
            let folded = fold(&shown(&format!("  {command}"), &[]), width, CONTINUED);
            let _ = full_screen::write_line(Stream::Error, &folded);
        }
        None => note(&format!("{line} {command}")),
    }
}

/// `line` broken at blanks into lines of at most `width` characters where words allow it, with `end` at those that go on. With an `end`
/// it is a command: a blank within single quotes is a part of a word.
fn fold(line: &str, width: usize, end: &str) -> String {
    let words = line.trim_start_matches(' ');
    let mut folded = line[..line.len() - words.len()].to_owned();
    let mut used = folded.len();
    let mut first = true;
    let mut quoted = false;
    let parts = move |character: char| {
        quoted ^= character == '\'' && !end.is_empty();
        character == ' ' && !quoted
    };
    for word in words.split(parts) {
        let length = word.chars().count();
        if first {
            first = false;
        } else if used + 1 + length + end.chars().count() > width {
            folded += end;
            folded += "\n  ";
            used = 2;
        } else {
            folded.push(' ');
            used += 1;
        }
        folded += word;
        used += length;
    }
    folded
}

/// Lines of at most [`WIDTH`] characters with as many of `fields` each as fit, behind `indent`.
pub(super) fn packed(fields: &[String], indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for field in fields {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + field.chars().count() <= WIDTH => {
                *line += ", ";
                *line += field;
            }
            _ => lines.push(format!("{indent}{field}")),
        }
    }
    lines.join("\n")
}

/// `value` with so many digits in all, before the point and behind it.
pub(super) fn significant(value: f64, digits: usize) -> String {
    let before = if value.abs() < 10.0 { 1 } else { value.abs().log10().floor() as usize + 1 };
    format!("{value:.*}", digits.saturating_sub(before))
}

/// An error in the unit of the targets with so many digits behind the point; with a power of ten where these would say little.
pub(super) fn error_figure(value: f64, decimals: usize) -> String {
    if value != 0.0 && value.abs() < LITTLE { format!("{value:.3e}") } else { format!("{value:.decimals$}") }
}

/// The least error that is written without a power of ten.
const LITTLE: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_errors_keep_their_digits() {
        assert_eq!(
            [0.0, 1.5, 0.00123, -2.34567e-8].map(|value| error_figure(value, 6)),
            ["0.000000", "1.500000", "0.001230", "-2.346e-8"]
        );
    }

    #[test]
    fn lines_are_broken_at_blanks_and_numbers_have_one_width() {
        assert_eq!(fold("one two three four", 9, ""), "one two\n  three\n  four");
        assert_eq!(
            fold("train --data a/long/path --lr 1", 12, " \\"),
            "train \\\n  --data \\\n  a/long/path \\\n  --lr 1"
        );
        assert_eq!(fold("a 'b c d e f' g", 8, " \\"), "a \\\n  'b c d e f' \\\n  g");
        assert_eq!(fold("as it is", 80, ""), "as it is");
        let numbers = [20716.374, 537.93391, 0.345_272_9, 12.5, 1_234_567.8].map(|value| significant(value, 7));
        assert_eq!(numbers, ["20716.37", "537.9339", "0.345273", "12.50000", "1234568"]);
        let fields: Vec<String> = (0..30).map(|field| format!("field {field}")).collect();
        let lines = packed(&fields, "  ");
        assert!(lines.lines().count() > 2 && lines.lines().all(|line| line.starts_with("  f") && line.len() <= WIDTH));
    }
}
