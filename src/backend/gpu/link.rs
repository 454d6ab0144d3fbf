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
            "head" => Some(Self::Head),
            "optimizer" => Some(Self::Optimizer),
            _ => None,
        }
    }
}

macro_rules! shader {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/link/", $path, ".wgsl"))
    };
}

impl Link {
    /// The WGSL of a part.
    pub fn text(self, part: Part) -> &'static str {
        match part {
            Part::Activation => match self.activation {
                Activation::Relu => shader!("activation/relu"),
                _ => shader!("activation/identity"),
            },
            Part::Head => match self.head {
                HeadKind::Classes => shader!("head/classes"),
            },
            Part::Optimizer => match self.optimizer {
                _ => shader!("optimizer/sgd"),
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
        write!(out, "{} {:?} {:?}", self.activation.name(), self.head, self.optimizer)
    }
}
