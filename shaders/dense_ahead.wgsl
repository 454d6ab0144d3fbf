// The update of a first layer, then its product for the next batch: shared/ahead.wgsl says more. For GPUs, where a launch costs
// more than to add up parts of sums.
//   a step of W and the biases, which lie behind it, by x^T d / divisor; a part of x W + biases
//
// data, order: as in shared/narrow.wgsl. deltas: rows x outputs, the gradient at the layer's output; deltas4: again in vectors of
// four. c: the member's parameters, W (inputs x outputs) and the biases from `offset` on. sums: member by member parts x room
// rows, of unit_groups x unit_vectors vectors: a vector has four outputs of a workgroup, `unit_vectors` apart.
//
// A workgroup has `units` outputs, too. An invocation has weights of four inputs at one of them, so that neighbours load what lies
// side by side. It sums the gradients of 4 x 4 weights over a slice of the rows, and makes a vector of the sums of `each_rows` rows.
//
// uses: ahead, own_parameters, own_rows, optimizer

override outputs: u32;
override offset: u32;
// Whole vectors
override units: u32;
override unit_vectors: u32 = units / 4u;
override unit_groups: u32 = (outputs + units - 1u) / units;
override sum_vectors: u32 = unit_groups * unit_vectors;
// Whether rows of deltas are whole vectors
override has_quads: bool = outputs % 4u == 0u;
// At most one vector for each invocation
override weight_vectors: u32 = words * units;
override delta_vectors: u32 = room * unit_vectors;
override delta_turns: u32 = (delta_vectors + lanes - 1u) / lanes;
override slices: u32;
override slice_rows: u32 = (room + slices - 1u) / slices;
override partial_vectors: u32 = slices * weight_vectors;
// At most MAX_ROWS
override each_rows: u32;
override blocks: u32 = (room + each_rows - 1u) / each_rows * unit_vectors;

const MAX_ROWS = 4u;
const MAX_DELTA_TURNS = 8u;

@group(0) @binding(3) var<storage, read> deltas: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> deltas4: array<vec4<f32>>;

// slices x words x units: first, since in a joined shader others share what is first
var<workgroup> partial: array<vec4<f32>, partial_vectors>;
// words x units, four inputs a vector
var<workgroup> weights: array<vec4<f32>, weight_vectors>;
// room x unit_vectors; 0 beyond the batch
var<workgroup> d: array<vec4<f32>, delta_vectors>;

// Where the weight of an input and an output lies; beyond their ends the last one's place.
fn place_of(input: u32, unit: u32) -> u32 {
    return own_parameters() + offset + min(input, inputs) * outputs + min(unit, outputs - 1u);
}

// The gradient of a row at four outputs, 0 beyond the ends.
fn four_deltas(row: u32, unit: u32) -> vec4<f32> {
    let is_row = row < batch.rows;
    let at = own_rows(outputs) + min(row, batch.rows - 1u) * outputs;
    if has_quads {
        return select(vec4<f32>(), deltas4[(at + min(unit, outputs - 4u)) / 4u], is_row && unit < outputs);
    }
    let last = outputs - 1u;
    let all = vec4<f32>(
        deltas[at + min(unit, last)],
        deltas[at + min(unit + 1u, last)],
        deltas[at + min(unit + 2u, last)],
        deltas[at + min(unit + 3u, last)],
    );
    let are_outputs = vec4<u32>(unit, unit + 1u, unit + 2u, unit + 3u) < vec4<u32>(outputs);
    return select(vec4<f32>(), all, are_outputs & vec4<bool>(is_row));
}

// A step of the weight of an input and an output, if there is such an input.
fn stepped(input: u32, unit: u32, value: f32, kept: vec2<f32>, gradient: f32) -> f32 {
    if input > inputs { return value; }
    let at = place_of(input, unit);
    let after = step_from(at, value, kept, gradient, input == inputs);
    c[at] = after;
    return after;
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let rows = batches[group.z].rows;
    let next_rows = batches[group.z].index;
    let part = group.x / unit_groups;
    let k = part * span;
    let n = group.x % unit_groups * units;
    let following = numbers_of_next(lane);
    let numbers = numbers_of(batch.first, rows, lane);

    let input = k + 4u * (lane / units);
    let unit = n + lane % units;
    let has_weights = lane < weight_vectors && unit < outputs;
    var values = vec4<f32>(
        c[place_of(input, unit)],
        c[place_of(input + 1u, unit)],
        c[place_of(input + 2u, unit)],
        c[place_of(input + 3u, unit)],
    );
    let kept = array<vec2<f32>, 4>(
        kept_of(place_of(input, unit)),
        kept_of(place_of(input + 1u, unit)),
        kept_of(place_of(input + 2u, unit)),
        kept_of(place_of(input + 3u, unit)),
    );
    let ahead = load(following, k, lane);
    if rows > 0u {
        var loaded_deltas: array<vec4<f32>, MAX_DELTA_TURNS>;
        for (var turn = 0u; turn < delta_turns; turn++) {
            let i = min(turn * lanes + lane, delta_vectors - 1u);
            loaded_deltas[turn] = four_deltas(i / unit_vectors, n + 4u * (i % unit_vectors));
        }
        let loaded = load(numbers, k, lane);
        for (var turn = 0u; turn < delta_turns; turn++) {
            let i = turn * lanes + lane;
            if i < delta_vectors { d[i] = loaded_deltas[turn]; }
        }
        put(loaded, k, lane);
        workgroupBarrier();
        let word = lane % words;
        let vector = lane / words % unit_vectors;
        let slice = lane / (words * unit_vectors);
        if slice < slices {
            var gradients: mat4x4<f32>;
            for (var i = 0u; i < slice_rows; i++) {
                let row = slice * slice_rows + i;
                if row >= room { break; }
                let inputs_of_row = x[row * words + word];
                let delta = d[row * unit_vectors + vector];
                gradients[0] = fma(vec4<f32>(inputs_of_row.x), delta, gradients[0]);
                gradients[1] = fma(vec4<f32>(inputs_of_row.y), delta, gradients[1]);
                gradients[2] = fma(vec4<f32>(inputs_of_row.z), delta, gradients[2]);
                gradients[3] = fma(vec4<f32>(inputs_of_row.w), delta, gradients[3]);
            }
            let by_unit = transpose(gradients);
            for (var i = 0u; i < 4u; i++) {
                partial[(slice * words + word) * units + 4u * vector + i] = by_unit[i];
            }
        }
        workgroupBarrier();
        if has_weights {
            var gradient: vec4<f32>;
            for (var s = 0u; s < slices; s++) { gradient += partial[s * weight_vectors + lane]; }
            gradient /= batch.divisor;
            values.x = stepped(input, unit, values.x, kept[0], gradient.x);
            values.y = stepped(input + 1u, unit, values.y, kept[1], gradient.y);
            values.z = stepped(input + 2u, unit, values.z, kept[2], gradient.z);
            values.w = stepped(input + 3u, unit, values.w, kept[3], gradient.w);
        }
    }
    if next_rows == 0u { return; }
    if lane < weight_vectors {
        let are_inputs = vec4<u32>(input, input + 1u, input + 2u, input + 3u) <= vec4<u32>(inputs);
        weights[lane] = select(vec4<f32>(), values, are_inputs & vec4<bool>(has_weights));
    }
    put(ahead, k, lane);
    workgroupBarrier();
    let first = (batch.member * parts + part) * room;
    for (var block = lane; block < blocks; block += lanes) {
        let vector = block % unit_vectors;
        let row = block / unit_vectors * each_rows;
        var products: array<vec4<f32>, MAX_ROWS>;
        for (var word = 0u; word < words; word++) {
            let at = word * units + vector;
            let w = transpose(mat4x4<f32>(
                weights[at],
                weights[at + unit_vectors],
                weights[at + 2u * unit_vectors],
                weights[at + 3u * unit_vectors],
            ));
            for (var r = 0u; r < each_rows; r++) {
                let four = x[min(row + r, room - 1u) * words + word];
                var product = fma(vec4<f32>(four.x), w[0], products[r]);
                product = fma(vec4<f32>(four.y), w[1], product);
                product = fma(vec4<f32>(four.z), w[2], product);
                products[r] = fma(vec4<f32>(four.w), w[3], product);
            }
        }
        for (var r = 0u; r < each_rows; r++) {
            if row + r >= room { break; }
            sums[(first + row + r) * sum_vectors + n / 4u + vector] = products[r];
        }
    }
}
