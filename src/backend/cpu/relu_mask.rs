//! The derivative of ReLU, applied to a gradient: `d *= (h > 0)`, 0 at exactly 0.
//!
//! `h = relu(f)` is above 0 exactly where `f` is, so the activations serve as the mask.

/// Zeroes `d` where `h` is not above 0.
pub fn relu_mask(h: &[f32], d: &mut [f32]) {
    for (d, &h) in d.iter_mut().zip(h) {
        if h <= 0.0 {
            *d = 0.0;
        }
    }
}
