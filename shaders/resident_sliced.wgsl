// Whole steps of training a network with one narrow hidden layer: shared/resident.wgsl says what, this is how. For GPUs with
// subgroups. The parameters lie in workgroup memory all the while; a step waits for memory as little as it can.
//
// Forward, an invocation has `group_rows` rows and a slice of the inputs: every `slices`-th word of four. Its sums are added up
// with those of seven neighbours in registers, then over the slices in workgroup memory. From there on it has a unit or a value
// of a row; for the update a word of W0's inputs and `rows_each` of the rows. Row numbers are loaded a step ahead, and words of
// bytes some turns.
//
// uses: resident, head_by_value

// Rows whose sums are kept side by side: 8 vectors of units in all.
override group_rows: u32;
override across: u32 = 8u / group_rows;
// A multiple of 8.
override slices: u32;
override groups: u32 = (batch_size + group_rows - 1u) / group_rows;
override words: u32 = (inputs + 3u) / 4u;
override turns: u32 = (words + slices - 1u) / slices;
// Turns whose words are loaded ahead.
override depth: u32 = min(turns, MAX_AHEAD / group_rows);
override last_ahead: u32 = (depth - 1u) * group_rows;
// Whether an input row is whole words of bytes.
override is_words: bool = !floats && inputs % 4u == 0u;
// Slices of the rows in the update, and rows of each: a multiple of 8.
override row_slices: u32;
override rows_each: u32;
override padded_rows: u32 = row_slices * rows_each;
override words_at_once: u32 = min(words, lanes / row_slices);
override width: u32 = 4u * vectors;
override half: u32 = 2u * vectors;
override unit_turns: u32 = (padded_rows * width + lanes - 1u) / lanes;
override value_turns: u32 = (outputs_values + lanes - 1u) / lanes;
override w0_vectors: u32 = width * words;
override numbers_values: u32 = 2u * padded_rows;

const MAX_TURNS = 8u;
const MAX_AHEAD = 8u;
// Rows of the update whose inputs are loaded together.
const TOGETHER = 8u;

// For each of a word's inputs and each vector of hidden units, word by word: neighbours have neighbouring words.
var<workgroup> weights: array<vec4<f32>, w0_vectors>;
var<workgroup> partials: array<vec4<f32>, lanes>;
// The numbers of a step's rows, and of the next one's: beyond a batch's end its last.
var<workgroup> numbers: array<u32, numbers_values>;
var<workgroup> following: Batch;

fn set_unit(at: u32, component: u32, value: f32) {
    switch component {
        case 0u: { h[at].x = value; }
        case 1u: { h[at].y = value; }
        case 2u: { h[at].z = value; }
        default: { h[at].w = value; }
    }
}

fn set_delta(at: u32, component: u32, value: f32) {
    switch component {
        case 0u: { d0[at].x = value; }
        case 1u: { d0[at].y = value; }
        case 2u: { d0[at].z = value; }
        default: { d0[at].w = value; }
    }
}

// Of two sums of an invocation and of the neighbour that `mask` tells, one added up here and one there.
fn exchanged(low: vec4<f32>, high: vec4<f32>, lane: u32, mask: u32) -> vec4<f32> {
    let is_upper = (lane & mask) != 0u;
    return select(low, high, is_upper) + subgroupShuffleXor(select(high, low, is_upper), mask);
}

// Row `row` of the batch of a step, one of the run's.
fn number_of(step: u32, row: u32) -> u32 {
    return order[steps[step].first + min(row, steps[step].rows - 1u)];
}

// Four bytes of a row; beyond its last 0.
fn word_of(row: u32, word: u32) -> u32 {
    return select(0u, data[row * (inputs / 4u) + min(word, words - 1u)], word < words);
}

// Where the weight of input k and unit j lies among the member's; beyond their ends the last one's place.
fn place_of(k: u32, j: u32) -> u32 {
    return own_parameters() + w0 + min(k, inputs - 1u) * hidden + min(j, hidden - 1u);
}

// What is kept of the weights of input k and four units from j on.
fn kept_of_four(k: u32, j: u32) -> array<vec2<f32>, 4> {
    return array<vec2<f32>, 4>(
        kept_of(place_of(k, j)),
        kept_of(place_of(k, j + 1u)),
        kept_of(place_of(k, j + 2u)),
        kept_of(place_of(k, j + 3u)),
    );
}

// A step of the weights of input k and up to four units from j on, if there is such an input.
fn step_four(k: u32, j: u32, values: vec4<f32>, kept: array<vec2<f32>, 4>, gradients: vec4<f32>) -> vec4<f32> {
    if k >= inputs { return values; }
    var stepped = values;
    stepped.x = step_from(place_of(k, j), values.x, kept[0], gradients.x, false);
    if j + 1u < hidden { stepped.y = step_from(place_of(k, j + 1u), values.y, kept[1], gradients.y, false); }
    if j + 2u < hidden { stepped.z = step_from(place_of(k, j + 2u), values.z, kept[2], gradients.z, false); }
    if j + 3u < hidden { stepped.w = step_from(place_of(k, j + 3u), values.w, kept[3], gradients.w, false); }
    return stepped;
}

@compute @workgroup_size(lanes)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let own = own_parameters() + w0;
    for (var i = lane; i < w0_vectors; i += lanes) {
        let k = 4u * (i % words) + i / words / vectors;
        let j = 4u * (i / words % vectors);
        var weight: vec4<f32>;
        for (var v = 0u; v < 4u; v++) {
            if k < inputs && j + v < hidden { weight[v] = parameters[own + k * hidden + j + v]; }
        }
        weights[i] = weight;
    }
    load_rest(lane);
    let first = batches[group.z].index;
    let last = first + batches[group.z].rows - 1u;
    if lane == 0u { following = steps[first]; }
    if lane < padded_rows { numbers[lane] = number_of(first, lane); }
    workgroupBarrier();

    let slice = lane % slices;
    let group_start = min(lane / slices, groups - 1u) * group_rows;
    // Words of the rows of the next turns. They move to the front turn by turn: compilers keep in registers what is indexed by
    // constants.
    var ahead: array<u32, MAX_AHEAD>;
    if is_words {
        for (var at = 0u; at < depth * group_rows; at++) {
            ahead[at] = word_of(numbers[group_start + at % group_rows], slice + at / group_rows * slices);
        }
    }
    // Where in `numbers` those of the step lie, and those of the next one.
    var mine = 0u;
    var other = padded_rows;
    for (var number = first; number <= last; number++) {
        batch = following;
        let rows = batch.rows;
        let next = min(number + 1u, last);
        var next_number = 0u;
        if lane < padded_rows { next_number = number_of(next, lane); }
        var wanted: array<u32, MAX_TURNS>;
        for (var turn = 0u; turn < value_turns; turn++) {
            let i = min(turn * lanes + lane, outputs_values - 1u);
            wanted[turn] = answer(numbers[mine + i / classes], i % classes);
        }

        var sums: array<vec4<f32>, 8>;
        for (var turn = 0u; turn < turns; turn++) {
            let word = slice + turn * slices;
            var x: array<vec4<f32>, 8>;
            for (var r = 0u; r < group_rows; r++) {
                if is_words {
                    x[r] = bytes(ahead[r]);
                } else {
                    x[r] = quad(numbers[mine + group_start + r], 4u * word);
                }
            }
            if is_words {
                for (var at = 0u; at < last_ahead; at++) { ahead[at] = ahead[at + group_rows]; }
                if depth < turns {
                    for (var r = 0u; r < group_rows; r++) {
                        ahead[last_ahead + r] = word_of(numbers[mine + group_start + r], word + depth * slices);
                    }
                }
            }
            let at = min(word, words - 1u);
            for (var i = 0u; i < 4u; i++) {
                for (var v = 0u; v < vectors; v++) {
                    let w = weights[(i * vectors + v) * words + at];
                    for (var r = 0u; r < group_rows; r++) {
                        sums[r * across + v] = fma(vec4<f32>(x[r][i]), w, sums[r * across + v]);
                    }
                }
            }
        }
        for (var i = 0u; i < 4u; i++) { sums[i] = exchanged(sums[i], sums[i + 4u], lane, 4u); }
        for (var i = 0u; i < 2u; i++) { sums[i] = exchanged(sums[i], sums[i + 2u], lane, 2u); }
        partials[lane] = exchanged(sums[0], sums[1], lane, 1u);
        if lane < padded_rows { numbers[other + lane] = next_number; }
        workgroupBarrier();

        var saved_values: array<f32, MAX_TURNS>;
        for (var turn = 0u; turn < unit_turns; turn++) {
            let i = turn * lanes + lane;
            let row = i / width;
            let j = i % width;
            if row < rows && j < hidden {
                let at = row / group_rows * slices + row % group_rows * across + j / 4u;
                var sum = 0.0;
                for (var part = 0u; part < slices; part += 8u) { sum += partials[at + part][j % 4u]; }
                sum += rest[j];
                let unit = activate(sum);
                saved_values[turn] = select(unit, sum, SAVES_INPUT);
                set_unit(row * vectors + j / 4u, j % 4u, unit);
            }
        }
        workgroupBarrier();

        var values: array<f32, MAX_TURNS>;
        for (var turn = 0u; turn < value_turns; turn++) {
            let i = turn * lanes + lane;
            let row = i / classes;
            let c = i % classes;
            if row < rows {
                var sum = 0.0;
                for (var j = 0u; j < hidden; j++) { sum += unit(row, j) * rest[hidden + j * classes + c]; }
                values[turn] = sum + rest[hidden + hidden * classes + c];
                outputs[i] = values[turn];
            }
        }
        if IS_SOFTMAX {
            workgroupBarrier();
            for (var turn = 0u; turn < value_turns; turn++) {
                let i = turn * lanes + lane;
                if i < rows * classes {
                    values[turn] = exponent_of(i - i % classes, values[turn]);
                    exponents[i] = values[turn];
                }
            }
            workgroupBarrier();
            for (var turn = 0u; turn < value_turns; turn++) {
                let i = turn * lanes + lane;
                if i < rows * classes { values[turn] /= sum_of_exponents(i - i % classes); }
            }
        }
        for (var turn = 0u; turn < value_turns; turn++) {
            let i = turn * lanes + lane;
            if i < rows * classes { outputs[i] = value_gradient(values[turn], i % classes, wanted[turn]); }
        }
        workgroupBarrier();

        for (var turn = 0u; turn < unit_turns; turn++) {
            let i = turn * lanes + lane;
            let row = i / width;
            let j = i % width;
            var delta = 0.0;
            if row < rows && j < hidden {
                var sum = 0.0;
                for (var c = 0u; c < classes; c++) { sum += outputs[row * classes + c] * rest[hidden + j * classes + c]; }
                delta = activate_backward(sum, saved_values[turn]);
            }
            // Rows beyond the batch's end take part in the update.
            if row < padded_rows { set_delta(row * vectors + j / 4u, j % 4u, delta); }
        }
        workgroupBarrier();

        // By one that has the least to do.
        if lane == lanes - 1u { following = steps[next]; }
        if is_words {
            for (var at = 0u; at < depth * group_rows; at++) {
                ahead[at] = word_of(numbers[other + group_start + at % group_rows], slice + at / group_rows * slices);
            }
        }
        let part = lane / words_at_once;
        for (var block = 0u; block < words; block += words_at_once) {
            let word = block + lane % words_at_once;
            let has_word = part < row_slices && word < words;
            // Of a word's first two inputs, and of its last.
            var near: array<vec4<f32>, 8>;
            var far: array<vec4<f32>, 8>;
            if has_word {
                for (var start = part * rows_each; start < min((part + 1u) * rows_each, rows); start += TOGETHER) {
                    var raw: array<u32, TOGETHER>;
                    if is_words {
                        for (var r = 0u; r < TOGETHER; r++) { raw[r] = word_of(numbers[mine + start + r], word); }
                    }
                    for (var r = 0u; r < TOGETHER; r++) {
                        var x: vec4<f32>;
                        if is_words { x = bytes(raw[r]); } else { x = quad(numbers[mine + start + r], 4u * word); }
                        for (var v = 0u; v < vectors; v++) {
                            let d = d0[(start + r) * vectors + v];
                            near[v] = fma(vec4<f32>(x.x), d, near[v]);
                            near[vectors + v] = fma(vec4<f32>(x.y), d, near[vectors + v]);
                            far[v] = fma(vec4<f32>(x.z), d, far[v]);
                            far[vectors + v] = fma(vec4<f32>(x.w), d, far[vectors + v]);
                        }
                    }
                }
            }
            if block == 0u { step_rest(lane, rows); }
            for (var first = 0u; first < width; first += half) {
                // All loads before the first store.
                var before: array<vec4<f32>, 8>;
                var kept: array<array<vec2<f32>, 4>, 8>;
                let has_all = has_word && part == 0u;
                if has_all {
                    for (var i = 0u; i < half; i++) {
                        before[i] = weights[(first + i) * words + word];
                        kept[i] = kept_of_four(4u * word + (first + i) / vectors, 4u * (i % vectors));
                    }
                }
                // The other slices' sums come by the place of the weights.
                for (var source = 1u; source < row_slices; source++) {
                    workgroupBarrier();
                    if has_word && part == source {
                        for (var i = 0u; i < half; i++) { weights[(first + i) * words + word] = near[i]; }
                    }
                    workgroupBarrier();
                    if has_all {
                        for (var i = 0u; i < half; i++) { near[i] += weights[(first + i) * words + word]; }
                    }
                }
                if has_all {
                    for (var i = 0u; i < half; i++) {
                        let k = 4u * word + (first + i) / vectors;
                        let mean = near[i] / batch.divisor;
                        weights[(first + i) * words + word] = step_four(k, 4u * (i % vectors), before[i], kept[i], mean);
                    }
                }
                near = far;
            }
        }
        workgroupBarrier();
        mine = other;
        other = padded_rows - mine;
    }

    for (var i = lane; i < inputs * hidden; i += lanes) {
        let k = i / hidden;
        let j = i % hidden;
        parameters[own + i] = weights[(k % 4u * vectors + j / 4u) * words + k / 4u][j % 4u];
    }
    store_rest(lane);
}
