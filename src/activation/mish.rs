//! Mish: `h = f t`, `t = tanh(ln(1 + e^f))`; its slope is `t + f s(f) (1 - t^2)`, by the sigmoid `s` (Misra 2019).

use super::exponential::exponential;
use super::{Activate, Exponential, Operator, Simd, multiply_add, unless_nan};

pub(crate) struct Mish;

impl Activate for Mish {
    const SAVES_INPUT: bool = true;
    const OPERATORS: &'static [Operator] =
        &[Operator::of("Softplus"), Operator::of("Tanh"), Operator::with_input("Mul")];

    fn activate(f: f32) -> f32 {
        if f.is_nan() { f } else { f * parts(f).0 }
    }

    fn activate_backward(gradient: f32, f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        let (t, rest, sigmoid) = parts(f);
        gradient * (f * sigmoid * rest + t)
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, parts_of_vector(simd, f)[0]))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, f: S::f32s) -> S::f32s {
        let [t, rest, sigmoid] = parts_of_vector(simd, f);
        let slope = multiply_add(simd, simd.mul_f32s(f, sigmoid), rest, t);
        simd.mul_f32s(gradient, unless_nan(simd, f, slope))
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        let softplus = if f > 0.0 { f + (-f).exp().ln_1p() } else { f.exp().ln_1p() };
        let t = softplus.tanh();
        (f * t, t + f * super::sigmoid::exact_sigmoid(f) * (1.0 - t * t))
    }
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

/// [`parts`] of a vector; of NaN any numbers.
#[inline(always)]
fn parts_of_vector<S: Simd>(simd: S, f: S::f32s) -> [S::f32s; 3] {
    let (one, two) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0));
    let u = Exponential::new(simd, simd.neg_f32s(simd.abs_f32s(f)), None).value(simd);
    let square = simd.mul_f32s(u, u);
    let negative = simd.less_than_f32s(f, simd.splat_f32s(0.0));
    let twice = simd.mul_f32s(two, u);
    let numerator = simd.select_f32s(negative, simd.add_f32s(square, twice), simd.add_f32s(one, twice));
    let more = simd.select_f32s(negative, two, simd.mul_f32s(two, square));
    let reciprocal = simd.div_f32s(one, simd.add_f32s(numerator, more));
    let t = simd.mul_f32s(numerator, reciprocal);
    let rest = simd.mul_f32s(simd.mul_f32s(more, reciprocal), simd.add_f32s(one, t));
    let sigmoid = simd.div_f32s(simd.select_f32s(negative, u, one), simd.add_f32s(one, u));
    [t, rest, sigmoid]
}
