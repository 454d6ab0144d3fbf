//! The kernels of networks with one narrow hidden layer.

use std::fmt;

use super::{Launch, fold, stride};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{NARROW_FORWARD, NARROW_FORWARD_SUBGROUP, NARROW_UPDATE, NARROW_UPDATE_SUBGROUP};
use crate::backend::gpu::link::Link;
use crate::recipe::OptimizerKind;

/// The widest hidden layer.
pub const MAX_HIDDEN: usize = 32;
/// The most outputs.
pub const MAX_OUTPUTS: usize = 64;

/// Widths of a network with one narrow hidden layer, and what its rows are made of.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    /// Width of an input row.
    pub inputs: usize,
    /// Hidden units, at most [`MAX_HIDDEN`].
    pub hidden: usize,
    /// Classes, or values of a row, at most [`MAX_OUTPUTS`].
    pub classes: usize,
    /// Whether the rows are floats.
    pub floats: bool,
}

impl fmt::Display for Narrow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.floats { "floats" } else { "bytes" };
        write!(out, "{}-{}-{} from {rows}", self.inputs, self.hidden, self.classes)
    }
}

impl Narrow {
    pub(super) fn constants(self) -> Vec<(&'static str, usize)> {
        let Self { inputs, hidden, classes, floats } = self;
        // As `Mlp` lays the flat parameters out.
        let b0 = inputs * hidden;
        let w1 = b0 + hidden;
        let b1 = w1 + hidden * classes;
        let stride = stride(b1 + classes);
        let offsets = [("w0", 0), ("b0", b0), ("w1", w1), ("b1", b1), ("stride", stride)];
        let sizes = [("inputs", inputs), ("hidden", hidden), ("classes", classes), ("floats", usize::from(floats))];
        [&sizes[..], &offsets].concat()
    }
}

/// `narrow_forward` of `rows` rows, or `narrow_forward_subgroup`: the ways, the one to take untuned first.
pub fn forward(rows: usize, shape: Narrow, training: bool, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let vectors = shape.hidden.div_ceil(4);
    let what = format!("{} {shape}, {rows} rows", if training { "forward and backward" } else { "forward" });
    let way = |kernel, lanes: usize, group_rows: usize| {
        let kept = if link.activation.saves_input() { group_rows * shape.hidden } else { 1 };
        let tiles =
            [("training", usize::from(training)), ("lanes", lanes), ("group_rows", group_rows), ("kept_values", kept)];
        let constants = [&shape.constants()[..], &tiles].concat();
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = Launch::new(kernel, &constants, fold(rows.div_ceil(group_rows))).room(rows).with(&what, how);
        let launch = launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head);
        launch.weights(link.weights && training)
    };
    let mut ways = Vec::new();
    if hardware.software {
        if hardware.subgroup >= 8 {
            ways.push(way(&NARROW_FORWARD_SUBGROUP, 8, 32));
        }
        // More rows no longer stay in registers of a software driver.
        ways.push(way(&NARROW_FORWARD, 8, (8 / vectors).clamp(1, 4)));
    }
    let tiles = [(64, 1), (32, 1), (128, 1), (256, 1), (64, 2), (32, 4), (64, 4)];
    // Its sums are in registers, then in workgroup memory.
    let fits = |&(lanes, rows): &(usize, usize)| rows * vectors <= 8 && 4 * lanes * rows * vectors <= 2048;
    ways.extend(tiles.into_iter().filter(fits).map(|(lanes, rows)| way(&NARROW_FORWARD, lanes, rows)));
    ways
}

/// `narrow_update` for `rows` rows, or `narrow_update_subgroup`: the ways, the one to take untuned first.
pub fn update(rows: usize, shape: Narrow, optimizer: OptimizerKind, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("update {shape}, {rows} rows");
    let way = |words: usize, each: usize, slices: usize| {
        let tiles = [("words", words), ("each", each), ("slices", slices), ("lanes", words * slices)];
        let constants = [&shape.constants()[..], &tiles].concat();
        let how = format!("{words} x {each} words in {slices} slices");
        let launch = Launch::new(&NARROW_UPDATE, &constants, fold(shape.inputs.div_ceil(4 * words * each) + 1));
        launch.room(rows).with(&what, how).optimizer(optimizer)
    };
    let mut ways = Vec::new();
    if hardware.software {
        if hardware.subgroup >= 8 {
            let constants = [&shape.constants()[..], &[("lanes", 8)]].concat();
            let launch = Launch::new(&NARROW_UPDATE_SUBGROUP, &constants, fold(shape.inputs.div_ceil(64) + 1));
            ways.push(launch.room(rows).with(&what, "8 invocations".into()).optimizer(optimizer));
        }
        ways.push(way(8, (16 / shape.hidden).clamp(1, 4), 1));
    }
    for words in [8, 4, 16, 2, 1] {
        // Partial sums are in workgroup memory.
        let most = 2048 / (words * 4 * shape.hidden);
        let slices = [32, 16, 8, 4, 2].into_iter().filter(|&slices| slices <= most && words * slices <= 256);
        let first = if words == 8 { 8 } else { 32 };
        ways.extend(slices.filter(|&slices| slices <= first).map(|slices| way(words, 1, slices)));
    }
    ways.push(way(8, 1, 1));
    ways
}
