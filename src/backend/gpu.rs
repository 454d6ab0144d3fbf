//! The GPU backend: a shell around [`engine::Engine`] that waits for what the engine awaits, and has the clock that it
//! needs.

use std::time::Instant;

use crate::backend::{About, Backend, KernelTime, Measure, Peak, Split, Steps, Ticket};
use crate::data::{Inputs, View};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use engine::{Clock, Engine};
use hardware::Tuning;
pub use pack::GpuPack;
use plan::PlanName;
pub use store::Store;
use tune::Tuned;

pub mod cycles;
pub mod device;
pub mod engine;
pub mod explain;
pub mod hardware;
pub mod join;
pub mod kernels;
pub mod launch;
pub mod link;
mod pack;
mod peak;
pub mod plan;
mod programs;
pub(crate) mod store;
pub(crate) mod submit;
mod timer;
pub mod tune;

/// The time since now.
fn clock() -> Clock {
    let start = Instant::now();
    Box::new(move || start.elapsed())
}

/// A model, its state and its data on a GPU.
pub struct Gpu(Engine);

impl Gpu {
    /// A backend that trains `model` by `recipe` on the device of `store`, all parameters 0.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn new(store: Store, model: Mlp, recipe: &Recipe, plan: Option<PlanName>) -> Result<Self> {
        pollster::block_on(Engine::new(store, &[(&model, recipe)], plan, clock())).map(Self)
    }

    /// Measures which way to launch each kernel of a training step is the fastest here, on the uploaded training part.
    ///
    /// # Errors
    /// When nothing was uploaded, or the device fails.
    pub fn tune(&mut self) -> Result<(Vec<Tuned>, Tuning)> {
        pollster::block_on(self.0.measure_ways())
    }
}

impl Backend for Gpu {
    fn about(&self) -> About {
        self.0.about()
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        pollster::block_on(async {
            self.0.upload(split, &view.samples).await?;
            match &view.rows {
                Some(rows) => self.0.assign(split, &[rows.to_vec()]).await,
                None => Ok(()),
            }
        })
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        pollster::block_on(self.0.train(&[steps]))
    }

    fn wait(&mut self) -> Result<()> {
        pollster::block_on(self.0.wait())
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        pollster::block_on(self.0.evaluate(vec![splits.to_vec()]))
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        Ok(pollster::block_on(self.0.collect(ticket))?.pop().unwrap_or_default())
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        pollster::block_on(self.0.predict(0, inputs))
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        pollster::block_on(self.0.state(0, at))
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        pollster::block_on(self.0.set_state(0, state))
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
        pollster::block_on(self.0.measure_peak())
    }
}
