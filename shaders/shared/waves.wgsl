// The waves that numbers are embedded in: WAVES of each of `embedded` features, which give VALUES values. `columns` says which
// features these are. A member's parameters begin with frequencies and phases (WAVES a feature), weights (VALUES x WAVES) and
// biases (VALUES).
//
// uses: circle, own_parameters, wave_sizes

override embedded: u32;

@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> columns: array<u32>;

// Where wave k of a feature is at the number x, in turns from -1/2 to 1/2.
fn turn(feature: u32, k: u32, x: f32) -> f32 {
    let at = feature * WAVES + k;
    return fraction(parameters[own_parameters() + at] * x + parameters[own_parameters() + WAVES * embedded + at] * 0.15915494);
}

// The weight of wave k in value `at`, of the values of all features.
fn wave_weight(at: u32, k: u32) -> f32 {
    return parameters[own_parameters() + 2u * WAVES * embedded + at * WAVES + k];
}

fn wave_bias(at: u32) -> f32 {
    return parameters[own_parameters() + (2u + VALUES) * WAVES * embedded + at];
}
