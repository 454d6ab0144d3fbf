//! The logistic function: `h = 1 / (1 + e^-f)`; its slope is `h (1 - h)`.

use super::exponential::sigmoids;
use super::{Activate, Operator, Simd, sigmoids_of_vector, unless_nan};

pub(crate) struct Sigmoid;

impl Activate for Sigmoid {
    const OPERATORS: &'static [Operator] = &[Operator::of("Sigmoid")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() { f } else { sigmoids(f).0 }
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        gradient * (h * (1.0 - h))
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, sigmoids_of_vector(simd, f).0)
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        let slope = simd.mul_f32s(h, simd.sub_f32s(simd.splat_f32s(1.0), h));
        simd.mul_f32s(gradient, slope)
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        let sigmoid = exact_sigmoid(f);
        (sigmoid, sigmoid * exact_sigmoid(-f))
    }
}

/// The logistic function in f64.
#[cfg(test)]
pub(super) fn exact_sigmoid(x: f64) -> f64 {
    if x > 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}
