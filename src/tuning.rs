//! What `mlp-gpu bench --tune` measured, kept in the cache folder: a file of JSON with one entry for each adapter, driver
//! and version of this program. For adapters that somebody else measured there are entries in this program, by name alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::backend::gpu::hardware::Tuning;
use crate::error::{Error, Result};
use crate::{cache, files};

type Entries = BTreeMap<String, Tuning>;

/// The entries of this program: what `bench --tune --export` wrote on other machines.
const SHIPPED: &str = include_str!("../assets/tuning.json");

/// What is kept for this adapter, before what comes with this program. Nothing where nothing was measured.
///
/// # Errors
/// [`Error::Data`] where the file does not parse; [`Error::Io`] where it cannot be read.
pub fn load(adapter: &wgpu::AdapterInfo) -> Result<Tuning> {
    let shipped: Entries = serde_json::from_str(SHIPPED).map_err(|error| Error::Data(error.to_string()))?;
    let mut tuning = shipped.get(&name(adapter)).cloned().unwrap_or_default();
    // Without a cache folder nothing was kept.
    if let Ok(path) = path() {
        tuning.extend(read(&path)?.remove(&key(adapter)).unwrap_or_default());
    }
    Ok(tuning)
}

/// Adds `tuning` of this adapter to the file `path`, in the form of the entries that come with this program.
///
/// # Errors
/// [`Error::Data`] where there is a file that does not parse; [`Error::Io`] where it cannot be read or written.
pub fn export(path: &Path, adapter: &wgpu::AdapterInfo, tuning: Tuning) -> Result<()> {
    let mut entries = read(path)?;
    entries.entry(name(adapter)).or_default().extend(tuning);
    write(path, &entries)
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
    write(&path, &entries)?;
    Ok(path)
}

fn write(path: &Path, entries: &Entries) -> Result<()> {
    let text = serde_json::to_string_pretty(entries).map_err(|error| Error::Data(error.to_string()))?;
    files::write(path, format!("{text}\n").as_bytes())
}

fn path() -> Result<PathBuf> {
    Ok(cache::folder()?.join("tuning.json"))
}

/// What tells adapters apart from machine to machine.
fn name(adapter: &wgpu::AdapterInfo) -> String {
    format!("{}, {}", adapter.name, adapter.backend)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_this_program_parse() {
        assert!(serde_json::from_str::<Entries>(SHIPPED).is_ok());
    }
}
