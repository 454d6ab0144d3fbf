// C = A^T B, a sum over the rows of a batch
//
// a: rows x inner; b: rows x columns; c: inner x columns, inside the entry's gradients from c_offset on; all row-major.
// One workgroup makes an 8 x 8 tile of c, one invocation a value; tiles lie along x by columns, along y by rows of c.
//
// uses: own_rows, own_parameters

override inner: u32;
override columns: u32;
override c_offset: u32;

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let k = id.y;
    let column = id.x;
    if k >= inner || column >= columns { return; }
    let own_a = own_rows(inner) + k;
    let own_b = own_rows(columns) + column;
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) {
        sum += a[own_a + row * inner] * b[own_b + row * columns];
    }
    c[own_gradients() + c_offset + k * columns + column] = sum;
}
