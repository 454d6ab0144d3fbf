// uses: batch, nan
//
// What an evaluation of classes notes of a row, from its probabilities outputs[base] to outputs[base + classes - 1];
// targets holds a label a row.

override epsilon: f32;

const TALLIES = true;

// classes x classes a member, labels by predictions
@group(0) @binding(12) var<storage, read_write> confusion: array<atomic<u32>>;

// The row's loss, -ln(p[label] + epsilon). Counts it in the confusion matrix: of equal probabilities the first wins.
fn tally(base: u32, row: u32) -> f32 {
    let label = targets[row];
    var predicted = 0u;
    for (var c = 1u; c < classes; c++) {
        if outputs[base + c] > outputs[base + predicted] { predicted = c; }
    }
    atomicAdd(&confusion[(batch.member * classes + label) * classes + predicted], 1u);
    let likelihood = outputs[base + label];
    // log() of NaN need not be NaN on every driver.
    return select(-log(likelihood + epsilon), likelihood, is_nan(likelihood));
}
