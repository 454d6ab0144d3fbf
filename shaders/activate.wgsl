// h = activate(f), of which dropout drops some, in place
//
// f: rows x width. One invocation changes one value.
//
// uses: own_rows, activation, dropout, save

override width: u32;

@group(0) @binding(1) var<storage, read_write> f: array<f32>;

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
    let sum = f[at];
    save(at, sum);
    f[at] = dropped(activate(sum), i / width, i % width);
}
