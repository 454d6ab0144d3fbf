//! `mlp-gpu eval`

use std::sync::Arc;

use clap::Args;

use super::model::ModelOptions;
use super::{ComputeOptions, DataOptions, note, read_so, select, spare_data};
use crate::backend::{BackendExt, Split};
use crate::checkpoint::{Checkpoint, Metadata};
use crate::data::{self, Part, Samples};
use crate::error::{Error, Result};
use crate::files::Named;
use crate::metrics::errors::Deviations;

use classes::Figures;

mod classes;
mod values;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    compute: ComputeOptions,
    #[command(flatten)]
    rows: RowOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Flags that choose the rows that a model meets.
#[derive(Debug, Args)]
pub(super) struct RowOptions {
    #[command(flatten)]
    pub(super) data: DataOptions,
    /// The rows of the data set
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// Seed of the rows that are drawn [default: that of the training]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl RowOptions {
    /// The rows as the model takes them; what there is to say of them goes to standard error. None of `outputs` may be a file
    /// that they are read from.
    pub(super) fn load(&self, checkpoint: &Checkpoint, outputs: &[Named]) -> Result<Samples> {
        let metadata = checkpoint.metadata.as_ref();
        if self.data.table.weight.is_some() {
            return Err(Error::Usage("--weight is for training, and here all rows count alike: leave it out".into()));
        }
        let seed = self.seed.or(metadata.map(Metadata::drawn_with)).unwrap_or(0);
        let given = self.data.reading(seed);
        let (source, reading) = match (&self.data.data, metadata) {
            (Some(source), _) => (source.as_str(), given),
            (None, None) => ("auto", given),
            (None, Some(metadata)) if metadata.data.is_empty() => ("auto", given),
            (None, Some(metadata)) => (metadata.data.as_str(), given.or(&metadata.reading)),
        };
        let (source, folder) = self.data.locate(source, false, note)?;
        let reading = data::Options { folder, ..reading };
        spare_data("--data", source, &reading, outputs)?;
        let (samples, notes) = data::load_for(source, &reading, &checkpoint.known(), self.part)?;
        notes.iter().for_each(|line| note(&read_so(line)));
        Ok(samples)
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    let checkpoint = options.model.load(options.rows.data.table.task)?;
    let selected = select(&options.compute.request())?;
    let samples = Arc::new(options.rows.load(&checkpoint, &[])?);
    let mut backend = checkpoint.on(&selected)?;
    let because = selected.why.map_or_else(String::new, |why| format!(": {why}"));
    let about = backend.about();
    note(&format!("Backend: {}, {}{because}", about.name, about.device));
    backend.upload(Split::Test, &samples)?;
    let found = backend.evaluate_now(Split::Test)?;
    let predicted = backend.predict_all(&samples)?;
    match checkpoint.target_scale() {
        Some(scale) => {
            let deviations = Deviations::of(&predicted, samples.values(), scale);
            values::tell(&found.in_units(scale), &deviations, scale, options.json)
        }
        None => classes::tell(&Figures::new(&checkpoint.classes(), &found, &predicted, samples.labels()), options.json),
    }
}

/// A figure as the text shows it.
fn shown(figure: Option<f64>) -> String {
    figure.filter(|figure| figure.is_finite()).map_or_else(|| "-".into(), |figure| format!("{figure:.4}"))
}
