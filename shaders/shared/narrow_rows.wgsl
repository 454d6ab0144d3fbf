// uses: narrow
//
// What follows x W0 in the narrow layer's kernels for software drivers, where an invocation takes whole rows through the head.

@group(0) @binding(4) var<storage, read> parameters: array<f32>;

// h of row `start + r` of the batch, from x W0; rows beyond the batch are not written.
fn finish_unit(r: u32, start: u32, j: u32, product: f32) {
    let sum = product + parameters[own_parameters() + b0 + j];
    let unit = dropped(activate(sum), start + r, j);
    if SAVES_INPUT { kept[r * hidden + j] = sum; }
    units[r * hidden + j] = unit;
    if training && start + r < batch.rows { h[own_rows(hidden) + (start + r) * hidden + j] = unit; }
}

// All that follows h, for the rows from `start` on; every invocation takes part.
fn finish_rows(lane: u32, start: u32) {
    let own = own_parameters();
    workgroupBarrier();
    for (var i = lane; i < group_rows * classes; i += lanes) {
        let r = i / classes;
        let c = i % classes;
        var sum = 0.0;
        for (var j = 0u; j < hidden; j++) { sum += units[r * hidden + j] * parameters[own + w1 + j * classes + c]; }
        outputs[i] = sum + parameters[own + b1 + c];
    }
    workgroupBarrier();
    for (var r = lane; r < group_rows; r += lanes) {
        let base = r * classes;
        let row = start + r;
        predict(base);
        if training {
            let source = data_row_or_last(row);
            loss_gradient(base, source);
            weigh(base, source);
        }
        if row >= batch.rows { continue; }
        for (var c = 0u; c < classes; c++) { p[own_rows(classes) + row * classes + c] = outputs[base + c]; }
    }
    if !training { return; }
    workgroupBarrier();
    for (var i = lane; i < group_rows * hidden; i += lanes) {
        let r = i / hidden;
        let j = i % hidden;
        if start + r >= batch.rows { continue; }
        var sum = 0.0;
        for (var c = 0u; c < classes; c++) { sum += outputs[r * classes + c] * parameters[own + w1 + j * classes + c]; }
        var saved_value = undropped(units[i]);
        if SAVES_INPUT { saved_value = kept[i]; }
        d0[own_rows(hidden) + (start + r) * hidden + j] = activate_backward(dropped(sum, start + r, j), saved_value);
    }
}
