//! The embedding of numbers in waves: a number `x` gives, beside itself, `e[j] = b[j] + sum_k W[j, k] cos(2 pi w[k] x + p[k])`.

use super::circle::{cosine, fraction};
use super::sum::by_halves;
use crate::model::FrontTensor;
use crate::model::front::{VALUES, WAVES};

/// The parameters of the embedding of some features.
#[derive(Debug, Clone, Copy)]
pub struct Waves<'a> {
    /// `w`: [`WAVES`] of each feature
    pub frequencies: &'a [f32],
    /// `p`: [`WAVES`] of each feature
    pub phases: &'a [f32],
    /// `W`: `VALUES x WAVES` of each feature
    pub weights: &'a [f32],
    /// `b`: [`VALUES`] of each feature
    pub biases: &'a [f32],
}

impl<'a> Waves<'a> {
    /// Those that `parameters`, which begin with a front's, have in the front's `tensors`.
    pub fn of(parameters: &'a [f32], tensors: &[FrontTensor; 5]) -> Self {
        let [frequencies, phases, weights, biases, _] =
            tensors.each_ref().map(|tensor| &parameters[tensor.place.clone()]);
        Self { frequencies, phases, weights, biases }
    }

    /// Where wave `k` of the embedded feature number `feature` is at `x`, in turns from -1/2 to 1/2.
    #[inline(always)]
    pub fn turn(&self, feature: usize, k: usize, x: f32) -> f32 {
        let at = feature * WAVES + k;
        fraction(self.frequencies[at] * x + self.phases[at] * std::f32::consts::FRAC_1_PI * 0.5)
    }
}

/// Fills `outputs` (`.. x (inputs + VALUES features)`) from the rows `x` (`.. x inputs`): these, then the values of each feature in
/// `embedded`.
pub fn embed(waves: Waves, embedded: &[u32], inputs: usize, x: &[f32], outputs: &mut [f32]) {
    let width = inputs + VALUES * embedded.len();
    for (x, outputs) in x.chunks_exact(inputs).zip(outputs.chunks_exact_mut(width)) {
        let (same, values) = outputs.split_at_mut(inputs);
        same.copy_from_slice(x);
        for (feature, &column) in embedded.iter().enumerate() {
            for j in 0..VALUES {
                let at = feature * VALUES + j;
                let wave = |k| waves.weights[at * WAVES + k] * cosine(waves.turn(feature, k, x[column as usize]));
                values[at] = waves.biases[at] + by_halves::<WAVES>(std::array::from_fn(wave));
            }
        }
    }
}
