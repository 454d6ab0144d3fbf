//! Files that are whole or absent: written beside their place, then renamed into it.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` to `path`. Until all of them are on the disk, whatever was there stays.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be written to or `path` is a folder.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    check_writable(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mlp-gpu-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: the process's umask takes away what it must.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder_of(path)).map_err(Error::io("write", path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(Error::io("write", path))?;
    file.persist(path).map(drop).map_err(|error| Error::io("write", path)(error.error))
}

/// Whether a file can be written at `path`, as far as can be known before the work that makes its content.
///
/// # Errors
/// [`Error::Io`] when `path` is a folder, or is in none.
pub fn check_writable(path: &Path) -> Result<()> {
    let refused = |kind, what: &str| Err(Error::io("write", path)(std::io::Error::new(kind, what)));
    if path.is_dir() {
        return refused(std::io::ErrorKind::IsADirectory, "it is a folder: name a file in it");
    }
    if !folder_of(path).is_dir() {
        return refused(std::io::ErrorKind::NotFound, "there is no such folder: create it first");
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a file");
        for content in ["first", "second, longer"] {
            write(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"").is_err());
        assert!(write(&folder.path().join("none/file"), b"").is_err());
    }
}
