//! Leaky ReLU: `h = f` above 0, else `0.01 f`.

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f > 0.0 { f } else { 0.01 * f }
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, h: f32) -> f32 {
    if h > 0.0 { gradient } else { 0.01 * gradient }
}
