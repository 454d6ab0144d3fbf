//! `mlp-gpu data`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::print;
use crate::data;
use crate::error::Result;
use crate::{files, preview};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a picture of a data set: a row of examples a class
    Preview(PreviewOptions),
}

#[derive(Debug, Args)]
pub(super) struct PreviewOptions {
    /// Data set, as `train --data` takes it
    #[arg(value_name = "NAME|PATH")]
    data: String,
    /// Data folder: holds mnist/train-images-idx3-ubyte[.gz] and so on
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Examples a class
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    columns: u16,
}

pub(super) fn run(command: &Command) -> Result<()> {
    let Command::Preview(options) = command;
    files::check_writable(&options.out)?;
    let (dataset, _) =
        data::load(&options.data, &data::Options { folder: options.data_dir.clone(), ..data::Options::default() })?;
    files::write(&options.out, &preview::contact_sheet(&dataset, usize::from(options.columns), 2)?)?;
    print(&format!("{}: {} examples of each class of {}", options.out.display(), options.columns, dataset.name))
}
