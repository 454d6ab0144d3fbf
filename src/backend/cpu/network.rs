//! The training engine: padded parameters, and a step as phases that the threads walk through together. Forward and backward,
//! each thread takes some rows of the batch through narrow layers, and some columns of a wide layer for all rows, or for some
//! where columns are few; then each updates some rows of a narrow layer's weights, and of a wide one's the columns that it
//! reads going forward. No gradient of a wide layer is ever stored: its product adds to the weights.

use std::ops::{Deref, Range};
use std::sync::Arc;

use super::augment::Warper;
use super::dropout::{self, Dropout};
use super::head::{self, Objective, Targets};
use super::panels::{GRAIN, Layout, Left, PANEL, Part, Store, Update, pack_transposed, product};
use super::sparse::{Columns, SparseRows};
use super::squares::BLOCK;
use super::team::{Member, Shared, Team};
use super::vector::activation::{self, Block};
use super::vector::augment::Augmenter;
use super::vector::optimizer::{Step, update_all, with_optimizer};
use super::vector::{Aligned, FEW_OUTPUTS, Vectors, pitch, reduce_rows, vectorize};
use super::{gather, narrow, vector};
use crate::backend::Steps;
use crate::data::{Inputs, Samples};
use crate::model::front::Decay;
use crate::model::{Activation, Head, Layer, Mlp};
use crate::recipe::{Optimizer, Recipe};
use crate::state::State;

mod front;

use front::Front;

/// Rows of a thread's share of a batch, and of a narrow layer's weights: whole multiples of this.
const ROWS: usize = 4;

/// Columns of a wide layer that a thread has at least, as far as rows can be divided instead.
const ENOUGH: usize = 64;

/// What decides the numbers of training beside model, data and rates.
#[derive(Debug, Clone)]
pub struct Learning {
    /// How parameters follow their gradients.
    pub optimizer: Optimizer,
    /// What is made small.
    pub objective: Objective,
    /// The seed of dropout and augmentation.
    pub seed: u64,
}

impl From<&Recipe> for Learning {
    fn from(recipe: &Recipe) -> Self {
        Self { optimizer: recipe.optimizer, objective: recipe.into(), seed: recipe.seed }
    }
}

/// The rows of a part of a data set, as the engine reads them.
pub enum Rows {
    /// Bytes of which most are 0.
    Sparse(SparseRows),
    /// Anything else.
    Dense(Held),
}

/// Rows as they came.
pub enum Held {
    /// Those of samples that others hold too.
    Of(Arc<Samples>),
    /// Nobody else's.
    Own(Inputs),
}

impl Deref for Held {
    type Target = Inputs;

    fn deref(&self) -> &Inputs {
        match self {
            Self::Of(samples) => &samples.inputs,
            Self::Own(inputs) => inputs,
        }
    }
}

impl Rows {
    /// Those of `samples`, for teams of at most `threads`.
    pub fn new(samples: &Arc<Samples>, threads: usize) -> Self {
        let sparse = match &samples.inputs {
            Inputs::U8(data) => SparseRows::new(data, samples.width, threads),
            Inputs::F32(_) => None,
        };
        sparse.map_or_else(|| Self::dense(samples), Rows::Sparse)
    }

    /// Those of `samples`, whatever they are.
    pub fn dense(samples: &Arc<Samples>) -> Self {
        Rows::Dense(Held::Of(Arc::clone(samples)))
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Rows::Sparse(rows) => rows.bytes(),
            Rows::Dense(inputs) => inputs.bytes(),
        }
    }
}

/// What training reads.
#[derive(Clone, Copy)]
pub struct Examples<'a> {
    /// The rows.
    pub rows: &'a Rows,
    /// What they are augmented with: images that are not sparse.
    pub augmenter: Option<&'a Augmenter>,
    /// Their targets.
    pub targets: Targets<'a>,
}

/// One layer's widths.
struct Shape {
    inputs: usize,
    outputs: usize,
    /// The pitch of the outputs' rows.
    pitch: usize,
    activation: Activation,
    /// The share of the outputs that training drops.
    dropout: f64,
}

impl Shape {
    /// Whether training saves what the activation's derivative is computed from apart from the layer's output.
    fn saves(&self) -> bool {
        self.activation.saves_input() || self.dropout > 0.0
    }

    fn narrow(&self) -> bool {
        self.outputs <= FEW_OUTPUTS
    }

    /// The layout of the weights.
    fn layout(&self) -> Layout {
        Layout::panels(self.inputs, self.outputs)
    }
}

/// Parameters, and what is kept beside them, laid out as they are.
#[derive(Default)]
struct Tensor {
    parameters: Aligned,
    /// The optimizer's.
    slots: Vec<Aligned>,
    /// The sums of their gradients, where these are clipped.
    gradients: Aligned,
}

impl Tensor {
    fn new(length: usize, optimizer: &Optimizer) -> Self {
        Self {
            parameters: Aligned::zeros(length),
            slots: vec![Aligned::zeros(length); optimizer.kind.slots()],
            gradients: Aligned::zeros(if optimizer.clip_norm.is_some() { length } else { 0 }),
        }
    }

    /// Values that it holds.
    fn len(&self) -> usize {
        self.parameters.len() * (1 + self.slots.len()) + self.gradients.len()
    }

    /// The parameters, or one of the slots.
    fn values(&self, slot: Option<usize>) -> &[f32] {
        slot.map_or(&self.parameters, |slot| &self.slots[slot])
    }

    fn values_mut(&mut self, slot: Option<usize>) -> &mut [f32] {
        match slot {
            Some(slot) => &mut self.slots[slot],
            None => &mut self.parameters,
        }
    }
}

/// One layer's parameters, rows padded with zeros.
struct Values {
    /// `inputs x pitch`, in panels
    weights: Tensor,
    /// `pitch`
    biases: Tensor,
    /// `outputs x` the pitch of the inputs: of a narrow layer behind another, whose input gradient runs over it.
    transposed: Aligned,
}

/// A model's parameters in the engine's layout, and what training keeps beside them.
pub struct Network {
    front: Option<Front>,
    layers: Vec<Shape>,
    head: Head,
    input_dropout: f64,
    values: Vec<Values>,
    learning: Learning,
    /// Steps taken.
    step: u64,
    vectors: Vectors,
}

impl Network {
    /// A network of `model`'s shape, all parameters 0.
    pub fn new(model: &Mlp, learning: Learning, vectors: Vectors) -> Self {
        let shape = |layer: &Layer| Shape {
            inputs: layer.inputs,
            outputs: layer.outputs,
            pitch: pitch(layer.outputs),
            activation: layer.activation,
            dropout: layer.dropout,
        };
        let layers: Vec<Shape> = model.layers().iter().map(shape).collect();
        let front = Front::new(model, &learning);
        let values = layers.iter().enumerate().map(|(index, layer)| {
            let transposed =
                if (index > 0 || front.is_some()) && layer.narrow() { layer.outputs * pitch(layer.inputs) } else { 0 };
            Values {
                weights: Tensor::new(layer.inputs * layer.pitch, &learning.optimizer),
                biases: Tensor::new(layer.pitch, &learning.optimizer),
                transposed: Aligned::zeros(transposed),
            }
        });
        let values = values.collect();
        let (head, input_dropout) = (model.head(), model.input_dropout());
        Self { front, values, layers, head, input_dropout, learning, step: 0, vectors }
    }

    /// The vector instructions in use.
    pub fn vectors(&self) -> Vectors {
        self.vectors
    }

    /// Bytes of the parameters, and of what is kept beside them.
    pub fn bytes(&self) -> usize {
        let count = |values: &Values| values.weights.len() + values.biases.len() + values.transposed.len();
        let front = self.front.iter().flat_map(|front| &front.values).map(Tensor::len).sum::<usize>();
        size_of::<f32>() * (front + self.values.iter().map(count).sum::<usize>())
    }

    /// The parameters, the optimizer's slots, and the steps taken.
    pub fn state(&self) -> State {
        let slots = (0..self.learning.optimizer.kind.slots()).map(|slot| self.flat(Some(slot))).collect();
        State { parameters: self.flat(None), slots, step: self.step }
    }

    /// Replaces them; `state` fits the model and the optimizer.
    pub fn set_state(&mut self, state: &State) {
        self.set_flat(None, &state.parameters);
        for (slot, values) in state.slots.iter().enumerate() {
            self.set_flat(Some(slot), values);
        }
        self.step = state.step;
    }

    /// The parameters or a slot, laid out as [`Mlp`] says.
    fn flat(&self, slot: Option<usize>) -> Vec<f32> {
        let mut flat = Vec::new();
        if let Some(front) = &self.front {
            front.flatten(slot, &mut flat);
        }
        for (layer, values) in self.layers.iter().zip(&self.values) {
            let weights = values.weights.values(slot);
            for row in 0..layer.inputs {
                for part in layer.layout().over(0..layer.outputs) {
                    flat.extend_from_slice(&weights[part.row(row)..][..part.columns.len()]);
                }
            }
            flat.extend_from_slice(&values.biases.values(slot)[..layer.outputs]);
        }
        flat
    }

    /// Replaces the parameters or a slot by flat values.
    fn set_flat(&mut self, slot: Option<usize>, mut flat: &[f32]) {
        if let Some(front) = &mut self.front {
            flat = front.fill(slot, flat);
        }
        for (layer, values) in self.layers.iter().zip(&mut self.values) {
            let (weights, rest) = flat.split_at(layer.inputs * layer.outputs);
            let (biases, rest) = rest.split_at(layer.outputs);
            flat = rest;
            let to = values.weights.values_mut(slot);
            for (row, weights) in weights.chunks_exact(layer.outputs).enumerate() {
                for part in layer.layout().over(0..layer.outputs) {
                    let count = part.columns.len();
                    to[part.row(row)..][..count].copy_from_slice(&weights[part.columns]);
                }
            }
            values.biases.values_mut(slot)[..layer.outputs].copy_from_slice(biases);
            if slot.is_none() && !values.transposed.is_empty() {
                let Values { weights, transposed, .. } = values;
                let t_pitch = pitch(layer.inputs);
                let weights = &weights.parameters;
                transpose(weights, layer.pitch, 0, t_pitch, layer.outputs, |at, value| transposed[at] = value);
            }
        }
    }

    /// Class probabilities, or values, (`order.len() x pitch(outputs)`) of the rows `order`, on the caller's thread.
    pub fn outputs<'b>(&self, rows: &Rows, order: &[u32], buffers: &'b mut Buffers) -> &'b [f32] {
        let all = 0..order.len();
        let front = self.front.as_ref();
        let shape = front.map(|front| &front.shape);
        let frame = Frame { front: shape, layers: &self.layers, vectors: self.vectors, rows, capacity: order.len() };
        buffers.resize(self, rows, order.len(), false);
        let Buffers { raw, x, activations, deltas, scratch, .. } = buffers;
        let last = self.layers.len() - 1;
        if let Rows::Dense(inputs) = rows {
            let to = if front.is_some() { &mut *raw } else { &mut *x };
            gather(inputs, order, frame.width(), to);
        }
        if let Some(front) = front {
            scratch.resize_with(1, Scratch::default);
            let layout = frame.input(0);
            let rows = front::Rows { raw, range: all.clone(), layout, embedded: None, x: &Shared::new(x) };
            // SAFETY: nobody else has these values.
            unsafe { front.shape.forward(self.vectors, front.parameters(), rows, &mut scratch[0].values) };
        }
        let mut h: &[f32] = x;
        let outputs = activations[..last].iter_mut().chain(&mut deltas[last..]);
        for ((index, values), f) in self.values.iter().enumerate().zip(outputs) {
            let (weights, biases) = (&values.weights.parameters, &values.biases.parameters);
            let forward = Forward { frame, order, weights, biases, h, first: 0 };
            // SAFETY: nobody else has these values.
            unsafe { forward.layer(index, all.clone(), 0..self.layers[index].pitch, &Shared::new(f), None) };
            h = f;
        }
        if self.head == Head::Classes {
            head::softmax(self.vectors, self.layers[last].outputs, self.layers[last].pitch, &mut deltas[last]);
        }
        &deltas[last]
    }

    /// One step for each batch of `steps`, by all threads of `team`.
    pub fn train(
        &mut self,
        team: &Team,
        examples: Examples<'_>,
        steps: Steps<'_>,
        batch_size: usize,
        buffers: &mut Buffers,
    ) {
        let Examples { rows, augmenter, targets } = examples;
        let capacity = batch_size.min(steps.order.len());
        buffers.resize(self, rows, capacity, true);
        let Self { front, layers, input_dropout, values, learning, step, vectors, .. } = self;
        let Buffers { raw, embedded, x, dx, activations, saved, deltas, squares, scratch } = buffers;
        scratch.resize_with(team.threads(), Scratch::default);
        let fronts = front.iter().flat_map(|front| front.values.each_ref().map(|tensor| tensor.gradients.len()));
        let lengths = values.iter().flat_map(|values| [values.weights.gradients.len(), values.biases.gradients.len()]);
        squares.resize(fronts.chain(lengths).map(|length| length.div_ceil(BLOCK)).sum(), 0.0);
        let (shape, front) = match front {
            Some(Front { shape, values }) => (Some(&*shape), Some(values.each_mut().map(SharedTensor::new))),
            None => (None, None),
        };
        let run = Run {
            frame: Frame { front: shape, layers, vectors: *vectors, rows, capacity },
            front,
            targets,
            augmenter,
            learning,
            input_dropout: *input_dropout,
            values: values.iter_mut().map(SharedValues::new).collect(),
            raw: Shared::new(raw),
            embedded: Shared::new(embedded),
            x: Shared::new(x),
            dx: Shared::new(dx),
            activations: activations.iter_mut().map(|values| Shared::new(values)).collect(),
            saved: saved.iter_mut().map(|values| Shared::new(values)).collect(),
            deltas: deltas.iter_mut().map(|values| Shared::new(values)).collect(),
            squares: Shared::new(squares),
        };
        let (scratch, taken) = (Shared::new(scratch), *step);
        team.steps(steps.rates.len(), |member, step| {
            let (first, learning_rate) = (step * batch_size, steps.rates[step]);
            let batch = &steps.order[first..steps.order.len().min(first + batch_size)];
            let number = taken + 1 + step as u64;
            // SAFETY: each member has its own.
            let Scratch { values, columns } = unsafe { &mut scratch.part_mut(member.index..member.index + 1)[0] };
            let scratch = values;
            let mut walk = Walk { run: &run, member, batch, number, learning_rate, scratch, columns, mine: false };
            walk.forward();
            walk.backward();
            walk.update();
        });
        *step += steps.rates.len() as u64;
    }
}

/// A batch's activations and gradients; reused from step to step.
#[derive(Default)]
pub struct Buffers {
    /// The input rows before the front, where there is one: `rows x features`.
    raw: Aligned,
    /// The embedded rows before the front's factors, where these are trained: as `x`.
    embedded: Aligned,
    /// The first layer's input if it is dense: `rows x inputs`; in panels behind a front.
    x: Aligned,
    /// The gradient there, where there is a front: as `x`.
    dx: Aligned,
    /// Each hidden layer's output: `rows x pitch`, in panels.
    activations: Vec<Aligned>,
    /// What each hidden layer's derivative is computed from, if not from its output; laid out as the output.
    saved: Vec<Aligned>,
    /// The gradient at each layer's output before its activation or softmax: `rows x pitch`, in panels but for the last.
    deltas: Vec<Aligned>,
    /// The sum of the squares of each [`BLOCK`] values of gradients, where these are clipped.
    squares: Vec<f64>,
    /// One for each thread.
    scratch: Vec<Scratch>,
}

/// A thread's own; no cache line of it is another thread's.
#[derive(Default)]
#[repr(align(128))]
struct Scratch {
    values: Aligned,
    /// The pixels of the batch, column by column, that its update of a wide first layer reads. Members that shared them would wait for
    /// each other's caches longer than it takes to list them again.
    columns: Columns,
}

impl Buffers {
    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        let rest = [&self.activations, &self.saved, &self.deltas].into_iter().flatten();
        let rest = rest.chain([&self.raw, &self.embedded, &self.x, &self.dx]);
        let columns = self.scratch.iter().map(|own| own.columns.bytes()).sum::<usize>();
        size_of::<f32>() * (rest.map(|values| values.len()).sum::<usize>()) + columns
    }

    fn resize(&mut self, network: &Network, rows: &Rows, count: usize, training: bool) {
        let last = network.layers.len() - 1;
        if let Some(Front { shape, .. }) = &network.front {
            let length = Layout::panels(count, network.layers[0].inputs).len();
            self.raw.resize(count * shape.inputs);
            self.x.resize(length);
            self.embedded.resize(if training && shape.scales() { length } else { 0 });
            self.dx.resize(if training { length } else { 0 });
        } else {
            self.x.resize(if matches!(rows, Rows::Dense(_)) { count * network.layers[0].inputs } else { 0 });
        }
        for buffers in [&mut self.activations, &mut self.saved, &mut self.deltas] {
            buffers.resize(last + 1, Aligned::default());
        }
        for (index, layer) in network.layers.iter().enumerate() {
            self.activations[index].resize(if index < last { count * layer.pitch } else { 0 });
            let saves = training && index < last && layer.saves();
            self.saved[index].resize(if saves { count * layer.pitch } else { 0 });
            self.deltas[index].resize(if training || index == last { count * layer.pitch } else { 0 });
        }
    }
}

/// A tensor, shared by the threads.
struct SharedTensor<'a> {
    parameters: Shared<'a, f32>,
    slots: Vec<Shared<'a, f32>>,
    gradients: Shared<'a, f32>,
}

impl<'a> SharedTensor<'a> {
    fn new(tensor: &'a mut Tensor) -> Self {
        Self {
            parameters: Shared::new(&mut tensor.parameters),
            slots: tensor.slots.iter_mut().map(|slot| Shared::new(slot)).collect(),
            gradients: Shared::new(&mut tensor.gradients),
        }
    }
}

/// One layer's parameters, shared by the threads.
struct SharedValues<'a> {
    weights: SharedTensor<'a>,
    biases: SharedTensor<'a>,
    transposed: Shared<'a, f32>,
}

impl<'a> SharedValues<'a> {
    fn new(values: &'a mut Values) -> Self {
        Self {
            weights: SharedTensor::new(&mut values.weights),
            biases: SharedTensor::new(&mut values.biases),
            transposed: Shared::new(&mut values.transposed),
        }
    }
}

/// What a run of steps and an evaluation have in common.
#[derive(Clone, Copy)]
struct Frame<'a> {
    front: Option<&'a front::Shape>,
    layers: &'a [Shape],
    vectors: Vectors,
    rows: &'a Rows,
    /// Rows that the buffers have room for.
    capacity: usize,
}

impl<'a> Frame<'a> {
    /// The layout of layer `index`'s output, and of the gradient there. The last layer's rows are whole, as the softmax takes them.
    fn output(&self, index: usize) -> Layout {
        let layer = &self.layers[index];
        if index + 1 < self.layers.len() {
            Layout::panels(self.capacity, layer.outputs)
        } else {
            Layout::plain(self.capacity, layer.pitch)
        }
    }

    /// The layout of layer `index`'s input.
    fn input(&self, index: usize) -> Layout {
        match (index, self.front) {
            (0, None) => Layout::plain(self.capacity, self.layers[0].inputs),
            (0, Some(_)) => Layout::panels(self.capacity, self.layers[0].inputs),
            _ => self.output(index - 1),
        }
    }

    /// Features of a row.
    fn width(&self) -> usize {
        self.front.map_or(self.layers[0].inputs, |front| front.inputs)
    }

    /// The rows as lists of pixels, where `index` is the first layer and has them so.
    fn sparse(&self, index: usize) -> Option<&'a SparseRows> {
        match self.rows {
            Rows::Sparse(rows) if index == 0 => Some(rows),
            _ => None,
        }
    }
}

/// A run of steps, shared by the threads.
struct Run<'a> {
    frame: Frame<'a>,
    /// The front's parameters.
    front: Option<[SharedTensor<'a>; 5]>,
    targets: Targets<'a>,
    augmenter: Option<&'a Augmenter>,
    learning: &'a Learning,
    input_dropout: f64,
    values: Vec<SharedValues<'a>>,
    raw: Shared<'a, f32>,
    embedded: Shared<'a, f32>,
    x: Shared<'a, f32>,
    dx: Shared<'a, f32>,
    activations: Vec<Shared<'a, f32>>,
    saved: Vec<Shared<'a, f32>>,
    deltas: Vec<Shared<'a, f32>>,
    squares: Shared<'a, f64>,
}

impl<'a> Run<'a> {
    /// What the derivative of layer `index`'s activation is computed from.
    fn saved(&self, index: usize) -> &Shared<'a, f32> {
        let saved = &self.saved[index];
        if saved.is_empty() { &self.activations[index] } else { saved }
    }
}

/// What a layer's forward product reads.
struct Forward<'a> {
    frame: Frame<'a>,
    order: &'a [u32],
    weights: &'a [f32],
    biases: &'a [f32],
    /// The layer's input, if it is not sparse.
    h: &'a [f32],
    /// The row of the batch that it begins with: 0 unless it is one panel.
    first: usize,
}

impl Forward<'_> {
    /// `f = activation(h W + b)` of layer `index`: these rows and columns, all columns of a narrow layer. In training, some of
    /// them are dropped, and what the derivative is computed from is saved.
    ///
    /// # Safety
    /// Nobody else touches these rows and columns of `f`, and of what is saved, until the next barrier.
    unsafe fn layer(
        &self,
        index: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        f: &Shared<f32>,
        training: Option<&Training>,
    ) {
        let Self { frame, order, weights, biases, h, first } = *self;
        let Frame { layers, vectors, .. } = frame;
        let layer = &layers[index];
        let (from, to) = (frame.input(index), frame.output(index));
        if layer.narrow() {
            let part = &to.at(0);
            // SAFETY: as the caller promises.
            let values = unsafe { f.part_mut(part.row(rows.start)..part.row(rows.end)) };
            match frame.sparse(index) {
                Some(sparse) => sparse.forward_narrow(vectors, &order[rows.clone()], weights, layer.pitch, values),
                None => {
                    let from = (h, from, layer.inputs);
                    narrow::forward(vectors, from, rows.start - first, (weights, layer.pitch), values);
                }
            }
            // SAFETY: as the caller promises.
            unsafe { finish(vectors, layer.activation, biases, Block { rows, part }, f, training) };
            return;
        }
        for part in layer.layout().over(columns) {
            match frame.sparse(index) {
                // SAFETY: as the caller promises.
                Some(sparse) => unsafe {
                    sparse.forward_wide(vectors, order, rows.clone(), weights, &part, (f, to));
                },
                None => {
                    let left = Left { values: h, layout: from, transposed: false };
                    // SAFETY: as the caller promises.
                    unsafe { product(vectors, left, rows.clone(), layer.inputs, weights, &part, Store, (f, to)) };
                }
            }
            let biases = &biases[part.columns.clone()];
            let block = Block {
                rows: rows.clone(),
                part: &Part { columns: part.columns.clone(), ..to.at(part.columns.start) },
            };
            // SAFETY: as the caller promises.
            unsafe { finish(vectors, layer.activation, biases, block, f, training) };
        }
    }
}

/// What training does to a layer's output.
struct Training<'a> {
    /// Where what the derivative is computed from goes, if that is not the output.
    saved: Option<&'a Shared<'a, f32>>,
    dropout: Option<Dropout>,
}

/// Biases, activation and dropout of a block of a layer's output.
///
/// # Safety
/// Nobody else touches the block of `f` and of what is saved until the next barrier.
unsafe fn finish(
    vectors: Vectors,
    activation: Activation,
    biases: &[f32],
    block: Block,
    f: &Shared<f32>,
    training: Option<&Training>,
) {
    let saved = training.and_then(|training| training.saved);
    // SAFETY, of both: as the caller promises.
    // SAFETY: as the caller promises.
    unsafe { activation::forward(vectors, activation, biases, block.clone(), f, saved) };
    if let Some(dropout) = training.and_then(|training| training.dropout) {
        // SAFETY: as the caller promises.
        unsafe { vector::dropout::dropout(vectors, dropout, block, f) };
    }
}

/// One member's way through a step.
struct Walk<'a> {
    run: &'a Run<'a>,
    member: &'a Member<'a>,
    batch: &'a [u32],
    /// The number of the step, from 1.
    number: u64,
    learning_rate: f32,
    scratch: &'a mut Aligned,
    /// As in [`Scratch`].
    columns: &'a mut Columns,
    /// Whether since the last barrier this member wrote rows of the batch that only it may read.
    mine: bool,
}

impl Walk<'_> {
    /// Before anything of other members' rows is read.
    fn meet(&mut self) {
        if std::mem::take(&mut self.mine) {
            self.member.wait();
        }
    }

    fn share(&self) -> Range<usize> {
        self.member.share(self.batch.len(), ROWS)
    }

    /// The input of layer `index`, if it is not sparse.
    fn input(&self, index: usize) -> &Shared<'_, f32> {
        if index == 0 { &self.run.x } else { &self.run.activations[index - 1] }
    }

    /// What this step drops of layer `index`'s outputs.
    fn dropout(&self, index: usize) -> Option<Dropout> {
        let share = self.run.frame.layers[index].dropout;
        (share > 0.0).then(|| Dropout::new(self.run.learning.seed, self.number, index as u32 + 1, share))
    }

    fn forward(&mut self) {
        let Run { frame, targets, augmenter, learning, input_dropout, .. } = *self.run;
        let Frame { layers, vectors, rows, .. } = frame;
        let (batch, last, share) = (self.batch, layers.len() - 1, self.share());
        if let Rows::Dense(inputs) = rows {
            let width = frame.width();
            let to = if frame.front.is_some() { &self.run.raw } else { &self.run.x };
            // SAFETY: each member writes its own rows.
            let x = unsafe { to.part_mut(share.start * width..share.end * width) };
            gather(inputs, &batch[share.clone()], width, x);
            if let Some(augmenter) = augmenter {
                let key = Warper::key(learning.seed, self.number);
                augmenter.augment(vectors, key, share.start, self.scratch, x);
            }
            if input_dropout > 0.0 {
                let drop = Dropout::new(learning.seed, self.number, 0, input_dropout);
                vectorize!(vectors, |_simd| dropout::dropout(drop, share.start as u32, width, x));
            }
            if let (Some(shape), Some(values)) = (frame.front, &self.run.front) {
                // SAFETY: nobody writes parameters before the update.
                let parameters = std::array::from_fn(|index| unsafe { values[index].parameters.all() });
                let (range, layout) = (share.clone(), frame.input(0));
                let embedded = Some(&self.run.embedded).filter(|embedded| !embedded.is_empty());
                let rows = front::Rows { raw: x, range, layout, embedded, x: &self.run.x };
                // SAFETY: each member writes its own rows.
                unsafe { shape.forward(vectors, parameters, rows, self.scratch) };
            }
            self.mine = true;
        }
        for (index, layer) in layers.iter().enumerate() {
            let f = if index < last { &self.run.activations[index] } else { &self.run.deltas[last] };
            // Rows of several panels do not lie together: behind a front a narrow layer may take such.
            if !layer.narrow() || !frame.input(index).is_plain() {
                self.meet();
            }
            let values = &self.run.values[index];
            // SAFETY: nobody writes parameters before the update.
            let (weights, biases) = unsafe { (values.weights.parameters.all(), values.biases.parameters.all()) };
            let saved = Some(&self.run.saved[index]).filter(|saved| !saved.is_empty());
            let training = Training { saved, dropout: self.dropout(index) };
            // In one panel this member's rows lie together, and others may still write theirs.
            let (h, first) = match frame.input(index) {
                // SAFETY: rows of this member's own.
                layout if layer.narrow() && layout.is_plain() => unsafe {
                    let rows = layout.at(0).row(share.start)..layout.at(0).row(share.end);
                    (if self.input(index).is_empty() { &[][..] } else { self.input(index).part(rows) }, share.start)
                },
                // SAFETY: a barrier is behind those who wrote them.
                _ => (unsafe { self.input(index).all() }, 0),
            };
            let forward = Forward { frame, order: batch, weights, biases, h, first };
            if layer.narrow() {
                // SAFETY: each member writes its own rows.
                unsafe { forward.layer(index, share.clone(), 0..layer.pitch, f, Some(&training)) };
                self.mine = true;
            } else {
                let (rows, columns) = self.member.tile((batch.len(), layer.pitch), (ROWS, GRAIN), ENOUGH);
                // SAFETY: each member writes its own tile.
                unsafe { forward.layer(index, rows, columns, f, Some(&training)) };
                self.member.wait();
            }
        }
        let Shape { outputs, pitch, .. } = layers[last];
        // SAFETY: each member writes its own rows.
        let p = unsafe { self.run.deltas[last].part_mut(share.start * pitch..share.end * pitch) };
        head::gradient(vectors, learning.objective, &targets, &batch[share], (outputs, pitch), p);
        self.mine = true;
    }

    fn backward(&mut self) {
        let run = self.run;
        let frame = run.frame;
        let Frame { layers, vectors, .. } = frame;
        let (batch, share) = (self.batch, self.share());
        if let (Some(sparse), false) = (frame.sparse(0), layers[0].narrow()) {
            let (parts, _) = self.sparse_tile(sparse);
            sparse.transpose(batch, parts, self.columns);
        }
        // A front needs the gradient at the first layer's input too.
        let first = usize::from(frame.front.is_none());
        for (index, layer) in layers.iter().enumerate().skip(first).rev() {
            let (from, to) = (frame.output(index), frame.input(index));
            let values = &self.run.values[index];
            let (df, dh) =
                (&self.run.deltas[index], if index > 0 { &self.run.deltas[index - 1] } else { &self.run.dx });
            let behind = index.checked_sub(1).map(|before| Behind {
                activation: layers[before].activation,
                saved: run.saved(before),
                dropout: self.dropout(before),
            });
            if layer.narrow() {
                // SAFETY: this member's own rows.
                let df = unsafe { df.part(share.start * layer.pitch..share.end * layer.pitch) };
                // SAFETY: nobody writes parameters before the update.
                let (transposed, t_pitch) = (unsafe { values.transposed.all() }, pitch(layer.inputs));
                for part in to.over(0..to.pitch()) {
                    // SAFETY: this member's own rows.
                    let values = unsafe { dh.part_mut(part.row(share.start)..part.row(share.end)) };
                    let transposed = (&transposed[part.columns.start..], t_pitch);
                    narrow::input_gradient(vectors, (df, layer.pitch, layer.outputs), transposed, (values, part.width));
                    if let Some(behind) = &behind {
                        let block = Block { rows: share.clone(), part: &part };
                        // SAFETY: this member's own rows.
                        unsafe { behind.backward(vectors, block, dh) };
                    }
                }
                self.mine = true;
            } else {
                self.meet();
                // SAFETY: a barrier is behind those who wrote them.
                let left = Left { values: unsafe { df.all() }, layout: from, transposed: false };
                let (rows, columns) = self.member.tile((batch.len(), to.pitch()), (ROWS, GRAIN), ENOUGH);
                for part in to.over(columns) {
                    let inputs = part.columns.start..part.columns.end.min(layer.inputs);
                    self.scratch.resize(layer.outputs * part.columns.len());
                    if inputs.len() < part.columns.len() {
                        self.scratch.fill(0.0);
                    }
                    // SAFETY: nobody writes parameters before the update.
                    let weights = unsafe { values.weights.parameters.all() };
                    pack_transposed(weights, layer.layout(), inputs, layer.outputs, self.scratch);
                    let packed = Part { start: 0, width: part.columns.len(), ..part.clone() };
                    let block = Block { rows: rows.clone(), part: &part };
                    // SAFETY: each member writes its own tile.
                    unsafe {
                        product(vectors, left, rows.clone(), layer.outputs, self.scratch, &packed, Store, (dh, to));
                        if let Some(behind) = &behind {
                            behind.backward(vectors, block, dh);
                        }
                    }
                }
                self.member.wait();
            }
        }
        self.meet();
        if let (Some(shape), Some(values)) = (frame.front, &run.front) {
            // SAFETY: a barrier is behind those who wrote them; nobody writes rows or parameters before the update.
            let (raw, embedded, dx) =
                unsafe { (run.raw.part(0..batch.len() * shape.inputs), run.embedded.all(), run.dx.all()) };
            let (layout, count) = (frame.input(0), batch.len());
            let batch = front::Batch { raw, layout, embedded, dx };
            // SAFETY: each member writes its own share.
            unsafe { shape.backward(vectors, self.member, values, count, batch, self.scratch) };
        }
    }

    fn update(&mut self) {
        let Run { targets, learning, .. } = *self.run;
        let step = Step::new(&learning.optimizer, self.learning_rate, self.number, targets.total(self.batch));
        let Some(norm) = learning.optimizer.clip_norm else {
            self.update_layers(step);
            if self.run.front.is_some() {
                self.member.wait();
                self.update_front(step);
            }
            return;
        };
        self.update_layers(step.keeping());
        self.member.wait();
        let squares = self.squares();
        self.update_kept(step.clipped(squares, norm));
    }

    /// What a step does with the gradients of each layer's parameters.
    fn update_layers(&mut self, step: Step) {
        for (index, layer) in self.run.frame.layers.iter().enumerate() {
            if layer.narrow() { self.update_narrow(index, step) } else { self.update_wide(index, step) }
        }
    }

    /// All tensors: the front's, then those of the layers.
    fn tensors(&self) -> impl Iterator<Item = &SharedTensor<'_>> {
        let layers = self.run.values.iter().flat_map(|values| [&values.weights, &values.biases]);
        self.run.front.iter().flatten().chain(layers)
    }

    /// The sum of the squares of all gradients, in an order that does not depend on the number of threads.
    fn squares(&mut self) -> f64 {
        let blocks = self.tensors().flat_map(|tensor| {
            (0..tensor.gradients.len()).step_by(BLOCK).map(|start| {
                let end = tensor.gradients.len().min(start + BLOCK);
                // SAFETY: nobody writes gradients in this phase.
                unsafe { tensor.gradients.part(start..end) }
            })
        });
        let share = self.member.share(self.run.squares.len(), 1);
        // SAFETY: each member has its own share.
        let sums = unsafe { self.run.squares.part_mut(share.clone()) };
        for (sum, block) in sums.iter_mut().zip(blocks.skip(share.start)) {
            *sum = vector::squares(self.run.frame.vectors, block);
        }
        self.member.wait();
        // SAFETY: nobody writes them in this phase.
        unsafe { self.run.squares.all() }.iter().sum()
    }

    /// The step of this member's share of the front's parameters.
    fn update_front(&self, step: Step) {
        let (Some(shape), Some(values)) = (self.run.frame.front, &self.run.front) else { return };
        for (values, tensor) in values.iter().zip(&shape.tensors) {
            let step = match tensor.decay {
                Decay::Weights => step,
                Decay::Biases => step.of_biases(),
                Decay::Never => step.without_decay(),
            };
            self.step_kept(values, step.with_rate(tensor.rate));
        }
    }

    /// The step of this member's share of a tensor from gradients that were kept.
    fn step_kept(&self, tensor: &SharedTensor, step: Step) {
        // Whole rows of a narrow layer.
        let share = self.member.share(tensor.parameters.len(), GRAIN);
        // SAFETY: each member has its own share, and nobody writes gradients.
        unsafe {
            let (sums, parameters) = (tensor.gradients.part(share.clone()), tensor.parameters.part_mut(share.clone()));
            with_optimizer!(step, sgd, tensor, |optimizer| {
                update_all(self.run.frame.vectors, optimizer, share.start, sums, parameters);
            });
        }
    }

    /// The step of this member's share of each tensor from gradients that were kept.
    fn update_kept(&self, step: Step) {
        self.update_front(step);
        let Frame { layers, .. } = self.run.frame;
        for (index, layer) in layers.iter().enumerate() {
            let Shape { inputs, outputs, pitch, .. } = *layer;
            let values = &self.run.values[index];
            self.step_kept(&values.weights, step);
            self.step_kept(&values.biases, step.of_biases());
            if !values.transposed.is_empty() {
                let share = self.member.share(values.weights.parameters.len(), GRAIN);
                // SAFETY: this member's own rows.
                let weights = unsafe { values.weights.parameters.part(share.clone()) };
                let t_pitch = vector::pitch(inputs);
                transpose(weights, pitch, share.start / pitch, t_pitch, outputs, |at, value| {
                    // SAFETY: a column of the transpose is a row of the weights.
                    unsafe { values.transposed.part_mut(at..at + 1)[0] = value };
                });
            }
        }
    }

    /// The update of this member's rows of a narrow layer's weights.
    fn update_narrow(&mut self, index: usize, step: Step) {
        let frame = self.run.frame;
        let Frame { layers, vectors, .. } = frame;
        let (layer, values, batch, member) = (&layers[index], &self.run.values[index], self.batch, self.member);
        let Shape { inputs, outputs, pitch, .. } = *layer;
        // SAFETY: nobody writes gradients of outputs in the update.
        let df = unsafe { self.run.deltas[index].part(0..batch.len() * pitch) };
        let tensor = &values.weights;
        // SAFETY: each member has its own rows of the weights.
        let own = |share: &Range<usize>| unsafe { tensor.parameters.part_mut(share.start * pitch..share.end * pitch) };
        if let Some(rows) = frame.sparse(index) {
            let parts = member.share(rows.parts(), 1);
            let weights = own(&rows.columns(&parts));
            // SAFETY: each member has its own rows of the weights, and so of their slots.
            with_optimizer!(step, sgd_in_order, tensor, |optimizer| unsafe {
                rows.update_narrow(vectors, batch, (df, pitch), &parts, optimizer, weights, self.scratch);
            });
        } else {
            // SAFETY: nobody writes activations in the update.
            let h = unsafe { self.input(index).all() };
            for part in frame.input(index).over(member.share(inputs, ROWS)) {
                let weights = own(&part.columns);
                let h = (&h[part.start..], part.width);
                let at = part.columns.start * pitch;
                // SAFETY: each member has its own rows of the weights, and so of their slots.
                with_optimizer!(step, sgd_in_order, tensor, |optimizer| unsafe {
                    narrow::update(vectors, h, (df, pitch), optimizer, at, weights);
                });
                if !values.transposed.is_empty() {
                    let t_pitch = vector::pitch(inputs);
                    transpose(weights, pitch, part.columns.start, t_pitch, outputs, |at, value| {
                        // SAFETY: a column of the transpose is a row of the weights.
                        unsafe { values.transposed.part_mut(at..at + 1)[0] = value };
                    });
                }
            }
        }
        self.bias_step(index, member.share(pitch, GRAIN), df, step);
    }

    /// The parts of the pixels, and the columns, of a wide first layer's weights that this member updates.
    fn sparse_tile(&self, rows: &SparseRows) -> (Range<usize>, Range<usize>) {
        self.member.tile((rows.parts(), self.run.frame.layers[0].pitch), (1, GRAIN), ENOUGH)
    }

    /// The update of this member's columns of a wide layer's weights.
    fn update_wide(&mut self, index: usize, step: Step) {
        let frame = self.run.frame;
        let Frame { layers, vectors, .. } = frame;
        let (layer, tensor, batch) = (&layers[index], &self.run.values[index].weights, self.batch);
        let weights = &tensor.parameters;
        let (from, layout) = (frame.output(index), layer.layout());
        // Rows of the weights, or parts of the pixels.
        let (inputs, columns) = match frame.sparse(index) {
            Some(rows) => self.sparse_tile(rows),
            None => self.member.tile((layer.inputs, layer.pitch), (ROWS, GRAIN), ENOUGH),
        };
        // SAFETY: nobody writes gradients of outputs in the update.
        let df = unsafe { self.run.deltas[index].all() };
        for part in layout.over(columns.clone()) {
            if let Some(rows) = frame.sparse(index) {
                // SAFETY: each member has its own columns of the weights, and so of their slots.
                with_optimizer!(step, sgd, tensor, |optimizer| unsafe {
                    rows.update_wide(vectors, self.columns, batch.len(), (df, from), optimizer, weights, &part);
                });
                continue;
            }
            // SAFETY: nobody writes activations in the update.
            let h = unsafe { self.input(index).all() };
            let left = Left { values: h, layout: frame.input(index), transposed: true };
            let right = Part { columns: part.columns.clone(), ..from.at(part.columns.start) };
            let to = (weights, layout);
            // SAFETY: each member has its own tile of the weights, and so of their slots.
            with_optimizer!(step, sgd, tensor, |optimizer| unsafe {
                product(vectors, left, inputs.clone(), batch.len(), df, &right, Update(optimizer), to);
            });
        }
        if inputs.start == 0 {
            self.bias_step(index, columns, df, step);
        }
    }

    /// The update of these columns of layer `index`'s biases.
    fn bias_step(&self, index: usize, columns: Range<usize>, df: &[f32], step: Step) {
        let (frame, tensor, step) = (self.run.frame, &self.run.values[index].biases, step.of_biases());
        for part in frame.output(index).over(columns) {
            for columns in part.columns.clone().step_by(PANEL).map(|first| first..part.columns.end.min(first + PANEL)) {
                let mut sums = [0.0; PANEL];
                let sums = &mut sums[..columns.len()];
                let start = part.start + columns.start - part.columns.start;
                reduce_rows(frame.vectors, &df[start..], part.width, self.batch.len(), sums);
                // SAFETY: each member has its own columns in this phase.
                let (at, biases) = (columns.start, unsafe { tensor.parameters.part_mut(columns) });
                // SAFETY: each member has its own columns of the biases, and so of their slots.
                with_optimizer!(step, sgd_in_order, tensor, |optimizer| unsafe {
                    update_all(frame.vectors, optimizer, at, sums, biases);
                });
            }
        }
    }
}

/// The layer behind a gradient.
struct Behind<'a> {
    activation: Activation,
    /// What its derivative is computed from.
    saved: &'a Shared<'a, f32>,
    dropout: Option<Dropout>,
}

impl Behind<'_> {
    /// Takes a block of `dh`, the gradient at the layer's output, to before its dropout and activation.
    ///
    /// # Safety
    /// Nobody else touches the block of `dh`, and nobody writes what was saved, until the next barrier.
    unsafe fn backward(&self, vectors: Vectors, block: Block, dh: &Shared<f32>) {
        // SAFETY, of both: as the caller promises.
        if let Some(dropout) = self.dropout {
            // SAFETY: as the caller promises.
            unsafe { vector::dropout::dropout(vectors, dropout, block.clone(), dh) };
        }
        // SAFETY: as the caller promises.
        unsafe { activation::backward(vectors, self.activation, self.saved, block, dh) };
    }
}

/// Calls `put` with each weight and its place in the transpose, whose rows are `t_pitch` long. `weights` are rows from
/// `first` on, `pitch` long.
fn transpose(
    weights: &[f32],
    pitch: usize,
    first: usize,
    t_pitch: usize,
    outputs: usize,
    mut put: impl FnMut(usize, f32),
) {
    for (k, row) in weights.chunks_exact(pitch).enumerate() {
        for (j, &weight) in row[..outputs].iter().enumerate() {
            put(j * t_pitch + first + k, weight);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
