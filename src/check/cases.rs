//! Every kernel against its twin, or against the composition of the twins that it stands for.

use rand::Rng;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::Row;
use crate::backend::cpu::dropout::{Dropout, dropout, step_key};
use crate::backend::cpu::head::{self, Objective};
use crate::backend::cpu::reference::Training;
use crate::backend::cpu::row_softmax::row_softmax;
use crate::backend::gpu::device::{Device, values};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{self as registry, Kernel};
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::link::{Dropping, HeadKind};
use crate::backend::gpu::submit::{Batch, Single};
use crate::backend::numbers::Numbers;
use crate::compare::{Tolerance, compare};
use crate::data::{Inputs, Targets};
use crate::error::{Error, Result};
use crate::random;
use crate::recipe::{Loss, Optimizer, OptimizerKind};
use crate::state::State;
use pack::{Packed, TAKING_PART, packed};

mod ahead;
mod dense;
mod elementary;
mod front;
mod narrow;
mod output;
mod pack;
mod resident;

/// A kernel, and what makes its cases at a shape.
#[derive(Clone, Copy)]
pub struct Checked {
    /// The kernel.
    pub kernel: &'static Kernel,
    cases: fn(&mut Setting) -> Result<Vec<Case>>,
}

impl Checked {
    /// The same cases for another kernel.
    pub fn with(self, kernel: &'static Kernel) -> Self {
        Self { kernel, ..self }
    }
}

const fn checked(kernel: &'static Kernel, cases: fn(&mut Setting) -> Result<Vec<Case>>) -> Checked {
    Checked { kernel, cases }
}

/// Every kernel of the registry with its cases.
pub static KERNELS: &[Checked] = &[
    checked(&registry::GATHER_U8, elementary::gather_u8),
    checked(&registry::GATHER_F32, elementary::gather_f32),
    checked(&registry::AUGMENT, elementary::augment),
    checked(&registry::EMBED, front::embed),
    checked(&registry::EMBED_BACKWARD, front::embed_backward),
    checked(&registry::SCALE, front::scale),
    checked(&registry::SCALE_BACKWARD, front::scale_backward),
    checked(&registry::FRONT_STEP, front::front_step),
    checked(&registry::MATMUL, elementary::matmul),
    checked(&registry::MATMUL_AT_B, elementary::matmul_at_b),
    checked(&registry::MATMUL_A_BT, elementary::matmul_a_bt),
    checked(&registry::BIAS_ADD, elementary::bias_add),
    checked(&registry::ACTIVATE, elementary::activate),
    checked(&registry::ACTIVATE_BACKWARD, elementary::activate_backward),
    checked(&registry::ROW_SOFTMAX, elementary::row_softmax),
    checked(&registry::CROSS_ENTROPY, elementary::cross_entropy),
    checked(&registry::LOSS_GRADIENT, elementary::loss_gradient),
    checked(&registry::REDUCE_ROWS, elementary::reduce_rows),
    checked(&registry::SUM, elementary::sum),
    checked(&registry::SQUARES, elementary::squares),
    checked(&registry::CLIP, elementary::clip),
    checked(&registry::STEP, elementary::step),
    checked(&registry::DENSE, dense::cases),
    checked(&registry::DENSE_AHEAD, ahead::dense_ahead),
    checked(&registry::DENSE_SLICED, dense::cases),
    checked(&registry::DENSE_SUBGROUP, dense::cases),
    checked(&registry::DENSE_COOPERATIVE, dense::cooperative_cases),
    checked(&registry::DENSE_COOPERATIVE_SMALL, dense::cooperative_cases),
    checked(&registry::OUTPUT, output::cases),
    checked(&registry::OUTPUT_AHEAD, ahead::output_ahead),
    checked(&registry::OUTPUT_REGISTERS, output::cases),
    checked(&registry::NARROW_FORWARD, narrow::forward),
    checked(&registry::NARROW_FORWARD_FLAT, narrow::forward),
    checked(&registry::NARROW_FORWARD_SUBGROUP, narrow::forward),
    checked(&registry::NARROW_STEP, ahead::narrow_step),
    checked(&registry::NARROW_UPDATE, narrow::update),
    checked(&registry::NARROW_UPDATE_SLICED, narrow::update),
    checked(&registry::NARROW_UPDATE_SUBGROUP, narrow::update),
    checked(&registry::RESIDENT, resident::cases),
    checked(&registry::RESIDENT_SLICED, resident::cases),
    checked(&registry::RESIDENT_SUBGROUP, resident::cases),
];

/// Rows, inner width and columns that kernels are tried at: 1, around a tile and a line of invocations, the notebook's,
/// a short batch's, and more rows than one line.
const SHAPES: &[(usize, usize, usize)] =
    &[(1, 1, 1), (31, 33, 32), (32, 784, 7), (33, 7, 10), (64, 784, 128), (64, 128, 10), (257, 31, 33), (5, 257, 2)];

/// The contents of a buffer.
#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    U32(Vec<u32>),
    Bytes(Vec<u8>),
    /// Words of a uniform.
    Table(Vec<u32>),
}

impl Values {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self {
            Values::F32(values) => bytemuck::cast_slice(values).to_vec(),
            Values::U32(values) | Values::Table(values) => bytemuck::cast_slice(values).to_vec(),
            Values::Bytes(bytes) => bytes.clone(),
        };
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// A launch for one member, the buffers it starts with, and what its twin makes of them.
struct Case {
    /// For as many rows as the member with most has.
    launch: Launch,
    batch: Batch,
    /// The share of what it drops, if it does.
    share: f64,
    before: Vec<(&'static str, Values)>,
    after: Vec<(&'static str, Values, Tolerance)>,
}

/// What the cases of a kernel are made for.
struct Setting<'a> {
    kernel: &'static Kernel,
    hardware: &'a Hardware,
    /// The shape's place in [`SHAPES`]: what there are several of is taken by turns.
    number: usize,
    /// Rows that a member has room for.
    room: usize,
    /// Rows of this one's batch.
    rows: usize,
    inner: usize,
    columns: usize,
    draw: Draw,
    /// The run and the step that decide what is dropped.
    training: Training<'static>,
    /// The share of what is dropped, if anything is.
    share: f64,
    /// The learning rate.
    rate: f32,
    batch: Batch,
    /// Row numbers of a data set of [`SOURCE_ROWS`] rows; the batch's begin at [`FIRST`].
    order: Vec<u32>,
}

impl<'a> Setting<'a> {
    /// That of one of the members of a pack, which differ in all their numbers.
    fn new(kernel: &'static Kernel, hardware: &'a Hardware, number: usize, member: usize) -> Self {
        let (room, inner, columns) = SHAPES[number];
        let rows = [room, room.div_ceil(2), (2 * room).div_ceil(3)][member];
        let mut draw = Draw::new((room * 1_000_003 + inner * 1009 + columns + 7_000_001 * member) as u64);
        let training = Training { seed: (7 + member as u64) << 33, step: 3 + 2 * member as u64, warper: None };
        let batch = Batch {
            step_key: step_key(training.seed, training.step),
            // At every other shape rows weigh another sum than their number.
            divisor: if number % 2 == 1 { 0.7 * rows as f32 } else { rows as f32 },
            ..Batch::of_rows(0, FIRST, rows, 1)
        };
        let order = draw.below(SOURCE_ROWS, FIRST + rows);
        let (share, rate) = ([0.3, 0.5, 0.1][member], [0.15, 0.05, 0.3][member]);
        Self { kernel, hardware, number, room, rows, inner, columns, draw, training, share, rate, batch, order }
    }

    /// An optimizer of this kind, with decay of the weights only.
    fn optimizer(&self, kind: OptimizerKind) -> Optimizer {
        let weight_decay = 0.2 * f64::from(self.rate);
        Optimizer { kind, momentum: 0.5 + self.share, weight_decay, decay_biases: false, ..Optimizer::default() }
    }

    /// Its numbers in the step at hand.
    fn numbers(&self, kind: OptimizerKind) -> Numbers {
        Numbers::new(&self.optimizer(kind), self.rate, self.training.step)
    }

    /// Drops that of the rows of a batch, `width` values each.
    fn drop_from(&self, values: &mut [f32], width: usize, dropping: Option<Dropping>) {
        if let Some(Dropping { layer }) = dropping {
            dropout(Dropout::new(self.training.seed, self.training.step, layer, self.share), 0, width, values);
        }
    }

    /// A state in the middle of training: slots of the order of the gradients, the second of their squares.
    fn state(&mut self, kind: OptimizerKind, parameters: Vec<f32>) -> State {
        let count = parameters.len();
        let slots = (0..kind.slots()).map(|slot| {
            let values = self.draw.normal(count);
            if slot == 1 { values.into_iter().map(|value| 0.01 + value * value).collect() } else { values }
        });
        State { slots: slots.collect(), parameters, step: self.training.step - 1 }
    }

    /// The numbers of the batch's rows.
    fn picked(&self) -> Vec<u32> {
        self.order[FIRST..].to_vec()
    }
}

/// A source of test values.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(random::weights(seed))
    }

    pub(super) fn normal(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| StandardNormal.sample(&mut self.0)).collect()
    }

    pub(super) fn below(&mut self, bound: usize, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.0.next_u32() % bound as u32).collect()
    }

    pub(super) fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.0.next_u32() as u8).collect()
    }
}

/// At every other shape, what is dropped of a layer.
fn dropping(number: usize, layer: u32) -> Option<Dropping> {
    (number % 2 == 1).then_some(Dropping { layer })
}

/// The heads that cases are made for, by turns, and the share of a label that is spread.
const HEADS: [(HeadKind, f32); 5] = [
    (HeadKind::Classes, 0.0),
    (HeadKind::Mse, 0.0),
    (HeadKind::Classes, 0.1),
    (HeadKind::Mae, 0.0),
    (HeadKind::Huber, 0.0),
];

/// What the rows of a data set should give to a head, and how much they weigh.
struct Answers {
    head: HeadKind,
    label_smoothing: f32,
    targets: Targets,
    weights: Option<Vec<f32>>,
}

impl Answers {
    /// Those of [`SOURCE_ROWS`] rows for `outputs` classes or values, where `weighs` says so with weights.
    fn new(draw: &mut Draw, (head, label_smoothing): (HeadKind, f32), outputs: usize, weighs: bool) -> Self {
        let targets = if head.is_classes() {
            Targets::Classes(draw.below(outputs, SOURCE_ROWS))
        } else {
            Targets::Values(draw.normal(SOURCE_ROWS * outputs))
        };
        let weights = weighs.then(|| draw.normal(SOURCE_ROWS).into_iter().map(f32::abs).collect());
        Self { head, label_smoothing, targets, weights }
    }

    /// As the twins take them.
    fn targets(&self) -> head::Targets<'_> {
        head::Targets::new(&self.targets, self.weights.as_deref())
    }

    fn objective(&self) -> Objective {
        let loss = match self.head {
            HeadKind::Classes => Loss::CrossEntropy,
            HeadKind::Mse => Loss::Mse,
            HeadKind::Mae => Loss::Mae,
            HeadKind::Huber => Loss::Huber,
        };
        Objective { loss, label_smoothing: self.label_smoothing }
    }

    /// The head's predictions from the last layer's sums, rows of `outputs`.
    fn predict(&self, outputs: usize, f: &mut [f32]) {
        if self.head.is_classes() {
            row_softmax(outputs, f);
        }
    }

    /// As buffers: the targets, and the weights where there are any.
    fn buffers(&self) -> Vec<(&'static str, Values)> {
        let targets = match &self.targets {
            Targets::Classes(labels) => Values::U32(labels.clone()),
            Targets::Values(values) => Values::F32(values.clone()),
        };
        let weights = self.weights.iter().map(|weights| ("row_weights", Values::F32(weights.clone())));
        [("targets", targets)].into_iter().chain(weights).collect()
    }
}

/// One of `all`, by turns.
fn one_of<T: Copy>(all: &[T], number: usize) -> T {
    all[number % all.len()]
}

/// What lies beside a result must stay: so many values on both sides of a layer among the parameters.
const MARGIN: usize = 3;

/// Rows of the data set that batches are gathered from, and the place in the order where the batch starts.
const SOURCE_ROWS: usize = 300;
const FIRST: usize = 2;

/// `values` in the middle of a larger buffer, as layers lie in the parameters.
fn padded(values: &[f32]) -> Vec<f32> {
    [&[7.0; MARGIN][..], values, &[7.0; MARGIN]].concat()
}

/// What a buffer of so many values holds before it is written.
fn unwritten(count: usize) -> Values {
    Values::F32(vec![7.0; count])
}

/// The slots of `state` as the device has them: those of a parameter side by side.
fn slots(state: &State) -> Vec<f32> {
    (0..state.parameters.len()).flat_map(|at| state.slots.iter().map(move |slot| slot[at])).collect()
}

/// A case of a step of parameters from `gradients`, which are clipped by a factor or not: the state before and after it.
fn stepped(
    launch: Launch,
    batch: Batch,
    share: f64,
    clipping: Option<f32>,
    gradients: Vec<f32>,
    (before, after): (&State, &State),
    tolerance: Tolerance,
) -> Case {
    let parameters = |state: &State| ("parameters", Values::F32(state.parameters.clone()));
    let kept = |state: &State| (!state.slots.is_empty()).then(|| ("slots", Values::F32(slots(state))));
    let mut buffers = vec![("gradients", Values::F32(gradients)), parameters(before)];
    buffers.extend(clipping.map(|factor| ("clip_factor", Values::F32(vec![factor]))));
    buffers.extend(kept(before));
    let expected = [parameters(after)].into_iter().chain(kept(after));
    let expected = expected.map(|(name, values)| (name, values, tolerance)).collect();
    Case { launch, batch, share, before: buffers, after: expected }
}

/// A data set's inputs, `width` floats or bytes a row.
fn inputs(draw: &mut Draw, floats: bool, width: usize) -> Inputs {
    if floats { Inputs::F32(draw.normal(SOURCE_ROWS * width)) } else { Inputs::U8(draw.bytes(SOURCE_ROWS * width)) }
}

/// `inputs` as a buffer.
fn data(inputs: &Inputs) -> Values {
    match inputs {
        Inputs::U8(bytes) => Values::Bytes(bytes.clone()),
        Inputs::F32(values) => Values::F32(values.clone()),
    }
}

/// Hardware on which every way to launch a kernel can be taken.
fn any_hardware() -> Hardware {
    Hardware { subgroup: 8, ..Hardware::SOFTWARE }
}

/// The ways to launch a kernel on any hardware with the workgroup memory of `device`, and on any with the least: GPUs and software
/// drivers have some of their own.
fn all_ways(device: &Hardware, ways: impl Fn(&Hardware) -> Vec<Launch>) -> Vec<Launch> {
    let roomy = Hardware { workgroup_bytes: device.workgroup_bytes, ..any_hardware() };
    [roomy, Hardware::GPU].iter().flat_map(ways).collect()
}

/// One of the `ways` of `kernel`, by turns: each is taken at some shape.
fn turn(kernel: &Kernel, ways: Vec<Launch>, number: usize) -> Launch {
    let mut fitting: Vec<Launch> = ways.into_iter().filter(|way| way.kernel.name == kernel.name).collect();
    fitting.swap_remove(number % fitting.len())
}

/// Every kernel of `checked` that runs on `device` against its twin, at each shape or the middle one of so many (`every`).
///
/// # Errors
/// What the device fails with, naming the kernel.
pub fn kernels(device: &Device, checked: &[Checked], every: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &Checked { kernel, cases } in checked {
        if !kernel.needs.met_by(&device.hardware) {
            continue;
        }
        // Side by side: most of the time goes to drivers that compile.
        let found = SHAPES.par_iter().enumerate().skip(every / 2).step_by(every).map(|(number, &shape)| {
            let setting = |member| Setting::new(kernel, &device.hardware, number, member);
            let members = (0..TAKING_PART).map(|member| Ok(cases(&mut setting(member))?.into_iter()));
            let mut members = members.collect::<Result<Vec<_>>>()?;
            let mut rows = Vec::new();
            while let Some(cases) = members.iter_mut().map(Iterator::next).collect::<Option<Vec<Case>>>() {
                rows.extend(pollster::block_on(run_case(device, kernel, shape, packed(kernel, cases)?))?);
            }
            Ok(rows)
        });
        rows.extend(found.collect::<Result<Vec<_>>>()?.into_iter().flatten());
    }
    Ok(rows)
}

/// Runs of each case: faults that show on the second show.
const RUNS: usize = 3;

async fn run_case(
    device: &Device,
    kernel: &'static Kernel,
    (m, k, n): (usize, usize, usize),
    case: Packed,
) -> Result<Vec<Row>> {
    let buffers = case
        .before
        .iter()
        .map(|(name, values)| {
            let bytes = values.bytes();
            let buffer = match values {
                Values::Table(_) => device.uniform(name, &bytes)?,
                _ => device.storage(name, bytes.len() as u64)?,
            };
            Ok((*name, buffer))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut results = Vec::new();
    for (name, expected, _) in &case.after {
        let buffer = buffers.iter().find(|(bound, _)| bound == name).map(|(_, buffer)| buffer);
        let buffer = buffer.ok_or_else(|| Error::Check(format!("kernel {}: no buffer {name}", kernel.name)))?;
        results.push((buffer, 0..expected.bytes().len() as u64));
    }
    // The kernel that was passed, also where it is not the registry's of that name.
    let single = Single::new(device, &Launch { kernel, ..case.launch }, &buffers, case.entries)?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        for ((_, buffer), (_, values)) in buffers.iter().zip(&case.before) {
            device.queue.write_buffer(buffer, 0, &values.bytes());
        }
        single.run().await?;
        runs.push(device.read(&results).await?);
    }

    let row = |what, tolerance, comparison| {
        let shape = format!("{m} x {k} x {n}");
        Row { name: kernel.name.into(), shape, what, tolerance, comparison }
    };
    let of = |expected: &Values, bytes: &[u8]| -> Result<Vec<f32>> {
        match expected {
            Values::F32(_) => Ok(values::<f32>(bytes)),
            Values::U32(_) => Ok(values::<u32>(bytes).into_iter().map(|value| value as f32).collect()),
            Values::Bytes(_) | Values::Table(_) => Err(Error::Check(format!("kernel {}: writes bytes", kernel.name))),
        }
    };
    let mut rows = Vec::new();
    for (number, (name, expected, tolerance)) in case.after.iter().enumerate() {
        let first = of(expected, &runs[0][number])?;
        rows.push(row(*name, *tolerance, compare(&first, &of(expected, &expected.bytes())?, *tolerance)));
        for run in &runs[1..] {
            let again = compare(&of(expected, &run[number])?, &first, Tolerance::EXACT);
            if !again.passed() {
                rows.push(row("the same again", Tolerance::EXACT, again));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_cases_once() {
        let checked: Vec<_> = KERNELS.iter().map(|checked| checked.kernel.name).collect();
        let registered: Vec<_> = registry::REGISTRY.iter().map(|kernel| kernel.name).collect();
        assert_eq!(checked, registered);
    }
}
