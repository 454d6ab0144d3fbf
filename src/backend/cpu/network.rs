//! The training engine: padded parameters, and a step as phases that the threads walk through together. Forward and backward,
//! each thread takes some rows of the batch through narrow layers, and some columns of a wide layer for all rows, or for some
//! where columns are few; then each updates some rows of a narrow layer's weights, and of a wide one's the columns that it
//! reads going forward. No gradient of a wide layer is ever stored: its product adds to the weights.

use std::ops::Range;

use super::panels::{Finish, GRAIN, Layout, Left, PANEL, Part, pack_transposed, product};
use super::sparse::{Columns, SparseRows};
use super::team::{Member, Shared, Team};
use super::vector::{Aligned, NARROW, Vectors, bias_relu, pitch, reduce_rows, vectorize};
use super::{cross_entropy_gradient, gather_f32, gather_u8, narrow, row_softmax, vector};
use crate::data::Inputs;
use crate::model::{Layer, Mlp};

/// Rows of a thread's share of a batch, and of a narrow layer's weights: whole multiples of this.
const ROWS: usize = 4;

/// Columns of a wide layer that a thread has at least, as far as rows can be divided instead.
const ENOUGH: usize = 64;

/// The rows of a part of a data set, as the engine reads them.
pub enum Rows {
    /// Bytes of which most are 0.
    Sparse(SparseRows),
    /// Anything else.
    Dense(Inputs),
}

impl Rows {
    /// `inputs` (`.. x width`), for batches of at most `batch_size` rows and a team of `threads`.
    pub fn new(inputs: &Inputs, width: usize, batch_size: usize, threads: usize) -> Self {
        match inputs {
            Inputs::U8(data) if batch_size <= SparseRows::MAX_BATCH => {
                SparseRows::new(data, width, threads).map(Rows::Sparse)
            }
            _ => None,
        }
        .unwrap_or_else(|| Rows::Dense(inputs.clone()))
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Rows::Sparse(rows) => rows.bytes(),
            Rows::Dense(inputs) => inputs.bytes(),
        }
    }
}

/// One layer's widths.
struct Shape {
    inputs: usize,
    outputs: usize,
    /// Of the outputs' rows.
    pitch: usize,
}

impl Shape {
    fn narrow(&self) -> bool {
        self.outputs <= NARROW
    }

    /// Of the weights.
    fn layout(&self) -> Layout {
        Layout::panels(self.inputs, self.outputs)
    }
}

/// One layer's parameters, rows padded with zeros.
struct Values {
    /// `inputs x pitch`, in panels
    weights: Aligned,
    /// `pitch`
    biases: Aligned,
    /// `outputs x` the pitch of the inputs: of a narrow layer behind another, whose input gradient runs over it.
    transposed: Aligned,
}

/// A model's parameters in the engine's layout.
pub struct Network {
    layers: Vec<Shape>,
    values: Vec<Values>,
    vectors: Vectors,
}

impl Network {
    /// A network of `model`'s shape, parameters 0.
    pub fn new(model: &Mlp, vectors: Vectors) -> Self {
        let shape = |layer: &Layer| Shape { inputs: layer.inputs, outputs: layer.outputs, pitch: pitch(layer.outputs) };
        let layers: Vec<Shape> = model.layers().iter().map(shape).collect();
        let values = layers.iter().enumerate().map(|(index, layer)| {
            let transposed = if index > 0 && layer.narrow() { layer.outputs * pitch(layer.inputs) } else { 0 };
            Values {
                weights: Aligned::zeros(layer.inputs * layer.pitch),
                biases: Aligned::zeros(layer.pitch),
                transposed: Aligned::zeros(transposed),
            }
        });
        Self { values: values.collect(), layers, vectors }
    }

    /// The vector instructions in use.
    pub fn vectors(&self) -> Vectors {
        self.vectors
    }

    /// Bytes of the parameters.
    pub fn bytes(&self) -> usize {
        let count = |values: &Values| values.weights.len() + values.biases.len() + values.transposed.len();
        size_of::<f32>() * self.values.iter().map(count).sum::<usize>()
    }

    /// The flat parameters, laid out as [`Mlp`] says.
    pub fn parameters(&self) -> Vec<f32> {
        let mut flat = Vec::new();
        for (layer, values) in self.layers.iter().zip(&self.values) {
            for row in 0..layer.inputs {
                for part in layer.layout().over(0..layer.outputs) {
                    flat.extend_from_slice(&values.weights[part.row(row)..][..part.columns.len()]);
                }
            }
            flat.extend_from_slice(&values.biases[..layer.outputs]);
        }
        flat
    }

    /// Replaces the parameters by flat ones.
    pub fn set_parameters(&mut self, mut flat: &[f32]) {
        for (layer, values) in self.layers.iter().zip(&mut self.values) {
            let (weights, rest) = flat.split_at(layer.inputs * layer.outputs);
            let (biases, rest) = rest.split_at(layer.outputs);
            flat = rest;
            for (row, weights) in weights.chunks_exact(layer.outputs).enumerate() {
                for part in layer.layout().over(0..layer.outputs) {
                    let count = part.columns.len();
                    values.weights[part.row(row)..][..count].copy_from_slice(&weights[part.columns]);
                }
            }
            values.biases[..layer.outputs].copy_from_slice(biases);
            if !values.transposed.is_empty() {
                let Values { weights, transposed, .. } = values;
                let t_pitch = pitch(layer.inputs);
                transpose(weights, layer.pitch, 0, t_pitch, layer.outputs, |at, value| transposed[at] = value);
            }
        }
    }

    /// Class probabilities (`order.len() x pitch(classes)`) of the rows `order`, on the caller's thread.
    pub fn probabilities<'b>(&self, rows: &Rows, order: &[u32], buffers: &'b mut Buffers) -> &'b [f32] {
        let all = 0..order.len();
        let frame = Frame { layers: &self.layers, vectors: self.vectors, rows, capacity: order.len() };
        buffers.resize(self, rows, order.len(), false);
        let Buffers { x, activations, deltas, .. } = buffers;
        let last = self.layers.len() - 1;
        if let Rows::Dense(inputs) = rows {
            gather(inputs, order, self.layers[0].inputs, x);
        }
        let mut h: &[f32] = x;
        let outputs = activations[..last].iter_mut().chain(&mut deltas[last..]);
        for ((index, values), f) in self.values.iter().enumerate().zip(outputs) {
            let (weights, biases) = (&values.weights, &values.biases);
            let forward = Forward { frame, order, weights, biases, h, first: 0 };
            // SAFETY: nobody else has these values.
            unsafe { forward.layer(index, all.clone(), 0..self.layers[index].pitch, &Shared::new(f)) };
            h = f;
        }
        softmax(self.vectors, self.layers[last].outputs, self.layers[last].pitch, &mut deltas[last]);
        &deltas[last]
    }

    /// One step of SGD for each batch of `order`, by all threads of `team`.
    pub fn train(
        &mut self,
        team: &Team,
        rows: &Rows,
        labels: &[u32],
        Steps { order, batch_size, learning_rate }: Steps,
        buffers: &mut Buffers,
    ) {
        let capacity = batch_size.min(order.len());
        buffers.resize(self, rows, capacity, true);
        let Self { layers, values, vectors } = self;
        let Buffers { x, activations, deltas, columns, scratch } = buffers;
        scratch.resize_with(team.threads(), Scratch::default);
        if let (Rows::Sparse(rows), false) = (rows, layers[0].narrow()) {
            columns.resize(rows.parts(), Columns::default());
        }
        let run = Run {
            frame: Frame { layers, vectors: *vectors, rows, capacity },
            labels,
            learning_rate,
            values: values.iter_mut().map(SharedValues::new).collect(),
            x: Shared::new(x),
            activations: activations.iter_mut().map(|values| Shared::new(values)).collect(),
            deltas: deltas.iter_mut().map(|values| Shared::new(values)).collect(),
            columns: Shared::new(columns),
        };
        let scratch = Shared::new(scratch);
        team.steps(order.len().div_ceil(batch_size), |member, step| {
            let batch = &order[step * batch_size..order.len().min((step + 1) * batch_size)];
            // SAFETY: each member has its own.
            let Scratch(scratch) = unsafe { &mut scratch.part_mut(member.index..member.index + 1)[0] };
            let mut walk = Walk { run: &run, member, batch, scratch, mine: false };
            walk.forward();
            walk.backward();
            walk.update();
        });
    }
}

/// A run of steps: one for each `batch_size` rows of `order`, the last perhaps shorter.
pub struct Steps<'a> {
    /// Row numbers of the training part.
    pub order: &'a [u32],
    /// Rows a step.
    pub batch_size: usize,
    /// Learning rate.
    pub learning_rate: f32,
}

/// A batch's activations and gradients; reused from step to step.
#[derive(Default)]
pub struct Buffers {
    /// The input rows where they are dense: `rows x inputs`.
    x: Aligned,
    /// Each hidden layer's output: `rows x pitch`, in panels.
    activations: Vec<Aligned>,
    /// The gradient at each layer's output before its ReLU or softmax: `rows x pitch`, in panels but for the last.
    deltas: Vec<Aligned>,
    /// The pixels of the batch, column by column, where the first layer is wide.
    columns: Vec<Columns>,
    /// One for each thread.
    scratch: Vec<Scratch>,
}

/// A thread's own; no cache line of it is another thread's.
#[derive(Default)]
#[repr(align(128))]
struct Scratch(Aligned);

impl Buffers {
    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        let rest = [&self.activations, &self.deltas].into_iter().flatten();
        let columns = self.columns.iter().map(Columns::bytes).sum::<usize>();
        size_of::<f32>() * (self.x.len() + rest.map(|values| values.len()).sum::<usize>()) + columns
    }

    fn resize(&mut self, network: &Network, rows: &Rows, count: usize, training: bool) {
        let last = network.layers.len() - 1;
        self.x.resize(if matches!(rows, Rows::Dense(_)) { count * network.layers[0].inputs } else { 0 });
        for buffers in [&mut self.activations, &mut self.deltas] {
            buffers.resize(last + 1, Aligned::default());
        }
        for (index, layer) in network.layers.iter().enumerate() {
            self.activations[index].resize(if index < last { count * layer.pitch } else { 0 });
            self.deltas[index].resize(if training || index == last { count * layer.pitch } else { 0 });
        }
    }
}

/// One layer's parameters, shared by the threads.
struct SharedValues<'a> {
    weights: Shared<'a, f32>,
    biases: Shared<'a, f32>,
    transposed: Shared<'a, f32>,
}

impl<'a> SharedValues<'a> {
    fn new(values: &'a mut Values) -> Self {
        Self {
            weights: Shared::new(&mut values.weights),
            biases: Shared::new(&mut values.biases),
            transposed: Shared::new(&mut values.transposed),
        }
    }
}

/// What a run of steps and an evaluation have in common.
#[derive(Clone, Copy)]
struct Frame<'a> {
    layers: &'a [Shape],
    vectors: Vectors,
    rows: &'a Rows,
    /// Rows that the buffers have room for.
    capacity: usize,
}

impl<'a> Frame<'a> {
    /// Of layer `index`'s output, and of the gradient there. The last layer's rows are whole, as the softmax takes them.
    fn output(&self, index: usize) -> Layout {
        let layer = &self.layers[index];
        match index + 1 < self.layers.len() {
            true => Layout::panels(self.capacity, layer.outputs),
            false => Layout::plain(self.capacity, layer.pitch),
        }
    }

    /// Of layer `index`'s input.
    fn input(&self, index: usize) -> Layout {
        match index {
            0 => Layout::plain(self.capacity, self.layers[0].inputs),
            _ => self.output(index - 1),
        }
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
    labels: &'a [u32],
    learning_rate: f32,
    values: Vec<SharedValues<'a>>,
    x: Shared<'a, f32>,
    activations: Vec<Shared<'a, f32>>,
    deltas: Vec<Shared<'a, f32>>,
    columns: Shared<'a, Columns>,
}

/// What a layer's forward product reads.
struct Forward<'a> {
    frame: Frame<'a>,
    order: &'a [u32],
    weights: &'a [f32],
    biases: &'a [f32],
    /// The layer's input, where that is not sparse.
    h: &'a [f32],
    /// The row of the batch that it begins with: 0 unless it is one panel.
    first: usize,
}

impl Forward<'_> {
    /// `f = h W + b` of layer `index`, and its ReLU but for the last: these rows and columns, all columns of a narrow layer.
    ///
    /// # Safety
    /// Nobody else touches these rows and columns of `f` until the next barrier.
    unsafe fn layer(&self, index: usize, rows: Range<usize>, columns: Range<usize>, f: &Shared<f32>) {
        let Self { frame, order, weights, biases, h, first } = *self;
        let Frame { layers, vectors, .. } = frame;
        let (layer, relu) = (&layers[index], index + 1 < layers.len());
        let (from, to) = (frame.input(index), frame.output(index));
        if layer.narrow() {
            // SAFETY: as the caller promises.
            let f = unsafe { f.part_mut(rows.start * layer.pitch..rows.end * layer.pitch) };
            match frame.sparse(index) {
                Some(sparse) => {
                    sparse.forward_narrow(vectors, &order[rows], weights, layer.pitch, f);
                    bias_relu(vectors, biases, relu, f);
                }
                None => {
                    narrow::forward(vectors, (h, from, layer.inputs), rows.start - first, (weights, biases, relu), f);
                }
            }
            return;
        }
        for part in layer.layout().over(columns) {
            match frame.sparse(index) {
                // SAFETY: as the caller promises.
                Some(sparse) => unsafe {
                    sparse.forward_wide(vectors, order, rows.clone(), weights, &part, (biases, relu), (f, to));
                },
                None => {
                    let left = Left { values: h, layout: from, transposed: false };
                    let finish = Finish::Bias(biases, relu);
                    // SAFETY: as the caller promises.
                    unsafe { product(vectors, left, rows.clone(), layer.inputs, weights, &part, finish, (f, to)) };
                }
            }
        }
    }
}

/// One member's way through a step.
struct Walk<'a> {
    run: &'a Run<'a>,
    member: &'a Member<'a>,
    batch: &'a [u32],
    scratch: &'a mut Aligned,
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

    /// The input of layer `index`, where it is not sparse.
    fn input(&self, index: usize) -> &Shared<'_, f32> {
        if index == 0 { &self.run.x } else { &self.run.activations[index - 1] }
    }

    fn forward(&mut self) {
        let Run { frame, labels, .. } = *self.run;
        let Frame { layers, vectors, rows, .. } = frame;
        let (batch, last, share) = (self.batch, layers.len() - 1, self.share());
        if let Rows::Dense(inputs) = rows {
            let width = layers[0].inputs;
            // SAFETY: each member writes its own rows.
            let x = unsafe { self.run.x.part_mut(share.start * width..share.end * width) };
            gather(inputs, &batch[share.clone()], width, x);
            self.mine = true;
        }
        for (index, layer) in layers.iter().enumerate() {
            let f = if index < last { &self.run.activations[index] } else { &self.run.deltas[last] };
            if !layer.narrow() {
                self.meet();
            }
            let values = &self.run.values[index];
            // SAFETY: nobody writes parameters before the update.
            let (weights, biases) = unsafe { (values.weights.all(), values.biases.all()) };
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
                unsafe { forward.layer(index, share.clone(), 0..layer.pitch, f) };
                self.mine = true;
            } else {
                let (rows, columns) = self.member.tile((batch.len(), layer.pitch), (ROWS, GRAIN), ENOUGH);
                // SAFETY: each member writes its own tile.
                unsafe { forward.layer(index, rows, columns, f) };
                self.member.wait();
            }
        }
        let Shape { outputs, pitch, .. } = layers[last];
        // SAFETY: each member writes its own rows.
        let p = unsafe { self.run.deltas[last].part_mut(share.start * pitch..share.end * pitch) };
        softmax(vectors, outputs, pitch, p);
        cross_entropy_gradient::cross_entropy_gradient(labels, &batch[share], pitch, p);
        self.mine = true;
    }

    fn backward(&mut self) {
        let frame = self.run.frame;
        let Frame { layers, vectors, .. } = frame;
        let (batch, share) = (self.batch, self.share());
        if let (Some(sparse), false) = (frame.sparse(0), layers[0].narrow()) {
            for part in self.member.share(sparse.parts(), 1) {
                // SAFETY: each member lists its own parts.
                sparse.transpose(batch, part, &mut unsafe { self.run.columns.part_mut(part..part + 1) }[0]);
            }
        }
        for (index, layer) in layers.iter().enumerate().skip(1).rev() {
            let (from, to) = (frame.output(index), frame.input(index));
            let values = &self.run.values[index];
            let (df, dh) = (&self.run.deltas[index], &self.run.deltas[index - 1]);
            let h = &self.run.activations[index - 1];
            if layer.narrow() {
                // SAFETY: this member's own rows.
                let df = unsafe { df.part(share.start * layer.pitch..share.end * layer.pitch) };
                // SAFETY: nobody writes parameters before the update.
                let (transposed, t_pitch) = (unsafe { values.transposed.all() }, pitch(layer.inputs));
                for part in to.over(0..to.pitch()) {
                    let place = part.row(share.start)..part.row(share.end);
                    // SAFETY: this member's own rows.
                    let (h, dh) = unsafe { (h.part(place.clone()), dh.part_mut(place)) };
                    let transposed = (&transposed[part.columns.start..], t_pitch);
                    narrow::input_gradient(vectors, (df, layer.pitch, layer.outputs), transposed, h, (dh, part.width));
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
                    let weights = unsafe { values.weights.all() };
                    pack_transposed(weights, layer.layout(), inputs, layer.outputs, self.scratch);
                    let packed = Part { start: 0, width: part.columns.len(), ..part };
                    // SAFETY: nobody writes activations going backward.
                    let finish = Finish::Mask(unsafe { h.all() });
                    // SAFETY: each member writes its own tile.
                    unsafe {
                        product(vectors, left, rows.clone(), layer.outputs, self.scratch, &packed, finish, (dh, to));
                    }
                }
                self.member.wait();
            }
        }
        self.meet();
    }

    fn update(&mut self) {
        for (index, layer) in self.run.frame.layers.iter().enumerate() {
            if layer.narrow() { self.update_narrow(index) } else { self.update_wide(index) }
        }
    }

    /// The update of this member's rows of a narrow layer's weights.
    fn update_narrow(&mut self, index: usize) {
        let Run { frame, learning_rate, .. } = *self.run;
        let Frame { layers, vectors, .. } = frame;
        let (layer, values, batch, member) = (&layers[index], &self.run.values[index], self.batch, self.member);
        let Shape { inputs, outputs, pitch } = *layer;
        // SAFETY: nobody writes gradients of outputs in the update.
        let df = unsafe { self.run.deltas[index].part(0..batch.len() * pitch) };
        // SAFETY: each member has its own rows of the weights.
        let own = |share: &Range<usize>| unsafe { values.weights.part_mut(share.start * pitch..share.end * pitch) };
        if let Some(rows) = frame.sparse(index) {
            let parts = member.share(rows.parts(), 1);
            let weights = own(&rows.columns(&parts));
            rows.update_narrow(vectors, batch, (df, pitch), &parts, learning_rate, weights, self.scratch);
        } else {
            // SAFETY: nobody writes activations in the update.
            let h = unsafe { self.input(index).all() };
            for part in frame.input(index).over(member.share(inputs, ROWS)) {
                let weights = own(&part.columns);
                let h = (&h[part.start..], part.width);
                narrow::update(vectors, h, (df, pitch), learning_rate, weights);
                if index > 0 {
                    let t_pitch = vector::pitch(inputs);
                    transpose(weights, pitch, part.columns.start, t_pitch, outputs, |at, value| {
                        // SAFETY: a column of the transpose is a row of the weights.
                        unsafe { values.transposed.part_mut(at..at + 1)[0] = value };
                    });
                }
            }
        }
        self.bias_step(index, member.share(pitch, GRAIN), df);
    }

    /// The update of this member's columns of a wide layer's weights.
    fn update_wide(&mut self, index: usize) {
        let Run { frame, learning_rate, .. } = *self.run;
        let Frame { layers, vectors, .. } = frame;
        let (layer, weights, batch) = (&layers[index], &self.run.values[index].weights, self.batch);
        let (from, layout) = (frame.output(index), layer.layout());
        let scale = -learning_rate / batch.len() as f32;
        // Rows of the weights, or parts of the pixels.
        let (inputs, columns) = match frame.sparse(index) {
            Some(rows) => self.member.tile((rows.parts(), layer.pitch), (1, GRAIN), ENOUGH),
            None => self.member.tile((layer.inputs, layer.pitch), (ROWS, GRAIN), ENOUGH),
        };
        // SAFETY: nobody writes gradients of outputs in the update.
        let df = unsafe { self.run.deltas[index].all() };
        for part in layout.over(columns.clone()) {
            if let Some(rows) = frame.sparse(index) {
                // SAFETY: nobody writes lists in the update, and each member has its own columns of the weights.
                unsafe {
                    let lists = (self.run.columns.part(inputs.clone()), inputs.start);
                    rows.update_wide(vectors, lists, batch.len(), (df, from), scale, weights, &part);
                }
                continue;
            }
            // SAFETY: nobody writes activations in the update.
            let h = unsafe { self.input(index).all() };
            let left = Left { values: h, layout: frame.input(index), transposed: true };
            let right = Part { columns: part.columns.clone(), ..from.at(part.columns.start) };
            let to = (weights, layout);
            // SAFETY: each member has its own tile of the weights.
            unsafe { product(vectors, left, inputs.clone(), batch.len(), df, &right, Finish::Step(scale), to) };
        }
        if inputs.start == 0 {
            self.bias_step(index, columns, df);
        }
    }

    /// The update of these columns of layer `index`'s biases.
    fn bias_step(&self, index: usize, columns: Range<usize>, df: &[f32]) {
        let Run { frame, learning_rate, .. } = *self.run;
        for part in frame.output(index).over(columns) {
            for columns in part.columns.clone().step_by(PANEL).map(|first| first..part.columns.end.min(first + PANEL)) {
                let mut sums = [0.0; PANEL];
                let sums = &mut sums[..columns.len()];
                let start = part.start + columns.start - part.columns.start;
                reduce_rows(frame.vectors, &df[start..], part.width, self.batch.len(), sums);
                // SAFETY: each member has its own columns in this phase.
                let biases = unsafe { self.run.values[index].biases.part_mut(columns) };
                narrow::step(biases, sums, self.batch.len() as f32, learning_rate);
            }
        }
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

fn gather(inputs: &Inputs, order: &[u32], width: usize, x: &mut [f32]) {
    match inputs {
        Inputs::U8(data) => gather_u8::gather_u8(data, order, width, x),
        Inputs::F32(data) => gather_f32::gather_f32(data, order, width, x),
    }
}

/// The softmax of the first `classes` values of each row; the padding becomes 0.
fn softmax(vectors: Vectors, classes: usize, pitch: usize, f: &mut [f32]) {
    #[inline(always)]
    fn run(classes: usize, pitch: usize, f: &mut [f32]) {
        for row in f.chunks_exact_mut(pitch) {
            let max = row[..classes].iter().fold(f32::NEG_INFINITY, |max, &f| if f > max { f } else { max });
            row_softmax::exponentials(max, row);
            row[classes..].fill(0.0);
            let sum: f32 = row[..classes].iter().sum();
            row.iter_mut().for_each(|f| *f /= sum);
        }
    }
    vectorize!(vectors, |_simd| run(classes, pitch, f));
}
