//! A trainer for multi-layer perceptrons on images, tables and arrays: hand-written WGSL kernels on any GPU that wgpu reaches, and
//! a vectorised engine on the CPU. The same seed on the same device gives the same weights, bit for bit.
//!
//! ```
//! use mlp_gpu::{Inputs, Mlp, Recipe, Result, Trainer, data, load_model};
//!
//! fn main() -> Result<()> {
//!     // digits is embedded; a table, arrays or a folder of images are given by their paths.
//!     let (digits, _notes) = data::load("digits", &data::Options::default())?;
//!     let recipe = Recipe { epochs: 2, ..Recipe::default() };
//!     let mut trained = Trainer::new(Mlp::new(&[784, 16, 10])?, &digits).recipe(recipe).run()?;
//!     let test = trained.epochs[1].test.as_ref();
//!     assert!(test.is_some_and(|test| test.accuracy() > 0.8));
//!     println!("an empty image: {:?}", trained.predict(&Inputs::U8(vec![0; 784]))?);
//!     let path = std::env::temp_dir().join("digits.safetensors");
//!     trained.save(&path)?;
//!     assert_eq!(load_model(&path)?.state, trained.checkpoint.state);
//!     Ok(())
//! }
//! ```
//!
//! # The parts
//!
//! - [`data`] reads a [`Dataset`] and says how it was read; [`Samples`] can also be made in the program.
//! - [`Mlp`] is the network, [`Recipe`] everything that decides the numbers of its training.
//! - [`Trainer`] trains in one call. Step by step, [`backend::select`] opens a [`backend::Backend`], [`train::train`] drives it epoch
//!   by epoch, and every [`Observer`] is told.
//! - [`checkpoint`] keeps a model and its [`state`], [`Ensemble`] loads one or many and predicts, [`export`] writes ONNX and NumPy files.
//! - [`metrics`] says how good predictions are, [`report`] makes pages and pictures of runs.
//! - [`many`] trains networks side by side, [`search`] draws settings.
//!
//! The command line, [`cli`], uses nothing else. Errors are one type, [`Error`]; they name no flags.

mod activation;
pub mod augment;
pub mod backend;
pub mod bench;
mod cache;
pub mod check;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod data;
pub mod ensemble;
pub mod error;
pub mod export;
mod files;
mod hex;
pub mod inspect;
pub mod many;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod observe;
mod path_text;
pub mod preview;
pub mod random;
pub mod recipe;
pub mod report;
pub mod schedule;
pub mod search;
pub mod state;
pub mod train;
mod trainer;
mod tuning;

pub use augment::Augment;
pub use backend::select::Request;
pub use checkpoint::{Ensemble, load as load_model};
pub use data::{Dataset, Inputs, Samples};
pub use error::{Error, Result};
pub use model::{Activation, Init, Mlp};
pub use observe::Observer;
pub use recipe::Recipe;
pub use trainer::{Trained, Trainer};

/// The Rust blocks of the pages as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/rust.md")]
    struct Library;
}
