//! The kernels that step the weights of the first layer, and then make parts of its product for the next batch.

use super::dense::{Dense, Product, Source};
use super::narrow::Narrow;
use super::{Launch, Work, WorkgroupMemory, distinct};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{DENSE_AHEAD, NARROW_STEP};
use crate::backend::gpu::link::Link;
use crate::recipe::OptimizerKind;

/// The most vectors of inputs that an invocation loads.
const INPUT_TURNS: usize = 4;

/// Rows and inputs that a workgroup has.
#[derive(Clone, Copy)]
struct Inputs {
    rows: usize,
    span: usize,
    parts: usize,
}

impl Inputs {
    /// `span` of `inputs` and the bias, or as many as there are.
    fn new(rows: usize, inputs: usize, span: usize) -> Self {
        let span = span.min((inputs + 1).next_multiple_of(4));
        Self { rows, span, parts: (inputs + 1).div_ceil(span) }
    }

    fn words(self) -> usize {
        self.span / 4
    }

    /// Vectors of a batch in workgroup memory.
    fn vectors(self) -> usize {
        self.rows.next_multiple_of(4) * self.words()
    }

    fn are_loaded_by(self, lanes: usize) -> bool {
        self.vectors() <= INPUT_TURNS * lanes
    }
}

/// The most invocations of `narrow_step`; the most parts of its sums, each of which all workgroups read; and the most turns in which
/// an invocation has values of the last layer.
const NARROW_LANES: usize = 1024;
const NARROW_PARTS: usize = 64;
const NARROW_TURNS: usize = 8;
/// Inputs of one of its workgroups, most wanted first.
const NARROW_SPANS: [usize; 4] = [28, 16, 56, 112];

/// In how many parts `launch` makes sums, and for `dense_ahead` how many units its workgroups have.
pub fn division(launch: &Launch) -> Option<(usize, Option<usize>)> {
    let value = |name| launch.constant(name).map(|value| value as usize);
    Some(((value("inputs")? + 1).div_ceil(value("span")?), value("units")))
}

/// Values of the `sums` of `launch` for a member, if it makes any.
pub fn sums(launch: &Launch) -> Option<usize> {
    if ![&DENSE_AHEAD, &NARROW_STEP].contains(&launch.kernel) {
        return None;
    }
    let value = |name| launch.constant(name).map(|value| value as usize);
    let room = value("room")?;
    Some(match division(launch)? {
        (parts, Some(units)) => parts * room * value("outputs")?.next_multiple_of(units),
        (parts, None) => {
            let hidden = value("hidden")?;
            2 * (parts * room * hidden + (hidden + 1) * value("classes")?)
        }
    })
}

/// `narrow_step` with batches of `rows` rows: the ways, the one to take untuned first. None where a workgroup has too little memory or
/// too few invocations, or subgroups are too small, and on software drivers.
pub fn narrow_step(rows: usize, shape: Narrow, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let Narrow { hidden, classes, .. } = shape;
    let row_lanes = hidden.next_power_of_two().max(8);
    if hardware.software || (hardware.subgroup as usize) < row_lanes || classes > NARROW_TURNS * row_lanes {
        return Vec::new();
    }
    let what = format!("step {shape}, {rows} rows");
    let rest = (hidden + 1) * classes;
    let way = |span: usize| {
        let inputs = Inputs::new(rows, shape.inputs, span);
        let (words, row_vectors) = (inputs.words(), rows.div_ceil(4));
        let lanes = (rows * row_lanes).max(inputs.span * hidden).next_multiple_of(32);
        let slices = (lanes / (words * hidden)).min(row_vectors);
        // The fewest that need no more turns.
        let slices = row_vectors.div_ceil(row_vectors.div_ceil(slices));
        let rest_slices = (lanes / rest).clamp(1, rows);
        let partial = (slices * inputs.span * hidden).max(if rest > lanes { lanes } else { rest_slices * rest });
        let vectors = inputs.vectors() + hidden * (words + row_vectors);
        let bytes = 4 * (4 * vectors + rows * (hidden + classes) + rest + partial);
        let fits = lanes <= NARROW_LANES.min(hardware.invocations as usize)
            && bytes <= hardware.workgroup_bytes as usize
            && inputs.are_loaded_by(lanes)
            && inputs.parts <= NARROW_PARTS;
        let own = [
            ("row_lanes", row_lanes),
            ("lanes", lanes),
            ("span", inputs.span),
            ("slices", slices),
            ("rest_slices", rest_slices),
            ("partial_values", partial),
        ];
        let constants = shape.constants().into_iter().filter(|(name, _)| !["b0", "b1"].contains(name));
        let constants: Vec<_> = constants.chain(own).collect();
        fits.then(|| {
            let launch = Launch::new(&NARROW_STEP, &constants, [inputs.parts as u32 + 1, 1]).room(rows);
            let launch = launch.with(&what, format!("{} inputs, {lanes} invocations", inputs.span));
            let launch = launch.activation(link.activation).dropout(link.dropout).head(link.head);
            let work =
                Work { bytes: shape.update_work(rows, link.optimizer).bytes, ..shape.step_work(rows, link.optimizer) };
            launch.weights(link.weights).optimizer(link.optimizer).work(work)
        })
    };
    distinct(NARROW_SPANS.into_iter().filter_map(way))
}

/// Invocations of `dense_ahead`, the most vectors of gradients that one of them loads, and the most rows that it has of the product.
const LANES: usize = 256;
const DELTA_TURNS: usize = 8;
const MOST_ROWS: usize = 4;
/// Inputs and outputs of one of its workgroups, most wanted first.
const TILES: [(usize, usize); 6] = [(28, 32), (16, 32), (32, 32), (16, 64), (16, 16), (8, 32)];
/// Bytes of the sums of a batch, up to which to write and to read them takes less than a launch.
const SUM_BYTES: usize = 2 << 20;

/// `dense_ahead` of `layer`, which reads a data set, with batches of `rows` rows: the ways, the one to take untuned first. None where a
/// workgroup has too little memory, or sums are too many.
pub fn dense_ahead(rows: usize, layer: Dense, optimizer: OptimizerKind, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("{} and ahead", layer.what(Product::Update(optimizer), rows));
    let way = |(span, units): (usize, usize)| {
        let inputs = Inputs::new(rows, layer.inputs, span);
        let units = units.min(layer.outputs.next_multiple_of(4));
        let (unit_vectors, words) = (units / 4, inputs.words());
        let (weights, deltas) = (words * units, rows * unit_vectors);
        let each_rows = if deltas <= 2 * LANES { 2 } else { MOST_ROWS };
        let around = inputs.vectors() + weights + deltas;
        let bytes = |slices: usize| 16 * (around + slices * weights);
        let fits = |&slices: &usize| {
            slices * words * unit_vectors <= LANES
                && slices <= rows
                && bytes(slices) <= hardware.workgroup_bytes as usize
        };
        let slices = [8, 4, 2, 1].into_iter().find(fits)?;
        let is_small = weights <= LANES && deltas <= DELTA_TURNS * LANES && inputs.are_loaded_by(LANES);
        let own = [
            ("inputs", layer.inputs),
            ("outputs", layer.outputs),
            ("offset", layer.weights.offset),
            ("floats", usize::from(layer.source == Source::Floats)),
            ("lanes", LANES),
            ("span", inputs.span),
            ("units", units),
            ("slices", slices),
            ("each_rows", each_rows),
        ];
        let groups = inputs.parts * layer.outputs.div_ceil(units);
        let launch = Launch::new(&DENSE_AHEAD, &own, [groups as u32, 1]).room(rows).stride(layer.weights.stride);
        let launch = launch.with(&what, format!("{} x {units} in {slices} slices", inputs.span)).optimizer(optimizer);
        let memories = [slices * weights, weights, deltas, inputs.vectors()].map(|vectors| ("vec4<f32>", 16 * vectors));
        let update = layer.work(Product::Update(optimizer), rows);
        let work = Work { flop: 2.0 * update.flop, bytes: update.bytes + (4 * sums(&launch)?) as f64 };
        let few_sums = 4 * sums(&launch)? <= SUM_BYTES;
        (is_small && few_sums).then(|| launch.work(work).joins(WorkgroupMemory::new(memories)))
    };
    if hardware.software || hardware.invocations < LANES as u32 {
        Vec::new()
    } else {
        distinct(TILES.into_iter().filter_map(way))
    }
}
