// Shared by the kernels that update the parameters of a network with one narrow hidden layer:
//   a step of W0 by x^T d0 / divisor, of b0 by the sum of d0's rows / divisor, of W1 and b1 by the same of h and d1
//
// Buffers as in shared/narrow.wgsl. For software drivers the first workgroups share out the inputs of W0; one more does all the
// rest, one invocation a parameter.
//
// uses: order, own_rows, own_parameters, rows, optimizer

override inputs: u32;
override hidden: u32;
// Classes, or values of a row
override classes: u32;
override floats: bool;
override w0: u32;
override b0: u32;
override w1: u32;
override b1: u32;

@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read> d0: array<f32>;
@group(0) @binding(5) var<storage, read> d1: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: array<f32>;

// A step of the member's parameter `at`, from its gradient, summed over the rows.
fn update(number: u32, sum: f32, bias: bool) {
    let at = own_parameters() + number;
    parameters[at] = step(at, parameters[at], sum / batch.divisor, bias);
}

fn rest(i: u32) {
    var sum = 0.0;
    if i < hidden {
        for (var r = 0u; r < batch.rows; r++) { sum += d0[own_rows(hidden) + r * hidden + i]; }
        update(b0 + i, sum, true);
    } else if i < hidden + classes {
        let c = i - hidden;
        for (var r = 0u; r < batch.rows; r++) { sum += d1[own_rows(classes) + r * classes + c]; }
        update(b1 + c, sum, true);
    } else {
        let at = i - hidden - classes;
        let j = at / classes;
        let c = at % classes;
        let own_h = own_rows(hidden) + j;
        let own_d1 = own_rows(classes) + c;
        for (var r = 0u; r < batch.rows; r++) { sum += h[own_h + r * hidden] * d1[own_d1 + r * classes]; }
        update(w1 + at, sum, false);
    }
}

// The parameters behind W0, by all invocations of a workgroup.
fn update_rest(lane: u32) {
    for (var i = lane; i < hidden + classes + hidden * classes; i += lanes) { rest(i); }
}
