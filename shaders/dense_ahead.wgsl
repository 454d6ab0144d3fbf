// The update of a first layer, then its product for the next batch: shared/ahead.wgsl says more. For GPUs, where a launch costs
// more than to add up parts of sums.
//   a step of W and the biases, which lie behind it, by x^T d / divisor; a part of x W + biases
//
// data, order: as in shared/narrow.wgsl. deltas: rows x outputs, the gradient at the layer's output. parameters: W (inputs x
// outputs) and the biases from `offset` on of the member's. sums: member by member parts x room x outputs, rows in whole vectors.
//
// A workgroup has `units` outputs, too. Neighbours load and step weights that lie side by side. An invocation sums the gradients of
// 4 x 4 weights over a slice of the rows; of the product it has four outputs of `each_rows` rows.
//
// uses: ahead, own_parameters, own_rows, optimizer

override outputs: u32;
override offset: u32;
// Whole vectors
override units: u32;
override unit_vectors: u32 = units / 4u;
override unit_groups: u32 = (outputs + units - 1u) / units;
override sum_vectors: u32 = (outputs + 3u) / 4u;
override weight_values: u32 = span * units;
override weight_turns: u32 = (weight_values + lanes - 1u) / lanes;
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
const MAX_WEIGHT_TURNS = 4u;
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

// The weight that the invocation has in a turn, of the workgroup's, which are counted input by input.
fn weight_of(turn: u32, lane: u32) -> u32 {
    return min(turn * lanes + lane, weight_values - 1u);
}

// Whether the layer has that weight, where the workgroup's inputs begin at k and its outputs at n.
fn is_weight(weight: u32, k: u32, n: u32) -> bool {
    return k + weight / units <= inputs && n + weight % units < outputs;
}

// Where it lies; beyond the ends that of the last one.
fn place_of(weight: u32, k: u32, n: u32) -> u32 {
    let first = own_parameters() + offset;
    return first + min(k + weight / units, inputs) * outputs + min(n + weight % units, outputs - 1u);
}

fn set_weight(at: u32, component: u32, value: f32) {
    switch component {
        case 0u: { weights[at].x = value; }
        case 1u: { weights[at].y = value; }
        case 2u: { weights[at].z = value; }
        default: { weights[at].w = value; }
    }
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
    let following = numbers_of(select(batch.first, batch.first + rows, next_rows > 0u), next_rows, lane);
    let numbers = numbers_of(batch.first, rows, lane);

    var values: array<f32, MAX_WEIGHT_TURNS>;
    var kept: array<vec2<f32>, MAX_WEIGHT_TURNS>;
    for (var turn = 0u; turn < weight_turns; turn++) {
        let at = place_of(weight_of(turn, lane), k, n);
        values[turn] = parameters[at];
        kept[turn] = kept_of(at);
    }
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
            for (var i = 0u; i < 4u; i++) {
                partial[(slice * span + 4u * word + i) * unit_vectors + vector] = gradients[i];
            }
        }
        workgroupBarrier();
        for (var turn = 0u; turn < weight_turns; turn++) {
            let weight = weight_of(turn, lane);
            if !is_weight(weight, k, n) { continue; }
            let at = place_of(weight, k, n);
            var gradient = 0.0;
            for (var s = 0u; s < slices; s++) { gradient += partial[s * weight_vectors + weight / 4u][weight % 4u]; }
            values[turn] = step_from(at, values[turn], kept[turn], gradient / batch.divisor, k + weight / units == inputs);
            parameters[at] = values[turn];
        }
    }
    if next_rows == 0u { return; }
    for (var turn = 0u; turn < weight_turns; turn++) {
        let weight = weight_of(turn, lane);
        if turn * lanes + lane < weight_values {
            set_weight(weight / 4u, weight % 4u, select(0.0, values[turn], is_weight(weight, k, n)));
        }
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
