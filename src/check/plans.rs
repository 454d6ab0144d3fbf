//! Every plan, and the CPU's engine, against the composition of the twins.

use std::sync::Arc;

use rayon::prelude::*;

use super::cases::Draw;
use super::{Row, Tell, told};
use crate::augment::Augment;
use crate::backend::cpu::Cpu;
use crate::backend::cpu::reference::Reference;
use crate::backend::cpu::vector::Vectors;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::{Element, Piece, Plan, PlanName};
use crate::backend::gpu::{Gpu, Store};
use crate::backend::{Backend, BackendExt, Precision, Split};
use crate::compare::{Tolerance, compare};
use crate::data::{Inputs, Samples};
use crate::error::Result;
use crate::metrics::norm;
use crate::model::{Activation, Front, Head, Init, Mlp};
use crate::random;
use crate::recipe::{Loss, Optimizer, OptimizerKind, Recipe};
use crate::state::State;

/// A network and the data that a whole plan is tried on.
struct Trial {
    widths: &'static [usize],
    batch_size: usize,
    kind: Kind,
    /// Steps of the long comparison.
    steps: usize,
    activation: Activation,
    optimizer: OptimizerKind,
    /// The share of the hidden layers' outputs that training drops.
    dropout: f64,
    /// The same of the inputs.
    input_dropout: f64,
    loss: Loss,
    label_smoothing: f64,
    /// Whether rows and classes weigh differently.
    weighs: bool,
    /// The norm that gradients are clipped to.
    clip_norm: Option<f64>,
    /// (height, width) of the images that rows are, where training augments them.
    image: Option<(usize, usize)>,
    /// Whether every other feature is embedded, and whether inputs have trained factors.
    front: (bool, bool),
}

/// How training augments images.
const AUGMENT: Augment = Augment { shift: 1.0, rotate: 15.0, scale: 0.15, elastic: 1.5 };

impl Trial {
    fn model(&self) -> Result<Mlp> {
        let dropout = vec![self.dropout; self.widths.len() - 2];
        let model = Mlp::new(self.widths)?.with_activation(self.activation).with_head(self.loss.head());
        let features = model.inputs() as u32;
        let embedded = if self.front.0 { (0..features).step_by(2).collect() } else { Vec::new() };
        let front = Front { embedded, deviation: 0.3, scaled: self.front.1 };
        model.with_dropout(self.input_dropout, &dropout)?.with_front(front)
    }

    fn recipe(&self) -> Recipe {
        let sgd = self.optimizer == OptimizerKind::Sgd;
        let optimizer = Optimizer {
            kind: self.optimizer,
            weight_decay: if sgd { 0.0 } else { 0.01 },
            decay_biases: false,
            // Adam divides gradients by their size: without this, those that are nothing but rounding too.
            epsilon: 1e-3,
            clip_norm: self.clip_norm,
            ..Optimizer::default()
        };
        let classes = self.widths.last().copied().unwrap_or_default();
        let weight = |class| 0.5 + f64::from(class as u32 % 3);
        Recipe {
            batch_size: self.batch_size,
            optimizer,
            loss: self.loss,
            label_smoothing: self.label_smoothing,
            row_weights: self.weighs,
            class_weight: if self.weighs && self.loss == Loss::CrossEntropy {
                (0..classes).map(weight).collect()
            } else {
                Vec::new()
            },
            augment: self.image.map_or_else(Augment::default, |_| AUGMENT),
            ..Recipe::default()
        }
    }

    /// The learning rate.
    fn rate(&self) -> f32 {
        match self.optimizer {
            OptimizerKind::Sgd => 0.1,
            OptimizerKind::Momentum | OptimizerKind::Nesterov => 0.02,
            OptimizerKind::Adam | OptimizerKind::AdamW => 0.002,
        }
    }

    /// A step of the first batch.
    fn first_step(&self, backend: &mut dyn Backend) -> Result<()> {
        backend.pass(&random::order(3, 0, ROWS as u32)[..self.batch_size], self.batch_size, self.rate())
    }

    /// Epochs of at least so many steps as the long comparison has.
    fn further_steps(&self, backend: &mut dyn Backend) -> Result<()> {
        self.orders().try_for_each(|order| backend.pass(&order, self.batch_size, self.rate()))
    }

    /// The rows of these epochs.
    fn orders(&self) -> impl Iterator<Item = Vec<u32>> {
        let epochs = (self.steps * self.batch_size).div_ceil(ROWS) as u64;
        (1..=epochs).map(|epoch| random::order(3, epoch, ROWS as u32))
    }

    /// What the table calls it: the network, and what is not as in most trials.
    fn shape(&self, model: &Mlp) -> String {
        let kind = match self.kind {
            Kind::Bytes => "u8",
            Kind::SparseBytes => "sparse u8",
            Kind::Floats => "f32",
        };
        let mut shape = format!("{model} b{} {kind}", self.batch_size);
        if (self.activation, self.optimizer) != (Activation::Relu, OptimizerKind::Sgd) {
            shape = format!("{shape} {} {}", self.activation.name(), self.optimizer.name());
        }
        for (is_there, name) in [
            (self.loss != Loss::CrossEntropy, self.loss.name()),
            (self.label_smoothing > 0.0, "smoothing"),
            (self.weighs, "weights"),
            (self.dropout > 0.0, "dropout"),
            (self.input_dropout > 0.0, "input dropout"),
            (self.clip_norm.is_some(), "clipping"),
            (self.image.is_some(), "augmented"),
        ] {
            if is_there {
                shape = format!("{shape} {name}");
            }
        }
        shape
    }
}

/// What the rows are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    /// Bytes of which most are 0, as in images of digits.
    SparseBytes,
    Floats,
}

const fn trial(widths: &'static [usize], batch_size: usize, kind: Kind) -> Trial {
    let (activation, optimizer) = (Activation::Relu, OptimizerKind::Sgd);
    Trial {
        widths,
        batch_size,
        kind,
        steps: 300,
        activation,
        optimizer,
        dropout: 0.0,
        input_dropout: 0.0,
        loss: Loss::CrossEntropy,
        label_smoothing: 0.0,
        weighs: false,
        clip_norm: None,
        image: None,
        front: (false, false),
    }
}

const fn trial_of(
    widths: &'static [usize],
    batch_size: usize,
    kind: Kind,
    activation: Activation,
    optimizer: OptimizerKind,
) -> Trial {
    Trial { steps: 60, activation, optimizer, ..trial(widths, batch_size, kind) }
}

const fn dropping(widths: &'static [usize], batch_size: usize, activation: Activation) -> Trial {
    Trial { dropout: 0.3, ..trial_of(widths, batch_size, Kind::Bytes, activation, OptimizerKind::Momentum) }
}

const fn plain(widths: &'static [usize], batch_size: usize, kind: Kind) -> Trial {
    trial_of(widths, batch_size, kind, Activation::Tanh, OptimizerKind::Momentum)
}

const fn of_values(widths: &'static [usize], batch_size: usize, kind: Kind, loss: Loss) -> Trial {
    Trial { loss, ..plain(widths, batch_size, kind) }
}

const fn fronted(widths: &'static [usize], batch_size: usize, front: (bool, bool), optimizer: OptimizerKind) -> Trial {
    Trial { front, ..trial_of(widths, batch_size, Kind::Floats, Activation::Gelu, optimizer) }
}

const fn augmenting(widths: &'static [usize], batch_size: usize, kind: Kind, image: (usize, usize)) -> Trial {
    Trial { image: Some(image), ..trial_of(widths, batch_size, kind, Activation::Tanh, OptimizerKind::Momentum) }
}

/// No, one and two hidden layers, batches of one row, of all rows, and with a short last one.
const TRIALS: &[Trial] = &[
    trial(&[64, 10], 32, Kind::Bytes),
    trial(&[64, 10], 32, Kind::Floats),
    trial(&[64, 7, 10], 32, Kind::Bytes),
    trial(&[64, 7, 10], 32, Kind::SparseBytes),
    trial(&[64, 7, 10], 32, Kind::Floats),
    trial(&[64, 7, 10], 1, Kind::Bytes),
    trial(&[33, 31, 32, 3], 48, Kind::SparseBytes),
    trial(&[33, 31, 32, 3], 48, Kind::Floats),
    trial(&[100, 65, 17, 2], 100, Kind::Bytes),
    trial(&[36, 64, 12, 70], 20, Kind::Bytes),
    Trial { steps: 20, ..trial(&[784, 7, 10], 64, Kind::SparseBytes) },
    trial(&[100, 65, 17, 2], 100, Kind::Floats),
];

/// Activations and optimizers, with a narrow hidden layer and with wide ones.
const OPTION_TRIALS: &[Trial] = &[
    trial_of(&[64, 10], 32, Kind::Bytes, Activation::Relu, OptimizerKind::Adam),
    trial_of(&[64, 7, 10], 32, Kind::Bytes, Activation::Gelu, OptimizerKind::Momentum),
    trial_of(&[64, 7, 10], 48, Kind::Floats, Activation::Tanh, OptimizerKind::Nesterov),
    trial_of(&[40, 30, 5], 32, Kind::Bytes, Activation::Sigmoid, OptimizerKind::AdamW),
    trial_of(&[64, 40, 10], 32, Kind::Bytes, Activation::Mish, OptimizerKind::Nesterov),
    trial_of(&[33, 31, 32, 3], 48, Kind::Floats, Activation::Silu, OptimizerKind::AdamW),
    trial_of(&[36, 64, 12, 7], 20, Kind::Bytes, Activation::Selu, OptimizerKind::Momentum),
    trial_of(&[36, 64, 12, 7], 20, Kind::Bytes, Activation::LeakyRelu, OptimizerKind::Adam),
    trial_of(&[36, 40, 20, 7], 50, Kind::Floats, Activation::Gelu, OptimizerKind::Adam),
    dropping(&[64, 7, 10], 32, Activation::Tanh),
    dropping(&[64, 7, 10], 32, Activation::Gelu),
    dropping(&[36, 40, 20, 7], 48, Activation::Silu),
    dropping(&[36, 40, 20, 7], 48, Activation::Sigmoid),
    #[cfg(test)]
    trial_of(&[36, 40, 20, 7], 48, Kind::Bytes, Activation::Softplus, OptimizerKind::Adam),
];

/// Heads, what weighs and smooths, dropped inputs, clipped gradients: without a hidden layer, with a narrow one and
/// with wide ones.
const HEAD_TRIALS: &[Trial] = &[
    of_values(&[20, 1], 32, Kind::Floats, Loss::Mse),
    of_values(&[64, 7, 3], 32, Kind::Bytes, Loss::Mse),
    of_values(&[33, 9, 2], 48, Kind::Floats, Loss::Huber),
    of_values(&[33, 31, 32, 3], 48, Kind::Bytes, Loss::Mse),
    of_values(&[36, 40, 20, 5], 20, Kind::Floats, Loss::Huber),
    // Where an error is nothing but rounding its sign is another on every backend.
    Trial { steps: 10, ..of_values(&[36, 64, 1], 32, Kind::Floats, Loss::Mae) },
    Trial { label_smoothing: 0.1, ..plain(&[64, 7, 10], 32, Kind::Bytes) },
    Trial { label_smoothing: 0.2, ..plain(&[36, 40, 20, 7], 48, Kind::Floats) },
    Trial { weighs: true, ..plain(&[64, 10], 32, Kind::Bytes) },
    Trial { weighs: true, ..plain(&[64, 7, 10], 48, Kind::Floats) },
    Trial { weighs: true, label_smoothing: 0.1, ..plain(&[36, 40, 20, 7], 48, Kind::Bytes) },
    Trial { weighs: true, ..of_values(&[36, 40, 5], 20, Kind::Floats, Loss::Mse) },
    Trial { input_dropout: 0.2, ..plain(&[64, 10], 32, Kind::Bytes) },
    Trial { input_dropout: 0.2, ..plain(&[64, 7, 10], 32, Kind::SparseBytes) },
    Trial { input_dropout: 0.2, dropout: 0.3, ..plain(&[33, 31, 32, 3], 48, Kind::Floats) },
    Trial { input_dropout: 0.1, ..of_values(&[36, 64, 12, 3], 20, Kind::Bytes, Loss::Mse) },
    Trial { clip_norm: Some(0.1), ..plain(&[64, 7, 10], 32, Kind::Bytes) },
    Trial { clip_norm: Some(0.3), weighs: true, ..plain(&[100, 65, 17, 2], 48, Kind::Floats) },
    augmenting(&[64, 7, 10], 32, Kind::SparseBytes, (8, 8)),
    augmenting(&[64, 10], 32, Kind::Bytes, (8, 8)),
    augmenting(&[72, 9, 5], 32, Kind::Bytes, (6, 4)),
    Trial { dropout: 0.3, ..augmenting(&[36, 40, 20, 7], 48, Kind::Floats, (4, 9)) },
    Trial { input_dropout: 0.2, ..augmenting(&[36, 40, 7], 48, Kind::Bytes, (6, 6)) },
    fronted(&[12, 5], 32, (true, true), OptimizerKind::Adam),
    fronted(&[9, 7, 4], 32, (true, false), OptimizerKind::Sgd),
    fronted(&[21, 40, 20, 3], 48, (false, true), OptimizerKind::Nesterov),
    Trial { input_dropout: 0.2, weighs: true, ..fronted(&[21, 40, 3], 48, (true, true), OptimizerKind::AdamW) },
    Trial { clip_norm: Some(0.3), dropout: 0.2, ..fronted(&[33, 9, 20, 2], 20, (true, true), OptimizerKind::Momentum) },
];

/// Shapes at which the CPU's engine changes its ways.
const CPU_TRIALS: &[Trial] = &[
    trial(&[70, 16, 9, 12], 33, Kind::SparseBytes),
    trial(&[70, 17, 10], 7, Kind::SparseBytes),
    Trial { steps: 20, ..trial(&[784, 128, 10], 64, Kind::SparseBytes) },
    Trial { steps: 20, ..trial(&[784, 150, 80, 10], 40, Kind::SparseBytes) },
    Trial { steps: 20, ..trial(&[200, 150, 80, 40], 40, Kind::Floats) },
    // Few rows or columns a thread.
    trial(&[20, 64, 32, 6], 8, Kind::Floats),
    trial(&[30, 48, 17, 5], 9, Kind::Bytes),
    trial(&[12, 130, 70], 1, Kind::Floats),
    // Columns divided, also inside a panel.
    trial(&[120, 208, 10], 20, Kind::SparseBytes),
    trial(&[40, 208, 200], 20, Kind::Floats),
    trial(&[30, 7, 208, 12], 10, Kind::Bytes),
    // Narrow before wide.
    trial(&[70, 7, 40, 12, 20], 33, Kind::SparseBytes),
];

/// Rows of the training part: the last batch of 32 or 48 is short.
const ROWS: usize = 100;

/// A data set that can be learnt: each class has a pattern of its own, with noise on top; numbers are functions of the class.
fn samples(trial: &Trial, rows: usize, seed: u64) -> Result<Samples> {
    let (model, kind) = (trial.model()?, trial.kind);
    let (width, outputs) = (model.inputs(), model.outputs());
    let classes = if model.head() == Head::Classes { outputs } else { 5 };
    let patterns = Draw::new(classes as u64).normal(width * classes);
    let mut draw = Draw::new(seed);
    let labels = draw.below(classes, rows);
    let noise = draw.normal(rows * width);
    let pairs = (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
    let values = pairs.map(|(row, column)| {
        let pattern = patterns[labels[row] as usize * width + column];
        let value = 0.5 + 0.15 * pattern + 0.15 * noise[row * width + column];
        if kind == Kind::SparseBytes && pattern < 0.8 { 0.0 } else { value }
    });
    let inputs = match kind {
        Kind::Floats => Inputs::F32(values.collect()),
        _ => Inputs::U8(values.map(|value| (value * 255.0).clamp(0.0, 255.0) as u8).collect()),
    };
    let samples = if model.head() == Head::Classes {
        Samples::new(inputs, width, labels)?
    } else {
        let values = labels.iter().flat_map(|&label| (0..outputs).map(move |output| (label, output)));
        let values = values.map(|(label, output)| (1.3 * f64::from(label) + output as f64).sin() as f32);
        Samples::with_values(inputs, width, values.collect(), outputs)?
    };
    let samples = match trial.image {
        Some(size) => samples.with_image(size)?,
        None => samples,
    };
    let weights = (0..rows).map(|row| [0.0, 1.0, 0.5, 2.0][row % 4]);
    if trial.weighs { samples.with_weights(weights.collect()) } else { Ok(samples) }
}

/// A trial, and what the composition of the twins makes of it.
struct Tried {
    trial: &'static Trial,
    model: Mlp,
    recipe: Recipe,
    train: Arc<Samples>,
    test: Arc<Samples>,
    initial: State,
    /// The parameters after one step.
    one_step: Vec<f32>,
    /// The state after all steps.
    end: State,
    /// The mean losses of the training part and the test part at the end.
    losses: [f64; 2],
    /// What the network gives for the test part at the end.
    predictions: Vec<f32>,
}

impl Tried {
    fn new(trial: &'static Trial) -> Result<Self> {
        let (model, recipe) = (trial.model()?, trial.recipe());
        let (train, test) = (Arc::new(samples(trial, ROWS, 1)?), Arc::new(samples(trial, 37, 2)?));
        let initial = State::new(model.initial_parameters(Init::He, 5), recipe.optimizer.kind);
        let mut twins = Reference::new(model.clone(), &recipe);
        begin(&mut twins, [&train, &test], &initial)?;
        trial.first_step(&mut twins)?;
        let one_step = twins.parameters()?;
        trial.further_steps(&mut twins)?;
        let losses = [twins.evaluate_now(Split::Train)?.mean_loss(), twins.evaluate_now(Split::Test)?.mean_loss()];
        let (end, predictions) = (twins.state(None)?, twins.predict(&test.inputs)?);
        Ok(Self { trial, model, recipe, train, test, initial, one_step, end, losses, predictions })
    }

    /// How far from the end of training `parameters` are, as a share of the way that training went.
    fn distance(&self, parameters: &[f32]) -> f64 {
        let between = |a: &[f32], b: &[f32]| norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>());
        between(parameters, &self.end.parameters) / between(&self.end.parameters, &self.initial.parameters)
    }

    /// The distance at which the twins end when each step takes its gradient at parameters of 11 significant bits, as 16-bit
    /// operands have them: the largest of three ways to round.
    ///
    /// Some networks forget such an error. In others it turns units on or off, and they end elsewhere.
    fn sensitivity(&self) -> Result<f64> {
        let ends = [Rounding::Nearest, Rounding::Down, Rounding::Up].into_par_iter().map(|rounding| {
            let mut twins = Reference::new(self.model.clone(), &self.recipe);
            begin(&mut twins, [&self.train, &self.test], &self.initial)?;
            self.trial.first_step(&mut twins)?;
            let mut state = twins.state(None)?;
            for order in self.trial.orders() {
                for batch in order.chunks(self.trial.batch_size) {
                    let rounded: Vec<f32> = state.parameters.iter().map(|&value| rounding.round(value)).collect();
                    let exact = std::mem::replace(&mut state.parameters, rounded.clone());
                    twins.set_state(&state)?;
                    twins.pass(batch, self.trial.batch_size, self.trial.rate())?;
                    state = twins.state(None)?;
                    let steps = state.parameters.iter().zip(&rounded).map(|(after, before)| after - before);
                    state.parameters = exact.iter().zip(steps).map(|(value, step)| value + step).collect();
                }
            }
            Ok(self.distance(&state.parameters))
        });
        ends.try_reduce(|| 0.0, |a, b| Ok(a.max(b)))
    }

    /// The distance at which mixed precision may end: it rounds outputs and errors too, not only parameters. Only where units can
    /// be off altogether may it be far.
    fn allowed(&self) -> Result<f64> {
        let allowed = 1e-3 + 4.0 * self.sensitivity()?;
        Ok(if self.trial.activation == Activation::Relu { allowed } else { allowed.min(5e-2) })
    }
}

/// How a value gets the 11 significant bits of an operand of 16 bits.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    Nearest,
    /// Towards 0.
    Down,
    /// Away from 0.
    Up,
}

impl Rounding {
    fn round(self, value: f32) -> f32 {
        const LOST: u32 = 0x1fff;
        let bits = value.to_bits();
        let more = match self {
            Self::Nearest => LOST / 2 + (bits >> 13 & 1),
            Self::Down => 0,
            Self::Up => LOST,
        };
        f32::from_bits((bits + more) & !LOST)
    }
}

/// What the twins make of each of `trials`, side by side: they take their time.
fn tried(trials: impl Iterator<Item = &'static Trial>) -> Result<Vec<Tried>> {
    trials.collect::<Vec<_>>().into_par_iter().map(Tried::new).collect()
}

fn begin(backend: &mut dyn Backend, [train, test]: [&Arc<Samples>; 2], state: &State) -> Result<()> {
    backend.upload(Split::Train, train)?;
    backend.upload(Split::Test, test)?;
    backend.set_state(state)
}

/// Every plan on `device`, on each trial or one of so many (`every`), against the composition of the twins: all parameters
/// after one step, loss and parameters after some hundred, and the same bits from two runs.
///
/// # Errors
/// What the device fails with.
pub fn plans(device: &Device, every: usize) -> Result<Vec<Row>> {
    told(|tell| each_plan(device, every, tell))
}

/// The same, told network by network.
///
/// # Errors
/// What the device, or `tell`, fails with.
pub fn each_plan(device: &Device, every: usize, tell: &mut Tell<'_>) -> Result<()> {
    let trials = tried(TRIALS.iter().chain(OPTION_TRIALS).chain(HEAD_TRIALS).step_by(every))?;
    let mut device = device.clone();
    for launch in trials.iter().flat_map(|tried| mixed_launches(&device.hardware, tried)).collect::<Vec<_>>() {
        device.hardware.tuning.set(&launch);
    }
    // One store: what several engines launch is compiled once.
    let store = Store::new(device);
    trials.iter().try_for_each(|tried| tell(&plans_of(&store, tried)?))
}

/// With mixed precision, the launches by cooperative matrices of all products of a step: small ones would be made without.
fn mixed_launches(hardware: &Hardware, tried: &Tried) -> Vec<Launch> {
    let Tried { trial, model, recipe, train, .. } = tried;
    let step = |plan| Plan::step(plan, model, recipe, Element::of(&train.inputs), trial.batch_size, hardware);
    let mixed = |piece: &Piece| {
        [&piece.launch].into_iter().chain(&piece.others).find(|launch| launch.kernel.is_mixed()).cloned()
    };
    let steps = PlanName::fitting(model, recipe, hardware).into_iter().map(step);
    steps.flat_map(|step| step.pieces().filter_map(mixed).collect::<Vec<_>>()).collect()
}

fn plans_of(store: &Store, tried: &Tried) -> Result<Vec<Row>> {
    let Tried { trial, model, recipe, train, .. } = tried;
    let hardware = &store.device().hardware;
    // With mixed precision only what it changes.
    let changed = |plan: PlanName| {
        let step = Plan::step(plan, model, recipe, Element::of(&train.inputs), trial.batch_size, hardware);
        hardware.cooperative.is_none() || step.precision() == Precision::Mixed
    };
    let mut rows = Vec::new();
    for plan in PlanName::fitting(model, recipe, hardware).into_iter().filter(|&plan| changed(plan)) {
        let open = || Gpu::new(store.clone(), model.clone(), recipe, Some(plan));
        rows.extend(plan_rows(&mut open()?, &mut open()?, tried)?);
    }
    Ok(rows)
}

/// The same of the CPU backend, with this machine's vector instructions and without, on one thread and on more: the
/// results must not depend on the number of threads.
///
/// # Errors
/// When threads cannot be started.
pub fn cpu() -> Result<Vec<Row>> {
    cpu_of(TRIALS.iter().chain(CPU_TRIALS).chain(OPTION_TRIALS).chain(HEAD_TRIALS))
}

fn cpu_of(trials: impl Iterator<Item = &'static Trial>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, tried) in tried(trials)?.iter().enumerate() {
        for (index, vectors) in Vectors::all().into_iter().enumerate() {
            let open = |threads| Cpu::with_vectors(tried.model.clone(), &tried.recipe, threads, vectors);
            let mut many = open([2, 3, 4, 7][(number + index) % 4])?;
            match (number / 4 + index) % 3 {
                0 => many.fix_pace(false),
                1 => many.fix_pace(true),
                _ => {}
            }
            rows.extend(plan_rows(&mut open(1)?, &mut many, tried)?);
        }
    }
    Ok(rows)
}

fn plan_rows(first: &mut dyn Backend, second: &mut dyn Backend, tried: &Tried) -> Result<Vec<Row>> {
    let Tried { trial, train, test, .. } = tried;
    let (shape, mut rows) = (trial.shape(&tried.model), Vec::new());
    let mut name = format!("plan {}", first.about().plan);
    let mut push = |name: &str, what, tolerance, actual: &[f32], expected: &[f32]| {
        let comparison = compare(actual, expected, tolerance);
        rows.push(Row { name: name.to_owned(), shape: shape.clone(), what, tolerance, comparison });
    };

    let mut backends: [&mut dyn Backend; 2] = [first, second];
    for backend in &mut backends {
        begin(*backend, [train, test], &tried.initial)?;
        trial.first_step(*backend)?;
    }
    let [first, second] = backends;
    // Rounding differs, and training lets small differences grow.
    let mut one_step = Tolerance { absolute: 1e-6, relative: 1e-5 };
    let mut many_steps = Tolerance { absolute: 1e-4, relative: 1e-3 };
    if first.about().precision == Precision::Mixed {
        name += " mixed";
        // Operands have 11 significant bits: 2^13 times the error of f32, a half of it at a time. Which way a driver
        // rounds is its own choice, so no twin can do the same.
        one_step = Tolerance { absolute: 1e-3, relative: 1e-2 };
        many_steps = Tolerance { absolute: 5e-2, relative: 5e-2 };
    }
    push(&name, "1 step", one_step, &first.parameters()?, &tried.one_step);

    trial.further_steps(first)?;
    trial.further_steps(second)?;
    let state = first.state(None)?;
    let (parameters, expected) = (&state.parameters, &tried.end.parameters);
    if first.about().precision == Precision::Mixed {
        // A unit that rounding turns on or off takes its own weights far, but few of all: what counts is the distance of all.
        let allowed = Tolerance { absolute: tried.allowed()?, relative: 0.0 };
        push(&name, "many steps, apart", allowed, &[tried.distance(parameters) as f32], &[0.0]);
    } else {
        push(&name, "many steps", many_steps, parameters, expected);
    }
    let parts = [("train loss", Split::Train), ("test loss", Split::Test)];
    for ((what, split), expected) in parts.into_iter().zip(tried.losses) {
        push(&name, what, many_steps, &[first.evaluate_now(split)?.mean_loss() as f32], &[expected as f32]);
    }
    if !state.slots.is_empty() {
        push(&name, "slots", many_steps, &state.slots.concat(), &tried.end.slots.concat());
    }
    push(&name, "predict", many_steps, &first.predict(&test.inputs)?, &tried.predictions);
    push(&name, "same bits", Tolerance::EXACT, parameters, &second.parameters()?);
    Ok(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::gpu::device::{adapters, choose};
    use crate::check::{KERNELS, kernels};

    #[test]
    fn values_are_rounded_to_eleven_bits() {
        let bit = 2.0_f32.powi(-10);
        for (value, nearest, down, up) in [
            (1.0, 1.0, 1.0, 1.0),
            (1.0 + 0.3 * bit, 1.0, 1.0, 1.0 + bit),
            (1.0 + 0.5 * bit, 1.0, 1.0, 1.0 + bit),
            (1.0 + 1.5 * bit, 1.0 + 2.0 * bit, 1.0 + bit, 1.0 + 2.0 * bit),
            (-1.0 - 0.7 * bit, -1.0 - bit, -1.0, -1.0 - bit),
            (0.0, 0.0, 0.0, 0.0),
        ] {
            let rounded = [Rounding::Nearest, Rounding::Down, Rounding::Up].map(|rounding| rounding.round(value));
            assert_eq!(rounded, [nearest, down, up], "{value}");
        }
    }

    /// Rounding moves a network without hidden units little, and one that it turns units on or off in far; signs of errors that are
    /// nothing but rounding are no reason.
    #[test]
    fn what_mixed_precision_may_differ_by_follows_from_the_network() {
        let allowed = |trials: &'static [Trial], widths: &[usize], loss| {
            let trial = trials.iter().find(|trial| trial.widths == widths && trial.loss == loss).unwrap();
            Tried::new(trial).unwrap().allowed().unwrap()
        };
        let smooth = allowed(TRIALS, &[64, 10], Loss::CrossEntropy);
        let kinked = allowed(TRIALS, &[36, 64, 12, 70], Loss::CrossEntropy);
        assert!((1e-3..3e-3).contains(&smooth), "{smooth}");
        assert!((5e-2..0.8).contains(&kinked), "{kinked}");
        assert_eq!(allowed(HEAD_TRIALS, &[36, 64, 1], Loss::Mae), 5e-2);
    }

    /// The worked example of CONTRIBUTING.md: one shader, one file of Rust, a line in the registry and a trial make an activation
    /// that both backends train with.
    #[test]
    fn an_activation_that_is_added_is_trained_by_both_backends_and_all_kernels() {
        let softplus = || OPTION_TRIALS.iter().filter(|trial| trial.activation == Activation::Softplus);
        let mut rows = cpu_of(softplus()).unwrap();
        let adapters = pollster::block_on(adapters());
        let infos: Vec<_> = adapters.iter().map(|adapter| adapter.get_info()).collect();
        match choose(&infos, None) {
            Ok(index) => {
                let device = pollster::block_on(Device::open(&adapters[index], Precision::F32)).unwrap();
                let activate = KERNELS.iter().filter(|checked| checked.kernel.name.starts_with("activate")).copied();
                rows.extend(kernels(&device, &activate.collect::<Vec<_>>(), 1).unwrap());
                let store = Store::new(device);
                let trained = tried(softplus()).unwrap();
                trained.iter().for_each(|tried| rows.extend(plans_of(&store, tried).unwrap()));
                assert!(rows.iter().any(|row| row.name == "plan fused" && row.shape.contains("softplus")));
            }
            Err(error) => {
                let required = std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_ok_and(|value| value == "1");
                assert!(!required, "{error}");
                println!("no adapter: softplus is checked on the CPU alone");
            }
        }
        for row in &rows {
            assert!(row.comparison.passed(), "{} {} {}: {}", row.name, row.shape, row.what, row.comparison);
        }
    }
}
