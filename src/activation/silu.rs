//! SiLU: `h = f s(f)`, by the sigmoid `s`; its slope is `s(f) + f s(f) s(-f)`.

use super::exponential::sigmoids;
use super::{Activate, Operator, Simd, multiply_add, sigmoids_of_vector, unless_nan};

pub(crate) struct Silu;

impl Activate for Silu {
    const SAVES_INPUT: bool = true;
    const OPERATORS: &'static [Operator] = &[Operator::of("Sigmoid"), Operator::with_input("Mul")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() { f } else { f * sigmoids(f).0 }
    }

    fn activate_backward(gradient: f32, f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        let (sigmoid, other) = sigmoids(f);
        gradient * (f * sigmoid * other + sigmoid)
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, sigmoids_of_vector(simd, f).0))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, f: S::f32s) -> S::f32s {
        let (sigmoid, other) = sigmoids_of_vector(simd, f);
        let slope = multiply_add(simd, simd.mul_f32s(f, sigmoid), other, sigmoid);
        simd.mul_f32s(gradient, unless_nan(simd, f, slope))
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        let sigmoid = super::sigmoid::exact_sigmoid;
        (f * sigmoid(f), sigmoid(f) + f * sigmoid(f) * sigmoid(-f))
    }
}
