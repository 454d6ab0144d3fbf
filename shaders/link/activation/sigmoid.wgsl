// h = 1 / (1 + e^-f); its slope is h (1 - h)
//
// uses: sigmoids

const SAVES_INPUT = false;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    return sigmoids(f).x;
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    return gradient * (h * (1.0 - h));
}
