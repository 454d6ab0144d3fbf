// A step of the front's parameters, at their shares of the learning rate
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
    let biases = (2u + VALUES) * WAVES * embedded;
    let is_factor = i >= biases + VALUES * embedded;
    let rate = select(embedding_rate, scale_rate, is_factor);
    batch.learning_rate *= rate;
    batch.step_size *= rate;
    if is_factor {
        batch.weight_decay = 0.0;
        batch.bias_decay = 0.0;
    }
    let phase = i >= WAVES * embedded && i < 2u * WAVES * embedded;
    parameters[at] = step(at, parameters[at], gradient, phase || i >= biases);
}
