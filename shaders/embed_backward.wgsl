// The gradients of the waves' frequencies, phases, weights and biases, from dx, the gradient at what embed makes
//
// x: rows x inputs; dx: rows x (inputs + VALUES embedded); gradients: an entry's, as the parameters. One invocation sums those
// of one wave over the rows, in order; the first VALUES of a feature sum its biases too.
//
// uses: own_rows, waves

override inputs: u32;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let i = id.y * groups.x * 64u + id.x;
    if i >= embedded * WAVES { return; }
    let feature = i / WAVES;
    let k = i % WAVES;
    let width = inputs + VALUES * embedded;
    let own_x = own_rows(inputs) + columns[feature];
    let own_dx = own_rows(width) + inputs + feature * VALUES;
    var weights = array<f32, VALUES>();
    var sums = array<f32, VALUES>();
    for (var j = 0u; j < VALUES; j++) { weights[j] = wave_weight(feature * VALUES + j, k); }
    var frequency = 0.0;
    var phase = 0.0;
    var bias = 0.0;
    for (var row = 0u; row < batch.rows; row++) {
        let number = x[own_x + row * inputs];
        let de = own_dx + row * width;
        let r = turn(feature, k, number);
        let wave = cosine(r);
        var slope = 0.0;
        for (var j = 0u; j < VALUES; j++) {
            slope += dx[de + j] * weights[j];
            sums[j] += dx[de + j] * wave;
        }
        slope *= -sine(r);
        phase += slope;
        frequency += slope * number;
        if k < VALUES { bias += dx[de + k]; }
    }
    let all = WAVES * embedded;
    let own = own_gradients();
    gradients[own + i] = 6.2831855 * frequency;
    gradients[own + all + i] = phase;
    for (var j = 0u; j < VALUES; j++) { gradients[own + 2u * all + (feature * VALUES + j) * WAVES + k] = sums[j]; }
    if k < VALUES { gradients[own + (2u + VALUES) * all + feature * VALUES + k] = bias; }
}
