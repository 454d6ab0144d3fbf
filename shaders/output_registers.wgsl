// The last layer in training: shared/last_layer.wgsl says what, shared/last_row.wgsl how.
//
// uses: last_row, last_input

fn input_of(row: u32, source_row: u32, k: u32) -> vec2<f32> {
    let made = own_rows(inputs) + row * inputs;
    let start = select(source_row * inputs, made, source == ACTIVATIONS);
    var saved_value = 0.0;
    if backward { saved_value = h[made + k]; }
    return vec2<f32>(value(start, k), saved_value);
}

fn keep_input(row: u32, k: u32, value: f32) {}
