//! Files whose form is known, and the reading of their rows into one frame.

use std::path::{Path, PathBuf};

use super::blocks::Blocks;
use super::cells::{self, Number, show};
use super::columns::{Columns, Layout};
use super::dialect::Dialect;
use super::frame::{Frame, Held, Place};
use super::many::Sources;
use super::merge::{Merge, Met, Order};
use super::parse::{Faults, Form, Slot};
use super::pieces::Pieces;
use super::source::Source;
use crate::data::targets::{Cells, Column, FOREIGN, Fault, Found};
use crate::data::{Expected, Note, Options};
use crate::error::{Error, Remedy, Result};

/// Whole numbers below this are themselves in float32.
const WHOLE: f64 = (1 << 24) as f64;

/// The share of its magnitude below which the spread of a column is small, so that float32 would lose digits of it.
const NARROW: f64 = 1.0 / 256.0;

/// A file whose form is known.
pub(super) struct Opened<'a> {
    pub(super) source: Source<'a>,
    pub(super) pieces: Pieces<'a>,
    pub(super) dialect: Dialect,
    /// Columns that are categories by their type.
    pub(super) categories: Vec<usize>,
}

/// What a column holds by the first rows.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    pub(super) held: Held,
    /// Whether no later row can say otherwise of the origin of its numbers.
    pub(super) settled: bool,
}

/// Rows that were read.
pub(super) struct Rows {
    pub(super) frame: Frame,
    pub(super) found: Option<Found>,
    /// What there is to say of files after the first, and has not been said of that one.
    further: Vec<Note>,
    /// Cells that are no numbers where numbers are expected.
    pub(super) faults: Vec<Faulty>,
    /// Rows without a target, and the first one.
    untold: (usize, Place),
    /// Cells of text in no UTF-8; rows with an empty cell after the last column; numbers with a unit.
    odd: u64,
    longer: u64,
    units: u64,
    /// Comments among the rows, and lines that are the header once more.
    comments: u64,
    headers: u64,
}

/// Cells of a column of a file that are no numbers.
pub(super) struct Faulty {
    /// The column of training.
    pub(super) column: usize,
    pub(super) faults: Faults,
    /// Their refusal.
    pub(super) error: Error,
}

impl<'a> Opened<'a> {
    /// Opens `source`; where it is a further file of a table, it is `like` the first.
    pub(super) fn new(
        source: Source<'a>,
        options: &Options,
        like: Option<&Dialect>,
        notes: &mut Vec<Note>,
    ) -> Result<Self> {
        #[cfg(feature = "columnar")]
        if let Some(kind) = super::columnar::Kind::of(&source.start()?) {
            return Self::columns(super::columnar::Batches::open(source, kind)?, source, options, notes);
        }
        let mut blocks = Blocks::new(source)?;
        notes.extend(blocks.note().map(|note| note.to_owned().into()));
        let dialect = Dialect::of(blocks.head()?, options, like, notes);
        if let (true, Some(lines @ 1..)) = (dialect.records.is_empty(), options.skip_lines) {
            let error = Error::file(source.path, format!("no table below its first {lines} lines"), "one");
            return Err(error.advise(&[Remedy::Option("skip_lines")]));
        }
        if dialect.records.is_empty() {
            return Err(Error::file(source.path, "an empty file", "one row per line"));
        }
        blocks.start(dialect.skipped, dialect.marks)?;
        Ok(Self { source, pieces: Pieces::Text(blocks), dialect, categories: Vec::new() })
    }

    #[cfg(feature = "columnar")]
    fn columns(
        mut batches: super::columnar::Batches<'a>,
        source: Source<'a>,
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> Result<Self> {
        let named = |columns: &[usize]| columns.iter().map(|column| &batches.names[*column][..]).collect::<Vec<_>>();
        if !batches.left_out.is_empty() {
            let text =
                format!("left out, as no column of features can be made of them: {}", batches.left_out.join(", "));
            notes.push(text.into());
        }
        if !batches.categories.is_empty() {
            let text =
                format!("numbers in a dictionary are taken as categories: {}", named(&batches.categories).join(", "));
            notes.push(text.into());
        }
        if !batches.durations.is_empty() {
            notes.push(format!("durations are numbers of days: {}", named(&batches.durations).join(", ")).into());
        }
        let head = batches.head(super::dialect::RECORDS - 1)?;
        let records = [vec![batches.names.clone()], head].concat();
        let dialect = Dialect::of_columns(records, options);
        let categories = std::mem::take(&mut batches.categories);
        Ok(Self { source, pieces: Pieces::Columns(batches), dialect, categories })
    }

    /// The first rows, under the `names` if there are any. Those without a target in column `label` are left out, whatever is in them.
    pub(super) fn rows(&self, names: bool, label: usize) -> Vec<&[String]> {
        let told =
            |row: &&[String]| row.get(label).is_none_or(|cell| !self.dialect.reading.is_missing(cell.as_bytes()));
        let rows: Vec<&Vec<String>> =
            if names { self.dialect.rows().collect() } else { self.dialect.records.iter().collect() };
        rows.into_iter().map(Vec::as_slice).filter(told).collect()
    }

    /// What column `index` holds, by the first `rows`.
    pub(super) fn look(&self, index: usize, rows: &[&[String]]) -> Looked {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for cell in rows.iter().filter_map(|row| row.get(index)) {
            match self.dialect.reading.number(cell.as_bytes()) {
                Number::Value(value) => (least, most) = (least.min(value), most.max(value)),
                Number::Missing | Number::TooLarge => {}
                Number::Text => return Looked { held: Held::Text { at: 0 }, settled: true },
            }
        }
        // A small whole number that is always the same is a constant column in all likelihood.
        let settled = least < most || least == most && least.fract() == 0.0 && least.abs() < WHOLE;
        Looked { held: Held::Number { at: 0, origin: origin(least, most).unwrap_or(0.0) }, settled }
    }

    /// Reads all its rows into `merge`, of which the columns of training hold what `held` says.
    fn read(
        &mut self,
        layout: &Layout,
        held: &[Held],
        file: Option<String>,
        merge: &mut Merge,
        targets: &mut Targets<'_>,
    ) -> Result<Met> {
        let path = self.source.path;
        let mut slots = vec![Slot::Skip; layout.columns.count];
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for (held, place) in held.iter().zip(&layout.places) {
            if let Some(place) = place {
                slots[*place] = match held {
                    Held::Nothing => Slot::Skip,
                    Held::Number { origin, .. } => {
                        numbers.push(*place);
                        Slot::Number(*origin)
                    }
                    Held::Text { .. } => {
                        texts.push(*place);
                        Slot::Text
                    }
                };
            }
        }
        if let Some(label) = layout.label {
            slots[label] = Slot::Target;
        }
        // The first records have served. A header of numbers may be a row as well.
        let first = std::mem::take(&mut self.dialect.records).into_iter().next();
        let first = first.filter(|_| layout.columns.names.is_some());
        let odd = if first.is_some() { self.dialect.odd } else { 0 };
        let header =
            first.filter(|names| names.iter().any(|name| !name.is_empty() && !crate::data::csv::is_number(name)));
        let (unit, Dialect { marks, reading, .. }) = (self.dialect.unit(), &self.dialect);
        let form = Form { marks: *marks, reading, slots: &slots, header: header.as_deref() };
        if let (Pieces::Text(blocks), Some(_)) = (&mut self.pieces, &layout.columns.names) {
            blocks.skip_record()?;
        }
        let column = layout.columns.name(layout.label.unwrap_or(layout.columns.label));
        targets.files.push((path.to_path_buf(), unit, column));
        let order = Order::of(&numbers, &texts);
        let met = merge.read(&mut self.pieces, &form, &order, (unit, file), |cell, line| {
            if layout.label.is_none() {
                return Ok(true);
            }
            let (text, odd) = cells::decode(cell);
            if reading.is_missing(cell) || targets.expected == Expected::Values && cells::is_missing(&text) {
                targets.missing(line);
                return Ok(false);
            }
            targets.odd += u64::from(odd);
            // As Rust writes numbers, whatever marks the file has in them.
            let number = match reading.number(cell) {
                Number::Value(value) if reading.comma || text.parse::<f64>().is_err() => Some(value.to_string()),
                _ => None,
            };
            targets.units += u64::from(number.is_some() && cells::without_unit(cell).is_some());
            targets.push(number.as_deref().unwrap_or(&text), line)?;
            Ok(true)
        })?;
        Ok(Met { odd: met.odd + odd, ..met })
    }
}

/// The targets of all files.
struct Targets<'a> {
    expected: Expected<'a>,
    column: Column<'a>,
    /// For each file, its path, what its places are called, and its column of targets.
    files: Vec<(PathBuf, &'static str, String)>,
    /// Rows without a target, and the first one.
    untold: (usize, Place),
    units: u64,
    odd: u64,
}

impl<'a> Targets<'a> {
    fn new(expected: Expected<'a>) -> Self {
        Self {
            expected,
            column: Column::new(expected),
            files: Vec::new(),
            untold: Default::default(),
            units: 0,
            odd: 0,
        }
    }

    /// The place of a line of the file that is being read.
    fn place(&self, line: u64) -> Place {
        Place { file: self.files.len().saturating_sub(1), number: line }
    }

    /// A row has no target.
    fn missing(&mut self, line: u64) {
        if self.untold.0 == 0 {
            self.untold.1 = self.place(line);
        }
        self.untold.0 += 1;
    }

    /// The target of the next row.
    fn push(&mut self, text: &str, line: u64) -> Result<()> {
        // Training may know a moment at midnight as a day alone.
        let text = match (self.expected, text.strip_suffix(MIDNIGHT)) {
            (Expected::Classes(classes), Some(day))
                if classes.iter().any(|class| class == day) && !classes.iter().any(|class| class == text) =>
            {
                day
            }
            _ => text,
        };
        self.column.push(text).map_err(|expected| refused_target(&self.files, self.place(line), text, expected))
    }

    /// The targets of all rows of `frame`, in which those rows stay that have one.
    fn finish(self, frame: &mut Frame) -> Result<(Found, (usize, Place))> {
        let Self { column, files, untold: (mut untold, mut first), .. } = self;
        let (found, without) = column.finish_with_gaps().map_err(|Fault { row, text, expected }| {
            refused_target(&files, frame.rows_places().nth(row).unwrap_or_default(), &text, expected)
        })?;
        if let Some(row) = without.first() {
            let place = frame.rows_places().nth(*row).unwrap_or_default();
            let is_before = (place.file, place.number) < (first.file, first.number);
            first = if untold == 0 || is_before { place } else { first };
            untold += without.len();
            frame.retain(|row| without.binary_search(&row).is_err());
        }
        Ok((found, (untold, first)))
    }
}

/// The refusal of a target, in one of `files`.
fn refused_target(files: &[(PathBuf, &'static str, String)], place: Place, text: &str, expected: String) -> Error {
    match files.get(place.file) {
        Some((path, unit, column)) => {
            let is_foreign = expected == FOREIGN;
            let error = Error::file(path, format!("{} in {unit} {}, {column}", show(text), place.number), expected);
            if is_foreign { error.advise(&[Remedy::Option("decimal")]) } else { error }
        }
        None => Error::Data(expected),
    }
}

/// Reads the rows of all files of `sources`, of which `first` is the first, with what `held` says of the columns of training. What was
/// `told` of the first file is not told of others.
pub(super) fn read_rows<'a>(
    sources: &'a Sources<'_>,
    mut first: Opened<'a>,
    layout: &Layout,
    held: &[Held],
    expected: Expected<'_>,
    options: &Options,
    told: &[Note],
) -> Result<Rows> {
    let masked: Vec<Held> =
        held.iter().zip(&layout.places).map(|(held, place)| place.map_or(Held::Nothing, |_| *held)).collect();
    let (mut merge, mut targets, names) = (Merge::new(&masked), Targets::new(expected), sources.several());
    let (mut faults, mut odd, mut longer, mut units) = (Vec::new(), 0, 0, 0);
    let (mut comments, mut headers) = (0, 0);
    let mut is_text = true;
    let mut further_notes = Further { told, notes: Vec::new() };
    let like = Dialect { records: Vec::new(), ..first.dialect.clone() };
    let first_rows: Vec<Vec<String>> =
        if names.is_some() { first.dialect.rows().cloned().collect() } else { Vec::new() };
    for (index, source) in sources.iter().enumerate() {
        let (mut further, own);
        let (opened, layout) = match index {
            0 => (&mut first, layout),
            _ => {
                let mut notes = Vec::new();
                further = Opened::new(source, options, Some(&like), &mut notes)?;
                further_notes.add(source.path, notes);
                let first = (sources.first().path, &first_rows[..]);
                own = layout.of_further(source.path, &further.dialect, options.header, first)?;
                (&mut further, &own)
            }
        };
        let name = names.as_ref().map(|names| names[index].clone());
        let met = opened.read(layout, &masked, name, &mut merge, &mut targets)?;
        is_text &= opened.dialect.is_text;
        if let Some(ragged) = &met.ragged {
            let quoted = match ragged.last {
                last if last > ragged.line => format!(", with a quoted cell that goes on to line {last}"),
                _ => String::new(),
            };
            let found = format!("{} cells in line {}{quoted}", ragged.cells, ragged.line);
            return Err(Error::file(source.path, found, format!("{}, as in the first line", layout.columns.count)));
        }
        if met.too_many {
            return Err(Error::file(source.path, "more than 4 GiB of values", "fewer rows"));
        }
        let in_columns = met.faults.len();
        for (column, found) in met.faults {
            let error = refused(source.path, &layout.columns, column, &found, in_columns, opened.dialect.unit());
            let column = layout.places.iter().position(|place| *place == Some(column)).unwrap_or(column);
            faults.push(Faulty { column, faults: found, error });
        }
        (odd, longer, units) = (odd + met.odd, longer + met.longer, units + met.units);
        (comments, headers) = (comments + met.comments, headers + met.headers);
    }
    let mut frame = merge.finish();
    if !is_text {
        frame.texts.iter_mut().for_each(|texts| days_alone(&mut texts.iter_mut().collect::<Vec<_>>()));
    }
    let (mut untold, units, odd) = (targets.untold, units + targets.units, odd + targets.odd);
    let mut found = None;
    if layout.label.is_some() && frame.rows() > 0 {
        let (targets, without) = targets.finish(&mut frame)?;
        (found, untold) = (Some(targets), without);
    }
    let new_classes = !matches!(expected, Expected::Classes(_));
    if let Some(Found { cells: Cells::Classes { names, .. }, .. }) = found.as_mut().filter(|_| !is_text && new_classes)
    {
        days_alone(&mut names.iter_mut().collect::<Vec<_>>());
    }
    Ok(Rows { frame, found, further: further_notes.notes(), faults, untold, odd, longer, units, comments, headers })
}

/// Notes on files after the first.
struct Further<'a> {
    told: &'a [Note],
    /// Each with the first file that it is about, and the number of others.
    notes: Vec<(Note, PathBuf, usize)>,
}

impl Further<'_> {
    fn add(&mut self, path: &Path, notes: Vec<Note>) {
        for note in notes.into_iter().filter(|note| !self.told.contains(note)) {
            match self.notes.iter_mut().find(|(other, ..)| *other == note) {
                Some((_, _, others)) => *others += 1,
                None => self.notes.push((note, path.to_path_buf(), 0)),
            }
        }
    }

    fn notes(self) -> Vec<Note> {
        let told = self.notes.into_iter().map(|(note, path, others)| {
            let others = if others == 0 { String::new() } else { format!(" and {others} others") };
            Note { text: format!("{}{others}: {note}", path.display()), ..note }
        });
        told.collect()
    }
}

/// The origin from which numbers between these are told apart in float32, if that is not 0.
fn origin(least: f64, most: f64) -> Option<f64> {
    let spread = most - least;
    (spread > 0.0 && spread < NARROW * least.abs().max(most.abs())).then(|| least.floor())
}

/// The same of all numbers of a column, where one that is always the same is one too. The rows need not be read again for 0.
fn origin_of_all((least, most): (f32, f32)) -> Option<f64> {
    let (least, most) = (f64::from(least), f64::from(most));
    let found = if least == most { Some(least.floor()) } else { origin(least, most) };
    found.filter(|origin| *origin != 0.0)
}

/// How a moment at midnight ends.
const MIDNIGHT: &str = " 00:00:00";

/// Leaves the time out of moments that are all at midnight, as software does that writes them as text.
pub(super) fn days_alone(texts: &mut [&mut String]) {
    if texts.iter().all(|text| text.is_empty() || text.ends_with(MIDNIGHT)) {
        texts.iter_mut().for_each(|text| text.truncate(text.len().saturating_sub(MIDNIGHT.len())));
    }
}

impl Rows {
    /// Refuses what stands in the way of any use, of a table at `path` with `columns`.
    pub(super) fn check(&mut self, path: &Path, columns: &Columns) -> Result<()> {
        if let Some(index) = self.faults.iter().position(|faulty| faulty.faults.texts < faulty.faults.cells) {
            return Err(self.faults.swap_remove(index).error);
        }
        if self.frame.rows() == 0 {
            let found = match self.untold.0 {
                0 => "no row under the header".to_owned(),
                rows => format!("{rows} rows, all of them without a target in {}", columns.name(columns.label)),
            };
            return Err(Error::file(path, found, "one row per line"));
        }
        Ok(())
    }

    /// The origins of the columns that `wanted` accepts, of which the first rows did not tell one, by all rows, where they have one.
    /// Numbers that became one in float32 may differ.
    pub(super) fn origins(&self, wanted: impl Fn(usize) -> bool) -> Vec<(usize, f64)> {
        let ends = self.frame.ends();
        let found = |(index, held): (usize, &Held)| match *held {
            Held::Number { at, .. } if wanted(index) => Some((index, origin_of_all(ends[at])?)),
            _ => None,
        };
        self.frame.held.iter().enumerate().filter_map(found).collect()
    }

    /// Says what is worth it.
    pub(super) fn tell(&mut self, notes: &mut Vec<Note>) {
        notes.append(&mut self.further);
        if self.untold.0 > 0 {
            let (rows, place) = self.untold;
            let first = self.frame.places.name(place);
            notes.push(format!("{rows} rows without a target are left out, the first in {first}").into());
        }
        if self.longer > 0 {
            let rows = self.longer;
            notes.push(format!("{rows} rows end with an empty cell after the last column, which is left aside").into());
        }
        if self.units > 0 {
            let text = format!(
                "{} cells with %, money or other signs beside their digits are read as their numbers",
                self.units
            );
            notes.push(Note::new(text, "categories"));
        }
        if self.odd > 0 {
            let odd = self.odd;
            let text = format!(
                "{odd} cells that are no UTF-8 are read as Windows-1252: convert the file to UTF-8 if that is wrong"
            );
            notes.push(text.into());
        }
        if self.comments > 0 {
            notes.push(format!("{} lines of comments among the rows are left aside", self.comments).into());
        }
        if self.headers > 0 {
            notes.push(format!("{} lines that are the header once more are left aside", self.headers).into());
        }
    }
}

/// The refusal of cells that are no numbers; a place of the file is a `unit`.
fn refused(
    path: &Path,
    columns: &Columns,
    column: usize,
    faults: &Faults,
    in_columns: usize,
    unit: &'static str,
) -> Error {
    let (text, line) = &faults.first;
    let more = match (faults.cells, in_columns) {
        (1, 1) => String::new(),
        (cells, 1) => format!(" ({cells} such cells in this column)"),
        (cells, others) => format!(" ({cells} such cells in this column, and some in {} others)", others - 1),
    };
    let (name, kind) = (columns.name(column), cells::described(text));
    let found = format!("{} in {unit} {line}, {name}, which is {kind}{more}", show(text));
    let error = Error::file(path, found, "a finite number");
    // What is no finite number may stand for a missing value.
    if faults.texts < faults.cells { error.advise(&[Remedy::Option("missing_values")]) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_again_for_an_origin_that_is_not_0() {
        let cases = [(0.5, 0.5), (0.0, 0.0), (0.25, 0.75), (0.0, 9.0), (f32::INFINITY, f32::NEG_INFINITY)];
        assert_eq!(cases.map(origin_of_all), [None; 5]);
        assert_eq!(origin_of_all((7.5, 7.5)), Some(7.0));
        assert_eq!(origin_of_all((1e6, 1e6 + 1.0)), Some(1e6));
    }
}
