// p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)
//
// f and p: rows x classes, in two buffers. One invocation makes one row.

override classes: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.rows { return; }
    let start = id.x * classes;
    var largest = f[start];
    for (var c = 1u; c < classes; c++) { largest = max(largest, f[start + c]); }
    var sum = 0.0;
    for (var c = 0u; c < classes; c++) {
        let e = exponential(f[start + c] - largest);
        p[start + c] = e;
        sum += e;
    }
    for (var c = 0u; c < classes; c++) { p[start + c] /= sum; }
}
