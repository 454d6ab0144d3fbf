// h = f t, t = tanh(ln(1 + e^f)); its slope is t + f s(f) (1 - t^2), by the sigmoid s (Misra 2019)
//
// uses: exponential

const SAVES_INPUT = true;

// t, 1 - t^2, and s. With w = e^f, t = (w^2 + 2w) / (w^2 + 2w + 2): for f from 0 on both sides divided by w^2.
fn mish(f: f32) -> vec3<f32> {
    let u = exponential(-abs(f));
    let negative = f < 0.0;
    let numerator = select(1.0, u * u, negative) + 2.0 * u;
    // What the denominator is more.
    let more = select(2.0 * (u * u), 2.0, negative);
    let reciprocal = 1.0 / (numerator + more);
    let t = numerator * reciprocal;
    return vec3<f32>(t, more * reciprocal * (1.0 + t), select(1.0, u, negative) / (1.0 + u));
}

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    return f * mish(f).x;
}

// The gradient at f, from that at h and from f.
fn activate_backward(gradient: f32, f: f32) -> f32 {
    if is_nan(f) { return f; }
    let at = mish(f);
    return gradient * (f * at.z * at.y + at.x);
}
