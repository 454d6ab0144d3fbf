//! How fast packs train on the GPU: the notebook's network, 784-7-10 in batches of 64, by plan and number of members.
//! `cargo bench --bench packs`, with numbers of members behind `--` for others than 1, 4, 16 and 64, and names of plans for
//! those only. MLP_GPU_DATA names a folder with MNIST; without it the drawn digits are used.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Instant;

use mlp_gpu::backend::gpu::device::{Device, adapters, choose};
use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::gpu::{GpuPack, Store};
use mlp_gpu::backend::pack::Pack;
use mlp_gpu::backend::{Precision, Split, Steps};
use mlp_gpu::data;
use mlp_gpu::random;
use mlp_gpu::recipe::Recipe;
use mlp_gpu::state::State;

/// Rows of a pass: a hundred batches.
const ROWS: usize = 6400;
/// Passes that are timed, after one to warm up; their median counts.
const PASSES: usize = 3;

fn pass(pack: &mut GpuPack, orders: &[Vec<u32>], batch_size: usize) {
    let rates = vec![0.1; ROWS / batch_size];
    let mut done = 0;
    while done < rates.len() {
        let left = orders.iter().map(|order| Steps { order: &order[done * batch_size..], rates: &rates[done..] });
        let steps: Vec<Steps<'_>> = left.collect();
        done += pack.train(&steps).unwrap();
    }
    pack.wait().unwrap();
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let mut members: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if members.is_empty() {
        members = vec![1, 4, 16, 64];
    }
    let named: Vec<PlanName> = words.iter().filter_map(|word| PlanName::named(word)).collect();
    let plans = if named.is_empty() { PlanName::ALL.to_vec() } else { named };
    let adapters = pollster::block_on(adapters());
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    let device = match choose(&infos, None) {
        Ok(index) => pollster::block_on(Device::open(&adapters[index], Precision::F32)).unwrap(),
        Err(error) => return println!("{error}"),
    };
    let folder = std::env::var_os("MLP_GPU_DATA").map(Into::into);
    let name = if folder.is_some() { "mnist" } else { "digits" };
    let (dataset, _) = data::load(name, &data::Options { folder, ..data::Options::default() }).unwrap();
    let train = std::sync::Arc::new(dataset.train.select(|row| row < ROWS).unwrap());
    println!(
        "{}, {}, {}, {ROWS} rows of {}",
        device.info.name, device.info.driver, device.info.driver_info, dataset.name
    );
    println!("plan        members  s a pass  member passes/s");
    let store = Store::new(device);
    for plan in plans {
        for &members in &members {
            let recipes: Vec<Recipe> = (0..members as u64).map(|seed| Recipe { seed, ..Recipe::default() }).collect();
            let model = recipes[0].model(train.width, dataset.outputs()).unwrap();
            let mut pack = GpuPack::new(store.clone(), &model, &recipes, Some(plan)).unwrap();
            pack.upload(Split::Train, &train).unwrap();
            for (member, recipe) in recipes.iter().enumerate() {
                let parameters = model.initial_parameters(recipe.init, recipe.seed);
                pack.set_state(member, &State::new(parameters, recipe.optimizer.kind)).unwrap();
            }
            let mut seconds: Vec<f64> = (0..=PASSES)
                .map(|epoch| {
                    let order = |recipe: &Recipe| random::order(recipe.seed, epoch as u64, ROWS as u32);
                    let orders: Vec<Vec<u32>> = recipes.iter().map(order).collect();
                    let start = Instant::now();
                    pass(&mut pack, &orders, recipes[0].batch_size);
                    start.elapsed().as_secs_f64()
                })
                .collect();
            seconds.remove(0);
            seconds.sort_by(f64::total_cmp);
            let median = seconds[PASSES / 2];
            println!("{:<10}  {members:>7}  {median:>8.4}  {:>15.2}", plan.name(), members as f64 / median);
        }
    }
}
