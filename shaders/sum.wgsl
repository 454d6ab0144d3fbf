// totals[index] = sum_r values[r]: a batch's loss
//
// values: rows; totals: one a batch of each member. One workgroup sums all: each invocation every 64th value, then pairs, so
// the order is fixed.
//
// uses: own_rows

@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> totals: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let own = own_rows(1u);
    var sum = 0.0;
    for (var row = lane; row < batch.rows; row += 64u) { sum += values[own + row]; }
    partial[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { partial[lane] += partial[lane + half]; }
    }
    if lane == 0u { totals[batch.index] = partial[0]; }
}
