// Shared by the kernels of dense layers: a product with all that follows it; `product` says which:
//   0, forward:         c = activate(a W + biases)                        a: rows x inputs, c: rows x outputs
//   1, input gradient:  c = that before the activation that made the      a: rows x outputs, h, c: rows x inputs
//                       input, from a W^T and h: that activation's output, or its input where the slope needs that
//   2, update:          a step of W by a^T b / divisor, and of the biases by the sum of b's rows / divisor: they lie
//                       behind W as one more row of it, whose input is    a: rows x inputs, b: rows x outputs
//                       always 1
//
// All row-major. W, inputs x outputs, and its biases start at `offset` of the member's parameters, which are b, for the
// update c. The forward product's and the update's a may be the batch's rows of a data set of bytes (four a word,
// little-endian) or floats, as `source` says. a4, b4: a, b again in vectors of four, read where rows start at whole vectors
// (`a_quads`, `b_quads`).
//
// uses: order, own_rows, own_parameters, bytes, activation, dropout, save, optimizer

override product: u32;
override source: u32;
override inputs: u32;
override outputs: u32;
override offset: u32;
override a_quads: bool;
override b_quads: bool;
// Whether all terms that are loaded are there, but for the update's, and all columns of the right operand.
override whole_terms: bool;
override whole_columns: bool;

const FORWARD = 0u;
const INPUT_GRADIENT = 1u;
const UPDATE = 2u;

const ACTIVATIONS = 0u;
const BYTES = 1u;

@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> a4: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> h: array<f32>;
@group(0) @binding(7) var<storage, read_write> c: array<f32>;

// Where row r of the batch starts in a, `width` values a row; rows beyond the batch repeat its last.
fn row_of_a(r: u32, width: u32) -> u32 {
    if source == ACTIVATIONS { return own_rows(width) + min(r, batch.rows - 1u) * width; }
    return data_row_or_last(r) * width;
}

fn rows_of_a(r: u32, width: u32) -> vec4<u32> {
    return vec4<u32>(row_of_a(r, width), row_of_a(r + 1u, width), row_of_a(r + 2u, width), row_of_a(r + 3u, width));
}

fn value_of_a(row: u32, at: u32, width: u32) -> f32 {
    if at >= width { return 0.0; }
    let i = row + at;
    if source == BYTES { return byte(a[i / 4u], i); }
    return bitcast<f32>(a[i]);
}

// Four bytes of the row that starts at `row`, where rows start at whole words; 0 beyond its width.
fn word_of_a(row: u32, at: u32, width: u32) -> u32 {
    if !whole_terms && at >= width { return 0u; }
    return a[(row + at) / 4u];
}

// Four values of it.
fn quad_of_a(row: u32, at: u32, width: u32) -> vec4<f32> {
    if a_quads {
        if source == BYTES { return bytes(word_of_a(row, at, width)); }
        if !whole_terms && at >= width { return vec4<f32>(); }
        return bitcast<vec4<f32>>(a4[(row + at) / 4u]);
    }
    return vec4<f32>(
        value_of_a(row, at, width),
        value_of_a(row, at + 1u, width),
        value_of_a(row, at + 2u, width),
        value_of_a(row, at + 3u, width),
    );
}

fn value_of_b(row: u32, at: u32, width: u32) -> f32 {
    if at >= width { return 0.0; }
    return b[row + at];
}

fn quad_of_b(row: u32, at: u32, width: u32, there: bool) -> vec4<f32> {
    if !there { return vec4<f32>(); }
    if b_quads { return b4[(row + at) / 4u]; }
    return vec4<f32>(
        b[row + at],
        value_of_b(row, at + 1u, width),
        value_of_b(row, at + 2u, width),
        value_of_b(row, at + 3u, width),
    );
}

// Four values of four rows of a, a column a row: as words, where they are bytes that lie in these. Who makes numbers of what is
// loaded waits for it.
struct Loaded { words: vec4<u32>, quads: mat4x4<f32> }

// Rows m to m + 3 of the left operand at terms k to k + 3 of the sum, as they lie in a. `rows` are those of a that it takes:
// rows_of_a(m), for the update rows_of_a(k).
fn load_left(rows: vec4<u32>, m: u32, k: u32) -> Loaded {
    let at = select(k, m, product == UPDATE);
    let width = select(inputs, outputs, product == INPUT_GRADIENT);
    var loaded: Loaded;
    if source == BYTES && a_quads {
        loaded.words = vec4<u32>(
            word_of_a(rows.x, at, width),
            word_of_a(rows.y, at, width),
            word_of_a(rows.z, at, width),
            word_of_a(rows.w, at, width),
        );
    } else {
        loaded.quads = mat4x4<f32>(
            quad_of_a(rows.x, at, width),
            quad_of_a(rows.y, at, width),
            quad_of_a(rows.z, at, width),
            quad_of_a(rows.w, at, width),
        );
    }
    return loaded;
}

// The same as numbers, a column a term.
fn left_of(loaded: Loaded, m: u32) -> mat4x4<f32> {
    var block = loaded.quads;
    if source == BYTES && a_quads {
        let words = loaded.words;
        block = mat4x4<f32>(bytes(words.x), bytes(words.y), bytes(words.z), bytes(words.w));
    }
    if product != UPDATE { return transpose(block); }
    if m <= inputs && inputs < m + 4u {
        let bias = vec4<f32>(vec4<u32>(m, m + 1u, m + 2u, m + 3u) == vec4<u32>(inputs));
        block += mat4x4<f32>(bias, bias, bias, bias);
    }
    return block;
}

fn left(rows: vec4<u32>, m: u32, k: u32) -> mat4x4<f32> {
    return left_of(load_left(rows, m, k), m);
}

// Of the right operand's columns n to n + 3 at terms k to k + 3 of the sum, the i-th four values that lie side by side:
// those of term k + i, for the input gradient those of column n + i.
fn right_quad(n: u32, k: u32, i: u32) -> vec4<f32> {
    // Not a batch's row beyond its last, nor a row of W beyond its last.
    let count = select(inputs, batch.rows, product == UPDATE);
    let start = select(own_parameters() + offset, own_rows(outputs), product == UPDATE);
    let row = select(k, n, product == INPUT_GRADIENT) + i;
    let at = select(n, k, product == INPUT_GRADIENT);
    let row_there = select(whole_terms, whole_columns, product == INPUT_GRADIENT) || row < count;
    let at_there = select(whole_columns, whole_terms, product == INPUT_GRADIENT) || at < outputs;
    return quad_of_b(start + row * outputs, at, outputs, row_there && at_there);
}

// Columns n to n + 3 of the right operand at terms k to k + 3 of the sum, a column a term.
fn right(n: u32, k: u32) -> mat4x4<f32> {
    let quads = mat4x4<f32>(right_quad(n, k, 0u), right_quad(n, k, 1u), right_quad(n, k, 2u), right_quad(n, k, 3u));
    if product == INPUT_GRADIENT { return transpose(quads); }
    return quads;
}

// sums + x y^T, a column a value of x
fn add_outer(sums: mat4x4<f32>, x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(vec4<f32>(x.x), y, sums[0]),
        fma(vec4<f32>(x.y), y, sums[1]),
        fma(vec4<f32>(x.z), y, sums[2]),
        fma(vec4<f32>(x.w), y, sums[3]),
    );
}

// sums + the product of four terms
fn add_block(sums: mat4x4<f32>, x: mat4x4<f32>, y: mat4x4<f32>) -> mat4x4<f32> {
    return add_outer(add_outer(add_outer(add_outer(sums, x[0], y[0]), x[1], y[1]), x[2], y[2]), x[3], y[3]);
}

fn is_in_result(m: u32, n: u32) -> bool {
    if product == FORWARD { return m < batch.rows && n < outputs; }
    if product == INPUT_GRADIENT { return m < batch.rows && n < inputs; }
    return m <= inputs && n < outputs;
}

// Where the value of row m, column n of the result lies in c; beyond its ends that of the last.
fn place_in_result(m: u32, n: u32) -> u32 {
    if product == UPDATE { return own_parameters() + offset + min(m, inputs) * outputs + min(n, outputs - 1u); }
    let width = select(outputs, inputs, product == INPUT_GRADIENT);
    return own_rows(width) + min(m, batch.rows - 1u) * width + min(n, width - 1u);
}

// What a value of the result is made of beside its sum: a bias, what a slope is computed from, or a parameter.
fn beside(m: u32, n: u32) -> f32 {
    if product == FORWARD { return b[own_parameters() + offset + inputs * outputs + min(n, outputs - 1u)]; }
    if product == INPUT_GRADIENT { return h[place_in_result(m, n)]; }
    return c[place_in_result(m, n)];
}

// What becomes of the sum for row m, column n of the result.
fn finish_with(m: u32, n: u32, sum: f32, beside: f32, kept: vec2<f32>) {
    if !is_in_result(m, n) { return; }
    let at = place_in_result(m, n);
    if product == FORWARD {
        let f = sum + beside;
        save(at, f);
        c[at] = dropped(activate(f), m, n);
    } else if product == INPUT_GRADIENT {
        c[at] = activate_backward(dropped(sum, m, n), select(undropped(beside), beside, SAVES_INPUT));
    } else {
        c[at] = step_from(at, beside, kept, sum / batch.divisor, m == inputs);
    }
}

fn kept_beside(m: u32, n: u32) -> vec2<f32> {
    if product != UPDATE { return vec2<f32>(); }
    return kept_of(place_in_result(m, n));
}

fn finish(m: u32, n: u32, sum: f32) {
    finish_with(m, n, sum, beside(m, n), kept_beside(m, n));
}

// Four places of the result: row m, column n, and three more, each `m_step` rows and `n_step` columns on.
struct Four { m: u32, n: u32, m_step: u32, n_step: u32 }

// What their values are made of beside their sums.
struct Beside { values: vec4<f32>, kept: array<vec2<f32>, 4> }

// Written out, so that all of it is under way before something waits.
fn beside_four(four: Four) -> Beside {
    let m = vec4<u32>(four.m) + four.m_step * vec4<u32>(0u, 1u, 2u, 3u);
    let n = vec4<u32>(four.n) + four.n_step * vec4<u32>(0u, 1u, 2u, 3u);
    return Beside(
        vec4<f32>(beside(m.x, n.x), beside(m.y, n.y), beside(m.z, n.z), beside(m.w, n.w)),
        array<vec2<f32>, 4>(
            kept_beside(m.x, n.x),
            kept_beside(m.y, n.y),
            kept_beside(m.z, n.z),
            kept_beside(m.w, n.w),
        ),
    );
}

// What becomes of the sums for the first `count` of them.
fn finish_four(four: Four, count: u32, sums: vec4<f32>, others: Beside) {
    for (var i = 0u; i < 4u; i++) {
        if i >= count { break; }
        finish_with(four.m + i * four.m_step, four.n + i * four.n_step, sums[i], others.values[i], others.kept[i]);
    }
}

// The same for four rows and columns from m and n on; of a row all loads, then all stores.
fn finish_block(m: u32, n: u32, sums: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        let four = Four(m + i, n, 0u, 1u);
        finish_four(four, 4u, sums[i], beside_four(four));
    }
}
