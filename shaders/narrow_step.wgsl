// A whole step of training a network with one narrow hidden layer, in one dispatch:
//   h = activate(x W0 + b0), d1 = the loss's gradient at h W1 + b1, d0 = that before the activation, from d1 W1^T,
//   a step of W0 by x^T d0 / divisor, of b0 by the sum of d0's rows / divisor, of W1 and b1 by the same of h and d1,
//   and x W0 + b0 for the member's next batch, with the new W0 and b0: shared/ahead.wgsl says more
// For GPUs with subgroups, where a launch costs more than to do the same in several workgroups.
//
// All workgroups add the parts of x W0 + b0 up that the dispatch before made, and go on to d0, each by itself; then each steps
// its own rows of W0, and the last one W1 and b1 instead. Neighbours, `row_lanes` of them, have a row and share a subgroup: one
// has a unit, and a value of the last layer in turns.
//
// data, targets, order, parameters: as in shared/narrow.wgsl. sums: member by member two halves, in turn of this batch and of
// the next: the parts of x W0 + b0, one after the other (room x hidden each), then W1 and b1. These two are also written where
// they belong, but the last workgroup must not change what others may still read.
//
// uses: ahead, own_parameters, activation, dropout, head, exponential, weights, optimizer

override hidden: u32;
// Classes, or values of a row
override classes: u32;
override w0: u32;
override w1: u32;
// 8, 16 or 32, no fewer than `hidden`. There are at least as many invocations for each of `room` rows, and one for each weight
// of W0 that a workgroup has.
override row_lanes: u32;
override class_turns: u32 = (classes + row_lanes - 1u) / row_lanes;
override part_values: u32 = room * hidden;
override outputs_values: u32 = room * classes;
override rest_values: u32 = (hidden + 1u) * classes;
override half_values: u32 = parts * part_values + rest_values;
override weights_vectors: u32 = hidden * words;
override deltas_vectors: u32 = hidden * row_vectors;
// Slices of the rows in the update of W0, and of the rest
override slices: u32;
override slice_turns: u32 = (row_vectors + slices - 1u) / slices;
override rest_slices: u32;
override partial_values: u32;

const MAX_TURNS = 8u;
const MAX_UNITS = 32u;
// Below all values.
const LOWEST = -3.4028234e38;

@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

// hidden x words: W0, four inputs a vector
var<workgroup> weights: array<vec4<f32>, weights_vectors>;
// hidden x row_vectors: d0, four rows a vector; 0 beyond the batch
var<workgroup> deltas: array<vec4<f32>, deltas_vectors>;
// room x hidden: h
var<workgroup> units: array<f32, part_values>;
// room x classes: d1, 0 beyond the batch
var<workgroup> outputs: array<f32, outputs_values>;
// W1, b1, which lie side by side
var<workgroup> rest: array<f32, rest_values>;
// Sums of the slices
var<workgroup> partial: array<f32, partial_values>;

fn set_weight(at: u32, component: u32, value: f32) {
    switch component {
        case 0u: { weights[at].x = value; }
        case 1u: { weights[at].y = value; }
        case 2u: { weights[at].z = value; }
        default: { weights[at].w = value; }
    }
}

fn set_delta(at: u32, component: u32, value: f32) {
    switch component {
        case 0u: { deltas[at].x = value; }
        case 1u: { deltas[at].y = value; }
        case 2u: { deltas[at].z = value; }
        default: { deltas[at].w = value; }
    }
}

// Where the half begins that has what was made for the batch from place `first` of the order on.
fn half_of(first: u32) -> u32 {
    return (2u * batch.member + first / room % 2u) * half_values;
}

// The largest of what a row's invocations have, and the sum.
fn largest_of_row(own: f32) -> f32 {
    var largest = own;
    for (var mask = 1u; mask < row_lanes; mask *= 2u) { largest = max(largest, subgroupShuffleXor(largest, mask)); }
    return largest;
}

fn sum_of_row(own: f32) -> f32 {
    var sum = own;
    for (var mask = 1u; mask < row_lanes; mask *= 2u) { sum += subgroupShuffleXor(sum, mask); }
    return sum;
}

// What the invocation's unit is made from: the parts in the half of sums that begins at `now`, added up. Where a batch has no rows,
// others write there, and nobody uses the sum.
fn sum_of_parts(now: u32, lane: u32) -> f32 {
    let at = now + min(lane / row_lanes, room - 1u) * hidden + min(lane % row_lanes, hidden - 1u);
    var sum = 0.0;
    for (var part = 0u; part < parts; part++) { sum += sums[at + part * part_values]; }
    return sum;
}

// What the invocation's row should give at its values of the last layer, and the row's weight; `source` is its number in the
// data set.
struct Wanted { answers: array<u32, MAX_TURNS>, weight: f32 }

fn wanted_of(source: u32, lane: u32) -> Wanted {
    var wanted: Wanted;
    for (var turn = 0u; turn < class_turns; turn++) {
        wanted.answers[turn] = answer(source, min(turn * row_lanes + lane % row_lanes, classes - 1u));
    }
    wanted.weight = row_weight(source);
    return wanted;
}

// h, d1 and d0 of the batch.
fn backward(sum: f32, wanted: Wanted, now: u32, rows: u32, lane: u32, member: u32) {
    let row = min(lane / row_lanes, room - 1u);
    let first_of_row = member / row_lanes * row_lanes;
    let own = lane % row_lanes;
    let j = min(own, hidden - 1u);
    for (var i = lane; i < rest_values; i += lanes) { rest[i] = sums[now + parts * part_values + i]; }
    if room % 4u != 0u {
        for (var i = lane; i < deltas_vectors; i += lanes) { deltas[i] = vec4<f32>(); }
    }
    workgroupBarrier();
    let unit = dropped(activate(sum), row, j);

    var all_units: array<f32, MAX_UNITS>;
    for (var i = 0u; i < hidden; i++) { all_units[i] = subgroupShuffle(unit, first_of_row + i); }
    var values: array<f32, MAX_TURNS>;
    var largest = LOWEST;
    for (var turn = 0u; turn < class_turns; turn++) {
        let c = turn * row_lanes + own;
        let at = min(c, classes - 1u);
        var value = rest[hidden * classes + at];
        for (var i = 0u; i < hidden; i++) { value += all_units[i] * rest[i * classes + at]; }
        values[turn] = value;
        if c < classes { largest = max(largest, value); }
    }
    if IS_SOFTMAX {
        largest = largest_of_row(largest);
        var exponents = 0.0;
        for (var turn = 0u; turn < class_turns; turn++) {
            values[turn] = exponential(values[turn] - largest);
            if turn * row_lanes + own < classes { exponents += values[turn]; }
        }
        exponents = sum_of_row(exponents);
        for (var turn = 0u; turn < class_turns; turn++) { values[turn] /= exponents; }
    }
    let has_row = lane < room * row_lanes;
    for (var turn = 0u; turn < class_turns; turn++) {
        let c = turn * row_lanes + own;
        values[turn] = select(0.0, wanted.weight * value_gradient(values[turn], c, wanted.answers[turn]), row < rows);
        if has_row && c < classes { outputs[row * classes + c] = values[turn]; }
    }

    var gradient = 0.0;
    for (var turn = 0u; turn < class_turns; turn++) {
        for (var i = 0u; i < min(row_lanes, classes - turn * row_lanes); i++) {
            gradient += subgroupShuffle(values[turn], first_of_row + i) * rest[j * classes + turn * row_lanes + i];
        }
    }
    let delta = activate_backward(dropped(gradient, row, j), select(undropped(unit), sum, SAVES_INPUT));
    if has_row && own < hidden {
        units[row * hidden + j] = unit;
        set_delta(j * row_vectors + row / 4u, row % 4u, select(0.0, delta, row < rows));
    }
}

// The gradient of value i of W1 and b1, of the rows from `start` to `end` - 1.
fn rest_gradient(i: u32, start: u32, end: u32) -> f32 {
    let j = i / classes;
    let c = i % classes;
    var sum = 0.0;
    for (var r = start; r < end; r++) {
        sum += select(1.0, units[r * hidden + min(j, hidden - 1u)], j < hidden) * outputs[r * classes + c];
    }
    return sum;
}

// A step of W1 and b1, by all invocations of a workgroup; for the next batch they go to the half from `next` on, too, if there is
// one.
fn step_rest(next: u32, has_next: bool, lane: u32) {
    let own = own_parameters() + w1;
    let slice = lane / min(rest_values, lanes);
    let each = (room + rest_slices - 1u) / rest_slices;
    for (var first = 0u; first < rest_values; first += lanes) {
        let i = first + lane % min(rest_values, lanes);
        let has_one = i < rest_values && slice < rest_slices;
        if has_one { partial[lane] = rest_gradient(i, min(slice * each, room), min((slice + 1u) * each, room)); }
        workgroupBarrier();
        if has_one && slice == 0u {
            var sum = 0.0;
            for (var s = 0u; s < rest_slices; s++) { sum += partial[s * rest_values + lane]; }
            let value = step(own + i, rest[i], sum / batch.divisor, i >= hidden * classes);
            parameters[own + i] = value;
            if has_next { sums[next + parts * part_values + i] = value; }
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let rows = batches[group.z].rows;
    let next_rows = batches[group.z].index;
    let now = half_of(batch.first);
    let next = half_of(batch.first + rows);
    let k = group.x * span;
    // What is waited for twice begins first. The last workgroup loads what it does not need.
    let source = number_of(batch.first, rows, lane / row_lanes);
    let following = numbers_of_next(lane);
    let numbers = numbers_of(batch.first, rows, lane);
    // The workgroup's weights lie side by side, and b0 behind them: an invocation has one.
    let input = k + lane / hidden;
    let has_weight = lane < span * hidden && input <= inputs;
    let at = own_parameters() + w0 + min(k * hidden + lane, (inputs + 1u) * hidden - 1u);
    var weight = parameters[at];
    let kept = kept_of(at);
    let sum = sum_of_parts(now, lane);
    let wanted = wanted_of(source, lane);
    let ahead = load(following, k, lane);
    var loaded: Loaded;
    if rows > 0u {
        loaded = load(numbers, k, lane);
        backward(sum, wanted, now, rows, lane, member);
    }
    if group.x == parts {
        if rows > 0u {
            workgroupBarrier();
            step_rest(next, next_rows > 0u, lane);
        } else {
            for (var i = lane; i < rest_values; i += lanes) {
                sums[next + parts * part_values + i] = parameters[own_parameters() + w1 + i];
            }
        }
        return;
    }
    if rows > 0u {
        put(loaded, k, lane);
        workgroupBarrier();
        // The gradients of a word's inputs at a unit, of some of the rows.
        let word = lane % words;
        let j = lane / words % hidden;
        let slice = lane / weights_vectors;
        if slice < slices {
            var gradients: vec4<f32>;
            for (var turn = 0u; turn < slice_turns; turn++) {
                let vector = slice + turn * slices;
                if vector >= row_vectors { break; }
                let delta = deltas[j * row_vectors + vector];
                let first = 4u * vector * words + word;
                gradients = fma(x[first], vec4<f32>(delta.x), gradients);
                gradients = fma(x[first + words], vec4<f32>(delta.y), gradients);
                gradients = fma(x[first + 2u * words], vec4<f32>(delta.z), gradients);
                gradients = fma(x[first + 3u * words], vec4<f32>(delta.w), gradients);
            }
            for (var i = 0u; i < 4u; i++) {
                partial[(slice * span + 4u * word + i) * hidden + j] = gradients[i];
            }
        }
        workgroupBarrier();
        if has_weight {
            var gradient = 0.0;
            for (var s = 0u; s < slices; s++) { gradient += partial[s * span * hidden + lane]; }
            weight = step_from(at, weight, kept, gradient / batch.divisor, input == inputs);
            parameters[at] = weight;
        }
    }
    if next_rows == 0u { return; }
    if lane < span * hidden {
        let i = lane / hidden;
        set_weight(lane % hidden * words + i / 4u, i % 4u, select(0.0, weight, has_weight));
    }
    put(ahead, k, lane);
    workgroupBarrier();
    if lane < part_values {
        let row = lane / hidden;
        let j = lane % hidden;
        var products: vec4<f32>;
        for (var word = 0u; word < words; word++) {
            products = fma(x[row * words + word], weights[j * words + word], products);
        }
        sums[next + group.x * part_values + lane] = (products.x + products.y) + (products.z + products.w);
    }
}
