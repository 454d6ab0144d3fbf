//! From the columns of a batch to the cells of rows, as text of the same table would give them.

use std::io::Write as _;

use ::arrow_array::cast::AsArray;
use ::arrow_array::temporal_conversions as temporal;
use ::arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use ::arrow_array::{Array, ArrayRef};
use ::arrow_schema::{DataType, TimeUnit};
use chrono::NaiveDateTime;

use super::Batch;
use crate::data::csv::cells::Number;
use crate::data::csv::parse::{Cells, Faults, Form, NO_TEXT, Slot, Words, widths};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

impl Batch {
    /// Reads its rows.
    pub(in crate::data::csv) fn parse(&self, form: &Form<'_>) -> Cells {
        let rows = self.columns.num_rows();
        let (numbers, texts) = widths(form.slots);
        let mut cells = Cells {
            numbers: vec![f32::NAN; rows * numbers],
            codes: vec![NO_TEXT; rows * texts],
            words: (0..texts).map(|_| Words::default()).collect(),
            lines: (self.row..).take(rows).collect(),
            ..Cells::default()
        };
        let mut untold = Vec::new();
        if let Some(target) = form.slots.iter().position(|slot| *slot == Slot::Target) {
            let mut told = shown(self.columns.column(target));
            told.iter_mut().for_each(|text| *text = text.trim_ascii().to_owned());
            untold = told.iter().map(|text| form.reading.is_missing(text.as_bytes())).collect();
            for text in told {
                cells.targets.0.extend_from_slice(text.as_bytes());
                cells.targets.1.push(cells.targets.0.len());
            }
        }
        let (mut number, mut text) = (0, 0);
        for (index, slot) in form.slots.iter().enumerate() {
            let column = self.columns.column(index);
            match *slot {
                Slot::Skip | Slot::Target => {}
                Slot::Number(origin) => {
                    self.numbers(form, (index, origin), (number, numbers), &untold, &mut cells);
                    number += 1;
                }
                Slot::Text => {
                    let Cells { words, codes, .. } = &mut cells;
                    let words = &mut words[text];
                    each_text(column, |row, cell| {
                        let cell = cell.trim_ascii();
                        if !form.reading.is_missing(cell) {
                            codes[row * texts + text] = words.number(cell);
                        }
                    });
                    text += 1;
                }
            }
        }
        cells
    }

    /// Reads a column of numbers, less an origin, into a place of each row's. Rows that are `untold` have no target.
    fn numbers(
        &self,
        form: &Form<'_>,
        (index, origin): (usize, f64),
        (place, width): (usize, usize),
        untold: &[bool],
        cells: &mut Cells,
    ) {
        let column = self.columns.column(index);
        let mut faults: Option<Faults> = None;
        let mut fault = |row: usize, text: String, is_text: bool| {
            if !untold.get(row).copied().unwrap_or(false) {
                let line = self.row + row as u64;
                let faults = faults.get_or_insert(Faults { cells: 0, texts: 0, first: (text, line) });
                faults.cells += 1;
                faults.texts += u64::from(is_text);
            }
        };
        let values = &mut cells.numbers;
        // A number that the user calls missing is known by its text.
        let plain = form.reading.missing.is_empty()
            && each_number(column, origin != 0.0, |row, value| {
                if (value as f32).is_finite() {
                    values[row * width + place] = (value - origin) as f32;
                } else if !value.is_nan() {
                    fault(row, format!("{value:?}"), false);
                }
            });
        if !plain {
            each_text(column, |row, cell| {
                let cell = cell.trim_ascii();
                let text = || String::from_utf8_lossy(cell).into_owned();
                match form.reading.number(cell) {
                    Number::Value(value) => {
                        values[row * width + place] = (value - origin) as f32;
                        cells.units += u64::from(crate::data::csv::cells::without_unit(cell).is_some());
                    }
                    Number::Missing => {}
                    Number::TooLarge => fault(row, text(), false),
                    Number::Text => fault(row, text(), true),
                }
            });
        }
        cells.faults.extend(faults.map(|faults| (index, faults)));
    }

    /// The cells of column `index` as text.
    pub(in crate::data::csv) fn texts(&self, index: usize) -> Vec<String> {
        shown(self.columns.column(index))
    }

    /// The numbers of its rows, from 1.
    pub(in crate::data::csv) fn rows(&self) -> impl Iterator<Item = u64> {
        (self.row..).take(self.columns.num_rows())
    }
}

/// The cells of a column as text; empty where they are missing.
pub(super) fn shown(column: &ArrayRef) -> Vec<String> {
    let mut texts = vec![String::new(); column.len()];
    each_text(column, |row, cell| texts[row] = String::from_utf8_lossy(cell).into_owned());
    texts
}

/// Gives the row and the number of each cell that has one to `put`; false where the column is of another kind. Numbers of 32 bits
/// are those that their decimal digits say where `exact`.
fn each_number(column: &ArrayRef, exact: bool, mut put: impl FnMut(usize, f64)) -> bool {
    macro_rules! numbers {
        ($type:ty, $number:expr) => {
            each::<$type>(column, |row, value| put(row, $number(value)))
        };
    }
    match column.data_type() {
        DataType::Int8 => numbers!(Int8Type, f64::from),
        DataType::Int16 => numbers!(Int16Type, f64::from),
        DataType::Int32 => numbers!(Int32Type, f64::from),
        DataType::Int64 => numbers!(Int64Type, |value: i64| value as f64),
        DataType::UInt8 => numbers!(UInt8Type, f64::from),
        DataType::UInt16 => numbers!(UInt16Type, f64::from),
        DataType::UInt32 => numbers!(UInt32Type, f64::from),
        DataType::UInt64 => numbers!(UInt64Type, |value: u64| value as f64),
        DataType::Float16 => numbers!(Float16Type, f64::from),
        DataType::Float32 if exact => numbers!(Float32Type, decimal),
        DataType::Float32 => numbers!(Float32Type, f64::from),
        DataType::Float64 => numbers!(Float64Type, |value: f64| value),
        DataType::Duration(TimeUnit::Second) => numbers!(DurationSecondType, |value: i64| value as f64 / DAY),
        DataType::Duration(TimeUnit::Millisecond) => {
            numbers!(DurationMillisecondType, |value: i64| value as f64 / (1e3 * DAY))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            numbers!(DurationMicrosecondType, |value: i64| value as f64 / (1e6 * DAY))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            numbers!(DurationNanosecondType, |value: i64| value as f64 / (1e9 * DAY))
        }
        // Booleans are words, as in text: what is a number only because the first rows miss is read again.
        _ => return false,
    }
    true
}

/// The number whose shortest decimal digits are those of `value`: what a file of text would say.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Gives the row and the value of each cell that has one to `put`.
fn each<T: ArrowPrimitiveType>(column: &ArrayRef, mut put: impl FnMut(usize, T::Native)) {
    let column = column.as_primitive::<T>();
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => column.values().iter().enumerate().for_each(|(row, value)| put(row, *value)),
        Some(nulls) => nulls.valid_indices().for_each(|row| put(row, column.value(row))),
    }
}

/// Gives the row and the text of each cell that has one to `put`.
fn each_text(column: &ArrayRef, mut put: impl FnMut(usize, &[u8])) {
    let mut text = Vec::new();
    macro_rules! written {
        ($type:ty, $format:literal, $shown:expr) => {
            each::<$type>(column, |row, value| {
                text.clear();
                if let Some(value) = $shown(value) {
                    // Writing into memory does not fail.
                    let _ = write!(text, $format, value);
                    put(row, &text);
                }
            })
        };
    }
    macro_rules! decimals {
        ($type:ty, $precision:expr, $scale:expr) => {
            written!($type, "{}", |value| Some(<$type>::format_decimal(value, $precision, $scale)))
        };
    }
    macro_rules! moments {
        ($type:ty, $moment:path, $zone:expr) => {
            each::<$type>(column, |row, value| {
                text.clear();
                let _ = match $moment(value) {
                    Some(moment) => write!(text, "{}", moment_text(moment, $zone)),
                    // Beyond what a calendar holds.
                    None => write!(text, "{value}"),
                };
                put(row, &text);
            })
        };
    }
    match column.data_type() {
        DataType::Utf8 => strings(column.as_string::<i32>().iter(), put),
        DataType::LargeUtf8 => strings(column.as_string::<i64>().iter(), put),
        DataType::Utf8View => strings(column.as_string_view().iter(), put),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            if dictionary.values().is_empty() {
                return;
            }
            let values = shown(dictionary.values());
            for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
                if dictionary.is_valid(row) && dictionary.values().is_valid(key) {
                    put(row, values[key].as_bytes());
                }
            }
        }
        DataType::Boolean => {
            let word = |value: bool| if value { "True" } else { "False" };
            strings(column.as_boolean().iter().map(|value| value.map(word)), put);
        }
        DataType::Int8 => written!(Int8Type, "{}", Some),
        DataType::Int16 => written!(Int16Type, "{}", Some),
        DataType::Int32 => written!(Int32Type, "{}", Some),
        DataType::Int64 => written!(Int64Type, "{}", Some),
        DataType::UInt8 => written!(UInt8Type, "{}", Some),
        DataType::UInt16 => written!(UInt16Type, "{}", Some),
        DataType::UInt32 => written!(UInt32Type, "{}", Some),
        DataType::UInt64 => written!(UInt64Type, "{}", Some),
        DataType::Float16 => {
            written!(Float16Type, "{:?}", |value| Some(f32::from(value)).filter(|value: &f32| !value.is_nan()))
        }
        DataType::Float32 => written!(Float32Type, "{:?}", |value: f32| Some(value).filter(|value| !value.is_nan())),
        DataType::Float64 => written!(Float64Type, "{:?}", |value: f64| Some(value).filter(|value| !value.is_nan())),
        DataType::Decimal32(precision, scale) => decimals!(Decimal32Type, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals!(Decimal64Type, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals!(Decimal128Type, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals!(Decimal256Type, *precision, *scale),
        DataType::Date32 => {
            written!(Date32Type, "{}", |value| temporal::date32_to_datetime(value).map(|moment| moment.date()));
        }
        DataType::Date64 => {
            written!(Date64Type, "{}", |value| temporal::date64_to_datetime(value).map(|moment| moment.date()));
        }
        DataType::Timestamp(unit, zone) => {
            let zone = zone.is_some();
            match unit {
                TimeUnit::Second => moments!(TimestampSecondType, temporal::timestamp_s_to_datetime, zone),
                TimeUnit::Millisecond => moments!(TimestampMillisecondType, temporal::timestamp_ms_to_datetime, zone),
                TimeUnit::Microsecond => moments!(TimestampMicrosecondType, temporal::timestamp_us_to_datetime, zone),
                TimeUnit::Nanosecond => moments!(TimestampNanosecondType, temporal::timestamp_ns_to_datetime, zone),
            }
        }
        DataType::Time32(TimeUnit::Second) => written!(Time32SecondType, "{}", temporal::time32s_to_time),
        DataType::Time32(_) => written!(Time32MillisecondType, "{}", temporal::time32ms_to_time),
        DataType::Time64(TimeUnit::Microsecond) => written!(Time64MicrosecondType, "{}", temporal::time64us_to_time),
        DataType::Time64(_) => written!(Time64NanosecondType, "{}", temporal::time64ns_to_time),
        DataType::Duration(_) => {
            each_number(column, true, |row, days| {
                text.clear();
                let _ = write!(text, "{days:?}");
                put(row, &text);
            });
        }
        // Columns of no value, and kinds that are left out.
        _ => {}
    }
}

fn strings<'a>(cells: impl Iterator<Item = Option<&'a str>>, mut put: impl FnMut(usize, &[u8])) {
    for (row, cell) in cells.enumerate() {
        if let Some(cell) = cell {
            put(row, cell.as_bytes());
        }
    }
}

/// A moment as pandas writes it; with a zone it is that of Greenwich.
fn moment_text(moment: NaiveDateTime, zone: bool) -> String {
    let zone = if zone { "+00:00" } else { "" };
    format!("{}{zone}", moment.format("%Y-%m-%d %H:%M:%S%.f"))
}
