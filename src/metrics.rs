//! What is measured. An [`Evaluation`] holds what can be summed over rows, and so is made after each epoch: loss, confusion
//! matrix, errors of values. What needs the predictions of all rows at once stands beside it: [`ranking`], [`calibration`] and
//! [`errors::Deviations`].

pub mod calibration;
pub mod counts;
pub mod errors;
mod float;
pub mod ranking;

use serde::{Deserialize, Serialize};

pub use errors::Errors;

/// Added to a probability before its logarithm, so that the loss of a row stays finite: at most 36.84.
pub const LOSS_EPSILON: f32 = 1e-16;

/// What the evaluation of some rows found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows that were evaluated.
    pub rows: u64,
    /// The loss, summed over the rows: of classes `-ln(p[label] + 1e-16)`, of values the mean over the outputs.
    #[serde(with = "float")]
    pub loss_sum: f64,
    /// For classes: rows by label (row of the matrix) and predicted class (column), `classes x classes`, row-major.
    pub confusion: Vec<u64>,
    /// Number of classes; 0 for values.
    pub classes: usize,
    /// For values: the errors of each output.
    pub errors: Vec<Errors>,
}

impl Evaluation {
    /// An evaluation of no rows of `classes` classes.
    pub fn empty(classes: usize) -> Self {
        Self { rows: 0, loss_sum: 0.0, confusion: vec![0; classes * classes], classes, errors: Vec::new() }
    }

    /// Counts a row of class `label` that was taken for `predicted`.
    pub fn count(&mut self, loss: f64, label: u32, predicted: u32) {
        self.rows += 1;
        self.loss_sum += loss;
        self.confusion[label as usize * self.classes + predicted as usize] += 1;
    }

    /// Number of rows evaluated.
    pub fn samples(&self) -> u64 {
        self.rows
    }

    /// Mean loss per row; 0 for no rows.
    pub fn mean_loss(&self) -> f64 {
        self.loss_sum / self.samples().max(1) as f64
    }

    /// Adds what another evaluation of the same classes found.
    pub fn add(&mut self, other: &Evaluation) {
        self.rows += other.rows;
        self.loss_sum += other.loss_sum;
        for (sum, count) in self.confusion.iter_mut().zip(&other.confusion) {
            *sum += count;
        }
    }
}

/// Euclidean norm of `values`.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The mean of figures of several runs, and their standard deviation as that of a sample: 0 of a single one.
pub fn mean_and_deviation(figures: &[f64]) -> (f64, f64) {
    let count = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / count;
    let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_of_parts_add_up() {
        let mut evaluation = Evaluation { rows: 6, loss_sum: 3.0, confusion: vec![2, 1, 0, 3], ..Evaluation::empty(2) };
        assert_eq!(evaluation.mean_loss(), 0.5);
        evaluation.add(&evaluation.clone());
        assert_eq!((evaluation.hits(), evaluation.samples(), evaluation.loss_sum), (10, 12, 6.0));
        assert_eq!(Evaluation::empty(3).accuracy(), 0.0);
    }
}
