//! Cases of the kernels that begin the next step: expected is what the elementary twins make, one after the other.

use super::narrow::{Example, example, example_of};
use super::{Case, FIRST, SOURCE_ROWS, Setting, Values, data, dropping, one_of, slots, turn, unwritten};
use crate::backend::cpu::gather;
use crate::backend::cpu::matmul::matmul;
use crate::backend::cpu::reference::{self, Rows};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::launch::dense::{Dense, Source};
use crate::backend::gpu::launch::{Launch, Within, ahead, output, stride};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::data::Inputs;
use crate::error::Result;
use crate::model::Mlp;
use crate::recipe::OptimizerKind;
use crate::state::State;

/// As hardware with the memory of the setting's has it, and with the least.
fn ways(setting: &Setting, ways: impl Fn(&Hardware) -> Vec<Launch>) -> Vec<Launch> {
    let hardware = [Hardware { software: false, ..setting.hardware.clone() }, Hardware::GPU];
    hardware.iter().flat_map(ways).collect()
}

/// Buffers by the shader's names, and what they hold afterwards.
type Before = Vec<(&'static str, Values)>;
type After = Vec<(&'static str, Values, Tolerance)>;

/// The state of an example before and after a step, and the rows of the next batch, which a member with fewer rows than there is room for does not have.
#[derive(Clone)]
struct Step {
    kind: OptimizerKind,
    before: State,
    after: State,
    next: Vec<u32>,
    order: Vec<u32>,
}

impl Step {
    fn new(setting: &mut Setting, example: &Example) -> Self {
        let Example { model, inputs, answers, parameters, .. } = example;
        let picked = setting.picked();
        let &mut Setting { number, room, rows, batch, training, rate, .. } = setting;
        let kind = one_of(&OptimizerKind::ALL, number);
        let examples = Rows { inputs, targets: answers.targets(), order: &picked };
        let gradients = reference::gradient(model, answers.objective(), parameters, examples, Some(training));
        let before = setting.state(kind, parameters.clone());
        let mut after = before.clone();
        reference::update(model, &setting.optimizer(kind), &gradients, batch.divisor, rate, &mut after);
        let next = if rows == room { setting.draw.below(SOURCE_ROWS, room.div_ceil(2)) } else { Vec::new() };
        let mut order = [&setting.order[..], &next].concat();
        // Whole pairs of batches, so that each member's first one is at an even place.
        order.resize(order.len().next_multiple_of(2 * room), 0);
        Self { kind, before, after, next, order }
    }

    /// The buffers, and what becomes of them, but for the sums; the kernel calls the parameters so.
    fn buffers(&self, parameters: &'static str, tolerance: Tolerance, example: &Example) -> (Before, After) {
        let state = |state: &State| {
            let parameters = (parameters, Values::F32(state.parameters.clone()));
            let slots = (!state.slots.is_empty()).then(|| ("slots", Values::F32(slots(state))));
            [parameters].into_iter().chain(slots)
        };
        let mut before = vec![("data", data(&example.inputs)), ("order", Values::U32(self.order.clone()))];
        before.extend(state(&self.before));
        (before, state(&self.after).map(|(name, values)| (name, values, tolerance)).collect())
    }

    fn batch(&self, setting: &Setting, example: &Example) -> Batch {
        let (numbers, smoothing) = (setting.numbers(self.kind), example.answers.label_smoothing);
        Batch { numbers, smoothing, index: self.next.len() as u32, ..setting.batch }
    }

    /// What leads a submission that begins with the step: it changes no state, and its next batch is the step's.
    fn lead(&self, setting: &Setting) -> (Self, Batch) {
        let lead = Self { after: self.before.clone(), ..self.clone() };
        (lead, Batch { rows: 0, index: setting.rows as u32, ..setting.batch })
    }
}

pub(super) fn narrow_step(setting: &mut Setting) -> Result<Vec<Case>> {
    let example = example(setting)?;
    let Example { model, answers, inputs, shape, .. } = &example;
    let Setting { number, room, rows, inner, share, .. } = *setting;
    let link = Link {
        activation: model.activation(),
        dropout: dropping(number, 1),
        head: answers.head,
        weights: answers.weights.is_some(),
        optimizer: one_of(&OptimizerKind::ALL, number),
        ..Link::default()
    };
    let ways = ways(setting, |hardware| ahead::narrow_step(room, *shape, link, hardware));
    // A workgroup may have too little memory, or too few invocations.
    if ways.is_empty() {
        return Ok(Vec::new());
    }
    let launch = turn(setting.kernel, ways, room + inner);
    let step = Step::new(setting, &example);
    let half = |parameters: &[f32], picked: &[u32]| {
        let mut half = parts(model, parameters, inputs, picked, &launch).concat();
        half.extend(&parameters[model.layers()[1].weights.start..]);
        half
    };
    let now = half(&step.before.parameters, &setting.picked());
    let unused = vec![7.0; now.len()];
    let made = if step.next.is_empty() { unused.clone() } else { half(&step.after.parameters, &step.next) };
    let is_first = (FIRST / room).is_multiple_of(2);
    let halves = |next: &[f32]| Values::F32(if is_first { [&now, next].concat() } else { [next, &now].concat() });

    let tolerance = Tolerance::of_sum(rows + inner);
    let (lead, first) = step.lead(setting);
    let case = |(step, batch): (&Step, Batch), sums: Values, made: Values| {
        let (mut before, mut after) = step.buffers("parameters", tolerance, &example);
        before.extend(answers.buffers());
        before.push(("sums", sums));
        after.push(("sums", made, tolerance));
        Case { batch, launch: launch.clone(), share, before, after }
    };
    let empty = Values::F32([&unused[..], &unused].concat());
    Ok(vec![
        case((&step, step.batch(setting, &example)), halves(&unused), halves(&made)),
        case((&lead, first), empty, halves(&unused)),
    ])
}

/// The first layer of a network as the dense kernels take it, and the last, which reads activations.
fn layers(example: &Example) -> [Dense; 2] {
    let sources = [if example.shape.floats { Source::Floats } else { Source::Bytes }, Source::Activations];
    let stride = stride(example.model.parameters());
    [0, 1].map(|index| {
        let layer = &example.model.layers()[index];
        let weights = Within { offset: layer.weights.start, stride };
        Dense { inputs: layer.inputs, outputs: layer.outputs, weights, source: sources[index] }
    })
}

/// Sums of `outputs` values a row as `dense_ahead` lays them out by workgroups of `units`: vectors of four that lie apart, and 0 behind
/// the last.
fn in_vectors(parts: &[Vec<f32>], outputs: usize, units: usize) -> Vec<f32> {
    let value = |row: &[f32], at: usize| {
        let (first, own) = (at / units * units, at % units);
        row.get(first + own / 4 + own % 4 * (units / 4)).copied().unwrap_or(0.0)
    };
    let row = |row: &[f32]| (0..outputs.next_multiple_of(units)).map(|at| value(row, at)).collect::<Vec<_>>();
    parts.iter().flat_map(|part| part.chunks_exact(outputs).flat_map(row)).collect()
}

pub(super) fn dense_ahead(setting: &mut Setting) -> Result<Vec<Case>> {
    let Setting { number, room, rows, inner, columns, share, .. } = *setting;
    let example = example_of(setting, columns, 3)?;
    let [first, _] = layers(&example);
    let kind = one_of(&OptimizerKind::ALL, number);
    let ways = ways(setting, |hardware| ahead::dense_ahead(room, first, kind, hardware));
    if ways.is_empty() {
        return Ok(Vec::new());
    }
    let launch = turn(setting.kernel, ways, room + inner);
    let mut step = Step::new(setting, &example);
    // The last layer stays as it is.
    let last = example.model.layers()[1].weights.start;
    step.after.parameters[last..].copy_from_slice(&step.before.parameters[last..]);
    for (after, before) in step.after.slots.iter_mut().zip(&step.before.slots) {
        after[last..].copy_from_slice(&before[last..]);
    }
    let units = ahead::division(&launch).and_then(|(_, units)| units).unwrap_or(columns);
    let made = |parameters: &[f32], picked: &[u32]| {
        in_vectors(&parts(&example.model, parameters, &example.inputs, picked, &launch), columns, units)
    };
    let first = made(&step.before.parameters, &setting.picked());
    let unused = vec![7.0; first.len()];
    let next = if step.next.is_empty() { unused.clone() } else { made(&step.after.parameters, &step.next) };
    let tolerance = Tolerance::of_sum(rows + inner);
    let (lead, batch) = step.lead(setting);
    let case = |(step, batch): (&Step, Batch), made: Vec<f32>| {
        let (mut before, mut after) = step.buffers("c", tolerance, &example);
        let deltas = || Values::F32(example.d0.clone());
        before.extend([("deltas", deltas()), ("deltas4", deltas()), ("sums", Values::F32(unused.clone()))]);
        after.push(("sums", Values::F32(made), tolerance));
        Case { batch, launch: launch.clone(), share, before, after }
    };
    Ok(vec![case((&step, step.batch(setting, &example)), next), case((&lead, batch), first)])
}

pub(super) fn output_ahead(setting: &mut Setting) -> Result<Vec<Case>> {
    let Setting { number, room, inner, columns, batch, share, .. } = *setting;
    let example = example_of(setting, columns, 2 + room % 12)?;
    let Example { model, answers, parameters, inputs, h, d0, d1, .. } = &example;
    let [first, last] = layers(&example);
    let (hidden, weights) = (columns, answers.weights.is_some());
    // In parts as one of the ways makes them.
    let made =
        ways(setting, |hardware| ahead::dense_ahead(room, first, OptimizerKind::Sgd, hardware)).into_iter().next();
    let Some(((count, Some(units)), made)) = made.and_then(|launch| Some((ahead::division(&launch)?, launch))) else {
        return Ok(Vec::new());
    };
    let link = Link {
        activation: model.activation(),
        dropout: dropping(number, 1),
        head: answers.head,
        weights,
        ..Link::default()
    };
    let ways = ways(setting, |hardware| output::output_ahead(room, last, (count, units), link, hardware));
    if ways.is_empty() {
        return Ok(Vec::new());
    }
    let sums = in_vectors(&parts(model, parameters, inputs, &setting.picked(), &made), hidden, units);
    let mut before = answers.buffers();
    before.extend([
        ("sums", Values::F32(sums)),
        ("order", Values::U32(setting.order.clone())),
        ("b", Values::F32(parameters.clone())),
        ("a", unwritten(h.len())),
        ("c", unwritten(d0.len())),
        ("p", unwritten(d1.len())),
    ]);
    let tolerance = Tolerance::of_sum(inner + hidden);
    let after = [("a", h), ("c", d0), ("p", d1)];
    Ok(vec![Case {
        launch: turn(setting.kernel, ways, room + inner),
        batch: Batch { smoothing: answers.label_smoothing, ..batch },
        share,
        before,
        after: after.map(|(name, values)| (name, Values::F32(values.clone()), tolerance)).to_vec(),
    }])
}

/// The parts of x W + biases of the first layer that `launch` makes for the rows `picked`, of which the last stands for those that are
/// missing.
fn parts(model: &Mlp, parameters: &[f32], inputs: &Inputs, picked: &[u32], launch: &Launch) -> Vec<Vec<f32>> {
    let constant = |name| launch.constant(name).map_or(0, |value| value as usize);
    let (room, span) = (constant("room"), constant("span"));
    let (width, outputs) = (model.inputs(), model.widths()[1]);
    let mut picked = picked.to_vec();
    picked.resize(room, picked.last().copied().unwrap_or_default());
    let mut x = vec![0.0; room * width];
    gather(inputs, &picked, width, &mut x);
    // Biases are one more row of the weights, whose input is 1.
    let x: Vec<f32> = x.chunks_exact(width).flat_map(|row| row.iter().copied().chain([1.0])).collect();
    let part = |first: usize| {
        let end = (width + 1).min(first + span);
        let columns: Vec<f32> = x.chunks_exact(width + 1).flat_map(|row| &row[first..end]).copied().collect();
        let mut part = vec![0.0; room * outputs];
        matmul(&columns, &parameters[first * outputs..end * outputs], end - first, outputs, &mut part);
        part
    };
    (0..=width).step_by(span).map(part).collect()
}
