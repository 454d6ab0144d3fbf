// uses: last_layer, head_by_value
//
// The last layer in training, for GPUs, where waiting for memory is what costs: most loads begin before the first is waited for.
//
// A workgroup does one row. Its invocations share out the inputs, each `each` of them, and keep their rows of W in registers for
// both directions. Sums are added up in two turns: first `parts` of each, then those. From there on an invocation has a class or
// value. Who uses this defines input_of(row, source_row, k), input k of a row of the batch, which is `source_row` of the data
// set, and what the slope there is computed from; and keep_input(row, k, value), which follows all loads.

override each: u32;
override parts: u32;
override outputs_values: u32 = classes;
// Neighbours read from different banks.
override pitch: u32 = lanes + parts;
override partial_values: u32 = classes * pitch;
override turn_values: u32 = classes * (parts + 1u);

const MAX_EACH = 8u;
const MAX_WEIGHTS = 48u;

// classes x pitch
var<workgroup> partial: array<f32, partial_values>;
// classes x (parts + 1)
var<workgroup> turn_sums: array<f32, turn_values>;
// d
var<workgroup> outputs: array<f32, outputs_values>;

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let row = group.x + group.y * groups.x;
    // Beyond the batch's end its last row, and nothing is written.
    let own = own_parameters() + offset;
    let is_row = row < batch.rows;
    let known = min(row, batch.rows - 1u);
    let source_row = data_row(known);
    let has_value = lane < classes;
    var wanted = 0u;
    var importance = 1.0;
    var f = 0.0;
    if has_value {
        wanted = answer(source_row, lane);
        importance = row_weight(source_row);
        f = b[own + inputs * classes + lane];
    }
    let made = own_rows(inputs) + known * inputs;
    var x: array<f32, MAX_EACH>;
    var saved_values: array<f32, MAX_EACH>;
    var w: array<f32, MAX_WEIGHTS>;
    for (var e = 0u; e < each; e++) {
        let k = min(lane + e * lanes, inputs - 1u);
        for (var i = 0u; i < classes; i++) { w[e * classes + i] = b[own + k * classes + i]; }
        let loaded = input_of(known, source_row, k);
        x[e] = loaded.x;
        saved_values[e] = loaded.y;
    }
    // Of the last input only the invocation counts whose it is.
    for (var e = 0u; e < each; e++) { x[e] = select(0.0, x[e], lane + e * lanes < inputs); }
    for (var e = 0u; e < each; e++) {
        if is_row && lane + e * lanes < inputs { keep_input(row, lane + e * lanes, x[e]); }
    }
    for (var i = 0u; i < classes; i++) {
        var sum = 0.0;
        for (var e = 0u; e < each; e++) { sum += x[e] * w[e * classes + i]; }
        partial[i * pitch + lane] = sum;
    }
    workgroupBarrier();
    if lane < classes * parts {
        let i = lane / parts;
        let part = lane % parts;
        var sum = 0.0;
        for (var at = part; at < lanes; at += parts) { sum += partial[i * pitch + at]; }
        turn_sums[i * (parts + 1u) + part] = sum;
    }
    workgroupBarrier();
    if has_value {
        for (var part = 0u; part < parts; part++) { f += turn_sums[lane * (parts + 1u) + part]; }
    }
    let prediction = predict_value(has_value, 0u, lane, f);
    if has_value {
        let d = importance * value_gradient(prediction, lane, wanted);
        outputs[lane] = d;
        if is_row { p[own_rows(classes) + row * classes + lane] = d; }
    }
    if !backward { return; }
    workgroupBarrier();
    for (var e = 0u; e < each; e++) {
        let k = lane + e * lanes;
        var sum = 0.0;
        for (var i = 0u; i < classes; i++) { sum += outputs[i] * w[e * classes + i]; }
        if is_row && k < inputs {
            let saved_value = select(undropped(saved_values[e]), saved_values[e], SAVES_INPUT);
            c[made + k] = activate_backward(dropped(sum, row, k), saved_value);
        }
    }
}
