// The update of all parameters of a network with one narrow hidden layer: shared/narrow_parameters.wgsl says what, this is
// how the gradient of W0 is made. For software drivers, where loads are what costs.
//
// Each of a workgroup's 8 invocations has 8 inputs. What they need of d0 is the same for all: of 8 units at a time, each loads
// that of one.
//
// uses: narrow_parameters, unit_gradients

override lanes: u32;

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let number = group.x + group.y * groups.x;
    let needed = (inputs + 63u) / 64u;
    if number >= needed {
        if number == needed { update_rest(lane); }
        return;
    }
    let k = 64u * number + 8u * lane;
    for (var first = 0u; first < hidden; first += 8u) {
        let unit = first + member % 8u;
        let own = own_rows(hidden) + unit;
        var sums_0: Gradients;
        var sums_1: Gradients;
        for (var r = 0u; r < batches[group.z].rows; r++) {
            var mine = 0.0;
            if unit < hidden { mine = d0[own + r * hidden]; }
            let low = vec4<f32>(
                subgroupBroadcast(mine, 0u),
                subgroupBroadcast(mine, 1u),
                subgroupBroadcast(mine, 2u),
                subgroupBroadcast(mine, 3u),
            );
            let high = vec4<f32>(
                subgroupBroadcast(mine, 4u),
                subgroupBroadcast(mine, 5u),
                subgroupBroadcast(mine, 6u),
                subgroupBroadcast(mine, 7u),
            );
            let at = data_row(r);
            let x_0 = quad(at, k);
            let x_1 = quad(at, k + 4u);
            sums_0 = add_gradients(sums_0, x_0, low, high);
            sums_1 = add_gradients(sums_1, x_1, low, high);
        }
        update_units(k, first, sums_0);
        update_units(k + 4u, first, sums_1);
    }
}
