//! The loss and the predicted class of each row: `loss[r] = -ln(p[r, label] + 1e-16)`, and
//! `confusion[label, argmax p[r]] += 1`. The hits are the diagonal of `confusion`; of equal probabilities the first wins.

use crate::metrics::LOSS_EPSILON;

/// Fills `losses` (`rows`) and adds to `confusion` (`classes x classes`) from `p` (`rows x classes`), where row `r`
/// has the label `labels[order[r]]`.
pub fn cross_entropy(
    p: &[f32],
    labels: &[u32],
    order: &[u32],
    classes: usize,
    losses: &mut [f32],
    confusion: &mut [u32],
) {
    for ((p, &source), loss) in p.chunks_exact(classes).zip(order).zip(losses) {
        let label = labels[source as usize] as usize;
        let predicted;
        (*loss, predicted) = loss_and_class(p, label);
        confusion[label * classes + predicted as usize] += 1;
    }
}

/// The loss and the predicted class of one row of probabilities.
pub fn loss_and_class(p: &[f32], label: usize) -> (f32, u32) {
    let mut predicted = 0;
    for (class, &value) in p.iter().enumerate() {
        if value > p[predicted] {
            predicted = class;
        }
    }
    (-(p[label] + LOSS_EPSILON).ln(), predicted as u32)
}
