//! A self-check as one file that can be posted: what the adapter is, what was found, and what whole steps gave and took.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Row;
use crate::backend::gpu::device::{Device, type_name};
use crate::backend::gpu::hardware::Tuning;
use crate::backend::gpu::plan::PlanName;
use crate::backend::gpu::{Gpu, Store};
use crate::backend::{Backend, BackendExt, Measure, Split};
use crate::bench::workloads;
use crate::data::{self, Samples};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::model::{Init, Mlp};
use crate::random;
use crate::recipe::{OptimizerKind, Recipe};
use crate::state::State;

/// Rows that the whole steps train on, the first of `digits`.
const ROWS: usize = 4096;
/// Operations of the steps of a network, at most, unless one takes more: a software driver takes some seconds for them. It leaves out
/// a network of which one step does.
const WORK: f64 = 1e10;
/// Their learning rate.
const RATE: f32 = 0.1;

/// All that a report says.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name and version of this program, and the system that it was built for.
    pub program: String,
    /// The adapter.
    pub adapter: Adapter,
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed.
    pub failed: usize,
    /// What the device can do in a large product, in 10^9 floating-point operations per second.
    pub peak_gflops: f64,
    /// The same of a large copy, in 10^9 bytes per second, read and written.
    pub copy_gb_per_s: f64,
    /// Whole steps of each network in each plan.
    pub steps: Vec<Steps>,
    /// What was tuned for the adapter before.
    pub tuning: Tuning,
    /// Every check.
    pub checks: Vec<Check>,
}

/// An adapter as wgpu tells it.
#[derive(Debug, Serialize)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub kind: &'static str,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// PCI numbers of vendor and device.
    pub ids: [u32; 2],
    /// Invocations of a subgroup, at least and at most.
    pub subgroup: [u32; 2],
    /// Its limits.
    pub limits: Value,
    /// Its features.
    pub features: Vec<String>,
}

/// What some steps of a network in a plan gave and took.
#[derive(Debug, Serialize)]
pub struct Steps {
    /// Layer widths.
    pub network: String,
    /// The plan.
    pub plan: &'static str,
    /// Dispatches per step.
    pub dispatches: Option<usize>,
    /// Rows per step.
    pub batch: usize,
    /// How many steps.
    pub steps: usize,
    /// SHA-256 of the parameters after them, as little-endian bytes.
    pub sha256: String,
    /// Whether a second run gave the same bits.
    pub reproduced: bool,
    /// Microseconds per step of the second run.
    pub step_us: f64,
}

/// A line of the check's table.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The kernel or plan.
    pub name: String,
    /// Its sizes.
    pub shape: String,
    /// What was compared.
    pub what: &'static str,
    /// The worst element's absolute error.
    pub error: f64,
    /// That error over what is allowed; none where it is infinite or not a number.
    pub ratio: Option<f64>,
    /// Whether it is allowed.
    pub passed: bool,
}

impl Report {
    /// What `rows`, which were found on `device`, and whole steps there say.
    ///
    /// # Errors
    /// What the device fails with.
    pub fn new(device: &Device, rows: &[Row]) -> Result<Self> {
        let failed = rows.iter().filter(|row| !row.comparison.passed()).count();
        let mut steps = Vec::new();
        let mut peak = None;
        let samples = Arc::new(data::digits()?.train.select(|row| row < ROWS)?);
        for workload in workloads() {
            let model = Mlp::new(&[&[784], &workload.hidden[..], &[10]].concat())?;
            let recipe = Recipe { batch_size: workload.batch_size, ..Recipe::default() };
            if device.hardware.software && operations(&model, &recipe) > WORK {
                continue;
            }
            // Untuned, so that the hashes of two machines can be compared.
            let mut untuned = device.clone();
            untuned.hardware.tuning = Tuning::default();
            for plan in PlanName::fitting(&model, &recipe, &untuned.hardware) {
                let mut gpu = Gpu::new(Store::new(untuned.clone()), model.clone(), &recipe, Some(plan))?;
                steps.push(whole_steps(&mut gpu, &model, &recipe, &samples)?);
                if peak.is_none() {
                    peak = Some(gpu.peak()?);
                }
            }
        }
        let peak = peak.ok_or_else(|| Error::Check("no plan runs on this adapter".into()))?;
        let check = |row: &Row| Check {
            name: row.name.clone(),
            shape: row.shape.clone(),
            what: row.what,
            error: row.comparison.error(),
            ratio: Some(row.comparison.ratio).filter(|ratio| ratio.is_finite()),
            passed: row.comparison.passed(),
        };
        Ok(Self {
            program: format!(
                "mlp-gpu {}, {} {}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            adapter: Adapter::new(device)?,
            passed: rows.len() - failed,
            failed,
            peak_gflops: peak.gflops,
            copy_gb_per_s: peak.copy_gb_per_s,
            steps,
            tuning: device.hardware.tuning.clone(),
            checks: rows.iter().map(check).collect(),
        })
    }
}

impl Adapter {
    fn new(device: &Device) -> Result<Self> {
        let info = &device.info;
        let limits = format!("{:?}", device.adapter.limits());
        Ok(Self {
            name: info.name.clone(),
            kind: type_name(info),
            backend: info.backend.to_string(),
            driver: info.driver.clone(),
            driver_info: info.driver_info.clone(),
            ids: [info.vendor, info.device],
            subgroup: [info.subgroup_min_size, info.subgroup_max_size],
            limits: limits_of(&limits),
            features: device.adapter.features().iter_names().map(|(name, _)| name.to_owned()).collect(),
        })
    }
}

/// The numbers of `Limits { name: number, ... }`.
fn limits_of(text: &str) -> Value {
    let fields = text.split_once('{').map_or("", |(_, fields)| fields.trim_end_matches(['}', ' ']));
    let field = |field: &str| {
        let (name, number) = field.split_once(':')?;
        Some((name.trim().to_owned(), Value::from(number.trim().parse::<u64>().ok()?)))
    };
    Value::Object(fields.split(',').filter_map(field).collect())
}

/// Floating-point operations of a step.
fn operations(model: &Mlp, recipe: &Recipe) -> f64 {
    6.0 * model.parameters() as f64 * recipe.batch_size as f64
}

fn whole_steps(gpu: &mut Gpu, model: &Mlp, recipe: &Recipe, samples: &Arc<Samples>) -> Result<Steps> {
    let batch = recipe.batch_size;
    let most = (WORK / operations(model, recipe)) as usize;
    let order = random::order(recipe.seed, 0, ROWS as u32);
    let order = &order[..(most.max(1) * batch).min(ROWS)];
    let steps = order.len().div_ceil(batch);
    let mut runs = Vec::new();
    for _ in 0..2 {
        gpu.upload(Split::Train, samples)?;
        gpu.set_state(&State::new(model.initial_parameters(Init::He, recipe.seed), OptimizerKind::Sgd))?;
        let start = Instant::now();
        gpu.pass(order, batch, RATE)?;
        gpu.wait()?;
        let time = start.elapsed().as_secs_f64();
        let bytes: Vec<u8> = gpu.parameters()?.iter().flat_map(|value| value.to_le_bytes()).collect();
        runs.push((hex(&Sha256::digest(bytes)), time));
    }
    let about = gpu.about();
    let (sha256, time) = runs.pop().unwrap_or_default();
    Ok(Steps {
        network: model.to_string(),
        plan: about.plan,
        dispatches: about.dispatches,
        batch,
        steps,
        reproduced: runs.iter().all(|(other, _)| *other == sha256),
        sha256,
        step_us: 1e6 * time / steps as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_their_text() {
        let limits = limits_of(&format!("{:?}", wgpu::Limits::default()));
        assert_eq!(limits["max_storage_buffers_per_shader_stage"], 8);
        assert_eq!(limits["max_compute_workgroup_storage_size"], 16_384);
    }
}
