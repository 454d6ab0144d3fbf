//! When a run is written midway, and where.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::checkpoint::{Metadata, midway};
use crate::error::Result;
use crate::model::Mlp;
use crate::state::State;
use crate::train::Begun;

/// What stands behind a checkpoint's name in that of the one before.
const PREVIOUS: &str = ".previous";

/// How often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Every {
    Epochs(u32),
    Time(Duration),
}

impl Default for Every {
    fn default() -> Self {
        Self::Time(Duration::from_secs(60))
    }
}

/// A number of epochs, or of seconds as in `30s`.
impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parsed = match text.strip_suffix('s') {
            Some(seconds) => {
                seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Self::Time)
            }
            None => text.parse().ok().filter(|epochs| *epochs > 0).map(Self::Epochs),
        };
        parsed.ok_or("give a number of epochs from 1 on, or of seconds, such as 30s")
    }
}

/// The checkpoints of a run.
pub(super) struct Checkpoints {
    path: PathBuf,
    every: Every,
    /// When the last one was written, or the run began, and after which epoch.
    last: (Instant, u32),
}

impl Checkpoints {
    /// Those at `path`.
    pub(super) fn new(path: &Path, every: Option<Every>) -> Self {
        Self { path: path.to_path_buf(), every: every.unwrap_or_default(), last: (Instant::now(), 0) }
    }

    /// The run begins after the epoch `done`.
    pub(super) fn begin(&mut self, done: u32) {
        self.last = (Instant::now(), done);
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is time for one, behind `epoch`.
    pub(super) fn is_due(&self, epoch: u32) -> bool {
        let (at, last) = self.last;
        match self.every {
            Every::Epochs(epochs) => epoch >= last.saturating_add(epochs),
            Every::Time(time) => at.elapsed() >= time,
        }
    }

    /// Writes one.
    pub(super) fn write(&mut self, model: &Mlp, place: (&State, &Begun), metadata: &Metadata) -> Result<()> {
        midway::save(&self.path, &previous(&self.path), model, place, metadata)?;
        self.last = (Instant::now(), metadata.epochs);
        Ok(())
    }
}

/// Where the checkpoint before the one at `path` is kept.
pub(in crate::cli) fn previous(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(PREVIOUS);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_is_said_in_epochs_or_seconds() {
        assert_eq!("3".parse(), Ok(Every::Epochs(3)));
        assert_eq!("0.5s".parse(), Ok(Every::Time(Duration::from_millis(500))));
        assert!(["0", "", "s", "-1s", "3m", "1e99s"].iter().all(|text| text.parse::<Every>().is_err()));
    }

    #[test]
    fn the_one_before_is_beside_it() {
        assert_eq!(previous(Path::new("a/b.st")), Path::new("a/b.st.previous"));
    }
}
