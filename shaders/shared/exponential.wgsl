// e^x, the same on every driver.

fn is_nan(x: f32) -> bool {
    // x != x is false for NaN on some drivers.
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// e^x for x <= 0, within 2 units in the last place on every driver: built-in exp() may err by far more, which training
// lets grow. x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; ln 2 is in two parts so that n ln 2 is exact.
// NaN stays NaN: a diverged run must show.
fn exponential(x: f32) -> f32 {
    if is_nan(x) { return x; }
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
