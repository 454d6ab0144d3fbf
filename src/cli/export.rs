//! `mlp-gpu export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::model::{ModelOptions, OutputOptions};
use super::print;
use crate::error::{Error, Remedy, Result};
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
    let ensemble = options.model.load(options.outputs.task)?;
    match format {
        Format::Onnx => files::write(&options.output, &export::onnx(&ensemble)?)?,
        Format::Npz if ensemble.len() > 1 => {
            let (name, count) = (ensemble.name(), ensemble.len());
            let error = Error::Usage(format!("an archive holds one model, and {name} is an ensemble of {count}"));
            return Err(error.advise(&[Remedy::Member]));
        }
        Format::Npz => files::write(&options.output, &export::npz(ensemble.first())?)?,
        Format::Safetensors if ensemble.len() > 1 => ensemble.save(&options.output)?,
        Format::Safetensors => {
            let checkpoint::Checkpoint { model, state, metadata, .. } = ensemble.first();
            checkpoint::save(&options.output, model, state, metadata.as_ref())?;
        }
    }
    let of = if ensemble.len() > 1 { format!("{} members, the first ", ensemble.len()) } else { String::new() };
    print(&format!("{}: {of}{}", options.output.display(), ensemble.first().model))
}
