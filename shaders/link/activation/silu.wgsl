// h = f s(f), by the sigmoid s; its slope is s(f) + f s(f) s(-f)
//
// uses: sigmoids

const SAVES_INPUT = true;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    return f * sigmoids(f).x;
}

// The gradient at f, from that at h and from f.
fn activate_backward(gradient: f32, f: f32) -> f32 {
    if is_nan(f) { return f; }
    let s = sigmoids(f);
    return gradient * (f * s.x * s.y + s.x);
}
