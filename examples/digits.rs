//! Trains on the embedded digits, then says what is in the images that are given:
//! `cargo run --release --example digits -- photo.png scan.jpg`

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mlp_gpu::backend::{self, Split};
use mlp_gpu::data::{self, Framing, Inputs};
use mlp_gpu::error::Result;
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::train::{self, Event};

fn main() -> Result<()> {
    let (dataset, _) = data::load("digits", &data::Options::default())?;
    let model = Mlp::new(&[784, 64, 10])?;
    let options = train::Options { epochs: 3, ..train::Options::default() };
    let mut backend = backend::auto(&model, options.batch_size)?;
    println!("{} on {}", model, backend.device());
    backend.upload(Split::Train, &dataset.train)?;
    backend.upload(Split::Test, &dataset.test)?;
    backend.set_parameters(&model.initial_parameters(Init::He, options.seed))?;
    train::train(backend.as_mut(), &options, dataset.train.len(), &AtomicBool::new(false), |event| {
        if let Event::Epoch(epoch, _) = event {
            println!("epoch {}: test accuracy {:.4}", epoch.number, epoch.test.accuracy());
        }
        Ok(())
    })?;
    for path in std::env::args().skip(1) {
        let row = Framing::Mnist.row(Path::new(&path), (28, 28))?;
        let probabilities = backend.predict(&Inputs::U8(row))?;
        let best = (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0);
        println!("{path}: {best} ({:.0}%)", 100.0 * probabilities[best]);
    }
    Ok(())
}
