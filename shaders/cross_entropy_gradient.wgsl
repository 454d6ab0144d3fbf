// df = p - onehot(label): the gradient of the summed loss at the last layer's output, through the softmax
//
// outputs: rows x classes, p and then df; labels: of the whole data set. One invocation does one row.
//
// uses: order, head

override classes: u32;

@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> outputs: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.rows { return; }
    loss_gradient(id.x * classes, labels[data_row(id.x)]);
}
