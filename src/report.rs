//! Reports of runs: what a run learnt and how good it is, as a page ([`page()`]) and as single pictures ([`plots`]).
//!
//! A report is made of up to three files: the log of the training, the [`Evaluation`] of the model, and the flags of the command. A
//! folder that has them under their usual names is the folder of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::select::Selected;
use crate::checkpoint::Ensemble;
use crate::data::{Dataset, Part};
use crate::error::{Error, Result};
use crate::files;

pub mod chart;
pub mod evaluation;
pub mod log;
mod page;
pub mod plots;

pub use evaluation::Evaluation;
pub use log::Log;
pub use page::{compared, page};

/// The names of files in the folder of a run: its model, its log, the flags of its command, and its report.
pub const MODEL: &str = "model.safetensors";
/// The log of its training.
pub const LOG: &str = "log.jsonl";
/// The flags of its command.
pub const CONFIG: &str = "config.toml";
/// The page.
pub const PAGE: &str = "report.html";

/// What a report is made of. What is not there is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What the run is called: the name of its folder or file.
    pub name: String,
    /// The log of the training.
    pub log: Option<Log>,
    /// How good the model is.
    pub evaluation: Option<Evaluation>,
    /// The flags of the command, as text.
    pub config: Option<String>,
}

impl Report {
    /// The report of the run in `folder`, of the files that are there.
    ///
    /// # Errors
    /// [`Error::File`] for a folder without a log, a model and an evaluation, or files that hold something else; [`Error::Io`].
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let log = there(LOG).map(|path| Log::read(&path)).transpose()?;
        let evaluation = there(evaluation::FILE).map(|path| Evaluation::read(&path)).transpose()?;
        if log.is_none() && evaluation.is_none() && there(MODEL).is_none() {
            let found = format!("neither {LOG} nor {MODEL} nor {}", evaluation::FILE);
            return Err(Error::file(folder, found, "the folder of a run"));
        }
        let read = |path: PathBuf| std::fs::read_to_string(&path).map_err(Error::io("read", &path));
        let config = there(CONFIG).map(read).transpose()?;
        Ok(Self { name: name_of(folder), log, evaluation, config })
    }
}

/// What a run in a folder or file is called.
pub fn name_of(path: &Path) -> String {
    // Of a path such as `.` the folder's own name is wanted.
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    whole.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Writes the page of the run in `folder` there, from the files that are there; where the page is.
///
/// # Errors
/// As [`Report::of_folder`], and [`Error::Io`] when the page cannot be written.
pub fn write(folder: &Path) -> Result<PathBuf> {
    let path = folder.join(PAGE);
    files::write(&path, page(&Report::of_folder(folder)?).as_bytes())?;
    Ok(path)
}

/// Evaluates the model in `folder` on the test part of `dataset`, else on its validation part or on all rows, and writes the
/// evaluation and the page there; where the page is. It is the last thing that a run in a folder does.
///
/// # Errors
/// When the model cannot be read or does not fit `dataset`, what the device fails with, and as [`write()`].
pub fn finish(folder: &Path, selected: &Selected, dataset: &Dataset) -> Result<PathBuf> {
    let ensemble = Ensemble::load(&folder.join(MODEL))?;
    let (part, samples) = match (&dataset.test, &dataset.validation) {
        (Some(test), _) => (Part::Test, test),
        (None, Some(validation)) => (Part::Validation, validation),
        (None, None) => (Part::Train, &dataset.train),
    };
    let samples: Vec<_> = ensemble.readers().iter().map(|_| Arc::clone(samples)).collect();
    Evaluation::of(&ensemble, &mut ensemble.on(selected), &samples, part, true)?
        .write(&folder.join(evaluation::FILE))?;
    write(folder)
}
