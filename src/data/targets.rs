//! What a model learns to predict for each row: a class or numbers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod guess;

pub use guess::Expected;
pub(super) use guess::{Column, Fault, Found};

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
    /// Fits the standardisation to `values`, row-major with one number per name and row. Sums are in float64.
    pub fn fit(values: &[f32], names: Vec<String>) -> Self {
        let outputs = names.len().max(1);
        let rows = (values.len() / outputs).max(1) as f64;
        let column = |output: usize| values.iter().skip(output).step_by(outputs).map(|&value| f64::from(value));
        let (mut mean, mut deviation) = (Vec::new(), Vec::new());
        for output in 0..names.len() {
            let centre = column(output).sum::<f64>() / rows;
            let variance = column(output).map(|value| (value - centre).powi(2)).sum::<f64>() / rows;
            let first = column(output).next();
            let constant = variance == 0.0 || column(output).all(|value| Some(value) == first);
            // The mean of equal numbers may be off by rounding.
            mean.push(first.filter(|_| constant).unwrap_or(centre));
            deviation.push(if constant { 1.0 } else { variance.sqrt() });
        }
        Self { mean, deviation, names }
    }

    /// Standardises `values`, row-major with all outputs of a row, in place.
    pub fn apply(&self, values: &mut [f32]) {
        self.map(values, |value, mean, deviation| (value - mean) / deviation);
    }

    /// Brings standardised `values`, row-major with all outputs of a row, back into the unit of the data, in place.
    pub fn undo(&self, values: &mut [f32]) {
        self.map(values, |value, mean, deviation| value * deviation + mean);
    }

    fn map(&self, values: &mut [f32], new: impl Fn(f64, f64, f64) -> f64) {
        for row in values.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, &mean), &deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = new(f64::from(*value), mean, deviation) as f32;
            }
        }
    }

    /// Standardises the targets of the file `name`. Classes are left as they are.
    ///
    /// # Errors
    /// [`Error::Data`] for a value so far from the mean that float32 cannot hold the result.
    pub(super) fn standardise(&self, name: &str, targets: &mut Targets) -> Result<()> {
        let Targets::Values(values) = targets else { return Ok(()) };
        self.apply(values);
        let outputs = self.names.len().max(1);
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
        let mut scaled = values;
        scale.apply(&mut scaled);
        for output in 0..2 {
            let column = || scaled.iter().skip(output).step_by(2).map(|&value| f64::from(value));
            assert!(column().sum::<f64>().abs() < 1e-6 && (column().map(|x| x * x).sum::<f64>() - 3.0).abs() < 1e-6);
        }
        scale.undo(&mut scaled);
        assert!(
            scaled.iter().zip(values).all(|(found, value)| (found - value).abs() <= 1e-6 * value.abs()),
            "{scaled:?}"
        );
    }

    #[test]
    fn a_constant_target_becomes_0_and_comes_back_exactly() {
        let scale = TargetScale::fit(&[0.1; 7], names(1));
        assert_eq!((&scale.mean[..], &scale.deviation[..]), (&[f64::from(0.1f32)][..], &[1.0][..]));
        let mut values = [0.1f32; 2];
        scale.apply(&mut values);
        assert_eq!(values, [0.0; 2]);
        scale.undo(&mut values);
        assert_eq!(values, [0.1; 2]);
    }

    #[test]
    fn a_target_that_float32_cannot_hold_when_standardised_is_refused() {
        let scale = TargetScale { mean: vec![0.0], deviation: vec![1e-30], names: vec!["price".into()] };
        let error = scale.standardise("some", &mut Targets::Values(vec![0.0, 1e30])).unwrap_err().to_string();
        assert!(error.contains("\"price\" of row 1"), "{error}");
    }
}
