//! The squares of the mean gradients, summed block by block: `sums[g] = sum_i (gradients[i] / divisor)^2`, i in block g.

use super::sum::in_lanes;

/// Gradients of a block.
pub const BLOCK: usize = 4096;

/// Fills `sums`, one for each [`BLOCK`] of `gradients`, of which the last is what is left. `divisor` makes their mean.
pub fn squares(gradients: &[f32], divisor: f32, sums: &mut [f32]) {
    for (sum, block) in sums.iter_mut().zip(gradients.chunks(BLOCK)) {
        let means = block.iter().map(|gradient| gradient / divisor);
        *sum = in_lanes(means.map(|mean| mean * mean));
    }
}
