//! The bias gradient's sum over the rows of a batch: `g[c] = sum_r d[r, c]`.

/// Fills `sums` (`width`) from `d` (`rows x width`).
pub fn reduce_rows(d: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for row in d.chunks_exact(sums.len()) {
        for (sum, &d) in sums.iter_mut().zip(row) {
            *sum += d;
        }
    }
}
