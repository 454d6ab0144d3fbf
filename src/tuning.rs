//! What `mlp-gpu bench --tune` measured, kept in the cache folder: a file of JSON with one entry for each adapter, driver
//! and version of this program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::backend::gpu::hardware::Tuning;
use crate::error::{Error, Result};
use crate::{cache, files};

type Entries = BTreeMap<String, Tuning>;

/// What is kept for this adapter. Nothing where nothing was measured.
///
/// # Errors
/// [`Error::Data`] where the file does not parse; [`Error::Io`] where it cannot be read.
pub fn load(adapter: &wgpu::AdapterInfo) -> Result<Tuning> {
    // Without a cache folder nothing was kept.
    let Ok(path) = path() else { return Ok(Tuning::default()) };
    Ok(read(&path)?.remove(&key(adapter)).unwrap_or_default())
}

/// Adds `tuning` to what is kept for this adapter; says where.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn save(adapter: &wgpu::AdapterInfo, tuning: Tuning) -> Result<PathBuf> {
    let path = path()?;
    // A file that does not parse is of no use to anyone.
    let mut entries = read(&path).unwrap_or_default();
    entries.entry(key(adapter)).or_default().extend(tuning);
    let folder = cache::folder()?;
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let text = serde_json::to_string_pretty(&entries).map_err(|error| Error::Data(error.to_string()))?;
    files::write(&path, text.as_bytes())?;
    Ok(path)
}

fn path() -> Result<PathBuf> {
    Ok(cache::folder()?.join("tuning.json"))
}

fn key(adapter: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo { name, driver, driver_info, backend, .. } = adapter;
    format!("{name}, {backend}, {driver} {driver_info}, mlp-gpu {}", env!("CARGO_PKG_VERSION"))
}

fn read(path: &Path) -> Result<Entries> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Error::file(path, error.to_string(), "what mlp-gpu bench --tune writes: delete it, or tune")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Entries::new()),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
