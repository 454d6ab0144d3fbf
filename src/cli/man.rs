//! `mlp-gpu man`

use std::path::PathBuf;

use clap::Args;

use super::help;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder, such as ~/.local/share/man/man1; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let folder = &options.folder;
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    clap_mangen::generate_to(help::command(), folder).map_err(Error::io("write", folder))
}
