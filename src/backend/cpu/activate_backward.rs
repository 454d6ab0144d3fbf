//! `d = d activate'(f)`: the gradient before an activation, from that behind it.

use crate::model::Activation;

/// Multiplies `d` by the slope of the activation that made `h`; that of ReLU is 0 at exactly 0.
pub fn activate_backward(activation: Activation, h: &[f32], d: &mut [f32]) {
    match activation {
        // `h = relu(f)` is above 0 exactly where `f` is.
        Activation::Relu => d.iter_mut().zip(h).filter(|(_, h)| **h <= 0.0).for_each(|(d, _)| *d = 0.0),
        _ => {}
    }
}
