//! What the labels of published data sets stand for.

const FASHION: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
/// The syllables of KMNIST: お き す つ な は ま や れ を.
const KMNIST: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Digits, capitals, and those small letters that are no smaller capitals.
const MERGED: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt";
const ALL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What the labels `classes` of the data set `set` stand for; none where it is no published set, its labels are their own names, or
/// these are no labels of it.
pub fn class_names(set: &str, classes: &[String]) -> Option<Vec<String>> {
    let name = |label: &String| {
        let number: usize = label.parse().ok()?;
        match set {
            "fashion-mnist" => FASHION.get(number).map(|name| (*name).to_owned()),
            "kmnist" => KMNIST.get(number).map(|name| (*name).to_owned()),
            "emnist-balanced" | "emnist-bymerge" => MERGED.chars().nth(number).map(String::from),
            "emnist-byclass" => ALL.chars().nth(number).map(String::from),
            "emnist-letters" => LETTERS.chars().nth(number.checked_sub(1)?).map(String::from),
            _ => None,
        }
    };
    classes.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::{catalogue, numbered};

    #[test]
    fn labels_are_told_by_what_they_stand_for() {
        let name = |set, label: &str| class_names(set, &[label.to_owned()]).map(|names| names.concat());
        assert_eq!(name("fashion-mnist", "9").as_deref(), Some("Ankle boot"));
        assert_eq!(name("kmnist", "3").as_deref(), Some("tsu"));
        assert_eq!(["1", "26"].map(|label| name("emnist-letters", label)), ["A", "Z"].map(|name| Some(name.into())));
        assert_eq!(["10", "36", "46"].map(|label| name("emnist-balanced", label).unwrap_or_default()), ["A", "a", "t"]);
        assert_eq!(name("emnist-byclass", "61").as_deref(), Some("z"));
        for (set, label) in
            [("mnist", "1"), ("emnist-digits", "1"), ("emnist-letters", "0"), ("fashion-mnist", "shirt")]
        {
            assert_eq!(name(set, label), None, "{set} {label}");
        }
        // No set has more labels than names, nor two of one name.
        for (set, first, count) in [
            ("fashion-mnist", 0, 10),
            ("kmnist", 0, 10),
            ("emnist-bymerge", 0, 47),
            ("emnist-byclass", 0, 62),
            ("emnist-letters", 1, 26),
        ] {
            let labels = numbered(first + count + 1);
            let names = class_names(set, &labels[first..first + count]).unwrap_or_default();
            assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), count, "{set}");
            assert!(class_names(set, &labels[first..]).is_none() && catalogue::set(set).is_some(), "{set}");
        }
    }
}
