// h = max(f, 0), with the slope 0 at exactly 0; NaN stays NaN

const SAVES_INPUT = false;

fn activate(f: f32) -> f32 {
    // By bits: drivers may treat comparisons and max() as if there were no NaN.
    let bits = bitcast<u32>(f);
    return select(f, 0.0, bits > 0x80000000u && bits <= 0xff800000u);
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    return select(gradient, 0.0, h <= 0.0);
}
