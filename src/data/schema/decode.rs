//! From features back to cells, for people to read: as the model sees a row, not as its file wrote it.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::{Kind, Schema};

/// What stands for a cell that a feature says is missing.
const MISSING: &str = "(missing)";
/// Digits of numbers: features are rounded, and those far from the others were held.
const DIGITS: i32 = 6;

impl Schema {
    /// The columns that become features, by their places in the table, and the features of each.
    pub fn groups(&self) -> Vec<(usize, Range<usize>)> {
        let mut first = 0;
        let features = |(index, kind): (usize, &Kind)| {
            let range = first..first + kind.width();
            first = range.end;
            (!range.is_empty()).then_some((index, range))
        };
        self.columns.iter().enumerate().filter_map(features).collect()
    }

    /// The cell of column `index` that the `features` of that column, unscaled, stand for.
    pub fn cell(&self, index: usize, features: &[f32]) -> String {
        let Some(&first) = features.first() else { return String::new() };
        let missing = |indicator: &bool| *indicator && features.last().is_some_and(|last| *last > 0.5);
        match &self.columns[index] {
            Kind::Target | Kind::LeftOut { .. } => String::new(),
            Kind::Number { indicator, .. }
            | Kind::Quantity { indicator, .. }
            | Kind::Boolean { indicator, .. }
            | Kind::Time { indicator, .. }
            | Kind::Categories { indicator, .. }
                if missing(indicator) =>
            {
                MISSING.into()
            }
            Kind::Number { origin, .. } => rounded(f64::from(first) + origin),
            Kind::Quantity { unit, .. } => format!("{} {unit}", rounded(first.into())),
            Kind::Boolean { texts, .. } => texts[usize::from(first > 0.5)].clone(),
            Kind::Time { origin, .. } => date(f64::from(first) + origin),
            Kind::Categories { values, other, .. } => match features.iter().position(|feature| *feature > 0.5) {
                Some(at) if at < values.len() => values[at].clone(),
                _ if *other => "(other)".into(),
                _ => "(new)".into(),
            },
        }
    }
}

/// A number with the digits that survive scaling.
pub(crate) fn rounded(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return (value + 0.0).to_string();
    }
    let places = (DIGITS - 1 - value.abs().log10().floor() as i32).clamp(0, 12);
    let text = format!("{value:.*}", places as usize);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

/// A day since 1970, with its time where it has one.
fn date(days: f64) -> String {
    // Features are float32: finer than half a minute nothing is known.
    let minutes = (days * 24.0 * 60.0).round();
    let Some(moment) = DateTime::<Utc>::from_timestamp((minutes * 60.0) as i64, 0) else { return rounded(days) };
    let form = if minutes.rem_euclid(24.0 * 60.0) == 0.0 { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" };
    moment.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Columns, Missing};

    #[test]
    fn features_are_told_as_cells() {
        let columns = Columns { count: 5, label: 4, names: None };
        let values = ["red", "blue"].map(String::from).to_vec();
        let kinds = vec![
            Kind::Number { origin: 100.0, fill: Some(1.0), indicator: true, truth: false },
            Kind::Categories { values, other: true, fill: 0, indicator: false },
            Kind::Boolean { texts: ["no", "yes"].map(String::from), fill: false, indicator: false },
            Kind::Time { form: "%Y-%m-%d".into(), origin: 19_000.0, fill: 19_000.0, indicator: false },
            Kind::Target,
        ];
        let schema = Schema::new(&columns, kinds, Missing::Fill);
        assert_eq!(schema.groups(), [(0, 0..2), (1, 2..5), (2, 5..6), (3, 6..7)]);
        assert_eq!((schema.cell(0, &[2.5, 0.0]), schema.cell(0, &[2.5, 1.0])), ("102.5".into(), MISSING.into()));
        let colours = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|features| schema.cell(1, &features));
        assert_eq!(colours, ["red", "blue", "(other)"]);
        assert_eq!(schema.cell(2, &[1.0]), "yes");
        assert_eq!([0.0, 0.5].map(|days| schema.cell(3, &[days])), ["2022-01-08", "2022-01-08 12:00"]);
        assert_eq!([12.999999, 1234567.0, 0.1 + 0.2, -0.0].map(rounded), ["13", "1234567", "0.3", "0"]);
    }
}
