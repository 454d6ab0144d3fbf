//! Activations of vectors: each is written once, and the products do not know which follows them.
//!
//! A product's output gets its biases and activation from the thread that computed it, while it is in that core's cache.

use std::ops::Range;

use pulp::Simd;

use super::{LANES, Vectors, lanes, read, vectorize, vectorize_wide, write};
use crate::backend::cpu::panels::Part;
use crate::backend::cpu::team::Shared;

/// An activation and its derivative.
pub trait Activate: Copy {
    /// The activation of `f`.
    fn activate<S: Simd>(self, simd: S, f: S::f32s) -> S::f32s;

    /// `gradient` times the derivative where the activation gave `saved`.
    fn backward<S: Simd>(self, simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s;
}

/// `max(f, 0)`; its derivative at 0 is 0. NaN stays NaN.
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

/// Which activation a layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Of hidden layers.
    Relu,
    /// Of the last layer.
    Identity,
}

/// Evaluates `$body` once for each activation, with `$which` as `$activate`.
macro_rules! monomorphised {
    ($which:expr, |$activate:ident| $body:expr) => {
        match $which {
            Activation::Relu => {
                let $activate = Relu;
                $body
            }
            Activation::Identity => {
                let $activate = Identity;
                $body
            }
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
    /// Where each row's columns lie.
    #[inline(always)]
    fn places(&self) -> impl Iterator<Item = Range<usize>> {
        let columns = self.part.columns.len();
        self.rows.clone().map(move |row| self.part.row(row)..self.part.row(row) + columns)
    }
}

/// `f = activation(f + biases)` in a block of `f`; `biases` are those of the block's columns.
///
/// # Safety
/// Nobody else touches the block of `f` until the next barrier.
pub unsafe fn forward(vectors: Vectors, activation: Activation, biases: &[f32], block: Block, f: &Shared<f32>) {
    monomorphised!(activation, |activate| {
        let task = Forward { activate, biases: &biases[..block.part.columns.len()], block, f };
        // SAFETY, of both: as the caller promises.
        if task.biases.len() == LANES {
            vectorize!(vectors, |simd| unsafe { task.run(simd) });
        } else {
            vectorize_wide!(vectors, |simd| unsafe { task.run(simd) });
        }
    });
}

struct Forward<'a, A> {
    activate: A,
    biases: &'a [f32],
    block: Block<'a>,
    f: &'a Shared<'a, f32>,
}

impl<A: Activate> Forward<'_, A> {
    /// # Safety
    /// As [`forward`].
    #[inline(always)]
    unsafe fn run<S: Simd>(self, simd: S) {
        for place in self.block.places() {
            // SAFETY: as the caller promises.
            let f = unsafe { self.f.part_mut(place) };
            for (f, bias) in f.chunks_exact_mut(lanes::<S>()).zip(self.biases.chunks_exact(lanes::<S>())) {
                // SAFETY: both are one vector long.
                let sum = simd.add_f32s(unsafe { read(simd, f, 0) }, unsafe { read(simd, bias, 0) });
                write(simd, f, self.activate.activate(simd, sum));
            }
        }
    }
}

/// `d`, the gradient at the activation's output, becomes that at its input, in a block of `d`; `saved` is what the activation gave,
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
            vectorize!(vectors, |simd| unsafe { task.run(simd) });
        } else {
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
        for place in self.block.places() {
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
