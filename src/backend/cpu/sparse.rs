//! Images as lists of their pixels that are not 0, and the first layer's products over them. Where most pixels are 0, as
//! in MNIST, that is a fraction of the work; what is left out would have added exactly 0 to finite sums.

use std::ops::Range;

use pulp::Simd;

use super::narrow::ROWS;
use super::panels::{GRAIN, Layout, PANEL, Part};
use super::team::Shared;
use super::vector::optimizer::{self, Optimizer};
use super::vector::{
    Aligned, LANES, Sums, Vectors, lanes, load, multiply_add, prefetch, read, vectorize, vectorize_wide, write,
};

/// Above this share of pixels that are not 0 a dense product is faster.
const DENSE: f64 = 0.4;

/// Rows whose pixels are fetched ahead of the row at hand: they come in random order, from beyond the cache.
const AHEAD: usize = 8;

/// Entries of the lists of a part, up to which each column has room for all rows of the batch: then nothing is counted beforehand.
const ROOM: usize = 1 << 20;

/// Lists as long or longer are not sorted.
const LONG: usize = 256;

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
    /// The largest batch whose rows can be listed column by column.
    pub const MAX_BATCH: usize = 1 << 24;

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

    /// Parts of the columns.
    pub fn parts(&self) -> usize {
        self.cuts.len() - 1
    }

    /// The columns of some parts.
    pub fn columns(&self, parts: &Range<usize>) -> Range<usize> {
        self.cuts[parts.start]..self.cuts[parts.end]
    }

    #[inline(always)]
    fn row(&self, row: u32) -> &[Pixel] {
        let at = row as usize * self.parts();
        &self.pixels[self.starts[at] as usize..self.starts[at + self.parts()] as usize]
    }

    #[inline(always)]
    fn row_parts(&self, row: u32, parts: &Range<usize>) -> &[Pixel] {
        let at = row as usize * self.parts();
        &self.pixels[self.starts[at + parts.start] as usize..self.starts[at + parts.end] as usize]
    }

    /// The places of up to [`SORTED`] rows, those with the fewest pixels first ([`place_of`]): rows of like length are walked side by
    /// side, so that they end together.
    #[inline(always)]
    fn sorted(&self, order: &[u32]) -> [u32; SORTED] {
        let mut places = [0; SORTED];
        let filled = &mut places[..order.len()];
        for (index, (place, &number)) in filled.iter_mut().zip(order).enumerate() {
            *place = ((self.row(number).len() * SORTED) | index) as u32;
        }
        filled.sort_unstable();
        places
    }

    /// `f = x W` (`order.len() x pitch`) for the rows `order`; `W` is `width x pitch`, of one vector or two.
    pub fn forward_narrow(&self, vectors: Vectors, order: &[u32], weights: &[f32], pitch: usize, f: &mut [f32]) {
        assert!(weights.len() == self.width * pitch, "weights of the first layer");
        match pitch {
            LANES => vectorize!(vectors, |simd| self.forward_padded::<_, 1>(simd, order, weights, f)),
            _ => vectorize!(vectors, |simd| self.forward_padded::<_, 2>(simd, order, weights, f)),
        }
    }

    #[inline(always)]
    fn forward_padded<S: Simd, const N: usize>(&self, simd: S, order: &[u32], weights: &[f32], f: &mut [f32]) {
        for (order, f) in order.chunks(SORTED).zip(f.chunks_mut(SORTED * N * LANES)) {
            order.iter().take(ROWS).for_each(|&number| prefetch::<8, _>(self.row(number)));
            let places = self.sorted(order);
            let places = &places[..order.len()];
            for (index, group) in places.chunks(ROWS).enumerate() {
                for &ahead in places.iter().skip(index * ROWS + AHEAD).take(ROWS) {
                    prefetch::<8, _>(self.row(order[place_of(ahead)]));
                }
                let mut rows: [&[Pixel]; ROWS] = [&[]; ROWS];
                for (row, &place) in rows.iter_mut().zip(group) {
                    *row = self.row(order[place_of(place)]);
                }
                let mut sums = [Sums::<S, N>::zero(simd); ROWS];
                side_by_side(
                    rows,
                    &mut sums,
                    #[inline(always)]
                    |sums, pixel| {
                        // SAFETY: every column is below the width, and `weights` has a row for each.
                        unsafe { sums.add_unchecked(simd, pixel.value(), weights, pixel.offset(N)) };
                    },
                );
                for (sums, &place) in sums.iter().zip(group) {
                    sums.store(f, place_of(place) * N * LANES);
                }
            }
        }
    }

    /// `f = x W` for the rows `rows` of the batch `order` and those columns that `part` says where they are in `weights`; `f` is
    /// laid out as `layout`.
    ///
    /// # Safety
    /// Nobody else touches these rows and columns of `f` until the next barrier.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn forward_wide(
        &self,
        vectors: Vectors,
        order: &[u32],
        rows: Range<usize>,
        weights: &[f32],
        part: &Part,
        (f, layout): (&Shared<f32>, Layout),
    ) {
        assert!(part.start + (self.width - 1) * part.width + part.columns.len() <= weights.len(), "weights of a part");
        let mut at = 0;
        while at < part.columns.len() {
            let whole = part.columns.len() - at >= PANEL;
            let weights = &weights[part.start + at..];
            let to = layout.at(part.columns.start + at);
            let task = Forward { sparse: self, order, rows: rows.clone(), weights, width: part.width, f, to };
            vectorize_wide!(vectors, |simd| {
                // SAFETY: as the caller promises.
                unsafe {
                    match (lanes_of(simd), whole) {
                        (16, true) => task.run::<_, 6, 4>(simd),
                        (16, false) => task.run::<_, 6, 1>(simd),
                        (8, true) => task.run::<_, 1, 8>(simd),
                        (8, false) => task.run::<_, 4, 2>(simd),
                        (_, true) => task.run::<_, 1, 16>(simd),
                        (_, false) => task.run::<_, 1, 4>(simd),
                    }
                }
            });
            at += if whole { PANEL } else { GRAIN };
        }
    }

    /// Updates the parts `parts` of the rows of `W` from their gradients `x^T df`: `weights` is `.. x pitch` of one vector or two,
    /// `df` is `order.len() x pitch`.
    ///
    /// # Safety
    /// As [`Optimizer::step`].
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn update_narrow(
        &self,
        vectors: Vectors,
        order: &[u32],
        (df, pitch): (&[f32], usize),
        parts: &Range<usize>,
        optimizer: impl Optimizer,
        weights: &mut [f32],
        gradients: &mut Aligned,
    ) {
        // SAFETY, of both: as the caller promises.
        match pitch {
            // SAFETY: as the caller promises.
            LANES => vectorize!(vectors, |simd| unsafe {
                self.update_padded::<_, 1>(simd, order, df, parts, optimizer, weights, gradients)
            }),
            // SAFETY: as the caller promises.
            _ => vectorize!(vectors, |simd| unsafe {
                self.update_padded::<_, 2>(simd, order, df, parts, optimizer, weights, gradients)
            }),
        }
    }

    /// # Safety
    /// As [`SparseRows::update_narrow`].
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    unsafe fn update_padded<S: Simd, const N: usize>(
        &self,
        simd: S,
        order: &[u32],
        df: &[f32],
        parts: &Range<usize>,
        optimizer: impl Optimizer,
        weights: &mut [f32],
        gradients: &mut Aligned,
    ) {
        assert!(weights.len() == self.columns(parts).len() * N * LANES, "weights of parts of the first layer");
        let first = self.cuts[parts.start] * N * LANES;
        gradients.resize(weights.len());
        let gradients = &mut gradients[..];
        gradients.fill(0.0);
        for (index, (&row, df)) in order.iter().zip(df.chunks_exact(N * LANES)).enumerate() {
            if let Some(&ahead) = order.get(index + AHEAD) {
                prefetch::<6, _>(self.row_parts(ahead, parts));
            }
            let mut deltas = [simd.splat_f32s(0.0); N];
            for (n, delta) in deltas.iter_mut().enumerate() {
                *delta = load(simd, df, n * LANES);
            }
            for &pixel in self.row_parts(row, parts) {
                let (value, at) = (simd.splat_f32s(pixel.value()), pixel.offset(N) - first);
                // SAFETY: the columns of parts are between their cuts, and there is a gradient for each.
                let gradients = unsafe { gradients.get_unchecked_mut(at..at + N * LANES) };
                let mut sums = Sums::<S, N>::zero(simd);
                for (n, (sum, delta)) in sums.0.iter_mut().zip(deltas).enumerate() {
                    *sum = simd.add_f32s(load(simd, gradients, n * LANES), simd.mul_f32s(value, delta));
                }
                sums.store(gradients, 0);
            }
        }
        // SAFETY: as the caller promises.
        unsafe { optimizer::update(simd, optimizer, first, gradients, weights) };
    }

    /// Lists, for each column of `parts`, the rows of the batch where it is not 0.
    pub fn transpose(&self, order: &[u32], parts: Range<usize>, listed: &mut Columns) {
        let Columns { first, lists, sorted, entries } = listed;
        let columns = self.columns(&parts);
        *first = columns.start;
        let rows = || order.iter().map(|&row| self.row_parts(row, &parts));
        lists.clear();
        // An odd number of cache lines: lists that start at the same places of the cache would drive each other out.
        let most = order.len().next_multiple_of(16) | 16;
        let room = if columns.len() * most <= ROOM {
            lists.extend((0..columns.len()).map(|column| (column * most) as u32).map(|start| start..start));
            columns.len() * most
        } else {
            let total: usize = rows().map(<[Pixel]>::len).sum();
            assert!(u32::try_from(total).is_ok(), "a batch of {total} pixels");
            lists.resize(columns.len(), 0..0);
            for pixel in rows().flatten() {
                // SAFETY: the columns of parts are between their cuts, and there is a list for each.
                unsafe { lists.get_unchecked_mut(pixel.column() - columns.start) }.end += 1;
            }
            let mut start = 0;
            for list in lists.iter_mut() {
                let count = std::mem::replace(list, start..start).end;
                start += count;
            }
            total
        };
        entries.resize(entries.len().max(room), Entry(0));
        for (index, row) in rows().enumerate() {
            for &pixel in row {
                // SAFETY: as above.
                let list = unsafe { lists.get_unchecked_mut(pixel.column() - columns.start) };
                // SAFETY: a list has room for all rows, or for those that were counted.
                *unsafe { entries.get_unchecked_mut(list.end as usize) } = Entry::new(index, pixel);
                list.end += 1;
            }
        }
        // By counting: at the place of a length is where the next list of it goes.
        let mut places = [0; LONG + 1];
        let length = |list: &Range<u32>| list.len().min(LONG);
        lists.iter().for_each(|list| places[length(list)] += 1);
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        sorted.resize(lists.len(), 0);
        for (column, list) in lists.iter().enumerate() {
            let place = &mut places[length(list)];
            sorted[*place] = column as u32;
            *place += 1;
        }
    }

    /// Updates those columns of `W` that `part` says where they are, and of them the rows that `listed` has pixels of, from their
    /// gradients `x^T df`; the batch has `count` rows, and `df` is laid out as `layout`.
    ///
    /// # Safety
    /// Nobody else touches these columns of `W`, nor what the optimizer keeps beside them, until the next barrier.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn update_wide(
        &self,
        vectors: Vectors,
        listed: &Columns,
        count: usize,
        (df, layout): (&[f32], Layout),
        optimizer: impl Optimizer,
        weights: &Shared<f32>,
        part: &Part,
    ) {
        let mut at = 0;
        while at < part.columns.len() {
            let whole = part.columns.len() - at >= PANEL;
            let from = layout.at(part.columns.start + at);
            assert!(from.row(count - 1) + if whole { PANEL } else { GRAIN } <= df.len(), "gradients of a part");
            let df = &df[from.start..];
            let (first, df_width, width) = (part.row(listed.first) + at, from.width, part.width);
            let task = Update { listed, count, df, df_width, optimizer, weights, first, width };
            vectorize_wide!(vectors, |simd| {
                // SAFETY: as the caller promises.
                unsafe {
                    match (lanes_of(simd), whole) {
                        (16, true) => task.run::<_, 4, 4>(simd),
                        (16, false) => task.run::<_, 4, 1>(simd),
                        (8, true) => task.run::<_, 1, 8>(simd),
                        (8, false) => task.run::<_, 4, 2>(simd),
                        (_, true) => task.run::<_, 1, 16>(simd),
                        (_, false) => task.run::<_, 1, 4>(simd),
                    }
                }
            });
            at += if whole { PANEL } else { GRAIN };
        }
    }
}

/// The pixels of some columns in a row, column by column; reused from step to step.
#[derive(Default)]
pub struct Columns {
    /// The first of them.
    first: usize,
    /// Where each column's list is.
    lists: Vec<Range<u32>>,
    /// The columns, counted from the first, those with the shortest lists first: lists of like length are walked side by side.
    sorted: Vec<u32>,
    /// What the lists hold, with gaps between them.
    entries: Vec<Entry>,
}

impl Columns {
    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.lists[..]) + size_of_val(&self.sorted[..]) + size_of_val(&self.entries[..])
    }
}

/// A pixel of a batch: its value in the lowest byte, its row above it.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(row: usize, pixel: Pixel) -> Self {
        Self((row as u32) << 8 | (pixel.0 & 0xff))
    }

    #[inline(always)]
    fn value(self) -> f32 {
        VALUES[(self.0 & 0xff) as usize]
    }

    #[inline(always)]
    fn row(self) -> usize {
        (self.0 >> 8) as usize
    }
}

/// The row that a place of [`SparseRows::sorted`] stands for.
#[inline(always)]
fn place_of(place: u32) -> usize {
    place as usize % SORTED
}

/// Adds up each of `lists`, in its order. Chains of additions that do not wait for each other run together as far as all lists go.
// An index, since several lists are walked with it.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
fn side_by_side<T: Copy, A, const R: usize>(lists: [&[T]; R], sums: &mut [A; R], add: impl Fn(&mut A, T)) {
    let common = lists.iter().map(|list| list.len()).min().unwrap_or(0);
    let heads = lists.map(|list| &list[..common]);
    for index in 0..common {
        for (sum, head) in sums.iter_mut().zip(heads) {
            add(sum, head[index]);
        }
    }
    for (sum, list) in sums.iter_mut().zip(lists) {
        for &one in &list[common..] {
            add(sum, one);
        }
    }
}

/// As [`lanes`].
#[inline(always)]
fn lanes_of<S: Simd>(_: S) -> usize {
    lanes::<S>()
}

/// Some columns of the first layer's output.
struct Forward<'a> {
    sparse: &'a SparseRows,
    order: &'a [u32],
    rows: Range<usize>,
    /// From the first of the columns on.
    weights: &'a [f32],
    /// From row to row of them.
    width: usize,
    f: &'a Shared<'a, f32>,
    to: Part,
}

impl Forward<'_> {
    /// `R` rows at a time, `N` vectors of columns.
    ///
    /// # Safety
    /// As [`SparseRows::forward_wide`]; `weights` has a row for each column of pixels.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const N: usize>(self, simd: S) {
        for first in self.rows.clone().step_by(SORTED) {
            let order = &self.order[first..self.rows.end.min(first + SORTED)];
            let places = self.sparse.sorted(order);
            let places = &places[..order.len()];
            for (index, group) in places.chunks(R).enumerate() {
                for &ahead in places.iter().skip((index + 1) * R).take(R) {
                    prefetch::<8, _>(self.sparse.row(order[place_of(ahead)]));
                }
                let mut rows: [&[Pixel]; R] = [&[]; R];
                for (row, &place) in rows.iter_mut().zip(group) {
                    *row = self.sparse.row(order[place_of(place)]);
                }
                let mut sums = [[simd.splat_f32s(0.0); N]; R];
                side_by_side(
                    rows,
                    &mut sums,
                    #[inline(always)]
                    |sums, pixel| {
                        let (value, at) = (simd.splat_f32s(pixel.value()), pixel.offset(self.width / LANES));
                        for (n, sum) in sums.iter_mut().enumerate() {
                            // SAFETY: every column is below the width, and `weights` has a row for each.
                            let weights = unsafe { read(simd, self.weights, at + n * lanes::<S>()) };
                            *sum = multiply_add(simd, value, weights, *sum);
                        }
                    },
                );
                for (sums, &place) in sums.into_iter().zip(group) {
                    for (n, sum) in sums.into_iter().enumerate() {
                        let place = self.to.row(first + place_of(place)) + n * lanes::<S>();
                        // SAFETY: as the caller promises.
                        let to = unsafe { self.f.part_mut(place..place + lanes::<S>()) };
                        write(simd, to, sum);
                    }
                }
            }
        }
    }
}

/// Some columns of the first layer's weights.
struct Update<'a, O> {
    listed: &'a Columns,
    count: usize,
    /// From the first of the columns on.
    df: &'a [f32],
    /// From row to row of it.
    df_width: usize,
    optimizer: O,
    weights: &'a Shared<'a, f32>,
    /// Where the row of the first listed column starts in them.
    first: usize,
    width: usize,
}

impl<O: Optimizer> Update<'_, O> {
    /// `R` rows of the weights at a time, `N` vectors of columns.
    ///
    /// # Safety
    /// As [`SparseRows::update_wide`]; the lists hold rows below `count`, and `df` has a row for each.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const N: usize>(self, simd: S) {
        let Columns { lists, sorted, entries, .. } = self.listed;
        let resting = |&column: &u32| self.optimizer.rests() && lists[column as usize].is_empty();
        for group in sorted[sorted.partition_point(resting)..].chunks(R) {
            let mut listed: [&[Entry]; R] = [&[]; R];
            for (listed, &column) in listed.iter_mut().zip(group) {
                let list = &lists[column as usize];
                *listed = &entries[list.start as usize..list.end as usize];
            }
            let mut sums = [[simd.splat_f32s(0.0); N]; R];
            side_by_side(
                listed,
                &mut sums,
                #[inline(always)]
                |sums, entry| {
                    debug_assert!(entry.row() < self.count);
                    let (value, at) = (simd.splat_f32s(entry.value()), entry.row() * self.df_width);
                    for (n, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: as the caller promises.
                        *sum = multiply_add(simd, value, unsafe { read(simd, self.df, at + n * lanes::<S>()) }, *sum);
                    }
                },
            );
            for (sums, &column) in sums.into_iter().zip(group) {
                let place = self.first + column as usize * self.width;
                // SAFETY: as the caller promises.
                let weights = unsafe { self.weights.part_mut(place..place + N * lanes::<S>()) };
                let places = (place..).step_by(lanes::<S>());
                for ((weights, sum), at) in weights.chunks_exact_mut(lanes::<S>()).zip(sums).zip(places) {
                    // SAFETY: one vector long; the rest as the caller promises.
                    let updated = unsafe { self.optimizer.step(simd, at, sum, read(simd, weights, 0)) };
                    write(simd, weights, updated);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::cpu::dropout::mix;

    #[test]
    fn lists_hold_every_pixel_once_in_the_order_of_the_rows() {
        let (width, count) = (400, 3000);
        let byte = |row: usize, column: usize| {
            // Some columns are always 0, some never.
            let noise = mix((row * width + column) as u32);
            if noise as usize % width < column { (noise >> 24) as u8 } else { 0 }
        };
        let data: Vec<u8> = (0..count * width).map(|at| byte(at / width, at % width)).collect();
        let sparse = SparseRows::new(&data, width, 3);
        assert!(sparse.is_none(), "half of the pixels are not 0");
        let data: Vec<u8> = data.iter().map(|&byte| if byte < 160 { 0 } else { byte }).collect();
        let rows = SparseRows::new(&data, width, 3).unwrap();
        let mut lists = Columns::default();
        // With room for all rows, and counted.
        for batch in [1, 64, 300, count] {
            let order: Vec<u32> = (0..batch).map(|row| (row * 7 % count) as u32).collect();
            let mut seen = 0;
            for parts in [0..1, 1..3] {
                rows.transpose(&order, parts.clone(), &mut lists);
                let columns = rows.columns(&parts);
                assert_eq!(lists.first, columns.start);
                let mut sorted: Vec<u32> = lists.sorted.clone();
                assert!(sorted.is_sorted_by_key(|&column| lists.lists[column as usize].len().min(LONG)));
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..columns.len() as u32));
                for (column, list) in columns.zip(&lists.lists) {
                    let found = &lists.entries[list.start as usize..list.end as usize];
                    let expected = order.iter().enumerate().map(|(at, &row)| (at, data[row as usize * width + column]));
                    let expected = expected.filter(|&(_, byte)| byte != 0);
                    assert!(found.iter().map(|entry| (entry.row(), (entry.0 & 0xff) as u8)).eq(expected), "{column}");
                    seen += 1;
                }
            }
            assert_eq!(seen, width);
        }
    }
}
