//! The numbers that a step of the parameters computes with, the same on every backend.

use bytemuck::{Pod, Zeroable};

use crate::recipe::Optimizer;

/// An optimizer's numbers in one step, each rounded to f32 once. Names and formulas are those of `torch.optim`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct Numbers {
    /// The learning rate.
    pub learning_rate: f32,
    /// The share of the last step that is taken again.
    pub momentum: f32,
    /// How slowly Adam's mean of the gradients changes.
    pub beta1: f32,
    /// How slowly Adam's mean of the squared gradients changes.
    pub beta2: f32,
    /// Added to Adam's divisor.
    pub epsilon: f32,
    /// The weight decay of weights.
    pub weight_decay: f32,
    /// The weight decay of biases.
    pub bias_decay: f32,
    /// `learning_rate / (1 - beta1^t)` in step `t`.
    pub step_size: f32,
    /// `sqrt(1 - beta2^t)`
    pub correction: f32,
}

impl Numbers {
    /// Those of step `t`, counted from 1, at the rate `learning_rate`.
    pub fn new(optimizer: &Optimizer, learning_rate: f32, t: u64) -> Self {
        let Optimizer { momentum, beta1, beta2, epsilon, weight_decay, decay_biases, .. } = *optimizer;
        let power = |beta: f64| beta.powf(t as f64);
        Self {
            learning_rate,
            momentum: momentum as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            weight_decay: weight_decay as f32,
            bias_decay: if decay_biases { weight_decay as f32 } else { 0.0 },
            step_size: (f64::from(learning_rate) / (1.0 - power(beta1))) as f32,
            correction: (1.0 - power(beta2)).sqrt() as f32,
        }
    }
}
