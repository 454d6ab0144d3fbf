// Of a head that predicts numbers: targets holds `classes` floats a row, and a row's values are outputs[base] to
// outputs[base + classes - 1].

const IS_SOFTMAX = false;

// The row's prediction: the last layer's output as it is.
fn predict(base: u32) {}

// The gradient of the row's loss at the last layer's output. The loss is a mean over the row's values, of each of which
// error_gradient is the derivative by the error.
fn loss_gradient(base: u32, row: u32) {
    for (var c = 0u; c < classes; c++) {
        outputs[base + c] = value_gradient(outputs[base + c], c, answer(row, c));
    }
}

// What loss_gradient needs of targets for one value, c, of a row.
fn answer(row: u32, c: u32) -> u32 {
    return targets[row * classes + c];
}

// The same for one value, p.
fn value_gradient(p: f32, c: u32, target_bits: u32) -> f32 {
    return 1.0 / f32(classes) * error_gradient(p - bitcast<f32>(target_bits));
}
