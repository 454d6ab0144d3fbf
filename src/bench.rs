//! How fast a backend trains: whole epochs of plain SGD with a fresh shuffle, data resident, evaluation not timed.

use std::time::Instant;

use serde::Serialize;

use crate::backend::{Backend, KernelTime, Split};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Init, Mlp};
use crate::random;

/// A network and batch size to time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Rows a step.
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
    /// Rows a step.
    pub batch: usize,
    /// Median seconds of a training pass.
    pub epoch_s: f64,
    /// Training rows a second, at the median.
    pub samples_per_s: f64,
    /// 10^9 floating-point operations a second at the median, counted as dense products: forward, weight gradients, and
    /// input gradients of all layers but the first. Where zeros are skipped fewer are done.
    pub gflops: f64,
    /// On the test part, after all passes.
    pub test_accuracy: f64,
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
    /// Bytes that the backend's buffers hold: data, parameters, activations.
    pub bytes: u64,
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
    /// Of plain SGD.
    pub learning_rate: f32,
    /// Of the initial weights and the order of the rows.
    pub seed: u64,
    /// Whether to time each kernel in some more steps.
    pub profile: bool,
}

/// Trains `model` on `dataset` for one epoch to warm up, then for the timed ones.
///
/// # Errors
/// What the backend fails with; [`Error::Usage`] for no epochs.
pub fn measure(
    backend: &mut dyn Backend,
    workload: &Workload,
    model: &Mlp,
    dataset: &Dataset,
    Timing { epochs, learning_rate, seed, profile }: Timing,
) -> Result<Measurement> {
    if epochs == 0 {
        return Err(Error::Usage("--epochs: give at least one epoch to time".into()));
    }
    backend.upload(Split::Train, &dataset.train)?;
    backend.upload(Split::Test, &dataset.test)?;
    backend.set_parameters(&model.initial_parameters(Init::Normal(0.01), seed))?;
    let rows = dataset.train.len();
    let mut all_s = Vec::new();
    for epoch in 0..=epochs {
        let start = Instant::now();
        backend.train(&random::order(seed, u64::from(epoch), rows as u32), learning_rate)?;
        backend.synchronize()?;
        all_s.push(start.elapsed().as_secs_f64());
    }
    all_s.remove(0);
    let epoch_s = median(&all_s);
    let test_accuracy = backend.evaluate(Split::Test)?.accuracy();
    let kernels = match profile {
        true => {
            let order = random::order(seed, u64::from(epochs) + 1, rows as u32);
            backend.profile(&order[..rows.min(PROFILED_STEPS * workload.batch_size)], learning_rate)?
        }
        false => None,
    };
    Ok(Measurement {
        workload: workload.name.clone(),
        layers: model.widths().to_vec(),
        batch: workload.batch_size,
        epoch_s,
        samples_per_s: rows as f64 / epoch_s,
        gflops: operations(model) * rows as f64 / epoch_s / 1e9,
        test_accuracy,
        all_s,
        backend: backend.name(),
        adapter: backend.device(),
        plan: backend.plan(),
        dispatches: backend.dispatches(),
        bytes: backend.bytes(),
        kernels,
    })
}

/// Floating-point operations a training row, as dense products.
fn operations(model: &Mlp) -> f64 {
    let products = |layer: &crate::model::Layer| 2.0 * layer.inputs as f64 * layer.outputs as f64;
    3.0 * model.layers().iter().map(products).sum::<f64>() - products(&model.layers()[0])
}

/// The middle of `values`; of two in the middle their mean. 0 for none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!([median(&[]), median(&[3.0]), median(&[3.0, 1.0]), median(&[9.0, 1.0, 2.0])], [0.0, 3.0, 2.0, 2.0]);
    }

    #[test]
    fn operations_are_two_a_weight_and_product_and_the_first_layer_has_no_input_gradient() {
        assert_eq!(operations(&Mlp::new(&[784, 10]).unwrap()), 4.0 * 7840.0);
        assert_eq!(operations(&Mlp::new(&[784, 7, 10]).unwrap()), 4.0 * 5488.0 + 6.0 * 70.0);
    }
}
