//! Layers of a few outputs: their products vectorised over the outputs, in the twins' order. Rows are padded to one or two
//! vectors.

use pulp::Simd;

use super::panels::Layout;
use super::vector::optimizer::{self, Optimizer};
use super::vector::{LANES, Sums, Vectors, vectorize};

/// Rows done at a time, so that additions that wait for each other overlap.
pub const ROWS: usize = 4;

/// `f = h W` (`.. x pitch`, the rows `first..` of the batch), from the `inputs` columns of `h`, laid out as `layout`, and `W`
/// (`inputs x pitch`).
pub fn forward(
    vectors: Vectors,
    (h, layout, inputs): (&[f32], Layout, usize),
    first: usize,
    (weights, pitch): (&[f32], usize),
    f: &mut [f32],
) {
    let from = (h, layout, inputs, first);
    match pitch {
        LANES => vectorize!(vectors, |simd| forward_padded::<_, 1>(simd, from, weights, f)),
        _ => vectorize!(vectors, |simd| forward_padded::<_, 2>(simd, from, weights, f)),
    }
}

#[inline(always)]
fn forward_padded<S: Simd, const N: usize>(
    simd: S,
    (h, layout, inputs, first): (&[f32], Layout, usize, usize),
    weights: &[f32],
    f: &mut [f32],
) {
    for (index, f) in f.chunks_mut(ROWS * N * LANES).enumerate() {
        let (first, count) = (first + index * ROWS, f.len() / (N * LANES));
        let mut sums = [Sums::<S, N>::zero(simd); ROWS];
        for part in layout.over(0..inputs) {
            let weights = &weights[part.columns.start * N * LANES..part.columns.end * N * LANES];
            let row = |row| &h[part.row(first + row)..][..part.columns.len()];
            if count == ROWS {
                let rows: [&[f32]; ROWS] = std::array::from_fn(row);
                for (k, weights) in weights.chunks_exact(N * LANES).enumerate() {
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        sums.add(simd, row[k], weights, 0);
                    }
                }
            } else {
                for (index, sums) in sums.iter_mut().take(count).enumerate() {
                    for (&h, weights) in row(index).iter().zip(weights.chunks_exact(N * LANES)) {
                        sums.add(simd, h, weights, 0);
                    }
                }
            }
        }
        for (sums, f) in sums.iter().zip(f.chunks_exact_mut(N * LANES)) {
            sums.store(f, 0);
        }
    }
}

/// `dh = df W^T` for rows of one panel of `dh` (`.. x width`), from `df` (`.. x pitch`, of which `outputs` count) and `W^T` from
/// the panel's first column on (`outputs` rows, `transposed.1` apart).
pub fn input_gradient(
    vectors: Vectors,
    (df, pitch, outputs): (&[f32], usize, usize),
    transposed: (&[f32], usize),
    (dh, width): (&mut [f32], usize),
) {
    let from = (df, pitch, outputs);
    match width % (4 * LANES) {
        0 => vectorize!(vectors, |simd| blocks::<_, 4>(simd, from, transposed, dh, width)),
        _ => vectorize!(vectors, |simd| blocks::<_, 1>(simd, from, transposed, dh, width)),
    }
}

#[inline(always)]
fn blocks<S: Simd, const N: usize>(
    simd: S,
    (df, pitch, outputs): (&[f32], usize, usize),
    (transposed, t_pitch): (&[f32], usize),
    dh: &mut [f32],
    width: usize,
) {
    for (df, dh) in df.chunks_exact(pitch).zip(dh.chunks_exact_mut(width)) {
        for at in (0..width).step_by(N * LANES) {
            let mut sums = Sums::<S, N>::zero(simd);
            for (&df, weights) in df[..outputs].iter().zip(transposed.chunks(t_pitch)) {
                sums.add(simd, df, weights, at);
            }
            sums.store(dh, at);
        }
    }
}

/// Updates rows of `W` (`.. x pitch`) from their gradients `h^T df`: the columns of `h` that belong to them all lie in one panel
/// (from row to row `width`), and `df` is `rows x pitch`. The rows lie in `W` from `at` on.
///
/// # Safety
/// As [`Optimizer::step`].
pub unsafe fn update(
    vectors: Vectors,
    (h, width): (&[f32], usize),
    (df, pitch): (&[f32], usize),
    optimizer: impl Optimizer,
    at: usize,
    weights: &mut [f32],
) {
    // SAFETY, of both: as the caller promises.
    match pitch {
        LANES => {
            // SAFETY: as the caller promises.
            vectorize!(vectors, |simd| unsafe { update_padded::<_, 1>(simd, h, width, df, optimizer, at, weights) })
        }
        // SAFETY: as the caller promises.
        _ => vectorize!(vectors, |simd| unsafe { update_padded::<_, 2>(simd, h, width, df, optimizer, at, weights) }),
    }
}

/// # Safety
/// As [`update`].
#[inline(always)]
unsafe fn update_padded<S: Simd, const N: usize>(
    simd: S,
    h: &[f32],
    width: usize,
    df: &[f32],
    optimizer: impl Optimizer,
    at: usize,
    weights: &mut [f32],
) {
    for (index, weights) in weights.chunks_mut(ROWS * N * LANES).enumerate() {
        let k = index * ROWS;
        let count = weights.len() / (N * LANES);
        let mut sums = [Sums::<S, N>::zero(simd); ROWS];
        if count == ROWS {
            for (h, df) in h.chunks(width).zip(df.chunks_exact(N * LANES)) {
                for (sums, &h) in sums.iter_mut().zip(&h[k..k + ROWS]) {
                    sums.add(simd, h, df, 0);
                }
            }
        } else {
            for (h, df) in h.chunks(width).zip(df.chunks_exact(N * LANES)) {
                for (sums, &h) in sums.iter_mut().zip(&h[k..][..count]) {
                    sums.add(simd, h, df, 0);
                }
            }
        }
        let at = at + index * ROWS * N * LANES;
        for ((weights, sums), at) in weights.chunks_exact_mut(N * LANES).zip(&sums).zip((at..).step_by(N * LANES)) {
            let mut gradients = [0.0; 2 * LANES];
            sums.store(&mut gradients, 0);
            // SAFETY: as the caller promises.
            unsafe { optimizer::update(simd, optimizer, at, &gradients, weights) };
        }
    }
}
