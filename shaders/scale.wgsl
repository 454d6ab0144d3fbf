// x[r, i] = factors[i] e[r, i]
//
// x and e: rows x width; factors: width, inside the member's parameters from factors_offset on. One invocation makes one value.
//
// uses: own_rows, own_parameters

override width: u32;
override factors_offset: u32;

@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> e: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    let at = own_rows(width) + i;
    x[at] = e[at] * factors[own_parameters() + factors_offset + i % width];
}
