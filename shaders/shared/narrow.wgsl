// Shared by the kernels that take rows forward and backward through one narrow hidden layer:
//   h = activate(x W0 + b0), p = the head's prediction from h W1 + b1, and when training d1 = the loss's gradient there,
//   d0 = that before the activation, from d1 W1^T
//
// data: n x inputs, bytes (four a word, little-endian) or floats; x: the batch's rows of it; parameters: W0 (inputs x
// hidden), b0, W1 (hidden x classes), b1, row-major, where their offsets say of the member's; h, d0: rows x hidden; p: rows x
// classes, p or d1. One workgroup does `group_rows` rows.
//
// uses: order, own_rows, own_parameters, rows, activation, dropout, head, weights

override inputs: u32;
override hidden: u32;
// Classes, or values of a row
override classes: u32;
override floats: bool;
override training: bool;
override w0: u32;
override b0: u32;
override w1: u32;
override b1: u32;
override group_rows: u32;
override lanes: u32;
override units_values: u32 = group_rows * hidden;
override kept_values: u32;
override outputs_values: u32 = group_rows * classes;

@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> d0: array<f32>;
@group(0) @binding(7) var<storage, read_write> p: array<f32>;

// group_rows x hidden: h
var<workgroup> units: array<f32, units_values>;
// What h was made from, where the activation's slope needs it
var<workgroup> kept: array<f32, kept_values>;
// group_rows x classes: p or d1
var<workgroup> outputs: array<f32, outputs_values>;

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
