//! Which of several ways to launch a kernel is the fastest here: measured on the model's own buffers.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::backend::gpu::engine::{Engine, Trial};
use crate::backend::gpu::hardware::Tuning;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::Plan;
use crate::backend::gpu::submit::submit;
use crate::error::Result;

/// What was measured of one kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// What it makes.
    pub what: String,
    /// Kernel and way, of the one that was in use.
    pub before: String,
    /// Seconds of one launch.
    pub before_seconds: f64,
    /// Kernel and way, of the fastest.
    pub best: String,
    /// Seconds of one launch.
    pub best_seconds: f64,
}

/// How long the launches of one measurement should take together.
const TARGET: f64 = 0.01;
/// Measurements of a way; their median counts.
const ROUNDS: usize = 5;
/// A way, or a plan, must save this share to be preferred to the one that is taken untuned: less is noise.
pub const MARGIN: f64 = 0.03;

impl Engine {
    /// Measures all ways to launch each kernel of a training step, on the uploaded training part, with a learning rate of
    /// 0.
    pub(super) async fn measure_ways(&mut self) -> Result<(Vec<Tuned>, Tuning)> {
        let device = self.device().clone();
        let Trial { plan, buffers, table, entries, store } = self.trial()?;
        let (mut tuned, mut tuning, mut seen) = (Vec::new(), Tuning::default(), BTreeSet::new());
        for piece in plan.into_iter().flat_map(Plan::pieces) {
            if piece.others.is_empty() || !seen.insert(piece.launch.what.clone()) {
                continue;
            }
            let bound = piece.bound(buffers);
            let mut measured: Vec<(f64, &Launch)> = Vec::new();
            for launch in [&piece.launch].into_iter().chain(&piece.others) {
                let ready = [store.ready(launch, &bound, table)?];
                let mut times = Vec::new();
                let mut launches = 1;
                // The first run builds what the driver has not built yet, the second says how many launches fill the time.
                for round in 0..ROUNDS + 2 {
                    let start = self.now();
                    let steps = vec![entries.clone(); launches];
                    let submitted = submit(&device, table, &ready, &steps, None)?;
                    device.wait(submitted).await?;
                    let seconds = (self.now() - start).as_secs_f64();
                    match round {
                        0 => {}
                        1 => launches = ((TARGET / seconds.max(1e-9)) as usize).clamp(1, table.steps),
                        _ => times.push(seconds / launches as f64),
                    }
                    if round == 1 && measured.first().is_some_and(|&(first, _)| seconds > 10.0 * first.max(TARGET)) {
                        times.push(seconds);
                        break;
                    }
                }
                times.sort_by(f64::total_cmp);
                measured.push((times[times.len() / 2], launch));
            }
            let (before_seconds, before) = measured[0];
            let fastest = measured.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(measured[0]);
            let (best_seconds, best) = if fastest.0 < (1.0 - MARGIN) * before_seconds { fastest } else { measured[0] };
            tuning.set(best);
            tuned.push(Tuned {
                what: best.what.clone(),
                before: before.choice(),
                before_seconds,
                best: best.choice(),
                best_seconds,
            });
        }
        Ok((tuned, tuning))
    }
}
