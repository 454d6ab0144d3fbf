//! `h = activate(f)`: the activation of each value.

use crate::activation::Activation;

/// Replaces every value of `f` by its activation. NaN stays NaN, so that a run that diverged cannot look healthy.
pub fn activate(activation: Activation, f: &mut [f32]) {
    let activate = activation.function();
    for f in f {
        *f = activate(*f);
    }
}
