// p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)
//
// f and p: rows x classes, in two buffers. One invocation makes one row.

override classes: u32;

struct Batch { first: u32, rows: u32, index: u32, learning_rate: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;

// e^x for x <= 0, within 2 units in the last place on every driver: built-in exp() may err by far more, which training
// lets grow. x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; ln 2 is in two parts so that n ln 2 is exact.
// NaN stays NaN: a diverged run must show.
fn exponential(x: f32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u { return x; }
    if x < -87.0 { return 0.0; }
    let n = floor(x * 1.44269504 + 0.5);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    // Taylor's series of e^r.
    var e = 1.0 / 5040.0;
    e = e * r + 1.0 / 720.0;
    e = e * r + 1.0 / 120.0;
    e = e * r + 1.0 / 24.0;
    e = e * r + 1.0 / 6.0;
    e = e * r + 0.5;
    e = e * r + 1.0;
    e = e * r + 1.0;
    return e * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.rows { return; }
    let start = id.x * classes;
    var largest = f[start];
    for (var c = 1u; c < classes; c++) { largest = max(largest, f[start + c]); }
    var sum = 0.0;
    for (var c = 0u; c < classes; c++) {
        let e = exponential(f[start + c] - largest);
        p[start + c] = e;
        sum += e;
    }
    for (var c = 0u; c < classes; c++) { p[start + c] /= sum; }
}
