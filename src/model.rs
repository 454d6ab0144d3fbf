//! The model: layer widths, and where each tensor lies in one flat buffer of f32 parameters.

use std::fmt;
use std::ops::Range;

use rand::distr::Distribution;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random;

/// The most parameters a model may have: the flat buffer is indexed with 32 bits on the device.
const MAX_PARAMETERS: usize = 1 << 30;

/// One dense layer, `f = h W + b`: its widths and where its tensors lie in the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Width of `h`.
    pub inputs: usize,
    /// Width of `f`.
    pub outputs: usize,
    /// `W`, `inputs x outputs`, row-major.
    pub weights: Range<usize>,
    /// `b`, `outputs`.
    pub biases: Range<usize>,
}

/// What is applied to each value of a hidden layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(f, 0)`.
    Relu,
    /// `f`.
    Identity,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Relu, Self::Identity];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Identity => "identity",
        }
    }
}

/// A multi-layer perceptron: ReLU between the layers, softmax after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mlp {
    widths: Vec<usize>,
    layers: Vec<Layer>,
}

impl Mlp {
    /// A model of `widths`: inputs, any number of hidden layers, classes. The flat buffer holds `W0 b0 W1 b1 ...`.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two widths, a width of 0, or more than 2^30 parameters.
    pub fn new(widths: &[usize]) -> Result<Self> {
        if widths.len() < 2 || widths.contains(&0) {
            return Err(Error::Usage(format!("a network needs at least two layer widths above 0, not {widths:?}")));
        }
        let mut layers = Vec::with_capacity(widths.len() - 1);
        let mut end = 0;
        for pair in widths.windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            let size =
                inputs.checked_mul(outputs).and_then(|w| w.checked_add(outputs)).and_then(|s| s.checked_add(end));
            if size.is_none_or(|size| size > MAX_PARAMETERS) {
                return Err(Error::Usage(format!(
                    "a network of widths {widths:?} has more than 2^30 parameters: use smaller hidden layers"
                )));
            }
            let (start, middle) = (end, end + inputs * outputs);
            end = middle + outputs;
            layers.push(Layer { inputs, outputs, weights: start..middle, biases: middle..end });
        }
        Ok(Self { widths: widths.to_vec(), layers })
    }

    /// The widths it was made of.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Its dense layers, first to last; at least one.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.widths[0]
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// Length of the flat buffer.
    pub fn parameters(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases.end)
    }

    /// Initial parameters: biases 0, weights by `init` from stream 0 of `seed`, drawn in the order of the flat buffer.
    pub fn initial_parameters(&self, init: Init, seed: u64) -> Vec<f32> {
        let mut rng = random::weights(seed);
        let mut parameters = vec![0.0; self.parameters()];
        for layer in &self.layers {
            let deviation = match init {
                Init::Normal(deviation) => deviation,
                Init::He => (2.0 / layer.inputs as f32).sqrt(),
            };
            for weight in &mut parameters[layer.weights.clone()] {
                let sample: f32 = StandardNormal.sample(&mut rng);
                *weight = deviation * sample;
            }
        }
        parameters
    }
}

/// The widths, as `784-7-10`.
impl fmt::Display for Mlp {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let widths: Vec<_> = self.widths.iter().map(usize::to_string).collect();
        formatter.write_str(&widths.join("-"))
    }
}

/// How weights start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Normal with standard deviation `sqrt(2 / inputs)` (He et al. 2015, "Delving Deep into Rectifiers", eq. 10).
    He,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_flat_buffer_is_weights_then_biases_layer_by_layer() {
        let model = Mlp::new(&[3, 2, 4]).unwrap();
        let ranges: Vec<_> = model.layers().iter().map(|l| (l.weights.clone(), l.biases.clone())).collect();
        assert_eq!(ranges, [(0..6, 6..8), (8..16, 16..20)]);
        assert_eq!(model.parameters(), 20);
    }

    #[test]
    fn impossible_widths_are_refused() {
        for widths in [&[][..], &[784], &[784, 0, 10], &[usize::MAX, 2, 2], &[1 << 20, 1 << 20, 2]] {
            assert!(matches!(Mlp::new(widths), Err(Error::Usage(_))), "{widths:?}");
        }
    }

    #[test]
    fn initial_weights_have_the_asked_deviation_and_biases_are_zero() {
        let model = Mlp::new(&[784, 64, 10]).unwrap();
        for (init, expected) in [(Init::Normal(0.01), 0.01), (Init::He, (2.0f64 / 784.0).sqrt())] {
            let parameters = model.initial_parameters(init, 3);
            let layer = &model.layers()[0];
            let weights = &parameters[layer.weights.clone()];
            let n = weights.len() as f64;
            let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
            let deviation = (weights.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.02, "{init:?}: {deviation} is not {expected}");
            assert!(mean.abs() < 4.0 * expected / n.sqrt(), "{init:?}: mean {mean}");
            assert!(parameters[layer.biases.clone()].iter().all(|&b| b == 0.0));
        }
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let model = Mlp::new(&[5, 3]).unwrap();
        let draw = |seed| model.initial_parameters(Init::Normal(1.0), seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
