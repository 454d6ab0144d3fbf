//! SiLU: `h = f s(f)`, by the sigmoid `s`; its slope is `s(f) + f s(f) s(-f)`.

use super::exponential::sigmoids;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() { f } else { f * sigmoids(f).0 }
}

/// The gradient at `f`, from that at `h` and from `f`.
pub fn activate_backward(gradient: f32, f: f32) -> f32 {
    if f.is_nan() {
        return f;
    }
    let (sigmoid, other) = sigmoids(f);
    gradient * (f * sigmoid * other + sigmoid)
}
