// sums[c] = sum_r d[r, c]: the bias gradient
//
// d: rows x width; sums: width, inside the entry's gradients from sums_offset on. One invocation sums one column, in order.
//
// uses: own_rows, own_parameters

override width: u32;
override sums_offset: u32;

@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    if id.x >= width { return; }
    let own = own_rows(width) + id.x;
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) { sum += d[own + row * width]; }
    sums[own_gradients() + sums_offset + id.x] = sum;
}
