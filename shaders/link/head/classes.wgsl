// uses: batch, softmax
//
// Softmax, and cross-entropy with the label, of which the share batch.smoothing is spread over all classes: targets holds a
// label a row, and a row's values are outputs[base] to outputs[base + classes - 1].

const IS_SOFTMAX = true;

// The row's probabilities, from the last layer's output.
fn predict(base: u32) {
    softmax(base);
}

// The gradient of the row's loss at the last layer's output, through the softmax, from the probabilities:
// p - ((1 - smoothing) onehot(label) + smoothing / classes)
fn loss_gradient(base: u32, row: u32) {
    outputs[base + targets[row]] -= 1.0 - batch.smoothing;
    if batch.smoothing > 0.0 {
        for (var c = 0u; c < classes; c++) { outputs[base + c] -= batch.smoothing / f32(classes); }
    }
}

// What loss_gradient needs of targets for one value, c, of a row.
fn answer(row: u32, c: u32) -> u32 {
    return targets[row];
}

// The same for one value, p.
fn value_gradient(p: f32, c: u32, label: u32) -> f32 {
    let gradient = select(p, p - (1.0 - batch.smoothing), c == label);
    return select(gradient, gradient - batch.smoothing / f32(classes), batch.smoothing > 0.0);
}
