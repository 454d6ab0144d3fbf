//! Rows of a data set of floats, picked in the order of a batch: `x[r, c] = data[order[r], c]`.

/// Fills `x` (`order.len() x width`) from `data` (`n x width`).
pub fn gather_f32(data: &[f32], order: &[u32], width: usize, x: &mut [f32]) {
    for (row, &source) in x.chunks_exact_mut(width).zip(order) {
        row.copy_from_slice(&data[source as usize * width..][..width]);
    }
}
