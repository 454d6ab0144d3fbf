// The gradient of the summed loss at the last layer's output: what the head says, times the weight of the row
//
// outputs: rows x classes, the head's prediction and then the gradient; targets: of the whole data set, as the head
// reads them. One invocation does one row.
//
// uses: order, own_rows, head, weights

// Classes, or values of a row
override classes: u32;

@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> outputs: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    if id.x >= batch.rows { return; }
    let start = own_rows(classes) + id.x * classes;
    let source = data_row(id.x);
    loss_gradient(start, source);
    weigh(start, source);
}
