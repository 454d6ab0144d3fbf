// Which rows a dispatch works on, and the numbers of the step.

struct Batch {
    // Place of its first row in the order
    first: u32,
    rows: u32,
    // Where its loss goes
    index: u32,
    learning_rate: f32,
    // The optimizer's, as PyTorch names them; of biases the decay may be another
    momentum: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    bias_decay: f32,
    // learning_rate / (1 - beta1^t) and sqrt(1 - beta2^t) in step t, from 1
    step_size: f32,
    correction: f32,
    // Of seed and step
    step_key: u32,
    // What summed gradients are divided by: the weights of the rows together
    divisor: f32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
