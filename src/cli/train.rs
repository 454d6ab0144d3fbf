//! `mlp-gpu train`

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use serde_json::Value;

use self::advice::Advice;
use self::checkpoints::Every;
use self::dashboard::Dashboard;
use self::saving::Saving;
use self::screen::Screen;
use self::settings::{Resumed, Settings};
use super::model::{self, ReadingOptions};
use super::recipe::RecipeOptions;
use super::run_folder::RunFolder;
use super::shards::ShardOptions;
use super::terminal::error_figure;
use super::tune::{self, Tune};
use super::{ComputeOptions, DataOptions, config, full_screen, note, print, signals, terminal};
use crate::backend::gpu::plan::PlanName;
use crate::backend::select::Request;
use crate::backend::{BackendExt, Split};
use crate::check;
use crate::checkpoint::{Checkpoint, Metadata};
use crate::data::{Dataset, TargetScale, Task};
use crate::error::{Error, Remedy, Result};
use crate::files::{self, Named};
use crate::metrics::Evaluation;
use crate::observe::log::{self, EpochLog, Log};
use crate::observe::mlflow::MlFlow;
use crate::observe::tensorboard::TensorBoard;
use crate::observe::{self, Observer, RunInfo};
use crate::recipe::Recipe;
use crate::report;
use crate::train::{Begun, End, Event, Outcome};

mod advice;
pub(super) mod checkpoints;
mod class_weight;
mod dashboard;
pub(super) mod grid;
mod members;
pub(super) mod prepare;
mod record;
mod saving;
mod screen;
mod settings;
pub(super) mod table;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    recipe: RecipeOptions,
    /// Train so many networks at once that differ in their seeds, from --seed on, as one ensemble: --save writes them to one file,
    /// which eval, predict and export take as one model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    members: Option<u32>,
    #[command(flatten)]
    pub(super) shards: ShardOptions,
    /// How much the rows of each class weigh in training: balanced (every class the same in all), or a CSV file with a line
    /// class,weight for each class [default: all rows the same]
    #[arg(long, value_name = "balanced|FILE", conflicts_with = "label_smoothing")]
    class_weight: Option<String>,
    /// Start from the parameters of this file, by train --save or export, or a safetensors file of other software
    #[arg(long, value_name = "FILE", conflicts_with = "init")]
    init_from: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Go on with the training of this model, as if it had not ended: its file says data, network and options
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init", "init_from"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Take flags from this TOML file, whose keys are their long names; those of the command win
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    config: Option<PathBuf>,
    /// Keep all of the run in this folder, which must be empty: config.toml (what --config takes to repeat it), log.jsonl (as --log
    /// writes it) and model.safetensors (as --save does); auto is runs/ with date, time and the data's name
    #[arg(long, value_name = "DIR|auto", conflicts_with = "save")]
    run_dir: Option<PathBuf>,
    /// Write the trained model to this safetensors file; {epoch} in its name becomes the epoch's number, as in 005
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write it every N epochs too: over the file, or to one of its own where the name has {epoch}
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    save_every: Option<u32>,
    /// Keep the epoch of the least validation loss, or of the best test accuracy where there is no validation part: in
    /// FILE, or without it in that of --save, in place of the last epoch
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    save_best: Option<Option<PathBuf>>,
    /// Keep the run as it is in this file, also in the middle of an epoch, so that --resume goes on from it to the same bits; the one
    /// before is kept as FILE.previous
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write the checkpoint every N epochs, or every N seconds, as in 30s [default: 60s]
    #[arg(long, value_name = "N|Ns", requires = "checkpoint")]
    checkpoint_every: Option<Every>,
    /// Write a line of JSON per epoch to this file, after a first one with all options; of several runs a line per run and epoch.
    /// Where its name ends in .csv it is a table with a row per epoch
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write scalars, histograms of the weights, pictures of the first layer's units and the recipe to this folder, for TensorBoard
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Write the recipe and the figures of each epoch as a run to this folder, a store of MLflow's
    #[arg(long, value_name = "DIR")]
    mlflow: Option<PathBuf>,
    /// Measure which plan and which way to launch each kernel are the fastest on the GPU, and keep that for later runs: auto (before a
    /// run of more than a minute on a GPU where that was not done yet), off (and leave aside what was measured before), full (now)
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    tune: Tune,
    /// Train to the same bits on the CPU and on any GPU that rounds as it should, which the first step shows: by plain kernels that sum
    /// in the same order, many times slower
    #[arg(long)]
    exact: bool,
    /// Do not compare the first step of a GPU with the CPU's before training
    #[arg(long)]
    no_check: bool,
    /// Print the table of several runs as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    /// Say which plan runs a step, and why, and more of each epoch
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
    /// Show the run on the whole terminal while it lasts: curves, confusion matrix, learning rate, rows per second, time left; q stops
    /// as Ctrl-C does, s saves
    #[arg(long, conflicts_with = "quiet")]
    dashboard: bool,
    /// The words of the command.
    #[arg(skip)]
    pub(super) words: Vec<OsString>,
}

impl Options {
    fn request(&self) -> Request {
        Request { untuned: self.tune == Tune::Off, exact: self.exact, ..self.compute.request() }
    }

    /// The files that are read beside the data and what a run goes on from.
    fn read_beside_data(&self) -> Vec<Named> {
        let weights = self.class_weight.as_ref().filter(|text| *text != "balanced").map(PathBuf::from);
        let all = [("--init-from", &self.init_from), ("--config", &self.config), ("--class-weight", &weights)];
        all.into_iter().filter_map(|(flag, path)| Some((flag, path.clone()?))).collect()
    }

    /// The model in the file `path`, to start from or to go on with.
    fn load(&self, path: &Path) -> Result<Checkpoint> {
        // One output may stand for a value or for two classes: the data say which.
        self.reading.load(path, Task::Values)
    }
}

/// Below this many steps a run is told that it may be too short.
const FEW_STEPS: u64 = 500;

/// Adam's rates from so many times the usual one on are remarked on.
const LARGE_RATE: f64 = 50.0;

pub(super) fn run(mut options: Options) -> Result<()> {
    let (mut runs, lists) = options.recipe.runs()?;
    if options.exact && options.tune == Tune::Full {
        let message = "--tune full measures ways that --exact does not take, as their last bits differ: leave one out";
        return Err(Error::Usage(message.into()));
    }
    if !lists.is_empty() {
        if options.members.is_some() {
            return Err(Error::Usage(
                "--members is for one recipe, and lists or --seeds make several: leave one out".into(),
            ));
        }
        return grid::run(&options, &runs, &lists);
    }
    let given = runs.pop().unwrap_or_default();
    if let Some(count) = options.members {
        return members::run(&options, &given, count);
    }
    options.shards.refuse()?;
    if options.dashboard {
        full_screen::check(dashboard::FLAG)?;
    }
    if options.json {
        return Err(Error::Usage(
            "--json is for the table of several runs, as --seeds 0..9 makes: --log is for one".into(),
        ));
    }
    let mut folder = match &options.run_dir {
        Some(wanted) => Some(RunFolder::open(
            wanted,
            options.data.data.as_deref(),
            options.resume.as_deref(),
            options.checkpoint.as_deref(),
        )?),
        None => None,
    };
    if let Some(folder) = &folder {
        options.run_dir = Some(folder.path().to_path_buf());
        options.save = Some(folder.model());
        // What is kept says where the data are, wherever it is read.
        options.data.data =
            options.data.data.map(|source| config::absolute(source.as_ref()).to_string_lossy().into_owned());
        for path in [&mut options.data.test, &mut options.data.data_dir, &mut options.init_from] {
            *path = path.take().map(|path| config::absolute(&path));
        }
    }
    let options = &options;
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
    if let (Some(flag), None) = (options.reading.given(), &options.init_from) {
        return Err(Error::Usage(format!("{flag} is for a model of other software: give one with --init-from")));
    }
    let initial = initial.map(|path| Ok((path, options.load(path)?))).transpose()?;
    if let Some((path, initial)) = initial.as_ref().filter(|_| options.resume.is_none()) {
        model::of_parameters(&initial.assumed)
            .for_each(|assumption| tell(&format!("{}: {}", path.display(), model::told(assumption))));
    }
    let resumed = match &initial {
        Some((path, checkpoint)) if options.resume.is_some() => Some(Resumed::new(path, checkpoint)?),
        _ => None,
    };
    let settings = match &resumed {
        Some(resumed) => resumed.settings(options, &given)?,
        None => Settings::new(options, &given, initial.as_ref().map(|(_, checkpoint)| checkpoint))?,
    };
    let done = resumed.as_ref().map_or(0, |resumed| resumed.metadata.epochs);
    let outputs = saving.outputs(options, done, settings.epochs())?;
    let before = resumed.as_ref().and_then(|resumed| resumed.metadata.training.device.clone());
    let request = options.request();
    let mut selected = match &before {
        Some((backend, plan)) => request.select_as(backend, PlanName::named(plan))?,
        None => request.select()?,
    };
    if options.tune == Tune::Full && selected.gpu.is_none() {
        return Err(Error::Usage("--tune full is for a GPU, and this runs on the CPU: use --backend gpu".into()));
    }
    if !options.quiet {
        selected.tell = note;
    }
    selected.notes.iter().for_each(|line| tell(line));
    let mut reading = settings.reading.clone();
    let dataset = options.data.read(&settings.source, reading.clone(), &outputs, options.verbose, tell)?;
    let fallen_back = settings.source == "auto" && dataset.name == "digits";
    // A resumed run draws the same rows.
    reading.validation_split = reading.validation_split.or(dataset.origin.validation);
    let mut recipe = settings.recipe(!is_table(&dataset))?;
    match &resumed {
        Some(resumed) => resumed.check_data(options, &dataset)?,
        None => prepare::suit(&mut recipe, &given, &dataset, initial.as_ref().map(|(_, initial)| initial)),
    }
    let recipe = prepare::fit(recipe, &dataset, options.class_weight.as_deref(), resumed.is_some())?;
    let model = recipe.model_of(&dataset)?;
    let kind = recipe.optimizer.kind;
    let state = match &initial {
        Some((path, initial)) if resumed.is_some() => {
            prepare::check_shape(&model, path, initial)?;
            prepare::check_memory(&model, &recipe)?;
            initial.state.clone()
        }
        Some((path, initial)) => {
            let initial = prepare::initial(initial, dataset.task());
            tell_activation(path, &initial, &recipe, tell);
            prepare::start(&model, &recipe, Some((path, &initial)))?
        }
        None => prepare::start(&model, &recipe, None)?,
    };
    let begun = match &resumed {
        Some(resumed) => resumed.begun(&model)?,
        None => Begun::default(),
    };
    tell(&format!("Recipe: {recipe}"));
    let (rate, usual) = (recipe.schedule.lr, kind.usual_rate());
    if resumed.is_none() && kind.slots() == 2 && rate >= LARGE_RATE * usual {
        tell(&format!("A learning rate of {rate} is large for {}, whose usual one is {usual}", kind.name()));
    }
    let steps = dataset.train.len().div_ceil(recipe.batch_size) as u64 * u64::from(recipe.epochs);
    if (1..FEW_STEPS).contains(&steps) {
        tell(&format!("{steps} steps may be too few: raise --epochs, or lower --batch-size"));
    }
    if done > 0 || begun.batches > 0 {
        let rest = if done == recipe.epochs { "nothing is left to do: --epochs is the total" } else { "on it goes" };
        let batches =
            if begun.batches > 0 { format!(", and {} batches of the next one", begun.batches) } else { String::new() };
        tell(&format!("{done} of {} epochs are done{batches}: {rest}", recipe.epochs));
        if recipe.stopping.early_stop.is_some() && done < recipe.epochs && begun.judged.is_none() {
            tell("The epoch with the least validation loss is looked for from here on: those before do not count");
        }
        let planned = resumed.as_ref().map_or(recipe.epochs, |resumed| resumed.metadata.recipe.epochs);
        if planned != recipe.epochs && recipe.schedule.kind.spans_the_run() {
            let (name, epochs) = (recipe.schedule.kind.name(), recipe.epochs);
            tell(&format!(
                "The schedule {name} was that of {planned} epochs and goes on as that of {epochs}: the result is not that of one \
                 run of {epochs} epochs"
            ));
        }
    }
    // A run that goes on keeps the ways that it began with.
    if resumed.is_none() || options.tune == Tune::Full {
        tune::before_run(options.tune, &mut selected, (&model, &recipe), &dataset, tell)?;
    }
    let (mut backend, notes) = selected.backend(&model, &recipe)?;
    notes.iter().for_each(|line| tell(line));
    let backend = backend.as_mut();
    let about = backend.about();
    let because = selected.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    tell(&format!("Backend: {}, {}{because}", about.name, about.device));
    if options.verbose {
        note(&format!("Plan: {}: {}", about.plan, about.plan_reason));
    }
    let device = (about.name.to_owned(), about.plan.to_owned());
    if let Some(before) =
        before.as_ref().filter(|before| **before != device && !(options.exact && before.1 == device.1))
    {
        let ((name, plan), (now, now_plan)) = (before, &device);
        tell(&format!("Trained so far on {name} (plan {plan}), now on {now} (plan {now_plan}): last bits will differ"));
    }
    backend.upload(Split::Train, &dataset.train)?;
    for (split, part) in [(Split::Test, &dataset.test), (Split::Validation, &dataset.validation)] {
        if let Some(part) = part {
            backend.upload(split, part)?;
        }
    }
    backend.set_state(&state)?;
    let about = backend.about();
    about.streamed.iter().for_each(|line| tell(&format!("Data: {line}")));
    if about.name == "gpu" && options.exact && !options.no_check {
        let exactly = check::exactly(backend, &model, &recipe, &dataset.train, &state);
        exactly.map_err(|error| error.advise(&[Remedy::Cpu, Remedy::Inexact]))?;
    } else if about.name == "gpu" && !options.no_check {
        let checked = check::first_step(backend, &model, &recipe, &dataset.train, &state);
        if !checked.map_err(|error| error.advise(&[Remedy::Cpu, Remedy::Unchecked]))? && options.verbose {
            note("The first step is not compared with the CPU's: the network is too large");
        }
    }

    let mut metadata = Metadata::new(&model, &dataset, &recipe);
    metadata.read_by(&reading);
    metadata.training.device = Some(device);
    metadata.training.init_from = match (&resumed, &options.init_from) {
        (Some(resumed), _) => resumed.metadata.training.init_from.clone(),
        (None, path) => path.as_ref().map(|path| path.display().to_string()),
    };
    let head = record::options(options, &metadata, &dataset, done, &about)?;
    // What tells runs apart. The same data may lie elsewhere now, and older logs lack options.
    let own = recipe.options()?;
    let same = |other: &Value| {
        let of_data = ["widths", "train_samples", "classes", "targets"];
        let of_recipe = own.keys().map(String::as_str).filter(|name| *name != "epochs");
        of_data.into_iter().chain(of_recipe).all(|name| other.get(name).is_none_or(|value| *value == head[name]))
    };
    if let Some(folder) = &folder {
        folder.check(same)?;
    }
    let mut tensorboard = options.tensorboard.as_deref().map(TensorBoard::create).transpose()?;
    let mut mlflow = options.mlflow.as_deref().map(MlFlow::create).transpose()?;
    let mut logs = Vec::new();
    if let Some(path) = &options.log {
        let columns = log::columns([], &dataset, recipe.train_eval);
        let before = if resumed.is_some() { Log::go_on(path, done, &columns, same)? } else { None };
        let log = match before {
            Some(log) => log,
            None => {
                let mut log = Log::create(path, &columns)?;
                log.head(&head)?;
                log
            }
        };
        logs.push(EpochLog::new(log));
    }
    if let Some(folder) = &mut folder {
        tell(&format!("Kept in {}", folder.path().display()));
        let config =
            || record::config(options, &given, &recipe, &dataset, initial.as_ref().map(|(_, initial)| initial));
        let (mut log, empty) = folder.begin(config, done, recipe.epochs, same)?;
        if empty {
            log.head(&head)?;
        }
        logs.push(EpochLog::new(log));
    }
    let best = resumed.as_ref().and_then(|resumed| resumed.metadata.training.best);
    saving.begin(options, &model, metadata, (done, dataset.validation.is_some()), &state, best)?;
    let mut dashboard = options.dashboard.then(|| Dashboard::new(saving.on_request()));
    let mut screen = Screen::new(options.quiet, options.verbose, dashboard.is_none());
    let mut advice = Advice::new(&model, &dataset, &recipe, options.quiet);
    let mut tested = None;
    let mut test = |event: &mut Event<'_>| {
        if let Event::Epoch(epoch, _) = event {
            tested = epoch.test.clone().map(|found| (epoch.number, found));
        }
        // With a checkpoint the run goes on to the next place where that can be written.
        let stop = options.checkpoint.is_none() && signals::interrupted().load(Ordering::Relaxed);
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    // From here on there may be an epoch to keep.
    signals::interrupted();
    let start = Instant::now();
    let info = RunInfo { model: &model, data: &dataset, recipe: &recipe, device: &about, done };
    let mut observers: Vec<&mut dyn Observer> = Vec::new();
    observers.extend(logs.iter_mut().map(|log| log as &mut dyn Observer));
    observers.extend(tensorboard.iter_mut().map(|board| board as &mut dyn Observer));
    observers.extend(mlflow.iter_mut().map(|store| store as &mut dyn Observer));
    observers.extend(dashboard.iter_mut().map(|dashboard| dashboard as &mut dyn Observer));
    observers.push(&mut screen);
    observers.push(&mut saving);
    observers.push(&mut advice);
    observers.push(&mut test);
    let trained = observe::train_from(backend, &info, begun, &|| start.elapsed(), &mut observers);
    drop(dashboard);
    if let Err(Error::Diverged { kept: Some(epoch), .. }) = &trained {
        screen.clear();
        saving.failed(*epoch, &backend.state(None)?, "a finite one")?;
    }
    if let Err(Error::Lost { kept, .. }) = &trained {
        screen.clear();
        saving.lost(kept.as_deref())?;
    }
    let Outcome { epoch, end } = trained?;
    if end == End::Stopped {
        return Err(Error::Interrupted);
    }
    // The run is whole without it: a page that cannot be made is said.
    let tell_page = || match folder.as_ref().map(|folder| report::finish(folder.path(), &selected, &dataset)) {
        Some(Ok(page)) if !options.quiet => note(&format!("Report: {}", page.display())),
        Some(Err(error)) => note(&format!("There is no report: {error}")),
        _ => {}
    };
    if options.quiet {
        tell_page();
        return Ok(());
    }
    if recipe.stopping.early_stop.is_some() {
        note(&format!("Epoch {epoch} is kept, the one with the least validation loss"));
    }
    if dataset.test.is_some() {
        let found = match tested {
            Some((number, found)) if number == epoch => found,
            _ => backend.evaluate_now(Split::Test)?,
        };
        print(&match &dataset.target_scale {
            None => format!("Test Accuracy: {:.4}", found.accuracy()),
            Some(scale) => format!("Test {}", errors(&found, scale)),
        })?;
        let instead = if fallen_back { ", as there is no MNIST here" } else { "" };
        note(&format!("Tested on the {} test rows of {}{instead}", found.samples(), dataset.name));
    }
    if let Some(best) = screen.best() {
        note(&format!("Best epoch: {best}"));
    }
    match saving.ended() {
        Some((file, epoch)) => {
            note(&format!("Saved: {} (epoch {epoch})", file.display()));
            terminal::note_command(
                "To train on:",
                &saving.command(file, (*epoch).max(recipe.epochs).saturating_mul(2)),
            );
        }
        None => note("Nothing is saved: --save FILE keeps the model, --run-dir auto all of the run"),
    }
    tell_page();
    Ok(())
}

/// Tells where a run has another activation than the model that it starts from.
fn tell_activation(path: &Path, initial: &Checkpoint, recipe: &Recipe, tell: impl Fn(&str)) {
    let now = recipe.activation;
    if let Some(known) = initial.activation().filter(|known| *known != now && !recipe.hidden.is_empty()) {
        let (path, known, now) = (path.display(), known.name(), now.name());
        tell(&format!("{path} has {known} between its layers, this run {now} (--activation {known}: the same)"));
    }
}

/// Whether the rows are features of any kind, and not bytes or images.
pub(super) fn is_table(dataset: &Dataset) -> bool {
    dataset.scaling.is_some() && dataset.image().is_none()
}

/// The errors of predicted values, in the unit of the targets.
fn errors(found: &Evaluation, scale: &TargetScale) -> String {
    let found = found.in_units(scale);
    let [rmse, mae] = [found.rmse(), found.mae()].map(|error| error_figure(error, 6));
    format!("RMSE: {rmse}, MAE: {mae}, R2: {:.4}", found.r2())
}
