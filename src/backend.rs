//! What the training loop asks of a device, at the level of a step and not of a tensor.

use clap::ValueEnum;
use serde::Serialize;

use crate::data::{Inputs, Samples};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;

pub mod cpu;
pub mod gpu;

/// The parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What is learnt from.
    Train,
    /// What is only evaluated.
    Test,
    /// What is evaluated to choose options by, taken from the training part; few runs have one.
    Validation,
}

/// What products are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// 32-bit floats
    F32,
    /// Operands of wide layers rounded to 16 bits, sums and parameters in 32, by the matrix units of a GPU that has them
    Mixed,
}

impl Precision {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        }
    }
}

/// What a device can do at best, as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// 10^9 floating-point operations a second of a large product in the backend's precision.
    pub gflops: f64,
    /// 10^9 bytes a second, read and written, of a large copy.
    pub copy_gb_per_s: f64,
}

/// How long a kernel of a plan ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// The kernel, and what it makes.
    pub kernel: String,
    /// Launches timed.
    pub launches: usize,
    /// Seconds of them together.
    pub seconds: f64,
}

/// A backend for `model` on the best hardware GPU of this machine, or on all cores of the CPU where there is none or it
/// does not work. Steps take `batch_size` rows; all parameters are 0.
///
/// # Errors
/// When the CPU's threads cannot be started.
pub fn auto(model: &Mlp, batch_size: usize) -> Result<Box<dyn Backend>> {
    let on_gpu = pollster::block_on(async {
        let adapters = gpu::device::adapters().await;
        let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
        let best = gpu::device::best_hardware(&infos)?;
        let device = gpu::device::Device::open(&adapters[best], Precision::F32).await.ok()?;
        gpu::Gpu::new(device, model.clone(), batch_size, None).await.ok()
    });
    Ok(match on_gpu {
        Some(gpu) => Box::new(gpu),
        None => Box::new(cpu::Cpu::new(model.clone(), batch_size, 0)?),
    })
}

/// A pass over the training part that a backend is at.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    order: Vec<u32>,
    /// Rows handed over.
    pub done: usize,
    pub learning_rate: f32,
}

impl Pass {
    /// A pass in `order` over a training part of `rows` rows.
    ///
    /// # Errors
    /// [`Error::Data`] for a row that is not there.
    pub fn new(order: &[u32], learning_rate: f32, rows: usize) -> Result<Self> {
        match order.iter().find(|&&row| row as usize >= rows) {
            Some(row) => Err(Error::Data(format!("row {row} is not in a training part of {rows} rows"))),
            None => Ok(Self { order: order.to_vec(), done: 0, learning_rate }),
        }
    }

    /// The next rows, at most `most`.
    pub fn next(&self, most: usize) -> &[u32] {
        let rows = &self.order[self.done..];
        &rows[..most.min(rows.len())]
    }

    /// The next rows, at most `most`, which are now handed over.
    pub fn take(&mut self, most: usize) -> &[u32] {
        let first = self.done;
        self.done += self.next(most).len();
        &self.order[first..self.done]
    }
}

/// A device that holds a model's parameters and data, trains and evaluates.
pub trait Backend {
    /// `cpu` or `gpu`.
    fn name(&self) -> &'static str;

    /// The device in words: the adapter's name, or the number of threads.
    fn device(&self) -> String;

    /// How a step runs: the plan's name.
    fn plan(&self) -> &'static str;

    /// Why it is this plan.
    fn plan_reason(&self) -> &'static str;

    /// What products are computed in.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// Kernel launches a training step; none where nothing is launched.
    fn dispatches(&self) -> Option<usize>;

    /// Bytes of its buffers: data, parameters, activations.
    fn bytes(&self) -> u64;

    /// Makes `samples` resident as `split`.
    ///
    /// # Errors
    /// When the rows do not fit the model or the device.
    fn upload(&mut self, split: Split, samples: &Samples) -> Result<()>;

    /// Begins a pass: one step of SGD for each batch of `order` (row numbers of the training part; the last batch may be
    /// short), which [`Backend::advance`] takes. What was left of the pass before is dropped.
    ///
    /// # Errors
    /// When nothing was uploaded or a row is not there.
    fn begin_pass(&mut self, order: &[u32], learning_rate: f32) -> Result<()>;

    /// Hands over the next steps of the pass: how many rows of its order were handed over so far. May return before the
    /// work is done.
    ///
    /// # Errors
    /// When the device fails.
    fn advance(&mut self) -> Result<usize>;

    /// Waits until the steps handed over are done; an evaluation begun after them may still be under way.
    ///
    /// # Errors
    /// When the device fails.
    fn finish_pass(&mut self) -> Result<()> {
        self.synchronize()
    }

    /// A whole pass. May return before the work is done; see [`Backend::synchronize`].
    ///
    /// # Errors
    /// As [`Backend::begin_pass`] and [`Backend::advance`].
    fn train(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        self.begin_pass(order, learning_rate)?;
        while self.advance()? < order.len() {}
        Ok(())
    }

    /// As [`Backend::train`], and waits; the seconds of each kernel of the plan, summed over the steps. None where the
    /// device cannot tell.
    ///
    /// # Errors
    /// When the device fails.
    fn profile(&mut self, order: &[u32], learning_rate: f32) -> Result<Option<Vec<KernelTime>>> {
        self.train(order, learning_rate)?;
        self.synchronize()?;
        Ok(None)
    }

    /// Measures what the device can do at best. None where nobody would ask.
    ///
    /// # Errors
    /// When the device fails.
    fn peak(&mut self) -> Result<Option<Peak>> {
        Ok(None)
    }

    /// Waits until all work handed over is done.
    ///
    /// # Errors
    /// When the device fails.
    fn synchronize(&mut self) -> Result<()>;

    /// Loss, hits and confusion matrix over the whole of `split`.
    ///
    /// # Errors
    /// When the device fails.
    fn evaluate(&mut self, split: Split) -> Result<Evaluation>;

    /// Whether work goes on after a call has returned, so that more can be handed over meanwhile.
    fn is_asynchronous(&self) -> bool {
        false
    }

    /// Hands over the evaluation of `splits` with the parameters as the work before leaves them. A backend that
    /// [is asynchronous](Backend::is_asynchronous) may be handed more steps before
    /// [`Backend::finish_evaluation`]; any other may evaluate no sooner than there.
    ///
    /// # Errors
    /// When the device fails.
    fn begin_evaluation(&mut self, splits: &[Split]) -> Result<()> {
        let _ = splits;
        Ok(())
    }

    /// What was found by the evaluation of `splits` that was begun last.
    ///
    /// # Errors
    /// When the device fails.
    fn finish_evaluation(&mut self, splits: &[Split]) -> Result<Vec<Evaluation>> {
        splits.iter().map(|&split| self.evaluate(split)).collect()
    }

    /// The flat parameter buffer as it was when the last evaluation was begun.
    ///
    /// # Errors
    /// When the device fails.
    fn evaluated_parameters(&mut self) -> Result<Vec<f32>> {
        self.parameters()
    }

    /// Class probabilities of `inputs` (`n x inputs`, row-major): `n x classes`, row-major.
    ///
    /// # Errors
    /// When the rows do not fit the model, or the device fails.
    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>>;

    /// The flat parameter buffer, laid out as [`crate::model::Mlp`] says.
    ///
    /// # Errors
    /// When the device fails.
    fn parameters(&mut self) -> Result<Vec<f32>>;

    /// Replaces the flat parameter buffer.
    ///
    /// # Errors
    /// When the length is not the model's, or the device fails.
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()>;
}
