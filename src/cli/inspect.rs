//! `mlp-gpu inspect`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::eval::RowOptions;
use super::model::{self, ModelOptions};
use super::{note, print, print_text};
use crate::checkpoint::{Metadata, Training};
use crate::error::Result;
use crate::files::{self, Named};
use crate::inspect::{self, Report};
use crate::model::Embed;
use crate::recipe::Recipe;
use crate::schedule::{Schedule, ScheduleKind};
use crate::{data, preview};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Flags of data look for dead units in its rows; without --data there is no such look
    #[command(flatten)]
    rows: RowOptions,
    /// Write a picture of the first layer's units to this PNG file: the weights of each, 0 in mid-grey
    #[arg(long, value_name = "FILE")]
    units: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let outputs: Vec<Named> = options.units.iter().map(|path| ("--units", path.clone())).collect();
    if let Some(path) = &options.units {
        files::check_replaceable(path)?;
        files::refuse_overwriting(&outputs, &[("<MODEL>", options.model.model.clone())])?;
    }
    // What was assumed is part of what is shown.
    let checkpoint = options.model.read(options.rows.data.table.task)?.into_single()?;
    let (model, parameters) = (&checkpoint.model, &checkpoint.state.parameters);
    let samples = match options.rows.data.data {
        Some(_) => Some(options.rows.load(&checkpoint, &outputs, note)?),
        None => None,
    };
    let initial = checkpoint.metadata.as_ref().and_then(|metadata| {
        let (Metadata { recipe, training, .. }, drawn) = (metadata, metadata.training.init_from.is_none());
        (drawn && training.rows > 0).then(|| model.initial_parameters(recipe.init, recipe.seed))
    });
    let reports = inspect::layers(model, parameters, initial.as_deref(), samples.as_ref());
    let assumed: Vec<String> = checkpoint.assumed.iter().map(model::told).collect();
    if options.json {
        print(
            &json!({
                "model": checkpoint.name,
                "widths": model.widths(),
                "parameters": parameters.len(),
                "layers": reports,
                "rows": samples.as_ref().map(data::Samples::len),
                "classes": checkpoint.classes(),
                "metadata": checkpoint.metadata,
                "activation": model.activation(),
                "assumed": assumed,
            })
            .to_string(),
        )?;
    } else {
        print_text(&format!("{}: {model}, {} parameters", checkpoint.name, parameters.len()))?;
        match &checkpoint.metadata {
            Some(metadata) => describe(metadata)?,
            None => print_text(&format!("no metadata of a training; activation: {}", model.activation().name()))?,
        }
        assumed.iter().try_for_each(|line| print_text(&format!("assumed: {line}")))?;
        print("layer  inputs  outputs  |weights|   |biases|")?;
        for (index, Report { inputs, outputs, weight_norm, bias_norm, .. }) in reports.iter().enumerate() {
            print(&format!("{index:>5}  {inputs:>6}  {outputs:>7}  {weight_norm:>9.4}  {bias_norm:>9.4}"))?;
        }
        for (index, report) in reports.iter().enumerate().take(reports.len() - 1) {
            let rows = samples.as_ref().map_or(0, data::Samples::len);
            let tell = |units: &[usize], what: &str| print_text(&format!("layer {index}: {} {what}", listed(units)));
            tell(&report.zero_units, "with weights that are all 0, in or out")?;
            if let Some(units) = &report.unmoved_units {
                tell(units, "that never moved: weights and bias are those that training began with")?;
            }
            if let Some(units) = &report.dead_units {
                tell(units, &format!("dead: activation 0 for each of {rows} rows"))?;
            }
        }
    }
    if let Some(path) = &options.units {
        files::write(path, &preview::units(model, parameters, checkpoint.image())?)?;
        if !options.json {
            print_text(&format!("{}: the {} units of layer 0", path.display(), model.layers()[0].outputs))?;
        }
    }
    Ok(())
}

fn describe(metadata: &Metadata) -> Result<()> {
    let Metadata { data, epochs, version, format_version, recipe, training, .. } = metadata;
    // Arrays alone do not say what they were trained on.
    let known = !data.is_empty();
    let trained = || {
        format!(
            "trained on {data} for {epochs} epochs with seed {}, by mlp-gpu {version} (format {format_version})",
            recipe.seed
        )
    };
    if known {
        print_text(&trained())?;
    }
    let inputs = match (metadata.image, &metadata.columns) {
        (Some(size), _) => {
            let colour = data::channels(size, metadata.widths[0]) == Some(data::COLOURS);
            format!("{} of {} x {}", if colour { "colour images" } else { "images" }, size.0, size.1)
        }
        (None, Some(columns)) => match &metadata.schema {
            Some(schema) => format!("columns: {columns}, {} features", schema.width()),
            None => format!("columns: {columns}"),
        },
        (None, None) => "features".into(),
    };
    let scaling = if metadata.scaling.is_some() { "scaled by its own numbers" } else { "bytes, / 255" };
    print_text(&format!("inputs: {inputs}, {scaling}"))?;
    match &metadata.target_scale {
        None => print_text(&format!("classes: {}", data::classes::list(&metadata.classes)))?,
        Some(scale) => print_text(&format!("values: {}", data::classes::list(&scale.names)))?,
    }
    print_text(&format!("activation: {}", metadata.recipe.activation.name()))?;
    if recipe.embed != Embed::None {
        print_text(&format!("numbers: embedded by {}", recipe.embed))?;
    }
    if recipe.trained_scale {
        print("first layer's inputs: with trained factors")?;
    }
    let Training { rows, device, best, .. } = training;
    if *rows > 0 {
        let Recipe { epochs, batch_size, shuffle, schedule, .. } = recipe;
        let Schedule { kind, lr, lr_decay, lr_decay_every, .. } = schedule;
        let falling = match kind {
            ScheduleKind::Notebook => format!(" falling by {lr_decay} every {lr_decay_every} epochs"),
            kind => format!(", schedule {}", kind.name()),
        };
        let order = if *shuffle { "a new order each epoch" } else { "the order of the file" };
        let device =
            device.as_ref().map_or_else(String::new, |(backend, plan)| format!(", on {backend} (plan {plan})"));
        let best = best.map_or_else(String::new, |best| format!(", best epoch {}", best.epoch));
        print_text(&format!(
            "training: {rows} rows in batches of {batch_size}, {order}, {epochs} epochs asked for, {} at learning rate \
             {lr}{falling}{device}{best}",
            recipe.optimizer.kind.name()
        ))?;
    }
    Ok(())
}

/// How many units, and the first of them.
fn listed(units: &[usize]) -> String {
    let first: Vec<String> = units.iter().take(20).map(usize::to_string).collect();
    let rest = if units.len() > 20 { ", ..." } else { "" };
    match units.len() {
        0 => "no unit".into(),
        1 => format!("1 unit ({})", first[0]),
        count => format!("{count} units ({}{rest})", first.join(", ")),
    }
}
