//! `p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)`, with the row's maximum subtracted so that nothing
//! overflows.

/// Replaces each row of `f` (`rows x classes`) by its softmax.
pub fn row_softmax(classes: usize, f: &mut [f32]) {
    for row in f.chunks_exact_mut(classes) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &f| max.max(f));
        let mut sum = 0.0;
        for f in row.iter_mut() {
            *f = (*f - max).exp();
            sum += *f;
        }
        for f in row.iter_mut() {
            *f /= sum;
        }
    }
}
