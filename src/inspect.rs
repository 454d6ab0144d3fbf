//! What can be seen in a model's parameters: norms, and units that do nothing.

use rayon::prelude::*;
use serde::Serialize;

use crate::backend::cpu::activate::activate;
use crate::backend::cpu::reference::front;
use crate::data::{Inputs, Samples};
use crate::metrics::norm;
use crate::model::{Layer, Mlp};

/// Rows that a thread takes at a time.
const ROWS: usize = 256;

/// A layer, and the units of it that do nothing. Units are counted from 0; the last layer's are the classes, which are none of
/// these.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Width of its input.
    pub inputs: usize,
    /// Number of its units.
    pub outputs: usize,
    /// Euclidean norm of its weights.
    pub weight_norm: f64,
    /// Euclidean norm of its biases.
    pub bias_norm: f64,
    /// Units whose weights are all 0, from the layer before or to the layer after: what they give out does not depend on the
    /// input, or is of no effect.
    pub zero_units: Vec<usize>,
    /// Units whose weights and bias are, to the bit, those that training began with; none where it is not known.
    pub unmoved_units: Option<Vec<usize>>,
    /// Dead units: those whose activation is 0 for each row of the data; none without data.
    pub dead_units: Option<Vec<usize>>,
}

/// A report for each layer of `model`. `initial` are the parameters that training began with; `samples` are rows as the model
/// takes them.
pub fn layers(model: &Mlp, parameters: &[f32], initial: Option<&[f32]>, samples: Option<&Samples>) -> Vec<Report> {
    let alive = samples.map(|samples| alive(model, parameters, samples));
    let layers = model.layers();
    let report = |(index, layer): (usize, &Layer)| {
        let hidden = index + 1 < layers.len();
        let units = || (0..layer.outputs).filter(|_| hidden);
        let after = layers.get(index + 1).map_or(&[][..], |after| &parameters[after.weights.clone()]);
        let zero = |unit: &usize| {
            let width = after.len() / layer.outputs;
            let out = &after[unit * width..][..width];
            into(layer, parameters, *unit).all(|weight| weight == 0.0) || out.iter().all(|&weight| weight == 0.0)
        };
        let unmoved = |initial: &[f32]| {
            let same = |unit: &usize| {
                let bias = layer.biases.start + unit;
                let weights = into(layer, parameters, *unit).zip(into(layer, initial, *unit));
                weights.chain([(parameters[bias], initial[bias])]).all(|(now, then)| now.to_bits() == then.to_bits())
            };
            units().filter(same).collect()
        };
        Report {
            inputs: layer.inputs,
            outputs: layer.outputs,
            weight_norm: norm(&parameters[layer.weights.clone()]),
            bias_norm: norm(&parameters[layer.biases.clone()]),
            zero_units: units().filter(zero).collect(),
            unmoved_units: initial.map(unmoved),
            dead_units: alive.as_ref().map(|alive| units().filter(|&unit| !alive[index][unit]).collect()),
        }
    };
    layers.iter().enumerate().map(report).collect()
}

/// The weights that lead into a unit.
fn into<'a>(layer: &Layer, parameters: &'a [f32], unit: usize) -> impl Iterator<Item = f32> + 'a {
    parameters[layer.weights.clone()].iter().skip(unit).step_by(layer.outputs).copied()
}

/// For each hidden layer, which units are not 0 for some row.
fn alive(model: &Mlp, parameters: &[f32], samples: &Samples) -> Vec<Vec<bool>> {
    let hidden = &model.layers()[..model.layers().len() - 1];
    let none = || -> Vec<Vec<bool>> { hidden.iter().map(|layer| vec![false; layer.outputs]).collect() };
    let rows: Vec<usize> = (0..samples.len()).collect();
    let of_rows = |mut alive: Vec<Vec<bool>>, rows: &[usize]| {
        for &row in rows {
            let (mut values, _) = front(model, parameters, &row_of(samples, row));
            for (layer, alive) in hidden.iter().zip(&mut alive) {
                let mut sums = parameters[layer.biases.clone()].to_vec();
                for (value, weights) in values.iter().zip(parameters[layer.weights.clone()].chunks_exact(layer.outputs))
                {
                    if *value != 0.0 {
                        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
                    }
                }
                activate(layer.activation, &mut sums);
                alive.iter_mut().zip(&sums).for_each(|(alive, &sum)| *alive |= sum != 0.0);
                values = sums;
            }
        }
        alive
    };
    let either = |mut one: Vec<Vec<bool>>, other: Vec<Vec<bool>>| {
        one.iter_mut().flatten().zip(other.iter().flatten()).for_each(|(one, other)| *one |= other);
        one
    };
    rows.par_chunks(ROWS).fold(none, of_rows).reduce(none, either)
}

/// A row as the network sees it.
fn row_of(samples: &Samples, row: usize) -> Vec<f32> {
    let range = row * samples.width..(row + 1) * samples.width;
    match &samples.inputs {
        Inputs::U8(values) => values[range].iter().map(|&value| f32::from(value) / 255.0).collect(),
        Inputs::F32(values) => values[range].to_vec(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_that_do_nothing_are_found() {
        let model = Mlp::new(&[2, 4, 2]).unwrap();
        // Unit 0 lives, 1 is dead on the data below, 2 leads nowhere, 3 has no weights in.
        let parameters = [
            1.0, -1.0, 1.0, 0.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, // 2 x 4 weights, 4 biases
            1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, // 4 x 2 weights, 2 biases
        ];
        let mut initial = parameters;
        initial[0] += 0.5;
        initial[9] += 0.5;
        let samples = Samples::new(Inputs::U8(vec![0, 255, 51, 0]), 2, vec![0, 1]).unwrap();
        let reports = layers(&model, &parameters, Some(&initial), Some(&samples));
        assert_eq!(reports[0].zero_units, [2, 3]);
        assert_eq!(reports[0].dead_units.as_deref(), Some(&[1][..]));
        assert_eq!(reports[0].unmoved_units.as_deref(), Some(&[2, 3][..]));
        assert_eq!((reports[0].weight_norm, reports[0].bias_norm), (6f64.sqrt(), 1.0));
        assert!(reports[1].zero_units.is_empty() && reports[1].dead_units.as_ref().unwrap().is_empty());
        let reports = layers(&model, &parameters, None, None);
        assert_eq!((&reports[0].unmoved_units, &reports[0].dead_units), (&None, &None));
    }
}
