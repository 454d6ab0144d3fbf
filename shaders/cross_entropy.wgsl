// losses[r] = -ln(p[r, label] + 1e-16), and confusion[label, argmax p[r]] += 1
//
// p: rows x classes; labels: of the whole data set; order: row numbers; losses: rows; confusion: classes x classes,
// whose diagonal counts the hits (integers: the order of the additions changes nothing). Of equal probabilities the
// first wins. One invocation does one row.

override classes: u32;
override epsilon: f32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> confusion: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.rows { return; }
    let start = id.x * classes;
    let label = labels[order[batch.first + id.x]];
    let likelihood = p[start + label];
    // log() of NaN need not be NaN on every driver.
    if (bitcast<u32>(likelihood) & 0x7fffffffu) > 0x7f800000u {
        losses[id.x] = likelihood;
    } else {
        losses[id.x] = -log(likelihood + epsilon);
    }
    var predicted = 0u;
    for (var c = 1u; c < classes; c++) {
        if p[start + c] > p[start + predicted] { predicted = c; }
    }
    atomicAdd(&confusion[label * classes + predicted], 1u);
}
