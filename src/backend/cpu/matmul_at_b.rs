//! The weight gradient's product: `C = A^T B`, a sum over the rows of a batch.

/// `c` (`inner x columns`) from `a` (`rows x inner`) and `b` (`rows x columns`), all row-major.
pub fn matmul_at_b(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32]) {
    for (k, c) in c.chunks_exact_mut(columns).enumerate() {
        for (j, c) in c.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (a, b) in a.chunks_exact(inner).zip(b.chunks_exact(columns)) {
                sum += a[k] * b[j];
            }
            *c = sum;
        }
    }
}
