//! The three products through the `gemm` crate, fast where the twins are readable; tested against them.

use gemm::Parallelism;

/// `C = A B`; see [`super::matmul::matmul`].
pub fn matmul(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    let rows = c.len() / columns;
    product((rows, columns, inner), (c, [columns, 1]), (a, [inner, 1]), (b, [columns, 1]), threads);
}

/// `C = A^T B`; see [`super::matmul_at_b::matmul_at_b`].
pub fn matmul_at_b(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    let rows = a.len() / inner;
    product((inner, columns, rows), (c, [columns, 1]), (a, [1, inner]), (b, [columns, 1]), threads);
}

/// `C = A B^T`; see [`super::matmul_a_bt::matmul_a_bt`].
pub fn matmul_a_bt(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32], threads: Parallelism) {
    let rows = a.len() / columns;
    product((rows, inner, columns), (c, [inner, 1]), (a, [columns, 1]), (b, [1, columns]), threads);
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
