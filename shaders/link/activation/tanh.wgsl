// h = tanh(f), by (1 - e^-2|f|) / (1 + e^-2|f|); its slope is 1 - h^2
//
// uses: exponential

const SAVES_INPUT = false;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    let e = exponential_minus_one(-2.0 * abs(f));
    let negative = e / (e + 2.0);
    return select(-negative, negative, f < 0.0);
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    return gradient * ((1.0 - h) * (1.0 + h));
}
