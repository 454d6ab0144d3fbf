// e^x and what activations need of it, the same on every driver: built-in exp() and tanh() may err by far more than 2 units
// in the last place, which training lets grow. Without branches, so that compilers make several side by side.
//
// uses: nan

// x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; ln 2 is in two parts so that n ln 2 is exact.
struct Reduced { n: f32, r: f32 }

fn reduced(x: f32) -> Reduced {
    let n = floor(x * 1.44269504 + 0.5);
    return Reduced(n, (x - n * 0.693359375) + n * 2.12194440e-4);
}

fn power_of_two(n: f32) -> f32 {
    return bitcast<f32>(u32(i32(n) + 127) << 23u);
}

// e^x for x <= 0, within 2 units in the last place. NaN stays NaN: a diverged run must show.
fn exponential(x: f32) -> f32 {
    return select(exponential_of_sum(x, 0.0), x, is_nan(x));
}

// e^(x + extra) for x <= 0, not NaN, and an `extra` so small that x + extra would lose it.
fn exponential_of_sum(x: f32, extra: f32) -> f32 {
    let part = reduced(x);
    let r = part.r + extra;
    // Taylor's series of e^r.
    var e = 1.0 / 5040.0;
    e = e * r + 1.0 / 720.0;
    e = e * r + 1.0 / 120.0;
    e = e * r + 1.0 / 24.0;
    e = e * r + 1.0 / 6.0;
    e = e * r + 0.5;
    e = e * r + 1.0;
    e = e * r + 1.0;
    return select(e * power_of_two(part.n), 0.0, x < -87.0);
}

// e^x - 1 for x <= 0, not NaN: exact for small x too.
fn exponential_minus_one(x: f32) -> f32 {
    let part = reduced(x);
    let r = part.r;
    // Taylor's series of e^r - 1.
    var e = 1.0 / 5040.0;
    e = e * r + 1.0 / 720.0;
    e = e * r + 1.0 / 120.0;
    e = e * r + 1.0 / 24.0;
    e = e * r + 1.0 / 6.0;
    e = e * r + 0.5;
    e = e * r * r + r;
    let power = power_of_two(part.n);
    return select(power * e + (power - 1.0), -1.0, x < -87.0);
}
