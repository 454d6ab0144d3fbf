// uses: batch, hash
//
// Dropout by counter: what a step drops is a hash of where it is, so that no mask is stored and every backend drops the same.
// What is kept is divided by the share that is kept.

override dropout_layer: u32;

// What a member drops of the layer: hashes from `threshold` on are kept, and multiplied by `scale`, 1 / keep.
struct Drop {
    threshold: u32,
    scale: f32,
    keep: f32,
    unused: u32,
}

@group(0) @binding(11) var<uniform> drops: array<Drop, 256>;

// `value` of a row of the batch and a unit, or the gradient there.
fn dropped(value: f32, row: u32, unit: u32) -> f32 {
    let hash = mix(mix(mix(batch.step_key ^ dropout_layer) ^ row) ^ unit);
    let drop = drops[batch.member];
    return select(0.0, value * drop.scale, hash >= drop.threshold);
}

// A value that was kept, as it was before.
fn undropped(value: f32) -> f32 {
    return value * drops[batch.member].keep;
}
