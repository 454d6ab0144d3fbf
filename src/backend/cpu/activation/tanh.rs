//! The hyperbolic tangent: `h = (1 - e^-2|f|) / (1 + e^-2|f|)` with the sign of `f`; its slope is `1 - h^2`.

use super::exponential::exponential_minus_one;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() {
        return f;
    }
    let e = exponential_minus_one(-2.0 * f.abs());
    let negative = e / (e + 2.0);
    if f < 0.0 { negative } else { -negative }
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, h: f32) -> f32 {
    gradient * ((1.0 - h) * (1.0 + h))
}
