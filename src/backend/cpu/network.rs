//! The training engine: padded parameters, and a step as two phases. In the first each thread takes some rows of the batch
//! forward and backward through all layers; in the second each updates some rows of every weight matrix. No gradient of
//! a wide layer is ever stored: its product adds to the weights.

use super::dense::{Strides, product};
use super::sparse::{Scratch, SparseRows};
use super::team::{Member, Shared, Team};
use super::vector::{Aligned, NARROW, Vectors, bias_relu, mask, pitch, reduce_rows, vectorize};
use super::{cross_entropy_gradient, gather_f32, gather_u8, narrow, row_softmax};
use crate::data::Inputs;
use crate::model::{Layer, Mlp};

/// Rows of a thread's share of a batch, and of a matrix: whole multiples of this.
const GRAIN: usize = 4;

/// The rows of a part of a data set, as the engine reads them.
pub enum Rows {
    /// Bytes of which most are 0.
    Sparse(SparseRows),
    /// Anything else.
    Dense(Inputs),
}

impl Rows {
    /// `inputs` (`.. x width`), for a team of `threads`.
    pub fn new(inputs: &Inputs, width: usize, threads: usize) -> Self {
        match inputs {
            Inputs::U8(data) => SparseRows::new(data, width, threads).map(Rows::Sparse),
            Inputs::F32(_) => None,
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
}

/// One layer's parameters, rows padded with zeros to whole vectors.
struct Values {
    /// `inputs x pitch`
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

    /// Bytes of the parameters.
    pub fn bytes(&self) -> usize {
        let count = |values: &Values| values.weights.len() + values.biases.len() + values.transposed.len();
        size_of::<f32>() * self.values.iter().map(count).sum::<usize>()
    }

    /// The flat parameters, laid out as [`Mlp`] says.
    pub fn parameters(&self) -> Vec<f32> {
        let mut flat = Vec::new();
        for (layer, values) in self.layers.iter().zip(&self.values) {
            values.weights.chunks_exact(layer.pitch).for_each(|row| flat.extend_from_slice(&row[..layer.outputs]));
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
            let rows = values.weights.chunks_exact_mut(layer.pitch).zip(weights.chunks_exact(layer.outputs));
            rows.for_each(|(padded, row)| padded[..layer.outputs].copy_from_slice(row));
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
        buffers.resize(self, rows, order.len(), false);
        let Buffers { x, activations, deltas, .. } = buffers;
        let last = self.layers.len() - 1;
        let mut h: &[f32] = x;
        if let Rows::Dense(inputs) = rows {
            gather(inputs, order, self.layers[0].inputs, x);
            h = x;
        }
        let mut h_pitch = self.layers[0].inputs;
        let outputs = activations[..last].iter_mut().chain(&mut deltas[last..]);
        for (index, (values, f)) in self.values.iter().zip(outputs).enumerate() {
            let weights = Weights { weights: &values.weights, biases: &values.biases };
            let input = (index == 0).then_some((rows, order));
            layer_forward(&self.layers, self.vectors, index, weights, input, (h, h_pitch), f);
            (h, h_pitch) = (f, self.layers[index].pitch);
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
        buffers.resize(self, rows, batch_size.min(order.len()), true);
        let Self { layers, values, vectors } = self;
        let run = Run {
            layers,
            vectors: *vectors,
            rows,
            labels,
            learning_rate,
            values: values.iter_mut().map(SharedValues::new).collect(),
            x: Shared::new(&mut buffers.x),
            activations: buffers.activations.iter_mut().map(|values| Shared::new(values)).collect(),
            deltas: buffers.deltas.iter_mut().map(|values| Shared::new(values)).collect(),
            sums: buffers.sums.iter_mut().map(|values| Shared::new(values)).collect(),
        };
        team.run(|member| {
            let mut scratch = Scratch::default();
            for batch in order.chunks(batch_size) {
                run.rows_phase(member, batch);
                member.wait();
                run.weights_phase(member, batch, &mut scratch);
                member.wait();
            }
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

/// One layer's parameters, borrowed.
#[derive(Clone, Copy)]
struct Weights<'a> {
    weights: &'a [f32],
    biases: &'a [f32],
}

/// A batch's activations and gradients; reused from step to step.
#[derive(Default)]
pub struct Buffers {
    /// The input rows where they are dense: `rows x inputs`.
    x: Aligned,
    /// Each hidden layer's output: `rows x pitch`.
    activations: Vec<Aligned>,
    /// The gradient at each layer's output before its ReLU or softmax: `rows x pitch`.
    deltas: Vec<Aligned>,
    /// Each layer's bias gradient: `pitch`.
    sums: Vec<Aligned>,
}

impl Buffers {
    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        let rest = [&self.activations, &self.deltas, &self.sums].into_iter().flatten();
        size_of::<f32>() * (self.x.len() + rest.map(|values| values.len()).sum::<usize>())
    }

    fn resize(&mut self, network: &Network, rows: &Rows, count: usize, training: bool) {
        let last = network.layers.len() - 1;
        self.x.resize(if matches!(rows, Rows::Dense(_)) { count * network.layers[0].inputs } else { 0 });
        for buffers in [&mut self.activations, &mut self.deltas, &mut self.sums] {
            buffers.resize(last + 1, Aligned::default());
        }
        for (index, layer) in network.layers.iter().enumerate() {
            self.activations[index].resize(if index < last { count * layer.pitch } else { 0 });
            self.deltas[index].resize(if training || index == last { count * layer.pitch } else { 0 });
            self.sums[index].resize(if training { layer.pitch } else { 0 });
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

/// A run of steps, shared by the threads.
struct Run<'a> {
    layers: &'a [Shape],
    vectors: Vectors,
    rows: &'a Rows,
    labels: &'a [u32],
    learning_rate: f32,
    values: Vec<SharedValues<'a>>,
    x: Shared<'a, f32>,
    activations: Vec<Shared<'a, f32>>,
    deltas: Vec<Shared<'a, f32>>,
    sums: Vec<Shared<'a, f32>>,
}

impl Run<'_> {
    /// Forward and backward for this member's rows of `batch`.
    fn rows_phase(&self, member: &Member, batch: &[u32]) {
        let Self { layers, vectors, .. } = *self;
        let last = layers.len() - 1;
        let share = member.share(batch.len(), GRAIN);
        if share.is_empty() {
            return;
        }
        let order = &batch[share.clone()];
        let part = |width: usize| share.start * width..share.end * width;
        // SAFETY, of this function: in this phase nobody writes parameters, and each member touches its own rows alone.
        let mut h: &[f32] = &[];
        let mut h_pitch = layers[0].inputs;
        if let Rows::Dense(inputs) = self.rows {
            let x = unsafe { self.x.part_mut(part(layers[0].inputs)) };
            gather(inputs, order, layers[0].inputs, x);
            h = x;
        }
        for (index, layer) in layers.iter().enumerate() {
            let weights = unsafe {
                Weights { weights: self.values[index].weights.all(), biases: self.values[index].biases.all() }
            };
            let values = if index < last { &self.activations[index] } else { &self.deltas[last] };
            let f = unsafe { values.part_mut(part(layer.pitch)) };
            let input = (index == 0).then_some((self.rows, order));
            layer_forward(layers, vectors, index, weights, input, (h, h_pitch), f);
            if index == last {
                softmax(vectors, layer.outputs, layer.pitch, f);
                cross_entropy_gradient::cross_entropy_gradient(self.labels, order, layer.pitch, f);
            }
            (h, h_pitch) = (f, layer.pitch);
        }
        for (index, layer) in layers.iter().enumerate().skip(1).rev() {
            let h_pitch = layers[index - 1].pitch;
            let df = unsafe { self.deltas[index].part(part(layer.pitch)) };
            let h = unsafe { self.activations[index - 1].part(part(h_pitch)) };
            let dh = unsafe { self.deltas[index - 1].part_mut(part(h_pitch)) };
            if layer.narrow() {
                let transposed = unsafe { self.values[index].transposed.all() };
                narrow::input_gradient(vectors, df, (layer.pitch, layer.outputs, h_pitch), transposed, h, dh);
            } else {
                product(
                    (order.len(), layer.inputs, layer.outputs),
                    (dh, Strides::rows(h_pitch)),
                    (df, Strides::rows(layer.pitch)),
                    (unsafe { self.values[index].weights.all() }, Strides::transposed(layer.pitch)),
                    false,
                    1.0,
                );
                mask(vectors, h, dh);
            }
        }
    }

    /// The update of this member's rows of the weights, and columns of the biases.
    fn weights_phase(&self, member: &Member, batch: &[u32], scratch: &mut Scratch) {
        let Self { layers, vectors, .. } = *self;
        for (index, layer) in layers.iter().enumerate() {
            let share = match (index, self.rows) {
                (0, Rows::Sparse(rows)) => rows.part(member.index),
                _ => member.share(layer.inputs, GRAIN),
            };
            // SAFETY, of this function: in this phase nobody writes activations or deltas, and each member touches its
            // own rows of the weights, and columns of the biases, alone.
            let df = unsafe { self.deltas[index].part(0..batch.len() * layer.pitch) };
            let weights =
                unsafe { self.values[index].weights.part_mut(share.start * layer.pitch..share.end * layer.pitch) };
            let (h, h_pitch) = match index {
                0 => (&self.x, layer.inputs),
                _ => (&self.activations[index - 1], layers[index - 1].pitch),
            };
            match (index, self.rows) {
                _ if share.is_empty() => {}
                (0, Rows::Sparse(rows)) => {
                    let rate = self.learning_rate;
                    rows.update(vectors, batch, df, layer.pitch, member.index, rate, weights, scratch);
                }
                _ => {
                    let h = unsafe { h.part(0..batch.len() * h_pitch) };
                    if layer.narrow() {
                        let (h, df) = ((h, h_pitch), (df, layer.pitch));
                        narrow::update(vectors, h, df, share.start, self.learning_rate, weights);
                    } else {
                        product(
                            (share.len(), layer.outputs, batch.len()),
                            (weights, Strides::rows(layer.pitch)),
                            (&h[share.start..], Strides::transposed(h_pitch)),
                            (df, Strides::rows(layer.pitch)),
                            true,
                            -self.learning_rate / batch.len() as f32,
                        );
                    }
                }
            }
            if layer.narrow() && index > 0 {
                let transposed = &self.values[index].transposed;
                let t_pitch = pitch(layer.inputs);
                transpose(weights, layer.pitch, share.start, t_pitch, layer.outputs, |at, value| {
                    // SAFETY: a column of the transpose is a row of the weights.
                    unsafe { transposed.part_mut(at..at + 1)[0] = value };
                });
            }
            let columns = member.share(layer.pitch, 16);
            if !columns.is_empty() {
                let sums = unsafe { self.sums[index].part_mut(columns.clone()) };
                reduce_rows(vectors, df, layer.pitch, columns.start, sums);
                let biases = unsafe { self.values[index].biases.part_mut(columns) };
                narrow::step(biases, sums, batch.len() as f32, self.learning_rate);
            }
        }
    }
}

/// `f = h W + b` of layer `index`, and its ReLU but for the last; `input` holds the rows where this is the first layer.
fn layer_forward(
    layers: &[Shape],
    vectors: Vectors,
    index: usize,
    Weights { weights, biases }: Weights,
    input: Option<(&Rows, &[u32])>,
    (h, h_pitch): (&[f32], usize),
    f: &mut [f32],
) {
    let layer = &layers[index];
    match input {
        Some((Rows::Sparse(rows), order)) => rows.forward(vectors, order, weights, layer.pitch, f),
        _ if layer.narrow() => narrow::forward(vectors, h, (h_pitch, layer.inputs, layer.pitch), weights, f),
        _ => product(
            (f.len() / layer.pitch, layer.outputs, layer.inputs),
            (f, Strides::rows(layer.pitch)),
            (h, Strides::rows(h_pitch)),
            (weights, Strides::rows(layer.pitch)),
            false,
            1.0,
        ),
    }
    bias_relu(vectors, biases, index + 1 < layers.len(), f);
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
