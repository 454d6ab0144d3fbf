// C = A B^T
//
// a: rows x columns; b: inner x columns, inside the member's parameters from b_offset on; c: rows x inner; all row-major.
// One workgroup makes an 8 x 8 tile of c, one invocation a value; tiles lie along x by columns, along y by rows of c.
//
// uses: own_rows, own_parameters

override inner: u32;
override columns: u32;
override b_offset: u32;

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let row = id.y;
    let k = id.x;
    if row >= batch.rows || k >= inner { return; }
    let own_a = own_rows(columns) + row * columns;
    let own_b = own_parameters() + b_offset + k * columns;
    var sum = 0.0;
    for (var column = 0u; column < columns; column++) {
        sum += a[own_a + column] * b[own_b + column];
    }
    c[own_rows(inner) + row * inner + k] = sum;
}
