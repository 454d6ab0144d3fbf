//! ReLU: `h = max(f, 0)`, with the slope 0 at exactly 0. NaN stays NaN.

use super::{Activate, Operator, Simd};

pub(crate) struct Relu;

impl Activate for Relu {
    const OPERATORS: &'static [Operator] = &[Operator::of("Relu")];

    fn activate(f: f32) -> f32 {
        if f < 0.0 { 0.0 } else { f }
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        if h <= 0.0 { 0.0 } else { gradient }
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_f32s(f, zero), zero, f)
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_or_equal_f32s(h, zero), zero, gradient)
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        (f.max(0.0), f64::from(f > 0.0))
    }
}
