//! The scaling of features: fitted on the training part, kept with the model, and applied to all data that the model
//! meets.

use rayon::prelude::*;
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
    /// By the median and the quartiles of the training part, then x / sqrt(1 + (x / 3)^2), which holds far values within 3
    Robust,
    /// Divided by 255
    #[value(name = "255")]
    #[serde(rename = "255")]
    Bytes,
}

/// What smoothly holds robustly scaled values within this and its negative (RealMLP, Holzmueller and others 2024).
const CLIP: f32 = 3.0;

/// The numbers of a scaling: `x = (raw - offset) / divisor`, feature by feature, and with a clip
/// `x / sqrt(1 + (x / clip)^2)` of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// One offset per feature.
    pub offset: Vec<f32>,
    /// One divisor per feature, none of them 0.
    pub divisor: Vec<f32>,
    /// What scaled values are smoothly held within, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
}

impl Scaling {
    /// Fits the scaling `scale` to `rows`, row-major with `width` features per row. A constant feature has divisor 1.
    pub fn fit(scale: Scale, rows: &[f32], width: usize) -> Self {
        let same = |value: f32| vec![value; width];
        let plain = |offset, divisor| Self { offset, divisor, clip: None };
        let (lowest, highest) = match scale {
            Scale::None => return plain(same(0.0), same(1.0)),
            Scale::Bytes => return plain(same(0.0), same(255.0)),
            Scale::Robust => {
                let (offset, divisor) = quartiles(rows, width);
                return Self { offset, divisor, clip: Some(CLIP) };
            }
            Scale::Minmax | Scale::Standard => range(rows, width),
        };
        let (offset, mut divisor) = match scale {
            Scale::Standard => moments(rows, width),
            _ => (lowest.clone(), highest.iter().zip(&lowest).map(|(highest, lowest)| highest - lowest).collect()),
        };
        for ((divisor, lowest), highest) in divisor.iter_mut().zip(lowest).zip(highest) {
            // A spread that float32 does not hold in full is none, and one beyond its greatest number is that.
            *divisor = divisor.min(f32::MAX);
            if lowest == highest || !divisor.is_normal() {
                *divisor = 1.0;
            }
        }
        plain(offset, divisor)
    }

    /// Whether it has finite numbers to scale by for each of `width` features. To be checked where a file holds it.
    pub fn is_usable(&self, width: usize) -> bool {
        let Self { offset, divisor, clip } = self;
        [offset.len(), divisor.len()] == [width; 2]
            && offset.iter().all(|value| value.is_finite())
            && divisor.iter().all(|value| value.is_normal())
            && clip.is_none_or(|clip| clip.is_normal() && clip > 0.0)
    }

    /// This scaling, but for the features that `as_they_are` marks: these are not moved and not divided, and only a clip holds them.
    pub(super) fn except(mut self, as_they_are: &[bool]) -> Self {
        for (feature, _) in as_they_are.iter().enumerate().filter(|(_, stays)| **stays) {
            (self.offset[feature], self.divisor[feature]) = (0.0, 1.0);
        }
        self
    }

    /// Scales `rows`, row-major, in place. Values are float64 on the way.
    pub fn apply(&self, rows: &mut [f32]) {
        let clip = self.clip.map(f64::from);
        for row in rows.chunks_exact_mut(self.offset.len().max(1)) {
            for ((value, offset), divisor) in row.iter_mut().zip(&self.offset).zip(&self.divisor) {
                let scaled = (f64::from(*value) - f64::from(*offset)) / f64::from(*divisor);
                *value = clip.map_or(scaled, |clip| scaled / (1.0 + (scaled / clip).powi(2)).sqrt()) as f32;
            }
        }
    }

    /// Reverts the scaling of `rows`, except for rounding.
    pub fn undo(&self, rows: &mut [f32]) {
        let clip = self.clip.map(f64::from);
        for row in rows.chunks_exact_mut(self.offset.len().max(1)) {
            for ((value, offset), divisor) in row.iter_mut().zip(&self.offset).zip(&self.divisor) {
                let held = f64::from(*value);
                let scaled = clip.map_or(held, |clip| held / (1.0 - (held / clip).powi(2)).max(1e-12).sqrt());
                *value = (scaled * f64::from(*divisor) + f64::from(*offset)) as f32;
            }
        }
    }
}

/// The median of each feature, and the distance of its quartiles; where that is 0, half its range, and 1 for a constant one.
fn quartiles(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let feature = |feature: usize| {
        let mut values: Vec<f32> = rows.iter().skip(feature).step_by(width).copied().collect();
        values.sort_unstable_by(f32::total_cmp);
        // As NumPy does it: between two values in proportion.
        let quantile = |share: f64| {
            let at = share * (values.len().max(1) - 1) as f64;
            let (low, high) = (values[at.floor() as usize], values[at.ceil() as usize]);
            (f64::from(low) + (f64::from(high) - f64::from(low)) * at.fract()) as f32
        };
        if values.is_empty() {
            return (0.0, 1.0);
        }
        let (between, range) = (quantile(0.75) - quantile(0.25), quantile(1.0) - quantile(0.0));
        let divisor = if between > 0.0 { between } else { range / 2.0 };
        (quantile(0.5), if divisor.is_normal() { divisor } else { 1.0 })
    };
    (0..width).into_par_iter().map(feature).unzip()
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
        let scaling = Scaling { offset: vec![1.0, 0.0], divisor: vec![2.0, 255.0], clip: None };
        let mut rows = [1.0, 255.0, 5.0, 51.0];
        scaling.apply(&mut rows);
        assert_eq!(rows, [0.0, 1.0, 2.0, 0.2]);
    }

    #[test]
    fn robust_scaling_goes_by_quartiles_and_holds_far_values() {
        // Quartiles 1 and 3 about 2; a feature of which three quarters are equal; a constant one.
        let rows = [0.0, 0.0, 5.0, 1.0, 0.0, 5.0, 2.0, 0.0, 5.0, 3.0, 0.0, 5.0, 4.0, 8.0, 5.0];
        let scaling = Scaling::fit(Scale::Robust, &rows, 3);
        assert_eq!((&scaling.offset[..], &scaling.divisor[..]), (&[2.0, 0.0, 5.0][..], &[2.0, 4.0, 1.0][..]));
        let mut scaled = [2.0, 0.0, 5.0, 1e6, 8.0, 5.0];
        scaling.apply(&mut scaled);
        let held = |x: f64| (x / (1.0 + x * x / 9.0).sqrt()) as f32;
        assert_eq!(scaled[..3], [0.0; 3]);
        assert!((scaled[3] - 3.0).abs() < 1e-4 && scaled[4] == held(2.0), "{scaled:?}");
        scaling.undo(&mut scaled);
        assert!((scaled[4] - 8.0).abs() < 1e-5, "{scaled:?}");
    }

    #[test]
    fn some_features_stay_as_they_are() {
        let scaling = Scaling::fit(Scale::Standard, &[1.0, 0.0, 3.0, 1.0], 2).except(&[false, true]);
        let mut rows = [1.0, 1.0];
        scaling.apply(&mut rows);
        assert_eq!(rows, [-1.0, 1.0]);
        // A clip holds all features alike.
        let scaling = Scaling::fit(Scale::Robust, &[1.0, 0.0, 3.0, 1.0], 2).except(&[false, true]);
        let mut rows = [2.0, 1.0];
        scaling.apply(&mut rows);
        assert_eq!(rows, [0.0, (1.0 / (1.0_f64 + 1.0 / 9.0).sqrt()) as f32]);
    }
}
