//! `mlp-gpu merge`

use std::path::PathBuf;

use clap::{Args, Parser};

use super::shards::parts::Parts;
use super::{Cli, Command, note};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of --parts. It keeps its files
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Does what the command of the shards does once its networks are trained, with those in the folder.
pub(super) fn run(options: &Options) -> Result<()> {
    let parts = Parts::new(options.folder.clone());
    let signs = parts.signs()?;
    let Some(sign) = signs.values().next() else { return Err(parts.nothing()) };
    let here = std::env::current_dir().unwrap_or_default();
    if here.display().to_string() != sign.working_directory {
        note(&format!(
            "The shards were started in {}: paths in their command are taken from here",
            sign.working_directory
        ));
    }
    let words: Vec<String> = std::iter::once("mlp-gpu".to_owned()).chain(sign.command.iter().cloned()).collect();
    let unknown = |what: &str| {
        let (folder, version) = (options.folder.display(), &sign.version);
        Error::Data(format!("{folder}: the command there, of version {version}, cannot be merged by this one: {what}"))
    };
    let cli =
        Cli::try_parse_from(&words).map_err(|error| unknown(error.to_string().lines().next().unwrap_or_default()))?;
    let mut command = cli.command;
    match &mut command {
        Command::Train(options) => &mut options.shards,
        Command::Cv(options) => &mut options.shards,
        Command::Search(options) => &mut options.shards,
        _ => return Err(unknown("it has no shards")),
    }
    .merge(options.folder.clone(), words);
    super::run(command)
}
