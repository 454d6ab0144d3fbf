// uses: bytes
//
// Values of a data set, whose rows are `inputs` bytes (four a word, little-endian) or floats.

@group(0) @binding(2) var<storage, read> data: array<u32>;

// Input k of a row; 0 beyond the last.
fn value(row: u32, k: u32) -> f32 {
    if k >= inputs { return 0.0; }
    let at = row * inputs + k;
    if floats { return bitcast<f32>(data[at]); }
    return byte(data[at / 4u], at);
}

// Four inputs of a row from k on, a multiple of 4; 0 beyond the last.
fn quad(row: u32, k: u32) -> vec4<f32> {
    if k >= inputs { return vec4<f32>(); }
    if !floats && inputs % 4u == 0u { return bytes(data[(row * inputs + k) / 4u]); }
    return vec4<f32>(value(row, k), value(row, k + 1u), value(row, k + 2u), value(row, k + 3u));
}
