// Shared by the kernels that take rows forward and backward through one narrow hidden layer:
//   h = relu(x W0 + b0), p = softmax(h W1 + b1), and when training d1 = p - onehot(label), d0 = (d1 W1^T) where h > 0
//
// data: n x inputs, bytes (four a word, little-endian) or floats; x: the rows order[first + r] of it; parameters:
// W0 (inputs x hidden), b0, W1 (hidden x classes), b1, row-major, where their offsets say; h, d0: rows x hidden; p:
// rows x classes, p or d1. One workgroup does `group_rows` rows.

override inputs: u32;
override hidden: u32;
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
override outputs_values: u32 = group_rows * classes;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> d0: array<f32>;
@group(0) @binding(7) var<storage, read_write> p: array<f32>;

// group_rows x hidden: h
var<workgroup> units: array<f32, units_values>;
// group_rows x classes: p or d1
var<workgroup> outputs: array<f32, outputs_values>;

// A row of the data set for row `start + r` of the batch; those beyond the batch repeat its last one, and are not written.
fn data_row(row: u32) -> u32 {
    return order[batch.first + min(row, batch.rows - 1u)];
}

// h of a row, from x W0.
fn finish_unit(r: u32, start: u32, j: u32, product: f32) {
    let sum = product + parameters[b0 + j];
    // Not max(): it would hide NaN.
    let unit = select(sum, 0.0, sum < 0.0);
    units[r * hidden + j] = unit;
    if training && start + r < batch.rows { h[(start + r) * hidden + j] = unit; }
}

// All that follows h, for the rows from `start` on; every invocation takes part.
fn finish_rows(lane: u32, start: u32) {
    workgroupBarrier();
    for (var i = lane; i < group_rows * classes; i += lanes) {
        let r = i / classes;
        let c = i % classes;
        var sum = 0.0;
        for (var j = 0u; j < hidden; j++) { sum += units[r * hidden + j] * parameters[w1 + j * classes + c]; }
        outputs[i] = sum + parameters[b1 + c];
    }
    workgroupBarrier();
    for (var r = lane; r < group_rows; r += lanes) {
        let base = r * classes;
        var largest = outputs[base];
        for (var c = 1u; c < classes; c++) { largest = max(largest, outputs[base + c]); }
        var sum = 0.0;
        for (var c = 0u; c < classes; c++) {
            let e = exponential(outputs[base + c] - largest);
            outputs[base + c] = e;
            sum += e;
        }
        let row = start + r;
        let label = labels[data_row(row)];
        for (var c = 0u; c < classes; c++) {
            var probability = outputs[base + c] / sum;
            if training && c == label { probability -= 1.0; }
            outputs[base + c] = probability;
            if row < batch.rows { p[row * classes + c] = probability; }
        }
    }
    if !training { return; }
    workgroupBarrier();
    for (var i = lane; i < group_rows * hidden; i += lanes) {
        let r = i / hidden;
        let j = i % hidden;
        if start + r >= batch.rows { continue; }
        var sum = 0.0;
        for (var c = 0u; c < classes; c++) { sum += outputs[r * classes + c] * parameters[w1 + j * classes + c]; }
        d0[(start + r) * hidden + j] = select(sum, 0.0, units[i] <= 0.0);
    }
}
