// uses: batch
//
// w -= learning_rate g

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32) -> f32 {
    return value - batch.learning_rate * gradient;
}
