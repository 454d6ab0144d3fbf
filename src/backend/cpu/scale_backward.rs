//! The gradients of the trained factors, `sums[i] = sum_r dx[r, i] e[r, i]`, and of what they are multiplied with.

/// Fills `sums` from `dx` and `e` (both `.. x factors.len()`); `dx` then is the gradient at `e`.
pub fn scale_backward(factors: &[f32], e: &[f32], dx: &mut [f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for (dx, e) in dx.chunks_exact_mut(factors.len()).zip(e.chunks_exact(factors.len())) {
        for (i, (dx, e)) in dx.iter_mut().zip(e).enumerate() {
            sums[i] += *dx * e;
            *dx *= factors[i];
        }
    }
}
