// A step of the front's parameters, at their shares of the learning rate: each optimizer moves a parameter in proportion to it
//
// parameters and gradients: a member's and an entry's begin with `count` values of the front: of each of `embedded` features
// WAVES frequencies, WAVES phases, VALUES x WAVES weights and VALUES biases, kind by kind; the rest are factors, which do not
// decay. One invocation changes one value.
//
// uses: own_parameters, optimizer, clipping, wave_sizes

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
    let biases = (2u + VALUES) * WAVES * embedded;
    if i >= biases + VALUES * embedded {
        // Decay is in proportion to the parameter: of 0 there is none.
        parameters[at] = value + scale_rate * step(at, 0.0, gradient, true);
        return;
    }
    let phase = i >= WAVES * embedded && i < 2u * WAVES * embedded;
    let moved = step(at, value, gradient, phase || i >= biases);
    parameters[at] = value + embedding_rate * (moved - value);
}
