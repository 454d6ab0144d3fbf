// The last layer in training, where the layer before it is there in parts of its sums, which shared/ahead.wgsl tells of:
// shared/last_layer.wgsl says what, shared/last_row.wgsl how.
//   a = activate(the sum of the parts), with biases in them
//
// a: rows x inputs; sums: as dense_ahead makes them.
//
// uses: last_row

override sum_parts: u32;
// Outputs of one of its workgroups
override units: u32;
override unit_vectors: u32 = units / 4u;
override sum_width: u32 = (inputs + units - 1u) / units * units;

@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> a: array<f32>;

fn input_of(row: u32, source_row: u32, k: u32) -> vec2<f32> {
    var f = 0.0;
    let own = k % units;
    let place = k - own + own % unit_vectors * 4u + own / unit_vectors;
    let first = (batch.member * sum_parts * room + row) * sum_width + place;
    for (var part = 0u; part < sum_parts; part++) { f += sums[first + part * room * sum_width]; }
    let value = dropped(activate(f), row, k);
    return vec2<f32>(value, select(value, f, SAVES_INPUT));
}

fn keep_input(row: u32, k: u32, value: f32) {
    a[own_rows(inputs) + row * inputs + k] = value;
}
