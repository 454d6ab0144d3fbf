// uses: batch
//
// Clipped gradients: clip_factor holds what all of an entry are multiplied by.

@group(0) @binding(13) var<storage, read> clip_factor: array<f32>;

fn clipped(gradient: f32) -> f32 {
    return gradient * clip_factor[entry];
}
