//! The maths that is linked into kernels: which activation, head and optimizer.

use std::fmt;

use crate::metrics::LOSS_EPSILON;
use crate::model::Activation;
use crate::recipe::OptimizerKind;

/// What stands after the last layer, and the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadKind {
    /// Softmax and cross-entropy.
    Classes,
}

impl HeadKind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Classes];
}

/// The parts that a kernel is linked with. What a launch does not call stays at its default, so that launches share
/// shaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Of the layer that the kernel makes, or that made its input.
    pub activation: Activation,
    /// Of the network.
    pub head: HeadKind,
    /// What makes a step of a parameter.
    pub optimizer: OptimizerKind,
}

impl Default for Link {
    fn default() -> Self {
        Self { activation: Activation::Identity, head: HeadKind::Classes, optimizer: OptimizerKind::Sgd }
    }
}

/// The kinds of parts, as shaders name them after `uses:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `activate` and `activate_backward`.
    Activation,
    /// `save`, of what the slope of the activation is computed from.
    Save,
    /// `predict`, `loss_gradient`, `loss` and `confusion_cell`.
    Head,
    /// `step`.
    Optimizer,
}

impl Part {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "activation" => Some(Self::Activation),
            "save" => Some(Self::Save),
            "head" => Some(Self::Head),
            "optimizer" => Some(Self::Optimizer),
            _ => None,
        }
    }
}

macro_rules! shader {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/", $path, ".wgsl"))
    };
}

impl Link {
    /// The WGSL of a part.
    pub fn text(self, part: Part) -> &'static str {
        match part {
            Part::Activation => match self.activation {
                Activation::Relu => shader!("link/activation/relu"),
                Activation::LeakyRelu => shader!("link/activation/leaky_relu"),
                Activation::Tanh => shader!("link/activation/tanh"),
                Activation::Sigmoid => shader!("link/activation/sigmoid"),
                Activation::Gelu => shader!("link/activation/gelu"),
                Activation::Silu => shader!("link/activation/silu"),
                Activation::Selu => shader!("link/activation/selu"),
                Activation::Mish => shader!("link/activation/mish"),
                Activation::Identity => shader!("link/activation/identity"),
            },
            Part::Save if self.activation.saves_input() => shader!("shared/save"),
            Part::Save => shader!("shared/save_nothing"),
            Part::Head => match self.head {
                HeadKind::Classes => shader!("link/head/classes"),
            },
            Part::Optimizer => match self.optimizer {
                OptimizerKind::Sgd => shader!("link/optimizer/sgd"),
                OptimizerKind::Momentum => shader!("link/optimizer/momentum"),
                OptimizerKind::Nesterov => shader!("link/optimizer/nesterov"),
                OptimizerKind::Adam => shader!("link/optimizer/adam"),
                OptimizerKind::AdamW => shader!("link/optimizer/adamw"),
            },
        }
    }

    /// The values of the `override` constants of a part.
    pub fn constants(self, part: Part) -> Vec<(&'static str, f64)> {
        match (part, self.head) {
            (Part::Head, HeadKind::Classes) => vec![("epsilon", f64::from(LOSS_EPSILON))],
            _ => Vec::new(),
        }
    }
}

/// The names of the parts.
impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?} {}", self.activation.name(), self.head, self.optimizer.name())
    }
}
