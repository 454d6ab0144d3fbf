// d = d activate'(f): the gradient before an activation, from that behind its dropout
//
// h, what the activation's slope is computed from, its output or its input, and d: rows x width, d in place. One invocation changes one value.
//
// uses: batch, activation, dropout

override width: u32;

@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> d: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    d[i] = activate_backward(dropped(d[i], i / width, i % width), select(undropped(h[i]), h[i], SAVES_INPUT));
}
