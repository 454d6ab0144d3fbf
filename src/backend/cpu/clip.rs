//! What clipping multiplies gradients by: `min(1, clip_norm / (norm + 1e-6))`, as `torch.nn.utils.clip_grad_norm_` does.

use super::sum::in_lanes;

/// The factor for gradients whose squares add up to the sum of `sums`; NaN if that is NaN.
pub fn clip(sums: &[f32], clip_norm: f32) -> f32 {
    let squares = in_lanes(sums.iter().copied());
    let factor = clip_norm / (squares.sqrt() + 1e-6);
    if factor > 1.0 { 1.0 } else { factor }
}

/// The factor for gradients of the norm `norm`, in more digits.
pub(super) fn factor(norm: f64, clip_norm: f64) -> f64 {
    let factor = clip_norm / (norm + 1e-6);
    // Not `min`, which would lose a norm that is no number: parameters become NaN, for all to see.
    if factor > 1.0 { 1.0 } else { factor }
}
