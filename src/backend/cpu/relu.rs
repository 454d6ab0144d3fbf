//! `h = max(f, 0)`; NaN stays NaN, so that a run that diverged cannot look healthy.

/// Replaces every value of `f` below 0 by 0.
pub fn relu(f: &mut [f32]) {
    for f in f {
        if *f < 0.0 {
            *f = 0.0;
        }
    }
}
