//! The hyperbolic tangent: `h = (1 - e^-2|f|) / (1 + e^-2|f|)` with the sign of `f`; its slope is `1 - h^2`.

use super::exponential::exponential_minus_one;
use super::{Activate, Exponential, Operator, Simd, unless_nan};

pub(crate) struct Tanh;

impl Activate for Tanh {
    const OPERATORS: &'static [Operator] = &[Operator::of("Tanh")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        let e = exponential_minus_one(-2.0 * f.abs());
        let negative = e / (e + 2.0);
        if f < 0.0 { negative } else { -negative }
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        gradient * ((1.0 - h) * (1.0 + h))
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        let twice = simd.mul_f32s(simd.abs_f32s(f), simd.splat_f32s(-2.0));
        let e = Exponential::new(simd, twice, None).minus_one(simd);
        let value = simd.div_f32s(e, simd.add_f32s(e, simd.splat_f32s(2.0)));
        // `value` is -tanh(|f|). Near 0 the series is f, and 0 keeps its sign.
        unless_nan(simd, f, simd.select_f32s(simd.less_than_f32s(f, simd.splat_f32s(0.0)), value, simd.neg_f32s(value)))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        let one = simd.splat_f32s(1.0);
        let slope = simd.mul_f32s(simd.sub_f32s(one, h), simd.add_f32s(one, h));
        simd.mul_f32s(gradient, slope)
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        (f.tanh(), f.cosh().powi(-2))
    }
}
