//! The logistic function: `h = 1 / (1 + e^-f)`; its slope is `h (1 - h)`.

use super::exponential::sigmoids;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() { f } else { sigmoids(f).0 }
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, h: f32) -> f32 {
    gradient * (h * (1.0 - h))
}
