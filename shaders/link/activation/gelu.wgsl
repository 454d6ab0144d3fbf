// h = f P(f), by the normal distribution P with the density p; its slope is P(f) + f p(f)
//
// uses: normal

const SAVES_INPUT = true;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    return f * normal(f).x;
}

// The gradient at f, from that at h and from f.
fn activate_backward(gradient: f32, f: f32) -> f32 {
    if is_nan(f) { return f; }
    let at = normal(f);
    return gradient * (f * at.y + at.x);
}
