// sums[g] = sum_i (gradients[own + i] / divisor)^2, i in block g: a block is 4096 of the `count` values, the last what is left
//
// gradients: of all parameters, summed over the batch's rows; sums: one a block of each entry. A workgroup sums a block: each
// invocation every 64th value, then pairs, so the order is fixed.
//
// uses: own_parameters

override count: u32;

const BLOCK = 4096u;

@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let block = group.x + group.y * groups.x;
    // Where the grid is folded there may be more workgroups than blocks.
    if block * BLOCK >= count { return; }
    let own = own_gradients();
    var sum = 0.0;
    for (var i = block * BLOCK + lane; i < min(count, (block + 1u) * BLOCK); i += 64u) {
        let mean = gradients[own + i] / batch.divisor;
        sum += mean * mean;
    }
    partial[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { partial[lane] += partial[lane + half]; }
    }
    if lane == 0u { sums[entry * ((count + BLOCK - 1u) / BLOCK) + block] = partial[0]; }
}
