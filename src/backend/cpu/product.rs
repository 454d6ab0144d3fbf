//! The three products, fast where the twins are readable: through the `gemm` crate, or our own for a few columns; tested
//! against the twins.

use gemm::Parallelism;
use pulp::Arch;

/// Products with at most so many columns are done here, vectorised over the columns: a general product wastes most of
/// its work on them. Their sums run in the twins' order and without fused multiply-add, so that the results are the
/// twins' to the bit.
const NARROW: usize = 16;

/// Calls a function of this module with the number of columns as a constant.
macro_rules! with_columns {
    ($columns:expr, $function:ident($($argument:expr),*)) => {
        with_columns!(@ $columns, $function($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    (@ $columns:expr, $function:ident $arguments:tt, $($n:literal)*) => {
        match $columns {
            $($n => $function::<$n> $arguments,)*
            _ => unreachable!("more columns than NARROW"),
        }
    };
}

/// `C = A B`; see [`super::matmul::matmul`].
pub fn matmul(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    if columns <= NARROW {
        return with_columns!(columns, narrow_matmul(a, b, inner, c));
    }
    let rows = c.len() / columns;
    product((rows, columns, inner), (c, [columns, 1]), (a, [inner, 1]), (b, [columns, 1]), threads);
}

/// `C = A^T B`; see [`super::matmul_at_b::matmul_at_b`].
pub fn matmul_at_b(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    if columns <= NARROW {
        return with_columns!(columns, narrow_matmul_at_b(a, b, inner, c));
    }
    let rows = a.len() / inner;
    product((inner, columns, rows), (c, [columns, 1]), (a, [1, inner]), (b, [columns, 1]), threads);
}

/// `C = A B^T`; see [`super::matmul_a_bt::matmul_a_bt`].
pub fn matmul_a_bt(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    if columns <= NARROW {
        return super::matmul_a_bt::matmul_a_bt(a, b, inner, columns, c);
    }
    let rows = a.len() / columns;
    product((rows, inner, columns), (c, [inner, 1]), (a, [columns, 1]), (b, [1, columns]), threads);
}

/// Rows done at a time, so that additions that wait for each other overlap.
const ROWS: usize = 4;

fn narrow_matmul<const N: usize>(a: &[f32], b: &[f32], inner: usize, c: &mut [f32]) {
    // Whole vectors: a row of `b` is padded to 8 or 16 values.
    match N {
        ..=8 => Arch::new().dispatch(|| padded_matmul::<N, 8>(a, b, inner, c)),
        _ => Arch::new().dispatch(|| padded_matmul::<N, 16>(a, b, inner, c)),
    }
}

#[inline(always)]
fn padded_matmul<const N: usize, const P: usize>(a: &[f32], b: &[f32], inner: usize, c: &mut [f32]) {
    let padded: Vec<[f32; P]> = b.chunks_exact(N).map(pad).collect();
    for (a, c) in a.chunks(ROWS * inner).zip(c.chunks_mut(ROWS * N)) {
        let mut sums = [[0.0; P]; ROWS];
        if a.len() == ROWS * inner {
            let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &a[row * inner..][..inner]);
            for (k, b) in padded.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    add_scaled(sums, row[k], b);
                }
            }
        } else {
            for (sums, row) in sums.iter_mut().zip(a.chunks_exact(inner)) {
                for (&a, b) in row.iter().zip(&padded) {
                    add_scaled(sums, a, b);
                }
            }
        }
        for (c, sums) in c.chunks_exact_mut(N).zip(&sums) {
            c.copy_from_slice(&sums[..N]);
        }
    }
}

fn narrow_matmul_at_b<const N: usize>(a: &[f32], b: &[f32], inner: usize, c: &mut [f32]) {
    match N {
        ..=8 => Arch::new().dispatch(|| padded_matmul_at_b::<N, 8>(a, b, inner, c)),
        _ => Arch::new().dispatch(|| padded_matmul_at_b::<N, 16>(a, b, inner, c)),
    }
}

#[inline(always)]
fn padded_matmul_at_b<const N: usize, const P: usize>(a: &[f32], b: &[f32], inner: usize, c: &mut [f32]) {
    let mut padded = vec![[0.0; P]; inner];
    for (a, b) in a.chunks_exact(inner).zip(b.chunks_exact(N)) {
        let b = pad(b);
        for (&a, sums) in a.iter().zip(&mut padded) {
            // Most pixels are 0, and add nothing.
            if a != 0.0 {
                add_scaled(sums, a, &b);
            }
        }
    }
    for (c, sums) in c.chunks_exact_mut(N).zip(&padded) {
        c.copy_from_slice(&sums[..N]);
    }
}

#[inline(always)]
fn pad<const P: usize>(values: &[f32]) -> [f32; P] {
    std::array::from_fn(|index| values.get(index).copied().unwrap_or(0.0))
}

#[inline(always)]
fn add_scaled<const P: usize>(sums: &mut [f32; P], a: f32, b: &[f32; P]) {
    for (sum, &b) in sums.iter_mut().zip(b) {
        *sum += a * b;
    }
}

/// `C (m x n) = A (m x k) B (k x n)`; each matrix comes with the steps, in elements, to the next row and column.
fn product(
    (m, n, k): (usize, usize, usize),
    (c, c_steps): (&mut [f32], [usize; 2]),
    (a, a_steps): (&[f32], [usize; 2]),
    (b, b_steps): (&[f32], [usize; 2]),
    threads: Parallelism,
) {
    assert!(c.len() == m * n && a.len() == m * k && b.len() == k * n, "operands of a {m} x {n} x {k} product");
    let [c_row, c_column] = c_steps.map(|step| step as isize);
    let [a_row, a_column] = a_steps.map(|step| step as isize);
    let [b_row, b_column] = b_steps.map(|step| step as isize);
    // SAFETY: the lengths were checked above, and each caller passes the steps of a dense matrix of that size.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            c_column,
            c_row,
            false,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            0.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}
