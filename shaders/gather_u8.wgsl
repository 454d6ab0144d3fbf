// x[r, c] = data[row r of the batch, c] / 255, after dropout
//
// data: n x width bytes, four a word, little-endian; x: rows x width. A line of workgroups along x makes a row, one
// invocation a value; along y lie the rows.
//
// uses: order, own_rows, bytes, dropout

override width: u32;

@group(0) @binding(2) var<storage, read> data: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let column = id.x;
    if column >= width { return; }
    let own = own_rows(width);
    for (var row = id.y; row < batch.rows; row += groups.y) {
        let at = data_row(row) * width + column;
        x[own + row * width + column] = dropped(byte(data[at / 4u], at), row, column);
    }
}
