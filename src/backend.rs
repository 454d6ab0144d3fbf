//! What the training loop asks of a device, at the level of a step and not of a tensor.

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;

use crate::data::{Inputs, Samples, View};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::state::State;

pub mod cpu;
#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod fit;
pub mod gpu;
pub mod lasting;
pub mod numbers;
pub mod pack;
pub mod select;

/// The parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The rows to learn from.
    Train,
    /// The rows that are only evaluated.
    Test,
    /// The rows to choose epochs and options by; not every run has them.
    Validation,
}

/// Something for each part of a data set that is there.
#[derive(Debug, Clone)]
pub struct Parts<T> {
    train: Option<T>,
    test: Option<T>,
    validation: Option<T>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { train: None, test: None, validation: None }
    }
}

impl<T> Parts<T> {
    /// The entry of `split`.
    ///
    /// # Errors
    /// [`Error::Data`] where that part was not uploaded.
    pub fn get(&self, split: Split) -> Result<&T> {
        let part = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
            Split::Validation => &self.validation,
        };
        part.as_ref().ok_or_else(|| missing(split))
    }

    /// The entry of `split`, to be changed.
    ///
    /// # Errors
    /// As [`Parts::get`].
    pub fn get_mut(&mut self, split: Split) -> Result<&mut T> {
        let part = match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
            Split::Validation => &mut self.validation,
        };
        part.as_mut().ok_or_else(|| missing(split))
    }

    /// Replaces the entry of `split`.
    pub fn set(&mut self, split: Split, part: T) {
        *match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
            Split::Validation => &mut self.validation,
        } = Some(part);
    }

    /// Takes the entry of `split` out.
    ///
    /// # Errors
    /// As [`Parts::get`].
    pub fn take(&mut self, split: Split) -> Result<T> {
        let part = match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
            Split::Validation => &mut self.validation,
        };
        part.take().ok_or_else(|| missing(split))
    }

    /// All entries, in the order training, test, validation.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.each().map(|(_, part)| part)
    }

    /// The same, each with the part that it is for.
    pub fn each(&self) -> impl Iterator<Item = (Split, &T)> {
        let parts = [(Split::Train, &self.train), (Split::Test, &self.test), (Split::Validation, &self.validation)];
        parts.into_iter().filter_map(|(split, part)| Some((split, part.as_ref()?)))
    }
}

fn missing(split: Split) -> Error {
    Error::Data(format!("the {} part of the data set was not uploaded", split.name()))
}

impl Split {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "training",
            Split::Test => "test",
            Split::Validation => "validation",
        }
    }
}

/// What products are computed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// 32-bit floats
    #[default]
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

/// The measured peak rates of a device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// 10^9 floating-point operations per second in a large product, in the backend's precision.
    pub gflops: f64,
    /// 10^9 bytes per second, read and written, in a large copy.
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

/// A backend, described.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// `cpu` or `gpu`.
    pub name: &'static str,
    /// The device in words: the adapter's name, or the number of threads.
    pub device: String,
    /// How a step runs: the plan's name.
    pub plan: &'static str,
    /// Why it is this plan.
    pub plan_reason: &'static str,
    /// What products are computed in.
    pub precision: Precision,
    /// Kernel launches per training step; none if nothing is launched.
    pub dispatches: Option<usize>,
    /// Bytes of its buffers: data, parameters, activations.
    pub bytes: u64,
    /// Of each part whose rows are not kept on the device, but pass through it in every epoch: that it is so, and why.
    pub streamed: Vec<String>,
}

/// Steps to take: one for each batch of consecutive rows of an order.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// Row numbers of the training part; the last batch may be short.
    pub order: &'a [u32],
    /// The learning rate of each batch.
    pub rates: &'a [f32],
}

impl<'a> Steps<'a> {
    /// The first `batches` batches, of `batch_size` rows each.
    fn take(self, batches: usize, batch_size: usize) -> Self {
        let rows = batches.saturating_mul(batch_size).min(self.order.len());
        Self { order: &self.order[..rows], rates: &self.rates[..batches.min(self.rates.len())] }
    }

    /// Each batch of `batch_size` rows with its rate.
    fn batches(self, batch_size: usize) -> impl Iterator<Item = (&'a [u32], f32)> {
        self.order.chunks(batch_size).zip(self.rates.iter().copied())
    }

    /// Whether they can be taken on a training part of `rows` rows.
    fn check(self, rows: usize, batch_size: usize) -> Result<()> {
        if let Some(row) = self.order.iter().find(|&&row| row as usize >= rows) {
            return Err(Error::Data(format!("row {row} is not in a training part of {rows} rows")));
        }
        let (batches, rates) = (self.order.len().div_ceil(batch_size), self.rates.len());
        if batches != rates {
            return Err(Error::Data(format!("{rates} learning rates for {batches} batches")));
        }
        Ok(())
    }
}

/// An evaluation that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Counts the evaluations of a backend.
    number: u64,
    /// Whether the device works on it by itself: steps that are handed over before it is collected keep the device busy
    /// meanwhile. Otherwise the work may be done no sooner than it is collected.
    pub ahead: bool,
}

/// The evaluation that a backend was handed last.
#[derive(Debug)]
struct Evaluating<T> {
    number: u64,
    pending: Option<T>,
}

impl<T> Default for Evaluating<T> {
    fn default() -> Self {
        Self { number: 0, pending: None }
    }
}

impl<T> Evaluating<T> {
    /// Begins another; what was not collected of the last one is dropped.
    fn begin(&mut self, pending: T, ahead: bool) -> Ticket {
        self.number += 1;
        self.pending = Some(pending);
        Ticket { number: self.number, ahead }
    }

    /// Whether `ticket` is that of the last one.
    fn check(&self, ticket: Ticket) -> Result<()> {
        if ticket.number == self.number {
            return Ok(());
        }
        Err(Error::Data(format!("evaluation {} is over: {} came after it", ticket.number, self.number)))
    }

    /// What is pending of the last one, whose ticket is `ticket`.
    fn take(&mut self, ticket: Ticket) -> Result<T> {
        self.check(ticket)?;
        self.pending.take().ok_or_else(|| Error::Data(format!("evaluation {} was collected before", ticket.number)))
    }
}

/// A device that holds a model's state and data, trains and evaluates.
pub trait Backend: Send {
    /// Describes the backend.
    fn about(&self) -> About;

    /// Makes the rows of `view` resident as `split`. Orders count them: 0 is the first row of the view.
    ///
    /// # Errors
    /// When the rows do not fit the model or the device.
    fn upload_view(&mut self, split: Split, view: &View) -> Result<()>;

    /// Makes all rows of `samples` resident as `split`.
    ///
    /// # Errors
    /// As [`Backend::upload_view`].
    fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()> {
        self.upload_view(split, &samples.into())
    }

    /// Hands over the first of `steps`, as many as make a sensible portion of work: how many batches, at least one where there
    /// is one. May return before the work is done.
    ///
    /// # Errors
    /// When nothing was uploaded, a row is not there, or the device fails.
    fn train(&mut self, steps: Steps<'_>) -> Result<usize>;

    /// Waits until the steps handed over are done; an evaluation handed over after them may still be under way.
    ///
    /// # Errors
    /// When the device fails.
    fn wait(&mut self) -> Result<()>;

    /// Hands over the evaluation of `splits` in the state that the work before leaves.
    ///
    /// # Errors
    /// When one of them was not uploaded, or the device fails.
    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket>;

    /// The results of the evaluation of `ticket`, which is the last one, for each of its splits.
    ///
    /// # Errors
    /// When a later one was handed over, or the device fails.
    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>>;

    /// Outputs for `inputs` (`n x inputs`, row-major): probabilities of classes, or values, `n x outputs`, row-major.
    ///
    /// # Errors
    /// When the rows do not fit the model, or the device fails.
    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>>;

    /// The state now, or as it was when `at`, the last evaluation, was handed over.
    ///
    /// # Errors
    /// When a later one was handed over, or the device fails.
    fn state(&mut self, at: Option<Ticket>) -> Result<State>;

    /// Replaces the state.
    ///
    /// # Errors
    /// When it is of another model or optimizer, or the device fails.
    fn set_state(&mut self, state: &State) -> Result<()>;

    /// Its measurements, if it has any.
    fn measure(&mut self) -> Option<&mut dyn Measure> {
        None
    }
}

/// What a backend can tell of its speed.
pub trait Measure {
    /// Takes `steps` and waits. Returns the seconds of each kernel of the plan, summed over the steps; none if the device cannot
    /// tell.
    ///
    /// # Errors
    /// When the device fails.
    fn profile(&mut self, steps: Steps<'_>) -> Result<Option<Vec<KernelTime>>>;

    /// Measures what the device can do at best.
    ///
    /// # Errors
    /// When the device fails.
    fn peak(&mut self) -> Result<Peak>;
}

/// The most values of rows that [`BackendExt::predict_all`] hands over at once, unless a row has more.
const PORTION: usize = 1 << 24;

/// Operations that take several calls of a backend.
pub trait BackendExt: Backend {
    /// Takes all of `order` in batches of `batch_size` rows at one rate. May return before the work is done.
    ///
    /// # Errors
    /// As [`Backend::train`].
    fn pass(&mut self, order: &[u32], batch_size: usize, rate: f32) -> Result<()> {
        let rates = vec![rate; order.len().div_ceil(batch_size)];
        let mut done = 0;
        while done < rates.len() {
            done += self.train(Steps { order: &order[done * batch_size..], rates: &rates[done..] })?;
        }
        Ok(())
    }

    /// Evaluates one part, and waits.
    ///
    /// # Errors
    /// As [`Backend::evaluate`] and [`Backend::collect`].
    fn evaluate_now(&mut self, split: Split) -> Result<Evaluation> {
        let ticket = self.evaluate(&[split])?;
        let found = self.collect(ticket)?.pop();
        found.ok_or_else(|| Error::Data(format!("the {} part was not evaluated", split.name())))
    }

    /// Outputs for all of `samples`, as of [`Backend::predict`]. They are asked for in portions, so that little of the rows is
    /// held twice.
    ///
    /// # Errors
    /// As [`Backend::predict`].
    fn predict_all(&mut self, samples: &Samples) -> Result<Vec<f32>> {
        let (values, width) = (samples.inputs.len(), samples.width.max(1));
        let portion = (PORTION / width).max(1) * width;
        let mut found = Vec::new();
        for first in (0..values).step_by(portion) {
            found.extend(self.predict(&samples.inputs.part(first..values.min(first + portion)))?);
        }
        Ok(found)
    }

    /// The flat parameters now.
    ///
    /// # Errors
    /// As [`Backend::state`].
    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.state(None)?.parameters)
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}
