// h = f

fn activate(f: f32) -> f32 {
    return f;
}

fn activate_backward(gradient: f32, h: f32) -> f32 {
    return gradient;
}
