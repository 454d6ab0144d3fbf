//! `mlp-gpu export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::model::{ModelOptions, OutputOptions};
use super::print;
use crate::error::{Error, Result};
use crate::{checkpoint, export, files};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Its format [default: by the ending of its name]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    outputs: OutputOptions,
}

/// The format of a model's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A graph from inputs to probabilities, for any runtime
    Onnx,
    /// A NumPy archive of the arrays W1, b1, W2, b2, ...
    Npz,
    /// As train --save writes it
    Safetensors,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let ending = options.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let Some(format) = options.format.or_else(|| Format::from_str(ending, true).ok()) else {
        return Err(Error::Usage(format!(
            "{}: its ending names no format: give --format onnx, npz or safetensors",
            options.output.display()
        )));
    };
    files::check_replaceable(&options.output)?;
    files::refuse_overwriting(&[("--output", options.output.clone())], &[("<MODEL>", options.model.model.clone())])?;
    let checkpoint = options.model.load(options.outputs.task)?;
    match format {
        Format::Onnx => files::write(&options.output, &export::onnx(&checkpoint)?)?,
        Format::Npz => files::write(&options.output, &export::npz(&checkpoint)?)?,
        Format::Safetensors => {
            let checkpoint::Checkpoint { model, state, metadata, .. } = &checkpoint;
            checkpoint::save(&options.output, model, state, metadata.as_ref())?;
        }
    }
    print(&format!("{}: {}", options.output.display(), checkpoint.model))
}
