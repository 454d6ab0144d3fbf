// x[r, c] = data[row r of the batch, c], after dropout
//
// data: n x width; x: rows x width. A line of workgroups along x copies a row, one invocation a value; along y lie the
// rows.
//
// uses: order, own_rows, dropout

override width: u32;

@group(0) @binding(2) var<storage, read> data: array<f32>;
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
        x[own + row * width + column] = dropped(data[data_row(row) * width + column], row, column);
    }
}
