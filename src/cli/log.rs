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
