// Whole steps of training a network with one narrow hidden layer: shared/resident.wgsl says what, this is how. The
// parameters lie in workgroup memory all the while.
//
// A workgroup's invocations take a row each, or a part of a row's inputs where there are more of them than rows; then four
// inputs each of W0, and the rest.
//
// uses: resident

override w0_vectors: u32 = inputs * vectors;

const MAX_VECTORS = 4u;

// inputs x hidden, in vectors of hidden units
var<workgroup> weights: array<vec4<f32>, w0_vectors>;

// A step of the weights of one input and up to four units from j on, which lie at `at`.
fn step_all(at: u32, j: u32, values: vec4<f32>, gradients: vec4<f32>) -> vec4<f32> {
    var stepped = values;
    stepped.x = step(at, values.x, gradients.x, false);
    if j + 1u < hidden { stepped.y = step(at + 1u, values.y, gradients.y, false); }
    if j + 2u < hidden { stepped.z = step(at + 2u, values.z, gradients.z, false); }
    if j + 3u < hidden { stepped.w = step(at + 3u, values.w, gradients.w, false); }
    return stepped;
}

@compute @workgroup_size(lanes)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let own = own_parameters() + w0;
    for (var i = lane; i < w0_vectors; i += lanes) {
        let at = own + i / vectors * hidden;
        let j = 4u * (i % vectors);
        var weight: vec4<f32>;
        for (var v = 0u; v < 4u; v++) {
            if j + v < hidden { weight[v] = parameters[at + j + v]; }
        }
        weights[i] = weight;
    }
    load_rest(lane);
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
                    if turn == parts - 1u { sums[v] = units(my_row, v, sums[v]); }
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
                    let at = own + (k + i) * hidden + 4u * v;
                    let weight = (k + i) * vectors + v;
                    weights[weight] = step_all(at, 4u * v, weights[weight], gradients[4u * v + i] / batch.divisor);
                }
            }
        }
        step_rest(lane, rows);
        workgroupBarrier();
    }

    for (var i = lane; i < inputs * hidden; i += lanes) {
        let j = i % hidden;
        parameters[own + i] = weights[i / hidden * vectors + j / 4u][j % 4u];
    }
    store_rest(lane);
}
