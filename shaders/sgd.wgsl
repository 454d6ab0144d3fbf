// parameters -= learning_rate (gradients / rows)
//
// parameters and gradients: count values each, gradients summed over the batch's rows. One invocation changes one value.

override count: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= count { return; }
    parameters[i] -= batch.learning_rate * (gradients[i] / f32(batch.rows));
}
