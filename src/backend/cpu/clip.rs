//! What clipping multiplies gradients by: `min(1, clip_norm / (norm + 1e-6))`, as `torch.nn.utils.clip_grad_norm_` does.

/// The factor for gradients whose squares add up to the sum of `sums`; NaN where that is NaN.
pub fn clip(sums: &[f32], clip_norm: f32) -> f32 {
    let squares: f64 = sums.iter().map(|&sum| f64::from(sum)).sum();
    let factor = f64::from(clip_norm) / (squares.sqrt() + 1e-6);
    if factor > 1.0 { 1.0 } else { factor as f32 }
}
