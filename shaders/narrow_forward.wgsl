// Forward and backward through one narrow hidden layer, row by row:
//   h = relu(x W0 + b0), p = softmax(h W1 + b1), and when training d1 = p - onehot(label), d0 = (d1 W1^T) where h > 0
//
// data: n x inputs, bytes (four a word, little-endian) or floats; x: the rows order[first + r] of it; parameters:
// W0 (inputs x hidden), b0, W1 (hidden x classes), b1, row-major, where their offsets say; h, d0: rows x hidden; p:
// rows x classes, p or d1. One workgroup does `group_rows` rows: its invocations share out the inputs, four at a time,
// each with all sums in registers, then add up in the order of the invocations.

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

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> d0: array<f32>;
@group(0) @binding(7) var<storage, read_write> p: array<f32>;

const MAX_ROWS = 4u;
// group_rows times the vectors of four that hold the hidden units
const MAX_VECTORS = 8u;

var<workgroup> partial: array<f32, 2048>;
var<workgroup> units: array<f32, 128>;
var<workgroup> outputs: array<f32, 256>;

fn weight(k: u32, j: u32) -> f32 {
    if k >= inputs || j >= hidden { return 0.0; }
    return parameters[w0 + k * hidden + j];
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let start = (group.x + group.y * groups.x) * group_rows;
    let vectors = (hidden + 3u) / 4u;
    var rows: array<u32, MAX_ROWS>;
    for (var r = 0u; r < group_rows; r++) {
        // Rows beyond the batch repeat its last one, and are not written.
        rows[r] = order[batch.first + min(start + r, batch.rows - 1u)];
    }
    var sums: array<vec4<f32>, MAX_VECTORS>;
    for (var k = 4u * lane; k < inputs; k += 4u * lanes) {
        var x: array<vec4<f32>, MAX_ROWS>;
        for (var r = 0u; r < group_rows; r++) { x[r] = quad(rows[r], k); }
        for (var v = 0u; v < vectors; v++) {
            for (var i = 0u; i < 4u; i++) {
                let j = 4u * v;
                let w = vec4<f32>(weight(k + i, j), weight(k + i, j + 1u), weight(k + i, j + 2u), weight(k + i, j + 3u));
                for (var r = 0u; r < group_rows; r++) { sums[r * vectors + v] += x[r][i] * w; }
            }
        }
    }
    let count = group_rows * vectors * 4u;
    for (var r = 0u; r < group_rows; r++) {
        for (var v = 0u; v < vectors; v++) {
            let at = lane * count + (r * vectors + v) * 4u;
            let sum = sums[r * vectors + v];
            partial[at] = sum.x;
            partial[at + 1u] = sum.y;
            partial[at + 2u] = sum.z;
            partial[at + 3u] = sum.w;
        }
    }
    workgroupBarrier();
    for (var i = lane; i < group_rows * hidden; i += lanes) {
        let r = i / hidden;
        let j = i % hidden;
        var sum = 0.0;
        for (var other = 0u; other < lanes; other++) { sum += partial[other * count + r * vectors * 4u + j]; }
        sum += parameters[b0 + j];
        // Not max(): it would hide NaN.
        units[i] = select(sum, 0.0, sum < 0.0);
        if training && start + r < batch.rows { h[(start + r) * hidden + j] = units[i]; }
    }
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
        let label = labels[order[batch.first + min(row, batch.rows - 1u)]];
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
