// Shared by the kernels that do whole steps of training a network with one narrow hidden layer:
//   h = activate(x W0 + b0), d1 = the loss's gradient at h W1 + b1, d0 = that before the activation, from d1 W1^T,
//   and a step of W0 by x^T d0 / divisor, of b0 by the sum of d0's rows / divisor, of W1 and b1 by the same of h and d1
//
// data, targets, order, parameters: as in shared/narrow.wgsl. An entry stands for a member's run of batches: `rows` of them,
// which are those of `steps` from `index` on, at most batch_size rows each. A workgroup does a run.
//
// uses: order, own_parameters, rows, activation, head, optimizer

override inputs: u32;
override hidden: u32;
// Classes, or values of a row
override classes: u32;
override floats: bool;
override w0: u32;
override b0: u32;
override batch_size: u32;
override lanes: u32;
// What divides the inputs: sums of x W0 are made part by part, and added up in the order of the parts.
override parts: u32;
// Inputs of a part: whole vectors.
override span: u32 = (inputs + 4u * parts - 1u) / (4u * parts) * 4u;
override vectors: u32 = (hidden + 3u) / 4u;
override rest_values: u32 = hidden + hidden * classes + classes;
override row_vectors: u32 = batch_size * vectors;
override kept_vectors: u32;
override outputs_values: u32 = batch_size * classes;

@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read> steps: array<Batch>;

// b0, W1, b1, which lie side by side
var<workgroup> rest: array<f32, rest_values>;
// batch_size x hidden, in vectors
var<workgroup> h: array<vec4<f32>, row_vectors>;
var<workgroup> d0: array<vec4<f32>, row_vectors>;
// What h was made from, where the activation's slope needs it
var<workgroup> kept: array<vec4<f32>, kept_vectors>;
// batch_size x classes
var<workgroup> outputs: array<f32, outputs_values>;

fn unit(row: u32, j: u32) -> f32 {
    return h[row * vectors + j / 4u][j % 4u];
}

fn delta(row: u32, j: u32) -> f32 {
    return d0[row * vectors + j / 4u][j % 4u];
}

fn activate_all(f: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(activate(f.x), activate(f.y), activate(f.z), activate(f.w));
}

fn activate_all_backward(d: vec4<f32>, h: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(
        activate_backward(d.x, h.x),
        activate_backward(d.y, h.y),
        activate_backward(d.z, h.z),
        activate_backward(d.w, h.w),
    );
}

// What units 4 v to 4 v + 3 of a row give, from x W0.
fn units(row: u32, v: u32, product: vec4<f32>) -> vec4<f32> {
    var bias: vec4<f32>;
    for (var i = 0u; i < 4u; i++) {
        if 4u * v + i < hidden { bias[i] = rest[4u * v + i]; }
    }
    let f = product + bias;
    if SAVES_INPUT { kept[row * vectors + v] = f; }
    return activate_all(f);
}

// d1 and d0 of a row, from its h; `source` is its number in the data set.
fn backward(row: u32, source: u32) {
    let base = row * classes;
    for (var c = 0u; c < classes; c++) {
        var sum = 0.0;
        for (var j = 0u; j < hidden; j++) { sum += unit(row, j) * rest[hidden + j * classes + c]; }
        outputs[base + c] = sum + rest[hidden + hidden * classes + c];
    }
    predict(base);
    loss_gradient(base, source);
    for (var v = 0u; v < vectors; v++) {
        var gradient: vec4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let j = 4u * v + i;
            if j >= hidden { break; }
            for (var c = 0u; c < classes; c++) { gradient[i] += outputs[base + c] * rest[hidden + j * classes + c]; }
        }
        var saved_values = h[row * vectors + v];
        if SAVES_INPUT { saved_values = kept[row * vectors + v]; }
        d0[row * vectors + v] = activate_all_backward(gradient, saved_values);
    }
}

// The gradient of value i of b0, W1, b1.
fn rest_gradient(i: u32, rows: u32) -> f32 {
    var sum = 0.0;
    if i < hidden {
        for (var r = 0u; r < rows; r++) { sum += delta(r, i); }
    } else if i < hidden + hidden * classes {
        let j = (i - hidden) / classes;
        let c = (i - hidden) % classes;
        for (var r = 0u; r < rows; r++) { sum += unit(r, j) * outputs[r * classes + c]; }
    } else {
        let c = i - hidden - hidden * classes;
        for (var r = 0u; r < rows; r++) { sum += outputs[r * classes + c]; }
    }
    return sum;
}

// A step of b0, W1 and b1, by all invocations of a workgroup.
fn step_rest(lane: u32, rows: u32) {
    let own = own_parameters() + b0;
    // From the last invocations on: the first may have most to do beside.
    for (var i = lanes - 1u - lane; i < rest_values; i += lanes) {
        let bias = i < hidden || i >= hidden + hidden * classes;
        rest[i] = step(own + i, rest[i], rest_gradient(i, rows) / batch.divisor, bias);
    }
}

fn load_rest(lane: u32) {
    let own = own_parameters() + b0;
    for (var i = lane; i < rest_values; i += lanes) { rest[i] = parameters[own + i]; }
}

fn store_rest(lane: u32) {
    let own = own_parameters() + b0;
    for (var i = lane; i < rest_values; i += lanes) { parameters[own + i] = rest[i]; }
}
