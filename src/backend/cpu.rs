//! The CPU backend: a training step as a composition of the kernels in this folder, the big products through `gemm`.
//!
//! Every kernel here is also the oracle of the shader of the same name. Results do not depend on timing: each sum has
//! a fixed order.

use rayon::prelude::*;

use crate::backend::{Backend, Split};
use crate::data::{Inputs, Samples};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;

pub mod bias_add;
pub mod cross_entropy;
pub mod cross_entropy_gradient;
pub mod gather_f32;
pub mod gather_u8;
pub mod matmul;
pub mod matmul_a_bt;
pub mod matmul_at_b;
pub mod product;
pub mod reduce_rows;
pub mod relu;
pub mod relu_mask;
pub mod row_softmax;
pub mod sgd;
pub mod sum;

/// Rows evaluated at a time by a thread: enough for an efficient product, few enough to stay in its cache.
const EVALUATION_ROWS: usize = 256;

/// A model and its data in memory, trained by a fixed number of threads.
pub struct Cpu {
    model: Mlp,
    batch_size: usize,
    parameters: Vec<f32>,
    gradients: Vec<f32>,
    activations: Activations,
    train: Option<Samples>,
    test: Option<Samples>,
    pool: rayon::ThreadPool,
}

impl Cpu {
    /// A backend for `model`, parameters 0, on `threads` threads (0: one a core).
    ///
    /// # Errors
    /// [`Error::Usage`] when the threads cannot be started or the batch is empty.
    pub fn new(model: Mlp, batch_size: usize, threads: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))?;
        Ok(Self {
            parameters: vec![0.0; model.parameters()],
            gradients: vec![0.0; model.parameters()],
            activations: Activations::default(),
            train: None,
            test: None,
            pool,
            batch_size,
            model,
        })
    }

    /// The gradient of the summed loss over the rows `order` of the training part, laid out as the parameters are.
    ///
    /// # Errors
    /// [`Error::Data`] when no training part was uploaded.
    pub fn gradient(&mut self, order: &[u32]) -> Result<&[f32]> {
        let samples = self.train.as_ref().ok_or_else(|| missing(Split::Train))?;
        gradient(&self.model, &self.parameters, samples, order, &mut self.activations, &mut self.gradients);
        Ok(&self.gradients)
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn device(&self) -> String {
        match self.pool.current_num_threads() {
            1 => "1 thread".into(),
            threads => format!("{threads} threads"),
        }
    }

    fn plan(&self) -> &'static str {
        "elementary"
    }

    fn upload(&mut self, split: Split, samples: &Samples) -> Result<()> {
        check_samples(&self.model, samples)?;
        let place = match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
        };
        *place = Some(samples.clone());
        Ok(())
    }

    fn train(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        let Self { model, batch_size, parameters, gradients, activations, train, pool, .. } = self;
        let samples = train.as_ref().ok_or_else(|| missing(Split::Train))?;
        check_order(order, samples.len())?;
        pool.install(|| {
            for batch in order.chunks(*batch_size) {
                gradient(model, parameters, samples, batch, activations, gradients);
                sgd::sgd(gradients, batch.len(), learning_rate, parameters);
            }
        });
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        let samples = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        };
        let samples = samples.as_ref().ok_or_else(|| missing(split))?;
        let (model, parameters, classes) = (&self.model, &self.parameters, self.model.classes());
        let order: Vec<u32> = (0..samples.len() as u32).collect();
        let parts: Vec<Evaluation> = self.pool.install(|| {
            order
                .par_chunks(EVALUATION_ROWS)
                .map_init(Activations::default, |activations, order| {
                    activations.resize(model, order.len());
                    forward(model, parameters, &samples.inputs, order, activations, gemm::Parallelism::None);
                    let mut losses = vec![0.0; order.len()];
                    let mut confusion = vec![0; classes * classes];
                    let p = activations.outputs();
                    cross_entropy::cross_entropy(p, &samples.labels, order, classes, &mut losses, &mut confusion);
                    let confusion = confusion.into_iter().map(u64::from).collect();
                    Evaluation { loss_sum: sum::sum(&losses), confusion, classes }
                })
                .collect()
        });
        let mut total = Evaluation::empty(classes);
        parts.iter().for_each(|part| total.add(part));
        Ok(total)
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let rows = rows_of(&self.model, inputs)?;
        let (model, parameters) = (&self.model, &self.parameters);
        let order: Vec<u32> = (0..rows).collect();
        let mut probabilities = vec![0.0; order.len() * model.classes()];
        self.pool.install(|| {
            probabilities
                .par_chunks_mut(EVALUATION_ROWS * model.classes())
                .zip(order.par_chunks(EVALUATION_ROWS))
                .for_each_init(Activations::default, |activations, (probabilities, order)| {
                    activations.resize(model, order.len());
                    forward(model, parameters, inputs, order, activations, gemm::Parallelism::None);
                    probabilities.copy_from_slice(activations.outputs());
                });
        });
        Ok(probabilities)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.parameters.clone())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.model, parameters)?;
        self.parameters.copy_from_slice(parameters);
        Ok(())
    }
}

/// One batch's activations, and the gradients at them.
#[derive(Default)]
struct Activations {
    /// The input rows, then each layer's output after its ReLU or softmax.
    values: Vec<Vec<f32>>,
    /// The gradient at each layer's output before its ReLU or softmax; unused where only a forward pass runs.
    gradients: Vec<Vec<f32>>,
}

impl Activations {
    fn resize(&mut self, model: &Mlp, rows: usize) {
        self.values.resize(model.widths().len(), Vec::new());
        for (values, width) in self.values.iter_mut().zip(model.widths()) {
            values.resize(rows * width, 0.0);
        }
    }

    fn resize_gradients(&mut self, model: &Mlp, rows: usize) {
        self.gradients.resize(model.layers().len(), Vec::new());
        for (gradients, layer) in self.gradients.iter_mut().zip(model.layers()) {
            gradients.resize(rows * layer.outputs, 0.0);
        }
    }

    fn outputs(&self) -> &[f32] {
        self.values.last().map_or(&[], Vec::as_slice)
    }
}

/// `f = h W + b` and its ReLU layer by layer, then softmax, for the rows `order` of `inputs`.
fn forward(
    model: &Mlp,
    parameters: &[f32],
    inputs: &Inputs,
    order: &[u32],
    activations: &mut Activations,
    threads: gemm::Parallelism,
) {
    match inputs {
        Inputs::U8(data) => gather_u8::gather_u8(data, order, model.inputs(), &mut activations.values[0]),
        Inputs::F32(data) => gather_f32::gather_f32(data, order, model.inputs(), &mut activations.values[0]),
    }
    let last = model.layers().len() - 1;
    for (index, layer) in model.layers().iter().enumerate() {
        let (before, after) = activations.values.split_at_mut(index + 1);
        let (h, f) = (&before[index], &mut after[0]);
        product::matmul(h, &parameters[layer.weights.clone()], layer.inputs, layer.outputs, f, threads);
        bias_add::bias_add(&parameters[layer.biases.clone()], f);
        if index < last {
            relu::relu(f);
        } else {
            row_softmax::row_softmax(layer.outputs, f);
        }
    }
}

/// Forward and backward over one batch: `gradients` becomes the gradient of the summed loss.
fn gradient(
    model: &Mlp,
    parameters: &[f32],
    samples: &Samples,
    order: &[u32],
    activations: &mut Activations,
    gradients: &mut [f32],
) {
    // The crate itself runs small products on one thread.
    let threads = gemm::Parallelism::Rayon(0);
    activations.resize(model, order.len());
    activations.resize_gradients(model, order.len());
    forward(model, parameters, &samples.inputs, order, activations, threads);

    let Activations { values, gradients: outputs } = activations;
    let last = model.layers().len() - 1;
    outputs[last].copy_from_slice(&values[last + 1]);
    cross_entropy_gradient::cross_entropy_gradient(&samples.labels, order, model.classes(), &mut outputs[last]);
    for (index, layer) in model.layers().iter().enumerate().rev() {
        let (before, after) = outputs.split_at_mut(index);
        let (h, df) = (&values[index], &after[0]);
        let weights = &mut gradients[layer.weights.clone()];
        product::matmul_at_b(h, df, layer.inputs, layer.outputs, weights, threads);
        reduce_rows::reduce_rows(df, &mut gradients[layer.biases.clone()]);
        if let Some(dh) = before.last_mut() {
            let weights = &parameters[layer.weights.clone()];
            product::matmul_a_bt(df, weights, layer.inputs, layer.outputs, dh, threads);
            relu_mask::relu_mask(h, dh);
        }
    }
}

pub(crate) fn missing(split: Split) -> Error {
    Error::Data(format!("the {split:?} part of the data set was not uploaded"))
}

/// Whether `samples` fit `model`: width and labels.
pub(crate) fn check_samples(model: &Mlp, samples: &Samples) -> Result<()> {
    if samples.width != model.inputs() {
        return Err(Error::Data(format!(
            "the data has {} values a row, but the network takes {}",
            samples.width,
            model.inputs()
        )));
    }
    if u32::try_from(samples.len()).is_err() {
        return Err(Error::Data(format!("{} rows are more than a data set may have (2^32 - 1)", samples.len())));
    }
    match samples.labels.iter().position(|&label| label as usize >= model.classes()) {
        Some(row) => Err(Error::Data(format!(
            "row {row} has class {}, but the network has {} classes",
            samples.labels[row],
            model.classes()
        ))),
        None => Ok(()),
    }
}

/// Whether every row number of `order` is below `samples`.
pub(crate) fn check_order(order: &[u32], samples: usize) -> Result<()> {
    match order.iter().find(|&&row| row as usize >= samples) {
        Some(row) => Err(Error::Data(format!("row {row} is not in a training part of {samples} rows"))),
        None => Ok(()),
    }
}

/// Number of rows in `inputs`, when they are rows of `model`'s width.
pub(crate) fn rows_of(model: &Mlp, inputs: &Inputs) -> Result<u32> {
    if !inputs.len().is_multiple_of(model.inputs()) {
        let (values, width) = (inputs.len(), model.inputs());
        return Err(Error::Data(format!("{values} input values do not make rows of {width}, as the network takes")));
    }
    u32::try_from(inputs.len() / model.inputs())
        .map_err(|_| Error::Data("more rows than fit one prediction (2^32 - 1): split them".into()))
}

pub(crate) fn check_parameters(model: &Mlp, parameters: &[f32]) -> Result<()> {
    if parameters.len() == model.parameters() {
        return Ok(());
    }
    let (got, want) = (parameters.len(), model.parameters());
    Err(Error::Data(format!("{got} parameters do not fit a network of widths {:?}: it has {want}", model.widths())))
}
