//! What a cell holds, and how messages show it.

use std::borrow::Cow;

/// Cells that stand for a missing value, in lower case, whatever their column holds.
const MISSING: [&str; 12] = ["", "?", "na", "n/a", "nan", "null", "#n/a", "<na>", "#na", "n.a.", "\\n", "#null!"];
/// Cells that do so among numbers alone; as text they may be a value like any other.
const MISSING_NUMBERS: [&str; 6] = ["-", ".", "none", "--", "...", "*"];

/// The mark between the whole and the broken part of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// What the first lines look like
    #[default]
    Auto,
    /// 1.5; commas may part thousands in quoted cells
    Dot,
    /// 1,5; dots may part thousands
    Comma,
}

/// A cell of a column of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Value(f64),
    Missing,
    /// Infinity, or beyond what float32 holds.
    TooLarge,
    Text,
}

/// How cells are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// Whether a comma is the decimal mark.
    pub(super) comma: bool,
    /// Further cells that stand for a missing value.
    pub(super) missing: Vec<String>,
}

impl Reading {
    /// Whether a cell of any column stands for a missing value.
    pub(super) fn is_missing(&self, cell: &[u8]) -> bool {
        // Most cells are longer than all marks, or are not one at first sight.
        listed(&MISSING, cell) || self.is_marked_missing(cell)
    }

    /// Whether the user says that a cell stands for a missing value, which may be a number such as -999.
    fn is_marked_missing(&self, cell: &[u8]) -> bool {
        self.missing.iter().any(|mark| mark.as_bytes() == cell)
    }

    /// Whether the user says that a number stands for a missing value, however it is written.
    fn is_marked_number(&self, value: f64) -> bool {
        self.missing.iter().any(|mark| mark.parse() == Ok(value))
    }

    /// What a cell holds in a column of numbers.
    pub(super) fn number(&self, cell: &[u8]) -> Number {
        if self.is_marked_missing(cell) {
            return Number::Missing;
        }
        match fast_float2::parse::<f64, _>(cell) {
            Ok(value) if self.is_marked_number(value) => Number::Missing,
            Ok(value) if value.is_finite() && !(self.comma && is_grouped(cell, b'.')) => held(value),
            Ok(value) if value.is_infinite() => Number::TooLarge,
            _ if self.is_missing(cell) || listed(&MISSING_NUMBERS, cell) => Number::Missing,
            _ => match without_unit(cell) {
                Some(number) if !matches!(number, [] | [b'n' | b'N' | b'i' | b'I', ..]) => self.number(number),
                _ => self.marked(cell),
            },
        }
    }

    /// A number with a decimal comma, or with marks between thousands.
    fn marked(&self, cell: &[u8]) -> Number {
        let (decimal, group) = if self.comma { (b',', b'.') } else { (b'.', b',') };
        let commas = cell.contains(&b',');
        if cell.len() > 40 || !(commas || self.comma && cell.contains(&b'.')) {
            return Number::Text;
        }
        let whole = cell.iter().position(|byte| *byte == decimal).map_or(cell, |at| &cell[..at]);
        let broken = &cell[whole.len()..];
        if whole.contains(&group) && !is_grouped(whole, group) || broken.contains(&group) {
            return Number::Text;
        }
        let plain: Vec<u8> = cell
            .iter()
            .filter(|byte| **byte != group)
            .map(|byte| if *byte == decimal { b'.' } else { *byte })
            .collect();
        match fast_float2::parse::<f64, _>(&plain[..]) {
            Ok(value) if value.is_finite() => held(value),
            _ => Number::Text,
        }
    }
}

/// What a cell says beside a percent sign or a sign of money; none where it has no such sign.
pub(super) fn without_unit(cell: &[u8]) -> Option<&[u8]> {
    const MONEY: [&str; 4] = ["$", "€", "£", "¥"];
    let before = MONEY.iter().find_map(|sign| cell.strip_prefix(sign.as_bytes()));
    let after = || ["%", "€", "$"].iter().find_map(|sign| cell.strip_suffix(sign.as_bytes()));
    before.or_else(after).map(<[u8]>::trim_ascii)
}

fn held(value: f64) -> Number {
    if (value as f32).is_finite() { Number::Value(value) } else { Number::TooLarge }
}

fn listed(marks: &[&str], cell: &[u8]) -> bool {
    cell.len() < 8 && marks.iter().any(|mark| mark.as_bytes().eq_ignore_ascii_case(cell))
}

/// Whether a cell stands for a missing value, in a column of whatever kind.
pub(crate) fn is_missing(cell: &str) -> bool {
    listed(&MISSING, cell.as_bytes()) || listed(&MISSING_NUMBERS, cell.as_bytes())
}

/// Whether a cell is a whole number of which `group` parts the thousands: 1,234,567.
pub(super) fn is_grouped(cell: &[u8], group: u8) -> bool {
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    let mut parts = digits.split(|byte| *byte == group);
    let first = parts.next().unwrap_or_default();
    let all = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let mut rest = parts.peekable();
    (1..=3).contains(&first.len())
        && all(first)
        && rest.peek().is_some()
        && rest.all(|part| part.len() == 3 && all(part))
}

/// Whether a cell is a number with a decimal comma and nothing else unusual: 1,5.
pub(super) fn has_decimal_comma(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    let mut parts = digits.splitn(2, |byte| *byte == b',');
    let (whole, broken) = (parts.next().unwrap_or_default(), parts.next());
    let end = |part: &[u8]| part.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(part.len());
    let exponent = |rest: &[u8]| rest.is_empty() || matches!(rest[0], b'e' | b'E');
    let grouped = is_grouped(whole, b'.');
    broken.is_some_and(|broken| {
        let at = end(broken);
        (end(whole) == whole.len() || grouped) && whole.len() + at > 0 && at > 0 && exponent(&broken[at..])
    })
}

/// The text of a cell: UTF-8, else Windows-1252, and whether it was the latter.
pub(super) fn decode(cell: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(cell) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (encoding_rs::WINDOWS_1252.decode_without_bom_handling(cell).0, true),
    }
}

/// What a cell is among numbers, for a message.
pub(super) fn described(cell: &str) -> &'static str {
    match () {
        () if has_decimal_comma(cell.as_bytes()) => "a number with a comma",
        () if is_missing(cell) => "missing",
        () if cell.trim_start_matches(['-', '+']).to_ascii_lowercase().starts_with("inf") => "no finite number",
        () if cell.parse::<f64>().is_ok() => "a number beyond those of float32",
        () => "text",
    }
}

/// A cell as a message shows it: on one line, and not too long.
pub(in crate::data) fn show(text: &str) -> String {
    if text.is_empty() {
        return "an empty cell".into();
    }
    let short: String = text.chars().take(40).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_ways_of_writing_them() {
        let (dot, comma) = (Reading::default(), Reading { comma: true, ..Reading::default() });
        for (cell, expected) in [
            ("1.5", Number::Value(1.5)),
            ("-3e2", Number::Value(-300.0)),
            ("+.5", Number::Value(0.5)),
            ("1,234.5", Number::Value(1234.5)),
            ("-1,234,567", Number::Value(-1_234_567.0)),
            ("13.5%", Number::Value(13.5)),
            ("$1,200.50", Number::Value(1200.5)),
            ("€ 5", Number::Value(5.0)),
            ("$", Number::Text),
            ("$nan", Number::Text),
            ("1,5", Number::Text),
            ("12,34", Number::Text),
            ("1.234,5", Number::Text),
            ("0x1", Number::Text),
            ("abc", Number::Text),
            ("?", Number::Missing),
            ("NaN", Number::Missing),
            ("-", Number::Missing),
            ("-inf", Number::TooLarge),
            ("1e39", Number::TooLarge),
        ] {
            assert_eq!(dot.number(cell.as_bytes()), expected, "{cell}");
        }
        for (cell, expected) in [
            ("1,5", Number::Value(1.5)),
            ("-0,25e1", Number::Value(-2.5)),
            ("1.234,5", Number::Value(1234.5)),
            ("1.234", Number::Value(1234.0)),
            ("1.5", Number::Value(1.5)),
            ("1,2,3", Number::Text),
            ("n/a", Number::Missing),
        ] {
            assert_eq!(comma.number(cell.as_bytes()), expected, "{cell}");
        }
        let marked = Reading { comma: false, missing: vec!["-999".into(), "none".into()] };
        for (cell, expected) in [
            ("-999", Number::Missing),
            ("-999.0", Number::Missing),
            ("none", Number::Missing),
            ("-999.5", Number::Value(-999.5)),
            ("?", Number::Missing),
        ] {
            assert_eq!(marked.number(cell.as_bytes()), expected, "{cell}");
        }
        assert!(has_decimal_comma(b"1.234,56") && !has_decimal_comma(b"1,2,3") && !has_decimal_comma(b"a,5"));
    }

    #[test]
    fn a_cell_is_named_for_what_it_is() {
        for (cell, what) in [
            ("1,5", "a number with a comma"),
            ("?", "missing"),
            ("inf", "no finite number"),
            ("1e39", "float32"),
            ("x", "text"),
        ] {
            assert!(described(cell).contains(what), "{cell}");
        }
        assert_eq!(decode(b"caf\xe9"), ("café".into(), true));
    }
}
