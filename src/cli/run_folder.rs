//! The folder of a run: what it holds, how it is made, and how it is read again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::note;
use super::train::checkpoints::previous;
use crate::error::{Error, Result};
use crate::files;
use crate::observe::log::Log;
use crate::report::log::Run;
pub(super) use crate::report::{CONFIG, LOG, MODEL};
use crate::report::{PAGE, evaluation};

/// Where the folders of runs are that nobody names.
pub(super) const RUNS: &str = "runs";
/// The word for a folder that nobody names.
const AUTO: &str = "auto";

/// All that a folder may hold.
pub(super) const ALL: [&str; 5] = [CONFIG, LOG, MODEL, evaluation::FILE, PAGE];

/// The folder of a run that is about to begin, or goes on in it.
pub(super) struct RunFolder {
    path: PathBuf,
    /// Whether the run goes on from the model in it.
    resumed: bool,
    /// Whether nothing was in it. Then it goes again if nothing comes into it.
    made: bool,
    /// Held while the run lasts, so that nobody takes the folder for one that was left.
    lock: Option<File>,
}

impl RunFolder {
    /// The folder `wanted`, or one of its own for `auto`, of a run on the data set `source` that goes on from `resume`, if it does: from
    /// the model in it, or from its `checkpoint`.
    ///
    /// # Errors
    /// [`Error::Usage`] where it holds anything else than the run that goes on; [`Error::Io`] where it cannot be made.
    pub(super) fn open(
        wanted: &Path,
        source: Option<&str>,
        resume: Option<&Path>,
        checkpoint: Option<&Path>,
    ) -> Result<Self> {
        let path = if wanted.as_os_str() == AUTO { unused(source) } else { wanted.to_path_buf() };
        let is_own = |model: &Path| {
            let is_checkpoint = |of: &Path| files::same(model, of) || files::same(model, &previous(of));
            files::same(model, &path.join(MODEL)) || checkpoint.is_some_and(is_checkpoint)
        };
        let resumed = resume.is_some_and(is_own);
        if let Some(model) = resume.filter(|_| !resumed || !path.join(CONFIG).is_file()) {
            return Err(Error::Usage(format!(
                "--resume {} goes on in the folder of its run: give --run-dir that folder, or --save in its place",
                model.display()
            )));
        }
        let empty = match std::fs::read_dir(&path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
                true
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        if !empty && !resumed {
            let shown = path.display();
            let on = if path.join(MODEL).exists() {
                format!(", or go on with its run by --resume {}", path.join(MODEL).display())
            } else {
                String::new()
            };
            return Err(Error::Usage(format!("--run-dir {shown} is not empty: name another folder{on}")));
        }
        Ok(Self { path, resumed, made: empty, lock: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Refuses the folder of another run than the one that goes on: one whose log begins with a line that is not the `same`. Nothing is
    /// written.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn check(&self, same: impl Fn(&Value) -> bool) -> Result<()> {
        match Some(self.path.join(LOG)).filter(|_| self.resumed).and_then(|log| head(&log)) {
            Some(other) if !same(&other) => Err(Error::Usage(format!(
                "--run-dir {} holds another run than the one that goes on: give the folder of its run, or --save in its place",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The run begins after `done` epochs: `config` is written, of a run that goes on the number of its `epochs` alone. Returns the log,
    /// which lacks its first line only if that is to be written.
    ///
    /// # Errors
    /// [`Error::Io`] where something cannot be written.
    pub(super) fn begin(
        &mut self,
        config: impl FnOnce() -> Result<String>,
        done: u32,
        epochs: u32,
        same: impl Fn(&Value) -> bool,
    ) -> Result<(Log, bool)> {
        let (file, log) = (self.path.join(CONFIG), self.path.join(LOG));
        let kept = if self.resumed { std::fs::read_to_string(&file).ok() } else { None };
        let text = match kept {
            Some(kept) => {
                let line = |line: &str| match line.starts_with("epochs = ") {
                    true => format!("epochs = {epochs}\n"),
                    false => format!("{line}\n"),
                };
                kept.lines().map(line).collect()
            }
            None => config()?,
        };
        files::write(&file, text.as_bytes())?;
        let lock = File::open(&file).map_err(Error::io("read", &file))?;
        if lock.try_lock_shared().is_err() {
            return Err(Error::Data(format!("{}: runs clean is removing it", self.path.display())));
        }
        self.lock = Some(lock);
        // The page of the model before is not that of the one to come. Its evaluation stays until there is a new one.
        let _ = std::fs::remove_file(self.path.join(PAGE));
        match if self.resumed { Log::go_on(&log, done, &[], same)? } else { None } {
            Some(log) => Ok((log, false)),
            None => Ok((Log::create(&log, &[])?, true)),
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.made {
            // It stays where anything is in it.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// The first line of the log at `path`, if it is whole.
fn head(path: &Path) -> Option<Value> {
    let mut line = String::new();
    BufReader::new(File::open(path).ok().filter(|_| path.is_file())?).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// A folder for a run on `source` by date and time (UTC), where there is none.
fn unused(source: Option<&str>) -> PathBuf {
    let source = Path::new(source.unwrap_or("mnist"));
    let name: String = source.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain = |character: char| if character.is_alphanumeric() || "-_".contains(character) { character } else { '-' };
    let name: String = name.chars().map(plain).take(24).collect();
    let name = if name.trim_matches('-').is_empty() { "run" } else { name.trim_matches('-') };
    let now = DateTime::<Utc>::from(SystemTime::now()).format("%Y%m%d-%H%M%S");
    let first = Path::new(RUNS).join(format!("{now}-{name}"));
    let others = (2..).map(|number| Path::new(RUNS).join(format!("{now}-{name}-{number}")));
    std::iter::once(first.clone()).chain(others).find(|path| !path.exists()).unwrap_or(first)
}

/// What is kept of a run.
pub(super) struct Kept {
    pub(super) path: PathBuf,
    /// The options of its configuration.
    pub(super) options: toml::Table,
    pub(super) log: Run,
}

impl Kept {
    /// The run in the folder `path`.
    ///
    /// # Errors
    /// [`Error::File`] where it is no folder of a run, or a file in it is damaged.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(Error::file(path, format!("no {CONFIG}"), "a folder of train --run-dir"));
        }
        let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let options = text
            .parse()
            .map_err(|error: toml::de::Error| Error::file(&file, error.message().replace('\n', " "), "TOML"))?;
        Ok(Self { path: path.to_path_buf(), options, log: Run::read_begun(&path.join(LOG))? })
    }

    /// Those in the folder `path`, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read. What is wrong with one is noted, and it is left out.
    pub(super) fn all(path: &Path) -> Result<Vec<Self>> {
        let entries = std::fs::read_dir(path).map_err(Error::io("read", path))?;
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.retain(|folder| folder.join(CONFIG).is_file());
        folders.sort();
        let read = |folder: PathBuf| match Self::read(&folder) {
            Ok(run) => Some(run),
            Err(error) => {
                note(&format!("Left out: {error}"));
                None
            }
        };
        Ok(folders.into_iter().filter_map(read).collect())
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}
