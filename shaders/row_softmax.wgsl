// p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)
//
// f and outputs, which becomes p: rows x classes, in two buffers. One invocation makes one row.
//
// uses: own_rows, softmax

override classes: u32;

@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> outputs: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    if id.x >= batch.rows { return; }
    let start = own_rows(classes) + id.x * classes;
    for (var c = 0u; c < classes; c++) { outputs[start + c] = f[start + c]; }
    softmax(start);
}
