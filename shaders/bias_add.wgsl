// f[r, c] += biases[c]
//
// f: rows x width; biases: width, inside the member's parameters from biases_offset on. One invocation changes one value.
//
// uses: own_rows, own_parameters

override width: u32;
override biases_offset: u32;

@group(0) @binding(1) var<storage, read> biases: array<f32>;
@group(0) @binding(2) var<storage, read_write> f: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    f[own_rows(width) + i] += biases[own_parameters() + biases_offset + i % width];
}
