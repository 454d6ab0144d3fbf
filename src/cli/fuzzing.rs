//! Doors for fuzz targets, and tests, to the readers that only the command line has.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use super::search::{Journal, check_option};
use super::shards::parts::Parts;
use super::{Cli, config};
use crate::error::{Error, Result};
use crate::search::space::Space;

/// Reads the file of `train --config`, and the command that comes of it.
///
/// # Errors
/// Those of the file.
pub fn config(path: &Path) -> Result<()> {
    let words = ["mlp-gpu".into(), "train".into(), "--config".into(), OsString::from(path)];
    let _ = Cli::try_parse_from(config::expanded(words.into())?);
    Ok(())
}

/// Reads the file of `search --space`.
///
/// # Errors
/// Those of the file.
pub fn space(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    Space::parse(path, &text, &check_option).map(drop)
}

/// Reads the log that `search --resume` goes on from, whatever it searched.
///
/// # Errors
/// Those of the file.
pub fn journal(path: &Path) -> Result<()> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let head: serde_json::Value = serde_json::from_slice(first).unwrap_or_default();
    Journal::open(None, Some(path), head["search"].as_object().cloned().unwrap_or_default()).map(drop)
}

/// Reads what the shards in `folder` say of themselves, and the commands that they are of.
///
/// # Errors
/// Those of the files.
pub fn signs(folder: &Path) -> Result<()> {
    for sign in Parts::new(folder.to_path_buf()).signs()?.into_values() {
        let _ = Cli::try_parse_from(std::iter::once("mlp-gpu".to_owned()).chain(sign.command));
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/mutations/mod.rs"]
mod mutations;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const CONFIG: &str =
        "data = \"t.csv\"\nhidden = [8, 4]\nlr = 1e-2\noptimizer = \"adam\"\nno-shuffle = true\nlabel = -1\n";
    const SPACE: &str = "hidden = [[128, 128], [256]]\nactivation = [\"relu\", \"gelu\"]\nlr = { from = 1e-4, to = 1e-2, log = true }\n\
                         batch-size = { from = 32, to = 256 }\n";
    const JOURNAL: &str = "{\"search\":{\"trials\":2,\"folds\":0,\"seed\":0}}\n\
                           {\"trial\":1,\"rung\":1,\"epochs\":3,\"setting\":{\"lr\":0.1},\"epoch\":[3],\"loss\":0.5,\"figures\":{}}\n";
    const SIGN: &str = "{\"version\":\"0.1.0\",\"command\":[\"train\",\"--members\",\"2\"],\"working_directory\":\"/\",\
                        \"study\":\"ab\",\"shard\":1,\"of\":2,\"process\":7,\"beats\":3}";

    /// The name of a file, a good text for it, and what reads it.
    type Reader<'a> = (&'a str, &'a str, &'a dyn Fn(&Path) -> Result<()>);

    #[test]
    fn no_text_makes_its_reader_panic() {
        let folder = tempfile::tempdir().unwrap();
        let of_folder = |_: &Path| signs(folder.path());
        let readers: [Reader<'_>; 4] = [
            ("config.toml", CONFIG, &config),
            ("space.toml", SPACE, &space),
            ("search.jsonl", JOURNAL, &journal),
            ("shard-1-of-2.json", SIGN, &of_folder),
        ];
        let mut random = mutations::random();
        for (name, good, read) in readers {
            let path = folder.path().join(name);
            for change in 0..100 {
                let bytes = if change == 0 { good.into() } else { mutations::mutated(good.as_bytes(), &mut random) };
                std::fs::write(&path, bytes).unwrap();
                let start = Instant::now();
                let read = read(&path);
                assert!(change > 0 || read.is_ok(), "{name}: {read:?}");
                assert!(start.elapsed() < Duration::from_secs(5), "{name} takes too long");
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}
