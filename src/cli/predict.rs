//! `mlp-gpu predict`

use std::io::Cursor;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::model::{self, ModelOptions};
use super::{ArrayOptions, ComputeOptions, CsvOptions, Once, note, print, read_so, select};
use crate::checkpoint::{Checkpoint, Ensemble};
use crate::data::csv::Kept;
use crate::data::framing::{self, Framing};
use crate::data::images::{self, decode};
use crate::data::{self, Columns, Inputs, Scale, csv};
use crate::ensemble::Prediction;
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::preview;

use inputs::Input;
use output::{FileOptions, Output};

mod inputs;
mod output;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Images, folders of images, tables of rows (CSV, plain or packed, with or without header and labels; Parquet; Arrow), or
    /// arrays (.npz, .npy, IDX); patterns such as 'scans/*.png'; - for an image or rows on standard input
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
    /// Predict each piece of writing in an image, such as the digits of a number, in the order of reading: FILE#1, FILE#2, ...
    #[arg(long)]
    split: bool,
    /// Go on without the images that cannot be read or hold no writing
    #[arg(long)]
    skip_broken: bool,
    /// Write a picture of the images as the network sees them to this PNG file
    #[arg(long, value_name = "FILE")]
    framed: Option<PathBuf>,
    /// Column of the labels in a CSV file, which is left out: its name, or its number from 1 on (-1 or last: the last one)
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    #[command(flatten)]
    csv: CsvOptions,
    /// Whether features are divided by 255, for a model whose file does not say: 255 or none
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    #[command(flatten)]
    arrays: ArrayOptions,
    #[command(flatten)]
    outputs: model::OutputOptions,
    /// Print a JSON object per row
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    output: FileOptions,
}

/// Rows of an input, and what each is called.
struct Rows {
    inputs: Inputs,
    names: Vec<String>,
    /// What --keep keeps of them.
    kept: Option<Kept>,
}

/// The images that were read.
#[derive(Default)]
struct Seen {
    images: usize,
    /// Those of them in colour that were taken in grey.
    colourful: usize,
    /// Their rows, where a picture of them is asked for.
    framed: Vec<Vec<u8>>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    // Each input stands for itself: a bad one is told of, and the others are predicted all the same.
    let mut failed = None;
    let mut fail = |error| {
        if let Some(before) = failed.replace(error) {
            note(&format!("error: {before}"));
        }
    };
    let mut paths = Vec::new();
    for argument in &options.inputs {
        inputs::expand(argument).map_or_else(&mut fail, |found| paths.extend(found));
    }
    spare_inputs(options, &paths)?;
    let ensemble = options.model.load(options.outputs.task)?;
    let (mut inputs, mut broken) = (Vec::new(), Vec::new());
    for path in &paths {
        match Input::new(path) {
            Ok(input) => inputs.push(input),
            Err(error) if options.skip_broken => broken.push((path.clone(), error)),
            Err(error) => fail(error),
        }
    }
    if !inputs.is_empty() && broken.is_empty() && !inputs.iter().any(|input| input.image) {
        let of_images = [
            ("--framing", options.framing.is_some()),
            ("--split", options.split),
            ("--skip-broken", options.skip_broken),
            ("--framed", options.framed.is_some()),
        ];
        for (flag, _) in of_images.iter().filter(|(_, given)| *given) {
            note(&format!("{flag} is for images, and none is given: it does nothing"));
        }
    }
    if options.top > 1 && options.output.output.is_some() && !options.json {
        let message =
            "--top is for standard output, and --output has the probabilities of all classes: leave --top out";
        return Err(Error::Usage(message.into()));
    }
    let mut output = match options.output.output {
        Some(_) => Some(Output::new(&options.output, &ensemble, &inputs)?),
        None => None,
    };
    if output.is_none() && !options.json {
        model::tell_names(ensemble.first());
    }
    let selected = select(&options.compute.request())?;
    let mut running = ensemble.on(&selected);
    running.about()?;

    let mut seen = Seen::default();
    for input in &inputs {
        let keep = output.as_ref().map_or(&[][..], Output::keep);
        let rows = read(options, &ensemble, input, keep, &mut seen);
        match rows.and_then(|(rows, inputs)| Ok((running.predict(&inputs)?, rows))) {
            Ok((prediction, rows)) => {
                let predicted = Predicted::new(&ensemble, prediction);
                if let Some(output) = &mut output {
                    output.add(&rows, &predicted)?;
                }
                if output.is_none() || options.json {
                    show(options, &ensemble, &rows.names, &predicted)?;
                }
            }
            Err(error @ (Error::File { .. } | Error::Io { .. })) if options.skip_broken && input.image => {
                broken.push((input.path.clone(), error));
            }
            Err(error) => fail(error),
        }
    }
    if !broken.is_empty() && broken.len() == paths.len() {
        // Nothing is left to go on with.
        let (_, error) = broken.swap_remove(0);
        return Err(failed.unwrap_or(error));
    }
    if !broken.is_empty() {
        let are = if broken.len() == 1 { "input is" } else { "inputs are" };
        let told = images::broken("".as_ref(), &broken);
        note(&format!("{} of {} {are} left out as broken: {told}", broken.len(), paths.len()));
    }
    if let Some(taken) = images::taken_in_grey(seen.colourful, seen.images) {
        note(&format!("{taken}, as {} takes them", ensemble.name()));
    }
    let framed = seen.framed;
    if let (Some(path), false) = (&options.framed, framed.is_empty()) {
        let size = ensemble.first().image().unwrap_or((framing::SIDE, framing::SIDE));
        files::write(path, &preview::grid(&framed, size, framed.len().clamp(1, 10), 4)?)?;
    }
    match (failed, output, &options.output.output) {
        (None, None, _) => Ok(()),
        (None, Some(output), _) => output.write(),
        (Some(error), _, Some(path)) => {
            note(&format!("{} is not written: it would lack rows", path.display()));
            Err(error)
        }
        (Some(error), ..) => Err(error),
    }
}

/// Refuses outputs that cannot be written, that are one file, or that are the model or one of the inputs `paths`.
fn spare_inputs(options: &Options, paths: &[PathBuf]) -> Result<()> {
    let outputs = [("--framed", &options.framed), ("--output", &options.output.output)];
    let outputs = outputs.into_iter().filter_map(|(flag, path)| Some((flag, path.clone()?)));
    let outputs: Vec<Named> = outputs.collect();
    for (_, path) in &outputs {
        files::check_replaceable(path)?;
    }
    options.output.output.iter().try_for_each(|path| files::check_table(path))?;
    if let [(_, framed), (_, output)] = &outputs[..]
        && files::same(framed, output)
    {
        let (framed, output) = (framed.display(), output.display());
        return Err(Error::Usage(format!("--framed {framed} and --output {output} are one file: give each its own")));
    }
    // What is left out of folders and patterns is the user's too.
    let given = options.inputs.iter().filter(|_| outputs.iter().any(|(_, path)| path.exists()));
    let beside = given.flat_map(|given| match files::matching(given) {
        _ if given.is_dir() => images::paths(given),
        found => found.ok().flatten().unwrap_or_default(),
    });
    let inputs =
        paths.iter().filter(|path| path.as_os_str() != "-").cloned().chain(beside).map(|path| ("<FILE>", path));
    let inputs: Vec<Named> = inputs.chain([("<MODEL>", options.model.model.clone())]).collect();
    files::refuse_overwriting(&outputs, &inputs)
}

/// The rows of `input` with the columns `keep`, and their inputs as each reader of the ensemble takes them.
fn read(
    options: &Options,
    ensemble: &Ensemble,
    input: &Input,
    keep: &[String],
    seen: &mut Seen,
) -> Result<(Rows, Vec<Inputs>)> {
    let told = Once::default();
    let mut first: Option<Rows> = None;
    let mut inputs = Vec::new();
    for reader in ensemble.readers() {
        let (mut again, is_first) = (Seen::default(), first.is_none());
        let (keep, seen) = if is_first { (keep, &mut *seen) } else { (&[][..], &mut again) };
        let mut rows = if input.image {
            image(options, reader, input, seen, &told)?
        } else if input.is_arrays() {
            arrays(options, reader, input, &told)?
        } else {
            table(options, reader, input, keep, &told)?
        };
        inputs.push(std::mem::replace(&mut rows.inputs, Inputs::F32(Vec::new())));
        first.get_or_insert(rows);
    }
    match first {
        Some(rows) => Ok((rows, inputs)),
        None => Err(Error::Data(format!("{} has no members", ensemble.name()))),
    }
}

/// The image `input` as a row.
fn image(options: &Options, checkpoint: &Checkpoint, input: &Input, seen: &mut Seen, told: &Once) -> Result<Rows> {
    let path = &input.path;
    let form = checkpoint.known().form(path, options.framing.unwrap_or(checkpoint.framing()))?;
    let picture = match &input.content {
        Some(content) => decode::decode(path, Cursor::new(content))?,
        None => decode::open(path)?,
    };
    seen.images += 1;
    seen.colourful += usize::from(form.lacks_colours_of(&picture));
    let name = input.name();
    let (rows, names) = if options.split {
        let rows = form.split(path, picture)?;
        let names = (1..=rows.len()).map(|number| format!("{name}#{number}")).collect();
        (rows, names)
    } else {
        let (row, pieces) = form.written(path, picture)?;
        if pieces > 1 {
            told.note(&format!("{name} seems to hold {pieces} pieces of writing; --split predicts each"));
        }
        (vec![row], vec![name])
    };
    if options.framed.is_some() {
        seen.framed.extend(rows.iter().cloned());
    }
    let inputs = checkpoint.rows(path, Inputs::U8(rows.concat()), options.scale)?;
    Ok(Rows { inputs, names, kept: None })
}

/// The rows of the arrays `input`.
fn arrays(options: &Options, checkpoint: &Checkpoint, input: &Input, told: &Once) -> Result<Rows> {
    let path = &input.path;
    if let Some((flag, _)) = [("--label", options.label.is_some()), ("--keep", !options.output.keep.is_empty())]
        .into_iter()
        .find(|(_, given)| *given)
    {
        return Err(Error::Usage(format!("{flag} is for tables, and {} holds arrays", path.display())));
    }
    let reading = data::Options { scale: options.scale, ..options.arrays.reading() };
    let mut notes = Vec::new();
    let inputs = data::arrays::inputs(path, input.content.as_deref(), &reading, &checkpoint.known(), &mut notes)?;
    notes.iter().for_each(|line| told.note(&read_so(line)));
    let inputs = checkpoint.rows(path, inputs, options.scale)?;
    let (name, rows) = (input.name(), inputs.len() / checkpoint.model.inputs());
    Ok(Rows { inputs, names: (0..rows).map(|row| format!("{name}[{row}]")).collect(), kept: None })
}

/// The rows of the table `input`, with the columns `keep`.
fn table(options: &Options, checkpoint: &Checkpoint, input: &Input, keep: &[String], told: &Once) -> Result<Rows> {
    let (path, content) = (&input.path, input.content.as_deref());
    let unnamed = Columns { count: checkpoint.model.inputs() + 1, label: 0, names: None };
    let known = checkpoint.known();
    let columns = known.columns.unwrap_or(&unnamed);
    let reading = data::Options { label: options.label.clone(), ..options.csv.reading() };
    let mut notes = Vec::new();
    let read = csv::features(path, content, &reading, columns, known.schema, &mut notes)?;
    let extra: Vec<String> = read.extra.into_iter().filter(|name| !keep.contains(name)).collect();
    notes.extend(csv::left_aside(path, &extra));
    notes.iter().for_each(|line| told.note(&read_so(line)));
    let kept = match keep {
        [] => None,
        keep => Some(Kept::read(path, content, &reading, &read.columns, keep, &read.lines)?),
    };
    let mut notes = Vec::new();
    let inputs = known.pixels(path, Inputs::F32(read.values), &mut notes)?;
    notes.iter().for_each(|line| told.note(&read_so(line)));
    let inputs = checkpoint.rows(path, inputs, options.scale)?;
    let name = input.name();
    Ok(Rows { inputs, names: read.lines.iter().map(|line| format!("{name}:{line}")).collect(), kept })
}

/// The `count` most probable of the classes with the probabilities `p`, the most probable first; of equal ones the first, as in
/// an evaluation.
pub(super) fn most_probable(p: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    order.truncate(count);
    order
}

/// The outputs of a model for some rows, as they are told.
enum Predicted {
    /// Probabilities, `rows x classes`.
    Classes(Vec<f32>),
    /// Values in the unit of the targets, `rows x outputs`, and the spread of each between the members of an ensemble.
    Values { values: Vec<f64>, spread: Option<Vec<f64>> },
}

impl Predicted {
    fn new(ensemble: &Ensemble, Prediction { of, spread }: Prediction) -> Self {
        match ensemble.target_scale() {
            Some(_) => Self::Values { values: of, spread: (ensemble.len() > 1).then_some(spread) },
            None => Self::Classes(of.into_iter().map(|probability| probability as f32).collect()),
        }
    }
}

fn show(options: &Options, ensemble: &Ensemble, names: &[String], predicted: &Predicted) -> Result<()> {
    let outputs = ensemble.first().model.outputs();
    let probabilities = match predicted {
        Predicted::Classes(probabilities) => probabilities,
        Predicted::Values { values, spread } => {
            for (row, (name, values)) in names.iter().zip(values.chunks_exact(outputs)).enumerate() {
                let spread = spread.as_ref().map(|spread| &spread[row * outputs..(row + 1) * outputs]);
                if options.json {
                    let mut line = json!({ "input": name, "values": values });
                    if let Some(spread) = spread {
                        line["spread"] = json!(spread);
                    }
                    print(&line.to_string())?;
                } else {
                    let texts = values.iter().enumerate().map(|(output, value)| match spread {
                        Some(spread) => format!("{value} (spread {})", spread[output]),
                        None => format!("{value}"),
                    });
                    print(&format!("{name}: {}", texts.collect::<Vec<_>>().join(", ")))?;
                }
            }
            return Ok(());
        }
    };
    let (classes, class_names) = (ensemble.first().classes(), ensemble.first().class_names());
    for (name, p) in names.iter().zip(probabilities.chunks_exact(classes.len())) {
        let order = most_probable(p, usize::from(options.top));
        if options.json {
            // With the class's name where that is not its label.
            let named = |class: usize, mut object: Value| {
                if class_names != classes {
                    object["name"] = json!(class_names[class]);
                }
                object
            };
            let mut line = named(order[0], json!({ "input": name, "class": classes[order[0]], "probabilities": p }));
            if options.top > 1 {
                let one = |&class: &usize| named(class, json!({ "class": classes[class], "probability": p[class] }));
                line["top"] = order.iter().map(one).collect();
            }
            print(&line.to_string())?;
        } else {
            let top: Vec<String> =
                order.iter().map(|&class| format!("{} {:.4}", class_names[class], p[class])).collect();
            print(&format!("{name}: {}", top.join(", ")))?;
        }
    }
    Ok(())
}
