//! What a model learns to predict for each row: a class or numbers.

use serde::{Deserialize, Serialize};

use super::{Inputs, Samples};
use crate::error::{Error, Result};

mod guess;

pub use guess::Expected;
pub(super) use guess::{Column, FOREIGN, Fault, Found};

/// The kind of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// The class that a row belongs to
    Classes,
    /// Numbers
    Values,
}

impl Task {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Classes => "classes",
            Task::Values => "values",
        }
    }
}

/// The targets of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// The class of each row, below the data set's number of classes.
    Classes(Vec<u32>),
    /// The numbers of each row, row-major: `rows x outputs`.
    Values(Vec<f32>),
}

impl Targets {
    /// The kind of the targets.
    pub fn task(&self) -> Task {
        match self {
            Targets::Classes(_) => Task::Classes,
            Targets::Values(_) => Task::Values,
        }
    }

    /// The targets of those of `rows` rows whose index `wanted` accepts.
    pub(super) fn select(&self, rows: usize, wanted: impl Fn(usize) -> bool) -> Self {
        fn those<T: Copy>(values: &[T], width: usize, wanted: impl Fn(usize) -> bool) -> Vec<T> {
            values.iter().enumerate().filter(|(index, _)| wanted(index / width)).map(|(_, value)| *value).collect()
        }
        match self {
            Targets::Classes(labels) => Targets::Classes(those(labels, 1, wanted)),
            Targets::Values(values) => Targets::Values(those(values, (values.len() / rows.max(1)).max(1), wanted)),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Number of bytes that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Targets::Classes(labels) => size_of_val(&labels[..]),
            Targets::Values(values) => size_of_val(&values[..]),
        }
    }

    /// The targets as bytes, for a checksum.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Targets::Classes(labels) => bytemuck::cast_slice(labels),
            Targets::Values(values) => bytemuck::cast_slice(values),
        }
    }
}

/// The standardisation of numeric targets: `target = (value - mean) / deviation`, output by output. A network predicts
/// standardised targets; the inverse gives its predictions in the unit of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetScale {
    /// The mean of each output over the training rows.
    pub mean: Vec<f64>,
    /// The standard deviation of each output over the training rows (the root of the mean squared difference from the
    /// mean); 1 for a constant one.
    pub deviation: Vec<f64>,
    /// The names of the outputs.
    pub names: Vec<String>,
}

impl TargetScale {
    /// Fits the standardisation to `values`, row-major with one number per name and row.
    pub fn fit(values: &[f64], names: Vec<String>) -> Self {
        let outputs = names.len().max(1);
        let rows = (values.len() / outputs).max(1) as f64;
        let column = |output: usize| values.iter().skip(output).step_by(outputs).copied();
        let (mut mean, mut deviation) = (Vec::new(), Vec::new());
        for output in 0..names.len() {
            let centre = column(output).sum::<f64>() / rows;
            let variance = column(output).map(|value| (value - centre).powi(2)).sum::<f64>() / rows;
            let first = column(output).next();
            let constant = !variance.sqrt().is_normal() || column(output).all(|value| Some(value) == first);
            // The mean of equal numbers may be off by rounding.
            mean.push(first.filter(|_| constant).unwrap_or(centre));
            deviation.push(if constant { 1.0 } else { variance.sqrt() });
        }
        Self { mean, deviation, names }
    }

    /// The scale of numbers that stay as they are.
    pub fn none(names: Vec<String>) -> Self {
        Self { mean: vec![0.0; names.len()], deviation: vec![1.0; names.len()], names }
    }

    /// Whether there are finite numbers and deviations above 0 for each of `outputs`. To be checked where a file holds them.
    pub fn is_usable(&self, outputs: usize) -> bool {
        [self.mean.len(), self.deviation.len(), self.names.len()] == [outputs; 3]
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(|deviation| deviation.is_normal() && *deviation > 0.0)
    }

    /// Standardises `values`, row-major with all outputs of a row.
    pub fn apply(&self, values: &[f64]) -> Vec<f32> {
        self.outputs(values).map(|(value, mean, deviation)| ((value - mean) / deviation) as f32).collect()
    }

    /// Brings standardised `values`, row-major with all outputs of a row, back into the unit of the data.
    pub fn undo(&self, values: &[f32]) -> Vec<f64> {
        self.outputs(values).map(|(value, mean, deviation)| f64::from(value) * deviation + mean).collect()
    }

    /// As [`TargetScale::undo`], each number with the fewest digits that are within what float32 kept of it: those of the data,
    /// unless they had more.
    pub(crate) fn undo_shortest(&self, values: &[f32]) -> Vec<f64> {
        let shortest = |(value, mean, deviation): (f32, f64, f64)| {
            let unit = f64::from(value) * deviation + mean;
            // The mean itself is exact, as of a constant.
            if value == 0.0 || unit == 0.0 {
                return unit;
            }
            let near = deviation * f64::from(f32::EPSILON * value.abs().max(1.0));
            let first = unit.abs().log10().floor() as i32;
            let rounded = (0..f64::DIGITS as i32).map(|digits| {
                let decimals = digits - first;
                let power = 10f64.powi(decimals.abs());
                if decimals < 0 { (unit / power).round() * power } else { (unit * power).round() / power }
            });
            std::iter::once(0.0).chain(rounded).find(|number| (number - unit).abs() <= near).unwrap_or(unit)
        };
        self.outputs(values).map(shortest).collect()
    }

    /// Each value with the mean and the deviation of its output.
    fn outputs<T: Copy>(&self, values: &[T]) -> impl Iterator<Item = (T, f64, f64)> {
        let scale = self.mean.iter().zip(&self.deviation).cycle();
        values.iter().zip(scale).map(|(&value, (&mean, &deviation))| (value, mean, deviation))
    }

    /// Standardises the targets of the file `name`, which `from` standardised, by this scale instead. Classes stay.
    ///
    /// # Errors
    /// [`Error::Data`] for a value so far from the mean that float32 cannot hold the result.
    pub(super) fn replace(&self, from: &Self, name: &str, targets: &mut Targets) -> Result<()> {
        let Targets::Values(values) = targets else { return Ok(()) };
        let (units, outputs) = (from.undo(values), self.names.len().max(1));
        *values = self.apply(&units);
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(Error::Data(format!(
                "{name}: the target {:?} of row {} is too far from the others to be standardised in float32: rescale it in \
                 the file",
                self.names.get(index % outputs).map_or("", String::as_str),
                index / outputs
            ))),
            None => Ok(()),
        }
    }
}

/// Targets as a file holds them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    /// The class of each row, and the names of the classes.
    Classes { labels: Vec<u32>, names: Vec<String> },
    /// The numbers of each row, row-major.
    Values(Vec<f64>),
}

impl Cells {
    /// The standardisation of numbers with these names; none for classes.
    pub(super) fn scale(&self, names: impl FnOnce() -> Vec<String>) -> Option<TargetScale> {
        self.scale_without(&[], names)
    }

    /// The same by the rows that `held_back` does not mark.
    pub(super) fn scale_without(&self, held_back: &[bool], names: impl FnOnce() -> Vec<String>) -> Option<TargetScale> {
        match self {
            Cells::Classes { .. } => None,
            Cells::Values(values) => {
                let left = |(row, _): &(usize, &f64)| !held_back.get(*row).copied().unwrap_or(false);
                let left: Vec<f64> = values.iter().enumerate().filter(left).map(|(_, value)| *value).collect();
                Some(TargetScale::fit(&left, names()))
            }
        }
    }

    /// What the targets of a second file must be.
    pub(super) fn expected(&self) -> Expected<'_> {
        match self {
            Cells::Classes { names, .. } => Expected::Classes(names),
            Cells::Values(_) => Expected::Values,
        }
    }

    /// Keeps the targets of the rows whose index `wanted` accepts, one number per row.
    pub(super) fn retain(&mut self, wanted: impl Fn(usize) -> bool) {
        fn keep<T>(values: &mut Vec<T>, wanted: impl Fn(usize) -> bool) {
            let mut row = 0;
            values.retain(|_| {
                row += 1;
                wanted(row - 1)
            });
        }
        match self {
            Cells::Classes { labels, .. } => keep(labels, wanted),
            Cells::Values(values) => keep(values, wanted),
        }
    }

    /// The names of the classes. Empty for numbers.
    pub(super) fn classes(&self) -> &[String] {
        match self {
            Cells::Classes { names, .. } => names,
            Cells::Values(_) => &[],
        }
    }

    /// Rows of `width` values with these targets. Numbers are standardised by `scale` before they become float32, so that
    /// they keep their digits where they are far from 0.
    pub(super) fn with(self, inputs: Inputs, width: usize, scale: Option<&TargetScale>) -> Result<Samples> {
        match (self, scale) {
            (Cells::Classes { labels, .. }, _) => Samples::new(inputs, width, labels),
            (Cells::Values(values), Some(scale)) => {
                Samples::with_values(inputs, width, scale.apply(&values), scale.names.len())
            }
            (Cells::Values(values), None) => {
                Samples::with_values(inputs, width, values.iter().map(|&value| value as f32).collect(), 1)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        crate::data::numbered(count)
    }

    #[test]
    fn each_output_is_standardised_and_brought_back_in_its_own_unit() {
        let values = [1.0, -1e6, 3.0, 2e6, 8.0, 5e6];
        let scale = TargetScale::fit(&values, names(2));
        assert_eq!(scale.mean, [4.0, 2e6]);
        for (found, expected) in scale.deviation.iter().zip([(26.0f64 / 3.0).sqrt(), 6f64.sqrt() * 1e6]) {
            assert!((found / expected - 1.0).abs() < 1e-14, "{scale:?}");
        }
        let scaled = scale.apply(&values);
        for output in 0..2 {
            let column = || scaled.iter().skip(output).step_by(2).map(|&value| f64::from(value));
            assert!(column().sum::<f64>().abs() < 1e-6 && (column().map(|x| x * x).sum::<f64>() - 3.0).abs() < 1e-6);
        }
        let undone = scale.undo(&scaled);
        assert!(
            undone.iter().zip(values).all(|(found, value)| (found - value).abs() <= 1e-6 * value.abs()),
            "{scaled:?}"
        );
    }

    #[test]
    fn targets_with_few_digits_come_back_as_the_data_had_them() {
        let values = [6425.51, 13838.14, -20.5, 0.0, 40000.0];
        let scale = TargetScale::fit(&values, names(1));
        let scaled = scale.apply(&values);
        assert_ne!(scale.undo(&scaled), values);
        assert_eq!(scale.undo_shortest(&scaled), values);
        let constant = TargetScale::fit(&[1e-9; 7], names(1));
        assert_eq!(constant.undo_shortest(&constant.apply(&[1e-9])), [1e-9]);
        let fine = [6_425.510_000_1, 13_838.140_000_2];
        let found = scale.undo_shortest(&scale.apply(&fine));
        assert!(found.iter().zip(fine).all(|(found, fine)| (found - fine).abs() < 4e-3), "{found:?}");
    }

    #[test]
    fn a_constant_target_becomes_0_and_comes_back_exactly() {
        let scale = TargetScale::fit(&[0.1; 7], names(1));
        assert_eq!((&scale.mean[..], &scale.deviation[..]), (&[0.1][..], &[1.0][..]));
        assert_eq!(scale.apply(&[0.1; 2]), [0.0; 2]);
        assert_eq!(scale.undo(&[0.0; 2]), [0.1; 2]);
    }

    #[test]
    fn a_scale_that_cannot_be_used_is_known() {
        let scale = TargetScale { mean: vec![1.0], deviation: vec![2.0], names: names(1) };
        assert!(scale.is_usable(1) && !scale.is_usable(2));
        for deviation in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!TargetScale { deviation: vec![deviation], ..scale.clone() }.is_usable(1), "{deviation}");
        }
        assert!(!TargetScale { mean: vec![f64::NAN], ..scale.clone() }.is_usable(1));
        assert!(!TargetScale { mean: vec![0.0; 2], ..scale }.is_usable(1));
    }

    #[test]
    fn targets_far_from_0_keep_their_digits() {
        // Julian dates: float32 has a step of a quarter of a day there.
        let values: Vec<f64> = (0..100).map(|row| 2_459_000.5 + 0.01 * f64::from(row)).collect();
        let scale = TargetScale::fit(&values, names(1));
        let undone = scale.undo(&scale.apply(&values));
        assert!(undone.iter().zip(&values).all(|(found, value)| (found - value).abs() < 1e-6), "{undone:?}");
    }

    #[test]
    fn a_target_that_float32_cannot_hold_when_standardised_is_refused() {
        let scale = TargetScale { mean: vec![0.0], deviation: vec![1e-30], names: vec!["price".into()] };
        let from = TargetScale { deviation: vec![1.0], ..scale.clone() };
        let error = scale.replace(&from, "some", &mut Targets::Values(vec![0.0, 1e30])).unwrap_err().to_string();
        assert!(error.contains("\"price\" of row 1"), "{error}");
    }
}
