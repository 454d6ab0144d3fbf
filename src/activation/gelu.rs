//! GELU: `h = f P(f)`, by the normal distribution `P` with the density `p`; its slope is `P(f) + f p(f)`.

use super::exponential::exponential_of_sum;
use super::{Activate, Exponential, Operator, Simd, multiply_add, unless_nan};

pub(crate) struct Gelu;

impl Activate for Gelu {
    const SAVES_INPUT: bool = true;
    // f (1 + erf(f / sqrt(2))) / 2
    const OPERATORS: &'static [Operator] = &[
        Operator::with("Div", std::f32::consts::SQRT_2),
        Operator::of("Erf"),
        Operator::with("Add", 1.0),
        Operator::with_input("Mul"),
        Operator::with("Mul", 0.5),
    ];

    fn activate(f: f32) -> f32 {
        if f.is_nan() { f } else { f * normal(f).0 }
    }

    fn activate_backward(gradient: f32, f: f32) -> f32 {
        if f.is_nan() {
            return f;
        }
        let (cumulative, density) = normal(f);
        gradient * (f * density + cumulative)
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, normal_of_vector(simd, f).0))
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, f: S::f32s) -> S::f32s {
        let (cumulative, density) = normal_of_vector(simd, f);
        let slope = unless_nan(simd, f, multiply_add(simd, f, density, cumulative));
        simd.mul_f32s(gradient, slope)
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        let density = (-0.5 * f * f).exp() / (2.0 * std::f64::consts::PI).sqrt();
        (f * exact_cumulative(f), exact_cumulative(f) + f * density)
    }
}

/// `P(-a) e^(a^2 / 2)` is `t` times a polynomial in `t - 0.6`, `t = 1 / (1 + 0.3 a)`, with these coefficients: a minimax fit for
/// `a` in 0..13.3 by iterated weighted least squares, within 3.5e-9.
const TAIL: [f32; 10] = [
    -0.020_584_656,
    0.001_059_987,
    0.044_185_495,
    -0.007_551_482_5,
    -0.091_044_66,
    -0.013_820_072,
    0.225_355_84,
    0.413_744_85,
    0.405_136_75,
    0.258_572_68,
];

/// The normal distribution's cumulative probability and density.
fn normal(x: f32) -> (f32, f32) {
    // Beyond 13.3 the exponential is 0.
    let a = x.abs().min(13.4);
    // The square in two parts: of the leading bits, which is exact, and the rest.
    let leading = f32::from_bits(a.to_bits() & 0xffff_f000);
    let rest = (a - leading) * (a + leading);
    let e = exponential_of_sum(-0.5 * (leading * leading), -0.5 * rest);
    let t = 1.0 / (0.3 * a + 1.0);
    let s = t - 0.6;
    let p = TAIL.iter().fold(0.0, |p, coefficient| p * s + coefficient);
    let tail = p * t * e;
    // 1 / sqrt(2 pi)
    (if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * e)
}

/// [`normal`] of a vector; of NaN any numbers.
#[inline(always)]
fn normal_of_vector<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let splat = |value| simd.splat_f32s(value);
    // Beyond 13.3 the exponential is 0.
    let a = simd.min_f32s(simd.abs_f32s(x), splat(13.4));
    // The square in two parts: of the leading bits, which is exact, and the rest.
    let leading = simd.transmute_f32s_u32s(simd.and_u32s(simd.transmute_u32s_f32s(a), simd.splat_u32s(0xffff_f000)));
    let rest = simd.mul_f32s(simd.sub_f32s(a, leading), simd.add_f32s(a, leading));
    let half = splat(-0.5);
    let square = simd.mul_f32s(leading, leading);
    let e = Exponential::new(simd, simd.mul_f32s(square, half), Some(simd.mul_f32s(rest, half))).value(simd);
    let t = simd.div_f32s(splat(1.0), multiply_add(simd, a, splat(0.3), splat(1.0)));
    let s = simd.sub_f32s(t, splat(0.6));
    let mut p = splat(0.0);
    for coefficient in TAIL {
        p = multiply_add(simd, p, s, splat(coefficient));
    }
    let tail = simd.mul_f32s(simd.mul_f32s(p, t), e);
    let negative = simd.less_than_f32s(x, splat(0.0));
    let cumulative = simd.select_f32s(negative, tail, simd.sub_f32s(splat(1.0), tail));
    // 1 / sqrt(2 pi)
    (cumulative, simd.mul_f32s(e, splat(0.398_942_3)))
}

/// The normal distribution function: its series near 0, its continued fraction (Abramowitz and Stegun 26.2.14) beyond.
#[cfg(test)]
fn exact_cumulative(x: f64) -> f64 {
    let a = x.abs();
    let density = (-0.5 * a * a).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let tail = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..200 {
            term *= a * a / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - density * sum
    } else {
        density / (1..200).rev().fold(a, |fraction, n| a + f64::from(n) / fraction)
    };
    if x < 0.0 { tail } else { 1.0 - tail }
}
