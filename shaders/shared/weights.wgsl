// Rows of a data set that do not weigh the same: row_weights holds a weight a row.

@group(0) @binding(13) var<storage, read> row_weights: array<f32>;

fn row_weight(row: u32) -> f32 {
    return row_weights[row];
}

// The gradient of a row's loss, outputs[base] to outputs[base + classes - 1], times the row's weight.
fn weigh(base: u32, row: u32) {
    for (var c = 0u; c < classes; c++) { outputs[base + c] *= row_weights[row]; }
}
