//! Which epochs of a run are written, and where.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Options;
use super::checkpoints::{self, Checkpoints};
use crate::checkpoint::{self, Best, Metadata};
use crate::cli::{note, quoted, run_folder, signals, terminal};
use crate::data::catalogue;
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::model::Mlp;
use crate::observe::Observer;
use crate::state::State;
use crate::train::{Between, End, Epoch, Event, Outcome, Snapshot};

/// What a file name may have in the place of the epoch's number.
const EPOCH: &str = "{epoch}";

/// The files of a run.
pub(super) struct Saving {
    /// Of the last epoch, and of every so many.
    last: Option<PathBuf>,
    every: Option<u32>,
    /// Of the best one.
    best: Option<PathBuf>,
    /// The flags that save a run which goes on in the same place, and where its data are.
    on: String,
    quiet: bool,
    run: Option<Run>,
    /// The file that the run ended with, and its epoch.
    ended: Option<(PathBuf, u32)>,
    /// The run midway.
    checkpoints: Option<Checkpoints>,
    /// Set where the run is to be saved as soon as may be.
    asked: Arc<AtomicBool>,
}

/// What is written of a run.
struct Run {
    done: u32,
    model: Mlp,
    metadata: Metadata,
    best: Option<Best>,
    /// Whether the best epoch has a file by this run.
    kept: bool,
    /// Whether there is a validation part, whose loss says which epoch is best.
    validated: bool,
}

impl Saving {
    /// What `options` ask for.
    ///
    /// # Errors
    /// [`Error::Usage`] where two files would be one, [`Error::Io`] where one cannot be written.
    pub(super) fn new(options: &Options) -> Result<Self> {
        if options.save_every.is_some() && options.save.is_none() {
            return Err(Error::Usage("--save-every needs --save FILE".into()));
        }
        let (last, best) = match (&options.save, &options.save_best) {
            (None, Some(None)) => {
                return Err(Error::Usage("--save-best needs --save FILE, or a file of its own".into()));
            }
            (Some(_), Some(None)) if options.save_every.is_some() => {
                let message = "--save-every and --save-best would write the same file: give --save-best FILE";
                return Err(Error::Usage(message.into()));
            }
            (save, Some(None)) => (None, save.clone()),
            (save, best) => (save.clone(), best.clone().flatten()),
        };
        // A save that was killed between its two names leaves both on one file.
        let before = |path: &PathBuf| Some(checkpoints::previous(path)).filter(|before| !files::same(before, path));
        let previous = options.checkpoint.as_ref().and_then(before);
        let all = [
            ("--save", &last),
            ("--save-best", &best),
            ("--checkpoint", &options.checkpoint),
            ("the checkpoint before", &previous),
            ("--log", &options.log),
        ];
        let given: Vec<Named> =
            all.into_iter().filter_map(|(flag, path)| Some((flag, path.as_ref()?.clone()))).collect();
        for (flag, path) in &given {
            match *flag {
                "--log" => files::check_writable(path)?,
                _ => files::check_replaceable(&numbered(path, 0))?,
            }
        }
        // What the run's folder holds beside the model.
        let within = |folder: &PathBuf| run_folder::ALL.map(|name| ("--run-dir", folder.join(name)));
        let others = options
            .run_dir
            .iter()
            .flat_map(within)
            .filter(|(_, path)| path.file_name() != Some(run_folder::MODEL.as_ref()));
        files::check_apart(&given.iter().cloned().chain(others).collect::<Vec<_>>())?;
        let on = match (&options.run_dir, &options.save) {
            (Some(folder), _) => format!(" --run-dir {}", shell(folder)),
            (None, Some(file)) => format!(" --save {}", shell(file)),
            (None, None) => String::new(),
        };
        let checkpoints = options.checkpoint.as_deref().map(|path| Checkpoints::new(path, options.checkpoint_every));
        let on = match &checkpoints {
            None => on,
            Some(midway) => {
                let log = options.log.as_deref().map_or_else(String::new, |log| format!(" --log {}", shell(log)));
                format!("{on} --checkpoint {}{log}", shell(midway.path()))
            }
        };
        let quiet = options.quiet;
        let (every, asked) = (options.save_every, Arc::default());
        Ok(Self { last, every, best, on, quiet, run: None, ended: None, checkpoints, asked })
    }

    /// What to set to have the run saved as soon as may be; none where there is no file for it.
    pub(super) fn on_request(&self) -> Option<Arc<AtomicBool>> {
        (self.last.is_some() || self.checkpoints.is_some()).then(|| Arc::clone(&self.asked))
    }

    /// The files that the epochs after `done` up to `epochs` may write and that are there already, and the log.
    ///
    /// # Errors
    /// [`Error::Usage`] where one is the model that the run starts from; the saved model that a run goes on from may be saved
    /// over. Or where a numbered name is the log's. [`Error::Io`] where one cannot be written.
    pub(super) fn outputs(&self, options: &Options, done: u32, epochs: u32) -> Result<Vec<Named>> {
        let best = if options.save == self.best { "--save" } else { "--save-best" };
        let log: Vec<Named> = options.log.iter().map(|path| ("--log", path.clone())).collect();
        let mut models: Vec<Named> = Vec::new();
        for (flag, path) in [("--save", &self.last), (best, &self.best)] {
            let Some(path) = path else { continue };
            let found = written(path, (done + 1).min(epochs), epochs, options.log.as_deref());
            models.extend(found.into_iter().map(|path| (flag, path)));
        }
        models.extend(options.checkpoint.iter().map(|path| ("--checkpoint", path.clone())));
        models.extend(options.checkpoint.iter().map(|path| ("the checkpoint before", checkpoints::previous(path))));
        for model in &models {
            files::check_apart(&[std::slice::from_ref(model), &log[..]].concat())?;
            files::check_replaceable(&model.1)?;
        }
        let named = |flag, path: &Option<PathBuf>| path.iter().map(|path| (flag, path.clone())).collect::<Vec<Named>>();
        files::refuse_overwriting(&log, &named("--resume", &options.resume))?;
        models.extend(log);
        files::refuse_overwriting(&models, &options.read_beside_data())?;
        Ok(models)
    }

    /// A run begins with `state` after the epoch `done`, the best epoch before it being `best`; by the loss of a validation part
    /// if it is `validated`.
    pub(super) fn begin(
        &mut self,
        options: &Options,
        model: &Mlp,
        metadata: Metadata,
        (done, validated): (u32, bool),
        state: &State,
        best: Option<Best>,
    ) -> Result<()> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.begin(done);
        }
        let best = best.filter(|_| self.best.is_some());
        if let Some(folder) = options.data.data_dir.as_ref().filter(|_| catalogue::set(&metadata.data).is_some()) {
            self.on += &format!(" --data-dir {}", shell(folder));
        }
        let run = self.run.insert(Run { done, model: model.clone(), metadata, best, kept: false, validated });
        match (&self.best, best) {
            (Some(path), Some(best)) if best.epoch == done => run.write_best(path, state),
            _ => Ok(()),
        }
    }

    /// The file that the run ended with, if one was written, and its epoch.
    pub(super) fn ended(&self) -> Option<&(PathBuf, u32)> {
        self.ended.as_ref()
    }

    /// The command that goes on from `file`, to so many `epochs` in all.
    pub(super) fn command(&self, file: &Path, epochs: u32) -> String {
        format!("mlp-gpu train --resume {} --epochs {epochs}{}", shell(file), self.on)
    }

    fn epoch(&mut self, epoch: &Epoch, snapshot: &mut Snapshot<'_>) -> Result<()> {
        let Some(run) = &mut self.run else { return Ok(()) };
        if let Some(path) = &self.best
            && let Some(score) = epoch.score()
            && score.is_finite()
            && run.best.is_none_or(|best| score > best.score)
        {
            run.best = Some(Best { epoch: epoch.number, score });
            run.write_best(path, &snapshot.state()?)?;
        }
        match (&self.last, self.every) {
            (Some(path), Some(every)) if epoch.number.is_multiple_of(every) => {
                run.write(path, epoch.number, &snapshot.state()?)
            }
            _ => Ok(()),
        }
    }

    /// Writes the run midway, where it is time or the run is to end, which it then does; and all of it where that was asked for.
    fn between(&mut self, between: &mut Between<'_>) -> Result<ControlFlow<()>> {
        let Some(run) = &self.run else { return Ok(ControlFlow::Continue(())) };
        let asked = self.asked.swap(false, Ordering::Relaxed);
        let stop = self.checkpoints.is_some() && signals::interrupted().load(Ordering::Relaxed);
        if let Some(checkpoints) = self.checkpoints.as_mut().filter(|due| asked || stop || due.is_due(between.epoch)) {
            let (state, begun) = between.place()?;
            checkpoints.write(&run.model, (&state, &begun), &run.metadata_of(between.epoch))?;
            if asked {
                note(&format!("Saved: {} (the run as it is now)", checkpoints.path().display()));
            }
        }
        if let Some(path) = self.last.as_ref().filter(|_| asked) {
            note(&run.save_now(path, between)?);
        }
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// The run failed, and `state`, that of `epoch`, is `which`: it is written.
    pub(super) fn failed(&self, epoch: u32, state: &State, which: &str) -> Result<()> {
        let (Some(path), Some(run)) = (&self.last, &self.run) else { return Ok(()) };
        run.write(path, epoch, state)?;
        note(&format!("The state of epoch {epoch}, {which}, is in {}", numbered(path, epoch).display()));
        Ok(())
    }

    /// The device is lost, and `kept` is the last whole epoch whose state is known: it is written, and what goes on is said.
    pub(super) fn lost(&self, kept: Option<&(u32, State)>) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let (epochs, kept) = (run.metadata.recipe.epochs, kept.filter(|(epoch, _)| *epoch > run.done));
        if let Some((epoch, state)) = kept {
            self.failed(*epoch, state, "the last one that is known")?;
        }
        let file = match (&self.checkpoints, &self.last, kept) {
            (Some(checkpoints), ..) if checkpoints.path().exists() => checkpoints.path().to_path_buf(),
            (_, Some(path), Some((epoch, _))) => numbered(path, *epoch),
            _ => return Ok(()),
        };
        terminal::note_command("To go on:", &self.command(&file, epochs));
        Ok(())
    }

    /// The run was stopped after `epoch`: it is written, and what goes on from it is said.
    fn stopped(&self, epoch: u32, end: &mut Snapshot<'_>) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let epochs = run.metadata.recipe.epochs;
        if let Some(checkpoints) = &self.checkpoints {
            let path = checkpoints.path();
            let told = format!("Interrupted: the run as it is now is in {}; to go on:", path.display());
            terminal::note_command(&told, &self.command(path, epochs));
        }
        let Some(path) = &self.last else {
            match (&self.best, run.best) {
                (Some(path), Some(Best { epoch, .. })) if run.kept => {
                    note(&format!("Interrupted: the best epoch, {epoch}, is in {}", numbered(path, epoch).display()));
                }
                _ if self.checkpoints.is_some() => {}
                _ => note("Interrupted: nothing is kept, as there is no --save"),
            }
            return Ok(());
        };
        if epoch <= run.done {
            note(&format!("Interrupted before an epoch was done: {} is not written", path.display()));
            return Ok(());
        }
        run.write(path, epoch, &end.state()?)?;
        let file = numbered(path, epoch);
        if self.checkpoints.is_some() {
            note(&format!("Epoch {epoch} of {epochs} is in {}", file.display()));
        } else {
            let told = format!("Interrupted: epoch {epoch} of {epochs} is in {}; to go on:", file.display());
            terminal::note_command(&told, &self.command(&file, epochs));
        }
        Ok(())
    }

    /// The run is done after the epoch `last`.
    fn done(&mut self, last: u32, end: &mut Snapshot<'_>) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        if let Some(path) = &self.last {
            run.write(path, last, &end.state()?)?;
            self.ended = Some((numbered(path, last), last));
        }
        let Some(path) = &self.best else { return Ok(()) };
        let Some(Best { epoch, score }) = run.best else {
            return run.write(path, last, &end.state()?);
        };
        let own = "; give --validation-split to choose by rows of its own";
        let what = if run.validated {
            format!("validation loss {:.4}", -score)
        } else if score < 0.0 {
            format!("test loss {:.4}{own}", -score)
        } else {
            format!("test accuracy {score:.4}{own}")
        };
        let place = if run.kept {
            self.ended.get_or_insert_with(|| (numbered(path, epoch), epoch));
            format!("in {}", numbered(path, epoch).display())
        } else {
            "before this run, which found none better and wrote none".into()
        };
        if !self.quiet {
            note(&format!("The best epoch is {epoch} ({what}), {place}"));
        }
        Ok(())
    }
}

impl Observer for Saving {
    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        match event {
            Event::Epoch(epoch, snapshot) => self.epoch(epoch, snapshot)?,
            Event::Between(between) => return self.between(between),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, outcome: &Outcome, end: &mut Snapshot<'_>) -> Result<()> {
        match outcome.end {
            End::Stopped => self.stopped(outcome.epoch, end),
            _ => self.done(outcome.epoch, end),
        }
    }
}

impl Run {
    fn write_best(&mut self, path: &Path, state: &State) -> Result<()> {
        let Some(best) = self.best else { return Ok(()) };
        self.kept = true;
        self.write(path, best.epoch, state)
    }

    fn write(&self, path: &Path, epoch: u32, state: &State) -> Result<()> {
        checkpoint::save(&numbered(path, epoch), &self.model, state, Some(&self.metadata_of(epoch)))
    }

    /// Writes the last whole epoch: what there is to say of it. A file that cannot be written does not end the run.
    fn save_now(&self, path: &Path, between: &mut Between<'_>) -> Result<String> {
        let Some(state) = between.whole_epoch()? else { return Ok("Not saved: no epoch is done yet".into()) };
        let (epoch, shown) = (between.epoch, numbered(path, between.epoch));
        Ok(match self.write(path, epoch, &state) {
            Ok(()) => format!("Saved: {} (epoch {epoch})", shown.display()),
            Err(error) => format!("Not saved: {error}"),
        })
    }

    /// What is said of the model after `epoch`.
    fn metadata_of(&self, epoch: u32) -> Metadata {
        let mut metadata = Metadata { epochs: epoch, ..self.metadata.clone() };
        metadata.training.best = self.best;
        metadata
    }
}

/// `path` as a shell takes it.
fn shell(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// What the epochs from `first` to `last` may write to `path`. Where its name has a place for their number: those of the
/// files that are in its folder, and `log` if it is one of them.
fn written(path: &Path, first: u32, last: u32, log: Option<&Path>) -> Vec<PathBuf> {
    let Some((before, _)) = path.file_name().and_then(OsStr::to_str).and_then(|name| name.split_once(EPOCH)) else {
        return vec![path.to_path_buf()];
    };
    let entries = std::fs::read_dir(files::folder_of(path)).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).chain(log.and_then(Path::file_name).map(OsStr::to_owned));
    let file = |name: std::ffi::OsString| {
        let rest = name.to_str()?.strip_prefix(before)?;
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let epochs = (1..=digits).filter_map(|digits| rest[..digits].parse().ok());
        let mut files = epochs.filter(|epoch| (first..=last).contains(epoch)).map(|epoch| numbered(path, epoch));
        files.find(|file| file.file_name() == Some(&name))
    };
    names.filter_map(file).collect()
}

/// The path with the epoch's number in its name, where the name has a place for it.
fn numbered(path: &Path, epoch: u32) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if name.contains(EPOCH) => path.with_file_name(name.replace(EPOCH, &format!("{epoch:03}"))),
        _ => path.to_path_buf(),
    }
}
