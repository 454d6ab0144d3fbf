//! The GPU backend: a shell around [`engine::Engine`] that waits for what the engine awaits, and has the clock that measuring
//! needs.

use std::time::Instant;

use crate::backend::{About, Backend, KernelTime, Measure, Peak, Split, Steps, Ticket};
use crate::data::{Inputs, View};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use engine::Engine;
use hardware::Tuning;
use plan::PlanName;
pub use store::Store;
pub use tune::Tuned;

pub mod device;
pub mod engine;
pub mod hardware;
pub mod kernels;
pub mod launch;
pub mod link;
mod peak;
pub mod plan;
mod programs;
mod store;
pub(crate) mod submit;
mod timer;
mod tune;

/// A model, its state and its data on a GPU.
pub struct Gpu(Engine);

impl Gpu {
    /// A backend that trains `model` by `recipe` on the device of `store`, all parameters 0.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(store: Store, model: Mlp, recipe: &Recipe, plan: Option<PlanName>) -> Result<Self> {
        pollster::block_on(Engine::new(store, model, recipe, plan)).map(Self)
    }

    /// Measures which way to launch each kernel of a training step is the fastest here, on the uploaded training part.
    ///
    /// # Errors
    /// When nothing was uploaded, or the device fails.
    pub fn tune(&mut self) -> Result<(Vec<Tuned>, Tuning)> {
        let start = Instant::now();
        pollster::block_on(self.0.measure_ways(|| start.elapsed()))
    }
}

impl Backend for Gpu {
    fn about(&self) -> About {
        self.0.about()
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        pollster::block_on(self.0.upload(split, view))
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        pollster::block_on(self.0.train(steps))
    }

    fn wait(&mut self) -> Result<()> {
        pollster::block_on(self.0.wait())
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        self.0.evaluate(splits)
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        pollster::block_on(self.0.collect(ticket))
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        pollster::block_on(self.0.predict(inputs))
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        pollster::block_on(self.0.state(at))
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        pollster::block_on(self.0.set_state(state))
    }

    fn measure(&mut self) -> Option<&mut dyn Measure> {
        Some(self)
    }
}

impl Measure for Gpu {
    fn profile(&mut self, steps: Steps<'_>) -> Result<Option<Vec<KernelTime>>> {
        pollster::block_on(self.0.profile(steps))
    }

    fn peak(&mut self) -> Result<Peak> {
        let start = Instant::now();
        pollster::block_on(self.0.measure_peak(|| start.elapsed()))
    }
}
