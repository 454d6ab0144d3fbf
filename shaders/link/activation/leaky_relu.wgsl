// h = f above 0, else 0.01 f

const SAVES_INPUT = false;

fn activate(f: f32) -> f32 {
    return select(0.01 * f, f, f > 0.0);
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    return select(0.01 * gradient, gradient, h > 0.0);
}
