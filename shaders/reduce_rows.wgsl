// sums[c] = sum_r d[r, c]: the bias gradient
//
// d: rows x width; sums: width, inside the gradients from sums_offset on. One invocation sums one column, in order.
//
// uses: batch

override width: u32;
override sums_offset: u32;

@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= width { return; }
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) { sum += d[row * width + id.x]; }
    sums[sums_offset + id.x] = sum;
}
