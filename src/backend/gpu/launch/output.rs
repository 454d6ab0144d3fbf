//! The last layer, by the kernel that does all of it but the update.

use super::dense::Dense;
use super::{Launch, fold};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::OUTPUT;
use crate::backend::gpu::link::Link;

/// The most classes.
pub const MAX_CLASSES: usize = 2048;

/// `output` of `rows` rows; `layer` is the last one, with at most [`MAX_CLASSES`] outputs, and the activation of `link` that
/// before it. The ways, the one to take untuned first.
pub fn output(rows: usize, layer: Dense, training: bool, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let Dense { inputs, outputs, offset, source } = layer;
    let kind = if training { "output, training," } else { "output" };
    let what = format!("{kind} {inputs}-{outputs}, {rows} rows of {}", source.name());
    let most = (MAX_CLASSES / outputs).max(1);
    let way = |(lanes, group_rows): (usize, usize)| {
        let constants = [
            ("source", source.number()),
            ("training", usize::from(training)),
            ("inputs", inputs),
            ("classes", outputs),
            ("offset", offset),
            ("group_rows", group_rows),
            ("lanes", lanes),
        ];
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = Launch::new(&OUTPUT, &constants, fold(rows.div_ceil(group_rows))).with(&what, how);
        launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head)
    };
    let lanes = if hardware.software { 8 } else { 64 };
    // A workgroup reads all weights: with many rows, for several of them at a time.
    let several = if hardware.software || rows >= 512 { 4 } else { 1 };
    let first = (lanes, several.min(most));
    let others = [8, 32, 64].into_iter().flat_map(|lanes| [1, 2, 4].map(|rows| (lanes, rows)));
    let others = others.filter(|&(lanes, rows)| (lanes, rows) != first && rows <= most);
    [first].into_iter().chain(others).map(way).collect()
}
