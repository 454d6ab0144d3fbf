//! ReLU: `h = max(f, 0)`, with the slope 0 at exactly 0. NaN stays NaN.

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f < 0.0 { 0.0 } else { f }
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, h: f32) -> f32 {
    if h <= 0.0 { 0.0 } else { gradient }
}
