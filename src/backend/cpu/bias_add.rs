//! `f[r, c] += b[c]`.

/// Adds `biases` (`width`) to every row of `f` (`rows x width`).
pub fn bias_add(biases: &[f32], f: &mut [f32]) {
    for row in f.chunks_exact_mut(biases.len()) {
        for (f, &bias) in row.iter_mut().zip(biases) {
            *f += bias;
        }
    }
}
