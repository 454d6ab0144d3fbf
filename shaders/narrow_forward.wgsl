// Forward and backward through one narrow hidden layer: shared/narrow.wgsl says what, this is how x W0 is made. For
// software drivers without subgroups.
//
// A workgroup's invocations share out the inputs, four at a time, each with all sums in registers, then add up in the
// order of the invocations.
//
// uses: narrow_rows

const MAX_ROWS = 4u;
// group_rows times the vectors of four that hold the hidden units
const MAX_VECTORS = 8u;

var<workgroup> partial: array<f32, 2048>;

fn weight(own: u32, k: u32, j: u32) -> f32 {
    if k >= inputs || j >= hidden { return 0.0; }
    return parameters[own + k * hidden + j];
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let start = (group.x + group.y * groups.x) * group_rows;
    let own = own_parameters() + w0;
    let vectors = (hidden + 3u) / 4u;
    var rows: array<u32, MAX_ROWS>;
    for (var r = 0u; r < group_rows; r++) {
        rows[r] = data_row_or_last(start + r);
    }
    var sums: array<vec4<f32>, MAX_VECTORS>;
    for (var k = 4u * lane; k < inputs; k += 4u * lanes) {
        var x: array<vec4<f32>, MAX_ROWS>;
        for (var r = 0u; r < group_rows; r++) { x[r] = quad(rows[r], k); }
        for (var v = 0u; v < vectors; v++) {
            for (var i = 0u; i < 4u; i++) {
                let j = 4u * v;
                let w = vec4<f32>(
                    weight(own, k + i, j),
                    weight(own, k + i, j + 1u),
                    weight(own, k + i, j + 2u),
                    weight(own, k + i, j + 3u),
                );
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
        finish_unit(r, start, j, sum);
    }
    finish_rows(lane, start);
}
