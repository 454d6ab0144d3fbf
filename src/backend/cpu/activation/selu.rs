//! SELU: `h = scale f` above 0, else `scale alpha (e^f - 1)`, whose slope is `h + scale alpha` (Klambauer et al. 2017).

use super::exponential::exponential_minus_one;

const SCALE: f32 = 1.050_701;
/// Times `alpha`, 1.6732632423543772.
const SCALE_ALPHA: f32 = 1.758_099_3;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() {
        return f;
    }
    if f > 0.0 { SCALE * f } else { SCALE_ALPHA * exponential_minus_one(f) }
}

/// The gradient at `f`, from that at `h` and from `h`.
pub fn activate_backward(gradient: f32, h: f32) -> f32 {
    gradient * if h > 0.0 { SCALE } else { h + SCALE_ALPHA }
}
