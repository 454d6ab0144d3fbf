// factor = min(1, clip_norm / (norm + 1e-6)), where norm is the square root of the sum of `sums`: what gradients of
// that norm are multiplied by, as torch.nn.utils.clip_grad_norm_ does
//
// sums: `blocks` values an entry; clip_norms: one a member; factor: one an entry. One workgroup sums all of an entry: each
// invocation every 64th value, then pairs, so the order is fixed.
//
// uses: batch, nan

override blocks: u32;

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;
@group(0) @binding(3) var<storage, read> clip_norms: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    var sum = 0.0;
    for (var i = lane; i < blocks; i += 64u) { sum += sums[entry * blocks + i]; }
    partial[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { partial[lane] += partial[lane + half]; }
    }
    // A norm that is no number makes the parameters NaN, for all to see.
    let norm = sqrt(partial[0]);
    let found = min(1.0, clip_norms[batch.member] / (norm + 1e-6));
    if lane == 0u { factor[entry] = select(found, partial[0], is_nan(partial[0])); }
}
