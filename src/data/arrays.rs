//! Data sets that are arrays: NumPy archives (.npz), NumPy files (.npy) and IDX files. Their names say which array is what
//! ([`names`]), their shapes what the rows are ([`rows`]), their values whether they are pixels ([`pixels`]).

use std::path::{Path, PathBuf};

use crate::data::targets::Cells;
use crate::data::{Expected, Inputs, Known, Note, Options, Raw, Samples, Scale, TargetScale, Task};
use crate::error::{Error, Remedy, Result};

mod array;
mod names;
mod pixels;
mod rows;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use array::Array;
pub(super) use array::{Element, Kind, MAX_BYTES};

use names::{Chosen, Pair};
use pixels::Range;
use rows::{Reading, Rows, Targets};
use store::Store;

/// Whether arrays are at `path`: a file or a folder of them, or files whose names begin so.
pub(crate) fn present(path: &Path) -> bool {
    store::present(path)
}

/// The files at `path` that hold arrays.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    store::files(path)
}

/// Reads the arrays at `path`, with targets of the kind `task` or of the kind that they look like, for the model `known` if one
/// is given. What was decided goes to `notes`.
///
/// # Errors
/// [`Error::File`] naming the array that is missing or malformed; [`Error::Usage`] for options that name no arrays.
pub fn read(
    path: &Path,
    options: &Options,
    known: Option<&Known<'_>>,
    task: Option<Task>,
    notes: &mut Vec<Note>,
) -> Result<Raw> {
    let mut store = Store::open(path)?;
    let chosen = store.choose(options, notes)?;
    let reading = reading(&store, &chosen, options, known, notes)?;
    // IDX files hold the labels of classes.
    let task = task.or(store.is_idx().then_some(Task::Classes));
    let parts = [&chosen.train, &chosen.test, &chosen.validation];
    let given = |pair: &&Pair| pair.inputs.is_some() || pair.targets.is_some();
    // A model may be evaluated on a test part alone.
    let first = if known.is_some() { parts.into_iter().find(given) } else { None };
    let train = first.unwrap_or(&chosen.train);
    let Part { rows: Rows { inputs, width, image, range, .. }, targets: Targets { found, outputs } } =
        part(&mut store, train, reading, (known, Expected::of(task)), notes)?;
    notes.extend(found.note.map(Note::from));
    let (classes, cells) = (found.cells.classes().to_vec(), found.cells);
    let target_scale = cells.scale(|| match outputs {
        1 => vec!["y".into()],
        _ => (0..outputs).map(|output| format!("y[{output}]")).collect(),
    });
    let mut other = |pair: &Pair| -> Result<Option<Samples>> {
        if !given(&pair) || std::ptr::eq(pair, train) {
            return Ok(None);
        }
        let Part { rows, targets } = part(
            &mut store,
            pair,
            Reading { range: Some(range), ..reading },
            (known, cells.expected()),
            &mut Vec::new(),
        )?;
        let name = |pair: &Pair| pair.inputs.clone().unwrap_or_default();
        let of_rows = |width, image: Option<(usize, usize)>| match image {
            Some((height, width)) => format!("images of {height} x {width}"),
            None => format!("rows of {width} values"),
        };
        if (rows.width, rows.image) != (width, image) {
            let expected = format!("{}, as in {}", of_rows(width, image), name(train));
            return Err(Error::file(path, format!("{} in {}", of_rows(rows.width, rows.image), name(pair)), expected));
        }
        if targets.outputs != outputs {
            let found = format!("rows of {} targets in {}", targets.outputs, pair.targets.clone().unwrap_or_default());
            return Err(Error::file(path, found, format!("rows of {outputs}, as in training")));
        }
        samples(targets.found.cells, rows.inputs, (width, image), target_scale.as_ref()).map(Some)
    };
    let (test, validation) = (other(&chosen.test)?, other(&chosen.validation)?);
    if known.is_none() && range.is_pixels() && range != Range::Pixels(255.0) {
        let name = train.inputs.as_deref().unwrap_or_default();
        notes.push(Note::new(format!("{name} holds {range}, taken as such"), "scale"));
    }
    let train = samples(cells, inputs, (width, image), target_scale.as_ref())?;
    let scale = range.is_pixels().then_some(Scale::Bytes);
    Ok(Raw { name: path.display().to_string(), train, test, validation, classes, target_scale, columns: None, scale })
}

/// The inputs at `path` for the model `known`, without their targets: those of the test part where there are several parts.
///
/// # Errors
/// Those of [`read`].
pub fn inputs(path: &Path, options: &Options, known: &Known<'_>, notes: &mut Vec<Note>) -> Result<Inputs> {
    let mut store = Store::open(path)?;
    let chosen = store.choose(options, notes)?;
    let reading = reading(&store, &chosen, options, Some(known), notes)?;
    let parts = [&chosen.test, &chosen.train, &chosen.validation];
    let names: Vec<&String> = parts.into_iter().filter_map(|pair| pair.inputs.as_ref()).collect();
    let Some(name) = names.first() else {
        return Err(Error::file(path, "targets without inputs", "an array x, or one named alike"));
    };
    if names.len() > 1 {
        notes.push(Note::new(format!("the rows of {name} are taken, of several parts"), "arrays"));
    }
    let rows = rows(&mut store, name, reading, Some(known), notes)?;
    if rows.width != known.width {
        let expected = format!("{}, as {} takes", known.width, known.model);
        return Err(Error::file(path, format!("rows of {} values in {name}", rows.width), expected));
    }
    Ok(rows.inputs)
}

/// How the arrays are read: as `options` say, and for a model as its training data were.
fn reading(
    store: &Store,
    chosen: &Chosen,
    options: &Options,
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Result<Reading> {
    // The published files of EMNIST hold images whose rows and columns are exchanged.
    let on_its_side =
        store.is_idx() && chosen.names().any(|name| store.words(name).iter().any(|word| word == "emnist"));
    if on_its_side && options.transpose.is_none() {
        let text = "EMNIST's files hold images on their side, which are put upright";
        notes.push(Note::new(text.into(), "transpose"));
    }
    let as_they_are = match known {
        Some(known) if known.described => !known.takes_pixels(),
        _ => options.scale.is_some_and(|scale| scale != Scale::Bytes),
    };
    let range = as_they_are.then_some(Range::AsTheyAre);
    Ok(Reading { transpose: options.transpose.unwrap_or(on_its_side), image: options.image_size, range })
}

/// The rows of a part and their targets.
struct Part {
    rows: Rows,
    targets: Targets,
}

fn part(
    store: &mut Store,
    pair: &Pair,
    reading: Reading,
    (known, expected): (Option<&Known<'_>>, Expected<'_>),
    notes: &mut Vec<Note>,
) -> Result<Part> {
    let path = store.path.clone();
    let (inputs, targets) = match (&pair.inputs, &pair.targets) {
        (Some(inputs), Some(targets)) => (inputs, targets),
        (given, other) => {
            let (missing, expected) = match (given, other) {
                (Some(name), _) => {
                    (format!("no targets that belong to {name}"), "y beside x, or train-labels beside train-images")
                }
                (None, Some(name)) => {
                    (format!("no inputs that belong to {name}"), "x beside y, or train-images beside train-labels")
                }
                (None, None) => ("no training part".into(), "x and y, or x_train and y_train"),
            };
            let found = format!("{missing} among {}", store.listed());
            return Err(Error::file(&path, found, expected).advise(&[Remedy::Option("arrays")]));
        }
    };
    let rows = rows(store, inputs, reading, known, notes)?;
    let array = store.targets(targets, notes)?;
    let targets = Targets::of(&path, targets, &array, (inputs, rows.count), expected)?;
    Ok(Part { rows, targets })
}

/// The rows of the array `name`, as the model `known` takes them if one is given.
fn rows(
    store: &mut Store,
    name: &str,
    reading: Reading,
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Result<Rows> {
    let (array, path) = (store.array(name)?, &store.path);
    match known.and_then(|known| Some((known.columns?, known.schema))) {
        Some(columns) => rows::of_table(path, name, &array, columns, notes),
        None => Rows::of(path, name, array, reading, notes),
    }
}

fn samples(
    cells: Cells,
    inputs: Inputs,
    (width, image): (usize, Option<(usize, usize)>),
    scale: Option<&TargetScale>,
) -> Result<Samples> {
    let samples = cells.with(inputs, width, scale)?;
    match image {
        Some(size) => samples.with_image(size),
        None => Ok(samples),
    }
}
