//! Softplus: `h = ln(1 + e^f)`; its slope is `1 - e^-h`. Only tests have it: it is the worked example of CONTRIBUTING.md.

use super::exponential::{exponential, exponential_minus_one};
use super::{Activate, Exponential, Operator, Simd, multiply_add, unless_nan};

pub(crate) struct Softplus;

impl Activate for Softplus {
    const OPERATORS: &'static [Operator] = &[Operator::of("Softplus")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        // ln(1 + u) = 2 artanh(s), s = u / (2 + u)
        let u = exponential(-f.abs());
        let s = u / (2.0 + u);
        let square = s * s;
        let series = SERIES.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
        f.max(0.0) + 2.0 * s * series
    }

    fn activate_backward(gradient: f32, h: f32) -> f32 {
        if h.is_nan() { h } else { gradient * -exponential_minus_one(-h) }
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        let splat = |value| simd.splat_f32s(value);
        let u = Exponential::new(simd, simd.neg_f32s(simd.abs_f32s(f)), None).value(simd);
        let s = simd.div_f32s(u, simd.add_f32s(u, splat(2.0)));
        let square = simd.mul_f32s(s, s);
        let mut series = splat(0.0);
        for coefficient in SERIES {
            series = multiply_add(simd, series, square, splat(coefficient));
        }
        let twice = simd.add_f32s(s, s);
        unless_nan(simd, f, multiply_add(simd, twice, series, simd.max_f32s(f, splat(0.0))))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, h: S::f32s) -> S::f32s {
        let slope = simd.neg_f32s(Exponential::new(simd, simd.neg_f32s(h), None).minus_one(simd));
        simd.mul_f32s(gradient, unless_nan(simd, h, slope))
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        (f.max(0.0) + (-f.abs()).exp().ln_1p(), super::sigmoid::exact_sigmoid(f))
    }
}

/// The series of `artanh(s) / s` in `s^2`, the last term first; `s` is at most 1/3.
const SERIES: [f32; 9] =
    [1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
