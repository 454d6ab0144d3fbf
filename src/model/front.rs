//! The front of a model: what the features of a row pass before the first layer. Numbers may be embedded, and every input of
//! the first layer may have a factor that is trained, both as in RealMLP (Holzmüller et al. 2024, "Better by Default").

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use rand::RngExt;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// Waves that a number is embedded in.
pub const WAVES: usize = 16;
/// Values that they give, which stand beside the number itself.
pub const VALUES: usize = 3;

/// How far the embedding's parameters move, as a share of the learning rate.
pub const EMBEDDING_RATE: f32 = 0.3;
/// How far the factors of the inputs move, as a multiple of the learning rate.
pub const SCALE_RATE: f32 = 3.0;

/// What the features pass before the first layer; nothing by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Front {
    /// The features that are embedded, in ascending order. A number `x` gives [`VALUES`] values beside itself,
    /// `W cos(2 pi w x + p) + b` with [`WAVES`] frequencies `w` and phases `p`, and `W` of `VALUES x WAVES`: all of its own.
    pub embedded: Vec<u32>,
    /// The standard deviation of the frequencies at the start.
    pub deviation: f32,
    /// Whether each input of the first layer has a factor that is trained, 1 at the start.
    pub scaled: bool,
}

/// Whether a tensor decays, where weights do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// As weights do.
    Weights,
    /// As biases do.
    Biases,
    /// Never.
    Never,
}

/// A tensor of the front.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontTensor {
    /// Its name in files.
    pub name: &'static str,
    /// Its lengths.
    pub shape: Vec<usize>,
    /// Where it lies in the flat buffer; nowhere where the front does not have it.
    pub place: Range<usize>,
    /// Whether it decays.
    pub decay: Decay,
    /// What the learning rate is multiplied by.
    pub rate: f32,
}

impl Front {
    /// Whether features are the first layer's inputs as they are.
    pub fn is_none(&self) -> bool {
        self.embedded.is_empty() && !self.scaled
    }

    /// How numbers are embedded.
    pub fn embed(&self) -> Embed {
        if self.embedded.is_empty() { Embed::None } else { Embed::Pbld(self.deviation) }
    }

    /// Inputs of the first layer for rows of `inputs` features: these, then the values of each embedded feature.
    pub fn outputs(&self, inputs: usize) -> usize {
        inputs.saturating_add(VALUES * self.embedded.len())
    }

    /// Its tensors in the order of the flat buffer, which begins with them: frequencies, phases, weights and biases of the
    /// embedding, and the factors.
    pub fn tensors(&self, inputs: usize) -> [FrontTensor; 5] {
        let count = self.embedded.len();
        let factors = if self.scaled { self.outputs(inputs) } else { 0 };
        let mut end = 0;
        let mut tensor = |name, shape: &[usize], decay, rate| {
            let start = end;
            end += shape.iter().product::<usize>();
            FrontTensor { name, shape: shape.to_vec(), place: start..end, decay, rate }
        };
        [
            tensor("embedding.frequencies", &[count, WAVES], Decay::Weights, EMBEDDING_RATE),
            tensor("embedding.phases", &[count, WAVES], Decay::Biases, EMBEDDING_RATE),
            tensor("embedding.weight", &[count, VALUES, WAVES], Decay::Weights, EMBEDDING_RATE),
            tensor("embedding.bias", &[count, VALUES], Decay::Biases, EMBEDDING_RATE),
            tensor("scale", &[factors], Decay::Never, SCALE_RATE),
        ]
    }

    /// Draws the initial `parameters` from `rng`, in their order: frequencies normal, phases uniform from -pi to pi, weights and
    /// biases as those of `torch.nn.Linear`; factors are 1.
    pub(super) fn draw(&self, tensors: &[FrontTensor; 5], rng: &mut ChaCha8Rng, parameters: &mut [f32]) {
        let [frequencies, phases, weights, biases, factors] = tensors;
        for value in &mut parameters[frequencies.place.clone()] {
            let sample: f32 = StandardNormal.sample(rng);
            *value = self.deviation * sample;
        }
        let bound = (1.0 / WAVES as f32).sqrt();
        for (tensor, bound) in [(phases, std::f32::consts::PI), (weights, bound), (biases, bound)] {
            for value in &mut parameters[tensor.place.clone()] {
                *value = bound * (2.0 * rng.random::<f32>() - 1.0);
            }
        }
        parameters[factors.place.clone()].fill(1.0);
    }
}

/// How numbers are embedded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Embed {
    /// Not at all.
    #[default]
    None,
    /// In waves whose frequencies have this standard deviation at the start: RealMLP's "periodic bias linear DenseNet", after
    /// Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning".
    Pbld(f32),
}

impl Embed {
    /// The deviation of the frequencies where none is named.
    pub const DEVIATION: f32 = 0.1;
}

/// As the command line takes it: `none`, `pbld:0.1`.
impl fmt::Display for Embed {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Pbld(deviation) => write!(formatter, "pbld:{deviation}"),
        }
    }
}

impl FromStr for Embed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let deviation = |text: &str| text.parse().ok().filter(|value: &f32| value.is_finite() && *value >= 0.0);
        match (text, text.split_once(':')) {
            ("none", _) => Some(Self::None),
            ("pbld", _) => Some(Self::Pbld(Self::DEVIATION)),
            (_, Some(("pbld", text))) => deviation(text).map(Self::Pbld),
            _ => None,
        }
        .ok_or_else(|| "give none, pbld, or pbld:DEVIATION with a number from 0 on, such as pbld:0.1".into())
    }
}

impl From<Embed> for String {
    fn from(embed: Embed) -> Self {
        embed.to_string()
    }
}

impl TryFrom<String> for Embed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tensors_lie_one_after_the_other() {
        let front = Front { embedded: vec![0, 3], deviation: 0.1, scaled: true };
        let places = front.tensors(4).map(|tensor| tensor.place);
        assert_eq!(places, [0..32, 32..64, 64..160, 160..166, 166..176]);
        assert_eq!((front.outputs(4), Front::default().outputs(4)), (10, 4));
        assert!(Front::default().tensors(4).iter().all(|tensor| tensor.place.is_empty()));
    }

    #[test]
    fn an_embedding_is_what_its_text_says() {
        for (text, embed) in [("none", Embed::None), ("pbld", Embed::Pbld(0.1)), ("pbld:0.5", Embed::Pbld(0.5))] {
            assert_eq!(text.parse(), Ok(embed));
            assert_eq!(embed.to_string().parse(), Ok(embed));
        }
        for text in ["", "pbld:", "pbld:-1", "pbld:nan", "pbld:inf", "pl"] {
            assert!(text.parse::<Embed>().is_err(), "{text}");
        }
    }
}
