// The mean squared error: error^2 of each value
//
// uses: values

fn error_gradient(error: f32) -> f32 {
    return 2.0 * error;
}
