//! Deciding what columns become, by the rows to train on.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::row_numbers::{are_row_numbers, tells_rows_apart};
use super::times::{self, Form};
use super::{IGNORED, Kind, Missing, Schema, WEIGHT, quantities};
use crate::data::csv::{Frame, Held, NO_TEXT, Place, is_missing, is_number, is_number_with, show};
use crate::data::known::are_bytes;
use crate::data::truth::{PAIRS, truth};
use crate::data::{Columns, Note};
use crate::error::{Error, Remedy, Result};

/// The share of the training rows that must miss a cell for a feature to say so.
const TOLD: f64 = 0.01;
/// The share of cells up to which text among numbers is taken for a slip.
const SLIPS: f64 = 0.05;
/// The most different texts among many numbers that are told of, however many cells have them.
const FEW: usize = 5;
/// The share of different texts from which a column of text tells rows apart, and the least rows that show it.
const DIFFERENT: (f64, usize) = (0.9, 20);
/// About how many of many different texts are looked at.
const LOOKED_AT: usize = 1000;
/// Columns of numbers that are gathered at a time: half a cache line of a row.
const TOGETHER: usize = 8;
/// About how many numbers are gathered at a time, however many rows there are: 8 MiB.
const GATHERED: usize = 1 << 21;
/// The least side of an image.
const LEAST_SIDE: usize = 8;

/// What the user says of columns.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Rules {
    /// Columns to leave out.
    pub(in crate::data) ignore: Vec<usize>,
    /// Columns to take as categories.
    pub(in crate::data) categories: Vec<usize>,
    /// The most categories of a column.
    pub(in crate::data) most: usize,
    /// What is done about missing cells.
    pub(in crate::data) missing: Missing,
    /// The column that says how much rows weigh.
    pub(in crate::data) weight: Option<usize>,
    /// Whether the file has decimal commas.
    pub(in crate::data) comma: bool,
}

/// A column as the rows to train on have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Its name, or its number from 1.
    pub column: String,
    /// What it becomes.
    #[serde(flatten)]
    pub kind: Kind,
    /// Rows in which it is missing.
    pub missing: usize,
    /// What it holds.
    pub range: Range,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Nothing that was read.
    Unread,
    /// Numbers between two of them.
    Numbers {
        /// The least one.
        least: f64,
        /// The greatest one.
        most: f64,
    },
    /// Texts.
    Texts {
        /// How many different ones.
        different: usize,
        /// The most frequent ones, and how often they occur.
        frequent: Vec<(String, usize)>,
    },
}

/// What is to be said of a column, and the option that says otherwise.
type Remark = (String, &'static str);

/// What is known of a column, and what there is to say of it.
struct Fitted {
    kind: Kind,
    missing: usize,
    range: Range,
    remark: Option<Remark>,
}

/// Decides what the columns of `frame` become, by the rows that `trained` accepts. What was decided goes to `notes`.
///
/// # Errors
/// [`Error::File`] for numbers among which a few cells are text, and for a table of which no feature is left.
pub(in crate::data) fn fit(
    path: &Path,
    frame: &Frame,
    columns: &Columns,
    trained: &(dyn Fn(usize) -> bool + Sync),
    rules: &Rules,
    notes: &mut Vec<Note>,
) -> Result<(Schema, Vec<Profile>)> {
    let fitting = Fitting { frame, columns, trained, rules, pixels: false };
    let fitting = Fitting { pixels: fitting.are_pixels(), ..fitting };
    let fitted = fitting.columns(path)?;
    let mut profiles = Vec::new();
    for (index, fitted) in fitted.into_iter().enumerate() {
        notes.extend(fitted.remark.map(|(text, option)| Note::new(format!("{}: {text}", columns.name(index)), option)));
        let column = columns.short_name(index);
        profiles.push(Profile { column, kind: fitted.kind, missing: fitted.missing, range: fitted.range });
    }
    tell(&profiles, rules, notes);
    let schema = Schema::new(columns, profiles.iter().map(|profile| profile.kind.clone()).collect(), rules.missing);
    if schema.width() == 0 {
        let why: Vec<String> = profiles
            .iter()
            .filter_map(|profile| match &profile.kind {
                Kind::LeftOut { why } => Some(format!("{}: {why}", profile.column)),
                _ => None,
            })
            .collect();
        let found = format!("no column to learn from ({})", why.join(", "));
        return Err(Error::file(path, found, "at least one whose values differ"));
    }
    Ok((schema, profiles))
}

/// Says what columns become, but for numbers.
fn tell(profiles: &[Profile], rules: &Rules, notes: &mut Vec<Note>) {
    let named = |wanted: &dyn Fn(&Kind) -> Option<String>| {
        let found: Vec<String> = profiles
            .iter()
            .filter_map(|profile| wanted(&profile.kind).map(|more| format!("{}{more}", profile.column)))
            .collect();
        (!found.is_empty()).then(|| listed(&found))
    };
    let mut reasons: Vec<&str> = Vec::new();
    for profile in profiles {
        if let Kind::LeftOut { why } = &profile.kind
            && !reasons.contains(&&why[..])
        {
            reasons.push(why);
        }
    }
    for reason in reasons {
        let found = named(&|kind| matches!(kind, Kind::LeftOut { why } if why == reason).then(String::new));
        if let Some(found) = found {
            let option = if reason == ALIKE { "categories" } else { "" };
            notes.push(Note::new(format!("left out, as {reason}: {found}"), option));
        }
    }
    let categories = named(&|kind| match kind {
        Kind::Categories { values, other, .. } => {
            let other = if *other { " and other" } else { "" };
            Some(format!(" ({}{other})", values.len()))
        }
        _ => None,
    });
    if let Some(found) = categories {
        notes.push(Note::new(format!("text becomes a feature for each value: {found}"), "max_categories"));
    }
    if let Some(found) = named(&|kind| match kind {
        Kind::Boolean { texts: [no, yes], .. } => Some(format!(" ({no} is 0, {yes} is 1)")),
        _ => None,
    }) {
        notes.push(Note::new(format!("two values become 0 and 1: {found}"), "categories"));
    }
    if let Some(found) = named(&|kind| match kind {
        Kind::Quantity { unit, .. } => Some(format!(" ({unit})")),
        _ => None,
    }) {
        notes.push(Note::new(format!("numbers are read without the unit behind them: {found}"), "categories"));
    }
    if let Some(found) = named(&|kind| match kind {
        Kind::Time { form, .. } if form.contains("%y") => Some(format!(" ({form}, {})", times::CENTURY)),
        Kind::Time { form, .. } => Some(format!(" ({form})")),
        _ => None,
    }) {
        notes.push(Note::new(format!("dates and times become days: {found}"), "categories"));
    }
    let missing: Vec<String> = profiles
        .iter()
        .filter(|profile| profile.missing > 0 && profile.kind.width() > 0)
        .map(|profile| format!("{} ({})", profile.column, profile.missing))
        .collect();
    if !missing.is_empty() && rules.missing == Missing::Fill {
        let found = listed(&missing);
        let message =
            format!("missing cells of the training rows are filled by the median or the most frequent: {found}");
        notes.push(Note::new(message, "missing"));
    }
}

/// At most 12 names.
fn listed(names: &[String]) -> String {
    let rest = if names.len() > 12 { format!(" and {} more", names.len() - 12) } else { String::new() };
    names.iter().take(12).cloned().collect::<Vec<_>>().join(", ") + &rest
}

/// Why columns are left out.
const CONSTANT: &str = "every row has the same value";
const EMPTY: &str = "no row has a value";
const COUNTED: &str = "they number the rows or tell them apart";
const ALIKE: &str = "nearly every row has a text of its own";

/// What it takes to decide on a column.
struct Fitting<'a> {
    frame: &'a Frame,
    columns: &'a Columns,
    trained: &'a (dyn Fn(usize) -> bool + Sync),
    rules: &'a Rules,
    /// Whether the columns look like the pixels of an image.
    pixels: bool,
}

impl Fitting<'_> {
    /// The values of the training rows.
    fn of<T>(&self, values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        values.enumerate().filter(|(row, _)| (self.trained)(*row)).map(|(_, value)| value)
    }

    /// Whether all columns are whole numbers from 0 to 255, and as many as a square has fields.
    fn are_pixels(&self) -> bool {
        let (numbers, texts) = self.frame.widths();
        let side = numbers.isqrt();
        texts == 0
            && side >= LEAST_SIDE
            && side * side == numbers
            && self.frame.held.iter().all(|held| !matches!(held, Held::Number { origin, .. } if *origin != 0.0))
            && self.frame.chunks.iter().all(|chunk| are_bytes(&chunk.numbers))
    }

    /// All columns. Numbers are gathered some columns at a time, as rows lie one after the other.
    fn columns(&self, path: &Path) -> Result<Vec<Fitted>> {
        let (count, _) = self.frame.widths();
        let mut numbers = vec![(0, 0.0); count];
        for (index, held) in self.frame.held.iter().enumerate() {
            if let Held::Number { at, origin } = *held {
                numbers[at] = (index, origin);
            }
        }
        let together = (GATHERED / self.frame.rows().max(1)).clamp(1, TOGETHER);
        let groups: Vec<&[(usize, f64)]> = numbers.chunks(together).collect();
        let group = |(group, columns): (usize, &&[(usize, f64)])| -> Vec<(usize, Fitted)> {
            let values = self.frame.gather(group * together, columns.len(), self.trained);
            let fitted = columns.iter().zip(values);
            fitted.map(|(&(index, origin), values)| (index, self.numbers(index, values, origin))).collect()
        };
        let mut numbers: HashMap<usize, Fitted> = groups.par_iter().enumerate().flat_map_iter(group).collect();
        let unread = |kind| Fitted { kind, missing: 0, range: Range::Unread, remark: None };
        let column = |index: usize| match (self.frame.held[index], numbers.remove(&index)) {
            (_, Some(fitted)) => Ok(fitted),
            (Held::Text { at }, None) => self.texts(path, index, at),
            _ if index == self.columns.label => Ok(unread(Kind::Target)),
            _ if self.rules.weight == Some(index) => Ok(unread(Kind::LeftOut { why: WEIGHT.into() })),
            _ => Ok(unread(Kind::LeftOut { why: IGNORED.into() })),
        };
        (0..self.columns.count).map(column).collect()
    }

    /// Whether a feature is to say that a cell is missing, where so many of all training rows miss it.
    fn indicator(&self, missing: usize, rows: usize) -> bool {
        self.rules.missing == Missing::Fill && missing as f64 > TOLD * rows as f64
    }

    /// A column of numbers, of which the training rows have these.
    fn numbers(&self, index: usize, mut values: Vec<f32>, origin: f64) -> Fitted {
        let rows = values.len();
        let name = self.columns.names.as_ref().map(|names| &names[index][..]);
        let apart = name.is_some_and(tells_rows_apart);
        values.retain(|value| !value.is_nan());
        let missing = rows - values.len();
        let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
        for &value in &values {
            (least, most) = (least.min(value), most.max(value));
        }
        let range = match values.is_empty() {
            true => Range::Unread,
            false => Range::Numbers { least: origin + f64::from(least), most: origin + f64::from(most) },
        };
        let left_out = |why: &str| Kind::LeftOut { why: why.into() };
        let indicator = self.indicator(missing, rows);
        let kind = if values.is_empty() {
            left_out(EMPTY)
        } else if least == most && !indicator && !self.pixels {
            left_out(CONSTANT)
        } else if apart && missing == 0 && {
            let units: Vec<f64> = values.iter().map(|value| origin + f64::from(*value)).collect();
            are_row_numbers(&units)
        } {
            left_out(COUNTED)
        } else {
            let truth = origin == 0.0 && values.iter().all(|value| [0.0, 1.0].contains(value));
            let fill = (self.rules.missing != Missing::Refuse).then(|| origin + median(&mut values));
            Kind::Number { origin, fill, indicator, truth }
        };
        Fitted { kind, missing, range, remark: None }
    }

    fn texts(&self, path: &Path, index: usize, at: usize) -> Result<Fitted> {
        let texts = &self.frame.texts[at];
        let mut counts = vec![0usize; texts.len()];
        let (mut rows, mut missing) = (0, 0);
        for code in self.of(self.frame.codes(at)) {
            rows += 1;
            match code {
                NO_TEXT => missing += 1,
                code => counts[code as usize] += 1,
            }
        }
        let mut found: Vec<(&str, usize)> =
            texts.iter().map(|text| &text[..]).zip(counts).filter(|(_, count)| *count > 0).collect();
        // The most frequent first; of equally frequent ones in the order of their names.
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let frequent = found.iter().take(8).map(|(text, count)| ((*text).to_owned(), *count)).collect();
        let range = Range::Texts { different: found.len(), frequent };
        let indicator = self.indicator(missing, rows);
        let forced = self.rules.categories.contains(&index);
        let left_out = |why: &str| Kind::LeftOut { why: why.into() };
        let form = if forced { Form::None } else { times::form(found.iter().map(|(text, _)| *text)) };
        let mut remark = if forced { None } else { self.check_slips(path, index, at)? };
        let kind = if found.is_empty() {
            left_out(EMPTY)
        } else if found.len() == 1 && !indicator {
            left_out(CONSTANT)
        } else if let Some(texts) = booleans(&found).filter(|_| !forced) {
            let truths: usize =
                found.iter().filter(|(text, _)| truth(text) == Some(true)).map(|(_, count)| count).sum();
            Kind::Boolean { texts, fill: 2 * truths > rows - missing, indicator }
        } else if let Form::One(form) = form {
            let mut days: Vec<f64> = Vec::new();
            for (text, count) in &found {
                days.extend(
                    times::days_or_iso(text, &form).into_iter().flat_map(|day| std::iter::repeat_n(day, *count)),
                );
            }
            days.sort_unstable_by(f64::total_cmp);
            let fill = days[days.len() / 2];
            Kind::Time { form, origin: fill.floor(), fill, indicator }
        } else if let Some(kind) = (!forced).then(|| self.quantity(index, &found, indicator)).flatten() {
            kind
        } else {
            if !forced && form == Form::None {
                remark = remark.or(self.check_dates(path, index, at, &found)?);
                remark = remark.or(self.check_units(path, index, at, &found)?);
            }
            if form == Form::Unclear {
                let example = found[0].0;
                let text = format!("dates such as {example:?} may begin with day or month, and are taken as text");
                remark = Some((text, "categories"));
            }
            let own = found.len() > self.rules.most && found.len() as f64 >= DIFFERENT.0 * (rows - missing) as f64;
            if own && rows - missing >= DIFFERENT.1 && !forced {
                left_out(ALIKE)
            } else {
                let values = found.iter().take(self.rules.most).map(|(text, _)| (*text).to_owned()).collect();
                Kind::Categories { values, other: found.len() > self.rules.most, fill: 0, indicator }
            }
        };
        Ok(Fitted { kind, missing, range, remark })
    }

    /// What a column of these texts becomes if all are numbers with one unit behind them.
    fn quantity(&self, index: usize, found: &[(&str, usize)], indicator: bool) -> Option<Kind> {
        let comma = self.rules.comma;
        let unit = quantities::unit(found.iter().map(|(text, _)| *text), comma)?;
        let mut numbers: Vec<f32> = Vec::new();
        for (text, count) in found {
            let number = quantities::number(text, unit, comma)? as f32;
            numbers.extend(std::iter::repeat_n(number, *count));
        }
        let values: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
        let name = self.columns.names.as_ref().map(|names| &names[index][..]);
        // As 1000XY and 1001XY are: names that were counted.
        let is_counted = are_row_numbers(&values)
            && (name.is_some_and(tells_rows_apart) || found.iter().all(|(text, _)| !text.trim().contains(' ')));
        let left_out = |why: &str| Some(Kind::LeftOut { why: why.into() });
        if is_counted {
            return left_out(COUNTED);
        }
        if !indicator && numbers.iter().all(|number| *number == numbers[0]) {
            return left_out(CONSTANT);
        }
        Some(Kind::Quantity { unit: unit.to_owned(), fill: median(&mut numbers), indicator })
    }

    /// Refuses a column of numbers in which a few cells are text: it is more likely that these are wrong than that all numbers
    /// are names.
    fn check_slips(&self, path: &Path, index: usize, at: usize) -> Result<Option<Remark>> {
        let texts = &self.frame.texts[at];
        let number: Vec<bool> = texts.iter().map(|text| is_number(text)).collect();
        let different = number.iter().filter(|number| **number).count();
        if different == texts.len() {
            return self.check_marks(path, index, at).map(|()| None);
        }
        if different <= self.rules.most {
            return Ok(None);
        }
        let expected = "a number, or none that could be counted as such";
        self.check_others(path, index, at, &number, &is_nearly_number, ("no numbers", expected))
    }

    /// Refuses a column of dates, the most frequent of which are `found`, in which a few cells are none, or dates in another form.
    fn check_dates(&self, path: &Path, index: usize, at: usize, found: &[(&str, usize)]) -> Result<Option<Remark>> {
        if found.len() <= self.rules.most {
            return Ok(None);
        }
        let Some(form) = times::usual(found) else { return Ok(None) };
        let date: Vec<bool> =
            self.frame.texts[at].iter().map(|text| times::days_or_iso(text, &form).is_some()).collect();
        if date.iter().filter(|date| **date).count() <= self.rules.most {
            return Ok(None);
        }
        let what = format!("no dates of the form {form}, as others are");
        self.check_others(path, index, at, &date, &times::is_date, (&what, "dates of one form"))
    }

    /// Refuses a column of numbers with a unit, the most frequent of which are `found`, in which a few cells are none, or have another.
    fn check_units(&self, path: &Path, index: usize, at: usize, found: &[(&str, usize)]) -> Result<Option<Remark>> {
        let comma = self.rules.comma;
        let Some(unit) = quantities::usual(found.iter().map(|(text, _)| *text), comma) else { return Ok(None) };
        let texts = &self.frame.texts[at];
        let own: Vec<bool> = texts.iter().map(|text| quantities::number(text, unit, comma).is_some()).collect();
        if own.iter().filter(|own| **own).count() <= self.rules.most {
            return Ok(None);
        }
        let what = format!("no numbers with {unit} behind them, as others are");
        let nearly = |text: &str| quantities::has_number(text, comma);
        self.check_others(path, index, at, &own, &nearly, (&what, "numbers with one unit"))
    }

    /// Refuses a column of which some texts are `usual` where few cells have others. Where more have, but these are few different
    /// ones, or all are `nearly` usual, that is what is to be said of it. What others are, and what is expected, goes into both.
    fn check_others(
        &self,
        path: &Path,
        index: usize,
        at: usize,
        usual: &[bool],
        nearly: &dyn Fn(&str) -> bool,
        (what, expected): (&str, &str),
    ) -> Result<Option<Remark>> {
        let texts = &self.frame.texts[at];
        // Among numbers and dates these stand for a missing value.
        let missing: Vec<bool> = texts.iter().map(|text| is_missing(text)).collect();
        let (mut cells, mut others, mut first) = (0usize, 0usize, None);
        let mut met = vec![false; texts.len()];
        for (code, place) in self.cells(at).filter(|(code, _)| !missing[*code]) {
            cells += 1;
            if !usual[code] {
                others += 1;
                met[code] = true;
                first = first.or(Some((code, place)));
            }
        }
        let words: Vec<&str> = texts.iter().zip(&met).filter(|(_, met)| **met).map(|(text, _)| &text[..]).collect();
        let Some((code, place)) = first else { return Ok(None) };
        let is_slip = others as f64 <= SLIPS * cells as f64;
        let all_nearly = || words.iter().step_by(words.len() / LOOKED_AT + 1).all(|word| nearly(word));
        if !is_slip && words.len() > FEW && !all_nearly() {
            return Ok(None);
        }
        let (text, name) = (&texts[code], self.columns.name(index));
        let listed = match words.len() {
            1..=FEW => format!(" ({})", words.iter().map(|word| show(word)).collect::<Vec<_>>().join(", ")),
            _ => format!(", such as {}", show(text)),
        };
        if !is_slip {
            let text = format!("{others} of {cells} cells are {what}{listed}; all are taken as text");
            return Ok(Some((text, "missing_values")));
        }
        let (shown, place) = (show(text), self.frame.places.name(place));
        let found = format!("{shown} in {place}, {name}: {others} of {cells} cells of this column are {what}");
        let remedies = [Remedy::Option("missing_values"), Remedy::Option("categories"), Remedy::Option("ignore")];
        Err(Error::file(path, found, expected).advise(&remedies))
    }

    /// Refuses a column of numbers alone: those that are text here have another decimal mark than the file.
    fn check_marks(&self, path: &Path, index: usize, at: usize) -> Result<()> {
        let texts = &self.frame.texts[at];
        // Further files may have another mark than the first.
        for comma in [self.rules.comma, !self.rules.comma] {
            let foreign: Vec<bool> = texts.iter().map(|text| !is_number_with(text, comma)).collect();
            let mut cells = self.cells(at).filter(|(code, _)| foreign[*code]);
            let Some((code, place)) = cells.next() else { continue };
            let (mark, expected) = if comma { ("point", "comma") } else { ("comma", "point") };
            let (shown, place, name) = (show(&texts[code]), self.frame.places.name(place), self.columns.name(index));
            let count = 1 + cells.count();
            let found = format!("{shown} in {place}, {name}: {count} cells of this column are numbers with a {mark}");
            let remedies = [Remedy::Option("decimal"), Remedy::Option("categories"), Remedy::Option("ignore")];
            return Err(
                Error::file(path, found, format!("a decimal {expected}, as the file has elsewhere")).advise(&remedies)
            );
        }
        Ok(())
    }

    /// The codes of those cells of a column of text that are there, and their places.
    fn cells(&self, at: usize) -> impl Iterator<Item = (usize, Place)> {
        let cells = self.frame.codes(at).zip(self.frame.rows_places());
        cells.filter(|(code, _)| *code != NO_TEXT).map(|(code, place)| (code as usize, place))
    }
}

/// Whether a text is a number beside which it says something of it: about, less than, a footnote.
fn is_nearly_number(text: &str) -> bool {
    is_number(text.trim_matches(|mark: char| "<>~≈≤≥=*+() ".contains(mark)))
}

/// Which of `texts`, all those of a column, stand for a missing value, where the others are dates, numbers with a unit, or say yes and
/// no. The decimal mark is a comma or a point.
pub(in crate::data) fn marks_of_missing(texts: &[String], comma: bool) -> Option<Vec<bool>> {
    let mut missing: Vec<bool> = texts.iter().map(|text| is_missing(text)).collect();
    // A unit without a number.
    let with_digits = || texts.iter().filter(|text| text.contains(|mark: char| mark.is_ascii_digit()));
    if let Some(unit) = quantities::unit(with_digits().map(|text| &text[..]), comma) {
        missing.iter_mut().zip(texts).for_each(|(missing, text)| *missing |= quantities::is_bare(text, unit));
    }
    if !missing.contains(&true) {
        return None;
    }
    let others: Vec<(&str, usize)> =
        texts.iter().zip(&missing).filter(|(_, missing)| !**missing).map(|(text, _)| (&text[..], 1)).collect();
    let are_dates = || matches!(times::form(others.iter().map(|(text, _)| *text)), Form::One(_));
    let are_quantities = || quantities::unit(others.iter().map(|(text, _)| *text), comma).is_some();
    (booleans(&others).is_some() || are_quantities() || are_dates()).then_some(missing)
}

/// The pair of the first of `found` that is a word, where all say yes or no, however they are spelt, and some say each.
fn booleans(found: &[(&str, usize)]) -> Option<[String; 2]> {
    let says = |wanted: bool| found.iter().any(|(text, _)| truth(text) == Some(wanted));
    if found.len() >= 16 || !says(false) || !says(true) || found.iter().any(|(text, _)| truth(text).is_none()) {
        return None;
    }
    let has = |pair: &[&str; 2], text: &str| pair.iter().any(|value| value.eq_ignore_ascii_case(text));
    let pair_of = |(text, _): &(&str, usize)| PAIRS.iter().find(|pair| has(pair, text));
    let pairs: Vec<&[&str; 2]> = found.iter().filter_map(pair_of).collect();
    let first = pairs.first()?;
    // Letters of several pairs, or among numbers, stand for something else.
    let (are_words, is_one) = (pairs.iter().all(|pair| pair[0].len() > 1), pairs.iter().all(|pair| pair == first));
    (are_words || is_one && pairs.len() == found.len()).then(|| first.map(str::to_owned))
}

/// The median of some numbers.
fn median(values: &mut [f32]) -> f64 {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    let middle = f64::from(*middle);
    match below.iter().copied().max_by(f32::total_cmp) {
        Some(below) if even => f64::midpoint(f64::from(below), middle),
        _ => middle,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::csv::Chunk;

    /// What a column called `name` becomes, with these texts, or with these numbers where they are all numbers.
    fn kind(name: &str, cells: &[String], rules: &Rules) -> Result<Kind> {
        fitted(name, cells, rules).map(|fitted| fitted.kind)
    }

    /// What is said of a column.
    fn told(name: &str, cells: &[String]) -> String {
        fitted(name, cells, &rules()).unwrap().remark.unwrap().0
    }

    fn fitted(name: &str, cells: &[String], rules: &Rules) -> Result<Fitted> {
        let numbers: Vec<f32> = cells.iter().map_while(|cell| cell.parse().ok()).collect();
        let mut frame = Frame::default();
        let lines = (1..=cells.len() as u64).collect();
        if numbers.len() == cells.len() {
            frame.held = vec![Held::Number { at: 0, origin: 0.0 }];
            frame.chunks = vec![Chunk { numbers, codes: Vec::new(), lines, file: 0 }];
        } else {
            let mut texts: Vec<String> = Vec::new();
            let mut code = |cell: &String| match texts.iter().position(|text| text == cell) {
                _ if cell.is_empty() => NO_TEXT,
                Some(place) => place as u32,
                None => {
                    texts.push(cell.clone());
                    texts.len() as u32 - 1
                }
            };
            let codes = cells.iter().map(&mut code).collect();
            frame.held = vec![Held::Text { at: 0 }];
            frame.chunks = vec![Chunk { numbers: Vec::new(), codes, lines, file: 0 }];
            frame.texts = vec![texts];
        }
        // A second column, so that there is something to learn from.
        frame.held.push(Held::Nothing);
        let columns = Columns { count: 2, label: 1, names: Some(vec![name.into(), "y".into()]) };
        let fitting = Fitting { frame: &frame, columns: &columns, trained: &|_| true, rules, pixels: false };
        Ok(fitting.columns("some".as_ref())?.swap_remove(0))
    }

    fn rules() -> Rules {
        Rules { most: 3, ..Rules::default() }
    }

    fn cells(count: usize, cell: impl Fn(usize) -> String) -> Vec<String> {
        (0..count).map(cell).collect()
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        for (name, cells, reason) in [
            ("", cells(30, |row| row.to_string()), COUNTED),
            ("customer_id", cells(30, |row| (row * 7 % 30 + 1000).to_string()), COUNTED),
            ("size", cells(30, |_| "2.5".into()), CONSTANT),
            ("place", cells(30, |_| "north".into()), CONSTANT),
            ("size", cells(30, |_| "NaN".into()), EMPTY),
            ("place", cells(30, |_| String::new()), EMPTY),
            ("tag", cells(30, |row| format!("b{row}")), ALIKE),
        ] {
            assert_eq!(kind(name, &cells, &rules()).unwrap(), Kind::LeftOut { why: reason.into() }, "{name}");
        }
        let counted = kind("time", &cells(30, |row| row.to_string()), &rules()).unwrap();
        assert_eq!(counted, Kind::Number { origin: 0.0, fill: Some(14.5), indicator: false, truth: false });
    }

    #[test]
    fn yes_and_no_are_known_however_they_are_spelt_but_for_letters_among_others() {
        let of =
            |texts: &[&str]| kind("flag", &cells(40, |row| texts[row % texts.len()].to_owned()), &rules()).unwrap();
        for texts in [&["no", "Yes"][..], &["0", "1", "no", "yes"], &["TRUE", "no", "False"], &["1.0", "no"]] {
            assert!(matches!(of(texts), Kind::Boolean { .. }), "{texts:?}");
        }
        for texts in [&["f", "y"][..], &["f", "n", "t"], &["0", "1", "n"], &["yes", "no", "maybe"], &["yes", "1"]] {
            assert!(matches!(of(texts), Kind::Categories { .. }), "{texts:?}");
        }
    }

    #[test]
    fn numbers_with_one_unit_are_quantities_unless_they_are_names_or_all_the_same() {
        let of = |name, cell: &dyn Fn(usize) -> String| kind(name, &cells(100, cell), &rules());
        let fill = 49.5;
        let quantity = Kind::Quantity { unit: "kg".into(), fill, indicator: false };
        assert_eq!(of("size", &|row| format!("{row} kg")).unwrap(), quantity);
        assert_eq!(of("size", &|row| format!("{row}.0kg")).unwrap(), Kind::LeftOut { why: COUNTED.into() });
        let halves = Kind::Quantity { unit: "kg".into(), fill: 24.75, indicator: false };
        assert_eq!(of("size", &|row| format!("{}kg", row as f64 / 2.0)).unwrap(), halves);
        for (name, cell) in [("sample", "XY"), ("sample_id", " XY")] {
            assert_eq!(
                of(name, &|row| format!("{}{cell}", 1000 + row)).unwrap(),
                Kind::LeftOut { why: COUNTED.into() }
            );
        }
        let same = of("size", &|row| ["5 kg", "5kg", "5.0 kg"][row % 3].into());
        assert_eq!(same.unwrap(), Kind::LeftOut { why: CONSTANT.into() });
        let slip = of("size", &|row| if row == 70 { "unknown".into() } else { format!("{row} kg") });
        let error = slip.unwrap_err().to_string();
        assert!(error.contains("\"unknown\" in line 71") && error.contains("numbers with one unit"), "{error}");
        let commas = Rules { comma: true, ..rules() };
        let halves = cells(100, |row| format!("{row},5 kg"));
        assert_eq!(
            kind("size", &halves, &commas).unwrap(),
            Kind::Quantity { unit: "kg".into(), fill: 50.0, indicator: false }
        );
        assert!(matches!(kind("size", &halves, &rules()).unwrap(), Kind::LeftOut { .. }));
    }

    #[test]
    fn the_most_frequent_texts_are_categories() {
        let all = cells(40, |row| ["a", "b", "a", "c", "d", "e", "b", ""][row % 8].to_owned());
        let values = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!(
            kind("place", &all, &rules()).unwrap(),
            Kind::Categories { values: values.clone(), other: true, fill: 0, indicator: true }
        );
        let few = cells(40, |row| ["a", "b", "c"][row % 3].to_owned());
        let refuse = Rules { missing: Missing::Refuse, ..rules() };
        assert_eq!(
            kind("place", &few, &refuse).unwrap(),
            Kind::Categories { values, other: false, fill: 0, indicator: false }
        );
    }

    #[test]
    fn a_few_texts_among_numbers_are_refused_unless_the_column_is_one_of_names() {
        let all = cells(100, |row| if row == 70 { "unknown".into() } else { format!("{row}.5") });
        let error = kind("size", &all, &rules()).unwrap_err().to_string();
        assert!(error.contains("\"unknown\" in line 71") && error.contains("1 of 100 cells"), "{error}");
        let named = Rules { categories: vec![0], ..rules() };
        assert!(matches!(kind("size", &all, &named).unwrap(), Kind::Categories { .. }));
        let commas = cells(100, |row| format!("{row},5"));
        let error = kind("size", &commas, &rules()).unwrap_err().to_string();
        assert!(error.contains("\"0,5\" in line 1") && error.contains("100 cells"), "{error}");
        let mixed = cells(3300, |row| if row < 3000 { (row % 9).to_string() } else { "1,5".into() });
        let error = kind("size", &mixed, &rules()).unwrap_err().to_string();
        assert!(error.contains("\"1,5\" in line 3001") && error.contains("300 cells"), "{error}");
        let points = cells(100, |row| if row == 7 { "1,234.5".into() } else { format!("{row},5") });
        let error = kind("size", &points, &Rules { comma: true, ..rules() }).unwrap_err().to_string();
        assert!(error.contains("\"1,234.5\" in line 8") && error.contains("a decimal comma"), "{error}");
        let grades = cells(100, |row| ["10", "11", "K"][row % 50 % 3].to_owned());
        assert!(matches!(kind("grade", &grades, &rules()).unwrap(), Kind::Categories { .. }));
    }

    #[test]
    fn a_few_different_texts_among_many_numbers_are_told_however_often_they_occur() {
        for (texts, what) in [
            (&["unknown"][..], "30 of 100 cells"),
            (&["missing", "n. v."], "(\"missing\", \"n. v.\")"),
            (&["<0.1", "<0.2", "5*", "90+", "~3", "(7)", "> 8"], "30 of 100 cells"),
        ] {
            let mut next = texts.iter().cycle();
            let all: Vec<String> = (0..100).map(|row| format!("{row}.5")).collect();
            let all: Vec<String> = all
                .into_iter()
                .enumerate()
                .map(|(row, cell)| if row % 10 < 3 { next.next().unwrap().to_string() } else { cell })
                .collect();
            let told = told("size", &all);
            assert!(told.contains(what) && told.contains("no numbers"), "{told}");
        }
        // Codes, some of which are numbers.
        let codes = cells(100, |row| if row % 2 == 0 { format!("A{}", row % 40) } else { row.to_string() });
        assert!(matches!(kind("code", &codes, &rules()).unwrap(), Kind::Categories { .. }));
    }

    #[test]
    fn cells_among_dates_that_are_none_are_refused_where_they_are_few_and_told_where_not() {
        let day = |row: usize| format!("2021-{:02}-{:02}", 1 + row % 12, 1 + row % 28);
        let mixed = |bad: &str, share| cells(200, |row| if row % share == 1 { bad.into() } else { day(row) });
        let error = kind("day", &mixed("2021-02-30", 50), &rules()).unwrap_err().to_string();
        assert!(error.contains("\"2021-02-30\" in line 2") && error.contains("%Y-%m-%d"), "{error}");
        for (bad, share) in [("0000-00-00", 3), ("soon", 2)] {
            let told = told("day", &mixed(bad, share));
            assert!(told.contains(&format!("({bad:?})")) && told.contains("%Y-%m-%d"), "{told}");
        }
        let two = cells(200, |row| if row % 2 == 1 { format!("{:02}.01.2021", 1 + row % 28) } else { day(row) });
        assert!(told("day", &two).contains("100 of 200 cells"));
        let notes = cells(200, |row| if row % 2 == 1 { format!("seen {}", row % 60) } else { day(row) });
        assert!(matches!(kind("note", &notes, &rules()).unwrap(), Kind::Categories { .. }));
    }

    #[test]
    fn marks_of_missing_values_are_such_among_dates_and_yes_and_no() {
        let marks =
            |texts: &[&str]| marks_of_missing(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), false);
        assert_eq!(marks(&["2021-01-05", "-", "NaT"]), Some(vec![false, true, true]));
        assert_eq!(marks(&["None", "True", "False"]), Some(vec![true, false, false]));
        assert_eq!((marks(&["a", "-", "b"]), marks(&["yes", "no"]), marks(&["-"])), (None, None, None));
    }

    #[test]
    fn medians_are_those_of_the_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
