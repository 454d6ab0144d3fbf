// b = momentum b + g, w -= learning_rate (g + momentum b), where g has the L2 penalty's weight_decay w
//
// uses: batch, decay, slots

// The new value of parameter `at`, from its gradient, the mean over the batch's rows.
fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    let g = gradient + weight_decay(bias) * value;
    let b = batch.momentum * slots[at] + g;
    slots[at] = b;
    return value - batch.learning_rate * (g + batch.momentum * b);
}
