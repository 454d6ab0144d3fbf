// Of W0 (inputs x hidden), which begins at `own` of the parameters, what unit j takes of inputs k to k + 3; 0 past the last.
fn weights(own: u32, k: u32, j: u32) -> vec4<f32> {
    if j >= hidden { return vec4<f32>(); }
    let at = own + k * hidden + j;
    if k + 3u < inputs {
        return vec4<f32>(
            parameters[at],
            parameters[at + hidden],
            parameters[at + 2u * hidden],
            parameters[at + 3u * hidden],
        );
    }
    var found: vec4<f32>;
    for (var i = 0u; k + i < inputs; i++) { found[i] = parameters[at + i * hidden]; }
    return found;
}
