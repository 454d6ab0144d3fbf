//! Data sets that are arrays: NumPy archives (.npz), NumPy files (.npy) and IDX files. Their names say which array is what, their
//! shapes what the rows are, their values whether they are pixels.

use std::path::{Path, PathBuf};

use crate::data::targets::Cells;
use crate::data::{Expected, Inputs, Known, Note, Options, Part, Raw, Samples, Task};
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
pub use pixels::Range;
pub(super) use pixels::{Look, Precision};
use rows::{Reading, Rows, Targets};
use store::Store;

/// The part of a data set that a file of this name says it is.
pub(super) fn part_of(name: &str) -> Option<Part> {
    names::Meaning::of(name).part
}

/// Whether arrays are at `path`: a file or a folder of them, or files whose names begin so; or whether `content` holds some.
pub(crate) fn present(path: &Path, content: Option<&[u8]>) -> bool {
    store::present(path, content)
}

/// The files at `path` that hold arrays, and those that `named` names ([`Options::arrays`]).
pub(super) fn files(path: &Path, named: &[String]) -> Vec<PathBuf> {
    store::files(path, named)
}

/// Reads the arrays at `path`, or in `content`, which messages call `path`, with targets of the kind `task` or of the kind that they
/// look like, for the model `known` if one is given. What was decided goes to `notes`.
///
/// # Errors
/// [`Error::File`] naming the array that is missing or malformed; [`Error::Usage`] for options that name no arrays.
pub fn read(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    known: Option<&Known<'_>>,
    task: Option<Task>,
    notes: &mut Vec<Note>,
) -> Result<Raw> {
    let mut store = Store::open(path, content)?;
    let chosen = store.choose(options, known.is_some(), notes)?;
    let reading = reading(&store, &chosen, options, known, notes);
    // IDX files hold the labels of classes.
    let task = task.or(store.is_idx().then_some(Task::Classes));
    // A model may be evaluated on a test part alone.
    let alone = known.and_then(|_| chosen.parts().into_iter().find(|pair| !pair.is_empty()));
    let first = alone.unwrap_or(&chosen.train);
    let RowsAndTargets { rows, targets: Targets { found, outputs } } =
        part(&mut store, first, reading, (known, Expected::of(task)), notes)?;
    notes.extend(found.note);
    let (classes, cells) = (found.cells.classes().to_vec(), found.cells);
    let target_scale = cells.scale(|| match outputs {
        1 => vec!["y".into()],
        _ => (0..outputs).map(|output| format!("y[{output}]")).collect(),
    });
    let mut other = |pair: &Pair| -> Result<Option<(Rows, Cells)>> {
        if pair.is_empty() || std::ptr::eq(pair, first) {
            return Ok(None);
        }
        let other = part(&mut store, pair, reading, (known, cells.expected()), &mut Vec::new())?;
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let of_rows = |rows: &Rows| match rows.image {
            Some((height, width)) => format!("images of {height} x {width}"),
            None => format!("rows of {} values", rows.width),
        };
        if (other.rows.width, other.rows.image) != (rows.width, rows.image) {
            let found = format!("{} in {}", of_rows(&other.rows), name(&pair.inputs));
            return Err(Error::file(path, found, format!("{}, as in {}", of_rows(&rows), name(&first.inputs))));
        }
        if other.targets.outputs != outputs {
            let found = format!("rows of {} targets in {}", other.targets.outputs, name(&pair.targets));
            return Err(Error::file(path, found, format!("rows of {outputs}, as in training")));
        }
        notes.extend(other.targets.found.note.filter(|note| !notes.contains(note)));
        Ok(Some((other.rows, other.targets.found.cells)))
    };
    let (test, validation) = (other(&chosen.test)?, other(&chosen.validation)?);
    let (width, image) = (rows.width, rows.image);
    let others = [(&test, &chosen.test), (&validation, &chosen.validation)];
    let others = others.into_iter().map(|(other, pair)| Some((pair.inputs.as_deref()?, &other.as_ref()?.0)));
    let parts: Vec<_> =
        std::iter::once(Some((first.inputs.as_deref().unwrap_or_default(), &rows))).chain(others).collect();
    let ranges = ranges(path, &parts, known, notes)?;
    let range = ranges[0];
    let samples = |rows: Rows, cells: Cells, range: Option<Range>| -> Result<Samples> {
        let samples = cells.with(rows.brought(range), width, target_scale.as_ref())?;
        if let Some(size) = image { samples.with_image(size) } else { Ok(samples) }
    };
    let other = |part: Option<(Rows, Cells)>, range| part.map(|(rows, cells)| samples(rows, cells, range)).transpose();
    let (test, validation) = (other(test, ranges[1])?, other(validation, ranges[2])?);
    let train = samples(rows, cells, range)?;
    Ok(Raw { name: path.display().to_string(), train, test, validation, classes, target_scale, columns: None, range })
}

/// The inputs at `path`, or in `content`, for the model `known`, without their targets: those of the test part where there are
/// several parts.
///
/// # Errors
/// Those of [`read`].
pub fn inputs(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    known: &Known<'_>,
    notes: &mut Vec<Note>,
) -> Result<Inputs> {
    let mut store = Store::open(path, content)?;
    let single = if options.arrays.is_empty() { store.single()?.cloned() } else { None };
    let chosen = match single {
        Some(name) => Chosen { train: Pair { inputs: Some(name), targets: None }, ..Chosen::default() },
        None => store.choose(options, true, notes)?,
    };
    let reading = reading(&store, &chosen, options, Some(known), notes);
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
    let look = Look::of(std::iter::once((&rows.inputs, rows.precision)));
    Ok(rows.brought(known.range_of(path, name, &look, notes)?))
}

/// What the values of each of the `parts` stand for, which are names and rows; the first is there. Mostly they stand for the same,
/// but one part may have been divided by 255 and another not.
///
/// # Errors
/// [`Error::File`] where a part can be neither of the range of the first nor of another one.
fn ranges(
    path: &Path,
    parts: &[Option<(&str, &Rows)>],
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Result<Vec<Option<Range>>> {
    let look = |rows: &Rows| Look::of(std::iter::once((&rows.inputs, rows.precision)));
    if let Some(known) = known {
        let of = |part: &Option<(&str, &Rows)>| match part {
            Some((name, rows)) => known.range_of(path, name, &look(rows), notes),
            None => Ok(None),
        };
        return parts.iter().map(of).collect();
    }
    let Some((name, first)) = parts[0] else { return Ok(vec![None; parts.len()]) };
    let image = first.image.is_some();
    let all = Look::of(parts.iter().flatten().map(|(_, rows)| (&rows.inputs, rows.precision)));
    let range = Range::of_first(&look(first), &all, image);
    if range.is_pixels() && !(range == Range::BYTES && matches!(first.inputs, Inputs::U8(_))) {
        notes.push(Note::new(format!("{name} holds {range}, taken as such"), "scale"));
    }
    let mut ranges = vec![Some(range)];
    for part in &parts[1..] {
        let Some((other, rows)) = part else {
            ranges.push(None);
            continue;
        };
        let own = range
            .of_part(&look(rows), &all, image)
            .map_err(|found| Error::file(path, format!("{found} in {other}"), format!("{range}, as in {name}")))?;
        if own != range {
            let text = format!("{other} holds {own}, taken as such, where {name} holds {range}");
            notes.push(Note::new(text, "scale"));
        }
        ranges.push(Some(own));
    }
    Ok(ranges)
}

/// How the arrays are read: as `options` say, and for a model as its training data were.
fn reading(
    store: &Store<'_>,
    chosen: &Chosen,
    options: &Options,
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Reading {
    // The published files of EMNIST hold images whose rows and columns are exchanged.
    let emnist = |name: &String| names::Meaning::of(name).group.iter().any(|word| word == "emnist");
    let on_its_side = store.is_idx() && chosen.names().any(emnist);
    let told = options.transpose.or(known.and_then(|known| known.transpose).filter(|_| on_its_side));
    if on_its_side && told.is_none() {
        let text = "EMNIST's files hold images on their side, which are put upright";
        notes.push(Note::new(text.into(), "transpose"));
    }
    let image = options.image_size.or(known.and_then(|known| known.image.filter(|_| known.of_images)));
    Reading { transpose: told.unwrap_or(on_its_side), image }
}

/// The rows of a part and their targets.
struct RowsAndTargets {
    rows: Rows,
    targets: Targets,
}

fn part(
    store: &mut Store<'_>,
    pair: &Pair,
    reading: Reading,
    (known, expected): (Option<&Known<'_>>, Expected<'_>),
    notes: &mut Vec<Note>,
) -> Result<RowsAndTargets> {
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
    // Before anything is unpacked, which may be large.
    if let Some([of_inputs, of_targets]) = store.headers([inputs, targets])?
        && let Some(&count) = of_inputs.first().filter(|&&count| count > 0)
    {
        Targets::refuse_rows_last(&path, (inputs, &of_inputs), (targets, &of_targets))?;
        Targets::rows(&path, targets, &of_targets, (inputs, count))?;
    }
    let rows = rows(store, inputs, reading, known, notes)?;
    let array = store.targets(targets, notes)?;
    let targets = Targets::of(&path, targets, &array, (inputs, rows.count), expected)?;
    Ok(RowsAndTargets { rows, targets })
}

/// The rows of the array `name`, as the model `known` takes them if one is given.
fn rows(
    store: &mut Store<'_>,
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
