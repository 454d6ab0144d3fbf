//! The scaling of features: fitted on the training part, kept with the model, and applied to all data that the model
//! meets.

use serde::{Deserialize, Serialize};

/// The kind of scaling. Each feature is scaled by numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// As they are
    None,
    /// To 0 for the least and 1 for the greatest value of the training part
    Minmax,
    /// To mean 0 and standard deviation 1 over the training part
    Standard,
    /// Divided by 255
    #[value(name = "255")]
    #[serde(rename = "255")]
    Bytes,
}

/// The numbers of a scaling: `x = (raw - offset) / divisor`, feature by feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// One offset per feature.
    pub offset: Vec<f32>,
    /// One divisor per feature, none of them 0.
    pub divisor: Vec<f32>,
}

impl Scaling {
    /// Fits the scaling `scale` to `rows`, row-major with `width` features per row. A constant feature has divisor 1.
    pub fn fit(scale: Scale, rows: &[f32], width: usize) -> Self {
        let same = |value: f32| vec![value; width];
        let (lowest, highest) = match scale {
            Scale::None => return Self { offset: same(0.0), divisor: same(1.0) },
            Scale::Bytes => return Self { offset: same(0.0), divisor: same(255.0) },
            Scale::Minmax | Scale::Standard => range(rows, width),
        };
        let (offset, mut divisor) = match scale {
            Scale::Standard => moments(rows, width),
            _ => (lowest.clone(), highest.iter().zip(&lowest).map(|(highest, lowest)| highest - lowest).collect()),
        };
        for ((divisor, lowest), highest) in divisor.iter_mut().zip(lowest).zip(highest) {
            if lowest == highest || *divisor == 0.0 {
                *divisor = 1.0;
            }
        }
        Self { offset, divisor }
    }

    /// Scales `rows`, row-major, in place.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.offset.len().max(1)) {
            for ((value, offset), divisor) in row.iter_mut().zip(&self.offset).zip(&self.divisor) {
                *value = (*value - offset) / divisor;
            }
        }
    }

    /// Reverts the scaling of `rows`, except for rounding.
    pub fn undo(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.offset.len().max(1)) {
            for ((value, offset), divisor) in row.iter_mut().zip(&self.offset).zip(&self.divisor) {
                *value = *value * divisor + offset;
            }
        }
    }
}

/// The minimum and the maximum of each feature.
fn range(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut lowest, mut highest) = (vec![f32::INFINITY; width], vec![f32::NEG_INFINITY; width]);
    for row in rows.chunks_exact(width.max(1)) {
        for ((lowest, highest), &value) in lowest.iter_mut().zip(&mut highest).zip(row) {
            *lowest = lowest.min(value);
            *highest = highest.max(value);
        }
    }
    (lowest, highest)
}

/// The mean and the standard deviation of each feature.
fn moments(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (rows.len() / width.max(1)).max(1) as f64;
    let mean_of = |term: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; width];
        for row in rows.chunks_exact(width.max(1)) {
            for (feature, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                *sum += term(feature, f64::from(value));
            }
        }
        sums.into_iter().map(|sum| sum / count).collect::<Vec<f64>>()
    };
    let means = mean_of(&|_, value| value);
    let variances = mean_of(&|feature, value| (value - means[feature]).powi(2));
    (means.iter().map(|&mean| mean as f32).collect(), variances.iter().map(|variance| variance.sqrt() as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fitted_puts_each_feature_where_it_should_be_and_leaves_constant_ones_undivided() {
        let rows = [1.0, 0.1, 10.0, 3.0, 0.1, 30.0, 5.0, 0.1, 80.0];
        let scaled = |scale| {
            let mut rows = rows;
            Scaling::fit(scale, &rows.clone(), 3).apply(&mut rows);
            rows
        };
        assert_eq!(scaled(Scale::None), rows);
        assert_eq!(scaled(Scale::Bytes)[2], 10.0 / 255.0);
        assert_eq!(scaled(Scale::Minmax), [0.0, 0.0, 0.0, 0.5, 0.0, 2.0 / 7.0, 1.0, 0.0, 1.0]);
        let standard = scaled(Scale::Standard);
        let deviation = 1.5f32.sqrt();
        for (value, expected) in standard.iter().zip([-deviation, 0.0, -1.0190493, 0.0, 0.0, -0.3396831, deviation]) {
            assert!((value - expected).abs() < 1e-6, "{standard:?}");
        }
    }

    #[test]
    fn features_far_from_0_and_of_any_size_are_fitted() {
        let rows = [16_777_216.0, 1e38, 0.1, 16_777_218.0, -1e38, 0.1, 16_777_220.0, 1e38, 0.1];
        for scale in [Scale::Minmax, Scale::Standard] {
            let mut scaled = rows;
            Scaling::fit(scale, &rows, 3).apply(&mut scaled);
            assert!(scaled.iter().all(|value| value.abs() < 2.0), "{scaled:?}");
        }
    }

    #[test]
    fn each_feature_is_scaled_by_its_own_numbers() {
        let scaling = Scaling { offset: vec![1.0, 0.0], divisor: vec![2.0, 255.0] };
        let mut rows = [1.0, 255.0, 5.0, 51.0];
        scaling.apply(&mut rows);
        assert_eq!(rows, [0.0, 1.0, 2.0, 0.2]);
    }
}
