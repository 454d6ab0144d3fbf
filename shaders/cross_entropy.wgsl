// losses[r] = -ln(p[r, label] + 1e-16), and confusion[label, argmax p[r]] += 1
//
// outputs: p, rows x classes; targets: the labels of the whole data set; losses: rows; confusion: classes x classes a member,
// whose diagonal counts the hits (integers: the order of the additions changes nothing). One invocation does one row.
//
// uses: order, own_rows, tally

override classes: u32;

@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> outputs: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    if id.x >= batch.rows { return; }
    losses[own_rows(1u) + id.x] = tally(own_rows(classes) + id.x * classes, data_row(id.x));
}
