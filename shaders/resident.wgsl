// Whole steps of training a network with one narrow hidden layer, the parameters in workgroup memory all the while:
//   h = activate(x W0 + b0), d1 = the loss's gradient at h W1 + b1, d0 = that before the activation, from d1 W1^T,
//   and a step of W0 by x^T d0 / divisor, of b0 by the sum of d0's rows / divisor, of W1 and b1 by the same of h and d1
//
// data, targets, order, parameters: as in narrow_forward. An entry stands for a member's run of batches: `rows` of them,
// which are those of `steps` from `index` on, at most batch_size rows each. A workgroup does a run. Its invocations take
// a row each, or a part of a row's inputs where there are more of them than rows, whose sums are added up in the order
// of the parts; then four inputs each of W0, and the rest.
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
override vectors: u32 = (hidden + 3u) / 4u;
override parts: u32 = lanes / batch_size;
// Inputs of a part: whole vectors.
override span: u32 = (inputs + 4u * parts - 1u) / (4u * parts) * 4u;
override w0_vectors: u32 = inputs * vectors;
override rest_values: u32 = hidden + hidden * classes + classes;
override row_vectors: u32 = batch_size * vectors;
override kept_vectors: u32;
override outputs_values: u32 = batch_size * classes;

@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read> steps: array<Batch>;

const MAX_VECTORS = 4u;

// inputs x hidden, in vectors of hidden units
var<workgroup> weights: array<vec4<f32>, w0_vectors>;
// b0, W1, b1
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

// A step of the weights of one input and up to four units from j on, which lie at `at`.
fn step_all(at: u32, j: u32, values: vec4<f32>, gradients: vec4<f32>) -> vec4<f32> {
    var stepped = values;
    stepped.x = step(at, values.x, gradients.x, false);
    if j + 1u < hidden { stepped.y = step(at + 1u, values.y, gradients.y, false); }
    if j + 2u < hidden { stepped.z = step(at + 2u, values.z, gradients.z, false); }
    if j + 3u < hidden { stepped.w = step(at + 3u, values.w, gradients.w, false); }
    return stepped;
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

@compute @workgroup_size(lanes)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let own = own_parameters();
    for (var i = lane; i < w0_vectors; i += lanes) {
        let at = own + w0 + i / vectors * hidden;
        let j = 4u * (i % vectors);
        var weight: vec4<f32>;
        for (var v = 0u; v < 4u; v++) {
            if j + v < hidden { weight[v] = parameters[at + j + v]; }
        }
        weights[i] = weight;
    }
    // b0, W1 and b1 lie side by side.
    for (var i = lane; i < rest_values; i += lanes) { rest[i] = parameters[own + b0 + i]; }
    workgroupBarrier();

    let my_row = lane % batch_size;
    let part = lane / batch_size;
    let first = batches[group.z].index;
    for (var number = first; number < first + batches[group.z].rows; number++) {
        batch = steps[number];
        let rows = batch.rows;
        var sums: array<vec4<f32>, MAX_VECTORS>;
        if my_row < rows && part < parts {
            let row = data_row(my_row);
            for (var k = part * span; k < min((part + 1u) * span, inputs); k += 4u) {
                let x = quad(row, k);
                for (var i = 0u; i < 4u; i++) {
                    if k + i >= inputs { break; }
                    for (var v = 0u; v < vectors; v++) { sums[v] += x[i] * weights[(k + i) * vectors + v]; }
                }
            }
        }
        for (var turn = 0u; turn < parts; turn++) {
            if part == turn && my_row < rows {
                for (var v = 0u; v < vectors; v++) {
                    if turn > 0u { sums[v] += h[my_row * vectors + v]; }
                    if turn == parts - 1u {
                        var bias: vec4<f32>;
                        for (var i = 0u; i < 4u; i++) {
                            if 4u * v + i < hidden { bias[i] = rest[4u * v + i]; }
                        }
                        let f = sums[v] + bias;
                        if SAVES_INPUT { kept[my_row * vectors + v] = f; }
                        sums[v] = activate_all(f);
                    }
                    h[my_row * vectors + v] = sums[v];
                }
            }
            workgroupBarrier();
        }
        if lane < rows { backward(lane, data_row(lane)); }
        workgroupBarrier();

        for (var k = 4u * lane; k < inputs; k += 4u * lanes) {
            var gradients: array<vec4<f32>, 16>;
            for (var r = 0u; r < rows; r++) {
                let x = quad(data_row(r), k);
                for (var v = 0u; v < vectors; v++) {
                    let d = d0[r * vectors + v];
                    for (var i = 0u; i < 4u; i++) { gradients[4u * v + i] += x[i] * d; }
                }
            }
            for (var i = 0u; i < 4u; i++) {
                if k + i >= inputs { break; }
                for (var v = 0u; v < vectors; v++) {
                    let at = own + w0 + (k + i) * hidden + 4u * v;
                    let weight = (k + i) * vectors + v;
                    weights[weight] = step_all(at, 4u * v, weights[weight], gradients[4u * v + i] / batch.divisor);
                }
            }
        }
        // From the last invocations on: the first have most to do above.
        for (var i = lanes - 1u - lane; i < rest_values; i += lanes) {
            let bias = i < hidden || i >= hidden + hidden * classes;
            rest[i] = step(own + b0 + i, rest[i], rest_gradient(i, rows) / batch.divisor, bias);
        }
        workgroupBarrier();
    }

    for (var i = lane; i < inputs * hidden; i += lanes) {
        let j = i % hidden;
        parameters[own + w0 + i] = weights[i / hidden * vectors + j / 4u][j % 4u];
    }
    for (var i = lane; i < rest_values; i += lanes) { parameters[own + b0 + i] = rest[i]; }
}
