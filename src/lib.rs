//! A trainer for multi-layer perceptrons: WGSL compute kernels on any GPU that wgpu reaches, and a CPU backend that is
//! the fallback and the oracle.
//!
//! ```
//! use mlp_gpu::{Inputs, Mlp, Recipe, Result, Trainer, data, load_model};
//!
//! fn main() -> Result<()> {
//!     // digits is embedded; a CSV file, a folder of images and so on go by their paths.
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
//! What [`Trainer`] does in one call can be had by parts: a [`Dataset`] and an [`Mlp`] go to a [`backend::Backend`], which
//! [`backend::select`] opens and [`train::train`] drives epoch by epoch, told to every [`observe::Observer`]; a [`checkpoint`] is what is kept. The command line,
//! [`cli`], uses nothing else.

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
