// What the members of a pack do in a dispatch: which rows each works on, and the numbers of its step. The dispatch does the
// same for every member that has an entry in `batches`; along z of its grid lie the entries.

struct Batch {
    // Place of its first row in the order
    first: u32,
    rows: u32,
    // Where its loss goes, or in training how many rows the member's next one has: those that follow its own
    index: u32,
    // Whose parameters they are
    member: u32,
    learning_rate: f32,
    // The optimizer's, as PyTorch names them; of biases the decay may be another
    momentum: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    bias_decay: f32,
    // learning_rate / (1 - beta1^t) and sqrt(1 - beta2^t) in step t, from 1
    step_size: f32,
    correction: f32,
    // Of seed and step
    step_key: u32,
    // What summed gradients are divided by: the weights of the rows together
    divisor: f32,
    // The share of a label that is spread over all classes
    smoothing: f32,
}

@group(0) @binding(0) var<uniform> batches: array<Batch, 256>;

// The entry at hand, and its number. A barrier must not depend on this copy, which compilers do not know to be the same in a
// whole workgroup: batches[z] is.
var<private> batch: Batch;
var<private> entry: u32;

// Takes entry z: the first thing that every kernel does.
fn begin(z: u32) {
    batch = batches[z];
    entry = z;
}
