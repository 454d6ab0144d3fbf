//! Tables of many files: which files a path stands for, and in which order they come.

use std::path::{Path, PathBuf};

use super::source::Source;
use crate::data::Note;
use crate::data::arrays::part_of;
use crate::error::{Error, Remedy, Result};
use crate::files;

/// Endings of names of tables.
const TABLES: [&str; 7] = [".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".ipc"];
/// What may follow them.
const PACKED: [&str; 3] = [".gz", ".zst", ".zip"];

/// The files of one table, or bytes that messages call `path`.
pub(super) struct Sources<'a> {
    content: Option<&'a [u8]>,
    files: Vec<PathBuf>,
}

impl<'a> Sources<'a> {
    /// Those that `path` stands for.
    ///
    /// # Errors
    /// Those of [`table_files`].
    pub(super) fn new(path: &Path, content: Option<&'a [u8]>) -> Result<Self> {
        let files = if content.is_some() { vec![path.to_path_buf()] } else { table_files(path)? };
        Ok(Self { content, files })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Source<'_>> {
        self.files.iter().map(|path| Source { path, content: self.content })
    }

    /// The first one.
    pub(super) fn first(&self) -> Source<'_> {
        Source { path: self.files.first().map_or(Path::new(""), PathBuf::as_path), content: self.content }
    }

    /// Says of how many files a table of so many rows is, where there are several.
    pub(super) fn note(&self, rows: usize) -> Option<Note> {
        let names = self.several()?;
        let (count, first, last) = (names.len(), names.first()?, names.last()?);
        Some(format!("{count} files, {first} to {last}, are read as one table of {rows} rows").into())
    }

    /// Their paths, where there are several.
    pub(super) fn several(&self) -> Option<Vec<String>> {
        (self.files.len() > 1).then(|| self.files.iter().map(|path| path.display().to_string()).collect())
    }
}

/// The files of the table that `path` stands for: itself, the tables of a folder, or what matches a pattern that is no path. They
/// come in the order of their names, in which numbers count as such: part-2 stands before part-10.
///
/// # Errors
/// [`Error::File`] where there is none, [`Error::Usage`] for a pattern that is none, [`Error::Io`] for a folder that cannot be
/// read.
pub fn table_files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        return match in_folder(path)? {
            Some(files) => one_part(path, files),
            None => Err(Error::file(path, "a folder of other files too", "a folder of tables alone")),
        };
    }
    let Some(found) = files::matching(path)? else { return Ok(vec![path.to_path_buf()]) };
    let files: Vec<PathBuf> = found.into_iter().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(Error::file(path, "no file", "a path, or a pattern that matches files"));
    }
    Ok(files)
}

/// The `files` of the folder `path`, unless their names say that they are parts of a data set, which are not to be mixed.
fn one_part(path: &Path, files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let part = |file: &PathBuf| {
        let name = file.file_name()?.to_string_lossy().into_owned();
        Some((part_of(name.split('.').next()?)?, name))
    };
    let parts: Vec<_> = files.iter().filter_map(part).collect();
    if let Some((first, name)) = parts.first()
        && let Some((_, other)) = parts.iter().find(|(part, _)| part != first)
    {
        let found = format!("parts of a data set, {name} and {other}");
        return Err(Error::file(path, found, "one table: give the file to learn from, and the test part by itself")
            .advise(&[Remedy::Option("test")]));
    }
    Ok(files)
}

/// Whether `path` is a folder that holds tables and nothing else.
pub(in crate::data) fn is_folder_of_tables(path: &Path) -> bool {
    path.is_dir() && in_folder(path).is_ok_and(|files| files.is_some())
}

/// The tables of a folder; none where it has none, or anything else. Hidden files, and those that writers of many files put
/// beside them under names with `_`, do not count.
fn in_folder(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let read = |error| Error::io("read", folder)(error);
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let plain = PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        if !path.is_file() || !TABLES.iter().any(|end| plain.ends_with(end)) {
            return Ok(None);
        }
        tables.push(path);
    }
    files::sort_by_name(&mut tables);
    Ok((!tables.is_empty()).then_some(tables))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_a_file_for_those_of_a_folder_or_for_what_matches() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b10.csv", "b9.CSV.gz", "_SUCCESS", ".hidden.txt"] {
            std::fs::write(at(name), "x").unwrap();
        }
        assert!(is_folder_of_tables(folder.path()));
        assert_eq!(table_files(folder.path()).unwrap(), [at("b9.CSV.gz"), at("b10.csv")]);
        assert_eq!(table_files(&at("b1*")).unwrap(), [at("b10.csv")]);
        assert_eq!(table_files(&at("none.csv")).unwrap(), [at("none.csv")], "its reader says that it is not there");
        assert!(table_files(&at("c*")).unwrap_err().to_string().contains("found no file"));
        std::fs::write(at("picture.png"), "x").unwrap();
        assert!(!is_folder_of_tables(folder.path()) && table_files(folder.path()).is_err());
    }
}
