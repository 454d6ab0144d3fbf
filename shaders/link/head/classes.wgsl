// uses: exponential
//
// Softmax, and cross-entropy with the label: a row's values are outputs[base] to outputs[base + classes - 1].

override epsilon: f32;

// The row's probabilities, from the last layer's output: p_c = exp(f_c - max) / sum_c exp(f_c - max)
fn predict(base: u32) {
    var largest = outputs[base];
    for (var c = 1u; c < classes; c++) { largest = max(largest, outputs[base + c]); }
    var sum = 0.0;
    for (var c = 0u; c < classes; c++) {
        let e = exponential(outputs[base + c] - largest);
        outputs[base + c] = e;
        sum += e;
    }
    for (var c = 0u; c < classes; c++) { outputs[base + c] /= sum; }
}

// The gradient of the row's loss at the last layer's output, through the softmax, from the probabilities: p - onehot(label)
fn loss_gradient(base: u32, label: u32) {
    outputs[base + label] -= 1.0;
}

// The row's loss, from the probabilities: -ln(p[label] + epsilon)
fn loss(base: u32, label: u32) -> f32 {
    let likelihood = outputs[base + label];
    // log() of NaN need not be NaN on every driver.
    return select(-log(likelihood + epsilon), likelihood, is_nan(likelihood));
}

// Where the row counts in the confusion matrix, classes x classes, labels by predictions. Of equal probabilities the first
// wins.
fn confusion_cell(base: u32, label: u32) -> u32 {
    var predicted = 0u;
    for (var c = 1u; c < classes; c++) {
        if outputs[base + c] > outputs[base + predicted] { predicted = c; }
    }
    return label * classes + predicted;
}
