//! The CPU engine's parameters to the bit: SHA-256 of the flat little-endian parameters after two epochs on `digits` with the
//! notebook's schedule. A change of these hashes is a change of what every seed gives.

use std::fmt::Write;
use std::panic::resume_unwind;

use mlp_gpu::backend::cpu::Cpu;
use mlp_gpu::backend::cpu::vector::Vectors;
use mlp_gpu::backend::{Backend, Split, Steps};
use mlp_gpu::data::{self, Dataset};
use mlp_gpu::error::Result;
use mlp_gpu::model::Mlp;
use mlp_gpu::random;
use mlp_gpu::recipe::Recipe;
use mlp_gpu::schedule::Length;
use mlp_gpu::state::State;
use sha2::{Digest, Sha256};

/// Layer widths, batch size, and the hashes for seeds 0 and 1: with fused multiply-add, and without.
type Case = (&'static [usize], usize, [&'static str; 2], [&'static str; 2]);

const CASES: [Case; 4] = [
    (
        &[784, 7, 10],
        64,
        [
            "6f3a805ade335bf0f3af4847f911bd90563422d066c52987cb65b40c40a6bb4b",
            "a99bf77fa1e7bd716da0b07155d9e7b4dda58bf0027249802d2c79c319158959",
        ],
        [
            "6f3a805ade335bf0f3af4847f911bd90563422d066c52987cb65b40c40a6bb4b",
            "a99bf77fa1e7bd716da0b07155d9e7b4dda58bf0027249802d2c79c319158959",
        ],
    ),
    (
        &[784, 128, 10],
        64,
        [
            "7da601483bfac299ea88fc4ba770baba84f3cb6ab64825cfe398f8c2ef7d2545",
            "182143714a62405afada6413fc0b41e6485a37794591d314688991d118d0bcda",
        ],
        [
            "418b26ab6c639ef45b611df09f28a6b820eec378190cfa161769c077df478510",
            "a5e91de7f2379a28964a21edce8f442710d5bcf1623ffc93b1fbfd4122c43b0c",
        ],
    ),
    (
        &[784, 40, 21, 10],
        100,
        [
            "c1bbe052caa5f3dd26c5eab71bc7c3b12a11b69769c90ea2587089c735355357",
            "90517b041f2047d1af7a8dc4ce3720ad3abd2ad11a9217aa4c9e424ba0ece7d4",
        ],
        [
            "6957af8f2505c3ff4fe22b240082d4402052a81927ca1d9261760ee36a83d210",
            "2896a53a7359139be6492f768ced2d00d3b4bf519b28323031337d2613937ce4",
        ],
    ),
    (
        &[784, 512, 512, 10],
        128,
        [
            "dbc75018c57a9964dc9bf11d4b21b727c709c0bfc2b27cc46244bd489f4705de",
            "29c09c40cd721d870dbbd87bfc5372e41a653b1db10a0cf193d6a981020436a3",
        ],
        [
            "7f24f028a05eb75aec5e40d3423ca49692cfe57130e9cba66f6da0a51f9aabb7",
            "92700f0bf742d36310c1ea6810b9f31b18264d64a8a189e005aeceee89cd4b45",
        ],
    ),
];

fn hash(parameters: &[f32]) -> String {
    let mut hash = Sha256::new();
    parameters.iter().for_each(|value| hash.update(value.to_le_bytes()));
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What two epochs with `vectors` give.
fn trained(dataset: &Dataset, widths: &[usize], batch_size: usize, seed: u64, vectors: Vectors) -> Result<Vec<f32>> {
    let model = Mlp::new(widths)?;
    let recipe = Recipe { batch_size, seed, ..Recipe::default() };
    let mut backend = Cpu::with_vectors(model.clone(), &recipe, 2, vectors)?;
    backend.upload(Split::Train, &dataset.train)?;
    backend.set_state(&State::new(model.initial_parameters(recipe.init, seed), recipe.optimizer.kind))?;
    let rows = dataset.train.len();
    let steps = rows.div_ceil(batch_size);
    let length = Length { steps_per_epoch: steps as u64, epochs: recipe.epochs };
    for epoch in 0..2 {
        let order = random::order(seed, epoch, rows as u32);
        let rate = recipe.schedule.rate(epoch * steps as u64, length) as f32;
        let rates = vec![rate; steps];
        let mut done = 0;
        while done < rates.len() {
            done += backend.train(Steps { order: &order[done * batch_size..], rates: &rates[done..] })?;
        }
    }
    Ok(backend.state(None)?.parameters)
}

/// What two epochs with `seed` give is what was recorded, whatever the vectors.
fn assert_recorded(seed: usize) -> Result<()> {
    let (dataset, _) = data::load("digits", &data::Options::default())?;
    let follow = |vectors: Vectors| -> Result<()> {
        let fused = !matches!(vectors, Vectors::Portable) || cfg!(target_arch = "aarch64");
        for (widths, batch_size, fuse, separate) in CASES {
            // With debug assertions the wide network takes minutes.
            if cfg!(debug_assertions) && widths.contains(&512) {
                continue;
            }
            let expected = if fused { fuse } else { separate }[seed];
            let parameters = trained(&dataset, widths, batch_size, seed as u64, vectors)?;
            assert_eq!(hash(&parameters), expected, "{vectors:?}, {widths:?}, seed {seed}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = Vectors::all().into_iter().map(|vectors| scope.spawn(move || follow(vectors))).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

#[test]
fn two_epochs_give_the_recorded_parameters() -> Result<()> {
    assert_recorded(0)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "half a minute with debug assertions: tests/run --all")]
fn two_epochs_with_another_seed_give_the_recorded_parameters() -> Result<()> {
    assert_recorded(1)
}
