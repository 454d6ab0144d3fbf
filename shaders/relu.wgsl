// h = max(f, 0), in place; NaN stays NaN
//
// f: rows x width. One invocation changes one value.

override width: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read_write> f: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    // By bits: drivers may treat comparisons and max() as if there were no NaN.
    let bits = bitcast<u32>(f[i]);
    if bits > 0x80000000u && bits <= 0xff800000u { f[i] = 0.0; }
}
