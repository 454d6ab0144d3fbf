// e[r, c] = x[r, c] for the features, then b[j] + sum_k W[j, k] cos(2 pi w[k] x + p[k]) for those that are embedded
//
// x: rows x inputs; e: rows x (inputs + VALUES embedded). One invocation makes one value.
//
// uses: own_rows, waves

override inputs: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> e: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    let width = inputs + VALUES * embedded;
    if i >= batch.rows * width { return; }
    let own_x = own_rows(inputs) + i / width * inputs;
    let own_e = own_rows(width) + i;
    let column = i % width;
    if column < inputs {
        e[own_e] = x[own_x + column];
        return;
    }
    let at = column - inputs;
    let feature = at / VALUES;
    let number = x[own_x + columns[feature]];
    var values: array<f32, WAVES>;
    for (var k = 0u; k < WAVES; k++) { values[k] = wave_weight(at, k) * cosine(turn(feature, k, number)); }
    // By halves, as the twin.
    for (var half = WAVES / 2u; half > 0u; half /= 2u) {
        for (var k = 0u; k < half; k++) { values[k] += values[k + half]; }
    }
    e[own_e] = wave_bias(at) + values[0];
}
