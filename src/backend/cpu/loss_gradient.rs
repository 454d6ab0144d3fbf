//! The gradient of the summed loss at the last layer's output. Each row's is multiplied by the row's weight.

use super::head::{Objective, Target, Targets};
use crate::recipe::Loss;

/// Replaces the head's predictions `f` (`order.len() x outputs`), probabilities or values, by the gradient of the
/// summed loss of the rows `order` at the last layer's output.
pub fn loss_gradient(objective: Objective, targets: &Targets, order: &[u32], outputs: usize, f: &mut [f32]) {
    for (row, &source) in f.chunks_exact_mut(outputs).zip(order) {
        let source = source as usize;
        match targets.of {
            Target::Classes(labels) => of_class(objective.label_smoothing, labels[source], row),
            Target::Values(values) => of_values(objective.loss, &values[source * outputs..][..outputs], row),
        }
        if let Some(weights) = targets.weights {
            row.iter_mut().for_each(|d| *d *= weights[source]);
        }
    }
}

/// The gradient of one row of probabilities, through the softmax: `p - ((1 - smoothing) onehot(label) + smoothing / classes)`.
#[inline(always)]
pub fn of_class(smoothing: f32, label: u32, p: &mut [f32]) {
    p[label as usize] -= 1.0 - smoothing;
    if smoothing > 0.0 {
        let share = smoothing / p.len() as f32;
        p.iter_mut().for_each(|p| *p -= share);
    }
}

/// The gradient of one row of values: the derivative of its loss, which is a mean over them.
#[inline(always)]
pub fn of_values(loss: Loss, targets: &[f32], f: &mut [f32]) {
    let share = 1.0 / f.len() as f32;
    for (f, &target) in f.iter_mut().zip(targets) {
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
}

#[cfg(test)]
mod tests {
    use super::super::head::values_loss;
    use super::*;

    #[test]
    fn gradients_of_values_are_the_differences_of_their_loss() {
        let (f, targets) = ([0.3, -2.5, 4.0, 0.9], [0.1, 0.25, 1.0, 1.5]);
        for loss in [Loss::Mse, Loss::Mae, Loss::Huber] {
            let mut d = f;
            of_values(loss, &targets, &mut d);
            for output in 0..4 {
                let at = |step: f32| {
                    let mut f = f;
                    f[output] += step;
                    values_loss(loss, &f, &targets)
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((d[output] - difference).abs() < 2e-4, "{loss:?}: {} is not {difference}", d[output]);
            }
        }
    }
}
