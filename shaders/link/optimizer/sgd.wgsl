// w -= learning_rate g, where g has the L2 penalty's weight_decay w
//
// uses: batch, decay

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    return value - batch.learning_rate * (gradient + weight_decay(bias) * value);
}
