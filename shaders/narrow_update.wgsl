// The update of all parameters of a network with one narrow hidden layer: shared/narrow_parameters.wgsl says what, this is
// how the gradient of W0 is made. For software drivers without subgroups.
//
// Each of a workgroup's 8 invocations has `each` groups of four inputs.
//
// uses: narrow_parameters

override each: u32;
override lanes: u32;

// each times hidden
const MAX_VECTORS = 32u;

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let number = group.x + group.y * groups.x;
    // Where the grid is folded there may be more than are needed: they find no inputs, and only one does the rest.
    let needed = (inputs + 4u * lanes * each - 1u) / (4u * lanes * each);
    if number >= needed {
        if number > needed { return; }
        update_rest(lane);
        return;
    }
    let first = 4u * (number * lanes + lane) * each;
    let own = own_rows(hidden);
    var sums: array<vec4<f32>, MAX_VECTORS>;
    for (var r = 0u; r < batch.rows; r++) {
        let row = data_row(r);
        for (var e = 0u; e < each; e++) {
            let x = quad(row, first + 4u * e);
            for (var j = 0u; j < hidden; j++) { sums[e * hidden + j] += x * d0[own + r * hidden + j]; }
        }
    }
    for (var e = 0u; e < each; e++) {
        for (var j = 0u; j < hidden; j++) {
            for (var i = 0u; i < 4u; i++) {
                let k = first + 4u * e + i;
                if k < inputs { update(w0 + k * hidden + j, sums[e * hidden + j][i], false); }
            }
        }
    }
}
