//! A step of the front's parameters, each tensor at its share of the learning rate.

use super::step::{Mean, step};
use crate::backend::numbers::Numbers;
use crate::model::FrontTensor;
use crate::model::front::Decay;
use crate::recipe::OptimizerKind;

/// Updates `parameters`, those of `tensor`, as [`step`] does.
pub fn front_step(
    optimizer: OptimizerKind,
    numbers: &Numbers,
    tensor: &FrontTensor,
    gradients: &[f32],
    mean: Mean,
    parameters: &mut [f32],
    slots: &mut [&mut [f32]],
) {
    let decays = if tensor.decay == Decay::Never { 0.0 } else { 1.0 };
    let numbers = Numbers {
        learning_rate: numbers.learning_rate * tensor.rate,
        step_size: numbers.step_size * tensor.rate,
        weight_decay: numbers.weight_decay * decays,
        bias_decay: numbers.bias_decay * decays,
        ..*numbers
    };
    step(optimizer, &numbers, tensor.decay == Decay::Biases, gradients, mean, parameters, slots);
}
