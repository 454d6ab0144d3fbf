//! A step of the parameters by an optimizer, on the mean of their gradients over a batch. The formulas are those of
//! `torch.optim`.

use crate::backend::numbers::Numbers;
use crate::recipe::OptimizerKind;

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
                b[at] = momentum * b[at] + (mean + decay * *w);
                *w -= learning_rate * b[at];
            }
            (OptimizerKind::Nesterov, [b, ..]) => {
                let g = mean + decay * *w;
                b[at] = momentum * b[at] + g;
                *w -= learning_rate * (g + momentum * b[at]);
            }
            (OptimizerKind::Adam | OptimizerKind::AdamW, [m, v, ..]) => {
                let g = if optimizer == OptimizerKind::Adam { mean + decay * *w } else { mean };
                if optimizer == OptimizerKind::AdamW {
                    *w *= 1.0 - learning_rate * decay;
                }
                m[at] = beta1 * m[at] + (1.0 - beta1) * g;
                v[at] = beta2 * v[at] + (1.0 - beta2) * (g * g);
                *w -= step_size * (m[at] / (v[at].sqrt() / correction + epsilon));
            }
            (_, slots) => debug_assert!(false, "{} slots are too few for {optimizer:?}", slots.len()),
        }
    }
}
