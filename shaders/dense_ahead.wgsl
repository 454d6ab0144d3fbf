// The update of a first layer, then its product for the next batch: shared/ahead.wgsl says more. For GPUs, where a launch costs
// more than to add up parts of sums.
//   a step of W and the biases, which lie behind it, by x^T d / divisor; a part of x W + biases
//
// data, order: as in shared/narrow.wgsl. deltas: rows x outputs, the gradient at the layer's output. parameters: W (inputs x
// outputs) and the biases from `offset` on of the member's. sums: member by member parts x room x outputs, rows in whole vectors.
//
// A workgroup has `units` outputs, too. An invocation has four of their weights; for the update 4 x 4 of them and a slice of the
// rows, for the product four outputs of `each_rows` rows.
//
// uses: ahead, own_parameters, own_rows, optimizer

override outputs: u32;
override offset: u32;
// Whole vectors
override units: u32;
override unit_vectors: u32 = units / 4u;
override unit_groups: u32 = (outputs + units - 1u) / units;
override sum_vectors: u32 = (outputs + 3u) / 4u;
// At most one vector for each invocation
override weight_vectors: u32 = span * unit_vectors;
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
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<vec4<f32>>;

// span x unit_vectors
var<workgroup> weights: array<vec4<f32>, weight_vectors>;
// room x unit_vectors; 0 beyond the batch
var<workgroup> d: array<vec4<f32>, delta_vectors>;
// slices x span x unit_vectors
var<workgroup> partial: array<vec4<f32>, partial_vectors>;

// Where the weight of an input and an output lies; beyond their ends the last one's place.
fn place_of(input: u32, unit: u32) -> u32 {
    return own_parameters() + offset + min(input, inputs) * outputs + min(unit, outputs - 1u);
}

// Which of four outputs there are.
fn are_outputs(unit: u32) -> vec4<bool> {
    return vec4<u32>(unit, unit + 1u, unit + 2u, unit + 3u) < vec4<u32>(outputs);
}

// The gradient of a row at four outputs, 0 beyond the ends.
fn four_deltas(row: u32, unit: u32) -> vec4<f32> {
    let at = own_rows(outputs) + min(row, batch.rows - 1u) * outputs;
    let last = outputs - 1u;
    let all = vec4<f32>(
        deltas[at + min(unit, last)],
        deltas[at + min(unit + 1u, last)],
        deltas[at + min(unit + 2u, last)],
        deltas[at + min(unit + 3u, last)],
    );
    return select(vec4<f32>(), all, are_outputs(unit) & vec4<bool>(row < batch.rows));
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
    let following = numbers_of(batch.first + rows, max(next_rows, 1u), lane);
    let numbers = numbers_of(batch.first, max(rows, 1u), lane);

    let input = k + lane / unit_vectors;
    let unit = n + 4u * (lane % unit_vectors);
    let has_weights = lane < weight_vectors && input <= inputs;
    var values = vec4<f32>(
        parameters[place_of(input, unit)],
        parameters[place_of(input, unit + 1u)],
        parameters[place_of(input, unit + 2u)],
        parameters[place_of(input, unit + 3u)],
    );
    let ahead = load(following, k, lane);
    if rows > 0u {
        let kept = array<vec2<f32>, 4>(
            kept_of(place_of(input, unit)),
            kept_of(place_of(input, unit + 1u)),
            kept_of(place_of(input, unit + 2u)),
            kept_of(place_of(input, unit + 3u)),
        );
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
            for (var i = 0u; i < 4u; i++) {
                partial[(slice * span + 4u * word + i) * unit_vectors + vector] = gradients[i];
            }
        }
        workgroupBarrier();
        if has_weights {
            var gradient: vec4<f32>;
            for (var s = 0u; s < slices; s++) { gradient += partial[s * weight_vectors + lane]; }
            for (var i = 0u; i < 4u; i++) {
                if unit + i >= outputs { break; }
                let at = place_of(input, unit + i);
                values[i] = step_from(at, values[i], kept[i], gradient[i] / batch.divisor, input == inputs);
                parameters[at] = values[i];
            }
        }
    }
    if next_rows == 0u { return; }
    if lane < weight_vectors {
        weights[lane] = select(vec4<f32>(), values, are_outputs(unit) & vec4<bool>(has_weights));
    }
    put(ahead, k, lane);
    workgroupBarrier();
    for (var block = lane; block < blocks; block += lanes) {
        let vector = block % unit_vectors;
        let row = block / unit_vectors * each_rows;
        var products: array<vec4<f32>, MAX_ROWS>;
        for (var word = 0u; word < words; word++) {
            let at = 4u * word * unit_vectors + vector;
            let w = mat4x4<f32>(
                weights[at],
                weights[at + unit_vectors],
                weights[at + 2u * unit_vectors],
                weights[at + 3u * unit_vectors],
            );
            for (var r = 0u; r < each_rows; r++) {
                let four = x[min(row + r, room - 1u) * words + word];
                var product = fma(vec4<f32>(four.x), w[0], products[r]);
                product = fma(vec4<f32>(four.y), w[1], product);
                product = fma(vec4<f32>(four.z), w[2], product);
                products[r] = fma(vec4<f32>(four.w), w[3], product);
            }
        }
        if n / 4u + vector >= sum_vectors { continue; }
        for (var r = 0u; r < each_rows; r++) {
            if row + r >= room { break; }
            sums[((batch.member * parts + part) * room + row + r) * sum_vectors + n / 4u + vector] = products[r];
        }
    }
}
