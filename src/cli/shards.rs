//! Many networks by several processes: each trains a share of them, and keeps what it trained in a folder that all of them see.
//! `merge` does what is left: the tables and files that one process would have made.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use self::parts::Parts;
use super::jobs;
use crate::error::{Error, Result};
use crate::many::Trained;

mod engine;
pub(super) mod parts;
mod share;

pub(super) use share::{Jobs, Share};

/// Flags of commands that train many networks.
#[derive(Debug, Args)]
pub(super) struct ShardOptions {
    /// Train a share of the networks, and no more: the I-th of N, as in 2/4; or auto, as Slurm, mpirun or a Kubernetes job say it in
    /// the environment; auto/N where that says no N. mlp-gpu merge makes of all shares what one process would have made
    #[arg(long, value_name = "I/N|auto[/N]", requires = "parts", conflicts_with = "resume", value_parser = engine::parse)]
    shard: Option<engine::Wanted>,
    /// Folder for the networks of all shards, each of which is kept as soon as it is trained. A share that was begun goes on
    #[arg(long, value_name = "DIR", requires = "shard")]
    parts: Option<PathBuf>,
    /// The folder whose networks are put together, and the command that they are of.
    #[arg(skip)]
    merged: Option<(PathBuf, Vec<String>)>,
}

impl ShardOptions {
    /// Has the command, which `words` are, put together what is in `folder`.
    pub(super) fn merge(&mut self, folder: PathBuf, words: Vec<String>) {
        self.merged = Some((folder, words));
    }

    /// The command as its words.
    pub(super) fn command(&self) -> Vec<OsString> {
        match &self.merged {
            Some((_, words)) => words.iter().map(OsString::from).collect(),
            None => std::env::args_os().collect(),
        }
    }

    /// Where networks are to come from.
    ///
    /// # Errors
    /// [`Error::Usage`] where the environment does not say which share this process has, [`Error::Io`] where the folder cannot
    /// be made.
    pub(super) fn open(&self) -> Result<Shards> {
        match (&self.shard, &self.parts, &self.merged) {
            (_, _, Some((folder, _))) => Ok(Shards::Merged(Parts::new(folder.clone()))),
            (Some(wanted), Some(folder), None) => {
                let shard = wanted.shard(|name| std::env::var(name).ok())?;
                std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
                Ok(Shards::Share(Share::new(shard, Parts::new(folder.clone()))))
            }
            _ => Ok(Shards::Alone),
        }
    }

    /// # Errors
    /// [`Error::Usage`] where there is a share to train, but of one network.
    pub(super) fn refuse(&self) -> Result<()> {
        match self.shard {
            None => Ok(()),
            Some(_) => Err(Error::Usage(
                "--shard is for several networks, as --members, --seeds or lists of values make: leave it out".into(),
            )),
        }
    }
}

/// Where the networks of a command come from.
pub(super) enum Shards {
    /// This process trains all of them.
    Alone,
    /// It trains a share of them.
    Share(Share),
    /// All were trained before, by processes that had a share each.
    Merged(Parts),
}

impl Shards {
    /// The share that this process trains, if that is all it does.
    pub(super) fn share(&self) -> Option<&Share> {
        match self {
            Self::Share(share) => Some(share),
            _ => None,
        }
    }

    /// What came of each of `jobs`, as [`jobs::train`] tells it. Those that were trained before are not trained again.
    ///
    /// # Errors
    /// Those of [`jobs::train`], and [`Error::Data`] naming the shards whose networks are missing.
    pub(super) fn train(
        &self,
        jobs: &Jobs<'_>,
        until: Option<Instant>,
        ended: impl FnMut(usize, Result<Trained>) -> Result<()>,
    ) -> Result<bool> {
        match self {
            Self::Alone => jobs::train(jobs.selected, jobs.jobs, jobs.quiet, until, ended),
            Self::Share(share) => share.exchange(jobs, ended),
            Self::Merged(parts) => parts.merged(jobs, ended).map(|()| false),
        }
    }
}
