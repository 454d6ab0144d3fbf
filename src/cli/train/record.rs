//! What is kept of a run beside its model: the options in the log's first line, and the configuration that does it again.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Options, is_table};
use crate::backend::About;
use crate::checkpoint::{Checkpoint, Metadata};
use crate::cli::config;
use crate::cli::recipe::{Given, without_idle};
use crate::data::{Dataset, Samples};
use crate::error::Result;
use crate::observe::log::object;
use crate::recipe::Recipe;

/// The configuration that does again what this run does.
pub(super) fn config(
    options: &Options,
    given: &Given,
    recipe: &Recipe,
    dataset: &Dataset,
    initial: Option<&Checkpoint>,
) -> Result<String> {
    let mut all = recipe.options()?;
    // Not flags of the recipe, or not in effect.
    let flagless = |name: &str| ["class_weight", "row_weights"].contains(&name);
    all.retain(|name, value| match value {
        Value::Null => false,
        Value::Bool(true) if ["shuffle", "train_eval"].contains(&name.as_str()) => false,
        Value::Array(values) if name == "dropout" => !values.is_empty(),
        _ => !flagless(name),
    });
    // Where a file says how the network starts, or classes weigh, these flags are refused.
    if initial.is_some() {
        all.remove("init");
    }
    if options.class_weight.is_some() {
        all.remove("label_smoothing");
    }
    // Too few rows for a validation part: the recipe sees that again.
    if recipe.stopping.early_stop.is_none() {
        all.remove("min_delta");
    }
    let all = without_idle(&all, |name| !given.contains_key(name), !is_table(dataset))?;
    let drawn = json!({ "data": dataset.name, "validation_split": dataset.origin.validation });
    let mut drawn = object(&drawn)?;
    drawn.retain(|_, value| !value.is_null());
    Ok(config::written(&options.words, &all, &drawn))
}

/// The first line of the log: all options.
pub(super) fn options(
    options: &Options,
    metadata: &Metadata,
    dataset: &Dataset,
    done: u32,
    about: &About,
) -> Result<Value> {
    let rows = |part: &Option<Arc<Samples>>| part.as_ref().map_or(0, |part| part.len());
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut line = object(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "data": dataset.name,
        "data_dir": shown(&options.data.data_dir),
        "train_samples": dataset.train.len(),
        "test_samples": rows(&dataset.test),
        "validation_samples": rows(&dataset.validation),
        "classes": dataset.classes,
        "targets": dataset.target_scale.as_ref().map(|scale| &scale.names),
        "widths": metadata.widths,
        "backend": about.name,
        "adapter": about.device,
        "plan": about.plan,
        "plan_reason": about.plan_reason,
        "precision": about.precision.name(),
        "init_from": shown(&options.init_from),
        "resume": shown(&options.resume),
        "epochs_done": done,
        "save": shown(&options.save),
        "save_every": options.save_every,
        "save_best": options.save_best.as_ref().map(shown),
        "quiet": options.quiet,
    }))?;
    if let Some(folder) = &options.run_dir {
        line.insert("run_dir".into(), folder.display().to_string().into());
    }
    line.extend(object(&metadata.reading)?);
    // JSON is text, and a path may be something else.
    line.insert("test".into(), shown(&metadata.reading.test).into());
    line.extend(metadata.recipe.options()?);
    Ok(Value::Object(line))
}
