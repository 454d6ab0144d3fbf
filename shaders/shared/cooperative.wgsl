// Products with mixed precision: operands are rounded to 16 bits, their products summed in 32 bits by the matrix units.
//
// A workgroup makes a tile of the result with `down` x `across` subgroups, each of which makes 2 x 4 cooperative matrices
// of it. Operands come by workgroup memory, `terms` of the sum's terms at a time, the next ones under way meanwhile; the
// results go back by workgroup memory too, as only the driver knows which invocation holds which value.
//
// Where an update's biases would take a row of tiles by themselves, the first row of tiles sums them up beside its own
// (`biases_aside`).
//
// Who uses this declares left_operand and right_operand, of `left_units` and `right_units` in units of UNIT values, `put_left`
// and `put_right`, which write four values at a place counted in fours, and `right_value`, which reads one.
//
// uses: layer

override down: u32;
override across: u32;
override subgroup: u32;
override lanes: u32;
override tile_m: u32 = 2u * SIDE * down;
override tile_n: u32 = 4u * SIDE * across;
override m_quads: u32 = tile_m / 4u;
override n_quads: u32 = tile_n / 4u;
override terms: u32;
override biases_aside: bool;
override k_quads: u32 = terms / 4u;
// Rows of operands in workgroup memory, in vectors: two more than they have, so that neighbours use different banks.
override left_row: u32 = m_quads + 2u;
override right_row: u32 = n_quads + 2u;
override blocks: u32 = k_quads * (m_quads + n_quads);
override loads: u32 = (blocks + lanes - 1u) / lanes;

// Loads of an invocation a step, at most.
const LOADS = 8u;

// A row a term.
override left_units: u32 = terms * left_row * 4u / UNIT;
override right_units: u32 = terms * right_row * 4u / UNIT;
// A matrix for each subgroup
override result_values: u32 = SIDE * SIDE * down * across;
var<workgroup> results: array<f32, result_values>;

// Of a tile, blocks of 4 rows or columns by 4 terms: first those of the left operand.
struct Block { of_a: bool, q: u32, k: u32 }

fn place(number: u32) -> Block {
    let of_a = number < k_quads * m_quads;
    let i = select(number - k_quads * m_quads, number, of_a);
    let quads = select(n_quads, m_quads, of_a);
    // Neighbours read what lies side by side in memory.
    let by_term = select(product == INPUT_GRADIENT, product != UPDATE, of_a);
    return Block(of_a, select(i % quads, i / k_quads, by_term), select(i / quads, i % k_quads, by_term));
}

fn stage(block: Block, values: mat4x4<f32>) {
    for (var term = 0u; term < 4u; term++) {
        let quad = vec4<f16>(values[term]);
        let at = (4u * block.k + term) * select(right_row, left_row, block.of_a) + block.q;
        if block.of_a { put_left(at, quad); } else { put_right(at, quad); }
    }
}

// The tile's next terms, from `first` on.
fn load(number: u32, group: vec3<u32>, first: u32) -> mat4x4<f32> {
    let block = place(number);
    let term = first + 4u * block.k;
    if block.of_a {
        let width = select(inputs, outputs, product == INPUT_GRADIENT);
        let row = group.y * tile_m + 4u * block.q;
        return left(rows_of_a(select(row, term, product == UPDATE), width), row, term);
    }
    return right(group.x * tile_n + 4u * block.q, term);
}

// What becomes of the matrix in a subgroup's `slot`, which begins at row m, column n of the result.
fn finish_matrix(m: u32, n: u32, slot: u32, member: u32) {
    workgroupBarrier();
    for (var i = member; i < SIDE * SIDE; i += subgroup) { finish(m + i / SIDE, n + i % SIDE, results[slot + i]); }
    workgroupBarrier();
}

// Cooperative matrices stand outside all branches, so that it is plain that all invocations take part.
@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) team: u32,
    @builtin(subgroup_invocation_id) member: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    begin(group.z);
    let depth = select(select(inputs, outputs, product == INPUT_GRADIENT), batches[group.z].rows, product == UPDATE);
    let near_m = 2u * SIDE * (team / across);
    let near_n = 4u * SIDE * (team % across);
    var c_00: Sum;
    var c_01: Sum;
    var c_02: Sum;
    var c_03: Sum;
    var c_10: Sum;
    var c_11: Sum;
    var c_12: Sum;
    var c_13: Sum;

    let has_bias = biases_aside && group.y == 0u && lane < tile_n;
    var bias_sum = 0.0;

    var next: array<mat4x4<f32>, LOADS>;
    for (var i = 0u; i < loads; i++) {
        if lane + i * lanes < blocks { next[i] = load(lane + i * lanes, group, 0u); }
    }
    for (var first = 0u; first < depth; first += terms) {
        workgroupBarrier();
        for (var i = 0u; i < loads; i++) {
            if lane + i * lanes < blocks { stage(place(lane + i * lanes), next[i]); }
        }
        workgroupBarrier();
        if first + terms < depth {
            for (var i = 0u; i < loads; i++) {
                if lane + i * lanes < blocks { next[i] = load(lane + i * lanes, group, first + terms); }
            }
        }
        if has_bias {
            for (var k = 0u; k < terms; k++) { bias_sum += right_value(4u * k * right_row + lane); }
        }
        for (var k = 0u; k < terms; k += SIDE) {
            let a_at = (k * left_row * 4u + near_m) / UNIT;
            let b_at = (k * right_row * 4u + near_n) / UNIT;
            let a_step = left_row * 4u / UNIT;
            let b_step = right_row * 4u / UNIT;
            let a_0 = coopLoad<Left>(&left_operand[a_at], a_step);
            let a_1 = coopLoad<Left>(&left_operand[a_at + SIDE / UNIT], a_step);
            let b_0 = coopLoadT<Right>(&right_operand[b_at], b_step);
            c_00 = coopMultiplyAdd(a_0, b_0, c_00);
            c_10 = coopMultiplyAdd(a_1, b_0, c_10);
            let b_1 = coopLoadT<Right>(&right_operand[b_at + SIDE / UNIT], b_step);
            c_01 = coopMultiplyAdd(a_0, b_1, c_01);
            c_11 = coopMultiplyAdd(a_1, b_1, c_11);
            let b_2 = coopLoadT<Right>(&right_operand[b_at + 2u * SIDE / UNIT], b_step);
            c_02 = coopMultiplyAdd(a_0, b_2, c_02);
            c_12 = coopMultiplyAdd(a_1, b_2, c_12);
            let b_3 = coopLoadT<Right>(&right_operand[b_at + 3u * SIDE / UNIT], b_step);
            c_03 = coopMultiplyAdd(a_0, b_3, c_03);
            c_13 = coopMultiplyAdd(a_1, b_3, c_13);
        }
    }
    if has_bias { finish(inputs, group.x * tile_n + lane, bias_sum); }
    let slot = team * SIDE * SIDE;
    let m = group.y * tile_m + near_m;
    let n = group.x * tile_n + near_n;
    coopStoreT(c_00, &results[slot], SIDE);
    finish_matrix(m, n, slot, member);
    coopStoreT(c_01, &results[slot], SIDE);
    finish_matrix(m, n + SIDE, slot, member);
    coopStoreT(c_02, &results[slot], SIDE);
    finish_matrix(m, n + 2u * SIDE, slot, member);
    coopStoreT(c_03, &results[slot], SIDE);
    finish_matrix(m, n + 3u * SIDE, slot, member);
    coopStoreT(c_10, &results[slot], SIDE);
    finish_matrix(m + SIDE, n, slot, member);
    coopStoreT(c_11, &results[slot], SIDE);
    finish_matrix(m + SIDE, n + SIDE, slot, member);
    coopStoreT(c_12, &results[slot], SIDE);
    finish_matrix(m + SIDE, n + 2u * SIDE, slot, member);
    coopStoreT(c_13, &results[slot], SIDE);
    finish_matrix(m + SIDE, n + 3u * SIDE, slot, member);
}
