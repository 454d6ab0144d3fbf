//! Logs: lines of JSON.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::data::TargetScale;
use crate::error::{Error, Result};
use crate::train::Epoch;

/// The JSON lines of a run.
pub(super) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    /// An empty log.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        Ok(Self { path: path.to_path_buf(), file: BufWriter::new(file) })
    }

    /// The log in the file `path`, which goes on behind its first `length` bytes.
    pub(super) fn append(path: &Path, length: u64) -> Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("write", path))?;
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Error::io("write", path))?;
        Ok(Self { path: path.to_path_buf(), file: BufWriter::new(file) })
    }

    /// The log in the file `path` of a run that goes on after the epoch `done`: what it says of later ones, and a line that is not
    /// whole, are left out. None where the file is no log, or is of a run with another first line in what `same` compares.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn go_on(path: &Path, done: u32, same: impl Fn(&Value) -> bool) -> Result<Option<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let mut kept = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let value: Option<Value> = serde_json::from_slice(line).ok().filter(|_| line.ends_with(b"\n"));
            let Some(value) = value else { break };
            if kept == 0 && !same(&value) {
                return Ok(None);
            }
            if value.get("epoch").and_then(Value::as_u64).is_some_and(|epoch| epoch > u64::from(done)) {
                break;
            }
            kept += line.len();
        }
        if kept == 0 { Ok(None) } else { Self::append(path, kept as u64).map(Some) }
    }

    pub(super) fn line(&mut self, value: &Value) -> Result<()> {
        writeln!(self.file, "{value}").and_then(|()| self.file.flush()).map_err(Error::io("write", &self.path))
    }
}

/// What is logged of an epoch; predicted values have their errors in the unit of the targets.
pub(super) fn of_epoch(epoch: &Epoch, scale: Option<&TargetScale>) -> Value {
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
        set("loss", part.mean_loss());
        match scale {
            None => set("accuracy", part.accuracy()),
            Some(scale) => {
                let part = part.in_units(scale);
                set("rmse", part.rmse());
                set("mae", part.mae());
                set("r2", part.r2());
            }
        }
        if name == "train" {
            set("loss_sum", part.loss_sum);
        }
    }
    line
}

/// `value` as a JSON object.
pub(super) fn object(value: &impl Serialize) -> Result<Map<String, Value>> {
    let value = serde_json::to_value(value).map_err(|error| Error::Data(format!("the log: {error}")))?;
    Ok(value.as_object().cloned().unwrap_or_default())
}
