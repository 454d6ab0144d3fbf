// w -= learning_rate weight_decay w, then w by adam_step
//
// uses: batch, adam_step, decay

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    return adam_step(at, value * (1.0 - batch.learning_rate * weight_decay(bias)), gradient);
}
