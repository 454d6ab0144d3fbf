// uses: order, rows, own_rows
//
// Shared by the kernels that step the weights of the first layer and then make its product for the member's next batch. A
// workgroup has `span` inputs: it makes a part of each sum, and the next dispatch adds the parts up. Biases are one more row of
// the weights, whose input is always 1.
//
// `rows` of an entry are those of its batch, `index` those of the member's next one, which follow them in the order; 0 where
// there is none. Where `rows` is 0, only the product is made: a submission begins with that. A batch has `room` rows, unless it
// is a run's last.

override inputs: u32;
override floats: bool;
override lanes: u32;
// Whole words of four
override span: u32;
override words: u32 = span / 4u;
override parts: u32 = (inputs + span) / span;
// Whether a row is whole words of bytes
override is_words: bool = !floats && inputs % 4u == 0u;
// The rows, four a vector
override row_vectors: u32 = (room + 3u) / 4u;
override x_vectors: u32 = 4u * row_vectors * words;
override x_turns: u32 = (x_vectors + lanes - 1u) / lanes;

const MAX_X_TURNS = 4u;

// 4 row_vectors x words: the inputs of a batch. Rows beyond it repeat its last.
var<workgroup> x: array<vec4<f32>, x_vectors>;

// What an invocation loads of x: as words, where inputs are bytes that lie in these. Loads that do not wait for one another come
// first: the rows' numbers of both batches, then these.
struct Loaded { words: array<u32, MAX_X_TURNS>, quads: array<vec4<f32>, MAX_X_TURNS> }

// The number of a row of the `count` from place `first` of the order on; beyond them the last. If there are none, of what is at
// `first`, where there must be something.
fn number_of(first: u32, count: u32, row: u32) -> u32 {
    return order[first + min(row, max(count, 1u) - 1u)];
}

// Those of the rows that the invocation loads.
fn numbers_of(first: u32, count: u32, lane: u32) -> array<u32, MAX_X_TURNS> {
    var numbers: array<u32, MAX_X_TURNS>;
    for (var turn = 0u; turn < x_turns; turn++) {
        let i = min(turn * lanes + lane, x_vectors - 1u);
        numbers[turn] = number_of(first, count, i / words);
    }
    return numbers;
}

// The same of the member's next batch; if there is none, of what is there of this one.
fn numbers_of_next(lane: u32) -> array<u32, MAX_X_TURNS> {
    return numbers_of(select(batch.first, batch.first + batch.rows, batch.index > 0u), batch.index, lane);
}

// Their inputs from k on.
fn load(numbers: array<u32, MAX_X_TURNS>, k: u32, lane: u32) -> Loaded {
    var loaded: Loaded;
    for (var turn = 0u; turn < x_turns; turn++) {
        let at = k + 4u * (min(turn * lanes + lane, x_vectors - 1u) % words);
        if is_words {
            let word = data[(numbers[turn] * inputs + min(at, inputs - 4u)) / 4u];
            loaded.words[turn] = select(0u, word, at < inputs);
        } else {
            loaded.quads[turn] = quad(numbers[turn], at);
        }
    }
    return loaded;
}

fn put(loaded: Loaded, k: u32, lane: u32) {
    for (var turn = 0u; turn < x_turns; turn++) {
        let i = turn * lanes + lane;
        if i >= x_vectors { break; }
        let at = k + 4u * (i % words);
        let bias = vec4<f32>(vec4<u32>(at, at + 1u, at + 2u, at + 3u) == vec4<u32>(inputs));
        if is_words { x[i] = bytes(loaded.words[turn]) + bias; } else { x[i] = loaded.quads[turn] + bias; }
    }
}
