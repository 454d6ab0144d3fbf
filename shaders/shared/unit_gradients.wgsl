// Gradients of W0 (inputs x hidden, from w0 on), summed for four inputs and 8 units at a time. Who uses them defines `update`,
// the step of a parameter.

struct Gradients { low: mat4x4<f32>, high: mat4x4<f32> }

fn add_gradients(sums: Gradients, x: vec4<f32>, low: vec4<f32>, high: vec4<f32>) -> Gradients {
    return Gradients(
        sums.low + mat4x4<f32>(x * low.x, x * low.y, x * low.z, x * low.w),
        sums.high + mat4x4<f32>(x * high.x, x * high.y, x * high.z, x * high.w),
    );
}

// Unrolled: software drivers keep what is indexed by a loop in memory.
fn update_unit(k: u32, j: u32, sums: vec4<f32>) {
    if j >= hidden { return; }
    let at = w0 + k * hidden + j;
    if k < inputs { update(at, sums.x, false); }
    if k + 1u < inputs { update(at + hidden, sums.y, false); }
    if k + 2u < inputs { update(at + 2u * hidden, sums.z, false); }
    if k + 3u < inputs { update(at + 3u * hidden, sums.w, false); }
}

fn update_units(k: u32, first: u32, sums: Gradients) {
    update_unit(k, first, sums.low[0]);
    update_unit(k, first + 1u, sums.low[1]);
    update_unit(k, first + 2u, sums.low[2]);
    update_unit(k, first + 3u, sums.low[3]);
    update_unit(k, first + 4u, sums.high[0]);
    update_unit(k, first + 5u, sums.high[1]);
    update_unit(k, first + 6u, sums.high[2]);
    update_unit(k, first + 7u, sums.high[3]);
}
