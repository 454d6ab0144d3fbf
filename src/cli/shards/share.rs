//! The networks that one process trains of a command, and its wait for those of the others.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::engine::Shard;
use super::parts::{Parts, Sign};
use crate::backend::select::Selected;
use crate::cli::{jobs, note, signals};
use crate::error::{Error, Result};
use crate::many::{Identity, Job, Trained};

/// How often a shard says that it is at work.
pub(super) const BEAT: Duration = Duration::from_secs(10);
/// How often the folder is looked into by who waits.
const LOOK: Duration = Duration::from_millis(200);
/// How long a shard may give no sign before others train its share.
const PATIENCE: Duration = Duration::from_secs(60);

/// Jobs of a command, of which each shard trains some.
pub(in crate::cli) struct Jobs<'a> {
    pub(in crate::cli) selected: &'a Selected,
    pub(in crate::cli) jobs: &'a [Job],
    pub(in crate::cli) quiet: bool,
}

impl Jobs<'_> {
    /// Their names: the same in every process, and of no other jobs.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut identity = Identity::on(if self.selected.gpu.is_some() { "gpu" } else { "cpu" });
        self.jobs.iter().map(|job| identity.of(job)).collect()
    }

    fn tell(&self, line: &str) {
        if !self.quiet {
            note(line);
        }
    }
}

/// A share, and where its networks are kept.
pub(in crate::cli) struct Share {
    shard: Shard,
    parts: Parts,
    patience: Duration,
}

impl Shard {
    /// Whether the job `number` is of this share.
    pub(super) fn has(self, number: usize) -> bool {
        number % self.of as usize == self.index as usize
    }
}

impl Share {
    pub(super) fn new(shard: Shard, parts: Parts) -> Self {
        Self { shard, parts, patience: PATIENCE }
    }

    /// The same, which waits so long for others that give no sign.
    pub(in crate::cli) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Trains this share of `jobs`, and tells how to go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C, what networks fail with on this machine alone, [`Error::Usage`] where the folder is
    /// that of another command, and what cannot be written.
    pub(in crate::cli) fn train(&self, jobs: &Jobs<'_>) -> Result<()> {
        let names = jobs.names()?;
        let own = self.own(&names);
        self.at_work(&names, || self.all(jobs, &names, &own))?;
        let (folder, all) = (self.parts.path().display(), names.len());
        let there = all - self.parts.missing(&names).len();
        let when = if there == all { "now" } else { "when all are" };
        let shard = self.shard;
        jobs.tell(&format!(
            "Shard {shard} is done: {there} of {all} networks are in {folder}; {when}: mlp-gpu merge {folder}"
        ));
        Ok(())
    }

    /// Trains this share of `jobs`, waits for the others, and tells `ended` what came of each, in their order. Where another
    /// shard gives no sign, its share is trained here: who trains a network does not change its bits. Returns whether Ctrl-C was
    /// pressed.
    ///
    /// # Errors
    /// As [`Share::train`], and what `ended` fails with.
    pub(super) fn exchange(
        &self,
        jobs: &Jobs<'_>,
        mut ended: impl FnMut(usize, Result<Trained>) -> Result<()>,
    ) -> Result<bool> {
        let names = jobs.names()?;
        let own = self.own(&names);
        let waited = self.at_work(&names, || {
            self.all(jobs, &names, &own)?;
            self.wait(jobs, &names)
        });
        match waited {
            Err(Error::Interrupted) => return Ok(true),
            other => other?,
        }
        for (number, name) in names.iter().enumerate() {
            ended(number, self.parts.load(name)?)?;
        }
        Ok(false)
    }

    fn own(&self, names: &[String]) -> Vec<usize> {
        (0..names.len()).filter(|number| self.shard.has(*number)).collect()
    }

    /// Does `work` while it is said that this shard is at work on the networks `names`.
    fn at_work<T>(&self, names: &[String], work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut sign = self.first_sign(names)?;
        self.parts.sign(self.shard, &sign)?;
        std::thread::scope(|scope| {
            let (end, ended) = channel::<()>();
            scope.spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(BEAT) {
                    sign.beats += 1;
                    // A sign that is not seen makes others do this share too, which does no harm.
                    let _ = self.parts.sign(self.shard, &sign);
                }
            });
            let done = work();
            drop(end);
            done
        })
    }

    /// Trains those of the jobs `numbers` that are missing.
    fn all(&self, jobs: &Jobs<'_>, names: &[String], numbers: &[usize]) -> Result<()> {
        let is_missing = |number: &usize| !self.parts.has(&names[*number]);
        let numbers: Vec<usize> = numbers.iter().copied().filter(is_missing).collect();
        let own: Vec<Job> = numbers.iter().map(|&number| jobs.jobs[number].clone()).collect();
        let (mut kept, mut failed) = (0, Ok(()));
        let interrupted = jobs::train_in_any_order(jobs.selected, &own, jobs.quiet, None, |at, found| {
            let is_kept = self.parts.keep(&names[numbers[at]], &found)?;
            kept += usize::from(is_kept);
            match found {
                Err(error) if is_kept => note(&format!("Shard {}: a network failed: {error}", self.shard)),
                Err(Error::Interrupted) | Ok(_) => {}
                Err(error) => failed = Err(error),
            }
            Ok(())
        })?;
        if interrupted {
            let (folder, all, shard) = (self.parts.path().display(), numbers.len(), self.shard);
            note(&format!(
                "Interrupted: {kept} of {all} networks of shard {shard} are in {folder}; the same command goes on"
            ));
            return Err(Error::Interrupted);
        }
        failed
    }

    /// Waits until all networks are there.
    fn wait(&self, jobs: &Jobs<'_>, names: &[String]) -> Result<()> {
        let mut seen: BTreeMap<u32, (u64, Instant)> = BTreeMap::new();
        let (begun, mut told) = (Instant::now(), 0);
        loop {
            let missing = self.parts.missing(names);
            if missing.is_empty() {
                return Ok(());
            }
            if signals::interrupted().load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if told != missing.len() && begun.elapsed() > BEAT {
                told = missing.len();
                jobs.tell(&format!("Shard {}: waits for {told} networks of other shards", self.shard));
            }
            for (shard, sign) in self.parts.signs()? {
                let (beats, since) = seen.entry(shard).or_insert((sign.beats, Instant::now()));
                if *beats != sign.beats {
                    (*beats, *since) = (sign.beats, Instant::now());
                }
            }
            let silent = |number: &&usize| {
                let shard = **number as u32 % self.shard.of;
                seen.get(&shard).map_or(begun, |(_, since)| *since).elapsed() >= self.patience
            };
            let mut lost: Vec<usize> = missing.iter().filter(silent).copied().collect();
            if lost.is_empty() {
                std::thread::sleep(LOOK);
                continue;
            }
            // As many as go side by side, then another look; each shard begins at another place.
            let first = lost.len() * self.shard.index as usize / self.shard.of as usize;
            lost.rotate_left(first);
            lost.truncate(jobs.selected.threads().max(1));
            let (shard, silence, count) = (self.shard, self.patience.as_secs(), lost.len());
            jobs.tell(&format!("Shard {shard}: trains {count} networks of shards that gave no sign for {silence} s"));
            self.all(jobs, names, &lost)?;
        }
    }

    /// What this shard says of itself at first.
    fn first_sign(&self, names: &[String]) -> Result<Sign> {
        let others = self.parts.signs()?;
        let before = others.get(&self.shard.index);
        let text = |what: std::ffi::OsString| {
            what.into_string().map_err(|text| {
                let text = text.to_string_lossy().into_owned();
                Error::Usage(format!("--shard: the argument {text:?} is no Unicode, and could not be kept for merge"))
            })
        };
        let command = std::env::args_os().skip(1).map(text).collect::<Result<Vec<String>>>()?;
        let folder = std::env::current_dir().unwrap_or_default();
        let own = Sign {
            version: env!("CARGO_PKG_VERSION").into(),
            command: without_share(&command),
            working_directory: folder.display().to_string(),
            study: self.parts.study(names),
            shard: self.shard.index + 1,
            of: self.shard.of,
            process: std::process::id(),
            beats: before.map_or(0, |before| before.beats + 1),
        };
        match others.values().next() {
            Some(other) if (&other.study, other.of) != (&own.study, own.of) => Err(Error::Usage(format!(
                "--parts {}: shard {}/{} there is of another command or of other data: give the same, or another folder",
                self.parts.path().display(),
                other.shard,
                other.of
            ))),
            _ => Ok(own),
        }
    }
}

/// `command` without the flags that are about shards.
fn without_share(command: &[String]) -> Vec<String> {
    let flags = ["--shard", "--parts", "--patience"];
    let mut kept = Vec::new();
    let mut words = command.iter();
    while let Some(word) = words.next() {
        if flags.contains(&word.as_str()) {
            words.next();
        } else if !flags.iter().any(|flag| word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))) {
            kept.push(word.clone());
        }
    }
    kept
}
