// uses: bytes
//
// Where the last layer reads its input: `a`, and what the slope of the activation before it is computed from: `h`.

override source: u32;

const ACTIVATIONS = 0u;
const BYTES = 1u;

@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(7) var<storage, read> h: array<f32>;

// Input k of the row that starts at `start`.
fn value(start: u32, k: u32) -> f32 {
    let i = start + k;
    if source == BYTES { return byte(a[i / 4u], i); }
    return bitcast<f32>(a[i]);
}
