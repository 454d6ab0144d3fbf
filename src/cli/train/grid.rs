//! Several runs by one command: seeds, or lists of values in flags. All train side by side, and a table says how they did.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::settings::{Resumed, Settings};
use super::table::Table;
use super::{Options, dashboard, is_table, prepare, tell_activation};
use crate::backend::select::Selected;
use crate::backend::{Parts, Split};
use crate::checkpoint::{self, Checkpoint, Metadata};
use crate::cli::recipe::{Given, flag_of_list, shown};
use crate::cli::shards::Jobs;
use crate::cli::tune::Tune;
use crate::cli::{jobs, note, print};
use crate::data::{Dataset, View};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::many::Job;
use crate::observe::log::{self, Log};
use crate::recipe::Recipe;

/// A model that a run goes on from, and the path by which messages call it.
pub(super) type Before = Option<(PathBuf, Checkpoint)>;

/// The runs of a command, on one data set.
pub(super) struct Runs {
    pub(super) dataset: Dataset,
    pub(super) selected: Selected,
    pub(super) jobs: Vec<Job>,
    /// What a file says of each run that was not trained yet.
    pub(super) metadata: Vec<Metadata>,
}

/// Trains all of `runs`, which differ in the options `lists`.
pub(super) fn run(options: &Options, runs: &[Given], lists: &[String]) -> Result<()> {
    unsuited(options, &lists.iter().map(|name| flag_of_list(name)).collect::<Vec<_>>().join(", "))?;
    let shards = options.shards.open()?;
    let paths = options.save.as_deref().map(|save| paths(save, "--save", runs, lists)).transpose()?;
    let before = match &options.resume {
        Some(path) => before(options, path, runs, lists)?,
        None => Vec::new(),
    };
    let outputs: Vec<Named> = paths.iter().flatten().map(|path| ("--save", path.clone())).collect();
    outputs.iter().try_for_each(|(_, path)| files::check_replaceable(path))?;
    let Runs { dataset, selected, jobs, metadata } = Runs::new(options, runs, &outputs, &before)?;
    let all = Jobs { selected: &selected, jobs: &jobs, quiet: options.quiet };
    if let Some(share) = shards.share() {
        return share.train(&all);
    }
    let mut log = options.log.as_deref().map(|path| all_runs_log(path, &dataset, &jobs, lists)).transpose()?;
    let mut table = Table::new(&dataset, lists);
    let interrupted = shards.train(&all, None, |number, found| {
        let Some(trained) = table.add(number, &runs[number], found) else { return Ok(()) };
        if let Some(log) = &mut log {
            table.log(number, &trained, log)?;
        }
        if let Some(paths) = &paths
            && trained.can_go_on(&jobs[number].recipe)
        {
            let name = paths[number].display().to_string();
            let kept = jobs::checkpoint(&selected, name, &jobs[number], &metadata[number], trained)?;
            checkpoint::save(&paths[number], &kept.model, &kept.state, kept.metadata.as_ref())?;
        }
        if !options.quiet && !options.json { table.tell(number, runs.len()) } else { Ok(()) }
    })?;
    if interrupted {
        let kept = match &options.save {
            Some(save) => format!("; to go on: the same command with --resume {}", save.display()),
            None => String::new(),
        };
        let done = table.rows.iter().filter(|row| row.whole).count();
        note(&format!("Interrupted: {done} of {} runs are done{kept}", runs.len()));
    }
    table.sort();
    if options.json {
        print(&table.json().to_string())?;
    } else if !options.quiet {
        table.print()?;
    }
    match (interrupted, table.rows.iter().all(|row| row.failure.is_some())) {
        (true, _) => Err(Error::Interrupted),
        (false, true) => Err(Error::Data("no run ended with a model: see above".into())),
        (false, false) => Ok(()),
    }
}

/// The log of `jobs` on `dataset`, which differ in the options `lists`.
pub(super) fn all_runs_log(path: &Path, dataset: &Dataset, jobs: &[Job], lists: &[String]) -> Result<Log> {
    let train = jobs.iter().any(|job| job.recipe.train_eval);
    let leading = ["run"].into_iter().chain(lists.iter().map(String::as_str));
    Log::create(path, &log::columns(leading, dataset, train))
}

/// Refuses flags that are for one network, where the flags `of` make several; says what there is in their place.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn unsuited(options: &Options, of: &str) -> Result<()> {
    let given = [
        (options.save_best.is_some(), "--save-best", ""),
        (options.save_every.is_some(), "--save-every", ""),
        (options.run_dir.is_some(), "--run-dir", ""),
        (options.tensorboard.is_some(), "--tensorboard", ""),
        (options.mlflow.is_some(), "--mlflow", ""),
        (options.dashboard, dashboard::FLAG, "; a bar says how far several are"),
        (options.checkpoint.is_some(), "--checkpoint", "; --shard 1/1 --parts DIR keeps each of several as it ends"),
        (options.exact, "--exact", ""),
        (options.tune == Tune::Full, "--tune full", "; bench --tune measures for all later runs"),
    ];
    match given.into_iter().find(|(given, ..)| *given) {
        Some((_, flag, instead)) => {
            Err(Error::Usage(format!("{flag} is for one network, not for the several of {of}: leave one out{instead}")))
        }
        None => Ok(()),
    }
}

impl Runs {
    /// Those that `runs` say, each going on from its model of `before`, which messages call by a path, where there is one. None of
    /// `outputs` may be a file that is read.
    ///
    /// # Errors
    /// Those of a single run.
    pub(super) fn new(options: &Options, runs: &[Given], outputs: &[Named], before: &[Before]) -> Result<Self> {
        if let Some(path) = &options.log {
            files::check_writable(path)?;
        }
        let tell = |line: &str| {
            if !options.quiet {
                note(line);
            }
        };
        if let (Some(flag), None) = (options.reading.given(), &options.init_from) {
            return Err(Error::Usage(format!("{flag} is for a model of other software: give one with --init-from")));
        }
        let initial = options.init_from.as_deref();
        let initial = initial.map(|path| Ok((path, options.load(path)?))).transpose()?;
        let resumed =
            before.iter().map(|before| before.as_ref().map(|(path, kept)| Resumed::new(path, kept)).transpose());
        let of_runs = resumed.collect::<Result<Vec<_>>>()?;
        let resumed_all: Vec<&Resumed> = of_runs.iter().flatten().collect();
        let resumed = |run: usize| of_runs.get(run).and_then(Option::as_ref);
        let settings = runs.iter().enumerate().map(|(run, given)| match resumed(run) {
            Some(resumed) => resumed.settings(options, given),
            None => Settings::new(options, given, initial.as_ref().map(|(_, initial)| initial)),
        });
        let settings = settings.collect::<Result<Vec<_>>>()?;
        let mut selected = options.request().select()?;
        selected.notes.iter().for_each(|line| tell(line));
        if !options.quiet {
            selected.tell = note;
        }
        let mut reading = settings[0].reading.clone();
        reading.table_validation = settings.iter().find_map(|settings| settings.reading.table_validation);
        // All runs have the same rows in each part.
        reading.seed = resumed_all.first().map_or(options.recipe.seed(), |resumed| resumed.metadata.drawn_by());
        if let Some(other) = resumed_all.iter().find(|resumed| resumed.metadata.drawn_by() != reading.seed) {
            let (path, by) = (other.path.display(), other.metadata.drawn_by());
            return Err(Error::Data(format!(
                "{path}: its rows were drawn with seed {by}, those of others with {}",
                reading.seed
            )));
        }
        let named = |flag, path: &PathBuf| (flag, path.clone());
        let log: Vec<Named> = options.log.iter().map(|path| named("--log", path)).collect();
        let kept: Vec<Named> = before.iter().flatten().map(|(path, _)| named("--resume", path)).collect();
        let all: Vec<Named> = outputs.iter().chain(&log).cloned().collect();
        files::check_apart(&all)?;
        files::refuse_overwriting(&log, &kept)?;
        files::refuse_overwriting(&all, &options.read_beside_data())?;
        let source = settings[0].source.clone();
        let dataset = options.data.read(&source, reading.clone(), &all, options.verbose, tell)?;
        reading.validation_split = reading.validation_split.or(dataset.origin.validation);
        let mut all_runs = Self { dataset, selected, jobs: Vec::new(), metadata: Vec::new() };
        for (run, (settings, given)) in settings.into_iter().zip(runs).enumerate() {
            let mut recipe = settings.recipe(!is_table(&all_runs.dataset))?;
            match resumed(run) {
                Some(resumed) => resumed.check_data(options, &all_runs.dataset)?,
                None => {
                    prepare::suit(&mut recipe, given, &all_runs.dataset, initial.as_ref().map(|(_, initial)| initial))
                }
            }
            let is_kept = resumed(run).is_some();
            let recipe = prepare::fit(recipe, &all_runs.dataset, options.class_weight.as_deref(), is_kept)?;
            if run == 0 {
                tell(&format!("Recipe: {recipe}"));
                if let Some((path, initial)) = &initial {
                    tell_activation(path, initial, &recipe, tell);
                }
            }
            let from = before.get(run).and_then(Option::as_ref).zip(resumed(run));
            let from = from.map(|((path, kept), resumed)| (path.as_path(), resumed.metadata, kept));
            let initial = initial.as_ref().map(|(path, initial)| (*path, initial));
            let (job, metadata) = job(&all_runs.dataset, recipe, &reading, initial, from)?;
            all_runs.jobs.push(job);
            all_runs.metadata.push(metadata);
        }
        let because = all_runs.selected.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let device = jobs::device(&all_runs.selected);
        tell(&format!("Backend: {device}{because}"));
        all_runs.selected.streamed(&all_runs.dataset).iter().for_each(|line| tell(&format!("Data: {line}")));
        Ok(all_runs)
    }
}

/// A run by `recipe` on `dataset`, which starts anew, from the parameters of `initial`, or goes on from a file; and what its file
/// will say of it, but for the device.
///
/// # Errors
/// [`Error::Usage`] where recipe and data do not fit, [`Error::File`] for a model of another shape.
pub(in crate::cli) fn job(
    dataset: &Dataset,
    recipe: Recipe,
    reading: &crate::data::Options,
    initial: Option<(&Path, &Checkpoint)>,
    from: Option<(&Path, &Metadata, &Checkpoint)>,
) -> Result<(Job, Metadata)> {
    let model = recipe.model_of(dataset)?;
    let state = match (from, initial) {
        (Some((path, _, kept)), _) => {
            prepare::check_shape(&model, path, kept)?;
            kept.state.clone()
        }
        (None, Some((path, initial))) => {
            prepare::start(&model, &recipe, Some((path, &prepare::initial(initial, dataset.task()))))?
        }
        (None, None) => prepare::start(&model, &recipe, None)?,
    };
    let mut metadata = Metadata::new(&model, dataset, &recipe);
    metadata.read_by(reading);
    metadata.training.init_from = match (from, initial) {
        (Some((_, kept, _)), _) => kept.training.init_from.clone(),
        (None, initial) => initial.map(|(path, _)| path.display().to_string()),
    };
    let done = from.map_or(0, |(_, kept, _)| kept.epochs);
    let ended = from.is_some_and(|(_, kept, _)| kept.training.ended && kept.recipe.epochs == recipe.epochs);
    // One that had ended is evaluated and no more.
    let epochs = if ended { done } else { recipe.epochs };
    let mut data = Parts::default();
    let parts = [(Split::Test, &dataset.test), (Split::Validation, &dataset.validation)];
    data.set(Split::Train, View::from(&dataset.train));
    for (split, part) in parts {
        if let Some(part) = part {
            data.set(split, part.into());
        }
    }
    Ok((Job { model, recipe: Recipe { epochs, ..recipe }, data, state, done }, metadata))
}

/// The file of each run: `path` with the run's options in its name.
fn paths(path: &Path, flag: &str, runs: &[Given], lists: &[String]) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let place = |option: &str| [option.to_owned(), option.replace('_', "-")].map(|option| format!("{{{option}}}"));
    if let Some(missing) = lists.iter().find(|option| !place(option).iter().any(|place| name.contains(place))) {
        let [place, _] = place(missing);
        return Err(Error::Usage(format!(
            "{flag} {}: runs that differ in {} would write the same file: put {place} into its name",
            path.display(),
            flag_of_list(missing)
        )));
    }
    let file = |run: &Given| {
        let mut name = name.to_owned();
        for option in lists {
            let value = shown(run.get(option).unwrap_or(&Value::Null));
            place(option).iter().for_each(|place| name = name.replace(place, &value));
        }
        path.with_file_name(name)
    };
    let files: Vec<PathBuf> = runs.iter().map(file).collect();
    let mut seen = HashSet::new();
    match files.iter().find(|file| !seen.insert(*file)) {
        None => Ok(files),
        Some(twice) => Err(Error::Usage(format!(
            "{flag} {}: two runs would write {}: put something between the options in its name",
            path.display(),
            twice.display()
        ))),
    }
}

/// The models that the runs go on from, of which some must be there.
fn before(options: &Options, path: &Path, runs: &[Given], lists: &[String]) -> Result<Vec<Before>> {
    let load = |path: PathBuf| match path.exists() {
        true => options.load(&path).map(|kept| Some((path, kept))),
        false => Ok(None),
    };
    let paths = paths(path, "--resume", runs, lists)?;
    let first = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    let before = paths.into_iter().map(load).collect::<Result<Vec<Before>>>()?;
    if before.iter().all(Option::is_none) {
        return Err(Error::Data(format!("there is nothing to go on from: no file such as {first}")));
    }
    Ok(before)
}
