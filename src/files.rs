//! Files that are whole or absent: written beside their place, then renamed into it. No file that is read is written over.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// What temporary files are called, before letters that are drawn.
const TEMPORARY: &str = ".mlp-gpu-";
/// The most tries to make a temporary file that no other process takes for one that was left behind.
const MAX_TRIES: usize = 10;

/// Writes `bytes` to `path`, through links. Until all of them are on the disk, whatever was there stays; its permissions are kept.
/// Temporary files in the same folder whose process is gone are removed.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be written to, or `path` is a folder or a special file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes what `fill` writes to `path` as [`write`] does.
///
/// # Errors
/// As [`write`].
pub fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    replace(path, fill, None)
}

/// Writes `bytes` to `path` as [`write`] does, and keeps the file that was there as `previous`: at every moment one of the two is
/// whole, and where the file system has hard links, `path` is.
///
/// # Errors
/// As [`write`].
pub fn write_keeping(path: &Path, bytes: &[u8], previous: &Path) -> Result<()> {
    replace(path, |file| file.write_all(bytes), Some(previous))
}

fn replace(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>, previous: Option<&Path>) -> Result<()> {
    check_replaceable(path)?;
    let failed = |error| Error::io("write", path)(error);
    let target = place(path).unwrap_or_else(|| path.to_path_buf());
    let folder = folder_of(&target);
    sweep(folder);
    let mut file = temporary(folder).map_err(failed)?;
    if let Ok(found) = std::fs::metadata(&target)
        && file.as_file().metadata().is_ok_and(|made| made.permissions() != found.permissions())
    {
        file.as_file().set_permissions(found.permissions()).map_err(failed)?;
    }
    fill(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if let Some(previous) = previous.filter(|_| target.exists()) {
        keep(&target, previous).map_err(Error::io("write", previous))?;
    }
    let file = file.persist(&target).map_err(|error| failed(error.error))?;
    drop(file);
    // The new name is on the disk once its folder is. Not every file system can say so, and the file is whole.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Gives the file at `path` the further name `kept`, in place of what has that name.
fn keep(path: &Path, kept: &Path) -> std::io::Result<()> {
    let link = folder_of(kept).join(format!("{TEMPORARY}{}", std::process::id()));
    let _ = std::fs::remove_file(&link);
    match std::fs::hard_link(path, &link) {
        Ok(()) => {
            let renamed = std::fs::rename(&link, kept);
            // Where `kept` was a name of the same file already, both stay.
            let _ = std::fs::remove_file(&link);
            match renamed {
                // Another process took it for one that was left behind: the file before is not kept this once.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                renamed => renamed,
            }
        }
        // Some file systems have no further names.
        Err(_) => std::fs::rename(path, kept),
    }
}

/// An empty temporary file in `folder`, locked while it is being written.
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: the process's umask takes away what it must.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut made = builder.tempfile_in(folder)?;
    for _ in 0..MAX_TRIES {
        // Between its making and its lock, another process may have taken it for one that was left behind. Some file systems have no
        // locks; on those nothing is taken so.
        let taken = matches!(made.as_file().try_lock(), Err(std::fs::TryLockError::WouldBlock));
        if !taken && made.path().exists() {
            break;
        }
        made = builder.tempfile_in(folder)?;
    }
    Ok(made)
}

/// Removes temporary files in `folder` of processes that are gone: nobody holds their locks. Once per folder and process.
fn sweep(folder: &Path) {
    static SWEPT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.iter().any(|other| other == folder) {
        return;
    }
    swept.push(folder.to_path_buf());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        // What cannot be opened or locked stays: it is in use, or another user's.
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let file = std::fs::OpenOptions::new().write(true).open(entry.path());
            if file.is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
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

/// Whether [`write`] can put a file at `path`: what is there already must be a regular file, for a device or a pipe would be
/// replaced by one.
///
/// # Errors
/// As [`check_writable`], and [`Error::Io`] when `path` is a special file.
pub fn check_replaceable(path: &Path) -> Result<()> {
    check_writable(path)?;
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let what = "it is a device or a pipe, which a file would replace: name a regular file";
            Err(Error::io("write", path)(std::io::Error::new(std::io::ErrorKind::InvalidInput, what)))
        }
        _ => Ok(()),
    }
}

/// A file, and the flag or argument that names it.
pub type Named = (&'static str, PathBuf);

/// Refuses each of `outputs` that is one of `inputs`, by whatever name or link.
///
/// # Errors
/// [`Error::Usage`] naming both.
pub fn refuse_overwriting(outputs: &[Named], inputs: &[Named]) -> Result<()> {
    let outputs: Vec<_> = outputs.iter().filter_map(|(flag, path)| Some((flag, path, Identity::of(path)?))).collect();
    if outputs.is_empty() {
        return Ok(());
    }
    for (read_by, input) in inputs {
        let Some(identity) = Identity::of(input) else { continue };
        if let Some((flag, path, _)) = outputs.iter().find(|(.., output)| *output == identity) {
            return Err(Error::Usage(format!(
                "{flag} {} would overwrite {}, which {read_by} reads: give {flag} another file",
                path.display(),
                input.display()
            )));
        }
    }
    Ok(())
}

/// Refuses `outputs` of which two are one file, by whatever name or link.
///
/// # Errors
/// [`Error::Usage`] naming both.
pub fn check_apart(outputs: &[Named]) -> Result<()> {
    for (index, (flag, path)) in outputs.iter().enumerate() {
        if let Some((other, _)) = outputs[..index].iter().find(|(_, other)| same(other, path)) {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{other} and {flag} name the same file, {path}: give one of them another"
            )));
        }
    }
    Ok(())
}

/// Whether two paths lead to one regular file, by whatever names or links, or would if it were made.
pub fn same(a: &Path, b: &Path) -> bool {
    matches!((Identity::of(a), Identity::of(b)), (Some(a), Some(b)) if a == b)
}

/// What makes a regular file the one that it is.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// Its device and its number there.
    #[cfg(unix)]
    Node(u64, u64),
    /// Where it is or would be made.
    Place(PathBuf),
}

impl Identity {
    /// None where `path` is something else, or leads nowhere.
    fn of(path: &Path) -> Option<Self> {
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => None,
            #[cfg(unix)]
            Ok(found) => {
                use std::os::unix::fs::MetadataExt;
                Some(Self::Node(found.dev(), found.ino()))
            }
            _ => Some(Self::Place(place(path)?)),
        }
    }
}

/// The most links that are followed to a file that is not there.
const MAX_LINKS: usize = 40;

/// Where `path` leads or would, with all links followed.
fn place(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if let Ok(found) = path.canonicalize() {
            return Some(found);
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Some(folder_of(&path).canonicalize().ok()?.join(path.file_name()?)),
        }
    }
    None
}

/// Refuses to write a table under a name that says that it is packed, but for `.gz`.
///
/// # Errors
/// [`Error::Usage`] that names the endings that are written.
pub fn check_table(path: &Path) -> Result<()> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if ["zst", "zip", "bz2", "xz", "7z", "parquet", "feather", "arrow", "xlsx"].contains(&&ending[..]) {
        return Err(Error::Usage(format!("{}: CSV is written, plain or packed as .csv.gz", path.display())));
    }
    Ok(())
}

/// Writes the CSV in `bytes` to `path`, packed by gzip where its name ends in `.gz`.
///
/// # Errors
/// As [`write`].
pub fn write_table(path: &Path, bytes: &[u8]) -> Result<()> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
        return write(path, bytes);
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(Error::io("write", path))?;
    write(path, &packed)
}

/// What matches `path` where it is a pattern of names, such as `part-*.csv`, and no path, in the order of names; none where it
/// is none.
///
/// # Errors
/// [`Error::Usage`] for a pattern that is none, [`Error::Io`] for a folder that cannot be read.
pub fn matching(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists()) else {
        return Ok(None);
    };
    // A star stands for no hidden file, as in a shell.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, options).map_err(|error| {
        Error::Usage(format!(
            "{}: not a pattern of file names ({}): put [ and ] around a lone [",
            path.display(),
            error.msg
        ))
    })?;
    let found = paths.map(|path| {
        path.map_err(|error| {
            let folder = error.path().to_path_buf();
            Error::io("read", &folder)(error.into())
        })
    });
    let mut found = found.collect::<Result<Vec<_>>>()?;
    sort_by_name(&mut found);
    Ok(Some(found))
}

/// Puts paths into the order of their names, in which runs of digits are numbers: part-2 stands before part-10.
pub fn sort_by_name(paths: &mut [PathBuf]) {
    let key = |path: &PathBuf| {
        let text = path.to_string_lossy();
        let runs = text.as_bytes().chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
        let runs: Vec<Vec<u8>> = runs.map(by_length).collect();
        (runs, path.clone())
    };
    paths.sort_by_cached_key(key);
}

/// What a run of digits, of any length, is ordered by: before others stand those of fewer digits, but for zeros at the front. Any
/// other run stays as it is.
fn by_length(run: &[u8]) -> Vec<u8> {
    if !run[0].is_ascii_digit() {
        return run.to_vec();
    }
    let zeros = run.iter().take_while(|digit| **digit == b'0').count();
    [b"0", &(run.len() - zeros).to_be_bytes()[..], &run[zeros..]].concat()
}

/// The folder that `path` is in.
pub fn folder_of(path: &Path) -> &Path {
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
    fn temporary_files_of_dead_processes_are_removed_and_those_in_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (left, used) = (folder.path().join(".mlp-gpu-left"), folder.path().join(".mlp-gpu-used"));
        std::fs::write(&left, "half a model").unwrap();
        let held = File::create(&used).unwrap();
        held.try_lock().unwrap();
        write(&folder.path().join("a"), b"a").unwrap();
        assert!(!left.exists() && used.exists());
    }

    #[test]
    fn the_file_before_is_kept_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("a"), folder.path().join("a.previous"));
        for content in ["1", "2", "3"] {
            write_keeping(&path, content.as_bytes(), &previous).unwrap();
        }
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&path), read(&previous)), ("3".into(), "2".into()));
    }

    #[test]
    #[cfg(unix)]
    fn permissions_are_kept_and_links_are_followed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        std::fs::write(&path, "1").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        write(&link, b"2").unwrap();
        assert!(link.is_symlink() && std::fs::read_to_string(&path).unwrap() == "2");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_the_same_by_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("inner")).unwrap();
        std::fs::write(at("a"), "a").unwrap();
        std::fs::write(at("b"), "a").unwrap();
        assert!(same(&at("a"), &at("inner/../a")) && !same(&at("a"), &at("b")));
        assert!(same(&at("new"), &at("inner/../new")) && !same(&at("new"), &at("inner/new")));
        assert!(!same(folder.path(), folder.path()));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../a", at("inner/link")).unwrap();
            std::os::unix::fs::symlink("inner/none", at("dangling")).unwrap();
            std::os::unix::fs::symlink("loop", at("loop")).unwrap();
            std::fs::hard_link(at("a"), at("hard")).unwrap();
            assert!(same(&at("a"), &at("inner/link")) && same(&at("hard"), &at("inner/link")));
            assert!(same(&at("dangling"), &at("inner/none")));
            assert!(!same(&at("loop"), &at("a")) && !same("/dev/null".as_ref(), "/dev/null".as_ref()));
            let outputs = [("--log", at("b")), ("--save", at("hard"))];
            let error = refuse_overwriting(&outputs, &[("--data", at("none")), ("--test", at("inner/link"))]);
            let error = error.unwrap_err();
            assert!(error.exit_code() == 2, "{error}");
            let text = error.to_string();
            assert!(["--save", "hard", "--test", "inner/link"].iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn special_files_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link] {
            assert!(write(path, b"x").unwrap_err().to_string().contains("a device or a pipe"));
            assert!(check_writable(path).is_ok() && !path.metadata().unwrap().is_file());
        }
    }

    #[test]
    fn folders_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"").is_err());
        assert!(write(&folder.path().join("none/file"), b"").is_err());
    }

    #[test]
    fn numbers_in_names_count_as_such_whatever_their_length() {
        let long = "9".repeat(50);
        let (longer, longest) = (format!("a{long}.csv"), format!("a1{long}.csv"));
        for names in [
            vec!["o/p-3.csv", "p-1.csv", "p-02.csv", "p-2.csv", "p-10.csv", "p.csv"],
            vec!["a1.csv", "a9.csv", "a10.csv", &longer, &longest],
        ] {
            let sorted: Vec<PathBuf> = names.into_iter().map(PathBuf::from).collect();
            let mut paths = sorted.clone();
            paths.rotate_left(2);
            paths.swap(0, 3);
            sort_by_name(&mut paths);
            assert_eq!(paths, sorted);
        }
    }
}
