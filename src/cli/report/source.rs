//! What a report is of: the folder of a run, a model with or without its log, or a log alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::checkpoint::{Ensemble, Reading};
use crate::cli::eval::RowOptions;
use crate::cli::{ComputeOptions, note, select};
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::files::Named;
use crate::report::evaluation::FirstLayer;
use crate::report::{self, Evaluation, Log, Report, evaluation};

/// Flags that say what is reported.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// The folder of a run, with model.safetensors, log.jsonl and perhaps evaluation.json; a model; or a log of train, cv or search
    /// --log
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// The log of the model's training, which train --log wrote
    #[arg(id = "training_log", long = "log", value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    rows: RowOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl RunOptions {
    /// The files that are read, but for those of data.
    pub(super) fn inputs(&self) -> Vec<Named> {
        let within = |name: &str| ("<RUN>", self.run.join(name));
        let mut files: Vec<Named> = match self.run.is_dir() {
            true => [report::MODEL, report::LOG, report::CONFIG, evaluation::FILE].map(within).to_vec(),
            false => vec![("<RUN>", self.run.clone())],
        };
        files.extend(self.log.iter().map(|path| ("--log", path.clone())));
        files
    }

    /// All that is known of the run. A model is evaluated; of a folder this is kept there, and done again once the model has changed.
    /// An evaluation of rows that are named is not kept.
    /// None of `outputs` may be a file of the data. Without `importance`, that of columns is left out where nothing is kept.
    pub(super) fn report(&self, outputs: &[Named], importance: bool) -> Result<Report> {
        if self.run.is_dir() {
            let kept = self.run.join(evaluation::FILE);
            let model = self.run.join(report::MODEL);
            let changed = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
            let mut other = None;
            if model.is_file() && self.rows.is_given() {
                other = Some(self.evaluate(&self.load(&model)?, outputs, importance)?);
            } else if model.is_file() && changed(&kept) < changed(&model) {
                // Also where there is none yet: none is less.
                match self.evaluate(&self.load(&model)?, outputs, true) {
                    Ok(found) => found.write(&kept)?,
                    // The data may be gone.
                    Err(error @ (Error::Data(_) | Error::File { .. } | Error::Io { .. })) if kept.is_file() => {
                        note(&format!(
                            "The evaluation is that of an earlier state of the model, as there is no new one: {error}"
                        ));
                    }
                    Err(error) => return Err(error),
                }
            }
            let mut report = Report::of_folder(&self.run)?;
            report.evaluation = other.or(report.evaluation);
            if let Some(path) = &self.log {
                report.log = Some(Log::read(path)?);
            }
            return Ok(report);
        }
        let name = report::name_of(&self.run);
        if is_log(&self.run)? {
            if let Some(log) = &self.log {
                let (run, log) = (self.run.display(), log.display());
                return Err(Error::Usage(format!("{run} is a log itself: leave --log {log} out, or give its model")));
            }
            return Ok(Report { name, log: Some(Log::read(&self.run)?), ..Report::default() });
        }
        let log = self.log.as_deref().map(Log::read).transpose()?;
        let evaluation = Some(self.evaluate(&self.load(&self.run)?, outputs, importance)?);
        Ok(Report { name, log, evaluation, config: None })
    }

    /// What is known without an evaluation: the log.
    pub(super) fn log(&self) -> Result<Log> {
        match &self.log {
            Some(path) => Log::read(path),
            None if self.run.is_dir() => Log::read(&self.run.join(report::LOG)),
            None if is_log(&self.run)? => Log::read(&self.run),
            None => Err(Error::Usage(format!(
                "{} is a model, which does not tell how it was trained: give its log with --log",
                self.run.display()
            ))),
        }
    }

    /// The first layer of the model, which takes no rows; none where there is no model, or that layer is the last one, too.
    pub(super) fn first_layer(&self) -> Result<Option<FirstLayer>> {
        let model = if self.run.is_dir() { self.run.join(report::MODEL) } else { self.run.clone() };
        if model.is_file() && (self.run.is_dir() || !is_log(&self.run)?) {
            return FirstLayer::of(self.load(&model)?.first());
        }
        let evaluation = self.report(&[], false)?.evaluation;
        Ok(evaluation.and_then(|evaluation| evaluation.first_layer))
    }

    fn load(&self, model: &Path) -> Result<Ensemble> {
        let reading = Reading { task: self.rows.task(), ..Reading::default() };
        let ensemble = Ensemble::load_as(model, &reading)?;
        let assumed = ensemble.members().iter().flat_map(|member| &member.assumed);
        assumed.for_each(|assumption| note(&format!("Model: {}", crate::cli::model::told(assumption))));
        Ok(ensemble)
    }

    fn evaluate(&self, ensemble: &Ensemble, outputs: &[Named], importance: bool) -> Result<Evaluation> {
        let selected = select(&self.compute.request())?;
        let samples: Vec<Arc<Samples>> = self.rows.load_for(ensemble, outputs)?;
        Evaluation::of(ensemble, &mut ensemble.on(&selected), &samples, self.rows.part(), importance)
    }
}

/// Whether the file at `path` is a log: text that begins with an object.
fn is_log(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(8).read_to_end(&mut start).map_err(Error::io("read", path))?;
    // A safetensors file begins with a length of 8 bytes, the last of which are 0.
    Ok(start.starts_with(b"{\"") && !start.contains(&0))
}
