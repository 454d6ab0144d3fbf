//! Mish: `h = f t`, `t = tanh(ln(1 + e^f))`; its slope is `t + f s(f) (1 - t^2)`, by the sigmoid `s` (Misra 2019).

use super::exponential::exponential;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() { f } else { f * parts(f).0 }
}

/// The gradient at `f`, from that at `h` and from `f`.
pub fn activate_backward(gradient: f32, f: f32) -> f32 {
    if f.is_nan() {
        return f;
    }
    let (t, rest, sigmoid) = parts(f);
    gradient * (f * sigmoid * rest + t)
}

/// `t`, `1 - t^2`, and `s`. With `w = e^f`, `t = (w^2 + 2w) / (w^2 + 2w + 2)`: for `f` from 0 on both sides divided by `w^2`.
fn parts(f: f32) -> (f32, f32, f32) {
    let u = exponential(-f.abs());
    let negative = f < 0.0;
    let numerator = if negative { u * u } else { 1.0 } + 2.0 * u;
    // What the denominator is more.
    let more = if negative { 2.0 } else { 2.0 * (u * u) };
    let reciprocal = 1.0 / (numerator + more);
    let t = numerator * reciprocal;
    (t, more * reciprocal * (1.0 + t), if negative { u } else { 1.0 } / (1.0 + u))
}
