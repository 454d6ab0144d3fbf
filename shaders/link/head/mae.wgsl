// The mean absolute error: |error| of each value
//
// uses: values, nan

// 0 where there is no error. NaN stays: a diverged run must show.
fn error_gradient(error: f32) -> f32 {
    return select(sign(error), error, is_nan(error));
}
