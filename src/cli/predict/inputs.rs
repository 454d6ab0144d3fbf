//! The inputs of `predict`: files, folders of images and patterns, and what is on standard input.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::cli::{note, read_so};
use crate::data::images::formats::Kind;
use crate::data::images::{self, LeftOut};
use crate::data::{self, TableFiles};
use crate::error::{Error, Result};
use crate::files;

/// What standard input is called in messages.
const STANDARD_INPUT: &str = "standard input";

/// A file of rows or an image.
pub(super) struct Input {
    /// Its path, or `standard input`, for messages.
    pub(super) path: PathBuf,
    /// What is on standard input or in a pipe, which can be read only once.
    pub(super) content: Option<Vec<u8>>,
    /// Whether it is an image.
    pub(super) image: bool,
}

impl Input {
    /// The input at `path`, or that on standard input where it is `-`.
    pub(super) fn new(path: &Path) -> Result<Self> {
        if data::converted::present(path) {
            return Err(Error::file(
                path,
                "a converted data set",
                "rows as their source has them; eval takes converted ones",
            ));
        }
        if path.is_dir() && data::arrays::present(path, None) {
            return Ok(Self { path: path.to_path_buf(), content: None, image: false });
        }
        if path.as_os_str() != "-" && path.metadata().map_or(true, |found| found.is_file()) {
            let image = is_image(path, Kind::of(path))?;
            return Ok(Self { path: path.to_path_buf(), content: None, image });
        }
        let (path, content) = if path.as_os_str() == "-" {
            if std::io::stdin().is_terminal() {
                note("Reading rows from standard input");
            }
            let mut content = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut content);
            (Path::new(STANDARD_INPUT), read.map(|_| content))
        } else {
            (path, std::fs::read(path))
        };
        let (path, content) = (path.to_path_buf(), content.map_err(Error::io("read", path))?);
        Ok(Self { image: is_image(&path, Kind::of_content(&content))?, path, content: Some(content) })
    }

    /// Whether it holds arrays.
    pub(super) fn is_arrays(&self) -> bool {
        data::arrays::present(&self.path, self.content.as_deref())
    }

    /// What its rows are called by.
    pub(super) fn name(&self) -> String {
        if self.path.as_os_str() == STANDARD_INPUT { "-".into() } else { self.path.display().to_string() }
    }
}

/// Whether a file of this kind is an image, and no table.
///
/// # Errors
/// [`Error::File`] where its format is not read.
fn is_image(path: &Path, kind: Kind) -> Result<bool> {
    match kind {
        Kind::Picture => Ok(true),
        Kind::Other => Ok(false),
        Kind::Unread(format) => Err(format.error(path)),
    }
}

/// The files that `argument` stands for, in the order of their names: itself, the images or tables of a folder, or what matches a
/// pattern that is no path. What is left out is told.
///
/// # Errors
/// [`Error::File`] for a folder without images and a pattern that nothing matches, [`Error::Usage`] for a pattern that is none,
/// [`Error::Io`] for a folder that cannot be read.
pub(super) fn expand(argument: &Path) -> Result<Vec<PathBuf>> {
    if argument.is_dir() {
        return folder(argument);
    }
    match files::matching(argument)? {
        Some(found) => matching(argument, found),
        None => Ok(vec![argument.to_path_buf()]),
    }
}

/// The files in the folder `path`: its images, its tables, itself where it holds arrays, or the images in its folders of classes.
fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let (images, others) = images::sorted_out(path)?;
    if !images.is_empty() {
        tell_left_out(path, &others);
        return Ok(images);
    }
    if data::csv::is_folder_of_tables(path) {
        return tables(path);
    }
    if data::arrays::present(path, None) {
        return Ok(vec![path.to_path_buf()]);
    }
    data::csv::check_folder(path)?;
    let mut notes = Vec::new();
    let Some(images) = images::of_classes(path, &mut notes)? else {
        tell_left_out(path, &others);
        return Err(Error::file(path, "a folder without an image in it", "images, or the path of a CSV file"));
    };
    notes.iter().for_each(|line| note(&read_so(line)));
    Ok(images)
}

/// The tables that `path` stands for; what is left out beside them is told.
fn tables(path: &Path) -> Result<Vec<PathBuf>> {
    let tables = TableFiles::of(path)?;
    tables.told().iter().for_each(|line| note(&format!("{}: {line}", path.display())));
    Ok(tables.files)
}

/// The files among those `found` that match a pattern: the images, if there are any.
fn matching(argument: &Path, found: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if found.is_empty() {
        return Err(Error::file(argument, "no file", "a path, or a pattern that matches files"));
    }
    let (images, others) = images::sort_out(found);
    if images.is_empty() {
        // Tables, or what is told of one by one.
        return tables(argument);
    }
    tell_left_out(argument, &others);
    Ok(images)
}

fn tell_left_out(argument: &Path, left_out: &LeftOut) {
    left_out.told("images").iter().for_each(|line| note(&format!("{}: {line}", argument.display())));
}
