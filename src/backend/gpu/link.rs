//! The maths that is linked into kernels: which activation, head and optimizer.

use std::fmt;

use crate::metrics::LOSS_EPSILON;
use crate::model::{Activation, Head, Mlp};
use crate::recipe::{Loss, OptimizerKind, Recipe};

/// What stands after the last layer, and the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadKind {
    /// Softmax and cross-entropy.
    Classes,
    /// Numbers, by their mean squared error.
    Mse,
    /// Numbers, by their mean absolute error.
    Mae,
    /// Numbers, by Huber's loss.
    Huber,
}

impl HeadKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Classes, Self::Mse, Self::Mae, Self::Huber];

    /// That of `model`, trained by `recipe`.
    pub fn of(model: &Mlp, recipe: &Recipe) -> Self {
        match (model.head(), recipe.loss) {
            (Head::Classes, _) => Self::Classes,
            (Head::Values, Loss::Mse | Loss::CrossEntropy) => Self::Mse,
            (Head::Values, Loss::Mae) => Self::Mae,
            (Head::Values, Loss::Huber) => Self::Huber,
        }
    }

    /// Whether it tells classes apart.
    pub fn is_classes(self) -> bool {
        self == Self::Classes
    }

    fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber => "huber",
        }
    }
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
    /// Behind the activation, where training drops some.
    pub dropout: Option<Dropping>,
    /// Whether rows have weights.
    pub weights: bool,
    /// Whether losses and predicted classes are noted: in an evaluation of classes.
    pub tally: bool,
    /// Whether gradients are clipped.
    pub clipping: bool,
}

/// A layer of whose output training drops some; how much, each member of a pack says for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropping {
    /// The layer, from 1: 0 are the inputs.
    pub layer: u32,
}

impl Dropping {
    /// Of layer `index` of `model`, from 0; none where nothing is dropped.
    pub fn of(model: &Mlp, index: usize) -> Option<Self> {
        (model.layers()[index].dropout > 0.0).then_some(Self { layer: index as u32 + 1 })
    }

    /// Of the inputs of `model`; none where nothing is dropped.
    pub fn of_inputs(model: &Mlp) -> Option<Self> {
        (model.input_dropout() > 0.0).then_some(Self { layer: 0 })
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            activation: Activation::Identity,
            head: HeadKind::Classes,
            optimizer: OptimizerKind::Sgd,
            dropout: None,
            weights: false,
            tally: false,
            clipping: false,
        }
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
    /// `predict` and `loss_gradient`.
    Head,
    /// `weigh`, of the gradient of a row's loss.
    Weights,
    /// `tally`, of what an evaluation notes of a row.
    Tally,
    /// `clipped`, of a parameter's gradient.
    Clipping,
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
            "weights" => Some(Self::Weights),
            "tally" => Some(Self::Tally),
            "clipping" => Some(Self::Clipping),
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
                HeadKind::Mse => shader!("link/head/mse"),
                HeadKind::Mae => shader!("link/head/mae"),
                HeadKind::Huber => shader!("link/head/huber"),
            },
            Part::Weights if self.weights => shader!("shared/weights"),
            Part::Weights => shader!("shared/no_weights"),
            Part::Tally if self.tally => shader!("shared/tally"),
            Part::Tally => shader!("shared/no_tally"),
            Part::Clipping if self.clipping => shader!("shared/clipping"),
            Part::Clipping => shader!("shared/no_clipping"),
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
            (Part::Tally, _) if self.tally => vec![("epsilon", f64::from(LOSS_EPSILON))],
            (Part::Dropout, Some(Dropping { layer })) => vec![("dropout_layer", f64::from(layer))],
            _ => Vec::new(),
        }
    }
}

/// The names of the parts.
impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.activation.name(), self.head.name(), self.optimizer.name())?;
        let others = [
            (self.dropout.is_some(), "dropout"),
            (self.weights, "weights"),
            (self.tally, "tally"),
            (self.clipping, "clipping"),
        ];
        others.into_iter().filter(|(is_linked, _)| *is_linked).try_for_each(|(_, name)| write!(out, " {name}"))
    }
}
