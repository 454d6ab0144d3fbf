//! A pack on a GPU: the same engine as a network alone, with more members.

use std::sync::Arc;

use super::clock;
use super::engine::{Engine, capacity};
use super::plan::PlanName;
use super::store::Store;
use crate::backend::pack::Pack;
use crate::backend::{About, Split, Steps, Ticket};
use crate::data::{Inputs, Samples};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;

/// Networks of one shape, their states and their data on a GPU.
pub struct GpuPack(Engine);

impl GpuPack {
    /// A pack that trains a network of the widths of `model` by each of `recipes` on the device of `store`, all parameters 0.
    ///
    /// # Errors
    /// As [`Engine::new`], and where dropout does not fit the layers.
    pub fn new(store: Store, model: &Mlp, recipes: &[Recipe], plan: Option<PlanName>) -> Result<Self> {
        let models = recipes.iter().map(|recipe| recipe.apply(model.clone())).collect::<Result<Vec<_>>>()?;
        let members: Vec<_> = models.iter().zip(recipes).collect();
        pollster::block_on(Engine::new(store, &members, plan, clock())).map(Self)
    }

    /// How many members of a pack that trains networks of the widths of `model` by `recipe` fit on the device of `store` at once.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] when they cannot be run by `plan`, or dropout does not fit the layers.
    pub fn capacity(store: &Store, model: &Mlp, recipe: &Recipe, plan: Option<PlanName>) -> Result<usize> {
        capacity(store.device(), &recipe.apply(model.clone())?, recipe, plan)
    }
}

impl Pack for GpuPack {
    fn about(&self) -> About {
        self.0.about()
    }

    fn members(&self) -> usize {
        self.0.members()
    }

    fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()> {
        pollster::block_on(self.0.upload(split, samples))
    }

    fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()> {
        pollster::block_on(self.0.assign(split, rows))
    }

    fn train(&mut self, steps: &[Steps<'_>]) -> Result<usize> {
        pollster::block_on(self.0.train(steps))
    }

    fn wait(&mut self) -> Result<()> {
        pollster::block_on(self.0.wait())
    }

    fn evaluate(&mut self, splits: &[Vec<Split>]) -> Result<Ticket> {
        pollster::block_on(self.0.evaluate(splits.to_vec()))
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Vec<Evaluation>>> {
        pollster::block_on(self.0.collect(ticket))
    }

    fn predict(&mut self, member: usize, inputs: &Inputs) -> Result<Vec<f32>> {
        pollster::block_on(self.0.predict(member, inputs))
    }

    fn state(&mut self, member: usize, at: Option<Ticket>) -> Result<State> {
        pollster::block_on(self.0.state(member, at))
    }

    fn states(&mut self, at: Option<Ticket>) -> Result<Vec<State>> {
        // In one copy, for which the device waits once.
        pollster::block_on(self.0.states(0..self.0.members(), at))
    }

    fn set_state(&mut self, member: usize, state: &State) -> Result<()> {
        pollster::block_on(self.0.set_state(member, state))
    }
}
