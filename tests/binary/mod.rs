//! The real binary, as tests run it, and folders for its files.
#![allow(dead_code, reason = "no test file needs all of it")]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// The binary with `arguments`, with nothing of this machine's environment that decides what it does.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command
}

/// Standard output and standard error of a run that ends with this exit code.
pub fn run(arguments: &[&str], code: i32) -> (String, String) {
    let output = command(arguments).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
    (out, err)
}

/// Standard output of a run that succeeds.
pub fn succeeds(arguments: &[&str]) -> String {
    run(arguments, 0).0
}

/// Expects the exit code, and one line of error that has all of `parts`.
pub fn fails(arguments: &[&str], code: i32, parts: &[&str]) {
    let (_, err) = run(arguments, code);
    let errors: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{err}");
    parts.iter().for_each(|part| assert!(errors[0].contains(part), "no {part:?} in {err}"));
}

/// A folder, and paths in it as text.
pub struct Folder(pub TempDir);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The path of `name` in it.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}
