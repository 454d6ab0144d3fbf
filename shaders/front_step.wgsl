// A step of the front's parameters, at their shares of the learning rate: each optimizer moves a parameter in proportion to it
//
// parameters and gradients: of a member and an entry begin with `count` values of the front, of which 16 a feature are frequencies and 16 phases, 48 weights
// and 3 biases of `embedded` features; the rest are factors, which do not decay. One invocation changes one value.
//
// uses: own_parameters, optimizer, clipping

override count: u32;
override embedded: u32;
override embedding_rate: f32;
override scale_rate: f32;

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
    let at = own_parameters() + i;
    let gradient = clipped(gradients[own_gradients() + i] / batch.divisor);
    let value = parameters[at];
    if i >= 83u * embedded {
        // Decay is in proportion to the parameter: of 0 there is none.
        parameters[at] = value + scale_rate * step(at, 0.0, gradient, true);
        return;
    }
    let phase = i >= 16u * embedded && i < 32u * embedded;
    let moved = step(at, value, gradient, phase || i >= 80u * embedded);
    parameters[at] = value + embedding_rate * (moved - value);
}
