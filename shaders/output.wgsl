// The last layer, row by row: shared/last_layer.wgsl says what, this is how. In an evaluation of classes c = each row's loss,
// and a count in the confusion matrix.
//
// One workgroup does `group_rows` rows: its invocations share out the inputs, for 16 classes or values at a time, then add up in
// the order of the invocations.
//
// uses: last_layer, last_input, tally

override training: bool;
override group_rows: u32;

const MAX_ROWS = 4u;

// lanes x 4 vectors
var<workgroup> partial: array<vec4<f32>, 256>;
// group_rows x classes
var<workgroup> outputs: array<f32, 2048>;

fn weight(own: u32, k: u32, category: u32) -> f32 {
    if k >= inputs || category >= classes { return 0.0; }
    return b[own + k * classes + category];
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let own = own_parameters() + offset;
    let start = (group.x + group.y * groups.x) * group_rows;
    // Where the rows start; those beyond the batch repeat its last one, and are not written.
    var rows: array<u32, MAX_ROWS>;
    for (var r = 0u; r < group_rows; r++) {
        rows[r] = own_rows(inputs) + min(start + r, batch.rows - 1u) * inputs;
        if source != ACTIVATIONS { rows[r] = data_row_or_last(start + r) * inputs; }
    }
    let vectors = min((classes + 3u) / 4u, 4u);
    for (var first = 0u; first < classes; first += 16u) {
        var sums: array<vec4<f32>, 16>;
        for (var k = lane; k < inputs; k += lanes) {
            var x: array<f32, MAX_ROWS>;
            for (var r = 0u; r < group_rows; r++) { x[r] = value(rows[r], k); }
            for (var v = 0u; v < vectors; v++) {
                let i = first + 4u * v;
                let w = vec4<f32>(
                    weight(own, k, i),
                    weight(own, k, i + 1u),
                    weight(own, k, i + 2u),
                    weight(own, k, i + 3u),
                );
                for (var r = 0u; r < group_rows; r++) { sums[4u * r + v] += x[r] * w; }
            }
        }
        for (var r = 0u; r < group_rows; r++) {
            // The row's sums come first: an index that varies would put all of them into memory.
            for (var v = 0u; v < vectors; v++) { partial[4u * lane + v] = sums[v]; }
            if group_rows > 1u { for (var i = 0u; i < 12u; i++) { sums[i] = sums[i + 4u]; } }
            workgroupBarrier();
            for (var i = lane; i < 16u; i += lanes) {
                if first + i >= classes { break; }
                var sum = 0.0;
                for (var other = 0u; other < lanes; other++) { sum += partial[4u * other + i / 4u][i % 4u]; }
                outputs[r * classes + first + i] = sum + b[own + inputs * classes + first + i];
            }
            workgroupBarrier();
        }
    }
    for (var r = lane; r < group_rows; r += lanes) {
        let base = r * classes;
        predict(base);
        let row = start + r;
        if row >= batch.rows { continue; }
        let source_row = data_row(row);
        if training {
            loss_gradient(base, source_row);
            weigh(base, source_row);
        }
        if TALLIES { c[own_rows(1u) + row] = tally(base, source_row); }
        let at = own_rows(classes) + row * classes;
        for (var category = 0u; category < classes; category++) { p[at + category] = outputs[base + category]; }
    }
    if !backward { return; }
    workgroupBarrier();
    for (var k = 4u * lane; k < inputs; k += 4u * lanes) {
        var sums: array<vec4<f32>, MAX_ROWS>;
        for (var i = 0u; i < classes; i++) {
            let w = vec4<f32>(
                weight(own, k, i),
                weight(own, k + 1u, i),
                weight(own, k + 2u, i),
                weight(own, k + 3u, i),
            );
            for (var r = 0u; r < group_rows; r++) { sums[r] += outputs[r * classes + i] * w; }
        }
        for (var r = 0u; r < group_rows; r++) {
            let row = start + r;
            if row >= batch.rows { break; }
            for (var i = 0u; i < 4u; i++) {
                if k + i >= inputs { break; }
                let at = own_rows(inputs) + row * inputs + k + i;
                let saved_value = select(undropped(h[at]), h[at], SAVES_INPUT);
                c[at] = activate_backward(dropped(sums[r][i], row, k + i), saved_value);
            }
        }
    }
}
