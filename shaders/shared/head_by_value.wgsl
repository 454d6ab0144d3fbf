// uses: head, exponential
//
// The head's predictions where each invocation of a workgroup has a value: sums over a row are short, and a softmax's
// exponentials are made side by side. Who uses this declares `outputs`, with a value for each, in workgroup memory.

override exponent_values: u32 = outputs_values;

var<workgroup> exponents: array<f32, exponent_values>;

// The prediction of value i of `outputs`, which is `f`; the invocation's row begins at `base`. All invocations take part, also
// where `is_there` says that they have no value.
fn predict_value(is_there: bool, base: u32, i: u32, f: f32) -> f32 {
    if !IS_SOFTMAX { return f; }
    if is_there { outputs[i] = f; }
    workgroupBarrier();
    var e = 0.0;
    if is_there {
        e = exponent_of(base, f);
        exponents[i] = e;
    }
    workgroupBarrier();
    if !is_there { return 0.0; }
    return e / sum_of_exponents(base);
}

// e^f, with the row's largest value taken from f; the row begins at `base` of `outputs`.
fn exponent_of(base: u32, f: f32) -> f32 {
    var largest = outputs[base];
    for (var c = 1u; c < classes; c++) { largest = max(largest, outputs[base + c]); }
    return exponential(f - largest);
}

fn sum_of_exponents(base: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < classes; c++) { sum += exponents[base + c]; }
    return sum;
}
