//! `mlp-gpu report`

use std::path::PathBuf;

use clap::Args;

use super::note;
use crate::error::Result;
use crate::files::{self, Named};
use crate::report::{self, page};

use source::RunOptions;

pub(super) mod plot;
mod source;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    run: RunOptions,
    /// Write the page to this file [default: report.html in the folder of a run, else RUN with the ending .html]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let path = options.output.clone().unwrap_or_else(|| match options.run.run.is_dir() {
        true => options.run.run.join(report::PAGE),
        false => options.run.run.with_extension("html"),
    });
    let outputs: [Named; 1] = [("--output", path.clone())];
    files::check_replaceable(&path)?;
    files::refuse_overwriting(&outputs, &options.run.inputs())?;
    let report = options.run.report(&outputs, true)?;
    files::write(&path, page(&report).as_bytes())?;
    note(&format!("The report is in {}", path.display()));
    Ok(())
}
