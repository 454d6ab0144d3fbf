// Of a head that predicts numbers: targets holds `classes` floats a row, and a row's values are outputs[base] to
// outputs[base + classes - 1].

// The row's prediction: the last layer's output as it is.
fn predict(base: u32) {}

// The gradient of the row's loss at the last layer's output. The loss is a mean over the row's values, of each of which
// error_gradient is the derivative by the error.
fn loss_gradient(base: u32, row: u32) {
    let share = 1.0 / f32(classes);
    for (var c = 0u; c < classes; c++) {
        let error = outputs[base + c] - bitcast<f32>(targets[row * classes + c]);
        outputs[base + c] = share * error_gradient(error);
    }
}
