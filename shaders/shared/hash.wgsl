// lowbias32 (Wellons 2018, "Prospecting for Hash Functions"): mixes the bits of a number, one to one.

fn mix(bits: u32) -> u32 {
    var x = bits;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}
