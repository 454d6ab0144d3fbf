// f[r, c] += biases[c]
//
// f: rows x width; biases: width, inside the parameters from biases_offset on. One invocation changes one value.
//
// uses: batch

override width: u32;
override biases_offset: u32;

@group(0) @binding(1) var<storage, read> biases: array<f32>;
@group(0) @binding(2) var<storage, read_write> f: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    f[i] += biases[biases_offset + i % width];
}
