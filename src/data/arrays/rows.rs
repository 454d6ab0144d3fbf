//! From arrays to rows: what an array's shape says of its rows, and the classes or numbers that belong to them.

use std::path::Path;

use super::array::Array;
use super::pixels::{Precision, Range};
use crate::data::csv::Held;
use crate::data::targets::{Column, Fault, Found};
use crate::data::{self, COLOURS, Columns, Decimal, Delimiter, Expected, Header, Inputs, Kind, Note, Options, Schema};
use crate::error::{Error, Remedy, Result};

/// The rows of an array.
pub(super) struct Rows {
    pub(super) inputs: Inputs,
    pub(super) count: usize,
    /// Values per row.
    pub(super) width: usize,
    /// (height, width) in pixels where rows are images.
    pub(super) image: Option<(usize, usize)>,
    /// What the array's type says of their values.
    pub(super) precision: Precision,
}

/// What inputs must be.
const FINITE: &str = "integers or floats, all finite (what is missing must be filled in; in CSV files that is done)";

/// How arrays are read as rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Whether images lie on their side: columns of pixels stand where rows should.
    pub(super) transpose: bool,
    /// (height, width) of images, upright, where the shape of the array does not say it.
    pub(super) image: Option<(usize, usize)>,
}

impl Rows {
    /// The rows of the array `name` of the file or folder at `path`.
    ///
    /// # Errors
    /// [`Error::File`] for an array of a shape that has no rows, of text, or with values that are not finite.
    pub(super) fn of(path: &Path, name: &str, array: Array, reading: Reading, notes: &mut Vec<Note>) -> Result<Self> {
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let shape = array.shape.clone();
        if shape.is_empty() || shape.contains(&0) {
            let expected = "rows x features, rows x height x width, or the same with colours behind";
            return Err(bad(format!("{name} of shape {shape:?}"), expected));
        }
        // Axes of images in the order height, width, colours.
        let (axes, colours): (Option<[usize; 3]>, usize) = match shape[1..] {
            [_, _] => (Some([1, 2, 0]), 1),
            [_, _, 1] => (Some([1, 2, 3]), 1),
            [1, _, _] => (Some([2, 3, 1]), 1),
            [_, _, COLOURS] => (Some([1, 2, 3]), COLOURS),
            [COLOURS, _, _] => (Some([2, 3, 1]), COLOURS),
            _ => (None, 1),
        };
        let count = shape[0];
        let width = shape[1..].iter().product();
        let mut image = axes.map(|[height, width, _]| (shape[height], shape[width]));
        let mut array = array;
        if let Some([mut height, mut width, colour]) = axes {
            if reading.transpose {
                (height, width) = (width, height);
                image = image.map(|(height, width)| (width, height));
            }
            if shape.len() == 4 {
                if colours > 1 && colour == 1 {
                    let text =
                        format!("{name} has colours before rows of pixels; they are put behind each pixel's place");
                    notes.push(text.into());
                }
                array = array.transposed(&[0, height, width, colour]);
            } else if reading.transpose {
                array = array.transposed(&[0, height, width]);
            }
        } else if shape.len() > 2 {
            notes.push(format!("{name} of shape {shape:?} is taken as {width} features per row").into());
        }
        match (reading.image, image) {
            (Some((height, width)), Some((rows, columns))) if (height, width) != (rows, columns) => {
                let expected = format!("images of {height} x {width} (arrays are not resized)");
                return Err(bad(format!("images of {rows} x {columns} in {name}"), &expected));
            }
            (Some((height, columns)), None) => {
                let Some(channels) = data::channels((height, columns), width) else {
                    return Err(bad(
                        format!("rows of {width} values in {name}"),
                        &format!("{height} x {columns} pixels"),
                    ));
                };
                image = Some((height, columns));
                if reading.transpose {
                    array.shape = vec![count, columns, height, channels];
                    array = array.transposed(&[0, 2, 1, 3]);
                }
            }
            (None, None) if reading.transpose => {
                let found = format!("rows of {width} values in {name}");
                return Err(
                    bad(found, "images, or their size, to transpose them").advise(&[Remedy::Option("image_size")])
                );
            }
            _ => {}
        }
        array.shape = vec![count, width];
        let precision = Precision::of(&array);
        let inputs = array.inputs();
        let inputs = inputs.map_err(|found| bad(format!("{name} {found}"), FINITE))?;
        Ok(Self { inputs, count, width, image, precision })
    }
}

impl Rows {
    /// The inputs, brought to 0 to 255 where `range` says that they are pixels; as they are where there is none.
    pub(super) fn brought(self, range: Option<Range>) -> Inputs {
        match range {
            Some(range) => range.bring(self.inputs, self.precision.near),
            None => self.inputs,
        }
    }
}

/// The rows of the array `name` of the file at `path`, for a model of tables with these `columns` and this `schema`: what its
/// schema makes of the same cells in a CSV file. The array has all columns but the targets', or those alone that became features.
///
/// # Errors
/// [`Error::File`] for other columns than these, and for what the schema cannot take.
pub(super) fn of_table(
    path: &Path,
    name: &str,
    array: &Array,
    (columns, schema): (&Columns, Option<&Schema>),
    notes: &mut Vec<Note>,
) -> Result<Rows> {
    let [count, ref features @ ..] = array.shape[..] else {
        return Err(Error::file(path, format!("{name} of a single value"), "rows of features"));
    };
    let features: &[usize] = features;
    let width = match features {
        [] => 1,
        [width] => *width,
        _ => 0,
    };
    let all: Vec<usize> = (0..columns.count).filter(|index| *index != columns.label).collect();
    let became = |index: &usize| schema.is_none_or(|schema| schema.columns[*index].held() != Held::Nothing);
    let used: Vec<usize> = all.iter().copied().filter(became).collect();
    let there = match width {
        0 => None,
        width if width == all.len() => Some(&all),
        width if width == used.len() && columns.names.is_some() => Some(&used),
        _ => None,
    };
    let Some(there) = there.filter(|_| count > 0) else {
        let expected = format!("rows of {} columns, as in training, without the targets", all.len());
        return Err(Error::file(path, format!("{name} of shape {:?}", array.shape), expected));
    };
    // A category that is a whole number is not written as a float is.
    let floats = |index: usize| match schema.map(|schema| &schema.columns[index]) {
        Some(Kind::Categories { values, .. }) => values.iter().any(|value| value.ends_with(".0")),
        _ => false,
    };
    let floats: Vec<bool> = there.iter().map(|index| floats(*index)).collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::io("read", path)(error.into());
    if let Some(names) = &columns.names {
        table.write_record(there.iter().map(|index| &names[*index])).map_err(failed)?;
    }
    let mut texts = array.texts();
    for _ in 0..count {
        for (text, float) in texts.by_ref().take(width).zip(&floats) {
            let text = if *float { &text } else { text.strip_suffix(".0").unwrap_or(&text) };
            table.write_field(text).map_err(failed)?;
        }
        table.write_record(None::<&[u8]>).map_err(failed)?;
    }
    let table = table.into_inner().map_err(|error| Error::io("read", path)(error.into_error()))?;
    let header = if columns.names.is_some() { Header::Yes } else { Header::No };
    let options = Options { header, delimiter: Delimiter::Comma, decimal: Decimal::Dot, ..Options::default() };
    let features = data::csv::features(path, Some(&table), &options, columns, schema, notes)?;
    let width = schema.map_or(there.len(), Schema::width);
    let kept = features.values.len() / width.max(1);
    if kept != count {
        let found = format!("{} rows of {name} with a missing value", count - kept);
        return Err(Error::file(path, found, "none, as the model leaves such rows out"));
    }
    let precision = Precision::SINGLE;
    Ok(Rows { inputs: Inputs::F32(features.values), count, width, image: None, precision })
}

/// Targets that belong to rows.
pub(super) struct Targets {
    pub(super) found: Found,
    /// Numbers per row.
    pub(super) outputs: usize,
}

impl Targets {
    /// How many rows targets of this `shape` are of, which are `count`, as [`Targets::of`] wants them.
    ///
    /// # Errors
    /// [`Error::File`] where they are not.
    pub(super) fn rows(path: &Path, name: &str, shape: &[usize], (inputs, count): (&str, usize)) -> Result<usize> {
        match shape {
            [n] | [n, _] | [1, n] if *n == count => Ok(*n),
            _ => Err(Self::wrong(path, format!("{name} of shape {shape:?}"), (inputs, count))),
        }
    }

    /// Refuses inputs of the shape `of_inputs` whose rows are their last axis, as in MATLAB's files, where targets of the shape
    /// `of_targets` say so.
    ///
    /// # Errors
    /// [`Error::File`] that says how to move it.
    pub(super) fn refuse_rows_last(
        path: &Path,
        (inputs, of_inputs): (&str, &[usize]),
        (targets, of_targets): (&str, &[usize]),
    ) -> Result<()> {
        let ([first, .., last], [rows] | [rows, _]) = (of_inputs, of_targets) else { return Ok(()) };
        let rows = if *rows == 1 { of_targets.last().unwrap_or(rows) } else { rows };
        if last != rows || first == rows {
            return Ok(());
        }
        let found = format!("{inputs} of shape {of_inputs:?} for {rows} rows in {targets}: its rows are its last axis");
        Err(Error::file(
            path,
            found,
            format!("rows as its first axis: in NumPy, {inputs} = np.moveaxis({inputs}, -1, 0)"),
        ))
    }

    fn wrong(path: &Path, found: String, (inputs, count): (&str, usize)) -> Error {
        Error::file(path, found, format!("[{count}], a class or a number for each row of {inputs}"))
    }

    /// The targets in the array `name`, of the rows `of`: the name of the array of their inputs, and their number.
    ///
    /// # Errors
    /// [`Error::File`] where they are not one, or several numbers, for each row.
    pub(super) fn of(
        path: &Path,
        name: &str,
        array: &Array,
        of: (&str, usize),
        expected: Expected<'_>,
    ) -> Result<Self> {
        let shape = &array.shape[..];
        let rows = Self::rows(path, name, shape, of)?;
        let outputs = array.shape.iter().product::<usize>() / rows.max(1);
        let classes = expected != Expected::Values;
        if classes && outputs > 1 {
            match one_hot(array, outputs) {
                Ok(texts) => {
                    let mut found = column(path, name, texts.into_iter(), expected, 1)?;
                    let text = format!("{name} has a column per class: rows with a single 1 are taken as its number");
                    found.note = Some(Note::new(text, "task"));
                    return Ok(Self { found, outputs: 1 });
                }
                // Several numbers per row are values, where they may be.
                Err(Faults { share, .. }) if expected == Expected::Any && array.is_float() && share < NEARLY_ALL => {}
                Err(Faults { why, .. }) => {
                    let advice = [Remedy::Values];
                    return Err(Self::wrong(path, format!("{name} of shape {shape:?}, {why}"), of).advise(&advice));
                }
            }
        }
        if outputs == 0 {
            return Err(Self::wrong(path, format!("{name} of shape {shape:?}"), of));
        }
        let kind = if outputs == 1 { expected } else { Expected::Values };
        let found = column(path, name, array.texts(), kind, outputs)?;
        let several = outputs > 1 && expected == Expected::Any;
        let note = several.then(|| format!("the targets are {outputs} numbers per row, as {name} has columns").into());
        Ok(Self { found: Found { note: note.or(found.note), ..found }, outputs })
    }
}

/// The share of rows with a single 1 from which on the others are mistakes, and the numbers no values.
const NEARLY_ALL: f64 = 0.9;

/// Why rows of numbers are no classes.
struct Faults {
    /// What the first row is that has no single 1.
    why: String,
    /// The share of the rows that have one.
    share: f64,
}

/// The place of the single 1 in each row of `columns` numbers, as text.
fn one_hot(array: &Array, columns: usize) -> Result<Vec<String>, Faults> {
    let values: Vec<f64> = array.numbers().map_err(|why| Faults { why, share: 0.0 })?.collect();
    let place = |(row, values): (usize, &[f64])| {
        let mut ones = (0..columns).filter(|at| values[*at] == 1.0);
        match (ones.next(), ones.next(), values.iter().all(|value| *value == 0.0 || *value == 1.0)) {
            (Some(place), None, true) => Ok(place.to_string()),
            (_, _, true) => Err(format!("of which row {row} has no single 1")),
            (.., false) => Err(format!("of which row {row} has other numbers than 0 and 1")),
        }
    };
    let rows = || values.chunks_exact(columns).enumerate().map(place);
    rows().collect::<Result<_, _>>().map_err(|why| {
        let ones = rows().filter(Result::is_ok).count();
        Faults { why, share: ones as f64 / rows().len().max(1) as f64 }
    })
}

/// The targets in `texts`, `outputs` per row.
fn column(
    path: &Path,
    name: &str,
    texts: impl Iterator<Item = String>,
    expected: Expected<'_>,
    outputs: usize,
) -> Result<Found> {
    let what = if matches!(expected, Expected::Classes(_)) { "class " } else { "" };
    let bad = |index: usize, text: &str, expected| {
        let column = if outputs == 1 { String::new() } else { format!(", {}", index % outputs) };
        Error::file(path, format!("{what}{text} in {name}[{}{column}]", index / outputs), expected)
    };
    let mut column = Column::new(expected);
    for (index, text) in texts.enumerate() {
        column.push(&text).map_err(|expected| bad(index, &text, expected))?;
    }
    column.finish().map_err(|Fault { row, text, expected }| bad(row, &text, expected))
}
