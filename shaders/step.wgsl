// parameters = step(parameters, gradients / rows), by the optimizer
//
// parameters and gradients: a layer's `weights` weights and then its biases, `count` values in all from `offset` on, gradients
// summed over the batch's rows. One invocation changes one value.
//
// uses: batch, optimizer

override count: u32;
override weights: u32;
override offset: u32;

@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= count { return; }
    let at = offset + i;
    parameters[at] = step(at, parameters[at], gradients[at] / f32(batch.rows), i >= weights);
}
