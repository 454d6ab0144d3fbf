//! Named data sets on the command line: found, or fetched on first use.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{note, told};
use crate::cache;
use crate::data::catalogue::{self, Set};
use crate::data::fetch::{self, Event};
use crate::error::{Error, Result};

/// Flags that say how data sets are fetched.
#[derive(Debug, Args)]
pub(super) struct FetchOptions {
    /// Touch no network: only data that is here already
    #[arg(long, env = "MLP_GPU_OFFLINE", value_parser = FalseyValueParser::new())]
    offline: bool,
    /// Fetch data sets from this address only: from URL/mnist/train-images-idx3-ubyte.gz and so on, or from URL/train-...
    #[arg(long, value_name = "URL", env = "MLP_GPU_MIRROR")]
    mirror: Option<String>,
    /// Seconds to wait for a silent server
    #[arg(long, value_name = "SECONDS", env = "MLP_GPU_FETCH_TIMEOUT", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    fetch_timeout: u64,
}

impl FetchOptions {
    /// Fetches `set` into `folder`; each file's [`Event::Fetched`] or [`Event::Present`] goes to `done`.
    pub(super) fn fetch(
        &self,
        set: &Set,
        folder: &Path,
        replace: bool,
        done: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.offline {
            return Err(Error::Data(format!("{} is not fetched: --offline (or MLP_GPU_OFFLINE) forbids it", set.name)));
        }
        let options = fetch::Options {
            mirror: self.mirror.clone().filter(|mirror| !mirror.is_empty()),
            silence: Duration::from_secs(self.fetch_timeout),
            ..fetch::Options::default()
        };
        let bar = bar();
        let mut told = Ok(());
        let result = fetch::fetch(set, folder, replace, &options, &mut |event| match event {
            Event::Waiting => note("Data: another process is fetching; waiting for it"),
            Event::Begin(name, bytes) => {
                bar.set_message(name.to_owned());
                bar.set_length(bytes);
            }
            Event::Progress(bytes) => bar.set_position(bytes),
            Event::Trouble(what) => bar.suspend(|| note(&format!("Data: {what}"))),
            Event::Fetched(..) | Event::Present(_) => {
                told = std::mem::replace(&mut told, Ok(())).and_then(|()| bar.suspend(|| done(event)));
            }
        });
        bar.finish_and_clear();
        result.and(told)
    }

    /// The data folder in which `source` is to be looked for, where it is a named data set: `data_dir` if it has the set,
    /// else the cache, into which it is fetched on first use. For `auto` a set that cannot be had is none, for a reason.
    pub(super) fn locate(&self, source: &str, data_dir: Option<&Path>) -> Result<Place> {
        let auto = source == "auto";
        let Some(set) = catalogue::set(if auto { "mnist" } else { source }) else {
            return Ok(Place::Folder(data_dir.map(Path::to_path_buf)));
        };
        if let Some(folder) = data_dir.filter(|folder| set.present(&folder.join(set.folder))) {
            return Ok(Place::Folder(Some(folder.to_path_buf())));
        }
        match self.cached(set) {
            Ok(folder) => Ok(Place::Folder(Some(folder))),
            Err(error) if auto => {
                let what = if self.offline { "may not be fetched" } else { "could not be fetched" };
                Ok(Place::Nowhere { short: format!("mnist is not here and {what}"), why: told(&error) })
            }
            Err(Error::Data(why)) if self.offline => Err(Error::Data(format!(
                "{why}; allow it, or put the four IDX files of {source} into DIR/{} and give --data-dir DIR (or \
                 MLP_GPU_DATA=DIR)",
                set.folder
            ))),
            Err(error) => Err(error),
        }
    }

    /// The cache folder, with `set` in it.
    fn cached(&self, set: &Set) -> Result<PathBuf> {
        let cache = cache::folder()?;
        let folder = cache.join(set.folder);
        if !set.complete(&folder) {
            if !self.offline {
                let size = set.bytes() as f64 / 1e6;
                note(&format!("Data: fetching {} ({size:.1} MB) into {}", set.name, folder.display()));
            }
            self.fetch(set, &folder, true, &mut |_| Ok(()))?;
        }
        Ok(cache)
    }
}

/// Where a data set is.
pub(super) enum Place {
    /// In this data folder, if in any.
    Folder(Option<PathBuf>),
    /// It cannot be had.
    Nowhere {
        /// Why, in a few words.
        short: String,
        /// Why, in all detail.
        why: String,
    },
}

/// A progress bar on a terminal, else none.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
