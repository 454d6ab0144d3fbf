// Bytes of a data set, four a word, little-endian, as floats: value / 255.

// Byte `at` of the data set, which is in `word`.
fn byte(word: u32, at: u32) -> f32 {
    return unpack4x8unorm(word >> (8u * (at % 4u))).x;
}

// All four of a word.
fn bytes(word: u32) -> vec4<f32> {
    return unpack4x8unorm(word);
}
