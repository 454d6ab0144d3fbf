//! `mlp-gpu train`

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use self::saving::Saving;
use self::settings::{Resumed, Settings};
use super::{DataOptions, DeviceOptions, Hidden, PlanChoice, note, parse_hidden, parse_rate, print};
use crate::backend::{Backend, Split};
use crate::checkpoint::{self, Metadata};
use crate::data::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::files;
use crate::model::{Init, Mlp};
use crate::train::{self, Epoch, Event};

mod saving;
mod settings;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    device: DeviceOptions,
    /// How a step runs on the GPU
    #[arg(long, value_enum, default_value = "auto")]
    plan: PlanChoice,
    #[command(flatten)]
    data: DataOptions,
    /// Widths of the hidden layers, with commas between them, or none [default: 7, or those of --init-from]
    #[arg(long, value_name = "WIDTHS", value_parser = parse_hidden)]
    hidden: Option<Hidden>,
    /// Passes over the training set, those before --resume included [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Rows a step [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Learning rate before the first decay, which comes before the first epoch [default: 0.2]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    lr: Option<f64>,
    /// What the learning rate falls by [default: 0.05]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    lr_decay: Option<f64>,
    /// Epochs between two decays [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lr_decay_every: Option<u32>,
    /// The learning rate never falls below this [default: 0.01]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    min_lr: Option<f64>,
    /// Initial weights: normal:DEVIATION, or he [default: normal:0.01 for bytes and images, else he]
    #[arg(long, value_name = "HOW", value_parser = parse_init)]
    init: Option<Init>,
    /// Start from the parameters of this safetensors file, by train --save or by PyTorch
    #[arg(long, value_name = "FILE", conflicts_with = "init")]
    init_from: Option<PathBuf>,
    /// Go on with the training of this model, as if it had not ended: its file says data, network and options
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init", "init_from"])]
    resume: Option<PathBuf>,
    /// Visit the rows in the order of the files
    #[arg(long)]
    no_shuffle: bool,
    /// Write the trained model to this safetensors file; {epoch} in its name becomes the epoch's number, as in 005
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write it every N epochs too: over the file, or to one of its own where the name has {epoch}
    #[arg(long, value_name = "N", requires = "save", value_parser = clap::value_parser!(u32).range(1..))]
    save_every: Option<u32>,
    /// Keep the epoch of the least validation loss, or of the best test accuracy where there is no validation part: in
    /// FILE, or without it in that of --save, in place of the last epoch
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    save_best: Option<Option<PathBuf>>,
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
    let mut saving = Saving::new(options)?;
    if let Some(path) = &options.log {
        files::check_writable(path)?;
    }
    let tell = |line: &str| {
        if !options.quiet {
            note(line);
        }
    };
    let initial = options.resume.as_ref().or(options.init_from.as_ref());
    let initial = initial.map(|path| Ok((path, checkpoint::load(path)?))).transpose()?;
    let resumed = match &initial {
        Some((path, checkpoint)) if options.resume.is_some() => Some(Resumed::new(path, checkpoint)?),
        _ => None,
    };
    let mut settings = match &resumed {
        Some(resumed) => Settings::resume(options, resumed)?,
        None => Settings::new(options, initial.as_ref().map(|(_, checkpoint)| checkpoint)),
    };
    let (target, why) = match resumed.as_ref().and_then(|resumed| resumed.training.device.as_ref()) {
        Some((backend, _)) => options.device.resolve_as(backend)?,
        None => options.device.resolve()?,
    };
    let dataset = options.data.read(&settings.source, settings.reading.clone(), tell)?;
    if let Some(resumed) = &resumed {
        resumed.check_data(options, &dataset)?;
    }

    let model = Mlp::new(&[&[dataset.train.width], &settings.hidden[..], &[dataset.outputs()]].concat())?;
    // The notebook's small weights need the many steps of a large data set.
    let init = settings.init.unwrap_or(if is_table(&dataset) { Init::He } else { Init::Normal(0.01) });
    settings.init = Some(init);
    let parameters = match &initial {
        Some((path, initial)) if initial.model != model => {
            let expected = format!("widths {:?} (the data's, and --hidden)", model.widths());
            return Err(Error::file(path, format!("a network of widths {:?}", initial.model.widths()), expected));
        }
        Some((_, initial)) => initial.parameters.clone(),
        None => model.initial_parameters(init, settings.run.seed),
    };
    settings.run.batch_size = settings.run.batch_size.min(dataset.train.len());
    settings.run.validate = dataset.validation.is_some();
    let run = &settings.run;
    let steps = dataset.train.len().div_ceil(run.batch_size) as u64 * u64::from(run.epochs);
    if (1..FEW_STEPS).contains(&steps) {
        tell(&format!("{steps} steps may be too few: raise --epochs, or lower --batch-size"));
    }
    if run.done > 0 {
        let rest = if run.done == run.epochs { "nothing is left to do: --epochs is the total" } else { "on it goes" };
        tell(&format!("{} of {} epochs are done: {rest}", run.done, run.epochs));
    }
    let mut backend = target.backend(&model, run.batch_size, usize::from(options.threads), settings.plan)?;
    let because = why.map_or_else(String::new, |why| format!(": {why}"));
    tell(&format!("Backend: {}, {}{because}", backend.name(), backend.device()));
    if options.verbose {
        note(&format!("Plan: {}: {}", backend.plan(), backend.plan_reason()));
    }
    let device = (backend.name().to_owned(), backend.plan().to_owned());
    if let Some(before) = resumed.as_ref().and_then(|resumed| resumed.training.device.as_ref())
        && *before != device
    {
        let ((name, plan), (now, now_plan)) = (before, &device);
        tell(&format!("Trained so far on {name} (plan {plan}), now on {now} (plan {now_plan}): last bits will differ"));
    }
    backend.upload(Split::Train, &dataset.train)?;
    backend.upload(Split::Test, &dataset.test)?;
    if let Some(validation) = &dataset.validation {
        backend.upload(Split::Validation, validation)?;
    }
    backend.set_parameters(&parameters)?;

    let mut log = match &options.log {
        Some(path) => Some(Log::create(path, options, &settings, &dataset, &model, backend.as_ref())?),
        None => None,
    };
    let mut metadata = Metadata { reading: settings.reading.clone(), ..Metadata::new(&model, &dataset, run) };
    if let Some(training) = &mut metadata.training {
        training.device = Some(device);
        training.init = match &resumed {
            Some(resumed) => resumed.training.init,
            None => initial.is_none().then_some(init),
        };
    }
    saving.start(
        &model,
        metadata,
        run.done,
        &parameters,
        resumed.as_ref().and_then(|resumed| resumed.training.best),
    )?;
    let bar = progress_bar(dataset.train.len(), options.quiet);
    let mut accuracy = None;
    let trained = train::train(backend.as_mut(), run, dataset.train.len(), &interrupted(), |event| {
        match event {
            Event::Progress { epoch, done, .. } => {
                bar.set_prefix(format!("Epoch {epoch}/{}", run.epochs));
                bar.set_position(done as u64);
            }
            Event::RateFloor { epoch, rate } => {
                bar.suspend(|| tell(&format!("From epoch {epoch} on the learning rate stays at {rate} (--min-lr)")));
            }
            Event::Epoch(epoch, snapshot) => {
                if let Some(log) = &mut log {
                    log.epoch(epoch)?;
                }
                if !options.quiet {
                    bar.suspend(|| print(&line(epoch, run.epochs)))?;
                }
                saving.epoch(epoch, snapshot)?;
                accuracy = Some(epoch.test.accuracy());
            }
        }
        Ok(())
    });
    bar.finish_and_clear();
    trained?;

    saving.finish(run.epochs, backend.as_mut(), tell)?;
    if !options.quiet {
        let accuracy = accuracy.map_or_else(|| Ok(backend.evaluate(Split::Test)?.accuracy()), Ok)?;
        print(&format!("Test Accuracy: {accuracy:.4}"))?;
    }
    Ok(())
}

/// Whether the rows are features of any kind, and not bytes or images.
fn is_table(dataset: &Dataset) -> bool {
    dataset.scaling.is_some() && dataset.image.is_none()
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
    fn create(
        path: &Path,
        options: &Options,
        settings: &Settings,
        dataset: &Dataset,
        model: &Mlp,
        backend: &dyn Backend,
    ) -> Result<Self> {
        let (reading, run) = (&settings.reading, &settings.run);
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut log = Self { path: path.to_path_buf(), file: BufWriter::new(file) };
        log.line(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data": dataset.name,
            "train_samples": dataset.train.len(),
            "test_samples": dataset.test.len(),
            "validation_samples": dataset.validation.as_ref().map_or(0, Samples::len),
            "classes": dataset.classes,
            "label": reading.label,
            "header": name_of(reading.header),
            "test": reading.test,
            "test_split": reading.test_split,
            "validation_split": reading.validation_split,
            "scale": reading.scale.and_then(name_of),
            "image_size": reading.image_size,
            "widths": model.widths(),
            "hidden": settings.hidden,
            "backend": backend.name(),
            "adapter": backend.device(),
            "plan": backend.plan(),
            "plan_reason": backend.plan_reason(),
            "precision": backend.precision().name(),
            "epochs": run.epochs,
            "batch_size": run.batch_size,
            "seed": run.seed,
            "lr": run.schedule.initial,
            "lr_decay": run.schedule.decay,
            "lr_decay_every": run.schedule.every,
            "min_lr": run.schedule.floor,
            "init": settings.init.map(|init| match init {
                Init::Normal(deviation) => format!("normal:{deviation}"),
                Init::He => "he".into(),
            }),
            "init_from": options.init_from,
            "shuffle": run.shuffle,
            "resume": options.resume,
            "epochs_done": run.done,
            "save": options.save,
            "save_every": options.save_every,
            "save_best": options.save_best,
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
