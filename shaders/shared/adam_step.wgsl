// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
// w -= learning_rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) in step t, from 1
//
// uses: batch, slots

// What is kept of parameter `at`: m and v.
fn kept_of(at: u32) -> vec2<f32> {
    return vec2<f32>(slots[2u * at], slots[2u * at + 1u]);
}

fn adam_step(at: u32, value: f32, kept: vec2<f32>, gradient: f32) -> f32 {
    let m = without_tiny(batch.beta1 * kept.x + (1.0 - batch.beta1) * gradient);
    let v = without_tiny(batch.beta2 * kept.y + (1.0 - batch.beta2) * (gradient * gradient));
    slots[2u * at] = m;
    slots[2u * at + 1u] = v;
    return value - batch.step_size * (m / (sqrt(v) / batch.correction + batch.epsilon));
}
