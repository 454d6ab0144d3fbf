// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
// w -= learning_rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) in step t, from 1
//
// uses: batch, slots

fn adam_step(at: u32, value: f32, gradient: f32) -> f32 {
    let m = batch.beta1 * slots[2u * at] + (1.0 - batch.beta1) * gradient;
    let v = batch.beta2 * slots[2u * at + 1u] + (1.0 - batch.beta2) * (gradient * gradient);
    slots[2u * at] = m;
    slots[2u * at + 1u] = v;
    return value - batch.step_size * (m / (sqrt(v) / batch.correction + batch.epsilon));
}
