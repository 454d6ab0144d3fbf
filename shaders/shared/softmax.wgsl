// uses: exponential
//
// The softmax of the row outputs[base] to outputs[base + classes - 1]: p_c = exp(f_c - max) / sum_c exp(f_c - max)

fn softmax(base: u32) {
    var largest = outputs[base];
    for (var c = 1u; c < classes; c++) { largest = max(largest, outputs[base + c]); }
    var sum = 0.0;
    for (var c = 0u; c < classes; c++) {
        let e = exponential(outputs[base + c] - largest);
        outputs[base + c] = e;
        sum += e;
    }
    for (var c = 0u; c < classes; c++) { outputs[base + c] /= sum; }
}
