//! Trains on the embedded digits, then says what is in the images that are given:
//! `cargo run --release --example digits -- photo.png scan.jpg`

use std::ops::ControlFlow;
use std::path::Path;

use mlp_gpu::data::{self, Form};
use mlp_gpu::{Init, Inputs, Mlp, Recipe, Result, Trainer};

fn main() -> Result<()> {
    let (digits, _) = data::load("digits", &data::Options::default())?;
    let recipe = Recipe { epochs: 3, init: Init::He, ..Recipe::default() };
    let mut trained = Trainer::new(Mlp::new(&[784, 64, 10])?, &digits)
        .recipe(recipe)
        .each_epoch(|epoch| {
            let accuracy = epoch.test.as_ref().map_or(0.0, |test| test.accuracy());
            println!("epoch {}: test accuracy {accuracy:.4}", epoch.number);
            ControlFlow::Continue(())
        })
        .run()?;
    for path in std::env::args().skip(1) {
        let row = Form::MNIST.row(Path::new(&path))?;
        let probabilities = trained.predict(&Inputs::U8(row))?;
        let best = (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0);
        println!("{path}: {best} ({:.0}%)", 100.0 * probabilities[best]);
    }
    Ok(())
}
