//! A trainer for multi-layer perceptrons: WGSL compute kernels on any GPU that wgpu reaches, and a CPU backend that is
//! the fallback and the oracle.
//!
//! A [`data::Dataset`] and an [`model::Mlp`] go to a [`backend::Backend`], which [`train::train`] drives epoch by epoch; a
//! [`checkpoint`] is what is kept. The command line, [`cli`], uses nothing else.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use mlp_gpu::backend::{self, Split};
//! use mlp_gpu::checkpoint::{self, Metadata};
//! use mlp_gpu::data::{self, Inputs};
//! use mlp_gpu::model::{Init, Mlp};
//! use mlp_gpu::train::{self, Event};
//!
//! fn main() -> mlp_gpu::error::Result<()> {
//!     // Load: digits is embedded; a CSV file, an image folder and so on go by their paths.
//!     let (dataset, _) = data::load("digits", &data::Options::default())?;
//!     let model = Mlp::new(&[784, 16, 10])?;
//!     let options = train::Options { epochs: 2, ..train::Options::default() };
//!
//!     // Train: on a GPU if there is one.
//!     let mut backend = backend::auto(&model, options.batch_size)?;
//!     backend.upload(Split::Train, &dataset.train)?;
//!     backend.upload(Split::Test, &dataset.test)?;
//!     backend.set_parameters(&model.initial_parameters(Init::Normal(0.01), options.seed))?;
//!     train::train(backend.as_mut(), &options, dataset.train.len(), &AtomicBool::new(false), |event| {
//!         if let Event::Epoch(epoch, _) = event {
//!             println!("epoch {}: loss {:.4}", epoch.number, epoch.train.mean_loss());
//!         }
//!         Ok(())
//!     })?;
//!
//!     // Evaluate, save, load, predict.
//!     assert!(backend.evaluate(Split::Test)?.accuracy() > 0.8);
//!     let path = std::env::temp_dir().join("digits.safetensors");
//!     checkpoint::save(&path, &model, &backend.parameters()?, Some(&Metadata::new(&model, &dataset, &options)))?;
//!     backend.set_parameters(&checkpoint::load(&path)?.parameters)?;
//!     let probabilities = backend.predict(&Inputs::U8(vec![0; 784]))?;
//!     println!("an empty image: {probabilities:?}");
//!     Ok(())
//! }
//! ```

pub mod backend;
pub mod bench;
pub mod cache;
pub mod check;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod data;
pub mod error;
pub mod export;
pub mod files;
pub mod inspect;
pub mod metrics;
pub mod model;
pub mod preview;
pub mod random;
pub mod recipe;
pub mod schedule;
pub mod train;
pub mod tuning;
