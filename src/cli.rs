//! The command line: what may be given, checked, then handed to one file a subcommand. It prints and computes nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::backend::cpu::Cpu;
use crate::backend::gpu::Gpu;
use crate::backend::gpu::device::{self, Device};
use crate::backend::gpu::plan::PlanName;
use crate::backend::{Backend, Precision};
use crate::data::{Dataset, Header, Scale};
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::tuning;

use fetch::{FetchOptions, Place};

mod bench;
mod check;
mod data;
mod devices;
mod eval;
mod export;
mod fetch;
mod inspect;
mod predict;
mod train;

/// Trains multi-layer perceptrons on any GPU, or on the CPU.
#[derive(Debug, Parser)]
#[command(name = "mlp-gpu", version, about, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; without flags, the notebook's: 784-7-10 on MNIST, ten epochs
    Train(Box<train::Options>),
    /// Time the training pass of some networks
    Bench(bench::Options),
    /// List the GPU adapters, and say which one `auto` takes
    Devices,
    /// Check every kernel and plan on this machine against the CPU's plain twins
    Check(check::Options),
    /// Evaluate a saved model on a data set
    Eval(Box<eval::Options>),
    /// Predict the classes of images or of rows of a table
    Predict(Box<predict::Options>),
    /// Show what a saved model holds
    Inspect(Box<inspect::Options>),
    /// Write a saved model for other software: ONNX, NumPy, safetensors
    Export(export::Options),
    /// Fetch, list, check and look at data sets
    #[command(subcommand)]
    Data(data::Command),
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// A hardware GPU if there is one, else the CPU
    Auto,
    /// A GPU; a software driver if there is no other
    Gpu,
    /// The CPU
    Cpu,
}

/// How a step runs on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanChoice {
    /// The best one for the network and the adapter
    Auto,
    /// A kernel for each elementary operation
    Elementary,
    /// Few kernels that do several operations each
    Fused,
    /// One kernel for many steps, for a small network with one hidden layer
    Resident,
}

impl PlanChoice {
    /// The plan of this name; the best one where it is none's.
    fn named(name: &str) -> Self {
        Self::from_str(name, false).unwrap_or(Self::Auto)
    }

    fn name(self) -> Option<PlanName> {
        match self {
            PlanChoice::Auto => None,
            PlanChoice::Elementary => Some(PlanName::Elementary),
            PlanChoice::Fused => Some(PlanName::Fused),
            PlanChoice::Resident => Some(PlanName::Resident),
        }
    }
}

/// Flags that choose the device.
#[derive(Debug, Args)]
struct DeviceOptions {
    /// Where to compute
    #[arg(long, value_enum, default_value = "auto")]
    backend: BackendChoice,
    /// GPU adapter: its index or a part of its name, as `mlp-gpu devices` lists them
    #[arg(long, value_name = "NAME|INDEX")]
    adapter: Option<String>,
    /// What products are computed in
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
}

/// Flags that choose the data set.
#[derive(Debug, Args)]
struct DataOptions {
    /// Data set: auto (MNIST if it is here or can be fetched, else digits), mnist, fashion-mnist, kmnist, digits, or the path
    /// of a CSV file (plain or gzipped), of a NumPy .npz archive, of a folder with four IDX files, or of a folder with a
    /// folder of images for each class [default: auto, or what the model was trained on]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Data folder: holds mnist/train-images-idx3-ubyte[.gz] and so on
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    /// Column of the labels in a CSV file: its name, or its number from 1 on (-1 or last: the last one) [default: the one
    /// named label, class, target or y]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    /// Whether a CSV file's first line names the columns
    #[arg(long, value_enum, default_value = "auto")]
    header: Header,
    /// CSV file of the test part
    #[arg(long, value_name = "FILE", conflicts_with = "test_split")]
    test: Option<PathBuf>,
    /// Share of the rows to draw as the test part, where the data has none of its own [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    test_split: Option<f64>,
    /// Share of the training rows to draw as a validation part, which is evaluated after each epoch
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    validation_split: Option<f64>,
    /// How features are scaled, by the training rows [default: 255 for bytes and images, else standard]
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    /// Resize images in folders to this height and width
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size)]
    image_size: Option<(usize, usize)>,
    #[command(flatten)]
    fetch: FetchOptions,
}

impl DataOptions {
    /// The data set; what there is to say of it goes to `tell`. Random parts are drawn with `seed`.
    fn load(&self, seed: u64, tell: impl Fn(&str)) -> Result<Dataset> {
        self.read(self.data.as_deref().unwrap_or("auto"), self.reading(seed), tell)
    }

    /// The data set `source`, fetched on first use; what there is to say of it goes to `tell`.
    fn read(&self, source: &str, reading: crate::data::Options, tell: impl Fn(&str)) -> Result<Dataset> {
        let (source, folder) = self.locate(source, &tell)?;
        let (dataset, notes) = crate::data::load(source, &crate::data::Options { folder, ..reading })?;
        notes.iter().for_each(|note| tell(&format!("Data: {note}")));
        Ok(dataset)
    }

    /// `source` and the data folder in which to look for it, fetched on first use; `digits` where `auto` finds nothing else.
    fn locate<'a>(&self, source: &'a str, tell: impl Fn(&str)) -> Result<(&'a str, Option<PathBuf>)> {
        Ok(match self.fetch.locate(source, self.data_dir.as_deref())? {
            Place::Folder(folder) => (source, folder),
            Place::Nowhere(why) => {
                tell(&format!("Data: the embedded data set digits: {why}"));
                ("digits", None)
            }
        })
    }

    /// How it is read, but for the folder.
    fn reading(&self, seed: u64) -> crate::data::Options {
        crate::data::Options {
            folder: None,
            label: self.label.clone(),
            target: None,
            task: None,
            header: self.header,
            test: self.test.clone(),
            test_split: self.test_split,
            validation_split: self.validation_split,
            scale: self.scale,
            image_size: self.image_size,
            seed,
        }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "give a number between 0 and 1, such as 0.1".into())
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side: &usize| (1..=1 << 14).contains(side));
    let size = text.split_once('x').and_then(|(height, width)| Some((side(height)?, side(width)?)));
    size.ok_or_else(|| "give height and width in pixels, such as 28x28".into())
}

/// Widths of hidden layers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hidden(Vec<usize>);

fn parse_hidden(text: &str) -> Result<Hidden, String> {
    if text == "none" {
        return Ok(Hidden(Vec::new()));
    }
    let width = |part: &str| part.trim().parse().ok().filter(|&width: &usize| width > 0);
    let widths: Option<Vec<usize>> = text.split(',').map(width).collect();
    widths
        .map(Hidden)
        .ok_or_else(|| "give widths above 0 with commas between them, such as 7 or 512,512; or none".into())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| "give a number from 0 on".into())
}

/// What [`DeviceOptions`] came to.
enum Target {
    Gpu(Box<Device>),
    Cpu,
}

impl DeviceOptions {
    /// The device to compute on, and for `auto` a note why.
    fn resolve(&self) -> Result<(Target, Option<String>)> {
        let wanted = self.adapter.as_deref();
        // Without an adapter there is nothing to fall back to.
        let must = wanted.is_some() || self.precision == Precision::Mixed;
        match self.backend {
            BackendChoice::Cpu if self.adapter.is_some() => {
                Err(Error::Usage("--adapter names a GPU: leave it out, or use --backend gpu".into()))
            }
            BackendChoice::Cpu if self.precision == Precision::Mixed => {
                Err(Error::Usage("--precision mixed is for a GPU: leave it out, or use --backend gpu".into()))
            }
            BackendChoice::Cpu => Ok((Target::Cpu, None)),
            BackendChoice::Gpu => Ok((open(wanted, self.precision)?, None)),
            BackendChoice::Auto if must => {
                let why = if wanted.is_some() { "the adapter that --adapter names" } else { "--precision mixed" };
                Ok((open(wanted, self.precision)?, Some(why.into())))
            }
            BackendChoice::Auto => pollster::block_on(async {
                let adapters = device::adapters().await;
                let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
                let Some(index) = device::best_hardware(&infos) else {
                    let why = match infos.len() {
                        0 => "no GPU adapter was found",
                        _ => "only software GPU adapters were found",
                    };
                    return Ok((Target::Cpu, Some(format!("{why} (see mlp-gpu devices)"))));
                };
                match Device::open(&adapters[index], self.precision).await {
                    Ok(device) => Ok((tuned(device), Some("the best hardware adapter".into()))),
                    Err(error) => Ok((Target::Cpu, Some(error.to_string()))),
                }
            }),
        }
    }
}

/// As it was before, for a run that goes on: where nothing is asked for, the backend `before` if it can be had.
impl DeviceOptions {
    fn resolve_as(&self, before: &str) -> Result<(Target, Option<String>)> {
        let why = || Some("as before".into());
        match (self.backend, before) {
            (BackendChoice::Auto, _) if self.adapter.is_some() || self.precision == Precision::Mixed => self.resolve(),
            (BackendChoice::Auto, "cpu") => Ok((Target::Cpu, why())),
            (BackendChoice::Auto, "gpu") => match open(None, self.precision) {
                Ok(target) => Ok((target, why())),
                Err(_) => self.resolve(),
            },
            _ => self.resolve(),
        }
    }
}

fn open(wanted: Option<&str>, precision: Precision) -> Result<Target> {
    pollster::block_on(async {
        let adapters = device::adapters().await;
        let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
        Ok(tuned(Device::open(&adapters[device::choose(&infos, wanted)?], precision).await?))
    })
}

/// `device`, with what was measured of it before.
fn tuned(mut device: Device) -> Target {
    match tuning::load(&device.info) {
        Ok(tuning) => device.hardware.tuning = tuning,
        Err(error) => note(&format!("Tuning: none: {error}")),
    }
    Target::Gpu(Box::new(device))
}

impl Target {
    fn backend(&self, model: &Mlp, batch_size: usize, threads: usize, plan: PlanChoice) -> Result<Box<dyn Backend>> {
        Ok(match self {
            Target::Gpu(device) => {
                let gpu = pollster::block_on(Gpu::new(Device::clone(device), model.clone(), batch_size, plan.name()))?;
                let mixed = device.hardware.cooperative.is_some();
                if mixed && let Some(plan @ (PlanName::Elementary | PlanName::Resident)) = plan.name() {
                    return Err(Error::Usage(format!(
                        "--precision mixed is not for --plan {}, which computes in f32: leave one of them out",
                        plan.name()
                    )));
                }
                if mixed && gpu.precision() == Precision::F32 {
                    note(&format!("Precision: f32: {model} has no products wide enough for cooperative matrices"));
                }
                Box::new(gpu)
            }
            Target::Cpu => match plan.name() {
                Some(plan @ (PlanName::Elementary | PlanName::Resident)) => {
                    return Err(Error::Usage(format!(
                        "--plan {} is for a GPU, and this runs on the CPU: leave it out, or use --backend gpu",
                        plan.name()
                    )));
                }
                _ => Box::new(Cpu::new(model.clone(), batch_size, threads)?),
            },
        })
    }
}

/// Runs the program: parses the process's arguments, does what they say, prints a failure in one line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with exit code 0, misuse to standard error with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Train(options) => train::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Devices => devices::run(),
        Command::Check(options) => check::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Data(command) => data::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// A line on standard output.
///
/// # Errors
/// [`Error::Io`] when it cannot be written: the disk is full, or the reader of a pipe went away.
fn print(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(Error::io("write", "standard output".as_ref()))
}

/// A line on standard error. If that is closed there is nobody to tell.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
