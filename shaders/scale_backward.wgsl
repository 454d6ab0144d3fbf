// sums[i] = sum_r dx[r, i] e[r, i], the gradient of the factors, then dx[r, i] *= factors[i]
//
// dx and e: rows x width; factors and sums: width, inside parameters and gradients from factors_offset on. One invocation does one
// column, its sum in order.
//
// uses: batch

override width: u32;
override factors_offset: u32;

@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> e: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= width { return; }
    let factor = factors[factors_offset + id.x];
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) {
        let at = row * width + id.x;
        sum += dx[at] * e[at];
        dx[at] *= factor;
    }
    sums[factors_offset + id.x] = sum;
}
