//! Texts that say yes or no.

/// Pairs of texts, in lower case, that are 0 and 1.
pub(super) const PAIRS: [[&str; 2]; 5] = [["false", "true"], ["no", "yes"], ["f", "t"], ["n", "y"], ["off", "on"]];

/// Whether `text` says yes or no, in whatever way.
pub(super) fn truth(text: &str) -> Option<bool> {
    let pairs = PAIRS.iter().chain(&[["0", "1"], ["0.0", "1.0"]]);
    let mut places = pairs.filter_map(|pair| pair.iter().position(|value| value.eq_ignore_ascii_case(text)));
    places.next().map(|place| place == 1)
}
