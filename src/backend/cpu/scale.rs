//! The trained factors of the first layer's inputs: `x[r, i] = factors[i] e[r, i]`.

/// Fills `x` (`.. x factors.len()`) from `e`, which is as large.
pub fn scale(factors: &[f32], e: &[f32], x: &mut [f32]) {
    for (x, e) in x.chunks_exact_mut(factors.len()).zip(e.chunks_exact(factors.len())) {
        for ((x, e), factor) in x.iter_mut().zip(e).zip(factors) {
            *x = e * factor;
        }
    }
}
