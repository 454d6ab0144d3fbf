//! What fits a terminal: its width, lines folded to it, numbers of one width.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use terminal_size::{Width, terminal_size_of};

use super::note;

/// What lines of results are made to fit, whatever the terminal.
pub(super) const WIDTH: usize = 80;

/// Narrower than this nothing is folded.
const LEAST: usize = 20;

/// The columns of the terminal on standard error; without one what COLUMNS says, if it says anything.
fn width() -> Option<usize> {
    let error = std::io::stderr();
    let own = || terminal_size_of(&error).map(|(Width(width), _)| usize::from(width));
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width: Option<usize> = if error.is_terminal() { own() } else { said() };
    width.filter(|width| *width >= LEAST)
}

/// `line` as lines that fit the terminal, those behind the first indented; as it is where there is none.
pub(super) fn folded(line: &str) -> Cow<'_, str> {
    match width() {
        Some(width) if line.lines().any(|line| line.chars().count() > width) => {
            line.lines().map(|line| fold(line, width, "")).collect::<Vec<_>>().join("\n").into()
        }
        _ => line.into(),
    }
}

/// A command of a shell as lines that fit the terminal and can be copied as they are.
pub(super) fn folded_command(line: &str) -> Cow<'_, str> {
    match width() {
        Some(width) => fold(line, width, " \\").into(),
        None => line.into(),
    }
}

/// A line on standard error that ends with a command, which has lines of its own on a terminal.
pub(super) fn note_command(line: &str, command: &str) {
    match width() {
        Some(_) => {
            note(line);
            let _ = writeln!(std::io::stderr().lock(), "  {}", folded_command(command));
        }
        None => note(&format!("{line} {command}")),
    }
}

/// `line` broken at blanks into lines of at most `width` characters where words allow it, with `end` at those that go on.
fn fold(line: &str, width: usize, end: &str) -> String {
    let words = line.trim_start_matches(' ');
    let mut folded = line[..line.len() - words.len()].to_owned();
    let mut used = folded.len();
    let mut first = true;
    for word in words.split(' ') {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_numbers_have_one_width() {
        assert_eq!(fold("one two three four", 9, ""), "one two\n  three\n  four");
        assert_eq!(
            fold("train --data a/long/path --lr 1", 12, " \\"),
            "train \\\n  --data \\\n  a/long/path \\\n  --lr 1"
        );
        assert_eq!(fold("as it is", 80, ""), "as it is");
        let numbers = [20716.374, 537.93391, 0.345_272_9, 12.5, 1_234_567.8].map(|value| significant(value, 7));
        assert_eq!(numbers, ["20716.37", "537.9339", "0.345273", "12.50000", "1234568"]);
        let fields: Vec<String> = (0..30).map(|field| format!("field {field}")).collect();
        let lines = packed(&fields, "  ");
        assert!(lines.lines().count() > 2 && lines.lines().all(|line| line.starts_with("  f") && line.len() <= WIDTH));
    }
}
