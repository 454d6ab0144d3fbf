//! `h = activate(f)`: the activation of each value.

use crate::model::Activation;

/// Replaces every value of `f` by its activation. NaN stays NaN, so that a run that diverged cannot look healthy.
pub fn activate(activation: Activation, f: &mut [f32]) {
    match activation {
        Activation::Relu => f.iter_mut().filter(|f| **f < 0.0).for_each(|f| *f = 0.0),
        _ => {}
    }
}
