//! `mlp-gpu data convert`, and what `data inspect` says of its files

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::cv::TABLE_VALIDATION;
use crate::cli::{DataOptions, note, print, read_so, spare_data};
use crate::data::{self, Dataset, Inputs, classes, converted};
use crate::error::{Error, Result};
use crate::files;
use crate::memory::{self, Bytes};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Data set, as `train --data` takes it
    #[arg(value_name = "NAME|PATH", required_unless_present = "data")]
    source: Vec<String>,
    #[command(flatten)]
    data: DataOptions,
    /// Seed of the draws of rows: that which `train` is to have
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The file to write, which --data takes then
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let path = &options.output;
    let source = match (&options.source[..], &options.data.data) {
        ([source], None) | ([], Some(source)) => source,
        ([_], Some(_)) => return Err(Error::Usage("what to convert is named twice: leave --data out".into())),
        _ => {
            let message = "one data set is converted: give many files of one table as a pattern in quotes, such as \
                           'part-*.csv', or as their folder";
            return Err(Error::Usage(message.into()));
        }
    };
    files::check_replaceable(path)?;
    // What there is no memory for lies beside the result meanwhile.
    memory::spill(files::folder_of(path));
    let (source, folder) = options.data.locate(source, false, note)?;
    // As `train` without flags reads tables.
    let table_validation = Some(TABLE_VALIDATION);
    let reading = data::Options { folder, table_validation, ..options.data.reading(options.seed) };
    spare_data("<NAME|PATH>", source, &reading, &[("--output", path.clone())])?;
    let (dataset, notes) = data::load(source, &reading)?;
    notes.iter().for_each(|line| note(&read_so(line)));
    converted::write(&dataset, &notes, path)?;
    let bytes = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    print(&format!("{}: {}, {}", path.display(), summary(&dataset), Bytes(bytes)))
}

/// Parts, rows and targets in a line.
fn summary(dataset: &Dataset) -> String {
    let rows: Vec<String> = dataset.parts().map(|(split, part)| format!("{} {}", part.len(), split.name())).collect();
    let kind = if matches!(dataset.train.inputs, Inputs::U8(_)) { "bytes" } else { "numbers" };
    let targets = match &dataset.target_scale {
        Some(scale) => format!("targets {}", classes::list(&scale.names)),
        None => format!("classes {}", classes::list(&dataset.classes)),
    };
    format!("{} rows of {} {kind}, {targets}", rows.join(" + "), dataset.train.width)
}

/// Tells what the converted data set at `path` holds.
pub(super) fn inspect(path: &str, reading: &data::Options, as_json: bool) -> Result<()> {
    let (dataset, notes) = data::load(path, reading)?;
    let features = dataset.schema.as_ref().map(|schema| &schema.features);
    if as_json {
        let rows: serde_json::Map<String, Value> =
            dataset.parts().map(|(split, part)| (split.name().to_owned(), part.len().into())).collect();
        let notes: Vec<&str> = notes.iter().map(|note| &note.text[..]).collect();
        let object = json!({
            "file": path,
            "rows": rows,
            "width": dataset.train.width,
            "bytes": matches!(dataset.train.inputs, Inputs::U8(_)),
            "image": dataset.image(),
            "classes": dataset.classes,
            "targets": dataset.target_scale.as_ref().map(|scale| &scale.names),
            "features": features,
            "seed": dataset.origin.seed,
            "notes": notes,
        });
        return print(&object.to_string());
    }
    notes.iter().for_each(|line| note(&read_so(line)));
    print(&format!("{}: {}", Path::new(path).display(), summary(&dataset)))?;
    match features {
        Some(features) => print(&format!("features: {}", classes::list(features))),
        None => Ok(()),
    }
}
