//! The cache folder: what was fetched or measured here, and can be had again.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// The variable that names another folder.
pub const VARIABLE: &str = "MLP_GPU_CACHE";

/// `mlp-gpu` in the platform's cache folder, or what `MLP_GPU_CACHE` names. It need not be there yet.
///
/// # Errors
/// [`Error::Usage`] where the platform has no such folder.
pub fn folder() -> Result<PathBuf> {
    match std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(folder.into()),
        None => dirs::cache_dir()
            .map(|folder| folder.join("mlp-gpu"))
            .ok_or_else(|| Error::Usage(format!("this user has no cache folder: name one with {VARIABLE}=DIR"))),
    }
}
