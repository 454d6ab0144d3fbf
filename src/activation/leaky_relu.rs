//! Leaky ReLU: `h = f` above 0, else `0.01 f`.

use super::{Activate, Operator, Simd, above_zero};

pub(crate) struct LeakyRelu;

impl Activate for LeakyRelu {
    const OPERATORS: &'static [Operator] = &[Operator::of("LeakyRelu")];

    fn activate(f: f32) -> f32 {
        if f > 0.0 { f } else { 0.01 * f }
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        if h > 0.0 { gradient } else { 0.01 * gradient }
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        above_zero(simd, f, f, simd.mul_f32s(f, simd.splat_f32s(0.01)))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        above_zero(simd, h, gradient, simd.mul_f32s(gradient, simd.splat_f32s(0.01)))
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        if f > 0.0 { (f, 1.0) } else { (0.01 * f, 0.01) }
    }
}
