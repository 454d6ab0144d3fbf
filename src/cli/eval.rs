//! `mlp-gpu eval`

use std::sync::Arc;

use clap::Args;

use super::model::{self, ModelOptions};
use super::{ComputeOptions, DataOptions, Once, note, read_so, select, spare_data};
use crate::checkpoint::{Checkpoint, Ensemble, Metadata};
use crate::data::{self, Part, Samples, Task};
use crate::ensemble::Evaluated;
use crate::error::{Error, Result};
use crate::files::Named;
use crate::metrics::errors::Deviations;

use classes::Figures;
pub(super) use members::Figure;
use members::Members;

mod classes;
mod members;
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
    /// Whether other rows are asked for than those of the model's own test part.
    pub(super) fn is_given(&self) -> bool {
        let data = &self.data;
        let files = data.data.is_some() || data.test.is_some();
        files
            || data.test_split.is_some()
            || data.validation_split.is_some()
            || self.part != Part::Test
            || self.seed.is_some()
    }

    /// The part of the data set that they are.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// What the targets are said to be.
    pub(super) fn task(&self) -> Option<Task> {
        self.data.table.task
    }

    /// The rows as the model takes them; what there is to say of them goes to `tell`. None of `outputs` may be a file that they
    /// are read from.
    pub(super) fn load(&self, checkpoint: &Checkpoint, outputs: &[Named], tell: impl Fn(&str)) -> Result<Samples> {
        let metadata = checkpoint.metadata.as_ref();
        if self.data.table.weight.is_some() {
            return Err(Error::Usage("--weight is for training, and here all rows count alike: leave it out".into()));
        }
        let seed = self.seed.or(metadata.map(Metadata::drawn_by)).unwrap_or(0);
        let given = self.data.reading(seed);
        let (source, reading) = match (&self.data.data, metadata) {
            (Some(source), _) => (source.as_str(), given),
            (None, None) => ("auto", given),
            (None, Some(metadata)) if metadata.data.is_empty() => ("auto", given),
            (None, Some(metadata)) => (metadata.data.as_str(), given.or(&metadata.reading)),
        };
        let (source, folder) = self.data.locate(source, false, &tell)?;
        let reading = data::Options { folder, ..reading };
        spare_data("--data", source, &reading, outputs)?;
        let (samples, notes) = data::load_for(source, &reading, &checkpoint.known(), self.part)?;
        notes.iter().for_each(|line| tell(&read_so(line)));
        Ok(samples)
    }

    /// The rows as each reader of the ensemble takes them; what there is to say of them goes to standard error once. None of `outputs`
    /// may be a file that they are read from.
    pub(super) fn load_for(&self, ensemble: &Ensemble, outputs: &[Named]) -> Result<Vec<Arc<Samples>>> {
        let readers = ensemble.readers();
        if readers.len() > 1 && self.data.data.as_deref() == Some("-") {
            let (name, ways) = (ensemble.name(), readers.len());
            return Err(Error::Usage(format!(
                "standard input can be read once, and the members of {name} read data in {ways} ways: give --data a file"
            )));
        }
        let told = Once::default();
        readers.iter().map(|reader| Ok(Arc::new(self.load(reader, outputs, |line| told.note(line))?))).collect()
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    let ensemble = options.model.load(options.rows.data.table.task)?;
    let selected = select(&options.compute.request())?;
    let samples = options.rows.load_for(&ensemble, &[])?;
    let is_of_folds =
        |member: &Checkpoint| member.metadata.as_ref().is_some_and(|kept| kept.training.held_back.is_some());
    if options.rows.data.data.is_none() && ensemble.members().iter().any(is_of_folds) {
        note(
            "These networks learnt from all rows but their own fold: what they say of rows that are new to them, cv tells",
        );
    }
    let mut running = ensemble.on(&selected);
    let because = selected.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let about = running.about()?;
    note(&format!("Backend: {}, {}{because}", about.name, about.device));
    let mut members = Members::new(&ensemble);
    let Evaluated { found, predicted } = running.evaluate(&samples, |number, evaluated| {
        if ensemble.len() > 1 {
            members.add(figures(&ensemble.members()[number], evaluated, &samples[ensemble.readings()[number]]));
        }
        Ok(())
    })?;
    let samples = &samples[0];
    match ensemble.target_scale() {
        Some(scale) => {
            let deviations = Deviations::of(&predicted, samples.values(), scale);
            values::tell(&found.in_units(scale), &deviations, scale, &members, options.json)
        }
        None => {
            let first = ensemble.first();
            let classes = if options.json { first.classes() } else { first.class_names() };
            if !options.json {
                model::tell_names(first);
            }
            classes::tell(&Figures::new(&classes, &found, &predicted, samples.labels()), &members, options.json)
        }
    }
}

/// The figures of what `member` predicts of `samples`.
pub(super) fn figures(member: &Checkpoint, evaluated: &Evaluated, samples: &Samples) -> Vec<Figure> {
    let Evaluated { found, predicted } = evaluated;
    match member.target_scale() {
        Some(scale) => {
            let deviations = Deviations::of(predicted, samples.values(), scale);
            values::summary(&found.in_units(scale), &deviations)
        }
        None => Figures::new(&member.classes(), found, predicted, samples.labels()).summary(),
    }
}

/// A figure as the text shows it.
fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.filter(|figure| figure.is_finite()).map_or_else(|| "-".into(), |figure| format!("{figure:.digits$}"))
}
