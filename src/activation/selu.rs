//! SELU: `h = scale f` above 0, else `scale alpha (e^f - 1)`, whose slope is `h + scale alpha` (Klambauer et al. 2017).

use super::exponential::exponential_minus_one;
use super::{Activate, Exponential, Operator, Simd, above_zero, unless_nan};

pub(crate) struct Selu;

const SCALE: f32 = 1.050_701;
/// Times `alpha`, 1.6732632423543772.
const SCALE_ALPHA: f32 = 1.758_099_3;

impl Activate for Selu {
    const OPERATORS: &'static [Operator] = &[Operator::of("Selu")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        if f > 0.0 { SCALE * f } else { SCALE_ALPHA * exponential_minus_one(f) }
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        gradient * if h > 0.0 { SCALE } else { h + SCALE_ALPHA }
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        let below = Exponential::new(simd, simd.min_f32s(f, simd.splat_f32s(0.0)), None).minus_one(simd);
        let below = simd.mul_f32s(below, simd.splat_f32s(SCALE_ALPHA));
        let above = simd.mul_f32s(f, simd.splat_f32s(SCALE));
        unless_nan(simd, f, above_zero(simd, f, above, below))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        let below = simd.add_f32s(h, simd.splat_f32s(SCALE_ALPHA));
        simd.mul_f32s(gradient, above_zero(simd, h, simd.splat_f32s(SCALE), below))
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        if f > 0.0 { (scale * f, scale) } else { (scale * alpha * f.exp_m1(), scale * alpha * f.exp()) }
    }
}
