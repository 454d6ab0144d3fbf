// b = momentum b + g, w -= learning_rate b, where g has the L2 penalty's weight_decay w
//
// uses: batch, decay, slots

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    let b = batch.momentum * slots[at] + (gradient + weight_decay(bias) * value);
    slots[at] = b;
    return value - batch.learning_rate * b;
}
