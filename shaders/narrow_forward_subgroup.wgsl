// Forward and backward through one narrow hidden layer: shared/narrow.wgsl says what, this is how x W0 is made. For
// software drivers, where loads are what costs.
//
// Each of a workgroup's 8 invocations has 4 rows; `group_rows` is 32. What they need of W0 is the same for all: for 8
// hidden units at a time, each loads the weights of one.
//
// uses: narrow_rows, unit_weights

// The sums of 8 units.
struct Sums { low: vec4<f32>, high: vec4<f32> }

fn add(sums: Sums, x: vec4<f32>, w: array<vec4<f32>, 8>) -> Sums {
    return Sums(
        sums.low + vec4<f32>(dot(x, w[0]), dot(x, w[1]), dot(x, w[2]), dot(x, w[3])),
        sums.high + vec4<f32>(dot(x, w[4]), dot(x, w[5]), dot(x, w[6]), dot(x, w[7])),
    );
}

fn finish_one(r: u32, start: u32, j: u32, sum: f32) {
    if j < hidden { finish_unit(r, start, j, sum); }
}

// Unrolled: software drivers keep what is indexed by a loop in memory.
fn finish_units(r: u32, start: u32, first: u32, sums: Sums) {
    finish_one(r, start, first, sums.low.x);
    finish_one(r, start, first + 1u, sums.low.y);
    finish_one(r, start, first + 2u, sums.low.z);
    finish_one(r, start, first + 3u, sums.low.w);
    finish_one(r, start, first + 4u, sums.high.x);
    finish_one(r, start, first + 5u, sums.high.y);
    finish_one(r, start, first + 6u, sums.high.z);
    finish_one(r, start, first + 7u, sums.high.w);
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let own = own_parameters() + w0;
    let start = (group.x + group.y * groups.x) * group_rows;
    let r = 4u * lane;
    let row_0 = data_row_or_last(start + r);
    let row_1 = data_row_or_last(start + r + 1u);
    let row_2 = data_row_or_last(start + r + 2u);
    let row_3 = data_row_or_last(start + r + 3u);
    for (var first = 0u; first < hidden; first += 8u) {
        var sums_0: Sums;
        var sums_1: Sums;
        var sums_2: Sums;
        var sums_3: Sums;
        for (var k = 0u; k < inputs; k += 4u) {
            let mine = weights(own, k, first + member % 8u);
            let w = array<vec4<f32>, 8>(
                subgroupBroadcast(mine, 0u),
                subgroupBroadcast(mine, 1u),
                subgroupBroadcast(mine, 2u),
                subgroupBroadcast(mine, 3u),
                subgroupBroadcast(mine, 4u),
                subgroupBroadcast(mine, 5u),
                subgroupBroadcast(mine, 6u),
                subgroupBroadcast(mine, 7u),
            );
            sums_0 = add(sums_0, quad(row_0, k), w);
            sums_1 = add(sums_1, quad(row_1, k), w);
            sums_2 = add(sums_2, quad(row_2, k), w);
            sums_3 = add(sums_3, quad(row_3, k), w);
        }
        finish_units(r, start, first, sums_0);
        finish_units(r + 1u, start, first, sums_1);
        finish_units(r + 2u, start, first, sums_2);
        finish_units(r + 3u, start, first, sums_3);
    }
    finish_rows(lane, start);
}
