//! `mlp-gpu cv`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use super::eval::{Figure, figures};
use super::recipe::{self, RecipeOptions};
use super::shards::{Jobs, ShardOptions};
use super::train::table::digits;
use super::train::{is_table, prepare};
use super::{ComputeOptions, DataOptions, jobs, note, print, read_so, spare_data};
use crate::backend::{Parts, Split};
use crate::checkpoint::{Checkpoint, Ensemble, HeldBack, Metadata};
use crate::data::folds::{Fold, Folding};
use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::many::{Job, Trained};
use crate::metrics::mean_and_deviation;
use crate::observe::log::{self, Log, of_epoch};
use crate::recipe::Recipe;

mod predictions;

/// The share of a table's rows that says when to stop.
pub(super) const TABLE_VALIDATION: f64 = 0.1;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// Number of folds: so many networks are trained, each without the rows of one fold, and judged by them
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    folds: u32,
    /// Number of divisions of the rows into folds: by the seed, the one after it, and so on
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Column of a table that says which rows belong together, such as those of a patient: all of a group are in one fold, and the
    /// column is no feature
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    groups: Option<String>,
    #[command(flatten)]
    recipe: RecipeOptions,
    /// How much the rows of each class weigh in training: balanced (every class the same in all), or a CSV file with a line
    /// class,weight for each class [default: all rows the same]
    #[arg(long, value_name = "balanced|FILE", conflicts_with = "label_smoothing")]
    class_weight: Option<String>,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Write what each row is predicted by the network that was trained without it to this CSV file, in the order of the rows; those
    /// that are left out, as they have no target or by --missing drop, are not counted
    #[arg(long, value_name = "FILE")]
    out_of_fold: Option<PathBuf>,
    /// Write the networks of all folds to this safetensors file, as one ensemble
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Go on with the networks in this file, which --save of the same command wrote before it was interrupted
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shards: ShardOptions,
    /// Write a line of JSON per fold and epoch to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print all figures as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    /// Say more of where data come from
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
}

/// A fold that was drawn, and the network that is trained without it.
pub(super) struct Study {
    held_back: HeldBack,
    fold: Fold,
    pub(super) metadata: Metadata,
    /// What it goes on from.
    before: Option<Checkpoint>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let tell = |line: &str| {
        if !options.quiet {
            note(line);
        }
    };
    let outputs = options.outputs()?;
    let shards = options.shards.open()?;
    let (mut runs, lists) = options.recipe.runs()?;
    if let Some(list) = lists.first() {
        let flag = recipe::flag_of_list(list);
        return Err(Error::Usage(format!(
            "{flag}: cv takes a single value; train takes lists, and --repeats seeds anew"
        )));
    }
    let given = runs.pop().unwrap_or_default();
    let recipe = |images| recipe::recipe(&given, images, None);
    let recipes = match (recipe(true), recipe(false)) {
        // Refused before any work, whatever the rows are.
        (Err(error), Err(_)) => return Err(error),
        recipes => recipes,
    };
    let resumed = options.resume.as_ref().map(|path| Ensemble::load(path)).transpose()?;
    let mut selected = options.compute.request().select()?;
    if !options.quiet {
        selected.tell = note;
    }
    selected.notes.iter().for_each(|line| tell(line));
    let seed = options.recipe.seed();
    let stops = recipes.1.as_ref().is_ok_and(|recipe| recipe.stopping.early_stop.is_some());
    let reading = data::Options {
        table_validation: stops.then_some(TABLE_VALIDATION),
        groups: options.groups.clone(),
        ..options.data.reading(seed)
    };
    let source = options.data.data.as_deref().unwrap_or("auto");
    let (source, folder) = options.data.locate(source, options.verbose, tell)?;
    let reading = data::Options { folder, ..reading };
    spare_data("--data", source, &reading, &outputs)?;
    let (folding, notes) = Folding::read(source, &reading)?;
    notes.iter().for_each(|note| tell(&read_so(note)));

    let (mut studies, mut jobs): (Vec<Study>, Vec<Job>) = (Vec::new(), Vec::new());
    for repeat in 0..options.repeats {
        let seed = seed.checked_add(u64::from(repeat)).ok_or_else(|| {
            Error::Usage(format!("--seed {seed} with --repeats {}: seeds end at 2^64 - 1", options.repeats))
        })?;
        for (number, rows) in (1..).zip(folding.draw(options.folds as usize, seed)?) {
            let mut notes = Vec::new();
            let fold = folding.fold(rows, seed, &mut notes)?;
            let first = studies.is_empty();
            if first {
                notes.iter().for_each(|note| tell(&format!("{} (the first fold)", read_so(note))));
            }
            let mut recipe: Recipe = match if is_table(&fold.dataset) { &recipes.1 } else { &recipes.0 } {
                Ok(recipe) => recipe.clone(),
                Err(_) => recipe::recipe(&given, !is_table(&fold.dataset), None)?,
            };
            recipe.seed = seed;
            let dataset = learnt_from(&fold)?;
            prepare::suit(&mut recipe, &given, &dataset, None);
            let recipe = prepare::fit(recipe, &dataset, options.class_weight.as_deref(), false)?;
            if first {
                tell(&format!("Recipe: {recipe}"));
            }
            let held_back = HeldBack { fold: number, of: options.folds, repeat: repeat + 1 };
            let (study, job) = study(held_back, fold, recipe, &reading, resumed.as_ref())?;
            studies.push(study);
            jobs.push(job);
        }
    }
    if let Some(resumed) = &resumed {
        let found = |member: &Checkpoint| {
            let held_back = member.metadata.as_ref().and_then(|metadata| metadata.training.held_back);
            studies.iter().any(|study| Some(study.held_back) == held_back && study.before.is_some())
        };
        if let Some(other) = resumed.members().iter().find(|member| !found(member)) {
            return Err(Error::Data(format!(
                "{} was trained by another command: its {} fits no fold of these data and options",
                resumed.name(),
                other.name
            )));
        }
    }
    let because = selected.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    tell(&format!("Backend: {}{because}", jobs::device(&selected)));
    if let Some(study) = studies.first() {
        selected.streamed(&study.fold.dataset).iter().for_each(|line| tell(&format!("Data: {line}")));
    }
    let all = Jobs { selected: &selected, jobs: &jobs, quiet: options.quiet };
    if let Some(share) = shards.share() {
        return share.train(&all);
    }
    let columns = studies.first().map(|study| {
        let train = jobs.iter().any(|job| job.recipe.train_eval);
        log::columns(["repeat", "fold"], &study.fold.dataset, train)
    });
    let create = |path| Log::create(path, &columns.unwrap_or_default());
    let mut log = options.log.as_deref().map(create).transpose()?;
    // What is in a file stays in it until there is more.
    let kept = studies.iter().enumerate().filter_map(|(number, study)| Some((number, study.before.clone()?)));
    let mut members: BTreeMap<usize, Checkpoint> = kept.collect();
    let mut failures = Vec::new();
    let interrupted = shards.train(&all, None, |number, found| {
        let study = &studies[number];
        match found {
            Ok(trained) => {
                if let Some(log) = &mut log {
                    log_epochs(log, study, &trained)?;
                }
                if trained.can_go_on(&jobs[number].recipe) {
                    let name = study.name().to_lowercase();
                    let member = jobs::checkpoint(&selected, name, &jobs[number], &study.metadata, trained)?;
                    members.insert(number, member);
                }
            }
            Err(Error::Interrupted) => {}
            Err(error) => {
                note(&format!("{}: {error}", study.name()));
                failures.push(number);
            }
        }
        Ok(())
    })?;
    if let (Some(path), false) = (&options.save, members.is_empty()) {
        Ensemble::new(members.values().cloned().collect())?.save(path)?;
    }
    if interrupted {
        let is_whole = |member: &&Checkpoint| member.metadata.as_ref().is_some_and(|kept| kept.training.ended);
        let done = members.values().filter(is_whole).count();
        let kept = match &options.save {
            Some(path) if !members.is_empty() => {
                format!("; to go on: the same command with --resume {}", path.display())
            }
            _ => String::new(),
        };
        note(&format!("Interrupted: {done} of {} networks are done{kept}", studies.len()));
        return Err(Error::Interrupted);
    }
    let mut table = Vec::new();
    let mut predicted = options.out_of_fold.as_ref().map(|_| predictions::Predictions::new(options.repeats));
    for (number, member) in members.into_iter().filter(|(number, _)| !failures.contains(number)) {
        let (study, epoch) = (&studies[number], member.metadata.as_ref().map_or(0, |metadata| metadata.epochs));
        let samples = Arc::new(study.fold.test.select()?);
        let ensemble = Ensemble::from(member);
        let found = ensemble.on(&selected).evaluate(std::slice::from_ref(&samples), |_, _| Ok(()))?;
        table.push(Row { number, epoch, figures: figures(ensemble.first(), &found, &samples) });
        if let Some(predictions) = &mut predicted {
            predictions.add(study.held_back, &study.fold, &ensemble, &found, &samples);
        }
    }
    match (predicted, &options.out_of_fold) {
        (Some(predictions), Some(path)) if failures.is_empty() => predictions.write(path)?,
        (_, Some(path)) => note(&format!("{} is not written: it would lack rows", path.display())),
        _ => {}
    }
    if options.json {
        print(&json_of(&studies, &table).to_string())?;
    } else if !options.quiet {
        print_table(&studies, &table)?;
    }
    match failures.len() {
        0 => Ok(()),
        failed => Err(Error::Data(format!("{failed} of {} networks failed, see above", studies.len()))),
    }
}

impl Options {
    /// The files that are written; what can be refused is refused.
    fn outputs(&self) -> Result<Vec<Named>> {
        if self.data.test.is_some() || self.data.test_split.is_some() {
            let flag = if self.data.test.is_some() { "--test" } else { "--test-split" };
            return Err(Error::Usage(format!("{flag}: every row is tested on in its turn: leave it out")));
        }
        let all = [("--save", &self.save), ("--out-of-fold", &self.out_of_fold), ("--log", &self.log)];
        let given: Vec<Named> =
            all.into_iter().filter_map(|(flag, path)| path.clone().map(|path| (flag, path))).collect();
        given.iter().try_for_each(|(_, path)| files::check_replaceable(path))?;
        self.out_of_fold.iter().try_for_each(|path| files::check_table(path))?;
        files::check_apart(&given)?;
        // What goes on may be saved in the file that it comes from.
        let others: Vec<Named> = given.iter().filter(|(flag, _)| *flag != "--save").cloned().collect();
        let resumed: Vec<Named> = self.resume.iter().map(|path| ("--resume", path.clone())).collect();
        files::refuse_overwriting(&others, &resumed)?;
        Ok(given)
    }
}

/// What there is to know of the data that `fold` learns from, with the rows themselves.
pub(super) fn learnt_from(fold: &Fold) -> Result<Dataset> {
    let train = match fold.train.rows {
        None => Arc::clone(&fold.train.samples),
        Some(_) => Arc::new(fold.train.select()?),
    };
    let validation = fold.validation.as_ref().map(|view| Arc::clone(&view.samples));
    Ok(Dataset { train, validation, ..Dataset::clone(&fold.dataset) })
}

/// The network without `fold`: it starts anew, or goes on from its member of `resumed`.
pub(super) fn study(
    held_back: HeldBack,
    fold: Fold,
    recipe: Recipe,
    reading: &data::Options,
    resumed: Option<&Ensemble>,
) -> Result<(Study, Job)> {
    let model = recipe.model_of(&fold.dataset)?;
    let mut metadata = Metadata::new(&model, &fold.dataset, &recipe);
    metadata.read_by(reading);
    metadata.training.rows = fold.train.len();
    metadata.training.held_back = Some(held_back);
    let same = |member: &&Checkpoint| {
        member.metadata.as_ref().is_some_and(|kept| {
            let data = |of: &Metadata| (of.origin, of.classes.clone(), of.schema.clone(), of.scaling.clone());
            kept.training.held_back == Some(held_back) && kept.recipe == recipe && data(kept) == data(&metadata)
        })
    };
    let kept = resumed.and_then(|resumed| resumed.members().iter().find(same));
    let (state, done, ended) = match kept.and_then(|member| Some((member, member.metadata.as_ref()?))) {
        Some((member, kept)) => (member.state.clone(), kept.epochs, kept.training.ended),
        None => (prepare::start(&model, &recipe, None)?, 0, false),
    };
    let mut data = Parts::default();
    data.set(Split::Train, fold.train.clone());
    data.set(Split::Test, fold.test.clone());
    if let Some(validation) = &fold.validation {
        data.set(Split::Validation, validation.clone());
    }
    // One that had ended is evaluated and no more.
    let recipe = Recipe { epochs: if ended { done } else { recipe.epochs }, ..recipe };
    let before = kept.cloned();
    Ok((Study { held_back, fold, metadata, before }, Job { model, recipe, data, state, done }))
}

impl Study {
    /// What messages call it.
    fn name(&self) -> String {
        let HeldBack { fold, of, repeat } = self.held_back;
        if repeat == 1 { format!("Fold {fold}/{of}") } else { format!("Fold {fold}/{of} of repeat {repeat}") }
    }
}

fn log_epochs(log: &mut Log, study: &Study, trained: &Trained) -> Result<()> {
    for epoch in &trained.epochs {
        let mut line = of_epoch(epoch, study.fold.dataset.target_scale.as_ref());
        line["repeat"] = study.held_back.repeat.into();
        line["fold"] = study.held_back.fold.into();
        log.line(&line)?;
    }
    Ok(())
}

/// What the rows that were held back say of a network.
struct Row {
    number: usize,
    epoch: u32,
    figures: Vec<Figure>,
}

/// Mean and standard deviation (of a sample) of each figure over the folds; none where a fold has none.
fn means(table: &[Row]) -> Vec<(&'static str, Option<(f64, f64)>)> {
    let first = table.first().map(|row| &row.figures[..]).unwrap_or_default();
    let of = |(index, (name, _)): (usize, &Figure)| {
        let figures: Option<Vec<f64>> = table.iter().map(|row| row.figures[index].1).collect();
        (*name, figures.as_deref().map(mean_and_deviation))
    };
    first.iter().enumerate().map(of).collect()
}

/// The figures that the table shows; JSON has all.
const SHOWN: [&str; 7] = ["accuracy", "log_loss", "roc_auc", "f1_macro", "rmse", "mae", "r2"];

fn print_table(studies: &[Study], table: &[Row]) -> Result<()> {
    let means: Vec<_> = means(table).into_iter().filter(|(name, _)| SHOWN.contains(name)).collect();
    let names: Vec<String> = table.iter().map(|row| studies[row.number].name()).collect();
    let (mean, deviation) = ("Mean", "Standard deviation");
    let width = names.iter().map(String::len).fold(deviation.len(), usize::max);
    let line = |name: &str, rows: &str, epoch: &str, figures: Vec<String>| {
        let figures: String = figures.iter().map(|figure| format!("  {figure:>9}")).collect();
        print(&format!("{name:<width$}  {rows:>6}  {epoch:>5}{figures}"))
    };
    let figure = |figure: Option<f64>| figure.map_or_else(|| "-".into(), digits);
    line("", "rows", "epoch", means.iter().map(|(name, _)| name.replace('_', " ")).collect())?;
    for (row, name) in table.iter().zip(&names) {
        let shown = row.figures.iter().filter(|(name, _)| SHOWN.contains(name));
        let rows = studies[row.number].fold.test.len();
        let figures = shown.map(|(_, found)| figure(*found)).collect();
        line(name, &rows.to_string(), &row.epoch.to_string(), figures)?;
    }
    line(mean, "", "", means.iter().map(|(_, found)| figure(found.map(|(mean, _)| mean))).collect())?;
    line(deviation, "", "", means.iter().map(|(_, found)| figure(found.map(|(_, deviation)| deviation))).collect())
}

fn json_of(studies: &[Study], table: &[Row]) -> Value {
    let fold = |row: &Row| {
        let study = &studies[row.number];
        let mut line = json!({
            "repeat": study.held_back.repeat,
            "fold": study.held_back.fold,
            "n": study.fold.test.len(),
            "epoch": row.epoch,
        });
        row.figures.iter().for_each(|(name, figure)| line[*name] = json!(figure));
        line
    };
    let means = means(table);
    let of = |of: fn((f64, f64)) -> f64| {
        means.iter().map(|(name, found)| ((*name).to_owned(), json!(found.map(of)))).collect::<Map<String, Value>>()
    };
    json!({
        "folds": table.iter().map(fold).collect::<Vec<_>>(),
        "mean": of(|of| of.0),
        "standard_deviation": of(|of| of.1),
    })
}
