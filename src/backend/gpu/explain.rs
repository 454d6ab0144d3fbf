//! A model of the time of a training step, and what was measured beside it.

use serde::Serialize;

use crate::backend::gpu::Gpu;
use crate::backend::gpu::cycles::{self, Cycles};
use crate::backend::gpu::engine::Engine;
use crate::backend::gpu::launch::{Launch, elementary};
use crate::backend::gpu::submit::{Batch, submit};
use crate::backend::{Backend, BackendExt, Measure, Peak, Steps};
use crate::error::Result;

/// What a training step is made of, and how long its parts take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The plan.
    pub plan: &'static str,
    /// The dispatches of a step, in their order. Those of [`PlanName::Resident`](crate::backend::gpu::plan::PlanName::Resident) do
    /// many steps; this is the share of one.
    pub dispatches: Vec<Dispatch>,
    /// Seconds from one dispatch to the next that waits for it, where both do next to nothing.
    pub launch_seconds: f64,
    /// Seconds of the host for a dispatch: to encode it and hand it over.
    pub host_seconds: f64,
    /// What the device can do at best.
    #[serde(flatten)]
    pub peak: Peak,
    /// Seconds per step, measured over many.
    pub step_seconds: f64,
}

/// A dispatch of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dispatch {
    /// What it makes and of what size, where that is not the kernel's name.
    pub what: String,
    /// By which kernel and in which way.
    pub how: String,
    /// How many of it a step has: less than one where it does several steps.
    pub per_step: f64,
    /// Workgroups.
    pub groups: u32,
    /// Invocations of a workgroup.
    pub lanes: u32,
    /// Floating-point operations per step.
    pub flop: f64,
    /// Bytes read and written per step, each once.
    pub bytes: f64,
    /// Static cycles of one of its waves by a compiler for GPUs like the adapter, where they are known.
    pub cycles: Option<Cycles>,
    /// Seconds per step by the device's own clock, where it has one.
    pub seconds: Option<f64>,
}

impl Explained {
    /// The least seconds of a step by launches, by memory and by arithmetic. None of them can be less; they may overlap.
    pub fn floors(&self) -> [f64; 3] {
        let launches: f64 = self.dispatches.iter().map(|dispatch| dispatch.per_step * self.launch_seconds).sum();
        let [memory, arithmetic] = self.dispatches.iter().fold([0.0; 2], |[memory, arithmetic], dispatch| {
            let [m, a] = dispatch.floors(&self.peak);
            [memory + m, arithmetic + a]
        });
        [launches, memory, arithmetic]
    }

    /// The share of a step in which no kernel ran, where the device has a clock. Kernels that are timed one by one cannot overlap, so
    /// it may be a little more.
    pub fn idle(&self) -> Option<f64> {
        let busy: f64 = self.dispatches.iter().map(|dispatch| dispatch.seconds).sum::<Option<f64>>()?;
        Some((1.0 - busy / self.step_seconds).max(0.0))
    }
}

impl Dispatch {
    /// The least seconds per step by memory and by arithmetic.
    pub fn floors(&self, peak: &Peak) -> [f64; 2] {
        [1e-9 * self.bytes / peak.copy_gb_per_s, 1e-9 * self.flop / peak.gflops]
    }
}

/// Dispatches in a chain that does next to nothing.
const CHAIN: usize = 256;
/// Rounds; the fastest counts.
const ROUNDS: usize = 5;

impl Gpu {
    /// Explains the time of `steps`, which are taken several times, on the uploaded training part.
    ///
    /// # Errors
    /// When nothing was uploaded, or the device fails.
    pub fn explain(&mut self, steps: Steps<'_>, batch_size: usize) -> Result<Explained> {
        let count = steps.rates.len().max(1) as f64;
        let mut step_seconds = f64::INFINITY;
        // The first round builds what the driver has not built yet.
        for round in 0..=ROUNDS {
            let start = self.0.now();
            self.pass(steps.order, batch_size, steps.rates.first().copied().unwrap_or_default())?;
            self.wait()?;
            if round > 0 {
                step_seconds = step_seconds.min((self.0.now() - start).as_secs_f64() / count);
            }
        }
        let times = self.profile(steps)?;
        let planned = self.0.trial()?.plan.map(|plan| plan.dispatches.clone()).unwrap_or_default();
        let vendor = self.0.device().info.vendor;
        let mut dispatches = Vec::new();
        for (number, dispatch) in planned.iter().enumerate() {
            let time = times.as_ref().map(|times| &times[number]);
            let launches = || dispatch.pieces.iter().map(|piece| &piece.launch);
            let in_words = |words: &dyn Fn(&Launch) -> String| launches().map(words).collect::<Vec<_>>().join(" + ");
            dispatches.push(Dispatch {
                what: in_words(&|launch| launch.what.clone()),
                how: in_words(&Launch::choice),
                per_step: time.map_or(1.0, |time| time.launches as f64 / count),
                groups: launches().map(|launch| launch.grid.iter().product::<u32>()).sum(),
                lanes: dispatch.pieces[0].launch.lanes()?,
                flop: launches().map(|launch| launch.work.flop).sum(),
                bytes: launches().map(|launch| launch.work.bytes).sum(),
                cycles: cycles::of(dispatch, vendor)?,
                seconds: time.map(|time| time.seconds / count),
            });
        }
        let (launch_seconds, host_seconds) = pollster::block_on(self.0.measure_launches())?;
        let (plan, peak) = (self.about().plan, self.peak()?);
        Ok(Explained { plan, dispatches, launch_seconds, host_seconds, peak, step_seconds })
    }
}

impl Engine {
    /// Seconds of the device and of the host for a dispatch that does next to nothing, and waits for the one before.
    async fn measure_launches(&self) -> Result<(f64, f64)> {
        let device = self.device().clone();
        let (store, table) = self.table();
        let values = device.storage("values", 16)?;
        let totals = device.storage("totals", 16)?;
        let ready = store.ready(&elementary::sum(1), &[("values", &values), ("totals", &totals)], table)?;
        let entries = [vec![Batch::of_rows(0, 0, 1, 0)]];
        let (mut chain, mut one, mut host) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            for (length, best) in [(CHAIN, &mut chain), (1, &mut one)] {
                let work = vec![ready.clone(); length];
                let start = self.now();
                let submitted = submit(&device, table, &work, &entries, None)?;
                // The device begins when all are encoded.
                let handed = self.now();
                if length == CHAIN {
                    host = host.min((handed - start).as_secs_f64() / CHAIN as f64);
                }
                device.wait(submitted).await?;
                *best = best.min((self.now() - handed).as_secs_f64());
            }
        }
        Ok((((chain - one) / (CHAIN - 1) as f64).max(0.0), host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_launches_memory_and_arithmetic() {
        let dispatch = |per_step, seconds| Dispatch {
            what: String::new(),
            how: String::new(),
            per_step,
            groups: 1,
            lanes: 64,
            flop: 4e6,
            bytes: 1e6,
            cycles: None,
            seconds,
        };
        let explained = Explained {
            plan: "fused",
            dispatches: vec![dispatch(1.0, Some(3e-6)), dispatch(1.0, Some(2e-6))],
            launch_seconds: 2e-6,
            host_seconds: 1e-6,
            peak: Peak { gflops: 2000.0, copy_gb_per_s: 500.0 },
            step_seconds: 1e-5,
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let [launches, memory, arithmetic] = explained.floors();
        assert!(close(launches, 4e-6) && close(memory, 4e-6) && close(arithmetic, 4e-6));
        assert!(explained.idle().is_some_and(|idle| close(idle, 0.5)));
        let unclocked = Explained { dispatches: vec![dispatch(1.0, None)], ..explained };
        assert_eq!(unclocked.idle(), None);
    }
}
