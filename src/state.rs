//! The state of a run: what a checkpoint keeps, and what a resumed run starts from.

use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::recipe::OptimizerKind;

/// Parameters, what the optimizer keeps beside them, and how many steps were taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The flat parameters, laid out as [`Mlp`] says.
    pub parameters: Vec<f32>,
    /// The optimizer's slots, each laid out as the parameters: the momentum, or Adam's means of the gradients and of their
    /// squares.
    pub slots: Vec<Vec<f32>>,
    /// Steps taken.
    pub step: u64,
}

impl State {
    /// `parameters` before the first step of `optimizer`: all slots are 0.
    pub fn new(parameters: Vec<f32>, optimizer: OptimizerKind) -> Self {
        Self { slots: vec![vec![0.0; parameters.len()]; optimizer.slots()], parameters, step: 0 }
    }

    /// Whether all its values are finite.
    pub fn is_finite(&self) -> bool {
        self.slots.iter().chain([&self.parameters]).all(|values| values.iter().all(|value| value.is_finite()))
    }

    /// Whether it is a state of `model` under `optimizer`.
    ///
    /// # Errors
    /// [`Error::Data`] for parameters of another length, or other slots than the optimizer has.
    pub fn check(&self, model: &Mlp, optimizer: OptimizerKind) -> Result<()> {
        let (got, want) = (self.parameters.len(), model.parameters());
        if got != want {
            let widths = model.widths();
            return Err(Error::Data(format!(
                "{got} parameters do not fit a network of widths {widths:?}: it has {want}"
            )));
        }
        if self.slots.len() != optimizer.slots() || self.slots.iter().any(|slot| slot.len() != want) {
            let (name, slots) = (optimizer.name(), optimizer.slots());
            return Err(Error::Data(format!(
                "a state with {} slots does not fit the optimizer {name}: it keeps {slots} of {want} values each",
                self.slots.len()
            )));
        }
        Ok(())
    }
}
