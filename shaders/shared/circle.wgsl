// Sine and cosine of turns: built-in ones may err by far more than a rounding.

// x less the nearest whole number of turns: from -1/2 to 1/2.
fn fraction(x: f32) -> f32 {
    return x - round(x);
}

// sin(2 pi z) for |z| <= 1/4: the odd polynomial of degree 9 nearest to it.
fn quarter(z: f32) -> f32 {
    let s = z * z;
    return z * (6.283185 + s * (-41.341656 + s * (81.601006 + s * (-76.54978 + s * 39.536705))));
}

// cos(2 pi r) for |r| <= 1/2.
fn cosine(r: f32) -> f32 {
    return quarter(0.25 - abs(r));
}

// sin(2 pi r) for |r| <= 1/2.
fn sine(r: f32) -> f32 {
    let z = min(abs(r), 0.5 - abs(r));
    return quarter(select(z, -z, r < 0.0));
}
