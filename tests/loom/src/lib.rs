//! The team of threads of the CPU engine by itself, so that the `loom` crate can try every order in which they meet without
//! the rest of the program being built anew:
//!
//!     RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p loom-team loom
#![cfg(loom)]
#![allow(dead_code, missing_docs)]

#[path = "../../../src/backend/cpu"]
mod cpu {
    mod team;
}

/// What the team takes of the library's errors.
mod error {
    #[derive(Debug)]
    pub enum Error {
        Usage(String),
    }

    pub type Result<T> = std::result::Result<T, Error>;
}
