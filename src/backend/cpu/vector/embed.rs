//! The embedding of numbers over vectors of a feature's waves, as its twins to the bit.

use std::f32::consts::{FRAC_1_PI, TAU};

use super::{Vectors, vectorize};
use crate::backend::cpu::circle::{cosine, fraction, sine};
use crate::backend::cpu::embed::Waves;
use crate::backend::cpu::embed_backward::WaveGradients;
use crate::backend::cpu::sum::by_halves;
use crate::model::front::{VALUES, WAVES};

/// A value of each wave of a feature.
type Wave = [f32; WAVES];

/// The value that `of` gives for each wave. `std::array::from_fn` is a function of its own that knows nothing of the vectors that
/// its caller may use: there a rounding is a call for each number.
#[inline(always)]
fn each(of: impl Fn(usize) -> f32) -> Wave {
    let mut wave = [0.0; WAVES];
    for (k, value) in wave.iter_mut().enumerate() {
        *value = of(k);
    }
    wave
}

/// Fills `values` (`VALUES` of each feature in `embedded`) from the row `x`.
pub fn embed(vectors: Vectors, waves: Waves, embedded: &[u32], x: &[f32], values: &mut [f32]) {
    vectorize!(vectors, |_simd| embed_row(waves, embedded, x, values));
}

/// The gradients of the embedded feature number `feature`, as the twin's.
pub fn embed_backward(
    vectors: Vectors,
    waves: Waves,
    feature: usize,
    x: &[f32],
    de: &[[f32; VALUES]],
    sums: &mut WaveGradients,
) {
    vectorize!(vectors, |_simd| add_rows(waves, feature, x, de, sums));
}

/// The [`WAVES`] values of wave vector `at`.
#[inline(always)]
fn wave(values: &[f32], at: usize) -> Wave {
    let mut wave = [0.0; WAVES];
    wave.copy_from_slice(&values[at * WAVES..][..WAVES]);
    wave
}

/// Where the waves are at `x`, in turns from -1/2 to 1/2.
#[inline(always)]
fn turns(frequencies: &Wave, phases: &Wave, x: f32) -> Wave {
    each(|k| fraction(frequencies[k] * x + phases[k] * FRAC_1_PI * 0.5))
}

#[inline(always)]
fn embed_row(waves: Waves, embedded: &[u32], x: &[f32], values: &mut [f32]) {
    let (values, _) = values.as_chunks_mut::<VALUES>();
    for ((feature, &column), values) in embedded.iter().enumerate().zip(values) {
        let turns = turns(&wave(waves.frequencies, feature), &wave(waves.phases, feature), x[column as usize]);
        let cosines = each(|k| cosine(turns[k]));
        for (j, value) in values.iter_mut().enumerate() {
            let at = feature * VALUES + j;
            let weights = wave(waves.weights, at);
            *value = waves.biases[at] + by_halves(each(|k| weights[k] * cosines[k]));
        }
    }
}

#[inline(always)]
fn add_rows(waves: Waves, feature: usize, x: &[f32], de: &[[f32; VALUES]], sums: &mut WaveGradients) {
    let (frequencies, phases) = (wave(waves.frequencies, feature), wave(waves.phases, feature));
    let mut weights = [[0.0; WAVES]; VALUES];
    weights.iter_mut().enumerate().for_each(|(j, weights)| *weights = wave(waves.weights, feature * VALUES + j));
    let mut all = WaveGradients::default();
    for (&x, de) in x.iter().zip(de) {
        let turns = turns(&frequencies, &phases, x);
        let (cosines, sines) = (each(|k| cosine(turns[k])), each(|k| sine(turns[k])));
        let mut slopes = [0.0; WAVES];
        for ((sums, weights), de) in all.weights.iter_mut().zip(&weights).zip(de) {
            for k in 0..WAVES {
                slopes[k] += de * weights[k];
                sums[k] += de * cosines[k];
            }
        }
        for k in 0..WAVES {
            let slope = slopes[k] * -sines[k];
            all.phases[k] += slope;
            all.frequencies[k] += slope * x;
        }
        for (sum, de) in all.biases.iter_mut().zip(de) {
            *sum += de;
        }
    }
    for sum in &mut all.frequencies {
        *sum *= TAU;
    }
    *sums = all;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::{dropout::mix, embed as twin, embed_backward as twin_backward};

    #[test]
    fn vectors_give_what_the_twins_give() {
        let noise = |count: usize, salt: u32| -> Vec<f32> {
            (0..count as u32).map(|at| mix(at ^ mix(salt)) as f32 / 4e8 - 5.0).collect()
        };
        let (inputs, embedded) = (5, [0, 2, 3]);
        let [frequencies, phases, weights, biases] = [48, 48, 144, 9].map(|count| noise(count, count as u32 + 1));
        let waves = Waves { frequencies: &frequencies, phases: &phases, weights: &weights, biases: &biases };
        let x = noise(7 * inputs, 77);
        let mut expected = vec![0.0; 7 * (inputs + 9)];
        twin::embed(waves, &embedded, inputs, &x, &mut expected);
        let numbers = noise(33, 78);
        let de: Vec<[f32; VALUES]> = noise(99, 79).as_chunks().0.to_vec();
        for vectors in Vectors::all() {
            for (x, expected) in x.chunks(inputs).zip(expected.chunks(inputs + 9)) {
                let mut values = [0.0; 9];
                embed(vectors, waves, &embedded, x, &mut values);
                assert_eq!((x, &values[..]), (&expected[..inputs], &expected[inputs..]), "{vectors:?}");
            }
            for feature in 0..3 {
                let mut found = WaveGradients::default();
                embed_backward(vectors, waves, feature, &numbers, &de, &mut found);
                let expected = twin_backward::embed_backward(waves, feature, &numbers, &de);
                assert_eq!(found, expected, "{vectors:?}");
            }
        }
    }
}
