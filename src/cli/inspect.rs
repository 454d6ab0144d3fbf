//! `mlp-gpu inspect`

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::metrics::norm;
use crate::{checkpoint, files, preview};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A safetensors file, as train --save writes it
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Write a picture of the first layer's units to this PNG file: the weights of each, 0 in mid-grey
    #[arg(long, value_name = "FILE")]
    units: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.units {
        files::check_writable(path)?;
    }
    let checkpoint = checkpoint::load(&options.model)?;
    let (model, parameters) = (&checkpoint.model, &checkpoint.parameters);
    print(&format!("{}: {model}, {} parameters", options.model.display(), parameters.len()))?;
    match &checkpoint.metadata {
        Some(made) => print(&format!(
            "trained on {} for {} epochs with seed {}, by mlp-gpu {}",
            made.data, made.epochs, made.seed, made.version
        ))?,
        None => print("no metadata: not written by mlp-gpu")?,
    }
    print("layer  inputs  outputs  |weights|   |biases|")?;
    for (index, layer) in model.layers().iter().enumerate() {
        let norms = [&layer.weights, &layer.biases].map(|range| norm(&parameters[range.clone()]));
        let [weights, biases] = norms;
        print(&format!("{index:>5}  {:>6}  {:>7}  {weights:>9.4}  {biases:>9.4}", layer.inputs, layer.outputs))?;
    }
    if let Some(path) = &options.units {
        files::write(path, &preview::units(model, parameters)?)?;
        print(&format!("{}: the {} units of layer 0", path.display(), model.layers()[0].outputs))?;
    }
    Ok(())
}
