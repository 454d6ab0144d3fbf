//! The log of a run: a line per epoch, as JSON or CSV.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Observer, RunInfo, figures, names};
use crate::data::{Dataset, TargetScale};
use crate::error::{Error, Result};
use crate::train::{Epoch, Event};

/// A file of lines that are JSON objects, or of CSV where its name ends in `.csv`.
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    /// The columns, where it is CSV.
    columns: Option<Vec<String>>,
}

/// Whether a log at `path` is CSV.
pub fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

impl Log {
    /// An empty log. As CSV it has these `columns`, which its first line names; JSON needs none.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written, here and below.
    pub fn create(path: &Path, columns: &[String]) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut log = Self { path: path.to_path_buf(), file: BufWriter::new(file), columns: None };
        if is_csv(path) {
            log.row(columns)?;
            log.columns = Some(columns.to_vec());
        }
        Ok(log)
    }

    /// The log of JSON lines in the file `path`, which goes on behind its first `length` bytes.
    ///
    /// # Errors
    /// As [`Log::create`].
    pub fn append(path: &Path, length: u64) -> Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("write", path))?;
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Error::io("write", path))?;
        Ok(Self { path: path.to_path_buf(), file: BufWriter::new(file), columns: None })
    }

    /// The log in the file `path` of a run that goes on after the epoch `done`: what it says of later ones, and a line that is not
    /// whole, are left out. None where there is none, or it is another run's: a first line of JSON that is not the `same`, or a table
    /// with other `columns`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn go_on(path: &Path, done: u32, columns: &[String], same: impl Fn(&Value) -> bool) -> Result<Option<Self>> {
        // A device or a pipe has nothing to go on from, and reading it would wait for ever.
        if !path.metadata().is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        let Ok(file) = File::open(path) else { return Ok(None) };
        let csv = is_csv(path);
        let (mut reader, mut length, mut line) = (BufReader::new(file), 0, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(Error::io("read", path))?;
            let text = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n'));
            let value = text.and_then(|text| match csv {
                // The epoch is the first column of a run's own log.
                true => {
                    Some(text.split(',').next()?.parse().map_or(Value::Null, |epoch: u64| json!({ "epoch": epoch })))
                }
                false => serde_json::from_str(text).ok(),
            });
            let Some(value) = value else { break };
            let other = if csv { text != Some(&columns.join(",")) } else { !same(&value) };
            if length == 0 && other {
                return Ok(None);
            }
            if value["epoch"].as_u64().is_some_and(|epoch| epoch > u64::from(done)) {
                break;
            }
            length += read as u64;
        }
        if length == 0 {
            return Ok(None);
        }
        Self::append(path, length).map(|log| Some(Self { columns: csv.then(|| columns.to_vec()), ..log }))
    }

    /// The line that comes before all others and says what was asked for. CSV has none.
    ///
    /// # Errors
    /// As [`Log::create`].
    pub fn head(&mut self, value: &Value) -> Result<()> {
        if self.columns.is_some() { Ok(()) } else { self.line(value) }
    }

    /// Adds a line. As CSV it has the values of the columns, and empty cells for what `value` lacks.
    ///
    /// # Errors
    /// As [`Log::create`].
    pub fn line(&mut self, value: &Value) -> Result<()> {
        let Some(columns) = &self.columns else {
            let written = writeln!(self.file, "{value}").and_then(|()| self.file.flush());
            return written.map_err(Error::io("write", &self.path));
        };
        let cell = |name: &String| match &value[name.as_str()] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        self.row(&cells)
    }

    fn row(&mut self, cells: &[String]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let line = writer.write_record(cells).ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
        self.file.write_all(&line).and_then(|()| self.file.flush()).map_err(Error::io("write", &self.path))
    }
}

/// Logs the epochs of a run.
pub struct EpochLog {
    log: Log,
    scale: Option<TargetScale>,
}

impl EpochLog {
    /// Goes on with `log`.
    pub fn new(log: Log) -> Self {
        Self { log, scale: None }
    }
}

impl Observer for EpochLog {
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        self.scale.clone_from(&run.data.target_scale);
        Ok(())
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        if let Event::Epoch(epoch, _) = event {
            self.log.line(&of_epoch(epoch, self.scale.as_ref()))?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What is logged of each epoch beside its parts.
pub(crate) const OF_ALL: [&str; 5] = ["epoch", "lr", "train_seconds", "eval_seconds", "samples_per_second"];

/// What is logged of the training part beside its figures.
const LOSS_SUM: &str = "loss_sum";

/// The columns of the log of a run on `data`: those that `leading` names, then what is logged of an epoch. The training part is
/// evaluated or not, as `train` says.
pub fn columns<'a>(leading: impl IntoIterator<Item = &'a str>, data: &Dataset, train: bool) -> Vec<String> {
    let scale = data.target_scale.as_ref();
    let parts = [("train", train), ("test", data.test.is_some()), ("validation", data.validation.is_some())];
    let mut columns: Vec<String> = leading.into_iter().chain(OF_ALL).map(String::from).collect();
    for (part, _) in parts.into_iter().filter(|(_, evaluated)| *evaluated) {
        columns.extend(names(scale).iter().map(|figure| format!("{part}_{figure}")));
        columns.extend((part == "train").then(|| format!("train_{LOSS_SUM}")));
    }
    columns
}

/// What is logged of an epoch; predicted values have their errors in the unit of the targets.
pub fn of_epoch(epoch: &Epoch, scale: Option<&TargetScale>) -> Value {
    let mut line = json!({
        "epoch": epoch.number,
        "lr": epoch.learning_rate,
        "train_seconds": epoch.train_seconds,
        "eval_seconds": epoch.eval_seconds,
        "samples_per_second": epoch.samples_per_second(),
    });
    for (name, part) in [("train", &epoch.train), ("test", &epoch.test), ("validation", &epoch.validation)] {
        let Some(part) = part else { continue };
        let mut set = |what: &str, value: f64| line[format!("{name}_{what}")] = value.into();
        figures(part, scale).for_each(|(what, value)| set(what, value));
        if name == "train" {
            set(LOSS_SUM, part.loss_sum);
        }
    }
    line
}

/// `value` as a JSON object.
pub(crate) fn object(value: &impl Serialize) -> Result<Map<String, Value>> {
    let value = serde_json::to_value(value).map_err(|error| Error::Data(format!("the log: {error}")))?;
    Ok(value.as_object().cloned().unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_cell_for_each_column_whatever_a_line_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.CSV");
        let mut log = Log::create(&path, &["run", "hidden", "loss"].map(String::from)).unwrap();
        log.head(&json!({ "version": "1" })).unwrap();
        log.line(&json!({ "loss": 0.25, "run": 1, "hidden": [8, 4], "more": 3 })).unwrap();
        log.line(&json!({ "loss": f64::NAN, "run": 2 })).unwrap();
        drop(log);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "run,hidden,loss\n1,\"[8,4]\",0.25\n2,,\n");
    }

    #[test]
    fn a_log_that_goes_on_has_each_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let columns = ["epoch", "loss"].map(String::from);
        for (name, head, whole) in [
            ("log.jsonl", "{\"seed\":1}\n", "{\"seed\":1}\n{\"epoch\":1}\n{\"epoch\":2}\n"),
            ("log.csv", "epoch,loss\n", "epoch,loss\n1,\n2,\n"),
        ] {
            let path = folder.path().join(name);
            let goes_on = |done| Log::go_on(&path, done, &columns, |head| head["seed"] == 1).unwrap();
            assert!(goes_on(0).is_none());
            for cut in head.len()..=whole.len() {
                std::fs::write(&path, &whole[..cut]).unwrap();
                // As many whole lines of the first epoch as there are.
                let kept = whole[..cut].lines().count() > 1 && whole[head.len()..cut].contains('\n');
                let mut log = goes_on(1).unwrap();
                if !kept {
                    log.line(&json!({ "epoch": 1 })).unwrap();
                }
                log.line(&json!({ "epoch": 2 })).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "cut at {cut}");
            }
            std::fs::write(&path, "other\n").unwrap();
            assert!(goes_on(1).is_none());
        }
    }
}
