//! Tables of many files: which files a path stands for, and in which order they come.

use std::path::{Path, PathBuf};

use super::source::Source;
use crate::data::arrays::part_of;
use crate::data::images::formats::Kind;
use crate::data::{Note, classes};
use crate::error::{Error, Remedy, Result};
use crate::files;

/// Endings of names of tables.
const TABLES: [&str; 7] = [".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".ipc"];
/// What may follow them.
const PACKED: [&str; 3] = [".gz", ".zst", ".zip"];
/// The folders around tables that are looked into.
const DEPTH: usize = 6;

/// The files of one table, or bytes that messages call `path`.
pub(super) struct Sources<'a> {
    content: Option<&'a [u8]>,
    files: Vec<PathBuf>,
    /// What there is to say of what lies beside them.
    told: Vec<String>,
}

impl<'a> Sources<'a> {
    /// Those that `path` stands for.
    ///
    /// # Errors
    /// Those of [`table_files`].
    pub(super) fn new(path: &Path, content: Option<&'a [u8]>) -> Result<Self> {
        let found = match content {
            Some(_) => TableFiles { files: vec![path.to_path_buf()], ..TableFiles::default() },
            None => TableFiles::of(path)?,
        };
        Ok(Self { content, told: found.told(), files: found.files })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Source<'_>> {
        self.files.iter().map(|path| Source { path, content: self.content })
    }

    /// The first one.
    pub(super) fn first(&self) -> Source<'_> {
        Source { path: self.files.first().map_or(Path::new(""), PathBuf::as_path), content: self.content }
    }

    /// Says of how many files a table of so many rows is, where there are several, and what is left out.
    pub(super) fn note(&self, rows: usize) -> Vec<Note> {
        let mut notes: Vec<Note> = self.told.iter().cloned().map(Note::from).collect();
        if let Some(names) = self.several()
            && let (count, Some(first), Some(last)) = (names.len(), names.first(), names.last())
        {
            notes.push(format!("{count} files, {first} to {last}, are read as one table of {rows} rows").into());
        }
        notes
    }

    /// Their paths, where there are several.
    pub(super) fn several(&self) -> Option<Vec<String>> {
        (self.files.len() > 1).then(|| self.files.iter().map(|path| path.display().to_string()).collect())
    }
}

/// The files of a table, and what is left out beside them.
#[derive(Debug, Default)]
pub struct TableFiles {
    /// The files in the order of their names, in which numbers count as such: part-2 stands before part-10.
    pub files: Vec<PathBuf>,
    /// The names of documents, and of what is hidden.
    beside: Vec<String>,
    /// The names of files of no bytes.
    empty: Vec<String>,
}

impl TableFiles {
    /// The files of the table that `path` stands for: itself, the tables of a folder, or what matches a pattern that is no path.
    ///
    /// # Errors
    /// [`Error::File`] where there is none, [`Error::Usage`] for a pattern that is none, [`Error::Io`] for a folder that cannot be
    /// read.
    pub fn of(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let Listed { tables, beside, others } = Listed::of(path)?;
            if tables.is_empty() || !others.is_empty() {
                check_folder(path)?;
                return Err(Error::file(path, "a folder of other files too", "a folder of tables alone"));
            }
            return Ok(Self { files: one_part(path, tables)?, beside, ..Self::default() }.without_empty());
        }
        let Some(found) = files::matching(path)? else {
            return Ok(Self { files: vec![path.to_path_buf()], ..Self::default() });
        };
        let files: Vec<PathBuf> = found.into_iter().filter(|path| path.is_file()).collect();
        if files.is_empty() {
            return Err(Error::file(path, "no file", "a path, or a pattern that matches files"));
        }
        Ok(Self { files, ..Self::default() }.without_empty())
    }

    /// Leaves out files of no bytes, as writers leave them for parts without rows, unless all are empty.
    fn without_empty(mut self) -> Self {
        let is_empty = |path: &PathBuf| path.metadata().is_ok_and(|found| found.len() == 0);
        let (empty, files): (Vec<_>, Vec<_>) = self.files.iter().cloned().partition(is_empty);
        if !files.is_empty() {
            self.empty = empty.iter().map(|path| name_of(path)).collect();
            self.files = files;
        }
        self
    }

    /// What there is to say of what is left out.
    pub fn told(&self) -> Vec<String> {
        let left = |names: &[String], what: &str| {
            (!names.is_empty()).then(|| format!("left out beside the tables, as {what}: {}", classes::list(names)))
        };
        [left(&self.beside, "no table"), left(&self.empty, "empty")].into_iter().flatten().collect()
    }
}

/// The files that [`TableFiles`] finds.
///
/// # Errors
/// Those of [`TableFiles::of`].
pub fn table_files(path: &Path) -> Result<Vec<PathBuf>> {
    TableFiles::of(path).map(|found| found.files)
}

/// What a file is called in its folder.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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

/// Whether `path` is a folder that holds tables, and beside them documents alone.
pub(crate) fn is_folder_of_tables(path: &Path) -> bool {
    path.is_dir() && Listed::of(path).is_ok_and(|found| !found.tables.is_empty() && found.others.is_empty())
}

/// What a folder holds.
struct Listed {
    tables: Vec<PathBuf>,
    /// The names of documents, of hidden files, and of those that writers of many files put beside them under names with `_`.
    beside: Vec<String>,
    others: Vec<PathBuf>,
}

impl Listed {
    fn of(folder: &Path) -> Result<Self> {
        let read = |error| Error::io("read", folder)(error);
        let (mut tables, mut beside, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = name_of(&path);
            match (is_beside(&name), ending_of(&name).is_some() && path.is_file()) {
                (true, _) => beside.push(name),
                (false, true) => tables.push(path),
                (false, false) => others.push(path),
            }
        }
        files::sort_by_name(&mut tables);
        beside.sort();
        others.sort();
        Ok(Self { tables, beside, others })
    }
}

/// Whether a file of this name says something of tables and is none.
fn is_beside(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let document = ["readme", "license", "licence", "copying"].iter().any(|start| name.starts_with(start));
    name.starts_with(['.', '_']) || name.ends_with(".md") || (document && ending_of(&name).is_none())
}

/// The ending of a table's name, such as `.csv.gz`; none of other names.
fn ending_of(name: &str) -> Option<&str> {
    let low = name.to_ascii_lowercase();
    let plain = PACKED.iter().find_map(|end| low.strip_suffix(end)).unwrap_or(&low);
    let end = TABLES.iter().find(|end| plain.ends_with(*end))?;
    name.get(plain.len() - end.len()..)
}

/// Refuses a folder in which something stands in the way of its tables: another file, or folders around them. Folders of images
/// are none.
///
/// # Errors
/// [`Error::File`] that says what it is, and the pattern that reads the tables.
pub(crate) fn check_folder(folder: &Path) -> Result<()> {
    let Listed { tables, others, .. } = Listed::of(folder)?;
    let (folders, rest): (Vec<&PathBuf>, Vec<&PathBuf>) = others.iter().partition(|path| path.is_dir());
    let pattern = |depth: usize, table: &Path| {
        let ending = ending_of(&name_of(table)).unwrap_or_default().to_owned();
        format!("'{}'", folder.join("*/".repeat(depth) + "*" + &ending).display())
    };
    if let (Some(table), true) = (tables.first(), folders.is_empty()) {
        let Some(other) = rest.first().filter(|_| rest.iter().all(|path| Kind::of(path) == Kind::Other)) else {
            return Ok(());
        };
        let (count, more) =
            (tables.len(), if rest.len() > 1 { format!(" and {} more", rest.len() - 1) } else { String::new() });
        let found = format!("{}{more} beside {count} table{}", name_of(other), if count > 1 { "s" } else { "" });
        return Err(Error::file(
            folder,
            found,
            format!("a folder of tables alone, or a pattern of their names: {}", pattern(0, table)),
        ));
    }
    let Some((depth, table)) =
        folders.first().filter(|_| tables.is_empty() && rest.is_empty()).and_then(|first| within(first))
    else {
        return Ok(());
    };
    let names: Vec<String> = folders.iter().map(|path| name_of(path)).collect();
    let found = format!("tables in its folders {}", classes::list(&names));
    if names.iter().any(|name| part_of(name).is_some()) {
        let expected = "one table: give the folder of those to learn from, and the test part by itself";
        return Err(Error::file(folder, found, expected).advise(&[Remedy::Option("test")]));
    }
    let pattern = pattern(depth, &table);
    let expected =
        format!("tables in one folder, or a pattern: {pattern} reads them, without what the folders' names say");
    Err(Error::file(folder, found, expected))
}

/// The first table in `folder`, which holds tables alone or folders of them, and how deep it lies.
fn within(folder: &Path) -> Option<(usize, PathBuf)> {
    let mut folder = folder.to_path_buf();
    for depth in 1..=DEPTH {
        let mut entries = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path());
        // Folders of images may be large: the first entry mostly says that they are none of tables.
        let first = entries.find(|path| !is_beside(&name_of(path)))?;
        if !first.is_dir() {
            let is_of_tables = ending_of(&name_of(&first)).is_some() && is_folder_of_tables(&folder);
            return is_of_tables.then_some((depth, first));
        }
        folder = first;
    }
    None
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

    #[test]
    fn documents_and_empty_parts_are_left_out_and_what_stands_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.csv", "b.csv", "README.md", "LICENSE", "_SUCCESS"] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::write(at("c.csv"), "").unwrap();
        let found = TableFiles::of(folder.path()).unwrap();
        assert_eq!(found.files, [at("a.csv"), at("b.csv")]);
        let told = found.told().join("; ");
        assert!(
            told.contains("\"LICENSE\", \"README.md\", \"_SUCCESS\"") && told.contains("empty: \"c.csv\""),
            "{told}"
        );
        std::fs::write(at("notes.txt"), "x").unwrap();
        let error = check_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("found notes.txt beside 3 tables") && error.contains("/*.csv'"), "{error}");

        let parted = tempfile::tempdir().unwrap();
        for (name, file) in [("year=2020/month=1", "a.csv.gz"), ("year=2021/month=1", "a.csv.gz")] {
            std::fs::create_dir_all(parted.path().join(name)).unwrap();
            std::fs::write(parted.path().join(name).join(file), "x").unwrap();
        }
        let error = check_folder(parted.path()).unwrap_err().to_string();
        assert!(error.contains("\"year=2020\", \"year=2021\"") && error.contains("/*/*/*.csv.gz'"), "{error}");
        std::fs::create_dir(parted.path().join("test")).unwrap();
        std::fs::write(parted.path().join("test/a.csv"), "x").unwrap();
        let error = check_folder(parted.path()).unwrap_err();
        assert!(error.to_string().contains("the test part by itself"), "{error}");
    }
}
