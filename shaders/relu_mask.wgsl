// d *= (h > 0), the derivative of ReLU applied to a gradient: 0 at exactly 0
//
// h = relu(f) and d: rows x width. One invocation changes one value.

override width: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> d: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    if h[i] <= 0.0 { d[i] = 0.0; }
}
