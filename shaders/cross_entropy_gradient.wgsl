// df = p - onehot(label): the gradient of the summed loss at the last layer's output, through the softmax
//
// p: rows x classes, in place; labels: of the whole data set; order: row numbers. One invocation does one row.

override classes: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> p: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.rows { return; }
    p[id.x * classes + labels[order[batch.first + id.x]]] -= 1.0;
}
