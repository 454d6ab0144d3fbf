//! What the training loop asks of a device, at the level of a step and not of a tensor.

use clap::ValueEnum;
use serde::Serialize;

use crate::data::{Inputs, Samples};
use crate::error::Result;
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

    /// One step of SGD for each batch of `order` (row numbers of the training part; the last batch may be short).
    /// May return before the work is done; see [`Backend::synchronize`].
    ///
    /// # Errors
    /// When the device fails.
    fn train(&mut self, order: &[u32], learning_rate: f32) -> Result<()>;

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
