//! Data made in the program and a training loop of one's own, which stops when the test part no longer gets better:
//! `cargo run --release --example spiral`

use mlp_gpu::backend::{self, Split};
use mlp_gpu::data::{Inputs, Samples};
use mlp_gpu::error::Result;
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::random;

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
    let mut backend = backend::auto(&model, 32)?;
    backend.upload(Split::Train, &train)?;
    backend.upload(Split::Test, &test)?;
    backend.set_parameters(&model.initial_parameters(Init::He, 0))?;
    let (mut best, mut since) = (f64::INFINITY, 0);
    for epoch in 0..200 {
        backend.train(&random::order(0, epoch, 3000), 0.1)?;
        let found = backend.evaluate(Split::Test)?;
        (best, since) = if found.mean_loss() < 0.99 * best { (found.mean_loss(), 0) } else { (best, since + 1) };
        if since == 20 {
            println!("no better for 20 epochs: done after {}", epoch + 1);
            break;
        }
    }
    let found = backend.evaluate(Split::Test)?;
    println!("test loss {:.4}, accuracy {:.4}", found.mean_loss(), found.accuracy());
    Ok(())
}
