//! Which of several ways to do the same is the fastest here: measured in turns, those to launch a kernel on the model's own buffers.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::backend::gpu::engine::{Engine, Trial};
use crate::backend::gpu::hardware::Tuning;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::Plan;
use crate::backend::gpu::submit::{Entries, Ready, Table, encode};
use crate::backend::gpu::timer::Timer;
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

/// How long the launches of one measurement should take together, s.
const TARGET: f64 = 0.01;
/// A way whose launch takes so many times that of the first, or the target where that is longer, is given up.
pub(crate) const HOPELESS: f64 = 10.0;
/// Rounds that count, in each of which every way is measured once. They are even, since every other one runs backwards.
const ROUNDS: usize = 6;
/// How long the device works before a round counts, s: until its clock is up. A software driver's is up, and its runs are long.
const WARM_UP: f64 = 0.1;
const SOFTWARE_WARM_UP: f64 = 0.01;
/// Rounds of the warm-up: the first builds what the driver has not built yet, the second finds the ways that are given up.
const FEWEST_WARM_UPS: usize = 2;
const MOST_WARM_UPS: usize = 64;
/// A way, or a plan, must save this share to be preferred to the one that is taken untuned: less is noise.
const MARGIN: f64 = 0.03;

/// What was measured of several ways to do the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Seconds of each, as if the clock had been the same for all.
    pub seconds: Vec<f64>,
    /// The fastest; the first, unless another saves more than what is noise.
    pub best: usize,
}

/// Compares `ways` ways to do the same, of which the first is the one that is taken untuned. `run` runs one of them some times: seconds
/// of all, and how often. What `hopeless` says of the seconds of the first and of another way gives that one up during the warm-up.
///
/// # Errors
/// What `run` fails with.
pub async fn compare(
    ways: usize,
    software: bool,
    hopeless: impl Fn(f64, f64) -> bool,
    mut run: impl AsyncFnMut(usize) -> Result<(f64, usize)>,
) -> Result<Compared> {
    let warm_up = if software { SOFTWARE_WARM_UP } else { WARM_UP };
    let mut times = vec![Vec::new(); ways];
    let (mut busy, mut first) = (0.0, 0.0);
    for round in 0..MOST_WARM_UPS {
        if round >= FEWEST_WARM_UPS && busy >= warm_up {
            break;
        }
        for (way, times) in times.iter_mut().enumerate().filter(|(_, times)| times.is_empty()) {
            let (seconds, count) = run(way).await?;
            if round == 0 {
                continue;
            }
            busy += seconds;
            let each = seconds / count as f64;
            if way == 0 {
                first = each;
            } else if hopeless(first, each) {
                times.push(each);
            }
        }
    }
    // In turns, every other time backwards: a clock that goes up or down meanwhile is the same for all.
    let mut turns: Vec<usize> = (0..ways).filter(|&way| times[way].is_empty()).collect();
    for _ in 0..ROUNDS {
        for &way in &turns {
            let (seconds, count) = run(way).await?;
            times[way].push(seconds / count as f64);
        }
        turns.reverse();
    }
    Ok(settle(&times))
}

/// What the `times` of each way in the rounds say. One that was given up has a single one.
fn settle(times: &[Vec<f64>]) -> Compared {
    let first = median(&times[0]);
    let beside_first = |own: &Vec<f64>| {
        // Within a round, since the clock may jump from one to the next.
        let shares: Vec<f64> = own.iter().zip(&times[0]).map(|(own, first)| own / first).collect();
        first * median(&shares)
    };
    let seconds: Vec<f64> = times.iter().map(beside_first).collect();
    let fastest = (0..seconds.len()).min_by(|&a, &b| seconds[a].total_cmp(&seconds[b])).unwrap_or(0);
    let best = if seconds[fastest] < (1.0 - MARGIN) * seconds[0] { fastest } else { 0 };
    Compared { seconds, best }
}

/// The middle of `values`; of two in the middle their mean. 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

impl Engine {
    /// Measures all ways to launch each kernel of a training step, on the uploaded training part, with a learning rate of
    /// 0.
    pub(super) async fn measure_ways(&mut self) -> Result<(Vec<Tuned>, Tuning)> {
        let timer = Timer::new(self.device())?;
        let software = self.device().hardware.software;
        let Trial { plan, buffers, table, lead, entries, store } = self.trial()?;
        let (mut tuned, mut tuning, mut seen) = (Vec::new(), Tuning::default(), BTreeSet::new());
        for piece in plan.into_iter().flat_map(Plan::pieces) {
            if piece.others.is_empty() || !seen.insert(piece.launch.what.clone()) {
                continue;
            }
            // Without its lead, such a step would go on from what it did not make.
            let leads = plan.is_some_and(|plan| plan.leads(&piece.launch.what));
            let lead = leads.then(|| lead.clone());
            let bound = piece.bound(buffers);
            let ways: Vec<&Launch> = [&piece.launch].into_iter().chain(&piece.others).collect();
            let ready = ways.iter().map(|way| store.ready(way, &bound, table)).collect::<Result<Vec<_>>>()?;
            let mut launches = vec![1; ways.len()];
            let hopeless = |first: f64, own: f64| own > HOPELESS * first.max(TARGET);
            let Compared { seconds, best } = compare(ways.len(), software, hopeless, async |way| {
                let count = launches[way];
                let steps: Vec<Entries> = lead.iter().cloned().chain(vec![entries.clone(); count]).collect();
                let seconds = self.seconds(timer.as_ref(), table, &ready[way], &steps).await?;
                let most = table.steps - usize::from(leads);
                launches[way] = ((TARGET * count as f64 / seconds.max(1e-9)) as usize).clamp(1, most);
                Ok((seconds, count))
            })
            .await?;
            tuning.set(ways[best]);
            tuned.push(Tuned {
                what: ways[best].what.clone(),
                before: ways[0].choice(),
                before_seconds: seconds[0],
                best: ways[best].choice(),
                best_seconds: seconds[best],
            });
        }
        Ok((tuned, tuning))
    }

    /// Seconds of a launch for each of `steps`, by the device's clock where it has one that goes, else from when they are handed over.
    async fn seconds(&self, timer: Option<&Timer>, table: &Table, ready: &Ready, steps: &[Entries]) -> Result<f64> {
        let device = self.device();
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let work = std::slice::from_ref(ready);
        encode(device, &mut encoder, table, work.into(), steps, timer.map(|timer| timer.ends(0)));
        let commands = match timer {
            Some(timer) => timer.finish(encoder, 1),
            None => encoder.finish(),
        };
        let start = self.now();
        device.wait(device.submit(commands)).await?;
        let waited = (self.now() - start).as_secs_f64();
        let clocked = match timer {
            Some(timer) => timer.read(device, 1).await?[0],
            None => 0.0,
        };
        Ok(if clocked > 0.0 { clocked } else { waited.max(1e-9) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Compares ways that take so many ticks on a device whose clock makes `rate(seconds)` ticks a second: what was found, and how often
    /// each ran.
    fn compared(ticks: &[f64], rate: impl Fn(f64) -> f64) -> (Compared, Vec<usize>) {
        let (now, mut runs) = (Cell::new(0.0), vec![0; ticks.len()]);
        let compared = compare(
            ticks.len(),
            false,
            |first, own| own > HOPELESS * first,
            async |way| {
                runs[way] += 1;
                let seconds = 10.0 * ticks[way] / rate(now.get());
                now.set(now.get() + seconds);
                Ok((seconds, 10))
            },
        );
        (pollster::block_on(compared).unwrap(), runs)
    }

    #[test]
    fn a_way_does_not_lose_for_being_measured_while_the_clock_was_slow() {
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.03;
        // A clock that goes up threefold in half a second, one that jumps in the midst of it all, and one that falls.
        let rising = |seconds: f64| 1.0 + 4.0 * f64::min(seconds, 0.5);
        let jumping = |at: f64| move |seconds: f64| if seconds < at { 1.0 } else { 3.0 };
        let falling = |seconds: f64| 3.0 - 2.0 * f64::min(seconds, 1.0);
        let even = [0.001; 5];
        for found in [compared(&even, rising).0, compared(&even, falling).0] {
            assert_eq!(found.best, 0, "{found:?}");
        }
        for at in 0..60 {
            let found = compared(&even, jumping(0.01 * f64::from(at))).0;
            assert!(found.best == 0 && found.seconds.iter().all(|&own| near(own, found.seconds[0])), "{found:?}");
            let found = compared(&[0.001, 0.0011, 0.0009, 0.001], jumping(0.01 * f64::from(at))).0;
            assert!(found.best == 2 && near(found.seconds[2], 0.9 * found.seconds[0]), "{found:?}");
        }
        assert_eq!(compared(&[0.001, 0.0011, 0.0009, 0.001], rising).0.best, 2);
    }

    #[test]
    fn rounds_count_once_the_device_has_worked_and_hopeless_ways_are_given_up() {
        let (found, runs) = compared(&[0.001, 0.02, 0.0005], |_| 1.0);
        // The first warm-up is not timed; the second takes 215 ms.
        assert_eq!(runs, [FEWEST_WARM_UPS + ROUNDS, FEWEST_WARM_UPS, FEWEST_WARM_UPS + ROUNDS]);
        assert_eq!(found.best, 2);
        assert!(found.seconds[1] > 0.019, "{found:?}");
        // 4 ms a round: 25 of them are 100 ms.
        let (_, runs) = compared(&[0.0002, 0.0002], |_| 1.0);
        assert!((26..=27).contains(&(runs[0] - ROUNDS)), "{runs:?}");
        // What takes no time at all ends too.
        let (found, runs) = compared(&[1e-12, 1e-12], |_| 1.0);
        assert_eq!((found.best, runs[0]), (0, MOST_WARM_UPS + ROUNDS));
    }

    #[test]
    fn a_way_must_save_more_than_what_is_noise() {
        assert_eq!(compared(&[0.001, 0.00098], |_| 1.0).0.best, 0);
        assert_eq!(compared(&[0.001, 0.00096], |_| 1.0).0.best, 1);
        // One round that was disturbed says nothing.
        let rounds = [vec![1.0, 1.0, 5.0, 1.0, 1.0, 1.0], vec![1.1, 1.1, 1.1, 1.1, 0.2, 1.1]];
        assert_eq!(settle(&rounds).best, 0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!([median(&[]), median(&[3.0]), median(&[3.0, 1.0]), median(&[9.0, 1.0, 2.0])], [0.0, 3.0, 2.0, 2.0]);
    }
}
