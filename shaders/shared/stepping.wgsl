// A step of a parameter of which nothing was loaded before. Who makes many loads all of them before the first store: compilers
// must not, since a store might change what is loaded.

fn step(at: u32, value: f32, gradient: f32, bias: bool) -> f32 {
    return step_from(at, value, kept_of(at), gradient, bias);
}
