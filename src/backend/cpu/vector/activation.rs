//! Activations of vectors: each is written once, and the products do not know which follows them.
//!
//! A product's output gets its biases and activation from the thread that computed it, while it is in that core's cache.

use std::ops::Range;

use pulp::Simd;

use super::exponential::{Exponential, normal, sigmoids};
use super::{LANES, Vectors, lanes, multiply_add, read, vectorize, vectorize_wide, write};
use crate::backend::cpu::panels::Part;
use crate::backend::cpu::team::Shared;
use crate::model::Activation;

/// An activation and its derivative. NaN stays NaN, so that a run that diverged cannot look healthy.
trait Activate: Copy {
    /// Whether the derivative is computed from the input; otherwise the output suffices.
    const SAVES_INPUT: bool = false;

    /// The activation of `f`.
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s;

    /// `gradient` times the derivative at the input `saved`, or where the output is `saved`.
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s;
}

/// `then` where `x` is above 0, else `otherwise`.
#[inline(always)]
fn above_zero<S: Simd>(simd: S, x: S::f32s, then: S::f32s, otherwise: S::f32s) -> S::f32s {
    simd.select_f32s(simd.greater_than_f32s(x, simd.splat_f32s(0.0)), then, otherwise)
}

/// `value`, but NaN where `x` is.
#[inline(always)]
fn unless_nan<S: Simd>(simd: S, x: S::f32s, value: S::f32s) -> S::f32s {
    simd.select_f32s(simd.equal_f32s(x, x), value, x)
}

/// `max(f, 0)`; its derivative at 0 is 0.
#[derive(Clone, Copy)]
struct Relu;

impl Activate for Relu {
    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_f32s(f, zero), zero, f)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_or_equal_f32s(saved, zero), zero, gradient)
    }
}

/// `f` above 0, else `0.01 f`.
#[derive(Clone, Copy)]
struct LeakyRelu;

impl Activate for LeakyRelu {
    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        above_zero(simd, f, f, simd.mul_f32s(f, simd.splat_f32s(0.01)))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        above_zero(simd, saved, gradient, simd.mul_f32s(gradient, simd.splat_f32s(0.01)))
    }
}

/// `tanh(f) = (1 - e^-2f) / (1 + e^-2f)`, with the derivative `1 - h^2`.
#[derive(Clone, Copy)]
struct Tanh;

impl Activate for Tanh {
    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        let twice = simd.mul_f32s(simd.abs_f32s(f), simd.splat_f32s(-2.0));
        let e = Exponential::new(simd, twice, None).minus_one(simd);
        let value = simd.div_f32s(e, simd.add_f32s(e, simd.splat_f32s(2.0)));
        // `value` is -tanh(|f|). Near 0 the series is f, and 0 keeps its sign.
        unless_nan(simd, f, simd.select_f32s(simd.less_than_f32s(f, simd.splat_f32s(0.0)), value, simd.neg_f32s(value)))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let one = simd.splat_f32s(1.0);
        let slope = simd.mul_f32s(simd.sub_f32s(one, saved), simd.add_f32s(one, saved));
        simd.mul_f32s(gradient, slope)
    }
}

/// `1 / (1 + e^-f)`, with the derivative `h (1 - h)`.
#[derive(Clone, Copy)]
struct Sigmoid;

impl Activate for Sigmoid {
    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, sigmoids(simd, f).0)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let slope = simd.mul_f32s(saved, simd.sub_f32s(simd.splat_f32s(1.0), saved));
        simd.mul_f32s(gradient, slope)
    }
}

/// `f P(f)`, with the derivative `P(f) + f p(f)`, of the normal distribution `P` with the density `p`.
#[derive(Clone, Copy)]
struct Gelu;

impl Activate for Gelu {
    const SAVES_INPUT: bool = true;

    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, normal(simd, f).0))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let (cumulative, density) = normal(simd, saved);
        let slope = unless_nan(simd, saved, multiply_add(simd, saved, density, cumulative));
        simd.mul_f32s(gradient, slope)
    }
}

/// `f s(f)`, with the derivative `s(f) + f s(f) s(-f)`, of the sigmoid `s`.
#[derive(Clone, Copy)]
struct Silu;

impl Activate for Silu {
    const SAVES_INPUT: bool = true;

    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, sigmoids(simd, f).0))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let (sigmoid, other) = sigmoids(simd, saved);
        let slope = multiply_add(simd, simd.mul_f32s(saved, sigmoid), other, sigmoid);
        simd.mul_f32s(gradient, unless_nan(simd, saved, slope))
    }
}

/// `scale f` above 0, else `scale alpha (e^f - 1)`; its derivative there is `h + scale alpha`.
#[derive(Clone, Copy)]
struct Selu;

impl Selu {
    const SCALE: f32 = 1.050_701;
    /// Times `alpha`, 1.67326324.
    const SCALE_ALPHA: f32 = 1.758_099_3;
}

impl Activate for Selu {
    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        let below = Exponential::new(simd, simd.min_f32s(f, simd.splat_f32s(0.0)), None).minus_one(simd);
        let below = simd.mul_f32s(below, simd.splat_f32s(Self::SCALE_ALPHA));
        let above = simd.mul_f32s(f, simd.splat_f32s(Self::SCALE));
        unless_nan(simd, f, above_zero(simd, f, above, below))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let below = simd.add_f32s(saved, simd.splat_f32s(Self::SCALE_ALPHA));
        simd.mul_f32s(gradient, above_zero(simd, saved, simd.splat_f32s(Self::SCALE), below))
    }
}

/// `f t`, with the derivative `t + f s(f) (1 - t^2)`, of the sigmoid `s` and `t = tanh(ln(1 + e^f))`.
#[derive(Clone, Copy)]
struct Mish;

impl Mish {
    /// `t`, `1 - t^2`, and `s`; of NaN any numbers.
    ///
    /// With `w = e^f`, `t = (w^2 + 2w) / (w^2 + 2w + 2)`: for `f` above 0 both sides divided by `w^2`.
    #[inline(always)]
    fn parts<S: Simd>(simd: S, f: S::f32s) -> [S::f32s; 3] {
        let (one, two) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0));
        let u = Exponential::new(simd, simd.neg_f32s(simd.abs_f32s(f)), None).value(simd);
        let square = simd.mul_f32s(u, u);
        let negative = simd.less_than_f32s(f, simd.splat_f32s(0.0));
        let twice = simd.mul_f32s(two, u);
        let numerator = simd.select_f32s(negative, simd.add_f32s(square, twice), simd.add_f32s(one, twice));
        // What the denominator is more.
        let more = simd.select_f32s(negative, two, simd.mul_f32s(two, square));
        let reciprocal = simd.div_f32s(one, simd.add_f32s(numerator, more));
        let t = simd.mul_f32s(numerator, reciprocal);
        let rest = simd.mul_f32s(simd.mul_f32s(more, reciprocal), simd.add_f32s(one, t));
        let sigmoid = simd.div_f32s(simd.select_f32s(negative, u, one), simd.add_f32s(one, u));
        [t, rest, sigmoid]
    }
}

impl Activate for Mish {
    const SAVES_INPUT: bool = true;

    #[inline(always)]
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s {
        unless_nan(simd, f, simd.mul_f32s(f, Self::parts(simd, f)[0]))
    }

    #[inline(always)]
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s {
        let [t, rest, sigmoid] = Self::parts(simd, saved);
        let slope = multiply_add(simd, simd.mul_f32s(saved, sigmoid), rest, t);
        simd.mul_f32s(gradient, unless_nan(simd, saved, slope))
    }
}

/// `f`
#[derive(Clone, Copy)]
struct Identity;

impl Activate for Identity {
    #[inline(always)]
    fn activate<S: Simd>(self, _: S, f: S::f32s) -> S::f32s {
        f
    }

    #[inline(always)]
    fn backward<S: Simd>(self, _: S, gradient: S::f32s, _: S::f32s) -> S::f32s {
        gradient
    }
}

/// Evaluates `$body` for the activation `$which`, which it knows as `$activate`: compiled once for each.
macro_rules! monomorphised {
    ($which:expr, |$activate:ident| $body:expr) => {
        monomorphised!(@ $which, $activate, $body, Relu LeakyRelu Tanh Sigmoid Gelu Silu Selu Mish Identity)
    };
    (@ $which:expr, $activate:ident, $body:expr, $($name:ident)*) => {
        match $which {
            $(Activation::$name => {
                let $activate = $name;
                $body
            })*
        }
    };
}

/// Some rows of some columns of a matrix.
#[derive(Clone)]
pub struct Block<'a> {
    /// Of the matrix.
    pub rows: Range<usize>,
    /// Where the columns lie; [`LANES`] of them, or whole multiples of the longest vector.
    pub part: &'a Part,
}

impl Block<'_> {
    /// Where its values lie: together where the columns are whole rows, else row by row.
    #[inline(always)]
    fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let (columns, rows) = (self.part.columns.len(), self.rows.len());
        let (count, length) = if columns == self.part.width { (1, rows * columns) } else { (rows, columns) };
        let count = if rows == 0 { 0 } else { count };
        (self.rows.start..self.rows.start + count).map(move |row| self.part.row(row)..self.part.row(row) + length)
    }

    /// Where each row's columns lie.
    #[inline(always)]
    pub fn places(&self) -> impl Iterator<Item = Range<usize>> {
        let columns = self.part.columns.len();
        self.rows.clone().map(move |row| self.part.row(row)..self.part.row(row) + columns)
    }
}

/// `f = activation(f + biases)` in a block of `f`; `biases` are those of the block's columns. `saved`, if there is one, gets what
/// the derivative is computed from; it is laid out as `f`.
///
/// # Safety
/// Nobody else touches the block of `f` and `saved` until the next barrier.
pub unsafe fn forward(
    vectors: Vectors,
    activation: Activation,
    biases: &[f32],
    block: Block,
    f: &Shared<f32>,
    saved: Option<&Shared<f32>>,
) {
    monomorphised!(activation, |activate| {
        let task = Forward { activate, biases: &biases[..block.part.columns.len()], block, f, saved };
        // SAFETY, of both: as the caller promises.
        if task.biases.len() == LANES {
            // SAFETY: as the caller promises.
            vectorize!(vectors, |simd| unsafe { task.run(simd) });
        } else {
            // SAFETY: as the caller promises.
            vectorize_wide!(vectors, |simd| unsafe { task.run(simd) });
        }
    });
}

struct Forward<'a, A> {
    activate: A,
    biases: &'a [f32],
    block: Block<'a>,
    f: &'a Shared<'a, f32>,
    saved: Option<&'a Shared<'a, f32>>,
}

impl<A: Activate> Forward<'_, A> {
    /// One vector of `f`: what its derivative is computed from.
    #[inline(always)]
    fn one<S: Simd>(&self, simd: S, f: &mut [f32], bias: S::f32s) -> S::f32s {
        // SAFETY: one vector long.
        let sum = simd.add_f32s(unsafe { read(simd, f, 0) }, bias);
        let h = self.activate.activate(simd, sum);
        write(simd, f, h);
        if A::SAVES_INPUT { sum } else { h }
    }

    /// # Safety
    /// As [`forward`].
    #[inline(always)]
    unsafe fn run<S: Simd>(self, simd: S) {
        for place in self.block.spans() {
            // SAFETY: as the caller promises.
            let f = unsafe { self.f.part_mut(place.clone()) };
            // SAFETY: as the caller promises.
            let saved = self.saved.map(|saved| unsafe { saved.part_mut(place) });
            if self.biases.len() == lanes::<S>() {
                // One vector per row, and the same biases for all.
                // SAFETY: one vector long.
                let bias = unsafe { read(simd, self.biases, 0) };
                let f = f.chunks_exact_mut(lanes::<S>());
                if let Some(saved) = saved {
                    for (f, saved) in f.zip(saved.chunks_exact_mut(lanes::<S>())) {
                        write(simd, saved, self.one(simd, f, bias));
                    }
                } else {
                    for f in f {
                        self.one(simd, f, bias);
                    }
                }
                continue;
            }
            let rows = f.chunks_exact_mut(self.biases.len());
            if let Some(saved) = saved {
                for (f, saved) in rows.zip(saved.chunks_exact_mut(self.biases.len())) {
                    let vectors = f.chunks_exact_mut(lanes::<S>()).zip(saved.chunks_exact_mut(lanes::<S>()));
                    for ((f, saved), bias) in vectors.zip(self.biases.chunks_exact(lanes::<S>())) {
                        // SAFETY: one vector long.
                        let bias = unsafe { read(simd, bias, 0) };
                        write(simd, saved, self.one(simd, f, bias));
                    }
                }
            } else {
                for f in rows {
                    for (f, bias) in f.chunks_exact_mut(lanes::<S>()).zip(self.biases.chunks_exact(lanes::<S>())) {
                        // SAFETY: one vector long.
                        let bias = unsafe { read(simd, bias, 0) };
                        self.one(simd, f, bias);
                    }
                }
            }
        }
    }
}

/// `d`, the gradient at the activation's output, becomes that at its input, in a block of `d`; `saved` is what [`forward`] saved,
/// laid out as `d`.
///
/// # Safety
/// Nobody else touches the block of `d`, and nobody writes that of `saved`, until the next barrier.
pub unsafe fn backward(vectors: Vectors, activation: Activation, saved: &Shared<f32>, block: Block, d: &Shared<f32>) {
    monomorphised!(activation, |activate| {
        let narrow = block.part.columns.len() == LANES;
        let task = Backward { activate, saved, block, d };
        // SAFETY, of both: as the caller promises.
        if narrow {
            // SAFETY: as the caller promises.
            vectorize!(vectors, |simd| unsafe { task.run(simd) });
        } else {
            // SAFETY: as the caller promises.
            vectorize_wide!(vectors, |simd| unsafe { task.run(simd) });
        }
    });
}

struct Backward<'a, A> {
    activate: A,
    saved: &'a Shared<'a, f32>,
    block: Block<'a>,
    d: &'a Shared<'a, f32>,
}

impl<A: Activate> Backward<'_, A> {
    /// # Safety
    /// As [`backward`].
    #[inline(always)]
    unsafe fn run<S: Simd>(self, simd: S) {
        for place in self.block.spans() {
            // SAFETY: as the caller promises.
            let (saved, d) = unsafe { (self.saved.part(place.clone()), self.d.part_mut(place)) };
            for (d, saved) in d.chunks_exact_mut(lanes::<S>()).zip(saved.chunks_exact(lanes::<S>())) {
                // SAFETY: both are one vector long.
                let (gradient, saved) = unsafe { (read(simd, d, 0), read(simd, saved, 0)) };
                write(simd, d, self.activate.backward(simd, gradient, saved));
            }
        }
    }
}

#[cfg(test)]
pub(in crate::backend::cpu) mod tests {
    use super::*;
    use crate::backend::cpu::vector::Aligned;

    /// The activation of `x`, and its derivative there, from textbook formulas in f64.
    pub fn exact(activation: Activation, x: f64) -> (f64, f64) {
        let sigmoid = |x: f64| if x > 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) };
        let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        match activation {
            Activation::Relu => (x.max(0.0), f64::from(x > 0.0)),
            Activation::LeakyRelu => {
                if x > 0.0 {
                    (x, 1.0)
                } else {
                    (0.01 * x, 0.01)
                }
            }
            Activation::Tanh => (x.tanh(), x.cosh().powi(-2)),
            Activation::Sigmoid => (sigmoid(x), sigmoid(x) * sigmoid(-x)),
            Activation::Gelu => {
                let (cumulative, density) = (cumulative(x), (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt());
                (x * cumulative, cumulative + x * density)
            }
            Activation::Silu => (x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
            Activation::Selu if x > 0.0 => (scale * x, scale),
            Activation::Selu => (scale * alpha * x.exp_m1(), scale * alpha * x.exp()),
            Activation::Mish => {
                let t = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }.tanh();
                (x * t, t + x * sigmoid(x) * (1.0 - t * t))
            }
            Activation::Identity => (x, 1.0),
        }
    }

    /// The normal distribution function: its series near 0, its continued fraction (Abramowitz and Stegun 26.2.14) beyond.
    fn cumulative(x: f64) -> f64 {
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

    /// What the engine computes of 16 values a row: the activation, and the derivative.
    fn computed(vectors: Vectors, activation: Activation, xs: &[f32]) -> (Aligned, Aligned) {
        let (mut f, mut saved, mut d) = (Aligned::default(), Aligned::default(), Aligned::default());
        for values in [&mut f, &mut saved, &mut d] {
            values.resize(xs.len());
        }
        f.copy_from_slice(xs);
        d.fill(1.0);
        let part = Part { columns: 0..16, start: 0, width: 16 };
        let block = Block { rows: 0..xs.len() / 16, part: &part };
        // SAFETY: nobody else has them.
        unsafe {
            let saved = Shared::new(&mut saved);
            forward(vectors, activation, &[0.0; 16], block.clone(), &Shared::new(&mut f), Some(&saved));
            backward(vectors, activation, &saved, block, &Shared::new(&mut d));
        }
        (f, d)
    }

    #[test]
    fn activations_and_their_derivatives_are_as_exact_as_f32_allows() {
        let mut xs: Vec<f32> = (-160_000..160_000).map(|step| step as f32 / 1600.0).collect();
        xs.extend((-4_000..4_000).map(|step| step as f32 / 1e6));
        for vectors in Vectors::all() {
            for activation in Activation::ALL {
                let (f, d) = computed(vectors, activation, &xs);
                let (mut worst, mut worst_slope) = ((0.0, 0.0), (0.0, 0.0));
                for ((&x, &f), &d) in xs.iter().zip(&*f).zip(&*d) {
                    let (value, slope) = exact(activation, f64::from(x));
                    // Exponentials below the normal numbers are 0.
                    let lost = 1.25e-38 * (1.0 + f64::from(x.abs()));
                    let error = ((f64::from(f) - value).abs() - lost).max(0.0)
                        / value.abs().max(lost)
                        / f64::from(f32::EPSILON);
                    let slope_error = (f64::from(d) - slope).abs() / f64::from(f32::EPSILON);
                    worst = if error > worst.0 { (error, x) } else { worst };
                    worst_slope = if slope_error > worst_slope.0 { (slope_error, x) } else { worst_slope };
                    assert!(!error.is_nan() && !slope_error.is_nan(), "{activation:?} of {x}");
                }
                let allowed = if activation == Activation::Gelu { 5.0 } else { 2.5 };
                assert!(worst.0 <= allowed, "{vectors:?} {activation:?} of {}: off by {} ulp", worst.1, worst.0);
                assert!(
                    worst_slope.0 <= 4.0,
                    "{vectors:?} {activation:?} at {}: slope off by {worst_slope:?}",
                    worst_slope.1
                );
            }
        }
    }

    #[test]
    fn ends_are_right_and_nan_stays() {
        let mut xs = [0.0; 16];
        xs[..8].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::MAX, 0.0, -0.0, f32::MIN, 200.0, -200.0]);
        for vectors in Vectors::all() {
            for activation in Activation::ALL {
                let (f, d) = computed(vectors, activation, &xs);
                assert!(f[0].is_nan(), "{activation:?}");
                for (x, (&f, &d)) in xs.iter().zip(f.iter().zip(&*d)).skip(2) {
                    let (value, slope) = exact(activation, f64::from(*x));
                    let close = (f64::from(f) - value).abs() <= 2e-7 * value.abs();
                    assert!(close || f == value as f32, "{activation:?} of {x}: {f} is not {value}");
                    assert!((f64::from(d) - slope).abs() <= 1e-7, "{activation:?} at {x}: {d} is not {slope}");
                }
                let end =
                    if matches!(activation, Activation::Tanh | Activation::Sigmoid) { 1.0 } else { f32::INFINITY };
                assert_eq!(f[1], end, "{activation:?}");
            }
        }
    }
}
