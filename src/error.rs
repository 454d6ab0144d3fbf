//! The one error type. Every message says what is wrong, where, and what to do.

use std::path::{Path, PathBuf};

/// What can go wrong, in the words shown to the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Options that are well-formed but make no sense together or for this data (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", "create", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file that is not what it should be: names it, what was found and what was expected.
    #[error("{}: found {found}, expected {expected}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Data that cannot be had or used.
    #[error("{0}")]
    Data(String),
    /// No GPU adapter, or none that can do what is asked.
    #[error("{0}")]
    Adapter(String),
    /// The GPU driver reported an error; names the kernel or buffer.
    #[error("{0}")]
    Gpu(String),
    /// Training went wrong numerically.
    #[error("{0}")]
    Training(String),
    /// A self-check found a difference beyond its tolerance.
    #[error("{0}")]
    Check(String),
    /// Interrupted by the user (exit code 130).
    #[error("interrupted")]
    Interrupted,
}

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The process exit code: 1 failed at run time, 2 bad usage, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Interrupted => 130,
            _ => 1,
        }
    }

    /// An [`Error::Io`] about `path`; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::File`] about `path`.
    pub fn file(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::File { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }
}
