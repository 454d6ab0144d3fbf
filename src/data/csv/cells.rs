//! What a cell holds, and how messages show it.

use std::borrow::Cow;

/// Cells that stand for a missing value, in lower case, whatever their column holds.
const MISSING: [&str; 12] = ["", "?", "na", "n/a", "nan", "null", "#n/a", "<na>", "#na", "n.a.", "\\n", "#null!"];
/// Cells that do so among numbers, dates and yes or no; as text they may be a value like any other.
const MISSING_NUMBERS: [&str; 20] = [
    "-", ".", "none", "--", "...", "*", "nil", "(null)", "nat", "-nan", "+nan", "1.#qnan", "-1.#ind", "1.#ind",
    "#div/0!", "#value!", "#ref!", "#num!", "#name?", "-1.#nan",
];
/// What money is marked with, before or after its number. Those that begin like others come first.
const MONEY: [&str; 48] = [
    "US$", "R$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺", "USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "AUD", "CAD",
    "NZD", "SEK", "NOK", "DKK", "ISK", "PLN", "CZK", "HUF", "RON", "BGN", "RUB", "UAH", "TRY", "ILS", "BRL", "MXN",
    "ARS", "CLP", "COP", "ZAR", "KRW", "SGD", "HKD", "TWD", "THB", "IDR", "MYR", "AED", "SAR",
];

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
        listed(&MISSING, trimmed(cell)) || self.is_marked_missing(cell)
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
            _ if self.is_missing(cell) || listed(&MISSING_NUMBERS, trimmed(cell)) => Number::Missing,
            _ => match without_unit(cell) {
                Some(bare) => self.bare(&bare),
                None => self.marked(cell),
            },
        }
    }

    /// A number that had a unit.
    fn bare(&self, Bare { minus, digits }: &Bare) -> Number {
        let found = match fast_float2::parse::<f64, _>(digits) {
            _ if digits == "-" => Number::Missing,
            Ok(value) if value.is_finite() && !(self.comma && is_grouped(digits.as_bytes(), b'.')) => held(value),
            _ => self.marked(digits.as_bytes()),
        };
        match found {
            Number::Value(value) if self.is_marked_number(if *minus { -value } else { value }) => Number::Missing,
            Number::Value(value) if *minus => Number::Value(0.0 - value),
            found => found,
        }
    }

    /// A number with a decimal comma, or with marks between thousands.
    fn marked(&self, cell: &[u8]) -> Number {
        let (decimal, group) = if self.comma { (b',', b'.') } else { (b'.', b',') };
        if cell.len() > 40
            || !cell.iter().any(|byte| matches!(byte, b',' | b' ' | b'\'') || self.comma && *byte == b'.')
        {
            return Number::Text;
        }
        let whole = cell.iter().position(|byte| *byte == decimal).map_or(cell, |at| &cell[..at]);
        let broken = &cell[whole.len()..];
        let group = [group, b' ', b'\''].into_iter().find(|group| cell.contains(group)).unwrap_or(group);
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

/// A number without what stands around it.
#[derive(Debug, PartialEq)]
pub(super) struct Bare {
    /// Whether it is below 0.
    minus: bool,
    /// Its digits with the marks between them, of which those that are not ASCII are their like in it; or a dash alone.
    digits: String,
}

/// A number without its percent sign or its money, and without what else people write that is not plain digits: blanks and
/// apostrophes between thousands, parentheses around money that is owed, a typographic minus. None where a cell has none of these.
pub(super) fn without_unit(cell: &[u8]) -> Option<Bare> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-' | b'+' | b'e' | b'E');
    // Most text is none of these at first sight.
    if cell.len() > 64 || cell.first().is_none_or(u8::is_ascii_lowercase) || cell.iter().all(is_plain) {
        return None;
    }
    let like = |mark: char| match mark {
        '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
        '’' => '\'',
        '−' => '-',
        mark => mark,
    };
    let text: String = decode(cell).0.chars().map(like).collect();
    let within = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).map(str::trim);
    let (sign, signed) = without_sign(within.unwrap_or(&text));
    let digits = without_money(signed);
    let has_unit = digits.len() < signed.len();
    let (inner, digits) =
        if has_unit && sign.is_none() && digits != "-" { without_sign(digits) } else { (None, digits) };
    // Numbers alone in parentheses may count something.
    let owed = within.is_some();
    if owed && (sign.or(inner).is_some() || !has_unit && !digits.contains([',', '.', ' ', '\''])) {
        return None;
    }
    let begins = digits.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | ','));
    (begins || has_unit && digits == "-")
        .then(|| Bare { minus: owed || sign.or(inner) == Some('-'), digits: digits.to_owned() })
}

/// The sign at the start of a text, and what follows it.
fn without_sign(text: &str) -> (Option<char>, &str) {
    match text.chars().next() {
        Some(sign @ ('-' | '+')) if text.len() > 1 => (Some(sign), text[1..].trim_start()),
        _ => (None, text),
    }
}

/// What a text says beside money before it and money or a percent sign after it.
fn without_money(text: &str) -> &str {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    let [is_before, is_after] = ends.map(|end| end.is_some_and(|byte| !byte.is_ascii_digit()));
    let before = || MONEY.iter().find_map(|money| text.strip_prefix(money));
    let text = if is_before { before().unwrap_or(text).trim_start() } else { text };
    let after = || text.strip_suffix('%').or_else(|| MONEY.iter().find_map(|money| text.strip_suffix(money)));
    if is_after { after().unwrap_or(text).trim_end() } else { text }
}

fn held(value: f64) -> Number {
    if (value as f32).is_finite() { Number::Value(value) } else { Number::TooLarge }
}

fn listed(marks: &[&str], cell: &[u8]) -> bool {
    cell.len() < 8 && marks.iter().any(|mark| mark.as_bytes().eq_ignore_ascii_case(cell))
}

/// A cell without the white space around it, of whatever script.
fn trimmed(cell: &[u8]) -> &[u8] {
    let is_ascii = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii);
    if is_ascii(cell.first()) && is_ascii(cell.last()) {
        return cell;
    }
    match std::str::from_utf8(cell) {
        Ok(text) => text.trim().as_bytes(),
        // The no-break space of Windows-1252.
        Err(_) => {
            let is_space = |byte: &u8| *byte == 0xa0 || byte.is_ascii_whitespace();
            let end = cell.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
            &cell[cell[..end].iter().take_while(|byte| is_space(byte)).count()..end]
        }
    }
}

/// Whether a cell stands for a missing value, in a column of whatever kind.
pub(crate) fn is_missing(cell: &str) -> bool {
    listed(&MISSING, cell.as_bytes()) || listed(&MISSING_NUMBERS, cell.as_bytes())
}

/// Whether a cell is a whole number of which `group` parts the thousands: 1,234,567. No such number begins with 0.
pub(super) fn is_grouped(cell: &[u8], group: u8) -> bool {
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    let mut parts = digits.split(|byte| *byte == group);
    let first = parts.next().unwrap_or_default();
    let all = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let mut rest = parts.peekable();
    (1..=3).contains(&first.len())
        && first[0] != b'0'
        && all(first)
        && rest.peek().is_some()
        && rest.all(|part| part.len() == 3 && all(part))
}

/// Whether a cell is a number with a decimal comma: 1,5.
pub(super) fn has_decimal_comma(cell: &[u8]) -> bool {
    match without_unit(cell) {
        // Money often has thousands.
        Some(Bare { digits, .. }) => is_comma_number(digits.as_bytes()) && !is_grouped(digits.as_bytes(), b','),
        None => is_comma_number(cell),
    }
}

/// The same of a number without a unit.
fn is_comma_number(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    let mut parts = digits.splitn(2, |byte| *byte == b',');
    let (whole, broken) = (parts.next().unwrap_or_default(), parts.next());
    let end = |part: &[u8]| part.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(part.len());
    let exponent = |rest: &[u8]| rest.is_empty() || matches!(rest[0], b'e' | b'E');
    let grouped = [b'.', b' ', b'\''].into_iter().any(|group| is_grouped(whole, group));
    broken.is_some_and(|broken| {
        let at = end(broken);
        (end(whole) == whole.len() || grouped) && whole.len() + at > 0 && at > 0 && exponent(&broken[at..])
    })
}

/// The text of a cell without white space around it: UTF-8, else Windows-1252, and whether it was the latter.
pub(super) fn decode(cell: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(cell) {
        Ok(text) => (Cow::Borrowed(text.trim()), false),
        Err(_) => (encoding_rs::WINDOWS_1252.decode_without_bom_handling(trimmed(cell)).0, true),
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
            ("$ -", Number::Missing),
            ("-$5", Number::Value(-5.0)),
            ("$-5", Number::Value(-5.0)),
            ("($5.00)", Number::Value(-5.0)),
            ("(1,234)", Number::Value(-1234.0)),
            ("(5)", Number::Text),
            ("(-5.0)", Number::Text),
            ("12.34 EUR", Number::Value(12.34)),
            ("USD -1,200", Number::Value(-1200.0)),
            ("ABC 5", Number::Text),
            ("12 345.67", Number::Value(12_345.67)),
            ("12\u{a0}345", Number::Value(12_345.0)),
            ("12\u{202f}345 %", Number::Value(12_345.0)),
            ("12'345.67", Number::Value(12_345.67)),
            ("12’345", Number::Value(12_345.0)),
            ("12 34", Number::Text),
            ("1 234,567", Number::Text),
            ("1 234'567", Number::Text),
            ("\u{a0}5", Number::Value(5.0)),
            ("−5.5", Number::Value(-5.5)),
            ("--5", Number::Text),
            ("0,094", Number::Text),
            ("00,123", Number::Text),
            ("-0,094", Number::Text),
            ("1,5", Number::Text),
            ("12,34", Number::Text),
            ("1.234,5", Number::Text),
            ("0x1", Number::Text),
            ("abc", Number::Text),
            ("?", Number::Missing),
            ("NaN", Number::Missing),
            ("-", Number::Missing),
            ("NaT", Number::Missing),
            ("-nan", Number::Missing),
            ("1.#QNAN", Number::Missing),
            ("#DIV/0!", Number::Missing),
            ("(null)", Number::Missing),
            ("NA\u{a0}", Number::Missing),
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
            ("0.607", Number::Value(0.607)),
            ("12 345,67", Number::Value(12_345.67)),
            ("12\u{a0}345,67 €", Number::Value(12_345.67)),
            ("12'345,67", Number::Value(12_345.67)),
            ("1.5 €", Number::Value(1.5)),
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
        assert!(
            has_decimal_comma("12\u{a0}345,67".as_bytes())
                && has_decimal_comma(b"1,5 %")
                && !has_decimal_comma(b"$1,234")
        );
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
        assert_eq!((decode(b"caf\xe9\xa0").0, decode("a b\u{a0}".as_bytes()).0), ("café".into(), "a b".into()));
    }
}
