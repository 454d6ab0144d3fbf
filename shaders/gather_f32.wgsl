// x[r, c] = data[order[first + r], c]
//
// data: n x width; order: row numbers; x: rows x width. A line of workgroups along x copies a row, one
// invocation a value; along y lie the rows.

override width: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> data: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let column = id.x;
    if column >= width { return; }
    for (var row = id.y; row < batch.rows; row += groups.y) {
        let at = order[batch.first + row] * width + column;
        x[row * width + column] = data[at];
    }
}
