//! The last layer, by the kernel that does all of it but the update.

use super::dense::Dense;
use super::{Launch, Within, Work, fold};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{Kernel, OUTPUT, OUTPUT_AHEAD, OUTPUT_REGISTERS};
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
    let Dense { inputs, outputs, source, .. } = layer;
    let training = pass != Pass::Evaluation;
    let kind = if training { "output, training," } else { "output" };
    let what = format!("{kind} {inputs}-{outputs}, {rows} rows of {}", source.name());
    let most = (MAX_OUTPUTS / outputs).max(1);
    let way = |(lanes, group_rows): (usize, usize)| {
        let tiles = [("source", source.number()), ("training", usize::from(training)), ("group_rows", group_rows)];
        let how = format!("{lanes} invocations for {group_rows} rows");
        let launch = launch(&OUTPUT, (rows, layer), pass, link, (lanes, rows.div_ceil(group_rows)), &tiles);
        launch.with(&what, how).tally(link.head.is_classes() && !training)
    };
    let in_registers = |most_lanes: usize| {
        let tiles = [("source", source.number())];
        in_registers(&OUTPUT_REGISTERS, &what, (rows, layer), pass, link, most_lanes, &tiles)
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

/// The same in training with a hidden layer before it, whose sums are there as `dense_ahead` makes them: so many parts, by workgroups of
/// so many units. The ways, the one to take untuned first; none where an invocation has too much to keep, and on software drivers.
pub fn output_ahead(
    rows: usize,
    layer: Dense,
    (parts, units): (usize, usize),
    link: Link,
    hardware: &Hardware,
) -> Vec<Launch> {
    let what = format!("output, training, {}-{}, {rows} rows in parts", layer.inputs, layer.outputs);
    let way = |most_lanes: usize| {
        let (pass, tiles) = (Pass::Training { backward: true }, [("sum_parts", parts), ("units", units)]);
        let launch = in_registers(&OUTPUT_AHEAD, &what, (rows, layer), pass, link, most_lanes, &tiles)?;
        let sums = (4 * parts * rows * layer.inputs.next_multiple_of(units)) as f64;
        let work = Work { bytes: launch.work.bytes + sums, ..launch.work };
        Some(launch.work(work))
    };
    let most = [256, 512].into_iter().filter(|&most| !hardware.software && most <= hardware.invocations as usize);
    let mut ways: Vec<Launch> = most.filter_map(way).collect();
    ways.dedup();
    ways
}

/// A kernel of the last layer by workgroups of so many invocations.
fn launch(
    kernel: &'static Kernel,
    (rows, layer): (usize, Dense),
    pass: Pass,
    link: Link,
    (lanes, groups): (usize, usize),
    tiles: &[(&'static str, usize)],
) -> Launch {
    let Dense { inputs, outputs, weights: Within { offset, stride }, .. } = layer;
    let training = pass != Pass::Evaluation;
    let constants = [
        ("backward", usize::from(pass == Pass::Training { backward: true })),
        ("inputs", inputs),
        ("classes", outputs),
        ("offset", offset),
        ("lanes", lanes),
    ];
    let launch = Launch::new(kernel, &[&constants, tiles].concat(), fold(groups));
    // The product, and back through it.
    let products = if pass == (Pass::Training { backward: true }) { 2 } else { 1 };
    let work = Work::of(
        2 * products * rows * inputs * outputs,
        products * rows * inputs + (inputs + 1) * outputs + rows * outputs,
    );
    let launch = launch.room(rows).stride(stride).work(work);
    let launch = launch.activation(link.activation).dropout(link.dropout.filter(|_| training)).head(link.head);
    launch.weights(link.weights && training)
}

/// A row a workgroup of at most so many invocations, which keep their weights in registers, if these are not too many.
fn in_registers(
    kernel: &'static Kernel,
    what: &str,
    (rows, layer): (usize, Dense),
    pass: Pass,
    link: Link,
    most_lanes: usize,
    tiles: &[(&'static str, usize)],
) -> Option<Launch> {
    let Dense { inputs, outputs, .. } = layer;
    let lanes = inputs.next_multiple_of(32).clamp(64, most_lanes);
    let each = inputs.div_ceil(lanes);
    let fits = outputs <= REGISTER_OUTPUTS && each <= REGISTER_INPUTS && each * outputs <= REGISTER_WEIGHTS;
    let parts = [16, 8, 4].into_iter().find(|parts| parts * parts <= lanes && parts * outputs <= lanes)?;
    let tiles = [&[("each", each), ("parts", parts)], tiles].concat();
    let launch = || launch(kernel, (rows, layer), pass, link, (lanes, rows), &tiles);
    fits.then(|| launch().with(what, format!("{lanes} invocations a row")))
}
