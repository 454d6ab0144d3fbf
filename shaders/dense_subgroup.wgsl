// A product of a dense layer: shared/layer.wgsl says which, this is how. For software drivers, where loads are what
// costs, and workgroup memory is no faster than any other.
//
// A workgroup makes a 64 x 8 tile of the result, in registers: each of its 8 invocations 8 rows of it. What they need of
// the right operand, and for the update of the order, is the same for all: each loads a part, `share` of them (4 or 8)
// side by side in a subgroup.
//
// uses: layer

override share: u32;

@compute @workgroup_size(8)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let depth = select(select(inputs, outputs, product == INPUT_GRADIENT), batches[group.z].rows, product == UPDATE);
    let width = select(inputs, outputs, product == INPUT_GRADIENT);
    let m = group.y * 64u + 8u * lane;
    let n = group.x * 8u;
    var rows = rows_of_a(m, width);
    var far_rows = rows_of_a(m + 4u, width);
    let q = member % share;
    var sums_00: mat4x4<f32>;
    var sums_01: mat4x4<f32>;
    var sums_10: mat4x4<f32>;
    var sums_11: mat4x4<f32>;
    for (var k = 0u; k < depth; k += 4u) {
        if product == UPDATE {
            let row = row_of_a(k + (q & 3u), width);
            rows = vec4<u32>(
                subgroupBroadcast(row, 0u),
                subgroupBroadcast(row, 1u),
                subgroupBroadcast(row, 2u),
                subgroupBroadcast(row, 3u),
            );
            far_rows = rows;
        }
        let a_0 = left(rows, m, k);
        let a_1 = left(far_rows, m + 4u, k);
        var b_0: mat4x4<f32>;
        var b_1: mat4x4<f32>;
        if share == 8u {
            let quad = right_quad(n + (q & 4u), k, q & 3u);
            b_0 = mat4x4<f32>(
                subgroupBroadcast(quad, 0u),
                subgroupBroadcast(quad, 1u),
                subgroupBroadcast(quad, 2u),
                subgroupBroadcast(quad, 3u),
            );
            b_1 = mat4x4<f32>(
                subgroupBroadcast(quad, 4u),
                subgroupBroadcast(quad, 5u),
                subgroupBroadcast(quad, 6u),
                subgroupBroadcast(quad, 7u),
            );
        } else {
            let near = right_quad(n, k, q);
            let far = right_quad(n + 4u, k, q);
            b_0 = mat4x4<f32>(
                subgroupBroadcast(near, 0u),
                subgroupBroadcast(near, 1u),
                subgroupBroadcast(near, 2u),
                subgroupBroadcast(near, 3u),
            );
            b_1 = mat4x4<f32>(
                subgroupBroadcast(far, 0u),
                subgroupBroadcast(far, 1u),
                subgroupBroadcast(far, 2u),
                subgroupBroadcast(far, 3u),
            );
        }
        if product == INPUT_GRADIENT {
            b_0 = transpose(b_0);
            b_1 = transpose(b_1);
        }
        sums_00 = add_block(sums_00, a_0, b_0);
        sums_01 = add_block(sums_01, a_0, b_1);
        sums_10 = add_block(sums_10, a_1, b_0);
        sums_11 = add_block(sums_11, a_1, b_1);
    }
    finish_block(m, n, sums_00);
    finish_block(m, n + 4u, sums_01);
    finish_block(m + 4u, n, sums_10);
    finish_block(m + 4u, n + 4u, sums_11);
}
