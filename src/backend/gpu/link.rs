//! The maths that is linked into kernels: which activation, head and optimizer.

use std::fmt;

use crate::backend::cpu::dropout::Dropout;
use crate::metrics::LOSS_EPSILON;
use crate::model::{Activation, Mlp};
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Of the layer that the kernel makes, or that made its input.
    pub activation: Activation,
    /// Of the network.
    pub head: HeadKind,
    /// What makes a step of a parameter.
    pub optimizer: OptimizerKind,
    /// Behind the activation, where training drops some.
    pub dropout: Option<Dropping>,
}

/// What training drops of a layer's output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropping {
    /// The layer, from 1: 0 are the inputs.
    pub layer: u32,
    /// The share that is dropped.
    pub share: f64,
}

impl Dropping {
    /// Of layer `index` of `model`, from 0; none where nothing is dropped.
    pub fn of(model: &Mlp, index: usize) -> Option<Self> {
        let share = model.layers()[index].dropout;
        (share > 0.0).then_some(Self { layer: index as u32 + 1, share })
    }
}

impl Default for Link {
    fn default() -> Self {
        Self { activation: Activation::Identity, head: HeadKind::Classes, optimizer: OptimizerKind::Sgd, dropout: None }
    }
}

/// The kinds of parts, as shaders name them after `uses:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `activate` and `activate_backward`.
    Activation,
    /// `dropped` and `undropped`.
    Dropout,
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
            "dropout" => Some(Self::Dropout),
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
            Part::Activation => self.activation.shader(),
            Part::Dropout if self.dropout.is_some() => shader!("shared/dropout"),
            Part::Dropout => shader!("shared/no_dropout"),
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
        match (part, self.dropout) {
            (Part::Head, _) => match self.head {
                HeadKind::Classes => vec![("epsilon", f64::from(LOSS_EPSILON))],
            },
            (Part::Dropout, Some(Dropping { layer, share })) => {
                let Dropout { threshold, scale, .. } = Dropout::new(0, 0, layer, share);
                vec![
                    ("dropout_layer", f64::from(layer)),
                    ("dropout_threshold", f64::from(threshold)),
                    ("dropout_scale", f64::from(scale)),
                    ("dropout_keep", f64::from((1.0 - share) as f32)),
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// The names of the parts.
impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropout = if self.dropout.is_some() { " dropout" } else { "" };
        write!(out, "{} {:?} {}{dropout}", self.activation.name(), self.head, self.optimizer.name())
    }
}
