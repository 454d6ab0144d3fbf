//! The CPU backend: the training engine of [`network`], and one file a kernel, the oracle of the shader of the same name.
//!
//! Results do not depend on timing or on the number of threads: each sum has a fixed order.

use rayon::prelude::*;

use crate::backend::{Backend, Pass, Peak, Split};
use crate::data::{Inputs, Samples, Targets};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;
use network::{Buffers, Network, Rows, Steps};
use team::Team;
use vector::{Vectors, pitch};

pub mod bias_add;
pub mod cross_entropy;
pub mod cross_entropy_gradient;
pub mod gather_f32;
pub mod gather_u8;
pub mod matmul;
pub mod matmul_a_bt;
pub mod matmul_at_b;
mod narrow;
pub mod network;
mod panels;
mod peak;
pub mod reduce_rows;
pub mod reference;
pub mod relu;
pub mod relu_mask;
pub mod row_softmax;
pub mod sgd;
mod sparse;
pub mod sum;
mod team;
pub mod vector;

/// Rows evaluated at a time by a thread: enough for an efficient product, few enough to stay in its cache.
const EVALUATION_ROWS: usize = 256;

/// Floating-point operations, as dense products, between two looks at what else is asked for: a fifth of a second where
/// they are slow.
const WORK: f64 = 2e10;

/// A model and its data in memory, trained by a fixed number of threads.
pub struct Cpu {
    model: Mlp,
    batch_size: usize,
    network: Network,
    buffers: Buffers,
    train: Option<Resident>,
    test: Option<Resident>,
    validation: Option<Resident>,
    pass: Pass,
    team: Team,
}

/// A part of a data set.
struct Resident {
    rows: Rows,
    labels: Vec<u32>,
}

impl Cpu {
    /// A backend for `model`, parameters 0, on `threads` threads (0: one a core).
    ///
    /// # Errors
    /// [`Error::Usage`] when the threads cannot be started or the batch is empty.
    pub fn new(model: Mlp, batch_size: usize, threads: usize) -> Result<Self> {
        Self::with_vectors(model, batch_size, threads, Vectors::detect())
    }

    /// The same with the instructions `vectors`.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_vectors(model: Mlp, batch_size: usize, threads: usize, vectors: Vectors) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        Ok(Self {
            network: Network::new(&model, vectors),
            buffers: Buffers::default(),
            train: None,
            test: None,
            validation: None,
            pass: Pass::default(),
            team: Team::new(threads)?,
            batch_size,
            model,
        })
    }

    /// Calls `with` with each chunk of `results` (`count` values a row), the rows it is for, and their probabilities
    /// (rows of `pitch(classes)`), in parallel.
    fn probabilities<T: Send>(
        &self,
        rows: &Rows,
        results: &mut [T],
        count: usize,
        with: impl Fn(&mut [T], &[u32], &[f32]) + Sync,
    ) {
        self.team.install(|| {
            let chunks = results.par_chunks_mut(EVALUATION_ROWS * count).enumerate();
            chunks.for_each_init(Buffers::default, |buffers, (index, results)| {
                let first = index * EVALUATION_ROWS;
                let order: Vec<u32> = (first as u32..(first + results.len() / count) as u32).collect();
                with(results, &order, self.network.probabilities(rows, &order, buffers));
            });
        });
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn device(&self) -> String {
        match self.team.threads() {
            1 => "1 thread".into(),
            threads => format!("{threads} threads"),
        }
    }

    fn plan(&self) -> &'static str {
        "fused"
    }

    fn plan_reason(&self) -> &'static str {
        "the CPU backend's only one"
    }

    fn dispatches(&self) -> Option<usize> {
        None
    }

    fn bytes(&self) -> u64 {
        let parts = [&self.train, &self.test, &self.validation].into_iter().flatten();
        let data: usize = parts.map(|part| part.rows.bytes() + size_of_val(&part.labels[..])).sum();
        (data + self.network.bytes() + self.buffers.bytes()) as u64
    }

    fn upload(&mut self, split: Split, samples: &Samples) -> Result<()> {
        check_samples(&self.model, samples)?;
        let rows = Rows::new(&samples.inputs, samples.width, self.batch_size, self.team.threads());
        let resident = Some(Resident { rows, labels: samples.labels().to_vec() });
        match split {
            Split::Train => (self.train, self.pass) = (resident, Pass::default()),
            Split::Test => self.test = resident,
            Split::Validation => self.validation = resident,
        }
        Ok(())
    }

    fn begin_pass(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        let resident = self.train.as_ref().ok_or_else(|| missing(Split::Train))?;
        self.pass = Pass::new(order, learning_rate, resident.labels.len())?;
        Ok(())
    }

    fn advance(&mut self) -> Result<usize> {
        let Self { model, network, batch_size, buffers, train, pass, team, .. } = self;
        let Resident { rows, labels } = train.as_ref().ok_or_else(|| missing(Split::Train))?;
        let batch_size = *batch_size;
        let steps = WORK / (6.0 * model.parameters() as f64 * batch_size as f64);
        let learning_rate = pass.learning_rate;
        let order = pass.take(batch_size.saturating_mul((steps as usize).max(1)));
        network.train(team, rows, labels, Steps { order, batch_size, learning_rate }, buffers);
        Ok(pass.done)
    }

    fn peak(&mut self) -> Result<Option<Peak>> {
        Ok(Some(peak::peak(&self.team, self.network.vectors())))
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        let resident = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
            Split::Validation => &self.validation,
        };
        let Resident { rows, labels } = resident.as_ref().ok_or_else(|| missing(split))?;
        let classes = self.model.classes();
        // Each row's loss and predicted class.
        let mut results = vec![(0.0f32, 0u32); labels.len()];
        self.probabilities(rows, &mut results, 1, |results, order, p| {
            for ((result, &row), p) in results.iter_mut().zip(order).zip(p.chunks_exact(pitch(classes))) {
                *result = cross_entropy::loss_and_class(&p[..classes], labels[row as usize] as usize);
            }
        });
        let mut total = Evaluation::empty(classes);
        for (&(loss, class), &label) in results.iter().zip(labels) {
            total.loss_sum += f64::from(loss);
            total.confusion[label as usize * classes + class as usize] += 1;
        }
        Ok(total)
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let count = rows_of(&self.model, inputs)? as usize;
        let classes = self.model.classes();
        let rows = Rows::Dense(inputs.clone());
        let mut probabilities = vec![0.0; count * classes];
        self.probabilities(&rows, &mut probabilities, classes, |results, _, p| {
            for (result, p) in results.chunks_exact_mut(classes).zip(p.chunks_exact(pitch(classes))) {
                result.copy_from_slice(&p[..classes]);
            }
        });
        Ok(probabilities)
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.network.parameters())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.model, parameters)?;
        self.network.set_parameters(parameters);
        Ok(())
    }
}

pub(crate) fn missing(split: Split) -> Error {
    Error::Data(format!("the {split:?} part of the data set was not uploaded"))
}

/// Checks that `samples` fit `model`: their width and their classes. Backends do not take targets that are numbers yet.
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
    let Targets::Classes(labels) = &samples.targets else {
        return Err(Error::Data("the targets are numbers, but this backend trains on classes only".into()));
    };
    match labels.iter().position(|&label| label as usize >= model.classes()) {
        Some(row) => Err(Error::Data(format!(
            "row {row} has class {}, but the network has {} classes",
            labels[row],
            model.classes()
        ))),
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
