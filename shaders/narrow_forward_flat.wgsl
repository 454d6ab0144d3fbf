// Forward and backward through one narrow hidden layer: shared/narrow.wgsl says what, this is how. For GPUs, where waiting
// for memory is what costs: most loads begin before the first is waited for, and neighbours load what lies side by side.
//
// A workgroup's invocations read W0 as it lies, a vector of four weights each a round. A round is `span` whole rows of W0, so
// the units that an invocation's four sums belong to stay the same. x, `rounds` rounds of it at a time, and the parameters
// behind W0 lie in workgroup memory. The sums are added up in two turns: first `parts` of each, then those. From there on an
// invocation has a unit or a value of a row.
//
// uses: narrow, head_by_value

override rounds: u32;
override parts: u32;
override span: u32 = 4u * lanes / hidden;
// Inputs whose x is there at a time, whole vectors.
override panel: u32 = rounds * span;
// What x and then the parts of sums need.
override x_values: u32;
override partial_values: u32 = 4u * lanes * group_rows;
override rest_values: u32 = hidden + hidden * classes + classes;
override rest_turns: u32 = (rest_values + lanes - 1u) / lanes;
// Vectors of x for all, and turns of all invocations to load them.
override x_vectors: u32 = group_rows * panel / 4u;
override x_turns: u32 = (x_vectors + lanes - 1u) / lanes;
// Units for all: there are at most as many as invocations, also of their parts.
override unit_values: u32 = group_rows * hidden;

@group(0) @binding(4) var<storage, read> parameters: array<vec4<f32>>;

const MAX_ROWS = 4u;
const MAX_ROUNDS = 8u;
const MAX_REST_TURNS = 17u;

// group_rows x panel, then group_rows x parts x hidden
var<workgroup> x: array<f32, x_values>;
// group_rows x 4 lanes
var<workgroup> partial: array<f32, partial_values>;
// b0, W1, b1, which lie side by side
var<workgroup> rest: array<f32, rest_values>;

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let start = (group.x + group.y * groups.x) * group_rows;
    let own = own_parameters();
    // The invocation's value of the last layer, and what its gradient needs of the data set.
    let has_value = lane < group_rows * classes;
    let value_row = min(lane / classes, group_rows - 1u);
    let c = lane % classes;
    let base = value_row * classes;
    var wanted = 0u;
    var importance = 1.0;
    if training && has_value {
        let source = data_row_or_last(start + value_row);
        wanted = answer(source, c);
        importance = row_weight(source);
    }
    var others: array<f32, MAX_REST_TURNS>;
    for (var turn = 0u; turn < rest_turns; turn++) {
        let at = own + b0 + min(turn * lanes + lane, rest_values - 1u);
        others[turn] = parameters[at / 4u][at % 4u];
    }

    // Of the rows of W0 in a round, those of the invocation's four weights.
    let rows = (vec4<u32>(4u * lane) + vec4<u32>(0u, 1u, 2u, 3u)) / hidden;
    var sums: array<vec4<f32>, MAX_ROWS>;
    for (var first = 0u; first < inputs; first += panel) {
        var w: array<vec4<f32>, MAX_ROUNDS>;
        for (var round = 0u; round < rounds; round++) {
            // Behind W0 x is 0.
            let at = (w0 + first * hidden) / 4u + round * lanes + lane;
            w[round] = parameters[own / 4u + min(at, stride / 4u - 1u)];
        }
        if first > 0u { workgroupBarrier(); }
        for (var turn = 0u; turn < x_turns; turn++) {
            let i = turn * lanes + lane;
            if i >= x_vectors { break; }
            let r = i / (panel / 4u);
            let loaded = quad(data_row_or_last(start + r), first + 4u * (i % (panel / 4u)));
            for (var v = 0u; v < 4u; v++) { x[4u * i + v] = loaded[v]; }
        }
        workgroupBarrier();
        for (var round = 0u; round < rounds; round++) {
            for (var r = 0u; r < group_rows; r++) {
                let at = vec4<u32>(r * panel + round * span) + rows;
                sums[r] += w[round] * vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
            }
        }
    }
    for (var turn = 0u; turn < rest_turns; turn++) {
        let i = turn * lanes + lane;
        if i < rest_values { rest[i] = others[turn]; }
    }
    for (var r = 0u; r < group_rows; r++) {
        for (var v = 0u; v < 4u; v++) { partial[4u * (r * lanes + lane) + v] = sums[r][v]; }
    }
    workgroupBarrier();
    let width = parts * hidden;
    if lane < group_rows * width {
        let at = lane / width * (4u * lanes) + lane % width;
        var sum = 0.0;
        for (var turn = 0u; turn < span / parts; turn++) { sum += partial[at + turn * width]; }
        x[lane] = sum;
    }
    workgroupBarrier();
    // The invocation's unit.
    let has_unit = lane < unit_values;
    let unit_row = lane / hidden;
    let j = lane % hidden;
    let is_kept = has_unit && start + unit_row < batch.rows;
    let unit_at = own_rows(hidden) + start * hidden + lane;
    var saved_value = 0.0;
    if has_unit {
        var sum = rest[j];
        for (var part = 0u; part < parts; part++) { sum += x[unit_row * width + part * hidden + j]; }
        let unit = dropped(activate(sum), start + unit_row, j);
        saved_value = select(undropped(unit), sum, SAVES_INPUT);
        units[lane] = unit;
        if training && is_kept { h[unit_at] = unit; }
    }
    workgroupBarrier();

    var f = 0.0;
    if has_value {
        f = rest[hidden + hidden * classes + c];
        for (var i = 0u; i < hidden; i++) { f += units[value_row * hidden + i] * rest[hidden + i * classes + c]; }
    }
    var result = predict_value(has_value, base, lane, f);
    if training { result = importance * value_gradient(result, c, wanted); }
    if has_value {
        if training { outputs[lane] = result; }
        if start + value_row < batch.rows { p[own_rows(classes) + start * classes + lane] = result; }
    }
    if !training { return; }
    workgroupBarrier();
    if !is_kept { return; }
    var sum = 0.0;
    for (var v = 0u; v < classes; v++) { sum += outputs[unit_row * classes + v] * rest[hidden + j * classes + v]; }
    d0[unit_at] = activate_backward(dropped(sum, start + unit_row, j), saved_value);
}
