//! What the vectorised loops share: rows padded to whole vectors, run-time detection, and a few inner loops.

use std::any::TypeId;

use pulp::Simd;

pub mod activation;
pub mod augment;
pub mod dropout;
pub mod embed;
pub mod exponential;
pub mod optimizer;

/// Layers of at most so many outputs have loops of their own, vectorised over the outputs: a general product wastes most
/// of its work on them. Their sums run in the twins' order and without fused multiply-add, so that the results are the
/// twins' to the bit.
pub const FEW_OUTPUTS: usize = 16;

/// Values from one row to the next of a matrix with `width` columns: whole vectors, the padding always 0.
pub fn pitch(width: usize) -> usize {
    if width <= 8 { 8 } else { width.next_multiple_of(16) }
}

/// Values of a vector.
pub const LANES: usize = 8;

/// A cache line, and the longest vector.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line([f32; 16]);

/// Values that start with a cache line, so that no vector of theirs lies in two.
#[derive(Debug, Clone, Default)]
pub struct Aligned {
    lines: Vec<Line>,
    length: usize,
}

impl Aligned {
    /// `length` values, all 0.
    pub fn zeros(length: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); length.div_ceil(16)], length }
    }

    /// Makes it `length` values long. What they are is not said, but that they are numbers.
    pub fn resize(&mut self, length: usize) {
        self.lines.resize(length.div_ceil(16), Line([0.0; 16]));
        self.length = length;
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::must_cast_slice(&self.lines)[..self.length]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::must_cast_slice_mut(&mut self.lines)[..self.length]
    }
}

/// The vector instructions in use.
#[derive(Debug, Clone, Copy)]
pub enum Vectors {
    /// AVX-512, for wide layers; AVX2 for narrow ones.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// NEON, for wide layers.
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// What every machine has.
    Portable,
}

impl Vectors {
    /// All that this machine has, the best first.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V4::try_new().map(Self::Avx512));
            all.extend(pulp::x86::V3::try_new().map(Self::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        all.push(Self::Portable);
        all
    }

    /// The best that this machine has.
    pub fn detect() -> Self {
        Self::all()[0]
    }
}

/// Evaluates `$body` compiled for the instructions that `$simd` stands for.
macro_rules! compiled_for {
    ($simd:expr, $body:expr) => {{
        let once = $crate::backend::cpu::vector::Once;
        pulp::Simd::vectorize(
            $simd,
            #[inline(always)]
            || {
                let _once = once;
                $body
            },
        )
    }};
}
pub(super) use compiled_for;

/// A closure that takes this can be called only once, and is called directly. Others are called through a shim, which
/// `#[inline(always)]` does not reach: there, outside of the instructions' reach, each operation on a vector would be a call.
pub(super) struct Once;

/// Evaluates `$body` compiled for the instructions `$vectors`, which it knows as `$simd`; functions that it calls must be
/// `#[inline(always)]`. Vectors have [`LANES`] values.
macro_rules! vectorize {
    ($vectors:expr, |$simd:ident| $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        use $crate::backend::cpu::vector::{self, Vectors};
        match $vectors {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512(simd) => {
                let $simd: pulp::x86::V3 = *simd;
                vector::compiled_for!($simd, $body)
            }
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2($simd) => vector::compiled_for!($simd, $body),
            _ => {
                let $simd = pulp::Scalar256b;
                $body
            }
        }
    }};
}
pub(super) use vectorize;

/// As [`vectorize`], with vectors as long as they get: [`lanes`] says how long.
macro_rules! vectorize_wide {
    ($vectors:expr, |$simd:ident| $body:expr) => {{
        use $crate::backend::cpu::vector::{self, Vectors};
        match $vectors {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512($simd) => vector::compiled_for!($simd, $body),
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2($simd) => vector::compiled_for!($simd, $body),
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon($simd) => vector::compiled_for!($simd, $body),
            Vectors::Portable => {
                let $simd = pulp::Scalar256b;
                $body
            }
        }
    }};
}
pub(super) use vectorize_wide;

/// Values of a vector of `S`.
#[inline(always)]
pub const fn lanes<S: Simd>() -> usize {
    size_of::<S::f32s>() / size_of::<f32>()
}

/// Whether the machine multiplies and adds in one instruction.
#[inline(always)]
pub fn fuses<S: Simd>() -> bool {
    TypeId::of::<S>() != TypeId::of::<pulp::Scalar256b>() || cfg!(target_arch = "aarch64")
}

/// `a b + c`, rounded once where the machine [`fuses`] it.
#[inline(always)]
pub fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if fuses::<S>() { simd.mul_add_f32s(a, b, c) } else { simd.add_f32s(simd.mul_f32s(a, b), c) }
}

/// The vector at `at`, as long as those of `S` are.
///
/// # Safety
/// `values` has so many values from `at` on.
#[inline(always)]
pub unsafe fn read<S: Simd>(_: S, values: &[f32], at: usize) -> S::f32s {
    debug_assert!(at + lanes::<S>() <= values.len());
    // SAFETY: as the caller promises; any bytes are values.
    unsafe { values.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}

/// Writes `vector` to `values`, which is as long.
#[inline(always)]
pub fn write<S: Simd>(_: S, values: &mut [f32], vector: S::f32s) {
    values.copy_from_slice(bytemuck::cast_slice(std::slice::from_ref(&vector)));
}

/// `N` vectors side by side: sums over `N * LANES` columns.
#[derive(Clone, Copy)]
pub struct Sums<S: Simd, const N: usize>(pub [S::f32s; N]);

impl<S: Simd, const N: usize> Sums<S, N> {
    /// All 0.
    #[inline(always)]
    pub fn zero(simd: S) -> Self {
        Self([simd.splat_f32s(0.0); N])
    }

    /// Adds `a` times the values of `b` from `at` on, each rounded twice.
    #[inline(always)]
    pub fn add(&mut self, simd: S, a: f32, b: &[f32], at: usize) {
        let (a, b) = (simd.splat_f32s(a), &b[at..at + N * LANES]);
        for (n, sum) in self.0.iter_mut().enumerate() {
            *sum = simd.add_f32s(*sum, simd.mul_f32s(a, load(simd, b, n * LANES)));
        }
    }

    /// The same, unchecked.
    ///
    /// # Safety
    /// `b` has `N * LANES` values from `at` on.
    #[inline(always)]
    pub unsafe fn add_unchecked(&mut self, simd: S, a: f32, b: &[f32], at: usize) {
        // SAFETY: as the caller promises.
        self.add(simd, a, unsafe { b.get_unchecked(at..at + N * LANES) }, 0);
    }

    /// Writes the sums to `to` from `at` on.
    #[inline(always)]
    pub fn store(&self, to: &mut [f32], at: usize) {
        for (to, &sum) in to[at..at + N * LANES].as_chunks_mut().0.iter_mut().zip(&self.0) {
            *to = bytemuck::cast::<S::f32s, [f32; LANES]>(sum);
        }
    }
}

/// The vector at `at`.
#[inline(always)]
pub fn load<S: Simd>(_: S, values: &[f32], at: usize) -> S::f32s {
    let (lanes, _) = values[at..at + LANES].as_chunks::<LANES>();
    bytemuck::cast(lanes[0])
}

/// Asks for the first `LINES` cache lines of `values` to come to the cache, where the processor can be asked. A count that
/// does not depend on the values has no branches to guess wrong.
#[inline(always)]
pub fn prefetch<const LINES: usize, T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..LINES {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, so its address may be any.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast::<i8>().wrapping_add(64 * line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// The sum of the squares of `values`.
pub fn squares(vectors: Vectors, values: &[f32]) -> f64 {
    #[inline(always)]
    fn run(values: &[f32]) -> f64 {
        let mut sums = [0.0f32; 2 * LANES];
        for values in values.chunks(2 * LANES) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += value * value;
            }
        }
        sums.iter().map(|&sum| f64::from(sum)).sum()
    }
    vectorize!(vectors, |_simd| run(values))
}

/// `sums[c] = sum_r d[r, c]` over the first columns of `count` rows, which are `pitch` apart.
pub fn reduce_rows(vectors: Vectors, d: &[f32], pitch: usize, count: usize, sums: &mut [f32]) {
    #[inline(always)]
    fn run(d: &[f32], pitch: usize, count: usize, sums: &mut [f32]) {
        sums.fill(0.0);
        for row in d.chunks(pitch).take(count) {
            for (sum, &d) in sums.iter_mut().zip(row) {
                *sum += d;
            }
        }
    }
    vectorize!(vectors, |_simd| run(d, pitch, count, sums));
}
