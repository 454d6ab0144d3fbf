//! The comparator of all checks: `|a - b| <= atol + rtol |b|`, written so that NaN fails.

/// How far an actual value may lie from the expected one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f64,
    /// Part relative to the expected value.
    pub relative: f64,
}

impl Tolerance {
    /// Nothing but the same value.
    pub const EXACT: Self = Self { absolute: 0.0, relative: 0.0 };

    /// For sums of `length` products of values around 1 in f32: rounding errors add up as a random walk, so both parts
    /// grow with the square root of the length.
    pub fn of_sum(length: usize) -> Self {
        let rounding = f64::from(f32::EPSILON) * (length as f64).sqrt();
        Self { absolute: 8.0 * rounding, relative: 4.0 * rounding }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The element that fits worst, with its actual and expected value; none where there was nothing to compare.
    pub worst: Option<(usize, f32, f32)>,
    /// The worst element's error over what is allowed: at most 1 where all fits.
    pub ratio: f64,
    /// What was wrong with the lengths, if they differ.
    pub lengths: Option<(usize, usize)>,
}

impl Comparison {
    /// Whether everything was within tolerance.
    pub fn passed(&self) -> bool {
        self.lengths.is_none() && self.ratio <= 1.0
    }

    /// The worst element's absolute error; 0 where there was nothing to compare.
    pub fn error(&self) -> f64 {
        self.worst.map_or(0.0, |(_, actual, expected)| (f64::from(actual) - f64::from(expected)).abs())
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.lengths, self.worst) {
            (Some((actual, expected)), _) => write!(f, "{actual} values instead of {expected}"),
            (None, None) => write!(f, "nothing to compare"),
            (None, Some((index, actual, expected))) => {
                write!(f, "worst at {index}: {actual:e}, expected {expected:e} ({:.3} of the tolerance)", self.ratio)
            }
        }
    }
}

/// Compares element by element.
pub fn compare(actual: &[f32], expected: &[f32], tolerance: Tolerance) -> Comparison {
    if actual.len() != expected.len() {
        let lengths = Some((actual.len(), expected.len()));
        return Comparison { worst: None, ratio: f64::INFINITY, lengths };
    }
    let mut comparison = Comparison { worst: None, ratio: 0.0, lengths: None };
    for (index, (&a, &b)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - f64::from(b)).abs();
        let allowed = tolerance.absolute + tolerance.relative * f64::from(b).abs();
        let ratio = if error == 0.0 { 0.0 } else { error / allowed };
        // Not `ratio <= worst`: that is false for NaN, which must win.
        let better = ratio < comparison.ratio || (ratio == comparison.ratio && comparison.worst.is_some());
        if comparison.ratio.is_nan() || better {
            continue;
        }
        comparison.worst = Some((index, a, b));
        comparison.ratio = ratio;
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOSE: Tolerance = Tolerance { absolute: 1e-3, relative: 1e-3 };

    #[test]
    fn equal_values_pass_even_exactly() {
        let values = [0.0, -1.5, 3e30, f32::MIN_POSITIVE];
        assert!(compare(&values, &values, Tolerance::EXACT).passed());
        assert!(compare(&[], &[], Tolerance::EXACT).passed());
    }

    #[test]
    fn nan_fails_wherever_it_stands() {
        for (a, b) in [(f32::NAN, 1.0), (1.0, f32::NAN), (f32::NAN, f32::NAN)] {
            for at in 0..3 {
                let (mut actual, mut expected) = ([1.0, 2.0, 9.0], [1.0, 2.0, 3.0]);
                (actual[at], expected[at]) = (a, b);
                assert!(!compare(&actual, &expected, Tolerance { absolute: 1e9, relative: 1e9 }).passed());
            }
        }
    }

    #[test]
    fn infinity_fails() {
        assert!(!compare(&[f32::INFINITY], &[1.0], LOOSE).passed());
        assert!(!compare(&[1.0], &[f32::INFINITY], Tolerance::EXACT).passed());
    }

    #[test]
    fn one_perturbed_element_of_many_fails_and_is_named() {
        let expected: Vec<f32> = (0..1000).map(|i| i as f32 / 100.0).collect();
        let mut actual = expected.clone();
        actual[417] += 0.01;
        let comparison = compare(&actual, &expected, LOOSE);
        assert!(!comparison.passed());
        assert_eq!(comparison.worst.map(|(index, ..)| index), Some(417));
        assert!(comparison.to_string().contains("417"), "{comparison}");
    }

    #[test]
    fn the_edge_is_absolute_plus_relative_of_the_expected() {
        let tolerance = Tolerance { absolute: 0.25, relative: 0.5 };
        assert!(compare(&[2.25], &[4.0 / 3.0], tolerance).passed());
        assert!(compare(&[1.75], &[1.0], tolerance).passed());
        assert!(!compare(&[1.76], &[1.0], tolerance).passed());
    }

    #[test]
    fn different_lengths_fail() {
        assert!(!compare(&[1.0], &[1.0, 2.0], LOOSE).passed());
    }
}
