//! The gradients of the embedding's parameters, summed over the rows of a batch in their order.

use std::f32::consts::TAU;

use super::circle::{cosine, sine};
use super::embed::Waves;
use crate::model::front::{VALUES, WAVES};

/// The gradients of the parameters of one feature's embedding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WaveGradients {
    /// The gradient of `w`.
    pub frequencies: [f32; WAVES],
    /// The gradient of `p`.
    pub phases: [f32; WAVES],
    /// The gradient of `W`.
    pub weights: [[f32; WAVES]; VALUES],
    /// The gradient of `b`.
    pub biases: [f32; VALUES],
}

impl WaveGradients {
    /// Those of each tensor, in the order of the front's.
    pub fn tensors(&self) -> [&[f32]; 4] {
        [&self.frequencies, &self.phases, self.weights.as_flattened(), &self.biases]
    }
}

/// The gradients of the embedded feature number `feature`, whose numbers are `x`, from those of its values, `de` (`.. x VALUES`).
pub fn embed_backward(waves: Waves, feature: usize, x: &[f32], de: &[[f32; VALUES]]) -> WaveGradients {
    let mut sums = WaveGradients::default();
    for (&x, de) in x.iter().zip(de) {
        for k in 0..WAVES {
            let turn = waves.turn(feature, k, x);
            let mut slope = 0.0;
            for (j, de) in de.iter().enumerate() {
                slope += de * waves.weights[(feature * VALUES + j) * WAVES + k];
                sums.weights[j][k] += de * cosine(turn);
            }
            let slope = slope * -sine(turn);
            sums.phases[k] += slope;
            sums.frequencies[k] += slope * x;
        }
        sums.biases.iter_mut().zip(de).for_each(|(sum, de)| *sum += de);
    }
    sums.frequencies.iter_mut().for_each(|sum| *sum *= TAU);
    sums
}
