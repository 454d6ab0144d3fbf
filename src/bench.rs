//! How fast a backend trains: whole epochs with a fresh shuffle, data resident, evaluation not timed.

use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

use crate::backend::gpu::plan::PlanName;
use crate::backend::gpu::tune::{self, Compared, median};
use crate::backend::gpu::{Gpu, Store};
use crate::backend::select::Selected;
use crate::backend::{Backend, BackendExt, KernelTime, Measure, Parts, Split, Steps};
use crate::data::{Dataset, Inputs};
use crate::error::{Error, Result};
use crate::many::{self, Job, Told};
use crate::model::{Head, Mlp};
use crate::random;
use crate::recipe::Recipe;
use crate::schedule::ScheduleKind;
use crate::state::State;

/// A network and batch size to time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Rows per step.
    pub batch_size: usize,
}

/// The usual workloads: the notebook's network, and three that are wider and deeper.
pub fn workloads() -> Vec<Workload> {
    [("notebook", &[7][..], 64), ("tutorial", &[128], 64), ("deep", &[512, 512], 128), ("wide", &[2048, 2048], 1024)]
        .map(|(name, hidden, batch_size)| Workload { name: name.into(), hidden: hidden.to_vec(), batch_size })
        .to_vec()
}

/// What was measured of one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The workload's name.
    pub workload: String,
    /// Layer widths.
    pub layers: Vec<usize>,
    /// Rows per step.
    pub batch: usize,
    /// Median seconds of a training pass.
    pub epoch_s: f64,
    /// Training rows a second, at the median.
    pub samples_per_s: f64,
    /// 10^9 floating-point operations a second at the median, counted as dense products: forward, weight gradients, and
    /// input gradients of all layers but the first. Where zeros are skipped fewer are done.
    pub gflops: f64,
    /// On the test part, after all passes, where there is one.
    pub test_accuracy: Option<f64>,
    /// Seconds of each pass, the warm-up left out.
    pub all_s: Vec<f64>,
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The adapter, or the number of threads.
    pub adapter: String,
    /// How a step runs.
    pub plan: &'static str,
    /// Kernel launches a step; none on the CPU.
    pub dispatches: Option<usize>,
    /// What products are computed in: `f32` or `mixed`.
    pub precision: &'static str,
    /// Training rows.
    pub samples: usize,
    /// Bytes that the backend's buffers hold: data, parameters, activations.
    pub bytes: u64,
    /// The most memory that the process had in use while this was measured, in bytes, where the system tells (Linux).
    pub peak_rss_bytes: Option<u64>,
    /// 10^9 floating-point operations a second of a large product on this device.
    pub peak_gflops: Option<f64>,
    /// `gflops` of that. Above 1 where zeros are skipped and a pass is faster than dense products can be.
    pub peak_share: Option<f64>,
    /// 10^9 bytes a second, read and written, of a large copy on this device.
    pub copy_gb_per_s: Option<f64>,
    /// What a pass must move at the least, of that: all rows once, and all parameters in and out in each step.
    pub copy_share: Option<f64>,
    /// With profiling: how long each kernel ran in some more steps, where the device can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Vec<KernelTime>>,
}

/// Steps in which each kernel is timed, at most.
const PROFILED_STEPS: usize = 200;

/// How to time.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Passes that are timed, at least one; one more before them warms up.
    pub epochs: u32,
    /// The same in all steps.
    pub learning_rate: f32,
    /// Whether to time each kernel in some more steps.
    pub profile: bool,
}

/// Trains `model` by `recipe`'s optimizer on `dataset` for one epoch to warm up, then for the timed ones.
///
/// # Errors
/// What the backend fails with; [`Error::Usage`] for no epochs.
pub fn measure(
    backend: &mut dyn Backend,
    workload: &Workload,
    model: &Mlp,
    dataset: &Dataset,
    recipe: &Recipe,
    Timing { epochs, learning_rate, profile }: Timing,
) -> Result<Measurement> {
    if epochs == 0 {
        return Err(Error::Usage("there is no epoch to time: give at least one".into()));
    }
    forget_peak_memory();
    backend.upload(Split::Train, &dataset.train)?;
    let (seed, batch_size) = (recipe.seed, recipe.batch_size);
    let parameters = model.initial_parameters(recipe.init, seed);
    backend.set_state(&State::new(parameters, recipe.optimizer.kind))?;
    let rows = dataset.train.len();
    let mut all_s = Vec::new();
    let mut order = random::order(seed, 0, rows as u32);
    for epoch in 0..=epochs {
        let start = Instant::now();
        backend.pass(&order, batch_size, learning_rate)?;
        // While the device works.
        order = random::order(seed, u64::from(epoch) + 1, rows as u32);
        backend.wait()?;
        all_s.push(start.elapsed().as_secs_f64());
    }
    all_s.remove(0);
    let epoch_s = median(&all_s);
    let test_accuracy = match &dataset.test {
        Some(test) => {
            backend.upload(Split::Test, test)?;
            Some(backend.evaluate_now(Split::Test)?.accuracy()).filter(|_| model.head() == Head::Classes)
        }
        None => None,
    };
    let order = &order[..rows.min(PROFILED_STEPS * batch_size)];
    let rates = vec![learning_rate; order.len().div_ceil(batch_size)];
    let kernels = match backend.measure() {
        Some(device) if profile => device.profile(Steps { order, rates: &rates })?,
        _ => None,
    };
    let peak_rss_bytes = peak_memory();
    let peak = backend.measure().map(Measure::peak).transpose()?;
    let about = backend.about();
    let gflops = operations(model) * rows as f64 / epoch_s / 1e9;
    let steps = rows.div_ceil(batch_size) as f64;
    let row_bytes = model.inputs() * if matches!(dataset.train.inputs, Inputs::U8(_)) { 1 } else { 4 };
    let moved = rows as f64 * row_bytes as f64 + steps * 8.0 * model.parameters() as f64;
    Ok(Measurement {
        workload: workload.name.clone(),
        layers: model.widths().to_vec(),
        batch: workload.batch_size,
        epoch_s,
        samples_per_s: rows as f64 / epoch_s,
        gflops,
        test_accuracy,
        all_s,
        backend: about.name,
        adapter: about.device,
        plan: about.plan,
        dispatches: about.dispatches,
        precision: about.precision.name(),
        samples: rows,
        bytes: about.bytes,
        peak_rss_bytes,
        peak_gflops: peak.map(|peak| peak.gflops),
        peak_share: peak.map(|peak| gflops / peak.gflops),
        copy_gb_per_s: peak.map(|peak| peak.copy_gb_per_s),
        copy_share: peak.map(|peak| moved / epoch_s / 1e9 / peak.copy_gb_per_s),
        kernels,
    })
}

/// A GPU backend for `model` with the training rows of `dataset` and the weights that `recipe` begins with.
///
/// # Errors
/// As [`Gpu::new`], and what the device fails with.
pub fn ready(store: &Store, model: &Mlp, recipe: &Recipe, plan: Option<PlanName>, dataset: &Dataset) -> Result<Gpu> {
    let mut gpu = Gpu::new(store.clone(), model.clone(), recipe, plan)?;
    gpu.upload(Split::Train, &dataset.train)?;
    gpu.set_state(&State::new(model.initial_parameters(recipe.init, recipe.seed), recipe.optimizer.kind))?;
    Ok(gpu)
}

/// Steps of a plan in a round, at most.
const PLAN_STEPS: usize = 512;

/// Seconds per step of each of `plans`, with the ways that its store's device knows, that trains `model` by `recipe` on `dataset`, taken
/// in turns, and the fastest: the first, unless another saves more than what is noise.
///
/// # Errors
/// What the device fails with; [`Error::Usage`] for no plans.
pub fn plans(plans: &[(&Store, PlanName)], model: &Mlp, recipe: &Recipe, dataset: &Dataset) -> Result<Compared> {
    let Some((store, _)) = plans.first() else {
        return Err(Error::Usage("there is no plan to time: give at least one".into()));
    };
    let order = random::order(recipe.seed, 0, dataset.train.len() as u32);
    let order = &order[..order.len().min(PLAN_STEPS * recipe.batch_size)];
    let steps = order.len().div_ceil(recipe.batch_size);
    let mut gpus = Vec::new();
    for &(store, plan) in plans {
        gpus.push(ready(store, model, recipe, Some(plan), dataset)?);
    }
    let hopeless = |first: f64, own: f64| own > tune::HOPELESS * first;
    let software = store.device().hardware.software;
    pollster::block_on(tune::compare(gpus.len(), software, hopeless, async |plan| {
        let gpu = &mut gpus[plan];
        let start = Instant::now();
        gpu.pass(order, recipe.batch_size, 0.0)?;
        gpu.wait()?;
        Ok((start.elapsed().as_secs_f64(), steps))
    }))
}

/// What was measured of many networks at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pack {
    /// The workload's name.
    pub workload: String,
    /// Layer widths of each network.
    pub layers: Vec<usize>,
    /// Rows per step of each.
    pub batch: usize,
    /// Number of networks.
    pub members: usize,
    /// Median seconds in which all of them make a training pass.
    pub epoch_s: f64,
    /// Training passes of single networks a second.
    pub member_passes_per_s: f64,
    /// Seconds of each such pass of all.
    pub all_s: Vec<f64>,
}

/// Trains `members` networks that differ in their seeds on `dataset` by `recipe`'s optimizer: `epochs` passes of all of them,
/// `rounds` times after one to warm up. What it takes to start them is timed too.
///
/// # Errors
/// What training fails with; [`Error::Usage`] for no epochs.
pub fn measure_pack(
    selected: &Selected,
    workload: &Workload,
    (model, recipe): (&Mlp, &Recipe),
    dataset: &Dataset,
    members: usize,
    (rounds, epochs): (u32, u32),
) -> Result<Pack> {
    if epochs == 0 || members == 0 {
        return Err(Error::Usage("there is nothing to time: give at least one epoch and one network".into()));
    }
    let mut data = Parts::default();
    data.set(Split::Train, (&dataset.train).into());
    let jobs = |epochs| {
        let job = |seed| {
            let mut recipe = Recipe { epochs, seed, train_eval: false, ..recipe.clone() };
            recipe.schedule.kind = ScheduleKind::Constant;
            let state = State::new(model.initial_parameters(recipe.init, seed), recipe.optimizer.kind);
            Job { model: model.clone(), recipe, data: data.clone(), state, done: 0 }
        };
        (recipe.seed..).take(members).map(job).collect::<Vec<_>>()
    };
    let mut all_s = Vec::new();
    for round in 0..=rounds {
        let jobs = jobs(if round == 0 { 1 } else { epochs });
        let start = Instant::now();
        let mut failed = Ok(());
        many::train(selected, &jobs, |_, told| {
            if let Told::Ended(ended) = told
                && let Err(error) = *ended
            {
                failed = Err(error);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        failed?;
        if round > 0 {
            all_s.push(start.elapsed().as_secs_f64() / f64::from(epochs));
        }
    }
    let epoch_s = median(&all_s);
    Ok(Pack {
        workload: workload.name.clone(),
        layers: model.widths().to_vec(),
        batch: workload.batch_size,
        members,
        epoch_s,
        member_passes_per_s: members as f64 / epoch_s,
        all_s,
    })
}

/// The most memory that this process has had in use, in bytes; none where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

/// Lets [`peak_memory`] begin anew; where the system refuses, it goes on from before.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Floating-point operations a training row, as dense products.
fn operations(model: &Mlp) -> f64 {
    let products = |layer: &crate::model::Layer| 2.0 * layer.inputs as f64 * layer.outputs as f64;
    3.0 * model.layers().iter().map(products).sum::<f64>() - products(&model.layers()[0])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_two_a_weight_and_product_and_the_first_layer_has_no_input_gradient() {
        assert_eq!(operations(&Mlp::new(&[784, 10]).unwrap()), 4.0 * 7840.0);
        assert_eq!(operations(&Mlp::new(&[784, 7, 10]).unwrap()), 4.0 * 5488.0 + 6.0 * 70.0);
    }
}
