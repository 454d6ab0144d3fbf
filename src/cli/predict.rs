//! `mlp-gpu predict`

use std::io::{Cursor, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::model::{ModelOptions, OutputOptions};
use super::{ComputeOptions, note, print, read_so, select};
use crate::checkpoint::Checkpoint;
use crate::data::framing::{self, Framing};
use crate::data::{self, Columns, Decimal, Delimiter, Header, Inputs, Scale, csv, images};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::preview;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Images, or CSV files of rows (plain or packed; with or without header and labels); - for either on standard input
    #[arg(value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Classes to print with their probabilities, the most probable first
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// How an image becomes a row [default: as the model's file says; mnist where it says nothing and takes 784 inputs]
    #[arg(long, value_enum)]
    framing: Option<Framing>,
    /// Write a picture of the images as the network sees them to this PNG file
    #[arg(long, value_name = "FILE")]
    framed: Option<PathBuf>,
    /// Column of the labels in a CSV file, which is left out: its name, or its number from 1 on (-1 or last: the last one)
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    /// Whether a CSV file's first line names the columns
    #[arg(long, value_enum, default_value = "auto")]
    header: Header,
    /// What stands between the cells of a CSV file
    #[arg(long, value_enum, default_value = "auto")]
    delimiter: Delimiter,
    /// The decimal mark of a CSV file
    #[arg(long, value_enum, default_value = "auto")]
    decimal: Decimal,
    /// Whether features are divided by 255, for a model whose file does not say: 255 or none
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    #[command(flatten)]
    outputs: OutputOptions,
    /// Print a JSON object per row
    #[arg(long)]
    json: bool,
}

/// Rows of an input, and what each is called.
struct Rows {
    inputs: Inputs,
    names: Vec<String>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.framed {
        files::check_replaceable(path)?;
        let inputs = options.inputs.iter().filter(|path| path.as_os_str() != "-").map(|path| ("<FILE>", path.clone()));
        let inputs: Vec<Named> = inputs.chain([("<MODEL>", options.model.model.clone())]).collect();
        files::refuse_overwriting(&[("--framed", path.clone())], &inputs)?;
    }
    let checkpoint = options.model.load(options.outputs.task)?;
    let mut backend = checkpoint.on(&select(&options.compute.request())?)?;

    // Each input stands for itself: a bad one is told of, and the others are predicted all the same.
    let mut failed = None;
    let mut framed = Vec::new();
    for path in &options.inputs {
        let rows = read(options, &checkpoint, path, &mut framed);
        match rows.and_then(|rows| Ok((backend.predict(&rows.inputs)?, rows))) {
            Ok((probabilities, rows)) => show(options, &checkpoint, &rows.names, &probabilities)?,
            Err(error) => {
                if let Some(before) = failed.replace(error) {
                    note(&format!("error: {before}"));
                }
            }
        }
    }
    if let (Some(path), false) = (&options.framed, framed.is_empty()) {
        let size = checkpoint.image().unwrap_or((framing::SIDE, framing::SIDE));
        files::write(path, &preview::grid(&framed, size, framed.len().clamp(1, 10), 4)?)?;
    }
    failed.map_or(Ok(()), Err)
}

fn read(options: &Options, checkpoint: &Checkpoint, path: &Path, framed: &mut Vec<Vec<u8>>) -> Result<Rows> {
    if path.is_dir() {
        return Err(Error::file(path, "a folder", "an image or a CSV file"));
    }
    let name = path.display().to_string();
    if name != "-" {
        return if images::is_image(path) {
            image(options, checkpoint, path, None, framed)
        } else {
            table(options, checkpoint, path, &name, None)
        };
    }
    if std::io::stdin().is_terminal() {
        note("Reading rows from standard input");
    }
    let path = Path::new("standard input");
    let mut content = Vec::new();
    std::io::stdin().lock().read_to_end(&mut content).map_err(Error::io("read", path))?;
    if images::is_image_content(&content) {
        image(options, checkpoint, path, Some(&content), framed)
    } else {
        table(options, checkpoint, path, &name, Some(&content))
    }
}

/// The image at `path`, or `content`, as a row.
fn image(
    options: &Options,
    checkpoint: &Checkpoint,
    path: &Path,
    content: Option<&[u8]>,
    framed: &mut Vec<Vec<u8>>,
) -> Result<Rows> {
    let Some(size) = checkpoint.image() else {
        let expected =
            format!("rows of {} features in a CSV file, as {} takes", checkpoint.model.inputs(), checkpoint.name);
        return Err(Error::file(path, "an image", expected));
    };
    let framing = match options.framing.unwrap_or(checkpoint.framing()) {
        Framing::Mnist if size != (framing::SIDE, framing::SIDE) => {
            let (height, width) = size;
            let message =
                format!("--framing mnist makes images of 28 x 28, and {} takes {height} x {width}", checkpoint.name);
            return Err(Error::Usage(message));
        }
        framing => framing,
    };
    let row = match content {
        Some(content) => framing.row_of(path, Cursor::new(content), size)?,
        None => framing.row(path, size)?,
    };
    if options.framed.is_some() {
        framed.push(row.clone());
    }
    let inputs = checkpoint.rows(path, Inputs::U8(row), options.scale)?;
    let name = if content.is_some() { "-".into() } else { path.display().to_string() };
    Ok(Rows { inputs, names: vec![name] })
}

/// The rows of the table at `path`, or in `content`, called `name`.
fn table(options: &Options, checkpoint: &Checkpoint, path: &Path, name: &str, content: Option<&[u8]>) -> Result<Rows> {
    let unnamed = Columns { count: checkpoint.model.inputs() + 1, label: 0, names: None };
    let known = checkpoint.known();
    let columns = known.columns.unwrap_or(&unnamed);
    let reading = data::Options {
        label: options.label.clone(),
        header: options.header,
        delimiter: options.delimiter,
        decimal: options.decimal,
        ..data::Options::default()
    };
    let mut notes = Vec::new();
    let read = csv::features(path, content, &reading, columns, known.schema, &mut notes)?;
    notes.iter().for_each(|line| note(&read_so(line)));
    let inputs = checkpoint.rows(path, Inputs::F32(read.values), options.scale)?;
    Ok(Rows { inputs, names: read.lines.iter().map(|line| format!("{name}:{line}")).collect() })
}

fn show(options: &Options, checkpoint: &Checkpoint, names: &[String], probabilities: &[f32]) -> Result<()> {
    if let Some(scale) = checkpoint.metadata.as_ref().and_then(|metadata| metadata.target_scale.as_ref()) {
        let values = scale.undo(probabilities);
        for (name, values) in names.iter().zip(values.chunks_exact(scale.names.len())) {
            if options.json {
                print(&json!({ "input": name, "values": values }).to_string())?;
            } else {
                let values: Vec<String> = values.iter().map(|value| format!("{value}")).collect();
                print(&format!("{name}: {}", values.join(", ")))?;
            }
        }
        return Ok(());
    }
    let classes = checkpoint.classes();
    for (name, p) in names.iter().zip(probabilities.chunks_exact(classes.len())) {
        let mut order: Vec<usize> = (0..p.len()).collect();
        // Stable: of equal ones the first, as in an evaluation.
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
        order.truncate(usize::from(options.top));
        if options.json {
            let mut line = json!({ "input": name, "class": classes[order[0]], "probabilities": p });
            if options.top > 1 {
                let top = order.iter().map(|&class| json!({ "class": classes[class], "probability": p[class] }));
                line["top"] = top.collect();
            }
            print(&line.to_string())?;
        } else {
            let top: Vec<String> = order.iter().map(|&class| format!("{} {:.4}", classes[class], p[class])).collect();
            print(&format!("{name}: {}", top.join(", ")))?;
        }
    }
    Ok(())
}
