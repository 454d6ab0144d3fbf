//! Rows of a data set of bytes, picked in the order of a batch: `x[r, c] = data[order[r], c] / 255`.

/// Fills `x` (`order.len() x width`) from `data` (`n x width` bytes).
pub fn gather_u8(data: &[u8], order: &[u32], width: usize, x: &mut [f32]) {
    for (row, &source) in x.chunks_exact_mut(width).zip(order) {
        let source = &data[source as usize * width..][..width];
        for (x, &byte) in row.iter_mut().zip(source) {
            *x = f32::from(byte) / 255.0;
        }
    }
}
