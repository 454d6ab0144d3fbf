// Without clipping every gradient stays as it is.

fn clipped(gradient: f32) -> f32 {
    return gradient;
}
