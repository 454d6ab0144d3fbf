//! What the columns of a table become: decided once, by the rows to train on, and kept with the model. Training, evaluation,
//! prediction and exports all encode rows by it.

use serde::{Deserialize, Serialize};

use super::Columns;
use super::csv::Held;

mod decode;
mod encode;
mod fit;
mod quantities;
mod row_numbers;
mod times;

pub(crate) use decode::rounded;
pub(super) use encode::{Encoding, Met};
pub use fit::{Profile, Range};
pub(super) use fit::{Rules, fit, marks_of_missing};

/// Why a column is left out that the user wants left out.
const IGNORED: &str = "asked for";
/// Why the column is left out that says how much rows weigh.
const WEIGHT: &str = "it says how much rows weigh in training";

/// What is done about missing cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Filled by the median of numbers and the most frequent category of the training rows; where more than 1 % of these miss
    /// a cell, a further feature says so
    #[default]
    Fill,
    /// Their rows are left out
    Drop,
    /// Refused
    Refuse,
}

/// What the columns of a table become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// What each column of the training file becomes.
    pub columns: Vec<Kind>,
    /// The names of the features, in their order.
    pub features: Vec<String>,
    /// What is done about missing cells.
    pub missing: Missing,
    /// Cells that stand for a missing value, beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_values: Vec<String>,
}

/// What a column becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Kind {
    /// What is to be predicted.
    Target,
    /// Nothing.
    #[serde(rename = "left out")]
    LeftOut {
        /// The reason.
        why: String,
    },
    /// A number: `value - origin`.
    Number {
        /// What all numbers of it are read less, so that those far from 0 keep their digits in float32; mostly 0.
        origin: f64,
        /// The number that stands in for a missing one; without it, missing cells are refused.
        fill: Option<f64>,
        /// Whether a feature says that a cell is missing.
        indicator: bool,
        /// Whether training had nothing but 0 and 1. Other files may say yes and no instead.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truth: bool,
    },
    /// A number that has a unit behind it.
    Quantity {
        /// The unit.
        unit: String,
        /// The number that stands in for a missing one.
        fill: f64,
        /// Whether a feature says that a cell is missing.
        indicator: bool,
    },
    /// 1 or 0.
    Boolean {
        /// The texts, in lower case, that are 0 and 1.
        texts: [String; 2],
        /// Which of them stands in for a missing cell.
        fill: bool,
        /// Whether a feature says that a cell is missing.
        indicator: bool,
    },
    /// A date or a time, as days since 1970 less an origin.
    Time {
        /// Its form, as strftime has it.
        form: String,
        /// The origin in days.
        origin: f64,
        /// The day that stands in for a missing one.
        fill: f64,
        /// Whether a feature says that a cell is missing.
        indicator: bool,
    },
    /// A feature for each of some texts: 1 for that of the cell, 0 for the others.
    Categories {
        /// The texts.
        values: Vec<String>,
        /// Whether a further feature stands for all other texts.
        other: bool,
        /// Which feature stands in for a missing cell.
        fill: usize,
        /// Whether a feature says that a cell is missing.
        indicator: bool,
    },
}

impl Kind {
    /// Number of features that it becomes.
    fn width(&self) -> usize {
        match self {
            Kind::Target | Kind::LeftOut { .. } => 0,
            Kind::Number { indicator, .. }
            | Kind::Quantity { indicator, .. }
            | Kind::Boolean { indicator, .. }
            | Kind::Time { indicator, .. } => 1 + usize::from(*indicator),
            Kind::Categories { values, other, indicator, .. } => {
                values.len() + usize::from(*other) + usize::from(*indicator)
            }
        }
    }

    /// Whether its features are 0 or 1.
    fn is_binary(&self) -> bool {
        matches!(self, Kind::Boolean { .. } | Kind::Categories { .. })
    }

    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Target => "target",
            Kind::LeftOut { .. } => "left out",
            Kind::Number { .. } => "number",
            Kind::Quantity { .. } => "quantity",
            Kind::Boolean { .. } => "boolean",
            Kind::Time { .. } => "time",
            Kind::Categories { .. } => "categories",
        }
    }

    /// The names of its features, of a column called `name`.
    fn features(&self, name: &str) -> Vec<String> {
        let mut features = match self {
            Kind::Target | Kind::LeftOut { .. } => Vec::new(),
            Kind::Number { .. } | Kind::Quantity { .. } | Kind::Boolean { .. } | Kind::Time { .. } => {
                vec![name.to_owned()]
            }
            Kind::Categories { values, other, .. } => {
                let others = other.then(|| format!("{name} other"));
                values.iter().map(|value| format!("{name}={value}")).chain(others).collect()
            }
        };
        if self.width() > features.len() {
            features.push(format!("{name} missing"));
        }
        features
    }

    /// Whether a text stands for a missing value in such a column, beside what does in any: a unit without a number.
    pub(super) fn is_mark(&self, text: &str) -> bool {
        matches!(self, Kind::Quantity { unit, .. } if quantities::is_bare(text, unit))
    }

    /// Whether it was read in training, though it became nothing.
    pub(super) fn is_read(&self) -> bool {
        matches!(self, Kind::LeftOut { why } if why != IGNORED && why != WEIGHT)
    }

    /// How the cells of such a column are read.
    pub(super) fn held(&self) -> Held {
        match self {
            Kind::Target | Kind::LeftOut { .. } => Held::Nothing,
            Kind::Number { origin, .. } => Held::Number { at: 0, origin: *origin },
            Kind::Quantity { .. } | Kind::Boolean { .. } | Kind::Time { .. } | Kind::Categories { .. } => {
                Held::Text { at: 0 }
            }
        }
    }
}

impl Schema {
    /// The schema of columns that become these kinds.
    pub(super) fn new(columns: &Columns, kinds: Vec<Kind>, missing: Missing) -> Self {
        let features = kinds.iter().enumerate().flat_map(|(index, kind)| kind.features(&columns.short_name(index)));
        let features = features.collect();
        Self { columns: kinds, features, missing, missing_values: Vec::new() }
    }

    /// The schema of a model whose file does not have one: all columns but the target's are numbers, and none may be missing.
    pub fn of_numbers(columns: &Columns) -> Self {
        let kind = |index: usize| match index == columns.label {
            true => Kind::Target,
            false => Kind::Number { origin: 0.0, fill: None, indicator: false, truth: false },
        };
        Self::new(columns, (0..columns.count).map(kind).collect(), Missing::Refuse)
    }

    /// Number of features of a row.
    pub fn width(&self) -> usize {
        self.features.len()
    }

    /// For each feature, whether it is 0 or 1 and so needs no scaling.
    pub(super) fn binary(&self) -> Vec<bool> {
        let column = |kind: &Kind| {
            let (binary, width) = (kind.is_binary(), kind.width());
            (0..width).map(move |at| binary || at > 0).collect::<Vec<_>>()
        };
        self.columns.iter().flat_map(column).collect()
    }

    /// Whether it can be that of a table with `columns`. To be checked where a file holds it.
    pub fn is_usable(&self, columns: &Columns) -> bool {
        let finite = |kind: &Kind| match kind {
            Kind::Number { origin, fill, .. } => origin.is_finite() && fill.is_none_or(f64::is_finite),
            Kind::Quantity { fill, .. } => fill.is_finite(),
            Kind::Time { origin, fill, .. } => origin.is_finite() && fill.is_finite(),
            Kind::Categories { values, other, fill, .. } => *fill < values.len() + usize::from(*other),
            Kind::Target | Kind::LeftOut { .. } | Kind::Boolean { .. } => true,
        };
        self.columns.len() == columns.count
            && self.columns.iter().all(finite)
            && self.columns.iter().map(Kind::width).sum::<usize>() == self.features.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        Columns { count: 4, label: 3, names: Some(["size", "", "wet", "kind"].map(String::from).to_vec()) }
    }

    fn schema() -> Schema {
        let values = ["a", "b"].map(String::from).to_vec();
        let kinds = vec![
            Kind::Number { origin: 0.0, fill: Some(1.0), indicator: true, truth: false },
            Kind::Categories { values, other: true, fill: 2, indicator: false },
            Kind::Boolean { texts: ["no", "yes"].map(String::from), fill: false, indicator: true },
            Kind::Target,
        ];
        Schema::new(&columns(), kinds, Missing::Fill)
    }

    #[test]
    fn features_are_named_after_their_columns() {
        assert_eq!(schema().features, ["size", "size missing", "2=a", "2=b", "2 other", "wet", "wet missing"]);
        assert_eq!(schema().binary(), [false, true, true, true, true, true, true]);
        assert_eq!(Schema::of_numbers(&columns()).features, ["size", "2", "wet"]);
    }

    #[test]
    fn a_schema_of_other_columns_is_known() {
        let good = schema();
        assert!(good.is_usable(&columns()));
        assert!(!good.is_usable(&Columns { count: 5, ..columns() }));
        let mut bad = good.clone();
        bad.features.pop();
        assert!(!bad.is_usable(&columns()));
        let mut bad = good.clone();
        bad.columns[0] = Kind::Number { origin: f64::NAN, fill: None, indicator: true, truth: false };
        assert!(!bad.is_usable(&columns()));
        let mut bad = good;
        bad.columns[1] = Kind::Categories { values: vec!["a".into()], other: true, fill: 2, indicator: true };
        assert!(!bad.is_usable(&columns()));
    }
}
