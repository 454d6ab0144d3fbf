//! The input gradient's product: `C = A B^T`.

/// `c` (`rows x inner`) from `a` (`rows x columns`) and `b` (`inner x columns`), all row-major.
pub fn matmul_a_bt(a: &[f32], b: &[f32], inner: usize, columns: usize, c: &mut [f32]) {
    for (a, c) in a.chunks_exact(columns).zip(c.chunks_exact_mut(inner)) {
        for (b, c) in b.chunks_exact(columns).zip(c) {
            let mut sum = 0.0;
            for (&a, &b) in a.iter().zip(b) {
                sum += a * b;
            }
            *c = sum;
        }
    }
}
