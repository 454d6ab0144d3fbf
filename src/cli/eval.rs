//! `mlp-gpu eval`

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::model::ModelOptions;
use super::{ComputeOptions, DataOptions, note, print, read_so, select, spare_data};
use crate::backend::{BackendExt, Split};
use crate::checkpoint::Checkpoint;
use crate::data::{self, Part, Samples, TargetScale};
use crate::error::Result;
use crate::files::Named;
use crate::metrics::Evaluation;

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
        let seed = self.seed.or(metadata.map(|metadata| metadata.recipe.seed)).unwrap_or(0);
        let given = self.data.reading(seed);
        let (source, reading) = match (&self.data.data, metadata) {
            (Some(source), _) => (source.as_str(), given),
            (None, None) => ("auto", given),
            (None, Some(metadata)) if metadata.data.is_empty() => ("auto", given),
            (None, Some(metadata)) => (metadata.data.as_str(), given.or(&metadata.reading)),
        };
        let (source, folder) = self.data.locate(source, note)?;
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
    let samples = options.rows.load(&checkpoint, &[])?;
    let mut backend = checkpoint.on(&selected)?;
    let because = selected.why.map_or_else(String::new, |why| format!(": {why}"));
    let about = backend.about();
    note(&format!("Backend: {}, {}{because}", about.name, about.device));
    backend.upload(Split::Test, &Arc::new(samples))?;
    let found = backend.evaluate_now(Split::Test)?;
    if let Some(scale) = checkpoint.metadata.as_ref().and_then(|metadata| metadata.target_scale.as_ref()) {
        return values(&found, scale, options.json);
    }
    let classes = checkpoint.classes();
    let confusion: Vec<&[u64]> = found.confusion.chunks_exact(classes.len()).collect();
    let (precision, recall) = (found.precision(), found.recall());
    if options.json {
        return print(
            &json!({
                "n": found.samples(),
                "loss": found.mean_loss(),
                "accuracy": found.accuracy(),
                "precision": precision,
                "recall": recall,
                "confusion": confusion,
                "classes": classes,
            })
            .to_string(),
        );
    }
    print(&format!("Rows: {}", found.samples()))?;
    print(&format!("Loss: {:.4}", found.mean_loss()))?;
    print(&format!("Accuracy: {:.4}", found.accuracy()))?;
    classes_table(&classes, &found, &precision, &recall)?;
    confusion_table(&classes, &confusion)
}

/// Tells the errors of predicted values, in the unit of the targets.
fn values(found: &Evaluation, scale: &TargetScale, as_json: bool) -> Result<()> {
    let found = found.in_units(scale);
    if as_json {
        let (n, loss) = (found.samples(), found.mean_loss());
        let line = json!({
            "n": n, "loss": loss, "rmse": found.rmse(), "mae": found.mae(), "r2": found.r2(), "targets": scale.names,
        });
        return print(&line.to_string());
    }
    print(&format!("Rows: {}", found.samples()))?;
    print(&format!("Loss: {:.4}, of standardised targets", found.mean_loss()))?;
    for (name, errors) in scale.names.iter().zip(&found.errors) {
        let rows = found.samples();
        let (rmse, mae, r2) = (errors.rmse(rows), errors.mae(rows), errors.r2(rows));
        print(&format!("{name}: RMSE {rmse:.6}, MAE {mae:.6}, R2 {r2:.4}"))?;
    }
    Ok(())
}

fn classes_table(
    classes: &[String],
    found: &Evaluation,
    precision: &[Option<f64>],
    recall: &[Option<f64>],
) -> Result<()> {
    let width = width_of(classes).max(5);
    print(&format!("\n{:<width$}  precision  recall  rows", "class"))?;
    let share = |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{share:.4}"));
    for (index, class) in classes.iter().enumerate() {
        let rows: u64 = found.confusion[index * classes.len()..][..classes.len()].iter().sum();
        print(&format!("{class:<width$}  {:>9}  {:>6}  {rows}", share(precision[index]), share(recall[index])))?;
    }
    Ok(())
}

fn confusion_table(classes: &[String], confusion: &[&[u64]]) -> Result<()> {
    let width = width_of(classes);
    let most = confusion.iter().copied().flatten().max().copied().unwrap_or(0);
    let cell = width.max(most.to_string().len());
    print("\nconfusion matrix: a row a true class, a column a predicted one")?;
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|text| format!("  {text:>cell$}")).collect();
        print(&format!("{name:<width$}{cells}"))
    };
    line("", classes.to_vec())?;
    for (class, row) in classes.iter().zip(confusion) {
        line(class, row.iter().map(u64::to_string).collect())?;
    }
    Ok(())
}

fn width_of(classes: &[String]) -> usize {
    classes.iter().map(|class| class.chars().count()).max().unwrap_or(0)
}
