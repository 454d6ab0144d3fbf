// uses: batch

// The weight decay of a weight or a bias.
fn weight_decay(bias: bool) -> f32 {
    return select(batch.weight_decay, batch.bias_decay, bias);
}
