//! The identity: `h = f`.

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    f
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, _: f32) -> f32 {
    gradient
}
