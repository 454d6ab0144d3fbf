//! The model: its layers, its head, and where each tensor lies in one flat buffer of f32 parameters.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use rand::RngExt;
use rand::distr::Distribution;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

pub use crate::activation::Activation;
pub use front::{Embed, Front, FrontTensor};

use crate::error::{Error, Result};
use crate::random;

pub mod front;

/// The most parameters a model may have: the flat buffer is indexed with 32 bits on the device.
const MAX_PARAMETERS: usize = 1 << 30;

/// What the last layer's sums mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Their softmax is the probability of each class.
    #[default]
    Classes,
    /// They are the predicted values.
    Values,
}

/// One dense layer, `f = h W + b`: its widths and where its tensors lie in the flat buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Width of `h`.
    pub inputs: usize,
    /// Width of `f`.
    pub outputs: usize,
    /// `W`, `inputs x outputs`, row-major.
    pub weights: Range<usize>,
    /// `b`, `outputs`.
    pub biases: Range<usize>,
    /// What happens to `f`; the last layer's is the identity, as the head takes its sums.
    pub activation: Activation,
    /// The share of the outputs that training drops; 0 in the last layer.
    pub dropout: f64,
}

/// A multi-layer perceptron: dense layers with activations between them, and a head after the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    widths: Vec<usize>,
    layers: Vec<Layer>,
    head: Head,
    input_dropout: f64,
    front: Front,
    front_tensors: [FrontTensor; 5],
}

/// The largest number from 1 to `most` for which `fits` holds, which holds for all numbers beneath one for which it does.
pub(crate) fn most(most: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut fit, mut beyond) = (0, most + 1);
    while fit + 1 < beyond {
        let middle = fit.midpoint(beyond);
        if fits(middle) { fit = middle } else { beyond = middle }
    }
    (fit > 0).then_some(fit)
}

impl Mlp {
    /// A model of `widths`: inputs, any number of hidden layers, outputs. Hidden layers have ReLU and drop nothing, the outputs
    /// are classes. The flat buffer holds `W0 b0 W1 b1 ...`.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than two widths, a width of 0, or more than 2^30 parameters.
    pub fn new(widths: &[usize]) -> Result<Self> {
        Self::with_layout(widths, Front::default())
    }

    /// The same model with `front` before its first layer, whose inputs are those that it gives. Its parameters come first in the
    /// flat buffer.
    ///
    /// # Errors
    /// [`Error::Usage`] for an embedded feature that rows do not have, features that do not ascend, or more than 2^30 parameters.
    pub fn with_front(self, front: Front) -> Result<Self> {
        let ascends = front.embedded.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends || front.embedded.last().is_some_and(|&last| last as usize >= self.inputs()) {
            let (embedded, inputs) = (&front.embedded, self.inputs());
            return Err(Error::Usage(format!(
                "features {embedded:?} are to be embedded: give some of the {inputs} in ascending order"
            )));
        }
        let mut model =
            Self { head: self.head, input_dropout: self.input_dropout, ..Self::with_layout(&self.widths, front)? };
        for (layer, old) in model.layers.iter_mut().zip(&self.layers) {
            (layer.activation, layer.dropout) = (old.activation, old.dropout);
        }
        Ok(model)
    }

    fn with_layout(widths: &[usize], front: Front) -> Result<Self> {
        if widths.len() < 2 || widths.contains(&0) {
            return Err(Error::Usage(format!("a network needs at least two layer widths above 0, not {widths:?}")));
        }
        let mut layers = Vec::with_capacity(widths.len() - 1);
        let front_tensors = front.tensors(widths[0]);
        let mut end = front_tensors[4].place.end;
        for (index, pair) in widths.windows(2).enumerate() {
            let inputs = if index == 0 { front.outputs(pair[0]) } else { pair[0] };
            let outputs = pair[1];
            let size =
                inputs.checked_mul(outputs).and_then(|w| w.checked_add(outputs)).and_then(|s| s.checked_add(end));
            if size.is_none_or(|size| size > MAX_PARAMETERS) {
                return Err(Error::Usage(format!(
                    "a network of widths {widths:?} has more than 2^30 parameters: use smaller hidden layers"
                )));
            }
            let (start, middle) = (end, end + inputs * outputs);
            end = middle + outputs;
            let last = layers.len() + 2 == widths.len();
            let activation = if last { Activation::Identity } else { Activation::Relu };
            let (weights, biases) = (start..middle, middle..end);
            layers.push(Layer { inputs, outputs, weights, biases, activation, dropout: 0.0 });
        }
        let (widths, head) = (widths.to_vec(), Head::Classes);
        Ok(Self { widths, layers, head, input_dropout: 0.0, front, front_tensors })
    }

    /// The most units that its hidden layers may have, if wider ones are cut down to so many, for `fits` to hold, which fewer never make
    /// false; none where not even one would do, or there are no hidden layers. Dropout and front do not count.
    pub fn widest(&self, fits: impl Fn(&Self) -> bool) -> Option<usize> {
        let (first, last) = (self.inputs(), self.outputs());
        let cut = |most: usize| {
            let hidden = self.hidden().iter().map(|&width| width.min(most));
            Self::new(&[first].into_iter().chain(hidden).chain([last]).collect::<Vec<_>>())
        };
        let fits = |most: usize| cut(most).is_ok_and(|model| fits(&model.with_head(self.head)));
        let widest = *self.hidden().iter().max()?;
        most(widest, fits)
    }

    /// The same model with `activation` in all hidden layers.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        let hidden = self.layers.len() - 1;
        self.layers[..hidden].iter_mut().for_each(|layer| layer.activation = activation);
        self
    }

    /// The same model with another head.
    pub fn with_head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// The same model, of which training drops the share `input` of the inputs, and of each hidden layer's outputs its share of
    /// `hidden`; one share is for all hidden layers, none drops nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] for a share outside `0 <= share < 1`, or another number of shares than hidden layers.
    pub fn with_dropout(mut self, input: f64, hidden: &[f64]) -> Result<Self> {
        let layers = self.layers.len() - 1;
        if let Some(share) = hidden.iter().chain([&input]).find(|share| !(0.0..1.0).contains(*share)) {
            return Err(Error::Usage(format!("a dropout of {share}: give a share from 0 on and below 1")));
        }
        if hidden.len() > 1 && hidden.len() != layers {
            let (shares, widths) = (hidden.len(), &self.widths);
            return Err(Error::Usage(format!(
                "{shares} shares of dropout for the {layers} hidden layers of {widths:?}"
            )));
        }
        self.input_dropout = input;
        for (index, layer) in self.layers[..layers].iter_mut().enumerate() {
            layer.dropout = hidden.get(index).or(hidden.first()).copied().unwrap_or(0.0);
        }
        Ok(self)
    }

    /// The widths it was made of: the features of a row, the hidden layers, the outputs.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Its dense layers, first to last; at least one.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Whether both are the same network, except for parameters and dropout.
    pub fn same_shape(&self, other: &Self) -> bool {
        let activations = |of: &Self| of.layers.iter().map(|layer| layer.activation).collect::<Vec<_>>();
        (&self.widths, &self.front, self.head) == (&other.widths, &other.front, other.head)
            && activations(self) == activations(other)
    }

    /// The width of the input of layer `index`; that of the outputs if `index` is the number of layers.
    pub(crate) fn width(&self, index: usize) -> usize {
        self.layers.get(index).map_or(self.outputs(), |layer| layer.inputs)
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.widths[0]
    }

    /// Number of outputs: classes, or values per row.
    pub fn outputs(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// The number of classes, if the outputs are classes.
    pub fn classes(&self) -> usize {
        self.outputs()
    }

    /// What the outputs mean.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The share of the inputs that training drops.
    pub fn input_dropout(&self) -> f64 {
        self.input_dropout
    }

    /// The front, which the features of a row pass before the first layer.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The front's tensors, in the order of the flat buffer, which begins with them.
    pub fn front_tensors(&self) -> &[FrontTensor; 5] {
        &self.front_tensors
    }

    /// Widths of the hidden layers.
    pub fn hidden(&self) -> &[usize] {
        &self.widths[1..self.widths.len() - 1]
    }

    /// The activation of the hidden layers; ReLU if there are none.
    pub fn activation(&self) -> Activation {
        self.layers[..self.layers.len() - 1].first().map_or(Activation::Relu, |layer| layer.activation)
    }

    /// Length of the flat buffer.
    pub fn parameters(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases.end)
    }

    /// Initial parameters: biases 0, weights by `init` and the front's as it says, from stream 0 of `seed`, drawn in the order of the
    /// flat buffer.
    pub fn initial_parameters(&self, init: Init, seed: u64) -> Vec<f32> {
        let mut rng = random::weights(seed);
        let mut parameters = vec![0.0; self.parameters()];
        self.front.draw(&self.front_tensors, &mut rng, &mut parameters);
        for layer in &self.layers {
            let (inputs, outputs) = (layer.inputs as f32, layer.outputs as f32);
            let deviation = match init {
                Init::Normal(deviation) => deviation,
                Init::He => (2.0 / inputs).sqrt(),
                Init::Xavier => (2.0 / (inputs + outputs)).sqrt(),
                Init::Lecun => (1.0 / inputs).sqrt(),
                Init::Torch => {
                    let bound = (1.0 / inputs).sqrt();
                    let tensors = parameters[layer.weights.start..layer.biases.end].iter_mut();
                    tensors.for_each(|value| *value = bound * (2.0 * rng.random::<f32>() - 1.0));
                    continue;
                }
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

/// How parameters start. Biases are 0 but for [`Init::Torch`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Init {
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Normal with standard deviation `sqrt(2 / inputs)` (He et al. 2015, "Delving Deep into Rectifiers", eq. 10).
    He,
    /// Normal with standard deviation `sqrt(2 / (inputs + outputs))` (Glorot and Bengio 2010, eq. 12).
    Xavier,
    /// Normal with standard deviation `sqrt(1 / inputs)` (LeCun et al. 1998, "Efficient BackProp"), as SELU wants it.
    Lecun,
    /// Uniform within `sqrt(1 / inputs)` of 0, biases too: what `torch.nn.Linear` begins with.
    Torch,
}

/// As the command line takes it: `normal:0.01`, `he`, `xavier`, `lecun`, `torch`.
impl fmt::Display for Init {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Normal(deviation) => write!(formatter, "normal:{deviation}"),
            Self::He => formatter.write_str("he"),
            Self::Xavier => formatter.write_str("xavier"),
            Self::Lecun => formatter.write_str("lecun"),
            Self::Torch => formatter.write_str("torch"),
        }
    }
}

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let deviation = |text: &str| text.parse().ok().filter(|value: &f32| value.is_finite() && *value >= 0.0);
        match (text, text.split_once(':')) {
            (_, Some(("normal", text))) => deviation(text).map(Self::Normal),
            ("he", _) => Some(Self::He),
            ("xavier", _) => Some(Self::Xavier),
            ("lecun", _) => Some(Self::Lecun),
            ("torch", _) => Some(Self::Torch),
            _ => None,
        }
        .ok_or_else(|| "give normal:DEVIATION, such as normal:0.01, or he, xavier, lecun, torch".into())
    }
}

impl From<Init> for String {
    fn from(init: Init) -> Self {
        init.to_string()
    }
}

impl TryFrom<String> for Init {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
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
