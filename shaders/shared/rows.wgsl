// Shared by the kernels of networks with one narrow hidden layer: rows of a data set of bytes (four a word,
// little-endian) or floats, `inputs` values each.

// Input k of a row; 0 beyond the last.
fn value(row: u32, k: u32) -> f32 {
    if k >= inputs { return 0.0; }
    let at = row * inputs + k;
    if floats { return bitcast<f32>(data[at]); }
    return f32((data[at / 4u] >> (8u * (at % 4u))) & 0xffu) / 255.0;
}

// Four inputs of a row from k on, a multiple of 4; 0 beyond the last.
fn quad(row: u32, k: u32) -> vec4<f32> {
    if k >= inputs { return vec4<f32>(); }
    if !floats && inputs % 4u == 0u {
        let word = data[(row * inputs + k) / 4u];
        return vec4<f32>(vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(0xffu)) / 255.0;
    }
    return vec4<f32>(value(row, k), value(row, k + 1u), value(row, k + 2u), value(row, k + 3u));
}
