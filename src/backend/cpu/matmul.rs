//! The forward product: `C = A B`.

/// `c` (`rows x columns`) from `a` (`rows x inner`) and `b` (`inner x columns`), all row-major.
pub fn matmul(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32]) {
    for (a, c) in a.chunks_exact(inner).zip(c.chunks_exact_mut(columns)) {
        for (j, c) in c.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (k, &a) in a.iter().enumerate() {
                sum += a * b[k * columns + j];
            }
            *c = sum;
        }
    }
}
