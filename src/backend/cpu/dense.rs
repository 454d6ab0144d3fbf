//! Products of wide layers, through the `gemm` crate, on the caller's thread.

/// A row-major or transposed matrix inside a slice: how far apart, in values, rows and columns lie.
#[derive(Debug, Clone, Copy)]
pub struct Strides {
    /// To the next row.
    pub row: usize,
    /// To the next column.
    pub column: usize,
}

impl Strides {
    /// Of a row-major matrix with `pitch` values from row to row.
    pub fn rows(pitch: usize) -> Self {
        Self { row: pitch, column: 1 }
    }

    /// Of the transpose of such a matrix.
    pub fn transposed(pitch: usize) -> Self {
        Self { row: 1, column: pitch }
    }

    /// Values that a matrix of `rows x columns` reaches over.
    fn reach(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 { 0 } else { (rows - 1) * self.row + (columns - 1) * self.column + 1 }
    }
}

/// `C = keep C + scale (A B)`, where A is `m x k` and B is `k x n`; `keep` is 0, and what `C` held is ignored, or 1.
pub fn product(
    (m, n, k): (usize, usize, usize),
    (c, c_steps): (&mut [f32], Strides),
    (a, a_steps): (&[f32], Strides),
    (b, b_steps): (&[f32], Strides),
    keep: bool,
    scale: f32,
) {
    let fits = c.len() >= c_steps.reach(m, n) && a.len() >= a_steps.reach(m, k) && b.len() >= b_steps.reach(k, n);
    assert!(fits, "operands of a {m} x {n} x {k} product");
    let step = |step: usize| step as isize;
    // SAFETY: no operand reaches beyond its slice, as was just checked, and `c` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            step(c_steps.column),
            step(c_steps.row),
            keep,
            a.as_ptr(),
            step(a_steps.column),
            step(a_steps.row),
            b.as_ptr(),
            step(b_steps.column),
            step(b_steps.row),
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
