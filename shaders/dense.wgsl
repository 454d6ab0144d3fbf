// A product of a dense layer: shared/layer.wgsl says which, this is how.
//
// A workgroup makes a tile_m x tile_n tile of the result, an invocation each_m x each_n values of it (4 or 8). Operands
// come by workgroup memory, tile_k of the sum's terms at a time, the next ones under way meanwhile: into the half of it that
// was read a turn before, where there are two `stages`, which saves a barrier. `slices` of the sum are made side by side and
// added up in their order.
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
// A tile's sides in vectors, its blocks, and how many of these an invocation loads.
override m_quads: u32 = tile_m / 4u;
override n_quads: u32 = tile_n / 4u;
override k_quads: u32 = tile_k / 4u;
override team: u32 = lanes / slices;
override blocks: u32 = k_quads * (m_quads + n_quads);
override loads: u32 = (blocks + team - 1u) / team;

override a_blocks: u32 = k_quads * m_quads;
// Vectors in workgroup memory.
override staging_vectors: u32;

// Loads of an invocation a step, at most.
const LOADS = 2u;
// A power of two above all places in workgroup memory. Compilers put constant distances into addresses where they know that no
// sum of places wraps around.
const PLACES = 2048u;

// stages x slices x tile_k x (tile_m + tile_n) values, then slices x tile_m x tile_n
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

@compute @workgroup_size(lanes)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    begin(group.z);
    let depth = select(select(inputs, outputs, product == INPUT_GRADIENT), batches[group.z].rows, product == UPDATE);
    let width = select(inputs, outputs, product == INPUT_GRADIENT);
    let across = tile_n / each_n;
    let slice = lane / team;
    let member = lane % team;
    // In vectors: of an invocation's 8 rows or columns the second 4 lie half a tile away.
    let x = member % across;
    let y = member / across;
    let m = group.y * tile_m + 4u * y;
    let n = group.x * tile_n + 4u * x;
    let far_m = m + tile_m / 2u;
    let far_n = n + tile_n / 2u;
    var sums: Sums;

    let stage = slices * tile_k * (m_quads + n_quads);
    var next: array<mat4x4<f32>, LOADS>;
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
        to[load] = select(tile_k * m_quads, 0u, block.of_a) + 4u * block.k * quads + block.q;
        if block.of_a {
            let row = select(group.y * tile_m + 4u * block.q, slice * tile_k + 4u * block.k, product == UPDATE);
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
                let quads = select(n_quads, m_quads, is_of_a(member + load * team, load));
                for (var term = 0u; term < 4u; term++) { staging[at + term * quads] = next[load][term]; }
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
                    next[load] = left(rows[load], group.y * tile_m + 4u * block.q, term);
                    if product == UPDATE { rows[load] = rows_of_a(term + slices * tile_k, width); }
                } else {
                    next[load] = right(group.x * tile_n + 4u * block.q, first + 4u * block.k);
                }
            }
        }
        if turn > 0u {
            for (var k = 0u; k < tile_k; k += together) {
                let a_at = (mine + k * m_quads + y) & (PLACES - 1u);
                let b_at = (mine + tile_k * m_quads + k * n_quads + x) & (PLACES - 1u);
                sums = add_term(sums, a_at, b_at);
                if together == 4u {
                    sums = add_term(sums, a_at + m_quads, b_at + n_quads);
                    sums = add_term(sums, a_at + 2u * m_quads, b_at + 2u * n_quads);
                    sums = add_term(sums, a_at + 3u * m_quads, b_at + 3u * n_quads);
                }
            }
        }
    }
    // slices > 1 with 4 x 4 values an invocation only
    if slices > 1u {
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) { staging[4u * lane + i] = sums.near[i]; }
        workgroupBarrier();
        if slice > 0u { return; }
        for (var other = 1u; other < slices; other++) {
            for (var i = 0u; i < 4u; i++) { sums.near[i] += staging[4u * (other * team + member) + i]; }
        }
    }
    finish_block(m, n, sums.near);
    if each_n == 8u { finish_block(m, far_n, sums.across); }
    if each_m == 8u { finish_block(far_m, n, sums.down); }
    if each_m == 8u && each_n == 8u { finish_block(far_m, far_n, sums.far); }
}
