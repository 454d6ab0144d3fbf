//! The units of the first layer: as images where inputs are images, else by how much each takes from each column.

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::{is_of_images, mistakes};
use crate::checkpoint::Checkpoint;
use crate::data::channels;
use crate::error::Result;
use crate::metrics::norm;
use crate::model::Layer;
use crate::model::front::VALUES;
use crate::preview;

/// The most units and columns that are kept.
const UNITS: usize = 64;
const COLUMNS: usize = 40;
/// The most pixels of a side of a unit's image.
const SIDE: u32 = 64;

/// The units of a first layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstLayer {
    /// Number of all units.
    pub all: usize,
    /// The numbers of those that are kept, from 0: of more than 64 those with the largest weights.
    pub units: Vec<usize>,
    /// For images: the weights of each unit as a PNG in base64, 0 in mid-grey, the largest weight white or black.
    pub images: Vec<String>,
    /// For tables: the names of the columns, at most 40, those with the largest weights first.
    pub columns: Vec<String>,
    /// For tables: for each column, and in it for each unit, the Euclidean norm of the weights from the column's features, times
    /// their trained factors; `columns x units`, row-major.
    pub weights: Vec<f64>,
}

impl FirstLayer {
    /// That of `model`; none where it is the last layer, too.
    ///
    /// # Errors
    /// When an image cannot be written.
    pub fn of(model: &Checkpoint) -> Result<Option<Self>> {
        let (layers, parameters) = (model.model.layers(), &model.state.parameters);
        let [layer, _, ..] = layers else { return Ok(None) };
        let norms: Vec<f64> = (0..layer.outputs).map(|unit| norm(&weights_of(layer, parameters, unit))).collect();
        let units = largest(&norms, UNITS);
        let size = model.image().filter(|size| is_of_images(model) && channels(*size, layer.inputs).is_some());
        if let Some(size) = size {
            let image = |&unit: &usize| {
                let pixels = preview::shades(&weights_of(layer, parameters, unit));
                mistakes::tile(pixels, size, SIDE)
            };
            let images = units.iter().map(image).collect::<Result<_>>()?;
            return Ok(Some(Self { all: layer.outputs, units, images, columns: Vec::new(), weights: Vec::new() }));
        }
        let columns = Columns::of(model);
        let inputs = inputs_of(model, &columns);
        let factors = &parameters[model.model.front_tensors()[4].place.clone()];
        let weight = |inputs: &[usize], unit: usize| {
            let squares = inputs.iter().map(|&input| {
                let weight = f64::from(parameters[layer.weights.start + input * layer.outputs + unit]);
                (weight * factors.get(input).copied().map_or(1.0, f64::from)).powi(2)
            });
            squares.sum::<f64>().sqrt()
        };
        let totals: Vec<f64> = inputs
            .iter()
            .map(|inputs| units.iter().map(|&unit| weight(inputs, unit).powi(2)).sum::<f64>().sqrt())
            .collect();
        let mut kept = largest(&totals, COLUMNS);
        kept.sort_by(|one, other| totals[*other].total_cmp(&totals[*one]));
        let weights = kept.iter().flat_map(|&column| units.iter().map(move |&unit| (column, unit)));
        let weights = weights.map(|(column, unit)| weight(&inputs[column], unit)).collect();
        let columns = kept.iter().map(|&column| columns.names[column].clone()).collect();
        Ok(Some(Self { all: layer.outputs, units, images: Vec::new(), columns, weights }))
    }
}

/// The inputs of the first layer that come from each column: its features, and what they are embedded in.
fn inputs_of(model: &Checkpoint, columns: &Columns<'_>) -> Vec<Vec<usize>> {
    let (features, embedded) = (model.model.inputs(), &model.model.front().embedded);
    let of = |range: &std::ops::Range<usize>| {
        let waves = embedded.iter().enumerate().filter(|(_, feature)| range.contains(&(**feature as usize)));
        let waves = waves.flat_map(|(at, _)| features + VALUES * at..features + VALUES * (at + 1));
        range.clone().chain(waves).collect()
    };
    columns.features.iter().map(of).collect()
}

fn weights_of(layer: &Layer, parameters: &[f32], unit: usize) -> Vec<f32> {
    parameters[layer.weights.clone()].iter().skip(unit).step_by(layer.outputs).copied().collect()
}

/// The places of the `most` largest of `values`, in rising order.
fn largest(values: &[f64], most: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|one, other| values[*other].total_cmp(&values[*one]).then(one.cmp(other)));
    places.truncate(most);
    places.sort_unstable();
    places
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Mlp;
    use crate::model::Front;
    use crate::state::State;

    fn checkpoint(model: Mlp, parameters: Vec<f32>) -> Checkpoint {
        let state = State { parameters, ..State::default() };
        Checkpoint { name: "m".into(), model, state, metadata: None, assumed: Vec::new() }
    }

    #[test]
    fn weights_of_a_column_are_those_of_its_feature_and_of_its_waves() {
        let front = Front { embedded: vec![1], deviation: 0.1, scaled: true };
        let model = Mlp::new(&[2, 1, 2]).unwrap().with_front(front).unwrap();
        let mut parameters = vec![0.0; model.parameters()];
        let factors = model.front_tensors()[4].place.clone();
        let weights = model.layers()[0].weights.clone();
        // Inputs: two features, then three waves of the second one.
        parameters[factors].copy_from_slice(&[1.0, 2.0, 1.0, 1.0, 1.0]);
        parameters[weights].copy_from_slice(&[5.0, 1.5, 4.0, 0.0, 12.0]);
        let found = FirstLayer::of(&checkpoint(model, parameters)).unwrap().unwrap();
        assert_eq!(
            (found.all, &found.columns[..], &found.weights[..]),
            (1, &["2", "1"].map(String::from)[..], &[13.0, 5.0][..])
        );
        assert_eq!(FirstLayer::of(&checkpoint(Mlp::new(&[2, 2]).unwrap(), vec![0.0; 6])).unwrap(), None);
        assert_eq!(largest(&[1.0, 3.0, 2.0, 3.0], 2), [1, 3]);
    }
}
