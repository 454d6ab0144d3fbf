//! Which plan and which ways to launch kernels are the fastest on an adapter: measured by `bench --tune`, and before long runs of `train`.

use std::time::Instant;

use clap::ValueEnum;

use crate::backend::gpu::Store;
use crate::backend::gpu::hardware::{Hardware, Tuning};
use crate::backend::gpu::plan::{Element, Plan, PlanName};
use crate::backend::gpu::tune::{Compared, Tuned};
use crate::backend::select::{Request, Selected};
use crate::backend::{Backend, BackendExt, Precision};
use crate::bench;
use crate::data::Dataset;
use crate::error::Result;
use crate::model::Mlp;
use crate::random;
use crate::recipe::Recipe;
use crate::tuning;

/// What `train` measures before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tune {
    /// What was measured before is used; what was not is measured before a run of more than a minute on a hardware GPU
    Auto,
    /// Nothing is measured, and what was measured before is not used
    Off,
    /// All of it is measured anew
    Full,
}

/// Measures the ways to launch the kernels of `model`'s step in each plan, then the plans, unless `request` names one, and keeps what
/// was found. Gives it, and a store whose device uses it.
pub(super) fn measure(
    store: &Store,
    model: &Mlp,
    recipe: &Recipe,
    request: &Request,
    dataset: &Dataset,
    tell: impl Fn(&str),
) -> Result<(Store, Tuning)> {
    let mut device = store.device().clone();
    let mut plans = compared(model, recipe, request, &device.hardware);
    let untuned = Hardware { tuning: Tuning::default(), ..device.hardware.clone() };
    let (usual, _) = PlanName::choose(model, recipe, &untuned, request.plan)?;
    plans.sort_by_key(|&plan| plan != usual);
    let mut tuning = Tuning::default();
    let mut of_usual = Vec::new();
    for &plan in &plans {
        let (tuned, found) = bench::ready(store, model, recipe, Some(plan), dataset)?.tune()?;
        for Tuned { what, before, before_seconds, best, best_seconds } in &tuned {
            let (was, now) = (1e6 * before_seconds, 1e6 * best_seconds);
            tell(&if before == best {
                format!("Tuning: {what}: {best}, {now:.1} us, stays")
            } else {
                format!("Tuning: {what}: {best}, {now:.1} us, instead of {before}, {was:.1} us")
            });
        }
        tuning.extend(found);
        if plan == usual {
            of_usual = tuned;
        }
    }
    device.hardware.tuning.extend(tuning.clone());
    // The fastest ways need not make the fastest step: launches share a dispatch, and what one leaves to the next.
    let tuned_store = Store::new(device.clone());
    let is_changed = of_usual.iter().any(|tuned| tuned.before != tuned.best);
    let before = is_changed.then_some(("before", (store, usual)));
    let after = plans.iter().map(|&plan| (plan.name(), (&tuned_store, plan)));
    let (names, timed): (Vec<_>, Vec<_>) = before.into_iter().chain(after).unzip();
    if timed.len() > 1 {
        let Compared { seconds, best } = bench::plans(&timed, model, recipe, dataset)?;
        if is_changed && best == 0 {
            for Tuned { what, before, .. } in &of_usual {
                tuning.set_choice(what, before);
            }
            tell("Tuning: together they are no faster than the usual ones, which stay");
        }
        let fastest = timed[best].1;
        let of_usual = timed.iter().zip(&seconds).filter(|((_, plan), _)| *plan == usual).map(|(_, &time)| time);
        let plan = preferred((usual, of_usual.fold(f64::INFINITY, f64::min)), (fastest, seconds[best]));
        let why = if plan == fastest { "" } else { ", by which packs take less time" };
        let all: Vec<_> =
            names.iter().zip(seconds).map(|(name, time)| format!("{name} {:.1} us", 1e6 * time)).collect();
        let (subject, all) = (PlanName::subject(model, recipe), all.join(", "));
        tell(&format!("Tuning: {subject}: {}{why}, of {all} a step", plan.name()));
        if plans.len() > 1 {
            tuning.set_plan(model, recipe, plan);
        }
    }
    device.hardware.tuning.extend(tuning.clone());
    let path = tuning::save(&device.info, tuning.clone())?;
    tell(&format!("Tuning: kept in {}", path.display()));
    Ok((Store::new(device), tuning))
}

/// Of the usual plan and the fastest, each with its seconds per step of one network alone, the one to use from now on.
fn preferred((usual, of_usual): (PlanName, f64), (fastest, of_fastest): (PlanName, f64)) -> PlanName {
    if usual == PlanName::Resident && of_usual < FOR_PACKS * of_fastest { usual } else { fastest }
}

/// The plans that are compared: that of `request`, or all that there are for it.
fn compared(model: &Mlp, recipe: &Recipe, request: &Request, hardware: &Hardware) -> Vec<PlanName> {
    match request.plan {
        Some(plan) => vec![plan],
        // No other plan computes in mixed precision.
        None if request.precision == Precision::Mixed => vec![PlanName::Fused],
        None => PlanName::fitting(model, recipe, hardware),
    }
}

/// The plan that is usual for what it does for packs stays unless another trains one network alone so many times as fast.
const FOR_PACKS: f64 = 1.5;
/// Runs that take longer are tuned for, s.
const LONG: f64 = 60.0;
/// Steps that say how long one takes.
const TIMED: usize = 32;
/// Of runs of fewer steps than so many times that it is not asked.
const SHARE: u64 = 200;

/// Measures what `how` wants measured before a run of `model` by `recipe`, for the plan of `selected` if it has one. A line says that
/// the last bits of the result may be others.
pub(super) fn before_run(
    how: Tune,
    selected: &mut Selected,
    (model, recipe): (&Mlp, &Recipe),
    dataset: &Dataset,
    tell: impl Fn(&str),
) -> Result<()> {
    let (Some(store), request) = (&selected.gpu, selected.request()) else { return Ok(()) };
    if how == Tune::Auto {
        let hardware = &store.device().hardware;
        let steps = u64::from(recipe.epochs) * dataset.train.len().div_ceil(recipe.batch_size) as u64;
        if hardware.software || steps < SHARE * TIMED as u64 || is_tuned(model, recipe, request, dataset, hardware)? {
            return Ok(());
        }
        let seconds = steps as f64 * seconds_per_step(store, model, recipe, request.plan, dataset)?;
        if seconds < LONG {
            return Ok(());
        }
        tell(&format!(
            "Tuning: about {:.0} min of training lie ahead, and the fastest ways were not measured on this adapter yet: that comes first",
            (seconds / 60.0).ceil()
        ));
    }
    if how != Tune::Off {
        let (store, _) = measure(store, model, recipe, request, dataset, &tell)?;
        selected.gpu = Some(store);
        tell("Tuning: the last bits of results may be others than without it");
    }
    Ok(())
}

/// Whether all of a step of `model` was measured.
fn is_tuned(model: &Mlp, recipe: &Recipe, request: &Request, dataset: &Dataset, hardware: &Hardware) -> Result<bool> {
    let (plan, _) = PlanName::choose(model, recipe, hardware, request.plan)?;
    let element = Element::of(&dataset.train.inputs);
    let step = Plan::step(plan, model, recipe, element, recipe.batch_size, hardware);
    let tuning = &hardware.tuning;
    let plan_known = compared(model, recipe, request, hardware).len() < 2 || tuning.plan(model, recipe).is_some();
    Ok(plan_known && step.pieces().all(|piece| piece.others.is_empty() || tuning.has(&piece.launch)))
}

fn seconds_per_step(
    store: &Store,
    model: &Mlp,
    recipe: &Recipe,
    plan: Option<PlanName>,
    dataset: &Dataset,
) -> Result<f64> {
    let mut gpu = bench::ready(store, model, recipe, plan, dataset)?;
    let order = random::order(recipe.seed, 0, dataset.train.len() as u32);
    let order = &order[..order.len().min(TIMED * recipe.batch_size)];
    let mut seconds = 0.0;
    // The first round builds what the driver has not built yet.
    for _ in 0..2 {
        let start = Instant::now();
        gpu.pass(order, recipe.batch_size, 0.0)?;
        gpu.wait()?;
        seconds = start.elapsed().as_secs_f64() / order.len().div_ceil(recipe.batch_size) as f64;
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_that_packs_are_faster_by_stays_unless_another_is_far_faster_alone() {
        let (fused, resident) = (PlanName::Fused, PlanName::Resident);
        assert_eq!(preferred((resident, 1.4), (fused, 1.0)), resident);
        assert_eq!(preferred((resident, 1.6), (fused, 1.0)), fused);
        assert_eq!(preferred((resident, 1.0), (resident, 1.0)), resident);
        // No plan else is usual for what it does for packs.
        assert_eq!(preferred((fused, 1.1), (resident, 1.0)), resident);
    }
}
