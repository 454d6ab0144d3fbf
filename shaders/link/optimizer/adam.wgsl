// w by adam_step, from a gradient that has the L2 penalty's weight_decay w
//
// uses: adam_step, decay

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    return adam_step(at, value, gradient + weight_decay(bias) * value);
}
