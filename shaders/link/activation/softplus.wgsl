// h = ln(1 + e^f); its slope is 1 - e^-h
//
// uses: exponential

const SAVES_INPUT = false;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    // ln(1 + u) = 2 artanh(s), s = u / (2 + u), at most 1/3: its series.
    let u = exponential(-abs(f));
    let s = u / (2.0 + u);
    let square = s * s;
    var series = 1.0 / 17.0;
    series = series * square + 1.0 / 15.0;
    series = series * square + 1.0 / 13.0;
    series = series * square + 1.0 / 11.0;
    series = series * square + 1.0 / 9.0;
    series = series * square + 1.0 / 7.0;
    series = series * square + 1.0 / 5.0;
    series = series * square + 1.0 / 3.0;
    series = series * square + 1.0;
    return max(f, 0.0) + 2.0 * s * series;
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    if is_nan(h) { return h; }
    return gradient * -exponential_minus_one(-h);
}
