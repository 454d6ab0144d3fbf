//! The gradient of the summed loss at the last layer's output, through the softmax: `df = p - onehot(label)`.

/// Subtracts 1 from `p` (`rows x classes`) at each row's label, `labels[order[r]]`.
pub fn cross_entropy_gradient(labels: &[u32], order: &[u32], classes: usize, p: &mut [f32]) {
    for (row, &source) in p.chunks_exact_mut(classes).zip(order) {
        row[labels[source as usize] as usize] -= 1.0;
    }
}
