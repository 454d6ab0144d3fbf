//! Numbers with a unit behind them: 5 kg, 1,248 CC, 36 months.

/// The most bytes of a unit.
const LONGEST: usize = 24;

/// The number that a text begins with, and the unit behind it, which may be empty, without the blanks around it.
fn parts(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|mark: char| !(mark.is_ascii_digit() || "+-.,".contains(mark))).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let (sign, unsigned) = match digits.strip_prefix(['+', '-']) {
        Some(rest) => (if digits.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, digits),
    };
    // fast_float would take signs, and commas only part thousands.
    let plain = if unsigned.contains(',') { without_groups(unsigned)? } else { unsigned.to_owned() };
    if plain.contains(['+', '-']) {
        return None;
    }
    Some((sign * fast_float2::parse::<f64, _>(&plain).ok().filter(|value| value.is_finite())?, unit.trim_start()))
}

/// `1,234.5` as `1234.5`.
fn without_groups(digits: &str) -> Option<String> {
    let (whole, broken) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let is_whole = (1..=3).contains(&first.len()) && groups.clone().all(|group| group.len() == 3);
    (is_whole && !broken.contains(',')).then(|| first.to_owned() + &groups.collect::<String>() + broken)
}

/// Whether `unit` may be one: it begins with a letter or a sign such as a degree's.
fn is_unit(unit: &str) -> bool {
    unit.len() <= LONGEST && unit.starts_with(|mark: char| mark.is_alphabetic() || "°%/'\"".contains(mark))
}

/// The unit that stands behind a number in all of `texts`, of which there are some. None where a single letter follows its number
/// without a blank: 3A is a name.
pub(super) fn unit<'a>(mut texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = texts.next()?;
    let (_, unit) = parts(first).filter(|(_, unit)| is_unit(unit))?;
    let is_apart = |text: &str| text.strip_suffix(unit).is_some_and(|number| number.ends_with(char::is_whitespace));
    let is_name = unit.chars().count() == 1 && unit.starts_with(char::is_alphabetic) && !is_apart(first.trim());
    let has_it = |text: &str| parts(text).is_some_and(|(_, own)| own.eq_ignore_ascii_case(unit));
    (!is_name && texts.all(has_it)).then_some(unit)
}

/// The number of a text in which `unit` may follow it.
pub(super) fn number(text: &str, unit: &str) -> Option<f64> {
    parts(text).filter(|(_, own)| own.is_empty() || own.eq_ignore_ascii_case(unit)).map(|(value, _)| value)
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
            assert_eq!(unit(texts.iter().copied()), found, "{texts:?}");
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
            assert_eq!(number(text, "CC"), value, "{text:?}");
        }
        assert!(is_bare(" cc", "CC") && !is_bare("1 cc", "CC"));
    }
}
