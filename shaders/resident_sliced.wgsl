// Whole steps of training a network with one narrow hidden layer: shared/resident.wgsl says what, this is how. For GPUs with
// subgroups. The parameters lie in workgroup memory all the while; a step waits for memory as little as it can.
//
// Forward, an invocation has `group_rows` rows and a slice of the inputs: every `slices`-th word of four. Its sums are added up
// with those of seven neighbours in registers, then over the slices. If 32 neighbours have all slices of their rows (`in_waves`),
// that is done in registers, too, otherwise in workgroup memory. From there on an invocation has a unit or a value of a row; for
// the update it has a word of W0's inputs and `rows_each` of the rows. Row numbers are loaded a step ahead, and words of bytes
// some turns.
//
// uses: resident, head_by_value

// Rows whose sums are kept side by side: 8 vectors of units in all.
override group_rows: u32;
override across: u32 = 8u / group_rows;
// A multiple of 8.
override slices: u32;
// Whether 32 neighbours, which share a subgroup, have the slices of `group_rows` rows, and all else of these until the update.
override in_waves: bool;
override groups: u32 = (batch_size + group_rows - 1u) / group_rows;
override words: u32 = (inputs + 3u) / 4u;
// Words beyond whole turns, where they are few and bytes: in waves whoever has a unit of a row adds them to it.
override has_odd: bool = in_waves && is_words && words > slices && words % slices <= MAX_ODD;
override odd_words: u32 = select(0u, words % slices, has_odd);
override turns: u32 = (words - odd_words + slices - 1u) / slices;
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
override partials_vectors: u32;
// Invocations that have a row's units, and its values in turns.
override row_lanes: u32 = 4u * across;
override class_turns: u32 = (classes + row_lanes - 1u) / row_lanes;
// What the bytes of a word are multiplied by, once their products are added up.
override word_scale: f32 = select(1.0, 1.0 / 255.0, is_words);

const MAX_TURNS = 8u;
const MAX_UNITS = 16u;
const MAX_ODD = 4u;
const MAX_AHEAD = 8u;
// Below all values.
const LOWEST = -3.4028234e38;
// Rows of the update whose inputs are loaded together.
const TOGETHER = 8u;

// For each of a word's inputs and each vector of hidden units, word by word: neighbours have neighbouring words.
var<workgroup> weights: array<vec4<f32>, w0_vectors>;
var<workgroup> partials: array<vec4<f32>, partials_vectors>;
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

// What the neighbour has whose number differs by `mask`, and what invocation `member` of the subgroup has.
fn vector_across(value: vec4<f32>, mask: u32) -> vec4<f32> {
    return subgroupShuffleXor(value, mask);
}

fn pair_across(value: vec2<f32>, mask: u32) -> vec2<f32> {
    return subgroupShuffleXor(value, mask);
}

fn value_across(value: f32, mask: u32) -> f32 {
    return subgroupShuffleXor(value, mask);
}

fn value_of(value: f32, member: u32) -> f32 {
    return subgroupShuffle(value, member);
}

// Of two sums of an invocation and of the neighbour that `mask` tells, one added up here and one there.
fn exchanged(low: vec4<f32>, high: vec4<f32>, lane: u32, mask: u32) -> vec4<f32> {
    let is_upper = (lane & mask) != 0u;
    return select(low, high, is_upper) + vector_across(select(high, low, is_upper), mask);
}

// sum + x w for units 4 v to 4 v + 3. What is beyond the last unit stays.
fn add_units(sum: vec4<f32>, x: f32, w: vec4<f32>, v: u32) -> vec4<f32> {
    return vec4<f32>(
        fma(x, w.x, sum.x),
        select(sum.y, fma(x, w.y, sum.y), 4u * v + 1u < hidden),
        select(sum.z, fma(x, w.z, sum.z), 4u * v + 2u < hidden),
        select(sum.w, fma(x, w.w, sum.w), 4u * v + 3u < hidden),
    );
}

// The four bytes of a word, from 0 to 255.
fn bytes_of(word: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xU8(word));
}

// The invocation of a subgroup that has unit j, or value j of a turn, of the row that invocation `member` works on.
fn lane_of(member: u32, j: u32) -> u32 {
    return (member & ~(24u | (across - 1u))) | (j / 4u) | (j / 2u % 2u * 8u) | (j % 2u * 16u);
}

// The largest of what a row's invocations have.
fn largest_of_row(own: f32) -> f32 {
    var largest = own;
    for (var mask = 1u; mask < across; mask *= 2u) { largest = max(largest, value_across(largest, mask)); }
    largest = max(largest, value_across(largest, 8u));
    return max(largest, value_across(largest, 16u));
}

fn sum_of_row(own: f32) -> f32 {
    var sum = own;
    for (var mask = 1u; mask < across; mask *= 2u) { sum += value_across(sum, mask); }
    sum += value_across(sum, 8u);
    return sum + value_across(sum, 16u);
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

// A step of half of a word's weights, from vector `first` on, by the sums of their gradients.
fn step_half(
    word: u32,
    first: u32,
    sums: array<vec4<f32>, 8>,
    before: array<vec4<f32>, 8>,
    kept: array<array<vec2<f32>, 4>, 8>,
) {
    for (var i = 0u; i < half; i++) {
        let k = 4u * word + (first + i) / vectors;
        let mean = sums[i] * (word_scale / batch.divisor);
        weights[(first + i) * words + word] = step_four(k, 4u * (i % vectors), before[i], kept[i], mean);
    }
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
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
    // Rows from batch_size on are not written later.
    for (var i = lane; i < row_vectors; i += lanes) { d0[i] = vec4<f32>(); }
    let first = batches[group.z].index;
    let last = first + batches[group.z].rows - 1u;
    if lane == 0u { following = steps[first]; }
    if lane < padded_rows { numbers[lane] = number_of(first, lane); }
    workgroupBarrier();

    let slice = lane % slices;
    let group_start = min(lane / slices, groups - 1u) * group_rows;
    // In waves: the invocation's row of the batch, and its unit.
    let own_row = group_start + lane % 8u / across;
    let own_unit = 4u * (lane % across) + 2u * (lane / 8u % 2u) + lane / 16u % 2u;
    let has_row = lane / slices < groups;
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
        if in_waves {
            for (var turn = 0u; turn < class_turns; turn++) {
                wanted[turn] = answer(numbers[mine + own_row], min(turn * row_lanes + own_unit, classes - 1u));
            }
        } else {
            for (var turn = 0u; turn < value_turns; turn++) {
                let i = min(turn * lanes + lane, outputs_values - 1u);
                wanted[turn] = answer(numbers[mine + i / classes], i % classes);
            }
        }

        var odd: array<u32, MAX_ODD>;
        for (var w = 0u; w < odd_words; w++) { odd[w] = word_of(numbers[mine + own_row], words - odd_words + w); }

        var sums: array<vec4<f32>, 8>;
        for (var turn = 0u; turn < turns; turn++) {
            let word = slice + turn * slices;
            var x: array<vec4<f32>, 8>;
            for (var r = 0u; r < group_rows; r++) {
                if is_words {
                    x[r] = bytes_of(ahead[r]);
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
                        sums[r * across + v] = add_units(sums[r * across + v], x[r][i], w, v);
                    }
                }
            }
        }
        for (var i = 0u; i < 4u; i++) { sums[i] = exchanged(sums[i], sums[i + 4u], lane, 4u); }
        for (var i = 0u; i < 2u; i++) { sums[i] = exchanged(sums[i], sums[i + 2u], lane, 2u); }
        let both = exchanged(sums[0], sums[1], lane, 1u);
        if lane < padded_rows { numbers[other + lane] = next_number; }
        if in_waves {
            let is_upper = (lane & 8u) != 0u;
            let low = vec2<f32>(both.x, both.y);
            let high = vec2<f32>(both.z, both.w);
            let pair = select(low, high, is_upper) + pair_across(select(high, low, is_upper), 8u);
            let is_second = (lane & 16u) != 0u;
            var product = select(pair.x, pair.y, is_second) + value_across(select(pair.y, pair.x, is_second), 16u);
            let j = min(own_unit, hidden - 1u);
            for (var w = 0u; w < odd_words; w++) {
                let x = bytes_of(odd[w]);
                let at = j / 4u * words + words - odd_words + w;
                for (var i = 0u; i < 4u; i++) { product += x[i] * weights[i * vectors * words + at][j % 4u]; }
            }
            let sum = product * word_scale + rest[j];
            let unit = activate(sum);

            var units: array<f32, MAX_UNITS>;
            for (var i = 0u; i < hidden; i++) { units[i] = value_of(unit, lane_of(member, i)); }
            var values: array<f32, MAX_TURNS>;
            var largest = LOWEST;
            for (var turn = 0u; turn < class_turns; turn++) {
                let c = turn * row_lanes + own_unit;
                let at = min(c, classes - 1u);
                var value = 0.0;
                for (var i = 0u; i < hidden; i++) { value += units[i] * rest[hidden + i * classes + at]; }
                values[turn] = value + rest[hidden + hidden * classes + at];
                if c < classes { largest = max(largest, values[turn]); }
            }
            if IS_SOFTMAX {
                largest = largest_of_row(largest);
                var own = 0.0;
                for (var turn = 0u; turn < class_turns; turn++) {
                    values[turn] = exponential(values[turn] - largest);
                    if turn * row_lanes + own_unit < classes { own += values[turn]; }
                }
                let all = sum_of_row(own);
                for (var turn = 0u; turn < class_turns; turn++) { values[turn] /= all; }
            }
            for (var turn = 0u; turn < class_turns; turn++) {
                let c = turn * row_lanes + own_unit;
                values[turn] = value_gradient(values[turn], c, wanted[turn]);
                if has_row && own_row < rows && c < classes { outputs[own_row * classes + c] = values[turn]; }
            }

            var gradient = 0.0;
            for (var turn = 0u; turn < class_turns; turn++) {
                for (var i = 0u; i < min(row_lanes, classes - turn * row_lanes); i++) {
                    let value = value_of(values[turn], lane_of(member, i));
                    gradient += value * rest[hidden + j * classes + turn * row_lanes + i];
                }
            }
            if has_row && own_row < batch_size && own_unit < width {
                let is_there = own_row < rows && own_unit < hidden;
                let delta = activate_backward(gradient, select(unit, sum, SAVES_INPUT));
                set_unit(own_row * vectors + own_unit / 4u, own_unit % 4u, select(0.0, unit, is_there));
                set_delta(own_row * vectors + own_unit / 4u, own_unit % 4u, select(0.0, delta, is_there));
            }
        } else {
            partials[lane] = both;
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
                    sum = sum * word_scale + rest[j];
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
                for (var at = 0u; at < rows_each; at += TOGETHER) {
                    let start = part * rows_each + at;
                    var raw: array<u32, TOGETHER>;
                    if is_words {
                        for (var r = 0u; r < TOGETHER; r++) { raw[r] = data[numbers[mine + start + r] * (inputs / 4u) + word]; }
                    }
                    for (var r = 0u; r < TOGETHER; r++) {
                        var x: vec4<f32>;
                        if is_words { x = bytes_of(raw[r]); } else { x = quad(numbers[mine + start + r], 4u * word); }
                        for (var v = 0u; v < vectors; v++) {
                            let d = d0[(start + r) * vectors + v];
                            near[v] = add_units(near[v], x.x, d, v);
                            near[vectors + v] = add_units(near[vectors + v], x.y, d, v);
                            far[v] = add_units(far[v], x.z, d, v);
                            far[vectors + v] = add_units(far[vectors + v], x.w, d, v);
                        }
                    }
                }
            }
            if block == 0u { step_rest(lane, rows); }
            if row_slices == 2u {
                // Each of a word's two slices steps a half of its weights, of which it gets the other's sums by their place.
                let is_far = part == 1u;
                let first = select(0u, half, is_far);
                var before: array<vec4<f32>, 8>;
                if has_word {
                    for (var i = 0u; i < half; i++) { before[i] = weights[(first + i) * words + word]; }
                }
                workgroupBarrier();
                var sums: array<vec4<f32>, 8>;
                var kept: array<array<vec2<f32>, 4>, 8>;
                if has_word {
                    for (var i = 0u; i < half; i++) {
                        weights[(half - first + i) * words + word] = select(far[i], near[i], is_far);
                        sums[i] = select(near[i], far[i], is_far);
                    }
                    for (var i = 0u; i < half; i++) {
                        kept[i] = kept_of_four(4u * word + (first + i) / vectors, 4u * (i % vectors));
                    }
                }
                workgroupBarrier();
                if has_word {
                    for (var i = 0u; i < half; i++) { sums[i] += weights[(first + i) * words + word]; }
                    step_half(word, first, sums, before, kept);
                }
                continue;
            }
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
                if has_all { step_half(word, first, near, before, kept); }
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
