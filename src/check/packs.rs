//! Packs against the same networks alone: bit for bit.

use std::sync::Arc;

use super::Row;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::plan::PlanName;
use crate::backend::gpu::{Gpu, GpuPack, Store};
use crate::backend::pack::Pack;
use crate::backend::{Backend, BackendExt, Split, Steps};
use crate::compare::{Tolerance, compare};
use crate::data::{Inputs, Samples};
use crate::error::Result;
use crate::model::{Init, Mlp};
use crate::random;
use crate::recipe::{Optimizer, OptimizerKind, Recipe};
use crate::state::State;

/// Networks, by plan: a narrow one, that every plan trains, one with a wider hidden layer, and one with two.
const NETWORKS: [&[usize]; 3] = [&[64, 7, 10], &[33, 50, 3], &[33, 40, 20, 3]];
const MEMBERS: usize = 3;
/// Rows of the data, and of a batch: the last is short.
const ROWS: usize = 100;
const BATCH_SIZE: usize = 32;
const EPOCHS: u64 = 3;

/// Every plan on `device` with three members that differ in their weights, orders and rates, against each of them alone.
///
/// # Errors
/// What the device fails with.
pub fn packs(device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for widths in NETWORKS {
        let model = Mlp::new(widths)?;
        let optimizer = Optimizer { kind: OptimizerKind::Adam, ..Optimizer::default() };
        let recipe = Recipe { batch_size: BATCH_SIZE, optimizer, ..Recipe::default() };
        for plan in PlanName::fitting(&model, &recipe, &device.hardware) {
            rows.push(pack_row(device, &model, &recipe, plan)?);
        }
    }
    Ok(rows)
}

fn pack_row(device: &Device, model: &Mlp, recipe: &Recipe, plan: PlanName) -> Result<Row> {
    let bytes = random::order(1, 0, (ROWS * model.inputs()) as u32);
    let inputs = Inputs::U8(bytes.iter().map(|&value| value as u8).collect());
    let labels = (0..ROWS).map(|row| (row % model.outputs()) as u32).collect();
    let samples = Arc::new(Samples::new(inputs, model.inputs(), labels)?);
    let store = Store::new(device.clone());
    let recipes: Vec<Recipe> = (0..MEMBERS as u64).map(|seed| Recipe { seed, ..recipe.clone() }).collect();
    let states: Vec<State> = recipes
        .iter()
        .map(|recipe| State::new(model.initial_parameters(Init::He, recipe.seed), recipe.optimizer.kind))
        .collect();
    let rate = |seed: u64| 0.001 * (1 + seed) as f32;

    let mut pack = GpuPack::new(store.clone(), model, &recipes, Some(plan))?;
    pack.upload(Split::Train, &samples)?;
    for (member, state) in states.iter().enumerate() {
        pack.set_state(member, state)?;
    }
    for epoch in 0..EPOCHS {
        let orders: Vec<_> = recipes.iter().map(|recipe| random::order(recipe.seed, epoch, ROWS as u32)).collect();
        let rates: Vec<_> = recipes.iter().map(|recipe| vec![rate(recipe.seed); ROWS.div_ceil(BATCH_SIZE)]).collect();
        let mut done = 0;
        while done < rates[0].len() {
            let pairs = orders.iter().zip(&rates);
            let steps: Vec<_> = pairs
                .map(|(order, rates)| Steps { order: &order[done * BATCH_SIZE..], rates: &rates[done..] })
                .collect();
            done += pack.train(&steps)?;
        }
    }

    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for (member, (recipe, state)) in recipes.iter().zip(&states).enumerate() {
        let of = |state: State| [state.parameters, state.slots.concat()].concat();
        together.extend(of(pack.state(member, None)?));
        let mut gpu = Gpu::new(store.clone(), model.clone(), recipe, Some(plan))?;
        gpu.upload(Split::Train, &samples)?;
        gpu.set_state(state)?;
        for epoch in 0..EPOCHS {
            gpu.pass(&random::order(recipe.seed, epoch, ROWS as u32), BATCH_SIZE, rate(recipe.seed))?;
        }
        alone.extend(of(gpu.state(None)?));
    }
    Ok(Row {
        name: format!("plan {}", plan.name()),
        shape: format!("{MEMBERS} of {model} b{BATCH_SIZE} adam"),
        what: "as alone",
        tolerance: Tolerance::EXACT,
        comparison: compare(&together, &alone, Tolerance::EXACT),
    })
}
