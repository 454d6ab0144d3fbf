// x[r, c] = data[order[first + r], c] / 255
//
// data: n x width bytes, four a word, little-endian; order: row numbers; x: rows x width.
// One invocation makes one value.

override width: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    let at = order[batch.first + i / width] * width + i % width;
    let byte = (data[at / 4u] >> (8u * (at % 4u))) & 0xffu;
    x[i] = f32(byte) / 255.0;
}
