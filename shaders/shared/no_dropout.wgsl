// Without dropout every value stays as it is.

fn dropped(value: f32, row: u32, unit: u32) -> f32 {
    return value;
}

fn undropped(value: f32) -> f32 {
    return value;
}
