//! The last layer, by the kernel that does all of it but the update.

use super::dense::Dense;
use super::{Launch, Within, fold};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::OUTPUT;
use crate::backend::gpu::link::Link;

/// The most outputs.
pub const MAX_OUTPUTS: usize = 2048;

/// What is made beside the predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Of classes losses and counts, of values nothing.
    Evaluation,
    /// The gradient at the layer's output.
    Training {
        /// Whether the gradient at the layer before is made too.
        backward: bool,
    },
}

/// `output` of `rows` rows; `layer` is the last one, with at most [`MAX_OUTPUTS`] outputs, and the activation of `link` that
/// before it. The ways, the one to take untuned first.
pub fn output(rows: usize, layer: Dense, pass: Pass, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let Dense { inputs, outputs, weights: Within { offset, stride }, source } = layer;
    let training = pass != Pass::Evaluation;
    let kind = if training { "output, training," } else { "output" };
    let what = format!("{kind} {inputs}-{outputs}, {rows} rows of {}", source.name());
    let most = (MAX_OUTPUTS / outputs).max(1);
    let way = |(lanes, group_rows): (usize, usize)| {
        let constants = [
            ("source", source.number()),
            ("training", usize::from(training)),
            ("backward", usize::from(pass == Pass::Training { backward: true })),
            ("inputs", inputs),
            ("classes", outputs),
            ("offset", offset),
            ("group_rows", group_rows),
            ("lanes", lanes),
        ];
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = Launch::new(&OUTPUT, &constants, fold(rows.div_ceil(group_rows))).with(&what, how);
        let launch = launch.room(rows).stride(stride);
        let launch = launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head);
        launch.weights(link.weights && training).tally(link.head.is_classes() && !training)
    };
    let lanes = if hardware.software { 8 } else { 64 };
    // A workgroup reads all weights: with many rows, for several of them at a time.
    let several = if hardware.software || rows >= 512 { 4 } else { 1 };
    let first = (lanes, several.min(most));
    let others = [8, 32, 64].into_iter().flat_map(|lanes| [1, 2, 4].map(|rows| (lanes, rows)));
    let others = others.filter(|&(lanes, rows)| (lanes, rows) != first && rows <= most);
    [first].into_iter().chain(others).map(way).collect()
}
