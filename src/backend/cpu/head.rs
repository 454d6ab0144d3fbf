//! The head of a batch: what its targets are, and the gradient of the loss at the last layer's sums.

use super::row_softmax;
use super::vector::{Vectors, vectorize};
use crate::recipe::Loss;

/// What training makes small.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// The loss.
    pub loss: Loss,
    /// The share of a label that is spread over all classes.
    pub label_smoothing: f32,
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

impl Targets<'_> {
    /// The weights of the rows `order` together: what the sum of their losses is divided by.
    pub fn total(&self, order: &[u32]) -> f32 {
        let Some(weights) = self.weights else { return order.len() as f32 };
        let total: f32 = order.iter().map(|&row| weights[row as usize]).sum();
        // Rows that all weigh nothing have no gradient.
        if total == 0.0 { 1.0 } else { total }
    }
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

/// `p - ((1 - smoothing) onehot(label) + smoothing / classes)`
fn classes_gradient(labels: &[u32], order: &[u32], (classes, pitch): (usize, usize), smoothing: f32, p: &mut [f32]) {
    for (row, &source) in p.chunks_exact_mut(pitch).zip(order) {
        row[labels[source as usize] as usize] -= 1.0 - smoothing;
        if smoothing > 0.0 {
            row[..classes].iter_mut().for_each(|p| *p -= smoothing / classes as f32);
        }
    }
}

/// The derivative of a row's loss, which is a mean over its outputs.
#[inline(always)]
fn values_gradient(loss: Loss, values: &[f32], order: &[u32], (outputs, pitch): (usize, usize), f: &mut [f32]) {
    let share = 1.0 / outputs as f32;
    for (row, &source) in f.chunks_exact_mut(pitch).zip(order) {
        let targets = &values[source as usize * outputs..][..outputs];
        for (f, &target) in row.iter_mut().zip(targets) {
            let error = *f - target;
            *f = share
                * match loss {
                    Loss::CrossEntropy | Loss::Mse => 2.0 * error,
                    // 0 where there is no error, and NaN where it is NaN.
                    Loss::Mae => {
                        if error > 0.0 {
                            1.0
                        } else if error < 0.0 {
                            -1.0
                        } else {
                            error
                        }
                    }
                    Loss::Huber => error.clamp(-1.0, 1.0),
                };
        }
        row[outputs..].fill(0.0);
    }
}

/// The loss of a row of outputs: a mean over them.
pub fn values_loss(loss: Loss, f: &[f32], targets: &[f32]) -> f32 {
    let sum: f32 = f.iter().zip(targets).map(|(f, target)| value_loss(loss, f - target)).sum();
    sum / f.len() as f32
}

fn value_loss(loss: Loss, error: f32) -> f32 {
    match loss {
        Loss::CrossEntropy | Loss::Mse => error * error,
        Loss::Mae => error.abs(),
        Loss::Huber if error.abs() <= 1.0 => 0.5 * error * error,
        Loss::Huber => error.abs() - 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_values_are_the_differences_of_their_loss() {
        let (f, targets) = ([0.3, -2.5, 4.0, 0.9], [0.1, 0.25, 1.0, 1.5]);
        for loss in [Loss::Mse, Loss::Mae, Loss::Huber] {
            let mut d = [0.0; 8];
            d[..4].copy_from_slice(&f);
            values_gradient(loss, &targets, &[0], (4, 8), &mut d);
            for output in 0..4 {
                let at = |step: f32| {
                    let mut f = f;
                    f[output] += step;
                    values_loss(loss, &f, &targets)
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((d[output] - difference).abs() < 2e-4, "{loss:?}: {} is not {difference}", d[output]);
            }
            assert_eq!(d[4..], [0.0; 4]);
        }
    }
}
