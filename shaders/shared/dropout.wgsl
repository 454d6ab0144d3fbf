// uses: batch, hash
//
// Dropout by counter: what a step drops is a hash of where it is, so that no mask is stored and every backend drops the same.
// What is kept is divided by the share that is kept.

override dropout_layer: u32;
override dropout_threshold: u32;
override dropout_scale: f32;
override dropout_keep: f32;

// `value` of a row of the batch and a unit, or the gradient there.
fn dropped(value: f32, row: u32, unit: u32) -> f32 {
    let hash = mix(mix(mix(batch.step_key ^ dropout_layer) ^ row) ^ unit);
    return select(0.0, value * dropout_scale, hash >= dropout_threshold);
}

// A value that was kept, as it was before.
fn undropped(value: f32) -> f32 {
    return value * dropout_keep;
}
