// A product of a dense layer: shared/layer.wgsl says which, this is how.
//
// A workgroup makes a tile_m x tile_n tile of the result, an invocation each_m x each_n values of it (4 or 8). Operands
// come by workgroup memory, tile_k of the sum's terms at a time, the next ones under way meanwhile: into the half of it that
// was read a turn before, where there are two `stages`, which saves a barrier. `slices` of the sum are made side by side and
// added up in their order. Sums of 4 x 4 go through workgroup memory too, so that neighbours finish what lies side by side.
// Where an update's biases would take a row of tiles by themselves, the first row of tiles sums them up beside its own
// (`biases_aside`).
//
// uses: layer

override tile_m: u32;
override tile_n: u32;
override tile_k: u32;
override each_m: u32;
override each_n: u32;
override slices: u32;
override stages: u32;
// Terms in the body of the innermost loop: 1 or 4.
override together: u32;
override lanes: u32;
override biases_aside: bool;
// A tile's sides in vectors, its blocks, and how many of these an invocation loads.
override m_quads: u32 = tile_m / 4u;
override n_quads: u32 = tile_n / 4u;
override k_quads: u32 = tile_k / 4u;
override team: u32 = lanes / slices;
override blocks: u32 = k_quads * (m_quads + n_quads);
override loads: u32 = (blocks + team - 1u) / team;

override a_blocks: u32 = k_quads * m_quads;

// Where invocations make 4 x 4 values: how many each of them finishes, and rows from one to the next.
override values: u32 = 16u / slices;
override values_step: u32 = lanes / tile_n;

// Vectors in workgroup memory.
override staging_vectors: u32;

// Loads of an invocation a step, at most.
const LOADS = 2u;
// A power of two above all places in workgroup memory. Compilers put constant distances into addresses where they know that no
// sum of places wraps around.
const PLACES = 2048u;

// stages x slices x tile_k x (tile_m + tile_n) values, then slices x tile_m x tile_n, where invocations make 4 x 4
var<workgroup> staging: array<vec4<f32>, staging_vectors>;

// Of a tile, blocks of 4 rows or columns by 4 terms: first those of the left operand.
struct Block { of_a: bool, q: u32, k: u32 }

// Whether block `number`, an invocation's load `load`, is of the left operand; where one load of all is, compilers know.
fn is_of_a(number: u32, load: u32) -> bool {
    if a_blocks % team == 0u { return load * team < a_blocks; }
    return number < a_blocks;
}

fn place(number: u32, load: u32) -> Block {
    let of_a = is_of_a(number, load);
    let i = select(number - a_blocks, number, of_a);
    let quads = select(n_quads, m_quads, of_a);
    // Neighbours read what lies side by side in memory.
    let by_term = select(product == INPUT_GRADIENT, product != UPDATE, of_a);
    return Block(of_a, select(i % quads, i / k_quads, by_term), select(i / quads, i % k_quads, by_term));
}

// Where an operand's vector `q` of the first term of block `k` lies among its vectors: the first terms of all blocks come first,
// then their second terms. Vectors change places within a row, so that neighbours, which write different blocks, write to
// different banks of workgroup memory.
fn place_of(k: u32, q: u32, quads: u32) -> u32 {
    // Where an invocation has the arithmetic of 8 x 8 values to do, that would cost more than it saves.
    if each_m == 8u { return k * quads + q; }
    return k * quads + (q ^ ((4u * (k & 1u) + (k & 2u)) & (quads - 1u)));
}

// An invocation's values: its first four rows and columns, then the second four of each.
struct Sums { near: mat4x4<f32>, across: mat4x4<f32>, down: mat4x4<f32>, far: mat4x4<f32> }

// sums + the products of a term, whose operands begin at these places of `staging`.
fn add_term(sums: Sums, a_at: u32, b_at: u32) -> Sums {
    var next = sums;
    let a = staging[a_at];
    let b = staging[b_at];
    next.near = add_outer(sums.near, a, b);
    if each_n == 8u { next.across = add_outer(sums.across, a, staging[b_at + n_quads / 2u]); }
    if each_m == 8u {
        let far_a = staging[a_at + m_quads / 2u];
        next.down = add_outer(sums.down, far_a, b);
        if each_n == 8u { next.far = add_outer(sums.far, far_a, staging[b_at + n_quads / 2u]); }
    }
    return next;
}

// Whether what values are made of beside their sums is loaded before the product: for few values, where it is little.
fn is_early() -> bool {
    return slices > 1u && product != UPDATE;
}

// Of the tile from row m and column n on, the values that invocation `lane` finishes, from the j-th on.
fn four_of(lane: u32, m: u32, n: u32, j: u32) -> Four {
    return Four(m + lane / tile_n + j * values_step, n + lane % tile_n, values_step, 0u);
}

// The sum of the j-th of these, of all slices.
fn sum_of(lane: u32, j: u32) -> f32 {
    let at = lane / 4u + j * (lanes / 4u);
    var sum = staging[at][lane % 4u];
    for (var slice = 1u; slice < slices; slice++) { sum += staging[at + slice * 4u * team][lane % 4u]; }
    return sum;
}

fn finish_from(lane: u32, four: Four, j: u32, others: Beside) {
    let sums = vec4<f32>(sum_of(lane, j), sum_of(lane, j + 1u), sum_of(lane, j + 2u), sum_of(lane, j + 3u));
    finish_four(four, values, sums, others);
}

// Finishes the tile from row m and column n on, of which the invocation made `sums`. `early` is what belongs to its values where
// `is_early`. Without slices it has 16: loads of eight are under way at a time, more would take too many registers.
fn finish_tile(lane: u32, m: u32, n: u32, sums: mat4x4<f32>, early: Beside) {
    let member = lane % team;
    let to = lane / team * 4u * team + member / n_quads * tile_n + member % n_quads;
    var others = early;
    if slices > 1u && !is_early() { others = beside_four(four_of(lane, m, n, 0u)); }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) { staging[to + i * n_quads] = sums[i]; }
    if slices > 1u {
        workgroupBarrier();
        finish_from(lane, four_of(lane, m, n, 0u), 0u, others);
        return;
    }
    for (var j = 0u; j < 16u; j += 8u) {
        let near = four_of(lane, m, n, j);
        let far = four_of(lane, m, n, j + 4u);
        let beside_near = beside_four(near);
        let beside_far = beside_four(far);
        if j == 0u { workgroupBarrier(); }
        finish_from(lane, near, j, beside_near);
        finish_from(lane, far, j + 4u, beside_far);
    }
}

@compute @workgroup_size(lanes)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let depth = select(select(inputs, outputs, product == INPUT_GRADIENT), batches[group.z].rows, product == UPDATE);
    let width = select(inputs, outputs, product == INPUT_GRADIENT);
    let slice = lane / team;
    let member = lane % team;
    // In vectors: of an invocation's 8 rows or columns the second 4 lie half a tile away.
    let across = tile_n / each_n;
    let x = member % across;
    let y = member / across;
    let m = group.y * tile_m;
    let n = group.x * tile_n;
    var early: Beside;
    if is_early() { early = beside_four(four_of(lane, m, n, 0u)); }
    var sums: Sums;
    let has_bias = biases_aside && group.y == 0u && lane < tile_n;
    var bias_sum = 0.0;

    let stage = slices * tile_k * (m_quads + n_quads);
    // A block of the right operand is that of `quads`.
    var next: array<Loaded, LOADS>;
    // What the invocation loads of a tile, and where that goes.
    var loaded: array<Block, LOADS>;
    var to: array<u32, LOADS>;
    let turns = (depth + slices * tile_k - 1u) / (slices * tile_k);
    // The rows of a that the next loads take: always the same, but for the update, where they are known a turn before.
    var rows: array<vec4<u32>, LOADS>;
    for (var load = 0u; load < loads; load++) {
        let block = place(member + load * team, load);
        let quads = select(n_quads, m_quads, block.of_a);
        loaded[load] = block;
        to[load] = select(tile_k * m_quads, 0u, block.of_a) + place_of(block.k, block.q, quads);
        if block.of_a {
            let row = select(m + 4u * block.q, slice * tile_k + 4u * block.k, product == UPDATE);
            rows[load] = rows_of_a(row, width);
        }
    }
    for (var turn = 0u; turn <= turns; turn++) {
        let mine = slice * tile_k * (m_quads + n_quads) + select(0u, stage, stages == 2u && turn % 2u == 1u);
        if turn > 0u {
            if stages == 1u { workgroupBarrier(); }
            for (var load = 0u; load < loads; load++) {
                if blocks % team != 0u && member + load * team >= blocks { break; }
                let at = mine + to[load];
                let of_a = is_of_a(member + load * team, load);
                let quads = select(n_quads, m_quads, of_a);
                var block = next[load].quads;
                if each_m == 4u && of_a { block = left_of(next[load], m + 4u * loaded[load].q); }
                for (var term = 0u; term < 4u; term++) { staging[at + term * k_quads * quads] = block[term]; }
            }
            workgroupBarrier();
        }
        if turn < turns {
            let first = (turn * slices + slice) * tile_k;
            for (var load = 0u; load < loads; load++) {
                if blocks % team != 0u && member + load * team >= blocks { break; }
                let block = loaded[load];
                if is_of_a(member + load * team, load) {
                    let term = first + 4u * block.k;
                    next[load] = load_left(rows[load], m + 4u * block.q, term);
                    // 8 x 8 values leave no registers for both.
                    if each_m == 8u { next[load].quads = left_of(next[load], m + 4u * block.q); }
                    if product == UPDATE { rows[load] = rows_of_a(term + slices * tile_k, width); }
                } else {
                    next[load].quads = right(n + 4u * block.q, first + 4u * block.k);
                }
            }
        }
        if turn > 0u {
            if has_bias {
                for (var k = 0u; k < tile_k; k++) {
                    let at = mine + tile_k * m_quads + place_of(k / 4u, lane / 4u, n_quads) + k % 4u * k_quads * n_quads;
                    bias_sum += staging[at & (PLACES - 1u)][lane % 4u];
                }
            }
            for (var k = 0u; k < tile_k; k += together) {
                let a_at = (mine + place_of(k / 4u, y, m_quads)) & (PLACES - 1u);
                let b_at = (mine + tile_k * m_quads + place_of(k / 4u, x, n_quads)) & (PLACES - 1u);
                // From a term of a block to the next.
                let a_step = k_quads * m_quads;
                let b_step = k_quads * n_quads;
                let first = select(k % 4u, 0u, together == 4u);
                sums = add_term(sums, a_at + first * a_step, b_at + first * b_step);
                if together == 4u {
                    sums = add_term(sums, a_at + a_step, b_at + b_step);
                    sums = add_term(sums, a_at + 2u * a_step, b_at + 2u * b_step);
                    sums = add_term(sums, a_at + 3u * a_step, b_at + 3u * b_step);
                }
            }
        }
    }
    if each_m == 4u {
        finish_tile(lane, m, n, sums.near, early);
        return;
    }
    if has_bias { finish(inputs, n + lane, bias_sum); }
    let own_m = m + 4u * y;
    let own_n = n + 4u * x;
    finish_block(own_m, own_n, sums.near);
    if each_n == 8u { finish_block(own_m, own_n + tile_n / 2u, sums.across); }
    finish_block(own_m + tile_m / 2u, own_n, sums.down);
    if each_n == 8u { finish_block(own_m + tile_m / 2u, own_n + tile_n / 2u, sums.far); }
}
