//! What the fuzz targets share.

use std::fs;
use std::path::PathBuf;

use mlp_gpu::data::{Decimal, Delimiter, Header, Missing, Options, Task};
use mlp_gpu::memory;
use tempfile::TempDir;

/// What a reader may take: a file that asks for more is refused, and not a finding.
const MEMORY: u64 = 1 << 30;

/// A folder with one file, and the file's path.
pub fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    memory::set_limit(MEMORY);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    (folder, path)
}

/// The options of a table that the bits of `choice` pick.
pub fn table_options(choice: u16) -> Options {
    memory::set_limit(MEMORY);
    let pick = |shift: u32, count: u16| (choice >> shift) % count;
    Options {
        label: [None, Some("last"), Some("1"), Some("label")][pick(0, 4) as usize].map(str::to_owned),
        task: [None, None, Some(Task::Classes), Some(Task::Values)][pick(2, 4) as usize],
        header: [Header::Auto, Header::Auto, Header::Yes, Header::No][pick(4, 4) as usize],
        delimiter: [Delimiter::Auto, Delimiter::Auto, Delimiter::Semicolon, Delimiter::Blanks][pick(6, 4) as usize],
        decimal: [Decimal::Auto, Decimal::Auto, Decimal::Dot, Decimal::Comma][pick(8, 4) as usize],
        missing: [Missing::Fill, Missing::Fill, Missing::Drop, Missing::Refuse][pick(10, 4) as usize],
        max_categories: [None, Some(1)][pick(12, 2) as usize],
        weight: [None, None, None, Some("2".to_owned())][pick(13, 4) as usize].clone(),
        ..Options::default()
    }
}
