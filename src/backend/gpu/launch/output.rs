//! The last layer, by the kernel that does all of it but the update.

use super::dense::Dense;
use super::{Launch, Within, Work, fold};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{OUTPUT, OUTPUT_REGISTERS};
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

/// The most outputs and weights of an invocation of `output_registers`.
const REGISTER_OUTPUTS: usize = 16;
const REGISTER_WEIGHTS: usize = 48;
/// The most inputs.
const REGISTER_INPUTS: usize = 8;

/// `output`, or for GPUs `output_registers`, of `rows` rows; `layer` is the last one, with at most [`MAX_OUTPUTS`] outputs, and
/// the activation of `link` that before it. The ways, the one to take untuned first.
pub fn output(rows: usize, layer: Dense, pass: Pass, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let Dense { inputs, outputs, weights: Within { offset, stride }, source } = layer;
    let training = pass != Pass::Evaluation;
    let kind = if training { "output, training," } else { "output" };
    let what = format!("{kind} {inputs}-{outputs}, {rows} rows of {}", source.name());
    let most = (MAX_OUTPUTS / outputs).max(1);
    let launch = |kernel, lanes: usize, tiles: &[(&'static str, usize)], groups, how| {
        let constants = [
            ("source", source.number()),
            ("backward", usize::from(pass == Pass::Training { backward: true })),
            ("inputs", inputs),
            ("classes", outputs),
            ("offset", offset),
            ("lanes", lanes),
        ];
        let launch = Launch::new(kernel, &[&constants, tiles].concat(), fold(groups)).with(&what, how);
        // The product, and back through it.
        let products = if pass == (Pass::Training { backward: true }) { 2 } else { 1 };
        let work = Work::of(
            2 * products * rows * inputs * outputs,
            products * rows * inputs + (inputs + 1) * outputs + rows * outputs,
        );
        let launch = launch.room(rows).stride(stride).work(work);
        let launch = launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head);
        launch.weights(link.weights && training)
    };
    let way = |(lanes, group_rows): (usize, usize)| {
        let tiles = [("training", usize::from(training)), ("group_rows", group_rows)];
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = launch(&OUTPUT, lanes, &tiles, rows.div_ceil(group_rows), how);
        launch.tally(link.head.is_classes() && !training)
    };
    let in_registers = |most_lanes: usize| {
        let lanes = inputs.next_multiple_of(32).clamp(64, most_lanes);
        let each = inputs.div_ceil(lanes);
        let fits = outputs <= REGISTER_OUTPUTS && each <= REGISTER_INPUTS && each * outputs <= REGISTER_WEIGHTS;
        let parts = [16, 8, 4].into_iter().find(|parts| parts * parts <= lanes && parts * outputs <= lanes)?;
        let tiles = [("each", each), ("parts", parts)];
        fits.then(|| launch(&OUTPUT_REGISTERS, lanes, &tiles, rows, format!("{lanes} invocations a row")))
    };
    let lanes = if hardware.software { 8 } else { 64 };
    // A workgroup reads all weights: with many rows, for several of them at a time.
    let several = if hardware.software || rows >= 512 { 4 } else { 1 };
    let first = (lanes, several.min(most));
    let others = [8, 32, 64].into_iter().flat_map(|lanes| [1, 2, 4].map(|rows| (lanes, rows)));
    let others = others.filter(|&(lanes, rows)| (lanes, rows) != first && rows <= most);
    let mut ways: Vec<Launch> = [first].into_iter().chain(others).map(way).collect();
    if training && !hardware.software {
        // A row a workgroup: with few rows first, and where a row is long.
        let place = if rows >= 512 && inputs < 512 { 1 } else { 0 };
        let most = [256, 512].into_iter().filter(|&most| most <= hardware.invocations as usize);
        let mut fitting: Vec<Launch> = most.filter_map(in_registers).collect();
        fitting.dedup();
        ways.splice(place..place, fitting);
    }
    ways
}
