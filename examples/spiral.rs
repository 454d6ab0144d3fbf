//! Data made in the program and a training loop of one's own, which stops when the test part no longer gets better:
//! `cargo run --release --example spiral`

use std::sync::Arc;

use mlp_gpu::backend::{BackendExt, Split};
use mlp_gpu::recipe::OptimizerKind;
use mlp_gpu::state::State;
use mlp_gpu::{Init, Inputs, Mlp, Recipe, Request, Result, Samples, random};

/// Points on three arms of a spiral, a class an arm: two features each.
fn spiral(rows: u32, turn: f32) -> Result<Samples> {
    let point = |row: u32| {
        let (arm, along) = (row % 3, (row / 3) as f32 / (rows / 3) as f32);
        let angle = 5.0 * along + arm as f32 * std::f32::consts::TAU / 3.0 + turn;
        [2.0 * along * angle.cos(), 2.0 * along * angle.sin()]
    };
    Samples::new(Inputs::F32((0..rows).flat_map(point).collect()), 2, (0..rows).map(|row| row % 3).collect())
}

fn main() -> Result<()> {
    let (train, test) = (spiral(3000, 0.0)?, spiral(300, 0.03)?);
    let model = Mlp::new(&[2, 64, 32, 3])?;
    let recipe = Recipe { batch_size: 32, ..Recipe::default() };
    let (mut backend, _) = Request::default().select()?.backend(&model, &recipe)?;
    backend.upload(Split::Train, &Arc::new(train))?;
    backend.upload(Split::Test, &Arc::new(test))?;
    backend.set_state(&State::new(model.initial_parameters(Init::He, 0), OptimizerKind::Sgd))?;
    let (mut best, mut since) = (f64::INFINITY, 0);
    for epoch in 0..200 {
        backend.pass(&random::order(0, epoch, 3000), recipe.batch_size, 0.1)?;
        let found = backend.evaluate_now(Split::Test)?;
        (best, since) = if found.mean_loss() < 0.99 * best { (found.mean_loss(), 0) } else { (best, since + 1) };
        if since == 20 {
            println!("no better for 20 epochs: done after {}", epoch + 1);
            break;
        }
    }
    let found = backend.evaluate_now(Split::Test)?;
    println!("test loss {:.4}, accuracy {:.4}", found.mean_loss(), found.accuracy());
    Ok(())
}
