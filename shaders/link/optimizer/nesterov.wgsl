// b = momentum b + g, w -= learning_rate (g + momentum b), where g has the L2 penalty's weight_decay w
//
// uses: batch, decay, slots, stepping

// What is kept of parameter `at`.
fn kept_of(at: u32) -> vec2<f32> {
    return vec2<f32>(slots[at], 0.0);
}

// The new value of parameter `at`, from what is kept of it and its gradient, the mean over the batch's rows.
fn step_from(at: u32, value: f32, kept: vec2<f32>, gradient: f32, bias: bool) -> f32 {
    let g = gradient + weight_decay(bias) * value;
    let b = without_tiny(batch.momentum * kept.x + g);
    slots[at] = b;
    return value - batch.learning_rate * (g + batch.momentum * b);
}
