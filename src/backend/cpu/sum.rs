//! The sum of a batch's losses.

/// The sum of `values`.
pub fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}
