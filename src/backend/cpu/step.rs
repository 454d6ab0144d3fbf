//! A step of the parameters by an optimizer, on the mean of their gradients over a batch. The formulas are those of
//! `torch.optim`.

use crate::backend::numbers::Numbers;
use crate::recipe::OptimizerKind;

/// What an optimizer keeps of a parameter is 0 below this. It shrinks with each step that has no gradient, and would end as a number of
/// less than full precision, with which many processors are a hundred times slower.
pub(super) const LEAST_KEPT: f32 = f32::MIN_POSITIVE * 64.0;

/// `value`, or 0 below [`LEAST_KEPT`].
fn without_tiny(value: f32) -> f32 {
    if value.abs() < LEAST_KEPT { 0.0 } else { value }
}

/// What makes the mean over a batch of gradients that were summed over its rows.
#[derive(Debug, Clone, Copy)]
pub struct Mean {
    /// What the sums are divided by: the weights of the rows together.
    pub divisor: f32,
    /// What clipping multiplies the quotients by; 1 without.
    pub factor: f32,
}

/// Updates the weights or the biases of a layer, `parameters`, from `gradients`, summed over the rows of a batch.
/// `slots` are what the optimizer keeps of these parameters, each as long.
pub fn step(
    optimizer: OptimizerKind,
    numbers: &Numbers,
    bias: bool,
    gradients: &[f32],
    Mean { divisor, factor }: Mean,
    parameters: &mut [f32],
    slots: &mut [&mut [f32]],
) {
    let Numbers { learning_rate, momentum, beta1, beta2, epsilon, step_size, correction, .. } = *numbers;
    let decay = if bias { numbers.bias_decay } else { numbers.weight_decay };
    for (at, (w, &gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
        let mean = gradient / divisor * factor;
        match (optimizer, &mut *slots) {
            (OptimizerKind::Sgd, _) => *w -= learning_rate * (mean + decay * *w),
            (OptimizerKind::Momentum, [b, ..]) => {
                b[at] = without_tiny(momentum * b[at] + (mean + decay * *w));
                *w -= learning_rate * b[at];
            }
            (OptimizerKind::Nesterov, [b, ..]) => {
                let g = mean + decay * *w;
                b[at] = without_tiny(momentum * b[at] + g);
                *w -= learning_rate * (g + momentum * b[at]);
            }
            (OptimizerKind::Adam | OptimizerKind::AdamW, [m, v, ..]) => {
                let g = if optimizer == OptimizerKind::Adam { mean + decay * *w } else { mean };
                if optimizer == OptimizerKind::AdamW {
                    *w *= 1.0 - learning_rate * decay;
                }
                m[at] = without_tiny(beta1 * m[at] + (1.0 - beta1) * g);
                v[at] = without_tiny(beta2 * v[at] + (1.0 - beta2) * (g * g));
                *w -= step_size * (m[at] / (v[at].sqrt() / correction + epsilon));
            }
            (_, slots) => debug_assert!(false, "{} slots are too few for {optimizer:?}", slots.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn moments_that_shrink_end_at_0() {
        let numbers = Numbers { learning_rate: 0.1, momentum: 0.9, beta1: 0.9, beta2: 0.999, ..Numbers::zeroed() };
        let numbers = Numbers { epsilon: 1e-8, step_size: 0.1, correction: 1.0, ..numbers };
        for optimizer in [OptimizerKind::Momentum, OptimizerKind::Nesterov, OptimizerKind::Adam, OptimizerKind::AdamW] {
            let (mut w, mut first, mut second) = ([0.5, -0.5], [1e-30, -1e-30], [1e-34, LEAST_KEPT]);
            for _ in 0..400 {
                let mean = Mean { divisor: 1.0, factor: 1.0 };
                step(optimizer, &numbers, false, &[0.0; 2], mean, &mut w, &mut [&mut first, &mut second]);
                assert!(first.iter().chain(&second).all(|&value| value == 0.0 || value.is_normal()), "{optimizer:?}");
            }
            assert_eq!((w, first), ([0.5, -0.5], [0.0; 2]), "{optimizer:?}");
        }
    }
}
