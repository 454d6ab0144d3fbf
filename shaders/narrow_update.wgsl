// The update of all parameters of a network with one narrow hidden layer: shared/narrow_parameters.wgsl says what, this is
// how the gradient of W0 is made.
//
// A workgroup does `words` times `each` groups of four inputs: each invocation `each` of them, in `slices` slices of the
// rows whose sums are added up in the order of the slices.
//
// uses: narrow_parameters

override words: u32;
override each: u32;
override slices: u32;

// each times hidden
const MAX_VECTORS = 32u;

var<workgroup> partial: array<f32, 2048>;

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let number = group.x + group.y * groups.x;
    // Where the grid is folded there may be more than are needed: they find no inputs, and only one does the rest.
    let needed = (inputs + 4u * words * each - 1u) / (4u * words * each);
    if number >= needed {
        if number > needed { return; }
        update_rest(lane);
        return;
    }
    let word = lane % words;
    let slice = lane / words;
    let first = 4u * (number * words + word) * each;
    let own = own_rows(hidden);
    var sums: array<vec4<f32>, MAX_VECTORS>;
    for (var r = slice; r < batch.rows; r += slices) {
        let row = data_row(r);
        for (var e = 0u; e < each; e++) {
            let x = quad(row, first + 4u * e);
            for (var j = 0u; j < hidden; j++) { sums[e * hidden + j] += x * d0[own + r * hidden + j]; }
        }
    }
    if slices == 1u {
        for (var e = 0u; e < each; e++) {
            for (var j = 0u; j < hidden; j++) {
                for (var i = 0u; i < 4u; i++) {
                    let k = first + 4u * e + i;
                    if k < inputs { update(w0 + k * hidden + j, sums[e * hidden + j][i], false); }
                }
            }
        }
        return;
    }
    // each is 1 here. partial: slices x words x 4 inputs x hidden
    let count = words * 4u * hidden;
    for (var j = 0u; j < hidden; j++) {
        for (var i = 0u; i < 4u; i++) { partial[slice * count + (word * 4u + i) * hidden + j] = sums[j][i]; }
    }
    workgroupBarrier();
    for (var at = lane; at < count; at += lanes) {
        let k = 4u * number * words + at / hidden;
        if k < inputs {
            var sum = 0.0;
            for (var s = 0u; s < slices; s++) { sum += partial[s * count + at]; }
            update(w0 + k * hidden + at % hidden, sum, false);
        }
    }
}
