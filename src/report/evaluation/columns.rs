//! What the inputs of a model of tables are to people: columns, and the cells of a row.

use std::ops::Range;

use crate::checkpoint::Checkpoint;
use crate::data::schema::rounded;
use crate::data::{Inputs, Samples, Schema};

/// Digits that scaling leaves of a feature that is about as large as others.
const DIGITS: f64 = 5.0;

/// The columns that become the features of a model.
pub(super) struct Columns<'a> {
    model: &'a Checkpoint,
    schema: Option<Schema>,
    /// Their names.
    pub(super) names: Vec<String>,
    /// The features of each.
    pub(super) features: Vec<Range<usize>>,
    /// Their places in the table.
    places: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// Those of `model`; where it does not know any, each feature is one, named by its number from 1.
    pub(super) fn of(model: &'a Checkpoint) -> Self {
        let metadata = model.metadata.as_ref();
        let columns = metadata.and_then(|metadata| metadata.columns.as_ref());
        match columns {
            Some(columns) => {
                let schema = metadata.and_then(|metadata| metadata.schema.clone());
                let schema = schema.unwrap_or_else(|| Schema::of_numbers(columns));
                let (places, features): (Vec<usize>, _) = schema.groups().into_iter().unzip();
                let names = places.iter().map(|&place| columns.short_name(place)).collect();
                Self { model, schema: Some(schema), names, features, places }
            }
            None => {
                let count = model.model.inputs();
                let names = (1..=count).map(|number| number.to_string()).collect();
                let features = (0..count).map(|feature| feature..feature + 1).collect();
                Self { model, schema: None, names, features, places: Vec::new() }
            }
        }
    }

    /// The cells of row `row` of `samples` in the columns `wanted`, by their places in [`Columns::names`].
    pub(super) fn cells(&self, samples: &Samples, row: usize, wanted: &[usize]) -> Vec<String> {
        let range = row * samples.width..(row + 1) * samples.width;
        let mut features = match &samples.inputs {
            Inputs::U8(values) => values[range].iter().copied().map(f32::from).collect(),
            Inputs::F32(values) => values[range].to_vec(),
        };
        if let Some(scaling) = self.model.metadata.as_ref().and_then(|metadata| metadata.scaling.as_ref()) {
            scaling.undo(&mut features);
            // What is left of rounding says nothing.
            for ((value, offset), divisor) in features.iter_mut().zip(&scaling.offset).zip(&scaling.divisor) {
                let step = 10f64.powf(f64::from(offset.abs().max(divisor.abs())).log10().floor() - DIGITS);
                *value = ((f64::from(*value) / step).round() * step) as f32;
            }
        }
        let cell = |&column: &usize| {
            let own = &features[self.features[column].clone()];
            match &self.schema {
                Some(schema) => schema.cell(self.places[column], own),
                None => rounded(f64::from(own[0])),
            }
        };
        wanted.iter().map(cell).collect()
    }
}
