//! Errors of predicted values, each figure as scikit-learn and NumPy define it.

use serde::{Deserialize, Serialize};

use super::{Evaluation, float};
use crate::data::TargetScale;

/// Sums over rows of an output's targets and of its errors (prediction minus target), in the unit of the targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// The sum of the squared errors.
    #[serde(with = "float")]
    pub squared: f64,
    /// The sum of the absolute errors.
    #[serde(with = "float")]
    pub absolute: f64,
    /// The sum of the targets.
    #[serde(with = "float")]
    pub targets: f64,
    /// The sum of the squared targets.
    #[serde(with = "float")]
    pub squared_targets: f64,
}

impl Errors {
    /// The root of the mean squared error over `rows` rows.
    pub fn rmse(&self, rows: u64) -> f64 {
        (self.squared / rows.max(1) as f64).sqrt()
    }

    /// The mean absolute error over `rows` rows.
    pub fn mae(&self, rows: u64) -> f64 {
        self.absolute / rows.max(1) as f64
    }

    /// The coefficient of determination over `rows` rows: 1 minus the squared errors as a share of the squared differences of
    /// the targets from their mean. 0 where all targets are the same.
    pub fn r2(&self, rows: u64) -> f64 {
        let spread = self.squared_targets - self.targets.powi(2) / rows.max(1) as f64;
        if spread > 0.0 { 1.0 - self.squared / spread } else { 0.0 }
    }
}

impl Evaluation {
    /// The evaluation of `predicted` values (`rows x outputs`) for `targets`, whose losses add up to `loss_sum`.
    pub fn of_values(loss_sum: f64, predicted: &[f32], targets: &[f32], outputs: usize) -> Self {
        let mut errors = vec![Errors::default(); outputs];
        for (predicted, targets) in predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
            for (errors, (&predicted, &target)) in errors.iter_mut().zip(predicted.iter().zip(targets)) {
                let (error, target) = (f64::from(predicted) - f64::from(target), f64::from(target));
                errors.squared += error * error;
                errors.absolute += error.abs();
                errors.targets += target;
                errors.squared_targets += target * target;
            }
        }
        Self { rows: (targets.len() / outputs.max(1)) as u64, loss_sum, errors, ..Self::empty(0) }
    }

    /// The mean over the outputs of what `of` makes of each one's errors.
    fn over_outputs(&self, of: impl Fn(&Errors) -> f64) -> f64 {
        self.errors.iter().map(of).sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// The root mean squared error of values, a mean over the outputs.
    pub fn rmse(&self) -> f64 {
        self.over_outputs(|errors| errors.rmse(self.rows))
    }

    /// The mean absolute error of values, a mean over the outputs.
    pub fn mae(&self) -> f64 {
        self.over_outputs(|errors| errors.mae(self.rows))
    }

    /// The coefficient of determination of values, a mean over the outputs.
    pub fn r2(&self) -> f64 {
        self.over_outputs(|errors| errors.r2(self.rows))
    }

    /// The same of targets that were standardised by `scale`, in the unit that they had before; the loss stays.
    pub fn in_units(&self, scale: &TargetScale) -> Self {
        let unit = |(errors, &deviation): (&Errors, &f64)| {
            // Targets stay centred: no figure depends on their mean, and far from 0 their squares would lose it.
            Errors {
                squared: errors.squared * deviation * deviation,
                absolute: errors.absolute * deviation,
                targets: errors.targets * deviation,
                squared_targets: errors.squared_targets * deviation * deviation,
            }
        };
        Self { errors: self.errors.iter().zip(&scale.deviation).map(unit).collect(), ..self.clone() }
    }
}

/// What is to be known of an output's errors beside their sums, in the unit of the targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviations {
    /// The median of the absolute errors.
    pub median: f64,
    /// What 90 % of the absolute errors are not above: their quantile, interpolated between the two nearest.
    pub quantile_90: f64,
    /// The error of a prediction that knows nothing of a row, the mean of the targets: its RMSE, their standard deviation.
    pub baseline_rmse: f64,
    /// The mean absolute error of that prediction.
    pub baseline_mae: f64,
    /// Whether all targets are the same, so that there is no coefficient of determination.
    pub constant: bool,
}

impl Deviations {
    /// Those of each output of `predicted` and `targets` (`rows x outputs`, row-major, at least one row), which were
    /// standardised by `scale`.
    pub fn of(predicted: &[f32], targets: &[f32], scale: &TargetScale) -> Vec<Self> {
        let outputs = scale.deviation.len();
        let column = |values: &[f32], output: usize| -> Vec<f64> {
            values.iter().skip(output).step_by(outputs).copied().map(f64::from).collect()
        };
        let of = |(output, deviation): (usize, &f64)| {
            Self::of_output(&column(predicted, output), &column(targets, output)).times(*deviation)
        };
        scale.deviation.iter().enumerate().map(of).collect()
    }

    fn of_output(predicted: &[f64], targets: &[f64]) -> Self {
        let mut errors: Vec<f64> =
            predicted.iter().zip(targets).map(|(value, target)| (value - target).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let rows = targets.len().max(1) as f64;
        let mean = targets.iter().sum::<f64>() / rows;
        Self {
            median: quantile(&errors, 0.5),
            quantile_90: quantile(&errors, 0.9),
            baseline_rmse: (targets.iter().map(|target| (target - mean).powi(2)).sum::<f64>() / rows).sqrt(),
            baseline_mae: targets.iter().map(|target| (target - mean).abs()).sum::<f64>() / rows,
            constant: targets.iter().all(|target| Some(target) == targets.first()),
        }
    }

    /// The same in a unit of which there are `factor` in the old one.
    fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            quantile_90: self.quantile_90 * factor,
            baseline_rmse: self.baseline_rmse * factor,
            baseline_mae: self.baseline_mae * factor,
            ..self
        }
    }
}

/// The value below which `share` of `sorted` lie, interpolated as NumPy does by default; 0 for none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    let below = at as usize;
    let value = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or(0.0);
    value(below) + (value(below + 1) - value(below)) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_values_are_those_of_the_textbook_in_whichever_unit() {
        let (predicted, targets) = ([1.0, 2.0, 4.0, 2.5], [1.5, 2.0, 3.0, 3.5]);
        let found = Evaluation::of_values(0.0, &predicted, &targets, 1);
        assert_eq!((found.rows, found.mae()), (4, 0.625));
        assert!((found.rmse() - (2.25f64 / 4.0).sqrt()).abs() < 1e-12);
        // The targets' mean is 2.5, their squared differences from it add up to 2.5.
        assert!((found.r2() - 0.1).abs() < 1e-12);
        let scale = TargetScale { mean: vec![1000.0], deviation: vec![10.0], names: vec!["y".into()] };
        let unit = found.in_units(&scale);
        assert_eq!((unit.mae(), unit.rmse()), (6.25, 10.0 * found.rmse()));
        assert!((unit.r2() - found.r2()).abs() < 1e-12);
        let found = Deviations::of(&predicted, &targets, &scale)[0];
        assert_eq!((found.median, found.quantile_90, found.constant), (7.5, 10.0, false));
        assert!((found.baseline_rmse - 10.0 * 0.625f64.sqrt()).abs() < 1e-12 && found.baseline_mae == 7.5);
    }

    #[test]
    fn each_output_has_its_own_figures_and_equal_targets_are_known() {
        let scale = TargetScale { mean: vec![0.0; 2], deviation: vec![1.0, 2.0], names: vec!["a".into(), "b".into()] };
        let found = Deviations::of(&[1.0, 0.0, 3.0, 1.0], &[0.0, 0.5, 0.0, 0.5], &scale);
        assert_eq!((found[0].median, found[0].baseline_rmse, found[0].constant), (2.0, 0.0, true));
        assert_eq!((found[1].median, found[1].quantile_90), (1.0, 1.0));
        assert_eq!((quantile(&[5.0], 0.9), quantile(&[], 0.5)), (5.0, 0.0));
    }
}
