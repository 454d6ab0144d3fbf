// w -= learning_rate weight_decay w, then w by adam_step
//
// uses: batch, adam_step, decay, stepping

// The new value of parameter `at`, from what is kept of it and its gradient, the mean over the batch's rows.
fn step_from(at: u32, value: f32, kept: vec2<f32>, gradient: f32, bias: bool) -> f32 {
    return adam_step(at, value * (1.0 - batch.learning_rate * weight_decay(bias)), kept, gradient);
}
