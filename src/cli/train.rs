//! `mlp-gpu train`

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{DataOptions, DeviceOptions, Hidden, PlanChoice, note, parse_hidden, parse_rate, print};
use crate::backend::{Backend, Split};
use crate::checkpoint::{self, Metadata};
use crate::data::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::files;
use crate::model::{Init, Mlp};
use crate::schedule::Schedule;
use crate::train::{self, Epoch, Event};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    device: DeviceOptions,
    /// How a step runs on the GPU
    #[arg(long, value_enum, default_value = "auto")]
    plan: PlanChoice,
    #[command(flatten)]
    data: DataOptions,
    /// Widths of the hidden layers, with commas between them, or none
    #[arg(long, value_name = "WIDTHS", default_value = "7", value_parser = parse_hidden)]
    hidden: Hidden,
    /// Passes over the training set
    #[arg(long, value_name = "N", default_value_t = 10)]
    epochs: u32,
    /// Rows a step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Learning rate before the first decay, which comes before the first epoch
    #[arg(long, value_name = "RATE", default_value_t = 0.2, value_parser = parse_rate)]
    lr: f64,
    /// What the learning rate falls by
    #[arg(long, value_name = "RATE", default_value_t = 0.05, value_parser = parse_rate)]
    lr_decay: f64,
    /// Epochs between two decays
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    lr_decay_every: u32,
    /// The learning rate never falls below this
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = parse_rate)]
    min_lr: f64,
    /// Initial weights: normal:DEVIATION, or he [default: normal:0.01 for bytes and images, else he]
    #[arg(long, value_name = "HOW", value_parser = parse_init)]
    init: Option<Init>,
    /// Start from the parameters of this safetensors file
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Visit the rows in the order of the files
    #[arg(long)]
    no_shuffle: bool,
    /// Write the trained model to this safetensors file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write a line of JSON an epoch to this file, after a first one with all options
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Say which plan runs a step, and why
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
    /// Threads of the CPU backend; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
}

/// Below this many steps a run is told that it may be too short.
const FEW_STEPS: u64 = 500;

fn parse_init(text: &str) -> Result<Init, String> {
    let deviation = |text: &str| text.parse().ok().filter(|deviation: &f32| deviation.is_finite() && *deviation >= 0.0);
    match text.split_once(':') {
        None if text == "he" => Some(Init::He),
        Some(("normal", text)) => deviation(text).map(Init::Normal),
        _ => None,
    }
    .ok_or_else(|| "give normal:DEVIATION, such as normal:0.01, or he".into())
}

pub(super) fn run(options: &Options) -> Result<()> {
    // What can be refused is refused before any work.
    for path in [&options.save, &options.log].into_iter().flatten() {
        files::check_writable(path)?;
    }
    if options.save.is_some() && options.save == options.log {
        return Err(Error::Usage("--save and --log name the same file".into()));
    }
    let tell = |line: &str| {
        if !options.quiet {
            note(line);
        }
    };
    let initial = options.init_from.as_deref().map(checkpoint::load).transpose()?;
    let (target, why) = options.device.resolve()?;
    let dataset = options.data.load(options.seed, tell)?;

    let widths: Vec<usize> = [dataset.train.width].into_iter().chain(options.hidden.0.iter().copied()).collect();
    let model = Mlp::new(&[&widths[..], &[dataset.classes.len()]].concat())?;
    let parameters = match (&initial, &options.init_from) {
        (Some(initial), Some(path)) if initial.model != model => {
            let expected = format!("widths {:?} (the data's, and --hidden)", model.widths());
            return Err(Error::file(path, format!("a network of widths {:?}", initial.model.widths()), expected));
        }
        (Some(initial), _) => initial.parameters.clone(),
        (None, _) => model.initial_parameters(init(options, &dataset), options.seed),
    };
    let batch_size = (options.batch_size as usize).min(dataset.train.len());
    let steps = dataset.train.len().div_ceil(batch_size) as u64 * u64::from(options.epochs);
    if (1..FEW_STEPS).contains(&steps) {
        tell(&format!("{steps} steps may be too few: raise --epochs, or lower --batch-size"));
    }
    let mut backend = target.backend(&model, batch_size, usize::from(options.threads), options.plan)?;
    let because = why.map_or_else(String::new, |why| format!(": {why}"));
    tell(&format!("Backend: {}, {}{because}", backend.name(), backend.device()));
    if options.verbose {
        note(&format!("Plan: {}: {}", backend.plan(), backend.plan_reason()));
    }
    backend.upload(Split::Train, &dataset.train)?;
    backend.upload(Split::Test, &dataset.test)?;
    if let Some(validation) = &dataset.validation {
        backend.upload(Split::Validation, validation)?;
    }
    backend.set_parameters(&parameters)?;

    let mut log = match &options.log {
        Some(path) => Some(Log::create(path, options, &dataset, &model, backend.as_ref())?),
        None => None,
    };
    let loop_options = train::Options {
        epochs: options.epochs,
        done: 0,
        batch_size,
        schedule: Schedule {
            initial: options.lr,
            decay: options.lr_decay,
            every: options.lr_decay_every,
            floor: options.min_lr,
        },
        seed: options.seed,
        validate: dataset.validation.is_some(),
        shuffle: !options.no_shuffle,
    };
    let bar = progress_bar(dataset.train.len(), options.quiet);
    let trained = train::train(backend.as_mut(), &loop_options, dataset.train.len(), &interrupted(), |event| {
        match event {
            Event::Progress { epoch, done, .. } => {
                bar.set_prefix(format!("Epoch {epoch}/{}", options.epochs));
                bar.set_position(done as u64);
            }
            Event::RateFloor { epoch, rate } => {
                bar.suspend(|| tell(&format!("From epoch {epoch} on the learning rate stays at {rate} (--min-lr)")));
            }
            Event::Epoch(epoch, _) => {
                if let Some(log) = &mut log {
                    log.epoch(epoch)?;
                }
                if !options.quiet {
                    bar.suspend(|| print(&line(epoch, options.epochs)))?;
                }
            }
        }
        Ok(())
    });
    bar.finish_and_clear();
    trained?;

    if let Some(path) = &options.save {
        let metadata = Metadata::new(&model, &dataset, &loop_options);
        checkpoint::save(path, &model, &backend.parameters()?, Some(&metadata))?;
    }
    if !options.quiet {
        print(&format!("Test Accuracy: {:.4}", backend.evaluate(Split::Test)?.accuracy()))?;
    }
    Ok(())
}

/// Whether the rows are features of any kind, and not bytes or images.
fn is_table(dataset: &Dataset) -> bool {
    dataset.scaling.is_some() && dataset.image.is_none()
}

/// How the weights are drawn. The notebook's small ones need the many steps of a large data set.
fn init(options: &Options, dataset: &Dataset) -> Init {
    let default = if is_table(dataset) { Init::He } else { Init::Normal(0.01) };
    options.init.unwrap_or(default)
}

fn line(epoch: &Epoch, epochs: u32) -> String {
    let validation = epoch.validation.as_ref().map_or_else(String::new, |validation| {
        let (loss, accuracy) = (validation.mean_loss(), validation.accuracy());
        format!(", Validation Loss: {loss:.4}, Validation Accuracy: {accuracy:.4}")
    });
    format!(
        "Epoch {}/{epochs}, Global Loss: {:.4}, Mean Loss: {:.8}, Test Accuracy: {:.4}, Test Loss: {:.4}, \
         Learning Rate: {}, Train: {:.3} s, Eval: {:.3} s{validation}",
        epoch.number,
        epoch.train.loss_sum,
        epoch.train.mean_loss(),
        epoch.test.accuracy(),
        epoch.test.mean_loss(),
        epoch.learning_rate as f32,
        epoch.train_seconds,
        epoch.eval_seconds,
    )
}

/// A bar on standard error; hidden where that is no terminal.
fn progress_bar(rows: usize, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix} [{wide_bar}] {pos}/{len} rows") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Set once Ctrl-C is pressed. A second one ends the process at once.
fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    // Where no handler can be set, Ctrl-C simply ends the process.
    let _ = ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    flag
}

/// A choice as it is written on the command line.
fn name_of(choice: impl ValueEnum) -> Option<String> {
    choice.to_possible_value().map(|value| value.get_name().to_owned())
}

/// The JSON lines of a run.
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    fn create(path: &Path, options: &Options, dataset: &Dataset, model: &Mlp, backend: &dyn Backend) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut log = Self { path: path.to_path_buf(), file: BufWriter::new(file) };
        log.line(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data": dataset.name,
            "train_samples": dataset.train.len(),
            "test_samples": dataset.test.len(),
            "validation_samples": dataset.validation.as_ref().map_or(0, Samples::len),
            "classes": dataset.classes,
            "label": options.data.label,
            "header": name_of(options.data.header),
            "test": options.data.test,
            "test_split": options.data.test_split,
            "validation_split": options.data.validation_split,
            "scale": options.data.scale.and_then(name_of),
            "image_size": options.data.image_size,
            "widths": model.widths(),
            "hidden": options.hidden.0,
            "backend": backend.name(),
            "adapter": backend.device(),
            "plan": backend.plan(),
            "plan_reason": backend.plan_reason(),
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "seed": options.seed,
            "lr": options.lr,
            "lr_decay": options.lr_decay,
            "lr_decay_every": options.lr_decay_every,
            "min_lr": options.min_lr,
            "init": match init(options, dataset) {
                Init::Normal(deviation) => format!("normal:{deviation}"),
                Init::He => "he".into(),
            },
            "init_from": options.init_from,
            "shuffle": !options.no_shuffle,
            "save": options.save,
            "data_dir": options.data.data_dir,
            "threads": options.threads,
            "quiet": options.quiet,
        }))?;
        Ok(log)
    }

    fn epoch(&mut self, epoch: &Epoch) -> Result<()> {
        let mut line = json!({
            "epoch": epoch.number,
            "lr": epoch.learning_rate,
            "train_loss_sum": epoch.train.loss_sum,
            "train_loss": epoch.train.mean_loss(),
            "train_accuracy": epoch.train.accuracy(),
            "test_loss": epoch.test.mean_loss(),
            "test_accuracy": epoch.test.accuracy(),
            "train_seconds": epoch.train_seconds,
            "eval_seconds": epoch.eval_seconds,
            "samples_per_second": epoch.samples_per_second(),
        });
        if let Some(validation) = &epoch.validation {
            line["validation_loss"] = validation.mean_loss().into();
            line["validation_accuracy"] = validation.accuracy().into();
        }
        self.line(&line)
    }

    fn line(&mut self, value: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{value}").and_then(|()| self.file.flush()).map_err(Error::io("write", &self.path))
    }
}
