//! Images as lists of their pixels that are not 0, and the first layer's products over them. Where most pixels are 0, as
//! in MNIST, that is a fraction of the work; what is left out would have added exactly 0.

use std::ops::Range;

use pulp::Simd;

use super::narrow::{ROWS, step};
use super::vector::{Aligned, LANES, NARROW, Sums, Vectors, load, prefetch, vectorize};

/// Above this share of pixels that are not 0 a dense product is faster.
const DENSE: f64 = 0.4;

/// Rows whose pixels are fetched ahead of the row at hand: they come in random order, from beyond the cache.
const AHEAD: usize = 8;

/// Rows sorted by length at a time.
const SORTED: usize = 64;

/// `byte / 255`
static VALUES: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        values[byte] = byte as f32 / 255.0;
        byte += 1;
    }
    values
};

/// Rows of bytes, each as the columns and values that are not 0, in the order of the columns. The columns are cut into
/// parts, one a thread, of about equal work.
pub struct SparseRows {
    width: usize,
    /// First column of each part, and the width.
    cuts: Vec<usize>,
    /// Where each part of each row starts, row by row, and the end of the last.
    starts: Vec<u32>,
    /// Columns and values.
    pixels: Vec<Pixel>,
}

/// A pixel that is not 0: its value in the lowest byte, its column times [`LANES`] above it.
#[derive(Clone, Copy)]
struct Pixel(u32);

impl Pixel {
    /// The widest rows that fit.
    const MAX_WIDTH: usize = (1 << 24) / LANES;

    fn new(column: usize, byte: u8) -> Self {
        Self(((column * LANES) as u32) << 8 | u32::from(byte))
    }

    #[inline(always)]
    fn value(self) -> f32 {
        VALUES[(self.0 & 0xff) as usize]
    }

    /// Where the column's row starts in a matrix whose rows are `vectors` vectors long.
    #[inline(always)]
    fn offset(self, vectors: usize) -> usize {
        (self.0 >> 8) as usize * vectors
    }

    fn column(self) -> usize {
        self.offset(1) / LANES
    }
}

impl SparseRows {
    /// The rows of `data` (`.. x width`), columns in `parts` parts; none where it would not pay.
    pub fn new(data: &[u8], width: usize, parts: usize) -> Option<Self> {
        if width > Pixel::MAX_WIDTH {
            return None;
        }
        let mut counts = vec![0usize; width];
        for row in data.chunks_exact(width) {
            for (count, &byte) in counts.iter_mut().zip(row) {
                *count += usize::from(byte != 0);
            }
        }
        let total: usize = counts.iter().sum();
        if total as f64 > DENSE * data.len() as f64 || u32::try_from(total).is_err() {
            return None;
        }
        let mut cuts = vec![0];
        let mut sum = 0;
        for (column, count) in counts.iter().enumerate() {
            if cuts.len() < parts && sum * parts >= total * cuts.len() && column > 0 {
                cuts.push(column);
            }
            sum += count;
        }
        cuts.resize(parts, width);
        cuts.push(width);

        let mut rows = Self { width, cuts, starts: vec![0], pixels: Vec::with_capacity(total) };
        for row in data.chunks_exact(width) {
            for part in rows.cuts.windows(2) {
                for (column, &byte) in (part[0]..).zip(&row[part[0]..part[1]]) {
                    if byte != 0 {
                        rows.pixels.push(Pixel::new(column, byte));
                    }
                }
                rows.starts.push(rows.pixels.len() as u32);
            }
        }
        Some(rows)
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.starts[..]) + size_of_val(&self.pixels[..])
    }

    fn parts(&self) -> usize {
        self.cuts.len() - 1
    }

    /// The columns of part `index`.
    pub fn part(&self, index: usize) -> Range<usize> {
        self.cuts[index]..self.cuts[index + 1]
    }

    #[inline(always)]
    fn row(&self, row: u32) -> &[Pixel] {
        let at = row as usize * self.parts();
        &self.pixels[self.starts[at] as usize..self.starts[at + self.parts()] as usize]
    }

    #[inline(always)]
    fn row_part(&self, row: u32, part: usize) -> &[Pixel] {
        let at = row as usize * self.parts() + part;
        &self.pixels[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// `f = x W` (`order.len() x pitch`) for the rows `order`; `W` is `width x pitch`.
    pub fn forward(&self, vectors: Vectors, order: &[u32], weights: &[f32], pitch: usize, f: &mut [f32]) {
        assert!(weights.len() == self.width * pitch, "weights of the first layer");
        match pitch {
            LANES => vectorize!(vectors, |simd| self.forward_narrow::<_, 1>(simd, order, weights, f)),
            NARROW => vectorize!(vectors, |simd| self.forward_narrow::<_, 2>(simd, order, weights, f)),
            _ => vectorize!(vectors, |simd| self.forward_wide(simd, order, weights, pitch, f)),
        }
    }

    // The rows are walked side by side, so an index it is.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn forward_narrow<S: Simd, const N: usize>(&self, simd: S, order: &[u32], weights: &[f32], f: &mut [f32]) {
        for (order, f) in order.chunks(SORTED).zip(f.chunks_mut(SORTED * N * LANES)) {
            order.iter().take(ROWS).for_each(|&row| prefetch::<8, _>(self.row(row)));
            // Rows of like length are walked side by side, so that they end together.
            let mut places = [0u32; SORTED];
            let places = &mut places[..order.len()];
            for (index, (place, &row)) in places.iter_mut().zip(order).enumerate() {
                *place = ((self.row(row).len() * SORTED) | index) as u32;
            }
            places.sort_unstable();
            for (index, group) in places.chunks(ROWS).enumerate() {
                for &ahead in places.iter().skip(index * ROWS + AHEAD).take(ROWS) {
                    prefetch::<8, _>(self.row(order[ahead as usize % SORTED]));
                }
                let mut rows: [&[Pixel]; ROWS] = [&[]; ROWS];
                for (row, &place) in rows.iter_mut().zip(group) {
                    *row = self.row(order[place as usize % SORTED]);
                }
                let mut sums: [Sums<S, N>; ROWS] = std::array::from_fn(|_| Sums::zero(simd));
                // The first is the shortest, unless the group is not full.
                let common = if group.len() == ROWS { rows[0].len() } else { 0 };
                let heads = rows.map(|row| &row[..common]);
                for index in 0..common {
                    for (sums, head) in sums.iter_mut().zip(heads) {
                        let pixel = head[index];
                        // SAFETY: every column is below the width, and `weights` has a row for each.
                        unsafe { sums.add_unchecked(simd, pixel.value(), weights, pixel.offset(N)) };
                    }
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for &pixel in &row[common..] {
                        // SAFETY: as above.
                        unsafe { sums.add_unchecked(simd, pixel.value(), weights, pixel.offset(N)) };
                    }
                }
                for (sums, &place) in sums.iter().zip(group) {
                    sums.store(f, place as usize % SORTED * N * LANES);
                }
            }
        }
    }

    #[inline(always)]
    fn forward_wide<S: Simd>(&self, simd: S, order: &[u32], weights: &[f32], pitch: usize, f: &mut [f32]) {
        // As many columns at a time as stay in registers, all rows over them while these weights are in the cache.
        let mut at = 0;
        while at + 8 * LANES <= pitch {
            self.forward_block::<S, 8>(simd, order, weights, pitch, at, f);
            at += 8 * LANES;
        }
        while at < pitch {
            self.forward_block::<S, 2>(simd, order, weights, pitch, at, f);
            at += 2 * LANES;
        }
    }

    #[inline(always)]
    fn forward_block<S: Simd, const N: usize>(
        &self,
        simd: S,
        order: &[u32],
        weights: &[f32],
        pitch: usize,
        at: usize,
        f: &mut [f32],
    ) {
        for (&row, f) in order.iter().zip(f.chunks_exact_mut(pitch)) {
            let mut sums = Sums::<S, N>::zero(simd);
            for &pixel in self.row(row) {
                // SAFETY: every column is below the width, and `weights` has a row for each.
                unsafe { sums.add_fused_unchecked(simd, pixel.value(), weights, pixel.offset(pitch / LANES) + at) };
            }
            sums.store(f, at);
        }
    }

    /// `W -= learning_rate (x^T df / rows)` for part `part` of the rows of `W`: `weights` is `.. x pitch`, `df` is
    /// `order.len() x pitch`.
    #[allow(clippy::too_many_arguments)]
    pub fn update(
        &self,
        vectors: Vectors,
        order: &[u32],
        df: &[f32],
        pitch: usize,
        part: usize,
        learning_rate: f32,
        weights: &mut [f32],
        scratch: &mut Scratch,
    ) {
        match pitch {
            LANES => vectorize!(vectors, |simd| {
                self.update_narrow::<_, 1>(simd, order, df, part, learning_rate, weights, scratch)
            }),
            NARROW => vectorize!(vectors, |simd| {
                self.update_narrow::<_, 2>(simd, order, df, part, learning_rate, weights, scratch)
            }),
            _ => {
                self.transpose(order, part, scratch);
                let scale = -learning_rate / order.len() as f32;
                vectorize!(vectors, |simd| update_wide(simd, scratch, df, pitch, scale, weights));
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn update_narrow<S: Simd, const N: usize>(
        &self,
        simd: S,
        order: &[u32],
        df: &[f32],
        part: usize,
        learning_rate: f32,
        weights: &mut [f32],
        scratch: &mut Scratch,
    ) {
        assert!(weights.len() == self.part(part).len() * N * LANES, "weights of a part of the first layer");
        let first = self.cuts[part] * N * LANES;
        scratch.gradients.resize(weights.len());
        let gradients = &mut scratch.gradients[..];
        gradients.fill(0.0);
        for (index, (&row, df)) in order.iter().zip(df.chunks_exact(N * LANES)).enumerate() {
            if let Some(&ahead) = order.get(index + AHEAD) {
                prefetch::<6, _>(self.row_part(ahead, part));
            }
            let df: [S::f32s; N] = std::array::from_fn(|n| load(simd, df, n * LANES));
            for &pixel in self.row_part(row, part) {
                let (value, at) = (simd.splat_f32s(pixel.value()), pixel.offset(N) - first);
                // SAFETY: the columns of a part are between its cuts, and there is a gradient for each.
                let gradients = unsafe { gradients.get_unchecked_mut(at..at + N * LANES) };
                let sums = std::array::from_fn(|n| {
                    simd.add_f32s(load(simd, gradients, n * LANES), simd.mul_f32s(value, df[n]))
                });
                Sums::<S, N>(sums).store(gradients, 0);
            }
        }
        step(weights, gradients, order.len() as f32, learning_rate);
    }

    /// Lists, for each column of a part, the rows of the batch where it is not 0.
    fn transpose(&self, order: &[u32], part: usize, scratch: &mut Scratch) {
        let columns = self.part(part);
        let Scratch { starts, rows, .. } = scratch;
        starts.clear();
        starts.resize(columns.len() + 2, 0);
        for &row in order {
            for pixel in self.row_part(row, part) {
                starts[pixel.column() - columns.start + 2] += 1;
            }
        }
        // Two places ahead for now: while the lists fill, a column's entry moves from its start to its end.
        for index in 2..starts.len() {
            starts[index] += starts[index - 1];
        }
        rows.clear();
        rows.resize(starts.last().map_or(0, |&end| end as usize), (0, 0.0));
        for (index, &row) in order.iter().enumerate() {
            for pixel in self.row_part(row, part) {
                let place = &mut starts[pixel.column() - columns.start + 1];
                rows[*place as usize] = (index as u32, pixel.value());
                *place += 1;
            }
        }
    }
}

/// What a thread needs for its part of the update; reused from step to step.
#[derive(Default)]
pub struct Scratch {
    gradients: Aligned,
    /// Where each column's list starts, and where the last ends.
    starts: Vec<u32>,
    /// Row of the batch and value, column by column.
    rows: Vec<(u32, f32)>,
}

#[inline(always)]
fn update_wide<S: Simd>(simd: S, scratch: &Scratch, df: &[f32], pitch: usize, scale: f32, weights: &mut [f32]) {
    let mut at = 0;
    while at + 8 * LANES <= pitch {
        update_block::<S, 8>(simd, scratch, df, pitch, scale, at, weights);
        at += 8 * LANES;
    }
    while at < pitch {
        update_block::<S, 2>(simd, scratch, df, pitch, scale, at, weights);
        at += 2 * LANES;
    }
}

#[inline(always)]
fn update_block<S: Simd, const N: usize>(
    simd: S,
    scratch: &Scratch,
    df: &[f32],
    pitch: usize,
    scale: f32,
    at: usize,
    weights: &mut [f32],
) {
    let scale = simd.splat_f32s(scale);
    let count = df.len() / pitch;
    for (range, weights) in scratch.starts.windows(2).zip(weights.chunks_exact_mut(pitch)) {
        let rows = &scratch.rows[range[0] as usize..range[1] as usize];
        if rows.is_empty() {
            continue;
        }
        let mut sums = Sums::<S, N>::zero(simd);
        for &(row, value) in rows {
            debug_assert!((row as usize) < count);
            // SAFETY: the lists hold rows of the batch, and `df` has a row for each.
            unsafe { sums.add_fused_unchecked(simd, value, df, row as usize * pitch + at) };
        }
        for n in 0..N {
            sums.0[n] = simd.mul_add_e_f32s(scale, sums.0[n], load(simd, weights, at + n * LANES));
        }
        sums.store(weights, at);
    }
}
