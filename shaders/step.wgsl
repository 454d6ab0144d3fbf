// parameters = step(parameters, gradients / divisor), by the optimizer, the gradients clipped where they are to be
//
// parameters and gradients: of a member and an entry a layer's `weights` weights and then its biases, `count` values in all
// from `offset` on, gradients summed over the batch's rows. One invocation changes one value.
//
// uses: own_parameters, optimizer, clipping

override count: u32;
override weights: u32;
override offset: u32;

@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    if i >= count { return; }
    let at = own_parameters() + offset + i;
    let gradient = gradients[own_gradients() + offset + i] / batch.divisor;
    parameters[at] = step(at, parameters[at], clipped(gradient), i >= weights);
}
