// Whole steps of training a network with one narrow hidden layer: shared/resident.wgsl says what, this is how. For software
// drivers, where loads are what costs, and workgroup memory is no faster than any other: W0 stays where it is.
//
// Each of a workgroup's 8 invocations has 4 rows at a time, then 8 inputs. What they need of W0, or of d0, is the same for
// all: for 8 hidden units at a time, each loads that of one. Sums are added up in the order of `resident`.
//
// uses: resident, unit_weights, unit_gradients

// The sums of 8 units of a row.
struct Sums { low: vec4<f32>, high: vec4<f32> }

// One input after the other.
fn add(sums: Sums, x: vec4<f32>, w: array<vec4<f32>, 8>) -> Sums {
    var low = sums.low;
    var high = sums.high;
    low += x.x * vec4<f32>(w[0].x, w[1].x, w[2].x, w[3].x);
    high += x.x * vec4<f32>(w[4].x, w[5].x, w[6].x, w[7].x);
    low += x.y * vec4<f32>(w[0].y, w[1].y, w[2].y, w[3].y);
    high += x.y * vec4<f32>(w[4].y, w[5].y, w[6].y, w[7].y);
    low += x.z * vec4<f32>(w[0].z, w[1].z, w[2].z, w[3].z);
    high += x.z * vec4<f32>(w[4].z, w[5].z, w[6].z, w[7].z);
    low += x.w * vec4<f32>(w[0].w, w[1].w, w[2].w, w[3].w);
    high += x.w * vec4<f32>(w[4].w, w[5].w, w[6].w, w[7].w);
    return Sums(low, high);
}

fn both(a: Sums, b: Sums) -> Sums {
    return Sums(a.low + b.low, a.high + b.high);
}

fn finish(row: u32, rows: u32, first: u32, sums: Sums) {
    if row >= rows { return; }
    let v = first / 4u;
    h[row * vectors + v] = units(row, v, sums.low);
    if v + 1u < vectors { h[row * vectors + v + 1u] = units(row, v + 1u, sums.high); }
}

// A step of the member's parameter `number`, from its gradient, summed over the rows.
fn update(number: u32, sum: f32, bias: bool) {
    let at = own_parameters() + number;
    parameters[at] = step(at, parameters[at], sum / batch.divisor, bias);
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let own = own_parameters() + w0;
    load_rest(lane);
    workgroupBarrier();

    let first_step = batches[group.z].index;
    for (var number = first_step; number < first_step + batches[group.z].rows; number++) {
        batch = steps[number];
        let rows = steps[number].rows;
        for (var start = 0u; start < rows; start += 32u) {
            let r = start + 4u * lane;
            let row_0 = data_row_or_last(r);
            let row_1 = data_row_or_last(r + 1u);
            let row_2 = data_row_or_last(r + 2u);
            let row_3 = data_row_or_last(r + 3u);
            for (var first = 0u; first < hidden; first += 8u) {
                var all_0: Sums;
                var all_1: Sums;
                var all_2: Sums;
                var all_3: Sums;
                for (var part = 0u; part < parts; part++) {
                    var sums_0: Sums;
                    var sums_1: Sums;
                    var sums_2: Sums;
                    var sums_3: Sums;
                    for (var k = part * span; k < min((part + 1u) * span, inputs); k += 4u) {
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
                    all_0 = both(all_0, sums_0);
                    all_1 = both(all_1, sums_1);
                    all_2 = both(all_2, sums_2);
                    all_3 = both(all_3, sums_3);
                }
                finish(r, rows, first, all_0);
                finish(r + 1u, rows, first, all_1);
                finish(r + 2u, rows, first, all_2);
                finish(r + 3u, rows, first, all_3);
            }
        }
        workgroupBarrier();
        for (var r = lane; r < rows; r += lanes) { backward(r, data_row(r)); }
        workgroupBarrier();

        for (var start = 0u; start < inputs; start += 64u) {
            let k = start + 8u * lane;
            for (var first = 0u; first < hidden; first += 8u) {
                let j = first + member % 8u;
                var sums_0: Gradients;
                var sums_1: Gradients;
                for (var r = 0u; r < rows; r++) {
                    var mine = 0.0;
                    if j < hidden { mine = delta(r, j); }
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
                    let row = data_row(r);
                    sums_0 = add_gradients(sums_0, quad(row, k), low, high);
                    sums_1 = add_gradients(sums_1, quad(row, k + 4u), low, high);
                }
                update_units(k, first, sums_0);
                update_units(k + 4u, first, sums_1);
            }
        }
        step_rest(lane, rows);
        storageBarrier();
        workgroupBarrier();
    }
    store_rest(lane);
}
