//! `d = d activate'(f)`: the gradient before an activation, from that behind it.

use crate::activation::Activation;

/// Multiplies `d` by the slope of the activation, computed from `saved`: its input where [`Activation::saves_input`], else its
/// output.
pub fn activate_backward(activation: Activation, saved: &[f32], d: &mut [f32]) {
    let backward = activation.backward_function();
    for (d, &saved) in d.iter_mut().zip(saved) {
        *d = backward(*d, saved);
    }
}
