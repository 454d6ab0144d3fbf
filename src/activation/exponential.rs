//! The exponential and what activations need of it: the shader's arithmetic to the letter.

/// `x` as `n ln 2 + r` with `|r| <= ln 2 / 2`, so that `e^x = 2^n e^r`; `ln 2` is in two parts so that `n ln 2` is exact.
fn reduced(x: f32) -> (f32, f32) {
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    (n, (x - n * 0.693_359_4) + n * 2.121_944_4e-4)
}

fn power_of_two(n: f32) -> f32 {
    f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// `e^x` for `x <= 0`, within 2 units in the last place; NaN stays NaN.
pub fn exponential(x: f32) -> f32 {
    if x.is_nan() { x } else { exponential_of_sum(x, 0.0) }
}

/// `e^(x + extra)` for `x <= 0`, not NaN, and an `extra` so small that `x + extra` would lose it.
pub fn exponential_of_sum(x: f32, extra: f32) -> f32 {
    if x < -87.0 {
        return 0.0;
    }
    let (n, r) = reduced(x);
    let r = r + extra;
    // Taylor's series of e^r.
    let mut e = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        e = e * r + coefficient;
    }
    e * power_of_two(n)
}

/// `e^x - 1` for `x <= 0`, not NaN: exact for small `x` too.
pub fn exponential_minus_one(x: f32) -> f32 {
    if x < -87.0 {
        return -1.0;
    }
    let (n, r) = reduced(x);
    // Taylor's series of e^r - 1.
    let mut e = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        e = e * r + coefficient;
    }
    e = e * r * r + r;
    let power = power_of_two(n);
    power * e + (power - 1.0)
}

/// `1 / (1 + e^-x)` and `1 / (1 + e^x)`; `x` is not NaN.
pub fn sigmoids(x: f32) -> (f32, f32) {
    let e = exponential(-x.abs());
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    if x < 0.0 { (small, large) } else { (large, small) }
}
