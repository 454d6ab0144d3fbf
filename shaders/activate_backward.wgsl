// d = d activate'(f): the gradient before an activation, from that behind its dropout
//
// h, what the activation's slope is computed from, its output or its input, and d: rows x width, d in place. One invocation
// changes one value.
//
// uses: own_rows, activation, dropout

override width: u32;

@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> d: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    if i >= batch.rows * width { return; }
    let at = own_rows(width) + i;
    d[at] = activate_backward(dropped(d[at], i / width, i % width), select(undropped(h[at]), h[at], SAVES_INPUT));
}
