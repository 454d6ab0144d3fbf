//! The folder that the shards of a command share: a file per network, and a sign of life per shard. Each file is written by one
//! process, whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::engine::Shard;
use super::share::{BEAT, Jobs};
use crate::cli::{note, quoted};
use crate::error::{Error, Result};
use crate::files;
use crate::hex::hex;
use crate::many::Trained;

/// The folder.
pub(in crate::cli) struct Parts {
    folder: PathBuf,
    /// What tells the command from others: a hash of the names of the first networks that it asks for.
    study: OnceLock<String>,
}

/// What a shard says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Sign {
    pub(in crate::cli) version: String,
    /// The arguments of its command, without those that say which share it has.
    pub(in crate::cli) command: Vec<String>,
    /// The folder that paths in the command are relative to.
    pub(in crate::cli) working_directory: String,
    /// What makes its networks those that they are: the same for all shards.
    pub(super) study: String,
    /// From 1.
    pub(super) shard: u32,
    pub(super) of: u32,
    pub(super) process: u32,
    /// How often it gave this sign.
    pub(super) beats: u64,
}

impl Sign {
    /// The command that trains the share, as a shell takes it.
    fn again(&self, shard: Shard, folder: &Path) -> String {
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        format!("mlp-gpu {} --shard {shard} --parts {}", words.join(" "), quoted(&folder.display().to_string()))
    }
}

impl Parts {
    pub(in crate::cli) fn new(folder: PathBuf) -> Self {
        Self { folder, study: OnceLock::new() }
    }

    /// What tells the command from others, of whose networks these are some.
    pub(super) fn study(&self, names: &[String]) -> String {
        let hash = || hex(&Sha256::digest(names.concat()));
        self.study.get_or_init(hash).clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    fn file(&self, kind: &str, name: &str) -> PathBuf {
        let extension = if kind == FAILURE { "json" } else { "safetensors" };
        // Half of a SHA-256 is enough.
        self.folder.join(format!("{kind}-{}.{extension}", &name[..32]))
    }

    /// Whether it is known what came of the network `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        [NETWORK, FAILURE].iter().any(|kind| self.file(kind, name).exists())
    }

    /// Keeps what came of the network `name`, unless another attempt may end otherwise. Returns whether it was kept.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn keep(&self, name: &str, found: &Result<Trained>) -> Result<bool> {
        match found {
            Ok(trained) if !trained.is_whole() => return Ok(false),
            Ok(trained) => trained.save(&self.file(NETWORK, name))?,
            Err(error) if error.is_of_the_run() => {
                let text = json!({ "error": error.to_string() }).to_string();
                files::write(&self.file(FAILURE, name), text.as_bytes())?;
            }
            Err(_) => return Ok(false),
        }
        Ok(true)
    }

    /// What came of the network `name`.
    pub(super) fn load(&self, name: &str) -> Result<Result<Trained>> {
        let failure = self.file(FAILURE, name);
        if failure.exists() {
            #[derive(Deserialize)]
            struct Failure {
                error: String,
            }
            let text = std::fs::read(&failure).map_err(Error::io("read", &failure))?;
            let found: Failure = serde_json::from_slice(&text)
                .map_err(|error| Error::file(&failure, error.to_string(), "what a network failed with"))?;
            return Ok(Err(Error::Data(found.error)));
        }
        Trained::load(&self.file(NETWORK, name)).map(Ok)
    }

    /// Tells `ended` what came of each of `jobs`, in their order.
    ///
    /// # Errors
    /// [`Error::Data`] where networks are missing, after a note on each shard that has not trained its share.
    pub(super) fn merged(
        &self,
        jobs: &Jobs<'_>,
        mut ended: impl FnMut(usize, Result<Trained>) -> Result<()>,
    ) -> Result<()> {
        let names = jobs.names()?;
        let study = self.study(&names);
        if self.signs()?.values().any(|sign| sign.study != study) {
            return Err(Error::Data(format!(
                "{}: the networks there are of other data or options than the command has here: have its files or variables changed?",
                self.folder.display()
            )));
        }
        let missing = self.missing(&names);
        if !missing.is_empty() {
            return Err(self.refusal(&names, &missing));
        }
        for (number, name) in names.iter().enumerate() {
            ended(number, self.load(name)?)?;
        }
        Ok(())
    }

    /// The numbers of those of the networks `names` of which it is not known what came of them.
    pub(super) fn missing(&self, names: &[String]) -> Vec<usize> {
        (0..names.len()).filter(|&number| !self.has(&names[number])).collect()
    }

    /// That networks are missing, after a note on each of their shards.
    fn refusal(&self, names: &[String], missing: &[usize]) -> Error {
        let signs = match self.signs() {
            Ok(signs) => signs,
            Err(error) => return error,
        };
        let Some(any) = signs.values().next().cloned() else { return self.nothing() };
        let mut shards: Vec<String> = Vec::new();
        for index in 0..any.of {
            let shard = Shard { index, of: any.of };
            let own = |number: &usize| shard.has(*number);
            let (lacks, all) =
                (missing.iter().filter(|number| own(number)).count(), (0..names.len()).filter(own).count());
            if lacks == 0 {
                continue;
            }
            let state = match signs.get(&shard.index) {
                None => "has not begun".to_owned(),
                Some(_) => match self.silence(shard) {
                    seconds if seconds < 2 * BEAT.as_secs() => "is at work or ended just now".to_owned(),
                    seconds => format!("gave its last sign {seconds} s ago"),
                },
            };
            let again = any.again(shard, &self.folder);
            note(&format!("Shard {shard} {state}: {lacks} of its {all} networks are missing: {again}"));
            shards.push(shard.to_string());
        }
        let (lacks, all, folder) = (missing.len(), names.len(), self.folder.display());
        Error::Data(format!(
            "{folder}: {lacks} of {all} networks are missing, those of {}: train them as said above, then merge again",
            shards.join(", ")
        ))
    }

    /// That no shard was ever there.
    pub(in crate::cli) fn nothing(&self) -> Error {
        Error::Data(format!("{}: no shard has begun here: give the folder of --parts", self.folder.display()))
    }

    /// Seconds since a shard gave its last sign.
    fn silence(&self, shard: Shard) -> u64 {
        let written = std::fs::metadata(self.sign_file(shard)).and_then(|found| found.modified());
        let silence = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
        silence.unwrap_or_default().as_secs()
    }

    fn sign_file(&self, shard: Shard) -> PathBuf {
        self.folder.join(format!("shard-{}-of-{}.json", shard.index + 1, shard.of))
    }

    /// Writes the sign of a shard.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn sign(&self, shard: Shard, sign: &Sign) -> Result<()> {
        files::write(&self.sign_file(shard), format!("{:#}\n", json!(sign)).as_bytes())
    }

    /// The signs of all shards that have begun, by their numbers from 0.
    ///
    /// # Errors
    /// What cannot be read, [`Error::Data`] where shards are of several commands.
    pub(in crate::cli) fn signs(&self) -> Result<BTreeMap<u32, Sign>> {
        let mut signs: BTreeMap<u32, Sign> = BTreeMap::new();
        let entries = std::fs::read_dir(&self.folder).map_err(Error::io("read", &self.folder))?;
        for entry in entries {
            let path = entry.map_err(Error::io("read", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !(name.starts_with("shard-") && name.ends_with(".json")) {
                continue;
            }
            let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let bad = |what: String| Error::file(&path, what, "what a shard says of itself");
            let sign: Sign = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
            if !(1..=sign.of).contains(&sign.shard) {
                return Err(bad(format!("shard {} of {}", sign.shard, sign.of)));
            }
            if let Some(other) = signs.values().find(|other| (&other.study, other.of) != (&sign.study, sign.of)) {
                let folder = self.folder.display();
                return Err(Error::Data(format!(
                    "{folder}: shards {}/{} and {}/{} are of different commands or data, or were counted differently: give each \
                     command a folder of its own",
                    other.shard, other.of, sign.shard, sign.of
                )));
            }
            signs.insert(sign.shard - 1, sign);
        }
        Ok(signs)
    }
}

/// What files are called by what they hold: a network, or what it failed with.
const NETWORK: &str = "network";
const FAILURE: &str = "failure";
