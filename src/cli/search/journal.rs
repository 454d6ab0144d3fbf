//! The log of a search: what is searched, then what came of each trial in each rung. A search can go on from it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::files;
use crate::observe::log::Log;
use crate::search::Found;

/// What is known, and the file that it is written to.
pub(in crate::cli) struct Journal {
    log: Option<Log>,
    known: BTreeMap<(u32, u32), Found>,
}

impl Journal {
    /// A journal of the search that `head` describes, written to `log`, which goes on from `resume`.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is no log, [`Error::Usage`] for that of another search, and what cannot be read or written.
    pub(in crate::cli) fn open(log: Option<&Path>, resume: Option<&Path>, head: Map<String, Value>) -> Result<Self> {
        let mut known = BTreeMap::new();
        let mut whole = 0;
        if let Some(path) = resume {
            let text = std::fs::read(path).map_err(Error::io("read", path))?;
            // The last line may have been under way.
            whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let mut lines = text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
            let kept = lines.next().and_then(|(_, line)| serde_json::from_slice::<Value>(line).ok());
            let kept = kept.as_ref().and_then(|line| line["search"].as_object());
            let kept = kept.ok_or_else(|| {
                Error::file(path, "no first line that says what is searched", "a log of search --log")
            })?;
            if let Some(name) = PARTS.into_iter().find(|name| head.get(*name) != kept.get(*name)) {
                return Err(Error::Usage(format!(
                    "--resume {} is the log of another search, with other {}: give the same flags and data, or leave --resume out",
                    path.display(),
                    part(name)
                )));
            }
            for (number, line) in lines {
                let found: Found = serde_json::from_slice(line).map_err(|error| {
                    Error::file(path, format!("in line {}, {error}", number + 1), "a line of search --log")
                })?;
                known.insert((found.rung, found.trial), found);
            }
        }
        let head = json!({ "version": env!("CARGO_PKG_VERSION"), "search": head });
        let log = match (log, resume) {
            (None, None) => None,
            (None, Some(path)) => Some(Log::append(path, whole as u64)?),
            (Some(log), Some(path)) if files::same(log, path) => Some(Log::append(path, whole as u64)?),
            (Some(log), _) => {
                let mut log = Log::create(log, &[])?;
                log.line(&head)?;
                known.values().try_for_each(|found| log.line(&json!(found)))?;
                Some(log)
            }
        };
        Ok(Self { log, known })
    }

    /// What is known of `trial` in `rung`.
    pub(super) fn found(&self, rung: u32, trial: u32) -> Option<&Found> {
        self.known.get(&(rung, trial))
    }

    /// All that is known, by rungs and trials.
    pub(super) fn all(&self) -> Vec<&Found> {
        self.known.values().collect()
    }

    /// Adds what was found.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn add(&mut self, found: Found) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.line(&json!(found))?;
        }
        self.known.insert((found.rung, found.trial), found);
        Ok(())
    }
}

/// The parts of the first line: what flags say, then what follows from it.
const PARTS: [&str; 8] = ["trials", "folds", "seed", "backend", "space", "options", "data", "recipe"];

/// What a part of the first line is called.
fn part(name: &str) -> &str {
    match name {
        "trials" => "trials (--trials)",
        "folds" => "folds (--folds)",
        "seed" => "draws (--seed)",
        "space" => "options to draw (--space)",
        "backend" => "devices (--backend)",
        name => name,
    }
}
