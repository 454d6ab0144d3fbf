// The update of a dense layer with few outputs, for GPUs: shared/layer.wgsl says what, where `product` is 2, shared/sliced.wgsl how.
//
// A workgroup does `words` groups of four inputs and `units` outputs.
//
// uses: layer, sliced

fn four_inputs(row: u32, k: u32) -> vec4<f32> {
    return quad_of_a(row_of_a(row, inputs), k, inputs);
}

fn delta(row: u32, j: u32) -> f32 {
    return b[own_rows(outputs) + row * outputs + j];
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let corner = corner(group.x, outputs);
    let mine = mine(corner, lane, inputs, outputs);
    let value = beside(mine.input, mine.unit);
    let kept = kept_beside(mine.input, mine.unit);
    let sum = sliced_sum(corner, lane, inputs, outputs);
    if mine.has_one { finish_with(mine.input, mine.unit, sum, value, kept); }
}
