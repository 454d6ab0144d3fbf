//! A trainer for multi-layer perceptrons: WGSL compute kernels on any GPU that wgpu reaches, and a CPU backend that is
//! the fallback and the oracle.

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
pub mod schedule;
pub mod train;
pub mod tuning;
