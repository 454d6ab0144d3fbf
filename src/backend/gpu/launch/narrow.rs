//! The kernels of networks with one narrow hidden layer.

use std::fmt;

use super::dense::SLICED_UNITS;
use super::{Launch, Work, distinct, fold, stride};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{
    NARROW_FORWARD, NARROW_FORWARD_FLAT, NARROW_FORWARD_SUBGROUP, NARROW_UPDATE, NARROW_UPDATE_SLICED,
    NARROW_UPDATE_SUBGROUP,
};
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
    fn parameters(self) -> usize {
        (self.inputs + 1) * self.hidden + (self.hidden + 1) * self.classes
    }

    /// Bytes of `rows` rows of the data set.
    fn row_bytes(self, rows: usize) -> usize {
        rows * self.inputs * if self.floats { 4 } else { 1 }
    }

    /// What the forward pass does for `rows` rows, in training up to the gradients at the hidden layer.
    fn forward_work(self, rows: usize, training: bool) -> Work {
        let Self { inputs, hidden, classes, .. } = self;
        let back = if training { hidden * classes } else { 0 };
        let written = rows * if training { 2 * hidden + classes } else { classes };
        Work {
            flop: 2.0 * (rows * (inputs * hidden + hidden * classes + back)) as f64,
            bytes: (self.row_bytes(rows) + 4 * (self.parameters() + written)) as f64,
        }
    }

    /// What the update of all parameters does.
    pub(super) fn update_work(self, rows: usize, optimizer: OptimizerKind) -> Work {
        let read = rows * (2 * self.hidden + self.classes);
        Work {
            flop: 2.0 * (rows * self.parameters()) as f64,
            bytes: (self.row_bytes(rows) + 4 * (read + 2 * (1 + optimizer.slots()) * self.parameters())) as f64,
        }
    }

    /// What a step does whose parameters stay in workgroup memory.
    pub(super) fn step_work(self, rows: usize, optimizer: OptimizerKind) -> Work {
        let flop = self.forward_work(rows, true).flop + self.update_work(rows, optimizer).flop;
        Work { flop, bytes: self.row_bytes(rows) as f64 }
    }

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

/// The most invocations of `narrow_forward_flat`, which gives each a few weights.
const FLAT_LANES: usize = 224;
/// The most rounds of it whose inputs are in workgroup memory at a time.
const FLAT_ROUNDS: usize = 8;
/// The most parameters behind W0 that an invocation loads.
const FLAT_REST_TURNS: usize = 17;
/// Workgroup memory that every device has.
const WORKGROUP_VALUES: usize = 16_384 / 4;

/// How `narrow_forward_flat` divides W0, for workgroups of `group_rows` rows.
struct Flat {
    lanes: usize,
    rounds: usize,
    parts: usize,
    x_values: usize,
}

impl Flat {
    /// By at most so many invocations; none where a workgroup has too little memory, or too few invocations for its values.
    fn new(shape: Narrow, group_rows: usize, most_lanes: usize) -> Option<Self> {
        let Narrow { inputs, hidden, classes, .. } = shape;
        // A round is whole rows of W0, and its x whole vectors.
        let unit = 4 * (hidden / [4, 2, 1].into_iter().find(|&of| hidden.is_multiple_of(of))?);
        let span = |lanes: usize| 4 * lanes / hidden;
        let most = most_lanes / unit;
        let turns = inputs.div_ceil(span(most.max(1) * unit));
        // The fewest that need no more rounds.
        let rest = hidden + hidden * classes + classes;
        let enough = |&count: &usize| {
            let lanes = count * unit;
            let has_all = group_rows * classes.max(hidden) <= lanes && rest <= FLAT_REST_TURNS * lanes;
            has_all && inputs.div_ceil(span(lanes)) == turns
        };
        let lanes = (1..=most).find(enough)? * unit;
        // All equal, and no more than invocations.
        let divides = |parts: &usize| span(lanes).is_multiple_of(*parts) && parts * parts <= span(lanes);
        let parts =
            [32, 16, 8, 4, 2, 1].into_iter().filter(divides).find(|parts| group_rows * parts * hidden <= lanes)?;
        let around = group_rows * (4 * lanes + 2 * hidden + 2 * classes) + rest;
        [FLAT_ROUNDS, FLAT_ROUNDS / 2, FLAT_ROUNDS / 4, 1].into_iter().find_map(|most| {
            let rounds = turns.min(most);
            let x_values = group_rows * (rounds * span(lanes)).max(parts * hidden);
            (around + x_values <= WORKGROUP_VALUES).then_some(Self { lanes, rounds, parts, x_values })
        })
    }
}

/// `narrow_forward_flat` of `rows` rows, for software drivers `narrow_forward` or `narrow_forward_subgroup`: the ways, the one to
/// take untuned first.
pub fn forward(rows: usize, shape: Narrow, training: bool, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let vectors = shape.hidden.div_ceil(4);
    let what = format!("{} {shape}, {rows} rows", if training { "forward and backward" } else { "forward" });
    let way = |kernel, lanes: usize, group_rows: usize, others: &[(&'static str, usize)]| {
        let kept = if link.activation.saves_input() { group_rows * shape.hidden } else { 1 };
        let tiles =
            [("training", usize::from(training)), ("lanes", lanes), ("group_rows", group_rows), ("kept_values", kept)];
        let constants = [&shape.constants()[..], &tiles, others].concat();
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = Launch::new(kernel, &constants, fold(rows.div_ceil(group_rows))).room(rows).with(&what, how);
        let launch = launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head);
        launch.weights(link.weights && training).work(shape.forward_work(rows, training))
    };
    if !hardware.software {
        let flat = |(group_rows, most_lanes)| {
            let Flat { lanes, rounds, parts, x_values } = Flat::new(shape, group_rows, most_lanes)?;
            let tiles = [("rounds", rounds), ("parts", parts), ("x_values", x_values)];
            Some(way(&NARROW_FORWARD_FLAT, lanes, group_rows, &tiles))
        };
        // With many rows W0 is read for several of them at a time.
        let mut tiles = [(1, FLAT_LANES), (4, 128), (2, FLAT_LANES), (2, 128), (1, 128)];
        if rows >= 512 {
            tiles.swap(0, 1);
        }
        return distinct(tiles.into_iter().filter_map(flat));
    }
    let mut ways = Vec::new();
    if hardware.subgroup >= 8 {
        ways.push(way(&NARROW_FORWARD_SUBGROUP, 8, 32, &[]));
    }
    // More rows no longer stay in registers of a software driver.
    ways.push(way(&NARROW_FORWARD, 8, (8 / vectors).clamp(1, 4), &[]));
    let tiles = [(64, 1), (32, 1), (64, 2), (32, 4)];
    // Its sums are in registers, then in workgroup memory.
    let fits = |&(lanes, rows): &(usize, usize)| rows * vectors <= 8 && 4 * lanes * rows * vectors <= 2048;
    ways.extend(tiles.into_iter().filter(fits).map(|(lanes, rows)| way(&NARROW_FORWARD, lanes, rows, &[])));
    ways
}

/// `narrow_update_sliced` for `rows` rows, for software drivers `narrow_update` or `narrow_update_subgroup`: the ways, the one to
/// take untuned first.
pub fn update(rows: usize, shape: Narrow, optimizer: OptimizerKind, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("update {shape}, {rows} rows");
    let work = shape.update_work(rows, optimizer);
    let way = |kernel, tiles: &[(&'static str, usize)], groups: usize, how: String| {
        let constants = [&shape.constants()[..], tiles].concat();
        Launch::new(kernel, &constants, fold(groups)).room(rows).with(&what, how).optimizer(optimizer).work(work)
    };
    if !hardware.software {
        let Narrow { inputs, hidden, classes, .. } = shape;
        let unit_groups = hidden.div_ceil(SLICED_UNITS);
        let units = hidden.div_ceil(unit_groups);
        let sliced = |(words, slices, rest_slices): (usize, usize, usize)| {
            let lanes = words * slices;
            let tiles = [
                ("words", words),
                ("units", units),
                ("slices", slices),
                ("rest_slices", rest_slices),
                ("lanes", lanes),
            ];
            let first = (inputs / 4 + 1).div_ceil(words) * hidden.div_ceil(units);
            let rest = ((hidden + 1) * classes).div_ceil(lanes / rest_slices);
            way(&NARROW_UPDATE_SLICED, &tiles, first + rest, format!("{words} words in {slices} slices"))
        };
        // A workgroup's parameters are at most its invocations: no fewer than 32 slices.
        return [(1, 64, 16), (2, 32, 16), (1, 32, 8), (4, 32, 16)].into_iter().map(sliced).collect();
    }
    let mut ways = Vec::new();
    if hardware.subgroup >= 8 {
        let groups = shape.inputs.div_ceil(64) + 1;
        ways.push(way(&NARROW_UPDATE_SUBGROUP, &[("lanes", 8)], groups, "8 invocations".into()));
    }
    let each = (16 / shape.hidden).clamp(1, 4);
    let groups = shape.inputs.div_ceil(32 * each) + 1;
    ways.push(way(&NARROW_UPDATE, &[("lanes", 8), ("each", each)], groups, format!("8 x {each} words")));
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_narrow_network_has_a_way_on_gpus() {
        for hidden in 1..=MAX_HIDDEN {
            for (inputs, classes) in [(1, 1), (3, 2), (784, 10), (5000, 10), (1, MAX_OUTPUTS), (784, MAX_OUTPUTS)] {
                let shape = Narrow { inputs, hidden, classes, floats: true };
                assert!(Flat::new(shape, 1, FLAT_LANES).is_some(), "{shape}");
            }
        }
    }
}
