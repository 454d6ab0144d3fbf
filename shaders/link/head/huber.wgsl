// Huber's loss: error^2 / 2 of each value where |error| <= 1, else |error| - 1 / 2
//
// uses: values, nan

// NaN stays: a diverged run must show.
fn error_gradient(error: f32) -> f32 {
    return select(clamp(error, -1.0, 1.0), error, is_nan(error));
}
