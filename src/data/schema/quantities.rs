//! Numbers with a unit behind them: 5 kg, 1,248 CC, 36 months.

use crate::data::csv;

/// The most bytes of a unit.
const LONGEST: usize = 24;
/// The most units of a column that are told apart.
const MOST_UNITS: usize = 16;

/// The number that a text begins with, whose decimal mark is a comma or a point, and the unit behind it, which may be empty, without
/// the blanks around it.
fn parts(text: &str, comma: bool) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|mark: char| !(mark.is_ascii_digit() || "+-.,'".contains(mark))).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((csv::number(digits, comma)?, unit.trim_start()))
}

/// Whether `unit` may be one: it begins with a letter or a sign such as a degree's.
fn is_unit(unit: &str) -> bool {
    unit.len() <= LONGEST && unit.starts_with(|mark: char| mark.is_alphabetic() || "°%/'\"".contains(mark))
}

/// Whether a letter follows its number without a blank: 3A is a name.
fn is_name(text: &str) -> bool {
    let mut marks = text.trim().chars().rev();
    marks.next().is_some_and(char::is_alphabetic) && marks.next().is_some_and(|mark| mark.is_ascii_digit())
}

/// The unit behind the number that a text begins with, if there is one.
fn unit_of(text: &str, comma: bool) -> Option<&str> {
    let (_, unit) = parts(text, comma)?;
    (is_unit(unit) && !is_name(text)).then_some(unit)
}

/// The unit that stands behind a number in all of `texts`, of which there are some.
pub(super) fn unit<'a>(mut texts: impl Iterator<Item = &'a str>, comma: bool) -> Option<&'a str> {
    let unit = unit_of(texts.next()?, comma)?;
    texts.all(|text| unit_of(text, comma).is_some_and(|own| own.eq_ignore_ascii_case(unit))).then_some(unit)
}

/// The unit that most of `texts` have behind a number, if some have.
pub(super) fn usual<'a>(texts: impl Iterator<Item = &'a str>, comma: bool) -> Option<&'a str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for unit in texts.filter_map(|text| unit_of(text, comma)) {
        match counts.iter().position(|(other, _)| other.eq_ignore_ascii_case(unit)) {
            Some(at) => counts[at].1 += 1,
            None if counts.len() < MOST_UNITS => counts.push((unit, 1)),
            None => {}
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(unit, _)| unit)
}

/// The number of a text in which `unit` may follow it.
pub(super) fn number(text: &str, unit: &str, comma: bool) -> Option<f64> {
    parts(text, comma).filter(|(_, own)| own.is_empty() || own.eq_ignore_ascii_case(unit)).map(|(value, _)| value)
}

/// Whether a text is a number, whatever is behind it.
pub(super) fn has_number(text: &str, comma: bool) -> bool {
    parts(text, comma).is_some()
}

/// Whether a text is `unit` alone, without a number.
pub(super) fn is_bare(text: &str, unit: &str) -> bool {
    text.trim().eq_ignore_ascii_case(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_what_stands_behind_all_numbers() {
        for (texts, found) in [
            (&["5 kg", "12.5 kg", " 7 KG"][..], Some("kg")),
            (&["1248 CC", "1,498 CC"], Some("CC")),
            (&["5kg", "6kg"], Some("kg")),
            (&["-3 °C", "+4.5 °C"], Some("°C")),
            (&[" 36 months", " 60 months"], Some("months")),
            (&["3 A", "4 A"], Some("A")),
            (&["3A", "4A"], None),
            (&["3 A", "4A"], None),
            (&["5 kg", "5 lb"], None),
            (&["5 kg", "6"], None),
            (&["5 kg", "kg"], None),
            (&["12 Main Street", "13 Main Road"], None),
            (&["1-2 kg"], None),
            (&["1,24 kg"], None),
            (&["kg 5"], None),
            (&["10"], None),
            (&[], None),
        ] {
            assert_eq!(unit(texts.iter().copied(), false), found, "{texts:?}");
        }
    }

    #[test]
    fn numbers_are_read_with_their_unit_or_without() {
        for (text, value) in [
            ("1,498.5 CC", Some(1498.5)),
            ("-2cc", Some(-2.0)),
            (" 7 ", Some(7.0)),
            ("7 kg", None),
            ("CC", None),
            ("12,34 CC", None),
            ("1e400 CC", None),
        ] {
            assert_eq!(number(text, "CC", false), value, "{text:?}");
        }
        assert_eq!(number("1.498,5 CC", "CC", true), Some(1498.5));
        assert_eq!(number("12,5 CC", "CC", true), Some(12.5));
        assert!(is_bare(" cc", "CC") && !is_bare("1 cc", "CC"));
        assert_eq!(usual(["5 kg", "unknown", "7 lb", "8 KG"].into_iter(), false), Some("kg"));
        assert!(has_number("7 lb", false) && !has_number("unknown", false));
    }
}
