//! Activations of the blocks that products make, which do not know which activation follows them.
//!
//! A product's output gets its biases and activation from the thread that computed it, while it is in that core's cache.

use std::ops::Range;

use pulp::Simd;

use super::{LANES, Vectors, lanes, read, vectorize, vectorize_wide, write};
use crate::activation::{Activate, Activation, monomorphised};
use crate::backend::cpu::panels::Part;
use crate::backend::cpu::team::Shared;

/// Some rows of some columns of a matrix.
#[derive(Clone)]
pub struct Block<'a> {
    /// The rows of the matrix.
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
    monomorphised!(activation, |A| {
        let task = Forward { biases: &biases[..block.part.columns.len()], block, f, saved };
        // SAFETY, of both: as the caller promises.
        if task.biases.len() == LANES {
            // SAFETY: as the caller promises.
            vectorize!(vectors, |simd| unsafe { task.run::<A, _>(simd) });
        } else {
            // SAFETY: as the caller promises.
            vectorize_wide!(vectors, |simd| unsafe { task.run::<A, _>(simd) });
        }
    });
}

struct Forward<'a> {
    biases: &'a [f32],
    block: Block<'a>,
    f: &'a Shared<'a, f32>,
    saved: Option<&'a Shared<'a, f32>>,
}

/// Finishes one vector of `f`, and returns what its derivative is computed from.
#[inline(always)]
fn one<A: Activate, S: Simd>(simd: S, f: &mut [f32], bias: S::f32s) -> S::f32s {
    // SAFETY: one vector long.
    let sum = simd.add_f32s(unsafe { read(simd, f, 0) }, bias);
    let h = A::activate_vector(simd, sum);
    write(simd, f, h);
    if A::SAVES_INPUT { sum } else { h }
}

impl Forward<'_> {
    /// # Safety
    /// As [`forward`].
    #[inline(always)]
    unsafe fn run<A: Activate, S: Simd>(self, simd: S) {
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
                        write(simd, saved, one::<A, _>(simd, f, bias));
                    }
                } else {
                    for f in f {
                        one::<A, _>(simd, f, bias);
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
                        write(simd, saved, one::<A, _>(simd, f, bias));
                    }
                }
            } else {
                for f in rows {
                    for (f, bias) in f.chunks_exact_mut(lanes::<S>()).zip(self.biases.chunks_exact(lanes::<S>())) {
                        // SAFETY: one vector long.
                        let bias = unsafe { read(simd, bias, 0) };
                        one::<A, _>(simd, f, bias);
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
    monomorphised!(activation, |A| {
        let narrow = block.part.columns.len() == LANES;
        let task = Backward { saved, block, d };
        // SAFETY, of both: as the caller promises.
        if narrow {
            // SAFETY: as the caller promises.
            vectorize!(vectors, |simd| unsafe { task.run::<A, _>(simd) });
        } else {
            // SAFETY: as the caller promises.
            vectorize_wide!(vectors, |simd| unsafe { task.run::<A, _>(simd) });
        }
    });
}

struct Backward<'a> {
    saved: &'a Shared<'a, f32>,
    block: Block<'a>,
    d: &'a Shared<'a, f32>,
}

impl Backward<'_> {
    /// # Safety
    /// As [`backward`].
    #[inline(always)]
    unsafe fn run<A: Activate, S: Simd>(self, simd: S) {
        for place in self.block.spans() {
            // SAFETY: as the caller promises.
            let (saved, d) = unsafe { (self.saved.part(place.clone()), self.d.part_mut(place)) };
            for (d, saved) in d.chunks_exact_mut(lanes::<S>()).zip(saved.chunks_exact(lanes::<S>())) {
                // SAFETY: both are one vector long.
                let (gradient, saved) = unsafe { (read(simd, d, 0), read(simd, saved, 0)) };
                write(simd, d, A::activate_backward_vector(simd, gradient, saved));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::vector::Aligned;

    /// What the engine computes of 16 values per row: the activation, and the derivative.
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
            for &activation in Activation::ALL {
                let (f, d) = computed(vectors, activation, &xs);
                let (mut worst, mut worst_slope) = ((0.0, 0.0), (0.0, 0.0));
                for ((&x, &f), &d) in xs.iter().zip(&*f).zip(&*d) {
                    let (value, slope) = activation.exact(f64::from(x));
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
            for &activation in Activation::ALL {
                let (f, d) = computed(vectors, activation, &xs);
                assert!(f[0].is_nan(), "{activation:?}");
                for (x, (&f, &d)) in xs.iter().zip(f.iter().zip(&*d)).skip(2) {
                    let (value, slope) = activation.exact(f64::from(*x));
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
