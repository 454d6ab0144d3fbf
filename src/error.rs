//! The one error type. Every message says what is wrong, where, and what to do; what to do is a [`Remedy`], so that the
//! command line can name the flag for it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::backend::gpu::plan::PlanName;
use crate::memory::{Bound, Bytes};
use crate::state::State;

/// What can go wrong, in the words shown to the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Options that are well-formed but make no sense together or for this data (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// An option that does not go with the data (exit code 2).
    #[error("the option {option} {why}")]
    Unsuited {
        /// Its field.
        option: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", "create", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file that is not what it should be: names it, what was found and what was expected.
    #[error("{}: found {found}, expected {expected}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Data that cannot be had or used.
    #[error("{0}")]
    Data(String),
    /// No GPU adapter, or none that can do what is asked.
    #[error("{0}")]
    Adapter(String),
    /// The GPU driver reported an error; names the kernel or buffer.
    #[error("{0}")]
    Gpu(String),
    /// The device is gone, as after a reset by its driver; another can be opened.
    #[error("{why}")]
    Lost {
        /// What the driver says.
        why: String,
        /// The last whole epoch of the run whose state is known, and that state.
        kept: Option<Box<(u32, State)>>,
    },
    /// Training went wrong numerically.
    #[error("training diverged: {} epoch {epoch} at learning rate {learning_rate}", diverged(*loss))]
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
        /// Its learning rate.
        learning_rate: f64,
        /// The summed loss after it; none where the parameters were no longer finite before it was known.
        loss: Option<f64>,
        /// The last epoch that left a finite state which was kept: the backend has it again.
        kept: Option<u32>,
    },
    /// A plan cannot run a network (exit code 2).
    #[error("the plan {} {why}", plan.name())]
    PlanUnfit {
        /// The plan.
        plan: PlanName,
        /// What it can run, and what it was to run.
        why: String,
    },
    /// Another error, and what would help.
    #[error("{error}: {}", listed(remedies.iter()))]
    Advised {
        /// What is wrong.
        error: Box<Error>,
        /// What would help, any of it.
        remedies: Vec<Remedy>,
    },
    /// There is no memory for something.
    #[error("{what} takes {}, and {} are left of {of}", Bytes(*needed), Bytes(*left))]
    Memory {
        /// What it is.
        what: String,
        /// The bytes that it takes.
        needed: u64,
        /// The bytes that are left.
        left: u64,
        /// What says so.
        of: Bound,
    },
    /// A self-check found a difference beyond its tolerance.
    #[error("{0}")]
    Check(String),
    /// Interrupted by the user (exit code 130).
    #[error("interrupted")]
    Interrupted,
}

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The process exit code: 1 failed at run time, 2 bad usage, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Unsuited { .. } | Error::PlanUnfit { .. } => 2,
            Error::Advised { error, .. } => error.exit_code(),
            Error::Interrupted => 130,
            _ => 1,
        }
    }

    /// Whether it is of the run itself, so that another attempt or machine would end the same way.
    pub fn is_of_the_run(&self) -> bool {
        match self {
            Error::Diverged { .. } => true,
            Error::Advised { error, .. } => error.is_of_the_run(),
            error => error.exit_code() == 2,
        }
    }

    /// Whether the device is gone.
    pub fn is_lost(&self) -> bool {
        match self {
            Error::Lost { .. } => true,
            Error::Advised { error, .. } => error.is_lost(),
            _ => false,
        }
    }

    /// An [`Error::Lost`] of which no state is known.
    pub(crate) fn lost(why: impl Into<String>) -> Error {
        Error::Lost { why: why.into(), kept: None }
    }

    /// Whether a plan cannot run what it was to run.
    pub fn is_unfit(&self) -> bool {
        match self {
            Error::PlanUnfit { .. } => true,
            Error::Advised { error, .. } => error.is_unfit(),
            _ => false,
        }
    }

    /// This error, and what would help.
    pub fn advise(self, remedies: &[Remedy]) -> Error {
        Error::Advised { error: Box::new(self), remedies: remedies.to_vec() }
    }

    /// An [`Error::Io`] about `path`; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::File`] about `path`.
    pub fn file(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::File { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }
}

/// What would help against an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Fewer rows per step.
    SmallerBatch,
    /// At most so many rows per step.
    BatchOf(usize),
    /// Fewer units.
    SmallerLayers,
    /// Hidden layers of at most so many units.
    LayersOf(usize),
    /// Fewer inputs: nothing else helps.
    FewerInputs,
    /// Fewer rows.
    LessData,
    /// A bound on the memory that may be taken.
    Limit,
    /// A lower learning rate.
    LowerRate,
    /// A driver for the GPU.
    Driver,
    /// The CPU backend.
    Cpu,
    /// No comparison of the first step with the CPU's.
    Unchecked,
    /// Bits that may differ from the CPU's.
    Inexact,
    /// The GPU backend.
    Gpu,
    /// No adapter by name.
    NoAdapter,
    /// 32-bit products.
    FullPrecision,
    /// This plan.
    Plan(PlanName),
    /// No plan by name.
    NoPlan,
    /// This field of [`crate::data::Options`].
    Option(&'static str),
    /// No such field.
    Without(&'static str),
    /// What a model makes of images without classes.
    Predict,
    /// A model's layers by their names, in order.
    NamedLayers,
    /// A model's activation by its name.
    Activation,
    /// A model's scaling of inputs by mean and deviation.
    Normalize,
    /// Values as a model's outputs.
    Values,
    /// A model's file as it is.
    AsItIs,
    /// One member of an ensemble.
    Member,
}

/// As advice to who uses the library.
impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallerBatch => out.write_str("use smaller batches"),
            Self::BatchOf(rows) => write!(out, "use batches of at most {rows} rows"),
            Self::SmallerLayers => out.write_str("use smaller hidden layers"),
            Self::Limit => out.write_str("say how much memory may be taken"),
            Self::LayersOf(units) => write!(out, "use hidden layers of at most {units} units"),
            Self::FewerInputs => out.write_str("use rows of fewer values, as no smaller batch or layer helps"),
            Self::LessData => out.write_str("use less data"),
            Self::LowerRate => out.write_str("lower the learning rate"),
            Self::Driver => out.write_str(
                "install the driver of your GPU (on Debian or Ubuntu, the software driver: apt-get install mesa-vulkan-drivers)",
            ),
            Self::Cpu => out.write_str("use the CPU"),
            Self::Unchecked => out.write_str("train unchecked"),
            Self::Inexact => out.write_str("do without the CPU's bits"),
            Self::Gpu => out.write_str("use a GPU"),
            Self::NoAdapter => out.write_str("name no adapter"),
            Self::FullPrecision => out.write_str("leave mixed precision out"),
            Self::Plan(plan) => write!(out, "use the plan {}", plan.name()),
            Self::NoPlan => out.write_str("name no plan"),
            Self::Option(name) => write!(out, "set the option {name}"),
            Self::Without(name) => write!(out, "leave the option {name} out"),
            Self::Predict => out.write_str("or predict them with a model"),
            Self::NamedLayers => out.write_str("name the layers in order"),
            Self::Activation => out.write_str("name the activation"),
            Self::Normalize => out.write_str("give the mean and deviation of the inputs"),
            Self::Values => out.write_str("say that the outputs are values"),
            Self::AsItIs => out.write_str("read it as it is"),
            Self::Member => out.write_str("read it as an ensemble and take one member"),
        }
    }
}

/// What is no longer a number, and when.
fn diverged(loss: Option<f64>) -> String {
    loss.map_or_else(|| "the parameters are no longer finite in".into(), |loss| format!("the loss is {loss} after"))
}

/// Alternatives in one line.
pub(crate) fn listed(advice: impl Iterator<Item = impl fmt::Display>) -> String {
    advice.map(|advice| advice.to_string()).collect::<Vec<_>>().join(", or ")
}
