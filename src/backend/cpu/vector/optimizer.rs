//! Optimizers of vectors: each is written once, and what computes a gradient does not know which uses it.

use pulp::Simd;

use super::{LANES, Vectors, load, multiply_add, vectorize};

/// What becomes of a parameter, given its gradient.
pub trait Optimizer: Copy + Send + Sync {
    /// Whether a parameter whose gradient is 0 stays as it is.
    const RESTS: bool;

    /// The new values of `parameters`.
    fn step<S: Simd>(self, simd: S, gradient: S::f32s, parameters: S::f32s) -> S::f32s;
}

/// `w -= rate g`, rounded once where it is `FUSED` and the machine can.
#[derive(Clone, Copy)]
pub struct Sgd<const FUSED: bool> {
    /// The learning rate, times what makes means of the gradients.
    pub rate: f32,
}

impl<const FUSED: bool> Optimizer for Sgd<FUSED> {
    const RESTS: bool = true;

    #[inline(always)]
    fn step<S: Simd>(self, simd: S, gradient: S::f32s, parameters: S::f32s) -> S::f32s {
        let rate = simd.splat_f32s(-self.rate);
        if FUSED {
            multiply_add(simd, rate, gradient, parameters)
        } else {
            simd.add_f32s(simd.mul_f32s(rate, gradient), parameters)
        }
    }
}

/// What sums over a batch are divided by.
#[derive(Clone, Copy)]
pub struct Divisor {
    divisor: f32,
    /// Where that is a power of two, whose reciprocal is exact: multiplying by it is the division, and faster.
    reciprocal: Option<f32>,
}

impl Divisor {
    /// Divides by `divisor`.
    pub fn new(divisor: f32) -> Self {
        Self { divisor, reciprocal: (divisor.to_bits() << 9 == 0).then_some(1.0 / divisor) }
    }

    /// `sum / divisor`
    #[inline(always)]
    pub fn mean<S: Simd>(self, simd: S, sum: S::f32s) -> S::f32s {
        match self.reciprocal {
            Some(reciprocal) => simd.mul_f32s(sum, simd.splat_f32s(reciprocal)),
            None => simd.div_f32s(sum, simd.splat_f32s(self.divisor)),
        }
    }
}

/// Updates `parameters` from the sums of their gradients; there are whole multiples of [`LANES`].
#[inline(always)]
pub fn step<S: Simd, O: Optimizer>(simd: S, optimizer: O, sums: &[f32], divisor: Divisor, parameters: &mut [f32]) {
    for (parameters, sums) in parameters.chunks_exact_mut(LANES).zip(sums.chunks_exact(LANES)) {
        let mean = divisor.mean(simd, load(simd, sums, 0));
        super::write(simd, parameters, optimizer.step(simd, mean, load(simd, parameters, 0)));
    }
}

/// The same, compiled for `vectors`.
pub fn step_all<O: Optimizer>(vectors: Vectors, optimizer: O, sums: &[f32], divisor: Divisor, parameters: &mut [f32]) {
    vectorize!(vectors, |simd| step(simd, optimizer, sums, divisor, parameters));
}
