// The update of all parameters of a network with one narrow hidden layer:
//   W0 -= lr (x^T d0 / rows), b0 -= lr (sum of d0's rows / rows), W1 -= lr (h^T d1 / rows), b1 likewise
//
// Buffers as in narrow_forward. A workgroup does `words` times `each` groups of four inputs of W0: each invocation `each`
// of them, in `slices` slices of the rows whose sums are added up in the order of the slices. The last workgroup does all
// the rest, one invocation a parameter.

override inputs: u32;
override hidden: u32;
override classes: u32;
override floats: bool;
override w0: u32;
override b0: u32;
override w1: u32;
override b1: u32;
override words: u32;
override each: u32;
override slices: u32;
override lanes: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read> d0: array<f32>;
@group(0) @binding(5) var<storage, read> d1: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: array<f32>;

// each times hidden
const MAX_VECTORS = 32u;

var<workgroup> partial: array<f32, 2048>;

fn step(at: u32, gradient: f32) {
    parameters[at] -= batch.learning_rate * (gradient / f32(batch.rows));
}

fn rest(i: u32) {
    var sum = 0.0;
    if i < hidden {
        for (var r = 0u; r < batch.rows; r++) { sum += d0[r * hidden + i]; }
        step(b0 + i, sum);
    } else if i < hidden + classes {
        let c = i - hidden;
        for (var r = 0u; r < batch.rows; r++) { sum += d1[r * classes + c]; }
        step(b1 + c, sum);
    } else {
        let at = i - hidden - classes;
        let j = at / classes;
        let c = at % classes;
        for (var r = 0u; r < batch.rows; r++) { sum += h[r * hidden + j] * d1[r * classes + c]; }
        step(w1 + at, sum);
    }
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let number = group.x + group.y * groups.x;
    // Where the grid is folded there may be more than are needed: they find no inputs, and only one does the rest.
    let needed = (inputs + 4u * words * each - 1u) / (4u * words * each);
    if number >= needed {
        if number > needed { return; }
        for (var i = lane; i < hidden + classes + hidden * classes; i += lanes) { rest(i); }
        return;
    }
    let word = lane % words;
    let slice = lane / words;
    let first = 4u * (number * words + word) * each;
    var sums: array<vec4<f32>, MAX_VECTORS>;
    for (var r = slice; r < batch.rows; r += slices) {
        let row = order[batch.first + r];
        for (var e = 0u; e < each; e++) {
            let x = quad(row, first + 4u * e);
            for (var j = 0u; j < hidden; j++) { sums[e * hidden + j] += x * d0[r * hidden + j]; }
        }
    }
    if slices == 1u {
        for (var e = 0u; e < each; e++) {
            for (var j = 0u; j < hidden; j++) {
                for (var i = 0u; i < 4u; i++) {
                    let k = first + 4u * e + i;
                    if k < inputs { step(w0 + k * hidden + j, sums[e * hidden + j][i]); }
                }
            }
        }
        return;
    }
    // each is 1 here. partial: slices x words x 4 inputs x hidden
    let count = words * 4u * hidden;
    for (var j = 0u; j < hidden; j++) {
        for (var i = 0u; i < 4u; i++) { partial[slice * count + (word * 4u + i) * hidden + j] = sums[j][i]; }
    }
    workgroupBarrier();
    for (var at = lane; at < count; at += lanes) {
        let k = 4u * number * words + at / hidden;
        if k < inputs {
            var sum = 0.0;
            for (var s = 0u; s < slices; s++) { sum += partial[s * count + at]; }
            step(w0 + k * hidden + at % hidden, sum);
        }
    }
}
