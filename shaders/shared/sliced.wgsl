// The gradient of a matrix with few columns, for GPUs, where waiting for memory is what costs: an invocation has few rows of the
// batch, and most of its loads begin before the first is waited for.
//
// A workgroup does `words` groups of four rows of the matrix and `units` columns, in `slices` slices of the batch's rows that are
// added up in their order. Biases are one more row of the matrix, whose input is always 1. Who uses this defines
// four_inputs(row, k), the inputs from k on of a row of the batch, and delta(row, j), its gradient at column j.
//
// uses: batch, own_rows

override words: u32;
override units: u32;
override slices: u32;
override lanes: u32;
// Rows of an invocation, at most.
override turns: u32 = (room + slices - 1u) / slices;
// Odd, so that neighbours write to different banks.
override sliced_width: u32 = 4u * units + 1u;
override partial_values: u32 = lanes * sliced_width;

const MAX_UNITS = 8u;

// lanes x sliced_width
var<workgroup> partial: array<f32, partial_values>;

// Workgroup `number` does four inputs from `input` on for each of its words, and columns from `unit` on.
struct Corner { input: u32, unit: u32 }

fn corner(number: u32, columns: u32) -> Corner {
    let groups = (columns + units - 1u) / units;
    return Corner(4u * (number / groups * words), number % groups * units);
}

// The value of the matrix whose gradient the invocation has in the end, if it has one: there are at most as many as invocations.
struct Mine { has_one: bool, input: u32, unit: u32 }

fn mine(corner: Corner, lane: u32, rows: u32, columns: u32) -> Mine {
    let input = corner.input + lane / units;
    let unit = corner.unit + lane % units;
    return Mine(lane < 4u * units * words && input <= rows && unit < columns, input, unit);
}

// Of rows from the batch's end on: its last, which is not counted.
fn factor(r: u32) -> f32 {
    return select(0.0, 1.0, r < batch.rows);
}

// The sum for the invocation's value of a matrix of rows + 1 x columns; all invocations take part.
fn sliced_sum(corner: Corner, lane: u32, rows: u32, columns: u32) -> f32 {
    let slice = lane / words;
    let k = corner.input + 4u * (lane % words);
    let bias = vec4<f32>(vec4<u32>(k, k + 1u, k + 2u, k + 3u) == vec4<u32>(rows));
    var sums: array<vec4<f32>, MAX_UNITS>;
    for (var turn = 0u; turn < turns; turn++) {
        let r = slice + turn * slices;
        let row = min(r, batch.rows - 1u);
        let x = factor(r) * (four_inputs(row, k) + bias);
        for (var j = 0u; j < units; j++) { sums[j] += x * delta(row, min(corner.unit + j, columns - 1u)); }
    }
    for (var j = 0u; j < units; j++) {
        for (var i = 0u; i < 4u; i++) { partial[lane * sliced_width + i * units + j] = sums[j][i]; }
    }
    workgroupBarrier();
    let word = min(lane / (4u * units), words - 1u);
    var sum = 0.0;
    for (var s = 0u; s < slices; s++) { sum += partial[(s * words + word) * sliced_width + lane % (4u * units)]; }
    return sum;
}
