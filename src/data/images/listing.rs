//! What a folder of images holds: its parts, its classes, the images of each, and what is left out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::formats::{Format, Kind, READ};
use crate::data::classes::{self, MAX_CLASSES};
use crate::data::split::PARTS;
use crate::data::{Note, UNDERSTOOD};
use crate::error::{Error, Remedy, Result};

/// The folders around the classes that are entered: links may lead in circles.
const MAX_DEPTH: usize = 16;

/// What a folder of images holds.
pub(super) struct Listing {
    pub(super) classes: Vec<String>,
    /// The images of the training part.
    pub(super) train: Vec<Image>,
    pub(super) test: Option<Vec<Image>>,
    pub(super) validation: Option<Vec<Image>>,
}

/// An image and the number of its class.
pub(super) struct Image {
    pub(super) path: PathBuf,
    pub(super) class: u32,
}

/// What is no image that is read.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    others: Vec<PathBuf>,
    /// In the order of the paths.
    unread: Vec<(Format, PathBuf)>,
}

impl LeftOut {
    /// So many files of each format, and what helps; empty where there are none.
    fn formats(&self) -> String {
        let mut formats: Vec<Format> = self.unread.iter().map(|(format, _)| *format).collect();
        formats.sort_unstable();
        let of = |formats: &[Format]| format!("{} {} ({})", formats.len(), formats[0].name, formats[0].help);
        formats.chunk_by(|a, b| a == b).map(of).collect::<Vec<_>>().join(", ")
    }

    /// What there is to say of it; `such` are the images that are looked for.
    pub(crate) fn told(&self, such: &str) -> Vec<String> {
        let mut told = Vec::new();
        if let Some((_, first)) = self.unread.first() {
            let are = if self.unread.len() == 1 { "file is" } else { "files are" };
            let (count, formats, first) = (self.unread.len(), self.formats(), first.display());
            told.push(format!("{count} {are} left out whose format is not read, such as {first}: {formats}"));
        }
        if let Some(first) = self.others.first() {
            let (count, first) = (self.others.len(), first.display());
            let are = if count == 1 { "file or folder is" } else { "files or folders are" };
            told.push(format!("{count} {are} left out that are no {such}, such as {first}"));
        }
        told
    }

    fn extend(&mut self, other: Self) {
        self.others.extend(other.others);
        self.unread.extend(other.unread);
    }
}

/// Lists the folder `path`.
///
/// # Errors
/// [`Error::Io`], and [`Error::File`] for a folder that holds no classes.
pub(super) fn list(path: &Path, notes: &mut Vec<Note>) -> Result<Listing> {
    let root = &outermost(path, notes)?;
    let mut left_out = LeftOut::default();
    let mut parts: [Option<PathBuf>; 3] = [None, None, None];
    let mut beside = Vec::new();
    for entry in entries(root)? {
        match part_of(&entry).filter(|_| entry.is_dir() && has_folders(&entry)) {
            None => beside.push(entry),
            Some(part) => {
                if let Some(first) = parts[part].replace(entry.clone()) {
                    let found = format!("both {} and {}", name_of(&first), name_of(&entry));
                    return Err(Error::file(root, found, "one folder for each part"));
                }
            }
        }
    }
    let [train, test, validation] = parts;
    let (train, test, validation) = match (train, test, validation) {
        (None, None, None) => (root.clone(), None, None),
        (Some(train), test, validation) => {
            left_out.others.extend(beside);
            (train, test, validation)
        }
        (None, Some(only), None) | (None, None, Some(only)) => {
            left_out.others.extend(beside);
            let text = format!("{} holds the one part {}, which is all there is", root.display(), name_of(&only));
            notes.push(text.into());
            (only, None, None)
        }
        (None, Some(_), Some(_)) => {
            let found = "folders of test and validation images, and none of training images";
            return Err(Error::file(root, found, "a folder train, or the path of one of the two"));
        }
    };
    let classes = class_names(&train, &mut left_out)?;
    if train == *root && classes.iter().all(|class| part_of(Path::new(class)).is_some()) {
        let found = format!("the folders {}, with images in them", classes::list(&classes));
        let expected = format!("folders of classes in them, such as {}/cat and {}/dog", classes[0], classes[0]);
        return Err(Error::file(root, found, expected));
    }
    let for_part = |class: &String| {
        let class = class.to_lowercase();
        PARTS.iter().flat_map(|(_, names)| names.iter()).any(|name| class.starts_with(name))
    };
    if train == *root && classes.iter().all(for_part) {
        refuse_parts(root, &classes)?;
    }
    let mut deeper = Vec::new();
    let train_images = files(&train, &classes, &classes, &mut left_out, &mut deeper)?;
    let mut other = |folder: Option<PathBuf>| {
        let Some(folder) = folder else { return Ok(None) };
        let names = class_names(&folder, &mut left_out)?;
        if let Some(name) = names.iter().find(|name| !classes.contains(name)) {
            let expected = format!("the classes of {}: {}", train.display(), classes::list(&classes));
            return Err(Error::file(&folder, format!("a folder {name:?}"), expected));
        }
        files(&folder, &names, &classes, &mut left_out, &mut deeper).map(Some)
    };
    let (test, validation) = (other(test)?, other(validation)?);
    if let Some(first) = deeper.first() {
        let count = deeper.len();
        notes.push(
            format!(
                "{count} images lie in folders within those of the classes, such as {}: the classes are the folders of {} \
                 itself",
                first.display(),
                train.display()
            )
            .into(),
        );
    }
    notes.extend(left_out.told("images of a class").into_iter().map(Note::from));
    Ok(Listing { classes, train: train_images, test, validation })
}

/// Refuses the folders `names` of `root` whose names begin as those of parts do, where all hold the same folders and no image:
/// these are the classes, and they the parts.
fn refuse_parts(root: &Path, names: &[String]) -> Result<()> {
    let mut inner: Option<Vec<String>> = None;
    for name in names {
        let (images, others) = sorted_out(&root.join(name))?;
        let folders: Vec<String> =
            others.others.iter().filter(|entry| entry.is_dir()).map(|entry| name_of(entry).to_string()).collect();
        if names.len() < 2
            || !images.is_empty()
            || folders.len() < 2
            || inner.as_ref().is_some_and(|inner| *inner != folders)
        {
            return Ok(());
        }
        inner = Some(folders);
    }
    let (parts, classes) = (classes::list(names), classes::list(&inner.unwrap_or_default()));
    let found = format!("the folders {parts}, which all hold the folders {classes}");
    Err(Error::file(root, found, "folders of classes; parts are called train and test: rename them so"))
}

/// The folder `path`, or the one in it where it holds nothing else and that one holds folders alone, as unpacked archives do.
fn outermost(path: &Path, notes: &mut Vec<Note>) -> Result<PathBuf> {
    let mut root = path.to_path_buf();
    for _ in 0..MAX_DEPTH {
        let found = entries(&root)?;
        let mut folders = found.iter().filter(|entry| entry.is_dir());
        let (Some(folder), None) = (folders.next(), folders.next()) else { break };
        let inner = entries(folder)?;
        let holds_images = || found.iter().chain(&inner).any(|entry| !entry.is_dir() && Kind::of(entry) != Kind::Other);
        if part_of(folder).is_some() || !inner.iter().any(|entry| entry.is_dir()) || holds_images() {
            break;
        }
        root = folder.clone();
    }
    if root != path {
        notes.push(format!("{} holds the one folder {}, which is read", path.display(), root.display()).into());
    }
    Ok(root)
}

/// The number of the part, among [`PARTS`], that a folder is named for, in any case.
fn part_of(folder: &Path) -> Option<usize> {
    let name = folder.file_name()?.to_str()?.to_lowercase();
    PARTS.iter().position(|(_, names)| names.contains(&&name[..]))
}

fn name_of(path: &Path) -> std::path::Display<'_> {
    Path::new(path.file_name().unwrap_or(path.as_os_str())).display()
}

/// The entries of `folder` that are not hidden, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("read", folder)(error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(|error| Error::io("read", folder)(error))?;
        let name = entry.file_name();
        // What macOS keeps beside files in archives begins as images do.
        if !name.as_encoded_bytes().starts_with(b".") && name != "__MACOSX" {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

fn has_folders(folder: &Path) -> bool {
    entries(folder).is_ok_and(|entries| entries.iter().any(|entry| entry.is_dir()))
}

/// The names of the folders in `folder`, in the order of classes.
fn class_names(folder: &Path, left_out: &mut LeftOut) -> Result<Vec<String>> {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for entry in entries(folder)? {
        match entry.file_name().and_then(|name| name.to_str()) {
            _ if !entry.is_dir() => files.push(entry),
            Some(name) => names.push(name.to_owned()),
            None => return Err(Error::file(&entry, "a folder whose name is not UTF-8", "the name of a class")),
        }
    }
    if names.is_empty() {
        let images = files.iter().filter(|file| Kind::of(file) != Kind::Other).count();
        if images > 0 {
            let found = format!("{images} images, and no folders of classes");
            let expected = "a folder with the images of each class, such as cat/1.png and dog/1.png";
            return Err(Error::file(folder, found, expected).advise(&[Remedy::Predict]));
        }
        return Err(Error::file(folder, "0 folders in it", UNDERSTOOD));
    }
    if names.len() > MAX_CLASSES {
        let found = format!("{} folders", names.len());
        return Err(Error::file(folder, found, format!("a folder for each class, at most {MAX_CLASSES}")));
    }
    left_out.others.extend(files);
    classes::sort(&mut names);
    Ok(names)
}

/// The images in the folders `names` of `folder`, with their numbers among `classes`. Those in folders within go to `deeper` too.
fn files(
    folder: &Path,
    names: &[String],
    classes: &[String],
    left_out: &mut LeftOut,
    deeper: &mut Vec<PathBuf>,
) -> Result<Vec<Image>> {
    let mut files = Vec::new();
    for class in names {
        let folder = folder.join(class);
        let (mut images, mut others) = (Vec::new(), LeftOut::default());
        walk(&folder, &mut HashSet::new(), &mut images, &mut others)?;
        if images.is_empty() {
            let formats = others.formats();
            let found =
                if formats.is_empty() { "no image in it".into() } else { format!("no image in it but {formats}") };
            return Err(Error::file(&folder, found, format!("the images of a class: {READ}")));
        }
        left_out.extend(others);
        deeper.extend(images.iter().filter(|image| image.parent() != Some(&folder)).cloned());
        let number = classes.iter().position(|name| name == class).unwrap_or(0) as u32;
        files.extend(images.into_iter().map(|path| Image { path, class: number }));
    }
    Ok(files)
}

/// Adds the images in `folder` and in the folders within it, but for those `seen`: links may lead in circles.
fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, images: &mut Vec<PathBuf>, left_out: &mut LeftOut) -> Result<()> {
    if !seen.insert(folder.canonicalize().map_err(Error::io("read", folder))?) {
        return Ok(());
    }
    let (found, mut others) = sorted_out(folder)?;
    images.extend(found);
    let (folders, rest): (Vec<PathBuf>, _) = others.others.into_iter().partition(|entry| entry.is_dir());
    others.others = rest;
    left_out.extend(others);
    folders.iter().try_for_each(|folder| walk(folder, seen, images, left_out))
}

/// The images in the folders of classes in `path`: those of the test part where there are parts. None where it holds no folders.
///
/// # Errors
/// As [`list`].
pub(crate) fn of_classes(path: &Path, notes: &mut Vec<Note>) -> Result<Option<Vec<PathBuf>>> {
    if !has_folders(path) {
        return Ok(None);
    }
    let Listing { train, test, .. } = list(path, notes)?;
    let of = if test.is_some() { "its test part" } else { "its folders of classes" };
    let images: Vec<PathBuf> = test.unwrap_or(train).into_iter().map(|image| image.path).collect();
    notes.push(format!("{}: the {} images of {of} are taken", path.display(), images.len()).into());
    Ok(Some(images))
}

/// All files in the folder `path` and in those within it, as far as they can be listed.
pub(crate) fn paths(path: &Path) -> Vec<PathBuf> {
    let (mut paths, mut others) = (Vec::new(), LeftOut::default());
    // What cannot be listed is told of when it is read.
    let _ = walk(path, &mut HashSet::new(), &mut paths, &mut others);
    paths.extend(others.others.into_iter().chain(others.unread.into_iter().map(|(_, path)| path)));
    paths
}

/// The images in `folder` itself, and what else is there; both in the order of their names, without hidden ones.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub(crate) fn sorted_out(folder: &Path) -> Result<(Vec<PathBuf>, LeftOut)> {
    Ok(sort_out(entries(folder)?))
}

/// The images among `paths`, and the others.
pub(crate) fn sort_out(paths: Vec<PathBuf>) -> (Vec<PathBuf>, LeftOut) {
    let kind = |path: &PathBuf| if path.is_dir() { Kind::Other } else { Kind::of(path) };
    let kinds: Vec<Kind> = paths.par_iter().map(kind).collect();
    let (mut images, mut left_out) = (Vec::new(), LeftOut::default());
    for (path, kind) in paths.into_iter().zip(kinds) {
        match kind {
            Kind::Picture => images.push(path),
            Kind::Unread(format) => left_out.unread.push((format, path)),
            Kind::Other => left_out.others.push(path),
        }
    }
    (images, left_out)
}
