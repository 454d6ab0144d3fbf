//! The head of a batch: what its targets are, and the gradient of the loss at the last layer's sums.

use super::vector::{Vectors, vectorize};
use super::{loss_gradient, row_softmax};
use crate::data;
use crate::metrics::Evaluation;
use crate::recipe::{Loss, Recipe};

/// What training makes small.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// The loss.
    pub loss: Loss,
    /// The share of a label that is spread over all classes.
    pub label_smoothing: f32,
}

impl From<&Recipe> for Objective {
    fn from(recipe: &Recipe) -> Self {
        Self { loss: recipe.loss, label_smoothing: recipe.label_smoothing as f32 }
    }
}

/// What the rows of the training part should give.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// A class per row, or `rows x outputs` values.
    pub of: Target<'a>,
    /// A weight per row, if they differ.
    pub weights: Option<&'a [f32]>,
}

/// Classes or values.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A class per row.
    Classes(&'a [u32]),
    /// `rows x outputs`
    Values(&'a [f32]),
}

impl<'a> Targets<'a> {
    /// Those of a data set whose rows weigh `weights`, or all the same.
    pub fn new(targets: &'a data::Targets, weights: Option<&'a [f32]>) -> Self {
        let of = match targets {
            data::Targets::Classes(labels) => Target::Classes(labels),
            data::Targets::Values(values) => Target::Values(values),
        };
        Self { of, weights }
    }

    /// As [`total_weight`].
    pub fn total(&self, order: &[u32]) -> f32 {
        total_weight(self.weights, order)
    }
}

/// The weights of the rows `order` together, which weigh 1 without any: what the sum of their losses is divided by.
pub fn total_weight(weights: Option<&[f32]>, order: &[u32]) -> f32 {
    let Some(weights) = weights else { return order.len() as f32 };
    let total: f32 = order.iter().map(|&row| weights[row as usize]).sum();
    // Rows that all weigh nothing have no gradient.
    if total == 0.0 { 1.0 } else { total }
}

/// The softmax of the first `classes` values of each row (`.. x pitch`); the padding becomes 0.
pub fn softmax(vectors: Vectors, classes: usize, pitch: usize, f: &mut [f32]) {
    #[inline(always)]
    fn run(classes: usize, pitch: usize, f: &mut [f32]) {
        for row in f.chunks_exact_mut(pitch) {
            let max = row[..classes].iter().fold(f32::NEG_INFINITY, |max, &f| if f > max { f } else { max });
            row_softmax::exponentials(max, row);
            row[classes..].fill(0.0);
            let sum: f32 = row[..classes].iter().sum();
            row.iter_mut().for_each(|f| *f /= sum);
        }
    }
    vectorize!(vectors, |_simd| run(classes, pitch, f));
}

/// Replaces the last layer's sums `f` (`order.len() x pitch`, of which `outputs` count) by the gradient of the summed loss of the
/// rows `order`; the padding becomes 0.
pub fn gradient(
    vectors: Vectors,
    objective: Objective,
    targets: &Targets,
    order: &[u32],
    (outputs, pitch): (usize, usize),
    f: &mut [f32],
) {
    match targets.of {
        Target::Classes(labels) => {
            softmax(vectors, outputs, pitch, f);
            classes_gradient(labels, order, (outputs, pitch), objective.label_smoothing, f);
        }
        Target::Values(values) => {
            vectorize!(vectors, |_simd| values_gradient(objective.loss, values, order, (outputs, pitch), f));
        }
    }
    if let Some(weights) = targets.weights {
        for (row, &source) in f.chunks_exact_mut(pitch).zip(order) {
            row.iter_mut().for_each(|d| *d *= weights[source as usize]);
        }
    }
}

fn classes_gradient(labels: &[u32], order: &[u32], (classes, pitch): (usize, usize), smoothing: f32, p: &mut [f32]) {
    for (row, &source) in p.chunks_exact_mut(pitch).zip(order) {
        loss_gradient::of_class(smoothing, labels[source as usize], &mut row[..classes]);
    }
}

#[inline(always)]
fn values_gradient(loss: Loss, values: &[f32], order: &[u32], (outputs, pitch): (usize, usize), f: &mut [f32]) {
    for (row, &source) in f.chunks_exact_mut(pitch).zip(order) {
        let (f, padding) = row.split_at_mut(outputs);
        loss_gradient::of_values(loss, &values[source as usize * outputs..][..outputs], f);
        padding.fill(0.0);
    }
}

/// The loss of a row of outputs: a mean over them.
pub fn values_loss(loss: Loss, f: &[f32], targets: &[f32]) -> f32 {
    let sum: f32 = f.iter().zip(targets).map(|(f, target)| value_loss(loss, f - target)).sum();
    sum / f.len() as f32
}

/// What is told of the values `predicted` (`rows x outputs`) for `targets`.
pub fn values_evaluation(loss: Loss, predicted: &[f32], targets: &[f32], outputs: usize) -> Evaluation {
    let rows = predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
    let loss_sum = rows.map(|(f, targets)| f64::from(values_loss(loss, f, targets))).sum();
    Evaluation::of_values(loss_sum, predicted, targets, outputs)
}

fn value_loss(loss: Loss, error: f32) -> f32 {
    match loss {
        Loss::CrossEntropy | Loss::Mse => error * error,
        Loss::Mae => error.abs(),
        Loss::Huber if error.abs() <= 1.0 => 0.5 * error * error,
        Loss::Huber => error.abs() - 0.5,
    }
}
