// sums[i] = sum_r dx[r, i] e[r, i], the gradient of the factors, then dx[r, i] *= factors[i]
//
// dx and e: rows x width; factors and sums: width, inside the member's parameters and the entry's gradients from factors_offset
// on. One invocation does one column, its sum in order.
//
// uses: own_rows, own_parameters

override width: u32;
override factors_offset: u32;

@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> e: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    if id.x >= width { return; }
    let factor = factors[own_parameters() + factors_offset + id.x];
    let own = own_rows(width) + id.x;
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) {
        let at = own + row * width;
        sum += dx[at] * e[at];
        dx[at] *= factor;
    }
    sums[own_gradients() + factors_offset + id.x] = sum;
}
