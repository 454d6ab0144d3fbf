//! Matrices cut into panels of columns, and the products of wide layers over them.
//!
//! Every value of a product is one chain of multiplications and additions over the inner dimension, in its order, so it
//! does not depend on how the product is divided among threads, nor on the length of the vectors.

use std::ops::Range;

use pulp::Simd;

use super::team::Shared;
use super::vector::optimizer::Optimizer;
use super::vector::{LANES, Vectors, fuses, lanes, multiply_add, pitch, read, vectorize, vectorize_wide, write};

/// Columns of a panel: four cache lines, so that a product walks through memory in one direction.
pub const PANEL: usize = 64;

/// Columns of the smallest part of a panel, but for that of a layer of at most [`LANES`].
pub const GRAIN: usize = 16;

/// Where the values of a matrix lie: panel after panel, each row-major.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    rows: usize,
    pitch: usize,
    panel: usize,
}

/// Some columns of one panel.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which.
    pub columns: Range<usize>,
    /// Where the first of them starts.
    pub start: usize,
    /// From row to row.
    pub width: usize,
}

impl Part {
    /// Where `row` starts.
    #[inline(always)]
    pub fn row(&self, row: usize) -> usize {
        self.start + row * self.width
    }
}

impl Layout {
    /// The layout of a `rows x width` matrix in panels, padded.
    pub fn panels(rows: usize, width: usize) -> Self {
        Self { rows, pitch: pitch(width), panel: PANEL }
    }

    /// Row-major, from row to row `pitch`: a single panel.
    pub fn plain(rows: usize, pitch: usize) -> Self {
        Self { rows, pitch, panel: pitch }
    }

    /// Number of values.
    pub fn len(self) -> usize {
        self.rows * self.pitch
    }

    /// Whether there is one panel, and so whole rows.
    pub fn is_plain(self) -> bool {
        self.pitch <= self.panel
    }

    /// Columns, padding included.
    pub fn pitch(self) -> usize {
        self.pitch
    }

    /// The columns from `column` to the end of its panel.
    #[inline(always)]
    pub fn at(self, column: usize) -> Part {
        let first = column / self.panel * self.panel;
        let end = self.pitch.min(first + self.panel);
        Part { columns: column..end, start: self.rows * first + column - first, width: end - first }
    }

    /// `columns`, cut where panels end.
    #[inline(always)]
    pub fn over(self, columns: Range<usize>) -> impl Iterator<Item = Part> {
        let mut column = columns.start;
        std::iter::from_fn(move || {
            (column < columns.end).then(|| {
                let mut part = self.at(column);
                part.columns.end = part.columns.end.min(columns.end);
                column = part.columns.end;
                part
            })
        })
    }
}

/// The left operand of a product.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// A matrix.
    pub values: &'a [f32],
    /// Where its values lie.
    pub layout: Layout,
    /// Whether its transpose is meant.
    pub transposed: bool,
}

/// What becomes of a product `AB`.
pub trait Finish: Copy {
    /// The new values of `to`, which is one vector of `C` and lies in it from `at` on, given the sums of the product there.
    ///
    /// # Safety
    /// Nobody else touches what is kept beside these values until the next barrier.
    unsafe fn finish<S: Simd>(self, simd: S, at: usize, sums: S::f32s, to: &[f32]) -> S::f32s;
}

/// `C = AB`
#[derive(Clone, Copy)]
pub struct Store;

impl Finish for Store {
    #[inline(always)]
    unsafe fn finish<S: Simd>(self, _: S, _: usize, sums: S::f32s, _: &[f32]) -> S::f32s {
        sums
    }
}

/// `C` are parameters, and `AB` their gradients.
#[derive(Clone, Copy)]
pub struct Update<O>(pub O);

impl<O: Optimizer> Finish for Update<O> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(self, simd: S, at: usize, sums: S::f32s, to: &[f32]) -> S::f32s {
        // SAFETY: as the caller promises; `to` is one vector long.
        unsafe { self.0.step(simd, at, sums, read(simd, to, 0)) }
    }
}

/// The product of `left` and `right`, whose inner dimension is `depth`: `rows` of it, and those columns that `part` says
/// where they are in `right`, go to `to`.
///
/// # Safety
/// Nobody else touches these rows and columns of `to`, nor what is kept beside them, until the next barrier.
#[allow(clippy::too_many_arguments)]
pub unsafe fn product(
    vectors: Vectors,
    left: Left,
    rows: Range<usize>,
    depth: usize,
    right: &[f32],
    part: &Part,
    finish: impl Finish,
    (to, layout): (&Shared<f32>, Layout),
) {
    if rows.is_empty() || depth == 0 {
        return;
    }
    let task = Task { left, rows, depth, right, finish, to, layout };
    if part.columns.len() == LANES {
        vectorize!(vectors, |simd| {
            // SAFETY: as the caller promises.
            unsafe { task.run_narrow(simd, part) }
        });
    } else {
        vectorize_wide!(vectors, |simd| {
            // SAFETY: as the caller promises.
            unsafe { task.run(simd, part) }
        });
    }
}

struct Task<'a, F> {
    left: Left<'a>,
    rows: Range<usize>,
    depth: usize,
    right: &'a [f32],
    finish: F,
    to: &'a Shared<'a, f32>,
    layout: Layout,
}

impl<F: Finish> Task<'_, F> {
    /// A part of one vector of [`LANES`].
    ///
    /// # Safety
    /// As [`product`].
    #[inline(always)]
    unsafe fn run_narrow<S: Simd>(self, simd: S, part: &Part) {
        // SAFETY: as the caller promises.
        unsafe { self.column_tile::<S, 6, 1>(simd, part, 0) }
    }

    /// # Safety
    /// As [`product`].
    #[inline(always)]
    unsafe fn run<S: Simd>(self, simd: S, part: &Part) {
        let count = part.columns.len() / GRAIN;
        if lanes::<S>() == 16 {
            // All columns at once: 24 sums of the 32 registers.
            match count {
                // SAFETY: as the caller promises.
                4 => unsafe { self.column_tile::<S, 6, 4>(simd, part, 0) },
                // SAFETY: as the caller promises.
                3 => unsafe { self.column_tile::<S, 6, 3>(simd, part, 0) },
                // SAFETY: as the caller promises.
                2 => unsafe { self.column_tile::<S, 6, 2>(simd, part, 0) },
                // SAFETY: as the caller promises.
                _ => unsafe { self.column_tile::<S, 6, 1>(simd, part, 0) },
            }
            return;
        }
        for tile in 0..count {
            let at = tile * GRAIN;
            match lanes::<S>() {
                // SAFETY: as the caller promises.
                4 => unsafe { self.column_tile::<S, 6, 4>(simd, part, at) },
                // 12 sums of 16 registers; without fused instructions, of half as long registers.
                // SAFETY: as the caller promises.
                _ if fuses::<S>() => unsafe { self.column_tile::<S, 6, 2>(simd, part, at) },
                // SAFETY: as the caller promises.
                _ => unsafe { self.column_tile::<S, 2, 2>(simd, part, at) },
            }
        }
    }

    /// The `N` vectors of columns from the part's column `at` on.
    ///
    /// # Safety
    /// As [`product`].
    #[inline(always)]
    unsafe fn column_tile<S: Simd, const R: usize, const N: usize>(&self, simd: S, part: &Part, at: usize) {
        let mut row = self.rows.start;
        while row < self.rows.end {
            let end = if self.left.transposed {
                self.rows.end.min(self.left.layout.at(row).columns.end)
            } else {
                self.rows.end
            };
            // SAFETY: as the caller promises.
            unsafe {
                row += match end - row {
                    left if left >= R => self.tile::<S, R, N>(simd, row, part, at),
                    left if left >= 4 => self.tile::<S, 4, N>(simd, row, part, at),
                    left if left >= 2 => self.tile::<S, 2, N>(simd, row, part, at),
                    _ => self.tile::<S, 1, N>(simd, row, part, at),
                };
            }
        }
    }

    /// The `R` rows from `row` on: their number.
    ///
    /// # Safety
    /// As [`product`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const N: usize>(
        &self,
        simd: S,
        row: usize,
        part: &Part,
        at: usize,
    ) -> usize {
        let mut sums = [[simd.splat_f32s(0.0); N]; R];
        if self.left.transposed {
            let a = self.left.layout.at(row);
            accumulate(
                simd,
                &mut sums,
                self.depth,
                self.left.values,
                (a.start, 1, a.width),
                self.right,
                (part.start + at, part.width),
            );
        } else {
            for a in self.left.layout.over(0..self.depth) {
                let b = part.row(a.columns.start) + at;
                accumulate(
                    simd,
                    &mut sums,
                    a.columns.len(),
                    self.left.values,
                    (a.row(row), a.width, 1),
                    self.right,
                    (b, part.width),
                );
            }
        }
        let column = part.columns.start + at;
        let to = self.layout.at(column);
        for (r, sums) in sums.into_iter().enumerate() {
            for (n, sum) in sums.into_iter().enumerate() {
                let place = to.row(row + r) + n * lanes::<S>();
                // SAFETY: nobody else touches it, as the caller promises.
                let to = unsafe { self.to.part_mut(place..place + lanes::<S>()) };
                // SAFETY: as above.
                let value = unsafe { self.finish.finish(simd, place, sum, to) };
                write(simd, to, value);
            }
        }
        R
    }
}

/// Adds to `sums` the products of `depth` values of `R` rows of `a` (where they start, from row to row, from value to value)
/// with as many rows of `b` (where they start, from row to row).
#[inline(always)]
fn accumulate<S: Simd, const R: usize, const N: usize>(
    simd: S,
    sums: &mut [[S::f32s; N]; R],
    depth: usize,
    a: &[f32],
    (a_start, a_row, a_step): (usize, usize, usize),
    b: &[f32],
    (b_start, b_step): (usize, usize),
) {
    let fits = a_start + (R - 1) * a_row + (depth - 1) * a_step < a.len()
        && b_start + (depth - 1) * b_step + N * lanes::<S>() <= b.len();
    assert!(fits, "operands of a product");
    for k in 0..depth {
        let mut vectors = [simd.splat_f32s(0.0); N];
        for (n, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: inside the operands, as was just checked.
            *vector = unsafe { read(simd, b, b_start + k * b_step + n * lanes::<S>()) };
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let a = simd.splat_f32s(unsafe { *a.get_unchecked(a_start + r * a_row + k * a_step) });
            for (sum, b) in sums.iter_mut().zip(vectors) {
                *sum = multiply_add(simd, a, b, *sum);
            }
        }
    }
}

/// Packs the transpose of `rows` of a matrix, laid out as `from`: its columns `0..depth` become rows of `packed`, as long as there
/// is room.
pub fn pack_transposed(values: &[f32], from: Layout, rows: Range<usize>, depth: usize, packed: &mut [f32]) {
    const TILE: usize = 4;
    let width = packed.len() / depth;
    for part in from.over(0..depth) {
        let source = &values[part.row(rows.start)..];
        let packed = &mut packed[part.columns.start * width..part.columns.end * width];
        for first in (0..rows.len()).step_by(TILE) {
            let row = |index| &source[(first + index) * part.width..][..part.columns.len()];
            if rows.len() - first < TILE {
                for index in 0..rows.len() - first {
                    for (packed, &value) in packed.chunks_exact_mut(width).zip(row(index)) {
                        packed[first + index] = value;
                    }
                }
            } else {
                let sources: [&[f32]; TILE] = std::array::from_fn(row);
                for (k, packed) in packed.chunks_exact_mut(width).enumerate() {
                    for (to, source) in packed[first..first + TILE].iter_mut().zip(sources) {
                        *to = source[k];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::vector::Aligned;
    use crate::backend::cpu::vector::optimizer::Sgd;

    /// Numbers of all sizes, laid out as `layout`; the padding is 0.
    fn matrix(layout: Layout, width: usize) -> Aligned {
        let mut values = Aligned::zeros(layout.len());
        for row in 0..layout.rows {
            for column in 0..width {
                values[layout.at(column).row(row)] = ((row * 31 + column * 17) as f32 * 0.7).sin();
            }
        }
        values
    }

    fn get(values: &[f32], layout: Layout, row: usize, column: usize) -> f32 {
        values[layout.at(column).row(row)]
    }

    /// The chain that a value of a product is.
    fn chain(fused: bool, pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
        pairs.fold(0.0, |sum, (a, b)| if fused { a.mul_add(b, sum) } else { a * b + sum })
    }

    #[test]
    fn a_layouts_parts_cover_its_columns_once() {
        for layout in [Layout::panels(3, 150), Layout::panels(2, 7), Layout::plain(5, 100)] {
            let mut seen = vec![0; layout.len()];
            for part in layout.over(0..layout.pitch()) {
                for row in 0..layout.rows {
                    seen[part.row(row)..][..part.columns.len()].iter_mut().for_each(|seen| *seen += 1);
                }
            }
            assert!(seen.iter().all(|&seen| seen == 1), "{layout:?}");
            assert_eq!(layout.over(3..7).map(|part| part.columns.len()).sum::<usize>(), 4);
        }
    }

    #[test]
    fn products_are_chains_whatever_the_vectors_and_the_share() {
        for vectors in Vectors::all() {
            let fused = !matches!(vectors, Vectors::Portable) || cfg!(target_arch = "aarch64");
            for (rows, depth, width) in [(1, 1, 17), (7, 64, 48), (13, 130, 100), (70, 5, 64), (6, 200, 33)] {
                let (h_layout, w_layout) = (Layout::panels(rows, depth), Layout::panels(depth, width));
                let (h, w) = (matrix(h_layout, depth), matrix(w_layout, width));
                let f_layout = Layout::panels(rows, width);

                // In shares of rows and of columns.
                let mut f = Aligned::zeros(f_layout.len());
                let left = Left { values: &h, layout: h_layout, transposed: false };
                for share in [0..rows / 2, rows / 2..rows] {
                    for columns in [0..GRAIN, GRAIN..f_layout.pitch()] {
                        for part in w_layout.over(columns) {
                            let to = (&Shared::new(&mut f), f_layout);
                            // SAFETY: nobody else has it.
                            unsafe { product(vectors, left, share.clone(), depth, &w, &part, Store, to) };
                        }
                    }
                }
                for row in 0..rows {
                    for column in 0..width {
                        let pairs = (0..depth).map(|k| (get(&h, h_layout, row, k), get(&w, w_layout, k, column)));
                        let expected = chain(fused, pairs);
                        assert_eq!(get(&f, f_layout, row, column), expected, "{vectors:?} {rows} {depth} {width}");
                    }
                }

                let mut updated = w.clone();
                let left = Left { values: &h, layout: h_layout, transposed: true };
                for part in w_layout.over(0..w_layout.pitch()) {
                    let right = Part { columns: part.columns.clone(), ..f_layout.at(part.columns.start) };
                    let to = (&Shared::new(&mut updated), w_layout);
                    let finish = Update(Sgd { rate: 0.5, keep: 1.0 });
                    // SAFETY: nobody else has it.
                    unsafe { product(vectors, left, 0..depth, rows, &f, &right, finish, to) };
                }
                for k in 0..depth {
                    for column in 0..width {
                        let pairs = (0..rows).map(|row| (get(&h, h_layout, row, k), get(&f, f_layout, row, column)));
                        let (sum, w) = (chain(fused, pairs), get(&w, w_layout, k, column));
                        let expected = if fused { sum.mul_add(-0.5, w) } else { sum * -0.5 + w };
                        assert_eq!(get(&updated, w_layout, k, column), expected, "{vectors:?} {rows} {depth} {width}");
                    }
                }

                let mut dh = Aligned::zeros(h_layout.len());
                let left = Left { values: &f, layout: f_layout, transposed: false };
                for part in h_layout.over(0..h_layout.pitch()) {
                    let mut packed = Aligned::zeros(width * part.columns.len());
                    let inputs = part.columns.start..part.columns.end.min(depth);
                    pack_transposed(&w, w_layout, inputs, width, &mut packed);
                    let right = Part { start: 0, width: part.columns.len(), ..part };
                    let to = (&Shared::new(&mut dh), h_layout);
                    // SAFETY: nobody else has it.
                    unsafe { product(vectors, left, 0..rows, width, &packed, &right, Store, to) };
                }
                for row in 0..rows {
                    for k in 0..depth {
                        let pairs = (0..width).map(|c| (get(&f, f_layout, row, c), get(&w, w_layout, k, c)));
                        let expected = chain(fused, pairs);
                        assert_eq!(get(&dh, h_layout, row, k), expected, "{vectors:?} {rows} {depth} {width}");
                    }
                }
            }
        }
    }
}
