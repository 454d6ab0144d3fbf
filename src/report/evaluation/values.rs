//! Figures of predicted values, in the unit of the targets.

use serde::{Deserialize, Serialize};

use super::SEED;
use crate::data::TargetScale;
use crate::metrics;
use crate::metrics::errors::{Deviations, quantile};
use crate::random::{self, Draw};

/// The most rows that are kept of each value.
const POINTS: usize = 2000;
/// The bars of a histogram.
const BARS: usize = 40;
/// The shares of rows for which the error is told below which it is.
const SHARES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// What was found of a predicted value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The root of the mean squared error.
    pub rmse: Option<f64>,
    /// The mean absolute error.
    pub mae: Option<f64>,
    /// The coefficient of determination; none where all targets are the same.
    pub r2: Option<f64>,
    /// The median of the absolute errors.
    pub median_absolute_error: Option<f64>,
    /// The RMSE of always predicting the mean of the rows.
    pub baseline_rmse: Option<f64>,
    /// Shares of the rows, and the error (prediction minus target) below which it is in so many.
    pub error_quantiles: Vec<(f64, f64)>,
    /// Targets and predictions of all rows or, of more than 2000, of as many that are drawn by [`SEED`].
    pub points: Vec<(f64, f64)>,
    /// How often errors are how large.
    pub errors: Histogram,
}

/// How many rows have an error within each of some ranges of the same width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The least error of the first range.
    pub from: f64,
    /// The greatest error of the last range.
    pub to: f64,
    /// Rows within each range.
    pub counts: Vec<u64>,
    /// Rows with an error below all ranges, and above all.
    pub beyond: (u64, u64),
}

/// The figures of each output of `predicted` and `targets` (`rows x outputs`, row-major, at least one row), which `scale`
/// standardised; `found` has their sums.
pub(super) fn targets(
    found: &metrics::Evaluation,
    predicted: &[f32],
    targets: &[f32],
    scale: &TargetScale,
) -> Vec<Target> {
    let (rows, outputs) = (found.samples(), scale.names.len());
    let found = found.in_units(scale);
    let deviations = Deviations::of(predicted, targets, scale);
    let (predicted, targets) = (scale.undo(predicted), scale.undo(targets));
    let shown = shown(rows as usize);
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let target = |(output, (errors, of)): (usize, (&metrics::Errors, &Deviations))| {
        let pair = |row: usize| (targets[row * outputs + output], predicted[row * outputs + output]);
        let differences = (0..rows as usize).map(pair).map(|(target, predicted)| predicted - target);
        let mut differences: Vec<f64> = differences.filter(|error| error.is_finite()).collect();
        differences.sort_unstable_by(f64::total_cmp);
        let points = shown.iter().map(|&row| pair(row));
        Target {
            name: scale.names[output].clone(),
            rmse: finite(errors.rmse(rows)),
            mae: finite(errors.mae(rows)),
            r2: finite(errors.r2(rows)).filter(|_| !of.constant),
            median_absolute_error: finite(of.median),
            baseline_rmse: finite(of.baseline_rmse),
            error_quantiles: SHARES.map(|share| (share, quantile(&differences, share))).to_vec(),
            points: points.filter(|(target, predicted)| target.is_finite() && predicted.is_finite()).collect(),
            errors: Histogram::of(&differences),
        }
    };
    found.errors.iter().zip(&deviations).enumerate().map(target).collect()
}

/// The rows that are shown of so many, in their order.
fn shown(rows: usize) -> Vec<usize> {
    if rows <= POINTS {
        return (0..rows).collect();
    }
    let drawn = random::draw(SEED, Draw::Test, u32::try_from(rows).unwrap_or(u32::MAX));
    let mut drawn: Vec<usize> = drawn.into_iter().take(POINTS).map(|row| row as usize).collect();
    drawn.sort_unstable();
    drawn
}

impl Histogram {
    /// That of `sorted`, in ranges that hold all but the half percent at either end, and 0.
    fn of(sorted: &[f64]) -> Self {
        let (from, to) = (quantile(sorted, 0.005).min(0.0), quantile(sorted, 0.995).max(0.0));
        let mut histogram = Self { from, to, counts: vec![0; BARS], beyond: (0, 0) };
        let width = (to - from) / BARS as f64;
        for &error in sorted {
            match error {
                error if error < from => histogram.beyond.0 += 1,
                error if error > to => histogram.beyond.1 += 1,
                error => {
                    let at = if width > 0.0 { ((error - from) / width) as usize } else { 0 };
                    histogram.counts[at.min(BARS - 1)] += 1;
                }
            }
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_the_unit_of_the_targets_and_every_row_is_counted() {
        let scale =
            TargetScale { mean: vec![100.0, 0.0], deviation: vec![10.0, 1.0], names: vec!["a".into(), "b".into()] };
        let targets_: Vec<f32> = (0..3000).flat_map(|row| [(row % 7) as f32, 1.0]).collect();
        let predicted: Vec<f32> = targets_.iter().enumerate().map(|(at, t)| t + (at % 5) as f32 * 0.1).collect();
        let sums = metrics::Evaluation::of_values(0.0, &predicted, &targets_, 2);
        let found = targets(&sums, &predicted, &targets_, &scale);
        let unit = sums.in_units(&scale);
        assert_eq!((found[0].rmse, found[0].mae), (Some(unit.errors[0].rmse(3000)), Some(unit.errors[0].mae(3000))));
        assert!(found[0].r2.is_some() && found[1].r2.is_none());
        assert_eq!(found[0].points.len(), POINTS);
        assert!(found[0].points.iter().all(|(target, _)| (100.0..170.0).contains(target)));
        let Histogram { counts, beyond, .. } = &found[0].errors;
        assert_eq!(counts.iter().sum::<u64>() + beyond.0 + beyond.1, 3000);
        let median = found[0].error_quantiles[4];
        assert!(median.0 == 0.5 && (median.1 - 2.0).abs() < 1e-4, "{median:?}");
        assert_eq!(Histogram::of(&[0.0; 5]).counts[0], 5);
    }
}
