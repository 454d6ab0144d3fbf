// h = scale f above 0, else scale alpha (e^f - 1), whose slope is h + scale alpha (Klambauer et al. 2017)
//
// uses: exponential

const SAVES_INPUT = false;

const SCALE = 1.05070099;
const SCALE_ALPHA = 1.75809934;

fn activate(f: f32) -> f32 {
    if is_nan(f) { return f; }
    return select(SCALE_ALPHA * exponential_minus_one(min(f, 0.0)), SCALE * f, f > 0.0);
}

// The gradient at f, from that at h and from h.
fn activate_backward(gradient: f32, h: f32) -> f32 {
    return gradient * select(h + SCALE_ALPHA, SCALE, h > 0.0);
}
