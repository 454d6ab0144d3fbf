//! Tables, as text or in columns: one column of labels, and features in the others.

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::classes;
use crate::data::schema::{self, Encoding, Rules};
use crate::data::targets::{Cells, Found};
use crate::data::truth::truth;
use crate::data::{Expected, Inputs, Kind, Known, Missing, Note, Options, Raw, Schema, Task};
use crate::error::{Error, Remedy, Result};

mod alike;
mod blocks;
mod cells;
#[cfg(feature = "columnar")]
mod columnar;
mod columns;
mod dialect;
mod frame;
mod kept;
mod many;
mod marks;
mod merge;
mod opened;
mod parse;
mod pieces;
mod source;
mod table;
mod weight;

pub use cells::Decimal;
pub(crate) use cells::is_missing;
pub(super) use cells::show;
pub use columns::Columns;
pub use dialect::{Delimiter, Header};
#[cfg(test)]
pub(super) use frame::Chunk;
pub(super) use frame::{Frame, Held, Place, Places};
pub use kept::Kept;
pub use many::{TableFiles, table_files};
pub(crate) use many::{check_folder, is_folder_of_tables};
pub(super) use parse::NO_TEXT;
pub(super) use source::holds_arrays;
pub use table::Table;

use cells::{Number, Reading};
use columns::Layout;
use many::Sources;
use opened::{Faulty, Looked, Opened, read_rows};

/// Whether a text is a number, with whatever decimal mark.
pub(super) fn is_number(text: &str) -> bool {
    [false, true].into_iter().any(|comma| is_number_with(text, comma))
}

/// Whether a cell is one with this decimal mark: a comma or a point.
pub(super) fn is_number_with(cell: impl AsRef<[u8]>, comma: bool) -> bool {
    number(cell, comma).is_some()
}

/// The number that a cell is with this decimal mark, if it is one.
pub(super) fn number(cell: impl AsRef<[u8]>, comma: bool) -> Option<f64> {
    match (Reading { comma, missing: Vec::new() }).number(cell.as_ref()) {
        Number::Value(value) => Some(value),
        _ => None,
    }
}

/// Reads `path`, or `content`, which messages call `path`, as a table to learn from: a file, or all that [`table_files`] finds.
/// What it was taken for goes to `notes`.
///
/// # Errors
/// [`Error::File`] with the line and column of the first bad cell; [`Error::Usage`] where the label column does not exist.
pub fn read(path: &Path, content: Option<&[u8]>, options: &Options, notes: &mut Vec<Note>) -> Result<Table> {
    let sources = Sources::new(path, content)?;
    let opened = Opened::new(sources.first(), options, None, notes)?;
    let layout = Layout::new(path, &opened.dialect, options.header, options.column(), notes)?;
    let columns = layout.columns.clone();
    weight::refuse_target(&columns, options)?;
    let mut categories = columns.find(&options.categories)?;
    categories.extend(opened.categories.iter().filter(|index| **index != columns.label));
    let groups = weight::groups_column(&columns, options)?;
    let mut ignore = columns.find(&options.ignore)?;
    ignore.extend(groups.filter(|index| !ignore.contains(index)));
    let rules = Rules {
        ignore,
        categories,
        most: options.max_categories.unwrap_or(MAX_CATEGORIES).max(1),
        missing: options.missing,
        weight: weight::column(&columns, options)?,
        comma: opened.dialect.reading.comma,
    };
    let first = opened.rows(columns.names.is_some(), columns.label);
    let looked: Vec<Looked> = (0..columns.count).map(|index| opened.look(index, &first)).collect();
    // Models that know of numbers alone take them as they are.
    let look = |looked: &Looked| match looked.held {
        Held::Number { at, .. } if options.plain => Held::Number { at, origin: 0.0 },
        held => held,
    };
    let mut held: Vec<Held> = looked.iter().map(look).collect();
    for &index in &rules.categories {
        held[index] = Held::Text { at: 0 };
    }
    for &index in &rules.ignore {
        held[index] = Held::Nothing;
    }
    if let Some(index) = rules.weight {
        held[index] = Held::Number { at: 0, origin: 0.0 };
    }
    if let Some(index) = groups {
        held[index] = Held::Text { at: 0 };
    }
    let expected = Expected::of(options.task);
    let mut rows = read_rows(&sources, opened, &layout, &held, expected, options, notes)?;
    // What was met later than the first lines decides too: numbers among which there is text are read again as text, and those that
    // lie close together from another origin.
    let texts = rows.faults.iter().filter(|faulty| faulty.faults.texts > 0);
    let texts: BTreeSet<usize> =
        texts.map(|faulty| faulty.column).filter(|index| rules.weight != Some(*index)).collect();
    let is_open = |index: usize| !looked[index].settled && rules.weight != Some(index) && !texts.contains(&index);
    let is_any_open = !options.plain && (0..columns.count).any(is_open);
    let origins = if is_any_open { rows.origins(is_open) } else { Vec::new() };
    if !texts.is_empty() || !origins.is_empty() {
        texts.into_iter().for_each(|column| held[column] = Held::Text { at: 0 });
        origins.into_iter().for_each(|(column, origin)| held[column] = Held::Number { at: 0, origin });
        drop(rows);
        let opened = Opened::new(sources.first(), options, None, &mut Vec::new())?;
        rows = read_rows(&sources, opened, &layout, &held, expected, options, notes)?;
    }
    rows.check(path, &columns)?;
    if let Some(index) = rows.faults.iter().position(|faulty| rules.weight == Some(faulty.column)) {
        return Err(rows.faults.swap_remove(index).error);
    }
    rows.tell(notes);
    let mut frame = std::mem::take(&mut rows.frame);
    let mut weights = rules.weight.map(|index| weight::take(path, &mut frame, &columns, index)).transpose()?;
    let mut groups = groups.map(|index| weight::take_groups(path, &mut frame, &columns, index)).transpose()?;
    forget_marks(&mut frame, |index, texts| match rules.categories.contains(&index) {
        true => None,
        false => schema::marks_of_missing(texts, rules.comma),
    });
    let Some(Found { mut cells, note }) = rows.found else {
        return Err(Error::file(path, "no column of labels", "one"));
    };
    notes.extend(sources.note(frame.rows()));
    let about = match &cells {
        Cells::Classes { names, .. } => format!("{columns}, classes {}", classes::list(names)),
        Cells::Values(_) => columns.note("targets"),
    };
    notes.push(format!("{} rows, {about}", frame.rows()).into());
    notes.extend(note);
    if rules.missing == Missing::Drop {
        let kept = complete(path, &mut frame, &columns, notes).map_err(|error| error.advise(&OTHERWISE))?;
        cells.retain(|row| kept[row]);
        if let Some(weights) = &mut weights {
            let mut kept = kept.iter();
            weights.retain(|_| kept.next() == Some(&true));
        }
        if let Some(groups) = &mut groups {
            let mut kept = kept.iter();
            groups.retain(|_| kept.next() == Some(&true));
        }
    }
    Ok(Table { path: path.to_path_buf(), frame, targets: cells, weights, groups, columns, rules })
}

/// What helps a training file where cells are missing.
const OTHERWISE: [Remedy; 1] = [Remedy::Option("missing")];

/// The most categories of a column where the user does not say.
pub const MAX_CATEGORIES: usize = 32;

/// What targets of a second file must be, apart from those of the first.
enum Expectation {
    Classes(Vec<String>),
    Values,
}

impl Expectation {
    fn of(cells: &Cells) -> Self {
        match cells {
            Cells::Classes { names, .. } => Self::Classes(names.clone()),
            Cells::Values(_) => Self::Values,
        }
    }

    fn borrow(&self) -> Expected<'_> {
        match self {
            Self::Classes(names) => Expected::Classes(names),
            Self::Values => Expected::Values,
        }
    }
}

/// Reads `path`, and `options.test` as its test part, into the columns and targets that a model knows.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns and classes that the model does not know.
pub fn read_for(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    known: &Known<'_>,
    columns: &Columns,
    notes: &mut Vec<Note>,
) -> Result<Raw> {
    let expected = match known.task {
        Task::Classes => Expected::Classes(&known.classes),
        Task::Values => Expected::Values,
    };
    let plain = Schema::of_numbers(columns);
    let wanted = Wanted { columns, schema: known.schema.unwrap_or(&plain), expected };
    let mut part = |path: &Path, content| -> Result<(Vec<f32>, Cells)> {
        let rows = read_like(path, content, options, &wanted, true, notes)?;
        Ok((rows.features, rows.cells.ok_or_else(|| no_labels(path))?))
    };
    let (features, cells) = part(path, content)?;
    let test = options.test.as_deref().map(|test| part(test, None)).transpose()?;
    let target_scale = cells.scale(|| vec![columns.output()]);
    let classes = cells.classes().to_vec();
    let width = wanted.schema.width();
    let samples = |features, cells: Cells| cells.with(Inputs::F32(features), width, target_scale.as_ref());
    Ok(Raw {
        name: path.display().to_string(),
        test: test.map(|(features, cells)| samples(features, cells)).transpose()?,
        train: samples(features, cells)?,
        validation: None,
        classes,
        target_scale,
        columns: Some(columns.clone()),
        range: None,
    })
}

fn no_labels(path: &Path) -> Error {
    let expected = "one, as in training; to get predictions of rows without labels, use predict";
    Error::file(path, "no column of labels", expected).advise(&[Remedy::Option("label")])
}

/// Rows of features, and where each begins in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Row-major values, as the model's schema makes them and before they are scaled.
    pub values: Vec<f32>,
    /// The line of the file on which each row begins, from 1.
    pub lines: Vec<u64>,
    /// The columns of the file.
    pub columns: Columns,
    /// Names of columns that were left aside, as there were none such in training.
    pub extra: Vec<String>,
}

/// Reads the features of the file at `path`, or of `content`, which messages call `path`, as a model knows them: by its schema,
/// or all columns but the label's as numbers. A label column is left out if there is one.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns that are not there.
pub fn features(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    columns: &Columns,
    schema: Option<&Schema>,
    notes: &mut Vec<Note>,
) -> Result<Features> {
    let plain = Schema::of_numbers(columns);
    let wanted = Wanted { columns, schema: schema.unwrap_or(&plain), expected: Expected::NewClasses };
    let rows = read_like(path, content, options, &wanted, false, notes)?;
    Ok(Features { values: rows.features, lines: rows.lines, columns: rows.columns, extra: rows.extra })
}

/// What a file must hold that is read as another one was.
struct Wanted<'a> {
    columns: &'a Columns,
    schema: &'a Schema,
    expected: Expected<'a>,
}

/// Encoded rows of a second file.
struct Alike {
    features: Vec<f32>,
    lines: Vec<u64>,
    cells: Option<Cells>,
    columns: Columns,
    /// Names of columns that were left aside.
    extra: Vec<String>,
}

/// Reads a file whose columns correspond to those that are wanted, with its labels or without.
fn read_like(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    wanted: &Wanted<'_>,
    labels: bool,
    notes: &mut Vec<Note>,
) -> Result<Alike> {
    let Wanted { columns, schema, expected } = *wanted;
    let missing_values = [&options.missing_values[..], &schema.missing_values[..]].concat();
    let options = &Options { missing_values, ..options.clone() };
    let sources = Sources::new(path, content)?;
    let opened = Opened::new(sources.first(), options, None, notes)?;
    let comma = opened.dialect.reading.comma;
    let needed = |index: usize| schema.columns[index].held() != Held::Nothing;
    let mut layout = Layout::like(path, &opened.dialect, options.header, columns, options.column(), needed, notes)?;
    if !labels {
        layout.label = None;
    } else if layout.label.is_none() {
        return Err(no_labels(path));
    } else {
        notes.extend(left_aside(path, &layout.extra));
    }
    // Training left out rows by all columns that it read, whatever became of them.
    let by_all = schema.missing == Missing::Drop;
    let held = |kind: &Kind| if by_all && kind.is_read() { Held::Text { at: 0 } } else { kind.held() };
    let mut held: Vec<Held> = schema.columns.iter().map(held).collect();
    let mut rows = read_rows(&sources, opened, &layout, &held, expected, options, notes)?;
    rows.check(path, &layout.columns)?;
    let faults = std::mem::take(&mut rows.faults);
    let may_be_told = |faulty: &Faulty| {
        faulty.faults.texts > 0 && matches!(schema.columns[faulty.column], Kind::Number { truth: true, .. })
    };
    if !faults.is_empty() && faults.iter().all(may_be_told) {
        faults.iter().for_each(|faulty| held[faulty.column] = Held::Text { at: 0 });
        let opened = Opened::new(sources.first(), options, None, &mut Vec::new())?;
        rows = read_rows(&sources, opened, &layout, &held, expected, options, notes)?;
    }
    let is_wrong = |faulty: &Faulty| match rows.frame.held[faulty.column] {
        Held::Text { at } => !rows.frame.texts[at].iter().all(|text| truth(text).is_some() || is_missing(text)),
        _ => true,
    };
    let as_truth: BTreeSet<usize> = faults.iter().map(|faulty| faulty.column).collect();
    // What could be told otherwise is not what is wrong where something else is.
    let wrong = faults.into_iter().filter(is_wrong);
    if let Some(faulty) = wrong.min_by_key(|faulty| (may_be_told(faulty), faulty.faults.first.1)) {
        return Err(faulty.error);
    }
    for index in as_truth {
        let name = columns.name(index);
        notes.push(format!("texts that say yes and no are 1 and 0 in {name}, as training had these").into());
    }
    let told = notes.len();
    notes.extend(sources.note(rows.frame.rows()));
    rows.tell(notes);
    let mut cells = rows.found.map(|found| {
        notes.extend(found.note);
        found.cells
    });
    forget_marks(&mut rows.frame, |index, texts| match &schema.columns[index] {
        Kind::Number { .. } | Kind::Quantity { .. } | Kind::Boolean { .. } | Kind::Time { .. } => {
            let is_mark = |text: &String| is_missing(text) || schema.columns[index].is_mark(text);
            Some(texts.iter().map(is_mark).collect())
        }
        kind if kind.is_read() => schema::marks_of_missing(texts, comma),
        _ => None,
    });
    if schema.missing == Missing::Drop {
        let kept = complete(path, &mut rows.frame, columns, notes)?;
        if let Some(cells) = &mut cells {
            cells.retain(|row| kept[row]);
        }
    }
    let lines: Vec<u64> = rows.frame.rows_places().map(|place| place.number).collect();
    let places = rows.frame.places.clone();
    let encoding = Encoding::new(schema, &rows.frame, comma);
    let encoded = encoding.apply(rows.frame, 1, |_| 0);
    check_missing(path, schema, columns, &encoded.met, &places)?;
    let mut filled = Vec::new();
    for (index, met) in encoded.met.iter().enumerate() {
        check_read(path, (columns, schema, index), met, lines.len(), &places)?;
        if let (count, Some((example, _))) = &met.unknown {
            let what = match &schema.columns[index] {
                Kind::Categories { other: true, .. } => "are counted as other",
                Kind::Categories { .. } => "are none of those of training",
                _ => "cannot be read and are filled in",
            };
            notes.push(format!("{count} cells of {}, such as {}, {what}", columns.name(index), show(example)).into());
        }
        if met.missing.0 > 0 {
            filled.push(format!("{} ({})", columns.short_name(index), met.missing.0));
        }
    }
    if !filled.is_empty() {
        notes.push(format!("missing cells are filled in as in training: {}", filled.join(", ")).into());
    }
    // The schema decides, and no option.
    notes[told..].iter_mut().for_each(|note| note.option = None);
    let features = encoded.parts.into_iter().next().unwrap_or_default();
    Ok(Alike { features, lines, cells, columns: layout.columns, extra: layout.extra })
}

/// Takes those texts of the columns of `frame` for missing that `marks` finds among all texts of a column.
fn forget_marks(frame: &mut Frame, marks: impl Fn(usize, &[String]) -> Option<Vec<bool>>) {
    for index in 0..frame.held.len() {
        if let Held::Text { at } = frame.held[index]
            && let Some(marked) = marks(index, &frame.texts[at])
        {
            frame.forget(at, &marked);
        }
    }
}

/// Refuses a column of dates, of numbers with a unit, or of two values, most cells of which cannot be read as training read them.
fn check_read(
    path: &Path,
    (columns, schema, index): (&Columns, &Schema, usize),
    met: &schema::Met,
    rows: usize,
    places: &Places,
) -> Result<()> {
    let expected = match &schema.columns[index] {
        Kind::Quantity { unit, .. } => format!("numbers and {unit} behind them, as in training"),
        Kind::Time { form, .. } => format!("dates or times of the form {form}, as in training"),
        Kind::Boolean { texts: [no, yes], .. } => format!("{no} or {yes}, as in training"),
        _ => return Ok(()),
    };
    let there = rows - met.missing.0;
    match &met.unknown {
        (count, Some((text, place))) if 2 * count > there => {
            let (shown, place, name) = (show(text), places.name(*place), columns.name(index));
            let found = format!("{shown} in {place}, {name}: {count} of {there} cells of this column cannot be read");
            Err(Error::file(path, found, expected))
        }
        _ => Ok(()),
    }
}

/// The note on the columns `extra` of the file at `path`, of which a model knows nothing; none where there are none.
pub fn left_aside(path: &Path, extra: &[String]) -> Option<Note> {
    let text =
        || format!("{}: columns that training did not have are left aside: {}", path.display(), classes::list(extra));
    (!extra.is_empty()).then(text).map(Note::from)
}

/// Leaves out rows with a missing cell, but for columns that are missing throughout. Returns which rows are kept.
fn complete(path: &Path, frame: &mut Frame, columns: &Columns, notes: &mut Vec<Note>) -> Result<Vec<bool>> {
    let rows = frame.rows();
    let mut kept = vec![true; rows];
    let mut counts = Vec::new();
    for (index, held) in frame.held.iter().enumerate() {
        let missing: Vec<bool> = match *held {
            Held::Nothing => continue,
            Held::Number { at, .. } => frame.numbers(at).map(f32::is_nan).collect(),
            Held::Text { at } => frame.codes(at).map(|code| code == NO_TEXT).collect(),
        };
        let count = missing.iter().filter(|missing| **missing).count();
        if count > 0 && count < rows {
            counts.push(format!("{} ({count})", columns.short_name(index)));
            kept.iter_mut().zip(&missing).for_each(|(kept, missing)| *kept &= !missing);
        }
    }
    let dropped = kept.iter().filter(|kept| !**kept).count();
    if dropped == rows {
        return Err(Error::file(path, "a missing cell in every row", "some rows without one"));
    }
    if dropped > 0 {
        frame.retain(|row| kept[row]);
        let text = format!("{dropped} of {rows} rows are left out, as cells are missing: {}", counts.join(", "));
        notes.push(Note::new(text, "missing"));
    }
    Ok(kept)
}

/// Refuses missing cells where nothing fills them.
fn check_missing(path: &Path, schema: &Schema, columns: &Columns, met: &[schema::Met], places: &Places) -> Result<()> {
    if schema.missing != Missing::Refuse {
        return Ok(());
    }
    let missing = met.iter().enumerate().filter(|(_, met)| met.missing.0 > 0);
    let found: Vec<String> = missing
        .map(|(index, met)| {
            let (count, first) = met.missing;
            format!("{count} in {}, the first in {}", columns.name(index), places.name(first))
        })
        .collect();
    match &found[..] {
        [] => Ok(()),
        [..] => Err(Error::file(path, format!("missing cells: {}", found.join("; ")), "a finite number in each")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::Samples;

    fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_ref()).unwrap();
        file
    }

    /// The rows of a file, all of which decide what its columns become, as features; and what is said of them.
    fn read_with(path: &Path, options: &Options) -> Result<(Raw, Vec<String>)> {
        let mut notes = Vec::new();
        let table = super::read(path, None, options, &mut notes)?;
        let columns = table.columns.clone();
        let expected = Expectation::of(&table.targets);
        let rules = Rules { most: MAX_CATEGORIES, ..Rules::default() };
        let schema = schema::fit(path, &table.frame, &columns, &|_| true, &rules, &mut notes)?.0;
        let wanted = Wanted { columns: &columns, schema: &schema, expected: expected.borrow() };
        let target_scale = table.targets.scale(|| vec![columns.output()]);
        let mut part = |path: &Path| -> Result<Samples> {
            let rows = read_like(path, None, options, &wanted, true, &mut notes)?;
            rows.cells.unwrap().with(Inputs::F32(rows.features), schema.width(), target_scale.as_ref())
        };
        let test = options.test.as_deref().map(&mut part).transpose()?;
        let train = part(path)?;
        let classes = table.targets.classes().to_vec();
        let name = path.display().to_string();
        let raw =
            Raw { name, train, test, validation: None, classes, target_scale, columns: Some(columns), range: None };
        Ok((raw, notes.into_iter().map(|note| note.text).collect()))
    }

    fn read(path: &Path, test: Option<&Path>, label: Option<&str>, header: Header) -> Result<Raw> {
        let (test, label) = (test.map(Path::to_path_buf), label.map(str::to_owned));
        Ok(read_with(path, &Options { test, label, header, ..Options::default() })?.0)
    }

    fn parse(content: &str, label: Option<&str>) -> Result<Raw> {
        read(file(content).path(), None, label, Header::Auto)
    }

    /// Reads a table of which the user gave the task, and what is said of it.
    fn parse_as(content: &str, task: Option<Task>) -> Result<(Raw, Vec<String>)> {
        read_with(file(content).path(), &Options { task, ..Options::default() })
    }

    fn values(samples: &Samples) -> &[f32] {
        match &samples.inputs {
            Inputs::F32(values) => values,
            Inputs::U8(_) => &[],
        }
    }

    /// The training targets in their own unit.
    fn targets(raw: &Raw) -> Vec<f64> {
        raw.target_scale.as_ref().unwrap().undo(raw.train.values())
    }

    fn outputs(raw: &Raw) -> &[String] {
        raw.target_scale.as_ref().map_or(&[], |scale| &scale.names)
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, value)| (found - value).abs() < 1e-5)
    }

    #[test]
    fn headers_delimiters_quotes_and_line_ends_of_all_kinds_give_the_same_rows() {
        let gzipped = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"a,b,label\n1,-2.5,x\n3e1,.5,w\n").unwrap();
            encoder.finish().unwrap()
        };
        let cases: [(&[u8], Option<&str>); 16] = [
            (b"a,b,label\n1,-2.5,x\n3e1,.5,w\n", None),
            (b"a,b,label\r\n1,-2.5,x\r\n3e1,.5,w\r\n\r\n\n", None),
            (b"\xef\xbb\xbfa,b,Label\n1,-2.5,x\n3e1,.5,w", None),
            (b"\xef\xbb\xbf\"Class\",b,c\nx,1,-2.5\nw,3e1,.5", None),
            (b"a;\"b;c\";y\n1;-2.5;x\n3e1;.5;w\n   \n", None),
            (b"a\tb\ttarget\n1\t-2.5\tx\n3e1\t.5\tw\n", None),
            (b"\n\na , b , label \n 1 , -2.5 , x\n\n 3e1 , .5 , w\n", None),
            (b"\"a\nb\",\"b,\"\"c\",label\n\"1\",\"-2.5\",\"x\"\n3e1,.5,w\n", None),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("3")),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("last")),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("-1")),
            (b"1,x,-2.5\n3e1,w,.5\n", Some("-2")),
            (b"1,x,-2.5\n3e1,w,.5\n", Some("2")),
            (b"2,1,b\nx,1,-2.5\nw,3e1,.5\n", Some("2")),
            (b"a,kind,b\n1,x,-2.5\n3e1,w,.5\n", Some("kind")),
            (&gzipped, None),
        ];
        for (content, label) in cases {
            let text = String::from_utf8_lossy(content);
            let raw = read(file(content).path(), None, label, Header::Auto).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            assert_eq!(values(&raw.train), [1.0, -2.5, 30.0, 0.5], "{text:?}");
            assert_eq!(
                (&raw.classes[..], raw.train.labels()),
                (&["w".into(), "x".into()][..], &[1, 0][..]),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_first_line_of_numbers_is_a_header_only_where_it_is_said_to_be() {
        let content = "0,1,2\n1,-2.5,5\n30,.5,5\n";
        assert_eq!(parse(content, Some("3")).unwrap().classes, ["2", "5"]);
        let raw = read(file(content).path(), None, Some("2"), Header::Yes).unwrap();
        assert_eq!((raw.classes, raw.columns.unwrap().label), (vec!["5".to_owned()], 2), "a name goes before a number");
        let raw = read(file("a,b\n1,2").path(), None, Some("2"), Header::No);
        assert_eq!(raw.unwrap().train.len(), 2, "any text may be a category");
    }

    #[test]
    fn whole_numbers_name_classes_however_they_are_written() {
        let raw = parse("a,y\n1,10\n2,2.0\n1,1.0e1\n1,01\n", None).unwrap();
        assert_eq!(
            (raw.classes, raw.train.labels()),
            (["01", "2", "10"].map(String::from).to_vec(), &[2, 1, 2, 0][..])
        );
    }

    #[test]
    fn a_column_of_numbers_is_a_target_and_the_notes_say_so() {
        let (raw, notes) = parse_as("size,y\n1,10.5\n2,-3\n3,0\n", None).unwrap();
        assert!(close(&targets(&raw), &[10.5, -3.0, 0.0]) && raw.train.labels().is_empty(), "{raw:?}");
        assert_eq!(
            (raw.classes.len(), outputs(&raw), values(&raw.train)),
            (0, &["y".into()][..], &[1.0, 2.0, 3.0][..])
        );
        assert!(notes[0].contains("targets in column 2 (\"y\")") && notes[1].contains("numbers"), "{notes:?}");
        let (raw, notes) = parse_as("size,y\n1,1\n2,0\n3,0\n", None).unwrap();
        assert_eq!((raw.train.labels(), outputs(&raw)), (&[1, 0, 0][..], &[][..]));
        assert!(notes[0].contains("classes \"0\", \"1\"") && notes[1].contains("taken as classes"), "{notes:?}");
        let (raw, notes) = parse_as("size,y\n1,1\n2,0\n3,0\n", Some(Task::Values)).unwrap();
        assert!(close(&targets(&raw), &[1.0, 0.0, 0.0]) && notes.len() == 1, "{raw:?} {notes:?}");
        let counted: String = (0..150).map(|row| format!("{row},{}\n", row * 3)).collect();
        let counted = format!("size,y\n{counted}");
        let (raw, notes) = parse_as(&counted, None).unwrap();
        assert!(raw.train.task() == Task::Values && notes[1].contains("taken as numbers"), "{notes:?}");
        assert_eq!(parse_as(&counted, Some(Task::Classes)).unwrap().0.classes.len(), 150);
    }

    #[test]
    fn bad_numbers_among_targets_are_found_by_line_and_column() {
        for (content, task, parts) in [
            ("a,y\n1,1.5\n\n2,x\n", None, ["\"x\" in line 4, column 2 (\"y\")", "a finite number"]),
            ("a,y\n1,1\n2,x\n", Some(Task::Values), ["\"x\" in line 3, column 2 (\"y\")", "a finite number"]),
            ("a,y\n1,1\n2,1e39\n", Some(Task::Values), ["\"1e39\" in line 3", "a finite number"]),
            ("a,y\n1,1\n2,1.5\n", Some(Task::Classes), ["\"1.5\" in line 3, column 2 (\"y\")", "a whole number"]),
        ] {
            let error = parse_as(content, task).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{content:?}: {error}");
        }
        let (train, test) = (file("a,y\n1,1.5\n2,2\n"), file("y,a\n3,4\nx,4\n"));
        let error = read(train.path(), Some(test.path()), None, Header::Auto).unwrap_err().to_string();
        assert!(error.contains("\"x\" in line 3, column 1 (\"y\")") && error.contains("a finite number"), "{error}");
        let test = file("y,a\n3,4\n7,4\n");
        let raw = read(train.path(), Some(test.path()), None, Header::Auto).unwrap();
        let test = raw.target_scale.as_ref().unwrap().undo(raw.test.as_ref().unwrap().values());
        assert!(close(&test, &[3.0, 7.0]), "{test:?}");
    }

    #[test]
    fn the_target_may_be_named_as_such() {
        let options = Options { target: Some("b".into()), ..Options::default() };
        let raw = read_with(file("a,b,label\n1,2.5,3\n4,5,6\n").path(), &options).unwrap().0;
        assert!(close(&targets(&raw), &[2.5, 5.0]), "{raw:?}");
        assert_eq!((outputs(&raw), values(&raw.train)), (&["b".into()][..], &[1.0, 3.0, 4.0, 6.0][..]));
    }

    #[test]
    fn a_test_file_is_read_into_the_columns_and_classes_of_the_training_file() {
        let named = file("a,b,label\n1,2,x\n3,4,w\n");
        let plain = file("1,2,x\n3,4,w\n");
        let both = |train: &tempfile::NamedTempFile, label, test: &str| {
            read(train.path(), Some(file(test).path()), label, Header::Auto).map(|raw| raw.test.unwrap())
        };
        for (train, label, test) in [
            (&named, None, "label,b,a\nx,6,5\n"),
            (&named, None, "5,6,x\n"),
            (&plain, Some("3"), "5,6,x\n"),
            (&plain, Some("3"), "q,r,s\n5,6,x\n"),
        ] {
            let test = both(train, label, test).unwrap();
            assert_eq!((values(&test), test.labels()), (&[5.0, 6.0][..], &[1][..]));
        }
        let test = both(&named, None, "c,a,b,d,label\n7,5,6,8,x\n").unwrap();
        assert_eq!(values(&test), [5.0, 6.0], "columns that training did not have are left aside");
        for (test, parts) in [
            ("a,label\n5,x\n", &["no column \"b\""][..]),
            ("a,b\n5,6\n", &["no column of labels"]),
            ("5,6,7,x\n", &["4 columns", "3"]),
            ("a,b,label\n5,6,x\n\n5,6,v\n", &["\"v\" in line 4, column 3 (\"label\")", "\"w\", \"x\""]),
        ] {
            let error = both(&named, None, test).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{test:?}: {error}");
        }
    }

    #[test]
    fn features_are_read_with_and_without_a_column_of_labels() {
        let columns = parse("a,label,b\n1,x,2\n3,w,4\n", None).unwrap().columns.unwrap();
        let read = |content: &str, label: Option<&str>, columns: &Columns| {
            let options = Options { label: label.map(str::to_owned), ..Options::default() };
            features("elsewhere".as_ref(), Some(content.as_bytes()), &options, columns, None, &mut Vec::new())
        };
        for content in [
            "b,a\n6,5\n",
            "a,label,b\n5,,6",
            "5,6",
            "5,?,6\n",
            "a,b,label\n5,6,new",
            "b,more,a\n6,x,5",
            "B,more,A\n6,x,5",
            "A,B,LABEL\n5,6,x",
        ] {
            let path = file(content);
            let options = Options::default();
            let from_file = features(path.path(), None, &options, &columns, None, &mut Vec::new()).unwrap();
            assert_eq!(from_file.values, [5.0, 6.0], "{content:?}");
            assert_eq!(read(content, None, &columns).unwrap(), from_file, "{content:?}");
        }
        let lines = |content: &str| read(content, None, &columns).unwrap().lines;
        assert_eq!(lines("a,b\r\n1,2\r\n\r\n\r\n3,4\r\n5,6"), [2, 5, 6]);
        assert_eq!(lines("\n\n1,2\n3,4\n\n"), [3, 4]);
        assert_eq!(lines("a,label,b\n1,\"x\ny\",2\n3,z,4\n"), [2, 4]);
        let unnamed = Columns { count: 3, label: 0, names: None };
        for (content, label) in
            [("7,5,6", None), ("u,v,class\n5,6,7", None), ("5,7,6", Some("2")), ("u,v,w\n5,7,6", Some("v"))]
        {
            assert_eq!(read(content, label, &unnamed).unwrap().values, [5.0, 6.0], "{content:?}");
        }
        // Names stay as they stand in the file, and only what must be meant is taken for a column of training.
        let read_names = |content: &str, label| read(content, label, &columns).unwrap().columns.names.unwrap();
        assert_eq!(read_names("B,Label,A\n6,x,5", Some("Label")), ["B", "Label", "A"]);
        let values = read("A,a,B\n1,2,3", None, &columns).unwrap().values;
        assert_eq!(values, [2.0, 3.0], "a is a, whatever A is");
        for (content, part) in [
            ("a,c\n1,2", "no column \"b\""),
            ("1", "1 columns"),
            ("a,b\n1,x\n2,y\n", "\"x\" in line 2, column 2 (\"b\"), which is text (2 such cells"),
            ("a,b\n1,2\n\n1,?\n,3\n", "1 in column 1 (\"a\"), the first in line 5; 1 in column 3 (\"b\")"),
            ("a,b\n1,1e39\n", "a number beyond those of float32"),
        ] {
            let error = read(content, None, &columns).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_columns_become_is_decided_once_and_told() {
        let text = "id,size,shape,wet,when,flat\n1,1.5,round,yes,2024-01-01,7\n2,,flat,No,2024-01-03,7\n\
                    3,2.5,round,yes,2024-01-02,7\n4,3.5,,yes,,7\n";
        let (raw, notes) = read_with(
            file(text).path(),
            &Options { label: Some("id".into()), task: Some(Task::Values), ..Options::default() },
        )
        .unwrap();
        // size, missing; shape=round, shape=flat, missing; wet; days, missing.
        let expected = [
            [1.5, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, 0.0],
            [2.5, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
            [2.5, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            [3.5, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0],
        ];
        assert_eq!(values(&raw.train), expected.concat());
        for part in ["flat", "shape (2)", "wet (no is 0, yes is 1)", "when (%Y-%m-%d)", "size (1), shape (1), when (1)"]
        {
            assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:?}");
        }
    }

    #[test]
    fn missing_cells_are_filled_dropped_or_refused() {
        let content = "a,b,label\n1,x,p\n?,x,q\n3,,p\n4,y,\n5,y,q\n6,x,p\n7,y,q\n8,x,p\n9,y,q\n";
        let load = |missing| {
            let options = Options { missing, test_split: Some(0.3), ..Options::default() };
            crate::data::load(file(content).path().to_str().unwrap(), &options)
        };
        let texts = |notes: &[Note]| notes.iter().map(|note| note.text.clone()).collect::<Vec<_>>().join("\n");
        let (set, notes) = load(Missing::Fill).unwrap();
        assert_eq!(set.train.len() + set.test.unwrap().len(), 8, "a row without a target is left out");
        assert!(texts(&notes).contains("1 rows without a target are left out, the first in line 5"), "{notes:?}");
        let (set, notes) = load(Missing::Drop).unwrap();
        assert_eq!(set.train.len() + set.test.unwrap().len(), 6);
        assert!(texts(&notes).contains("2 of 8 rows are left out, as cells are missing: a (1), b (1)"), "{notes:?}");
        let error = load(Missing::Refuse).unwrap_err().to_string();
        assert!(error.contains("1 in column 1 (\"a\"), the first in line 3; 1 in column 2 (\"b\")"), "{error}");
    }

    /// The rows of a table of one file or of many, and what is said of them.
    fn rows_of(path: &Path, options: &Options) -> Result<(usize, Vec<String>, Vec<Note>)> {
        let mut notes = Vec::new();
        let table = super::read(path, None, options, &mut notes)?;
        Ok((table.rows(), table.classes().to_vec(), notes))
    }

    #[test]
    fn lines_that_are_no_rows_are_left_aside_wherever_they_stand() {
        let head = "a,label\nred,x\nblue,y\n";
        for (content, parts) in [
            (
                format!("{head}a,label\nred,y\n\"a\", \"label\"\nblue,x\n"),
                &["2 lines that are the header once more"][..],
            ),
            (format!("{head}# end of batch 1\nred,y\nblue,\"x\"\n# end"), &["2 lines of comments among the rows"]),
            (format!("{head}\u{feff}a,label\nred,y\n\u{feff}blue,x\n"), &["1 lines that are the header once more"]),
            (format!("#{head}#a,label\nred,y\n# b\nblue,x\n"), &["1 lines that are the header", "1 lines of comments"]),
            (format!("{head}#1,y\n#2,x\n"), &[]),
        ] {
            let (rows, classes, notes) = rows_of(file(&content).path(), &Options::default()).unwrap();
            assert_eq!((rows, &classes[..]), (4, &["x".to_owned(), "y".to_owned()][..]), "{content:?}: {notes:?}");
            assert!(parts.iter().all(|part| notes.iter().any(|note| note.contains(part))), "{content:?}: {notes:?}");
            assert_eq!(notes.iter().filter(|note| note.contains("left aside")).count(), parts.len(), "{notes:?}");
        }
        let numbers = "a,label\n1,x\n2,y\na,label\n3,x\n# note\n4,y\n5\n";
        let error = rows_of(file(numbers).path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("1 cells in line 8"), "{error}");
        let read = file(numbers.strip_suffix("5\n").unwrap());
        let columns = parse(numbers.strip_suffix("5\n").unwrap(), None).unwrap().columns.unwrap();
        let rows = features(read.path(), None, &Options::default(), &columns, None, &mut Vec::new()).unwrap();
        assert_eq!((&rows.values[..], &rows.lines[..]), (&[1.0, 2.0, 3.0, 4.0][..], &[2, 3, 5, 7][..]));
        let all = Options { header: Header::Yes, label: Some("2".into()), ..Options::default() };
        assert_eq!(rows_of(file("0,1\n0,1\n1,2\n").path(), &all).unwrap().0, 2, "numbers are a row");
    }

    #[test]
    fn a_further_file_with_other_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let second = |text: &str| {
            std::fs::write(folder.path().join("p-1.csv"), "color,shape,label\nred,s,yes\nblue,m,no\n").unwrap();
            std::fs::write(folder.path().join("p-2.csv"), text).unwrap();
            rows_of(folder.path(), &Options::default()).map(|(rows, ..)| rows)
        };
        let error = second("colour,form,kind\nred,s,yes\nblue,m,no\n").unwrap_err().to_string();
        for part in ["p-2.csv: found a header of other names: \"colour\"", "p-1.csv: \"color\", \"shape\", \"label\""] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(second("color,label,shape\nred,yes,s\n").unwrap(), 3);
        assert_eq!(second("green,l,yes\nred,s,yes\n").unwrap(), 4, "a row of new texts");
        assert_eq!(second("green,l,maybe\n").unwrap(), 3);
    }

    #[test]
    fn blanks_before_quotes_and_single_quotes_are_read_for_what_they_are() {
        let plain = "a,b,label\n1,\"x, y\",yes\n2,\"z\nz\",no\n3,z,no\n4,\"x, y\",yes\n";
        let load = |text: &str, options: Options| {
            let mut notes = Vec::new();
            let table = super::read(file(text).path(), None, &options, &mut notes).unwrap();
            let places: Vec<u64> = table.frame.rows_places().map(|place| place.number).collect();
            let numbers: Vec<f32> = table.frame.numbers(0).collect();
            ((places, numbers, table.frame.texts.clone(), table.classes().to_vec()), notes)
        };
        let expected = load(plain, Options::default()).0;
        for text in [
            plain.replace(',', ", ").replace("x,  y", "x, y"),
            "a, b, label\n1, \"x, y\" ,\"yes\"\n \"2\",  \"z\nz\", \"no\"\n3, z, no\n4, \"x, y\", yes\n".into(),
            plain
                .replace('"', "'")
                .replace("yes", "'yes'")
                .replace("no", "'no'")
                .replace(",z,", ",'z',")
                .replace("label\n1", "'label'\n'1'"),
        ] {
            assert_eq!(load(&text, Options::default()).0, expected, "{text:?}");
            assert_eq!(
                load(&text, Options { delimiter: Delimiter::Comma, ..Options::default() }).0,
                expected,
                "{text:?}"
            );
        }
        let (_, notes) = load("a,label\n'1','x'\n'2','y'\n", Options::default());
        assert!(notes.iter().any(|note| note.contains("quoted by '")), "{notes:?}");
        // No quotes: these stand alone, or there is more after them.
        let (found, _) = load("a,b,label\n1, \"in,x\n2, 5,y\n3, \"a\" or b,x\n4,'tis,y\n", Options::default());
        assert_eq!(found.2[0], ["\"in", "5", "\"a\" or b", "'tis"]);
    }

    #[test]
    fn names_and_bytes_of_other_encodings_are_told() {
        let options = Options { label: Some(" the label ".into()), ..Options::default() };
        assert_eq!(rows_of(file("a, the label \n1,x\n2,y\n").path(), &options).unwrap().1, ["x", "y"]);
        let (_, classes, notes) =
            rows_of(file(b"a\xe9,label\n1,\xe4\n2,\xf6\n3,\xe4\n").path(), &Options::default()).unwrap();
        assert_eq!(classes, ["\u{e4}", "\u{f6}"]);
        assert!(notes.iter().any(|note| note.contains("4 cells that are no UTF-8")), "{notes:?}");
    }

    #[test]
    fn a_title_and_a_line_of_totals_change_nothing() {
        let rows: String = (0..20).map(|row| format!("{row}.5,{},{}\n", row % 7, ["x", "y"][row % 2])).collect();
        let load = |content: &str| {
            let (set, _) = crate::data::load(file(content).path().to_str().unwrap(), &Options::default()).unwrap();
            (set.train, set.test, set.schema)
        };
        let plain = load(&format!("a,b,label\n{rows}"));
        assert_eq!(load(&format!("Report\nof 2020, all of it\n\na,b,label\n{rows}Total,some,\n")), plain);
    }

    #[test]
    fn the_time_for_many_columns_does_not_grow_by_their_square() {
        let start = std::time::Instant::now();
        let header: String = (0..200_000).map(|column| format!("f{column},")).collect();
        let error = parse(&format!("{header}label\n"), None).unwrap_err().to_string();
        assert!(error.contains("no row under the header"), "{error}");
        let rows = |class: &str| format!("{header}label\n{}{class}\n", "1,".repeat(200_000));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("part-1.csv"), rows("x")).unwrap();
        std::fs::write(folder.path().join("part-2.csv"), rows("y")).unwrap();
        let table = super::read(folder.path(), None, &Options::default(), &mut Vec::new()).unwrap();
        assert_eq!((table.frame.rows(), table.columns.count), (2, 200_001));
        let like = file(rows("x"));
        let read = features(like.path(), None, &Options::default(), &table.columns, None, &mut Vec::new()).unwrap();
        assert_eq!(read.values.len(), 200_000);
        // The square would take minutes.
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn every_kind_of_bad_file_gets_one_line_with_the_place() {
        let mut slip: String = (0..99).map(|row| format!("{row}.5,x\n")).collect();
        slip.push_str("-,x\nunknown,y\n");
        let slip = format!("a,label\n{slip}");
        let cases: [(&[u8], &[&str]); 19] = [
            (b"a,b,label\n1,2,x,3\n1,2,y,3\n", &["4 cells in line 2 (\"1\", \"2\", \"x\", \"3\") under a header of 3"]),
            (b"", &["an empty file"]),
            (b"\n\n", &["an empty file"]),
            (b"a,b,label\n", &["no row under the header"]),
            (b"a,b,c\n1,2,3\n", &["the option label", "\"a\", \"b\", \"c\""]),
            (b"label\n1\n", &["a single column"]),
            (slip.as_bytes(), &["\"unknown\" in line 102, column 1 (\"a\")", "1 of 100 cells", "ignore"]),
            (b"a,b,label\n1,2,x\n1,-inf,x\n", &["\"-inf\" in line 3, column 2", "no finite number"]),
            (b"a,b,label\n1,1e39,x\n", &["\"1e39\" in line 2, column 2"]),
            (b"a,b,label\n1,2\n", &["2 cells in line 2", "3"]),
            (b"a,b,label\n1,2,x\n\n\n1,2,x,3\n", &["4 cells in line 5", "3"]),
            (b"a,b,label\n\"1\n\",2,x\n1,2\n", &["2 cells in line 4"]),
            (b"a,b,label\n1,2,\n", &["1 rows, all of them without a target in column 3 (\"label\")"]),
            (b"a,b,label\n1,2,x\n\n1,2,y\n1,2,5.1\n", &["\"5.1\" in line 5, column 3", "the right column"]),
            (b"a,b,label\n1,2,5.1\n\n1,2,--x\n", &["\"--x\" in line 4, column 3 (\"label\")", "a finite number"]),
            (b"a,b,label\n1,\"2,x\n3,4,5\n", &["a quote that begins in line 2 and is not closed"]),
            (b"a,b,label\n1,2,x\n1,2,y\n", &["no column to learn from", "the same value"]),
            (b"PAR1", &["Parquet file"]),
            (b"\0\0\x08\x03", &["another kind", "IDX"]),
        ];
        for (content, parts) in cases {
            let text = String::from_utf8_lossy(content);
            let file = file(content);
            let error = read(file.path(), None, None, Header::Auto).err().unwrap_or_else(|| panic!("{text:?}"));
            let error = error.to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
        }
        let error = parse("1,2,x\n", Some("4")).unwrap_err();
        assert!(error.to_string().contains("\"4\"") && error.exit_code() == 2, "{error}");
    }
}
