//! Where arrays lie: in an archive, or in files of a folder.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::array::{Array, MAGIC};
use super::names::{Chosen, Meaning, Pair, Role};
use crate::data::{Note, Options, classes, idx};
use crate::error::{Error, Remedy, Result};
use crate::files::folder_of;

/// The kind of a file that holds arrays.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Archive,
    Numpy,
    Idx,
}

/// The bytes of an archive, from any place on.
trait Bytes: Read + Seek {}
impl<T: Read + Seek> Bytes for T {}

type Archive<'a> = ZipArchive<Box<dyn Bytes + 'a>>;

/// Arrays by their names.
pub(super) struct Store<'a> {
    /// The file or folder, for messages.
    pub(super) path: PathBuf,
    /// What is read in place of a file.
    content: Option<&'a [u8]>,
    kind: Kind,
    archive: Option<Archive<'a>>,
    /// The name of each array, and its file where it has one of its own.
    arrays: Vec<(String, PathBuf)>,
    /// The array that was asked for by its own path.
    asked: Option<String>,
}

/// The kind of the file at `path`, by its first bytes.
fn kind(path: &Path) -> Option<Kind> {
    // To open a pipe would wait for somebody to write.
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    kind_of(path, None, File::open(path).ok()?).or(is_named_idx(path).then_some(Kind::Idx))
}

/// The kind of the file at `path`, or of `content`, whose bytes are in `source`.
fn kind_of(path: &Path, content: Option<&[u8]>, mut source: impl Read + Seek) -> Option<Kind> {
    let mut start = Vec::new();
    source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start).ok()?;
    match start[..] {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            crate::data::csv::holds_arrays(BufReader::new(source)).then_some(Kind::Archive)
        }
        _ if start == MAGIC => Some(Kind::Numpy),
        _ => idx::is_idx(path, content).then_some(Kind::Idx),
    }
}

/// Whether a file is called an IDX file, so that it is one or damaged.
fn is_named_idx(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.trim_end_matches(".gz").ends_with("-ubyte") && name.contains("idx")
}

/// The files of NumPy or IDX in `folder` whose names begin with `prefix`, in the order of their names. Of a plain file and its
/// gzipped twin the plain one counts.
fn listed(folder: &Path, prefix: &str) -> Vec<(Kind, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let wanted = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        path.is_file() && name.is_some_and(|name| name.starts_with(prefix) && !name.starts_with('.'))
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(wanted).collect();
    paths.sort();
    let twin = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "gz") && paths.contains(&path.with_extension(""))
    };
    let files = paths.iter().filter(|path| !twin(path));
    files.filter_map(|path| Some((kind(path).filter(|kind| *kind != Kind::Archive)?, path.clone()))).collect()
}

/// The folder and the beginning of names that `path` stands for where it does not exist.
fn prefix(path: &Path) -> Option<(&Path, &str)> {
    let name = path.file_name()?.to_str().filter(|_| !path.exists())?;
    Some((folder_of(path), name))
}

/// The files at `path`: itself, those of the folder, or those whose names begin so.
fn found(path: &Path) -> Vec<(Kind, PathBuf)> {
    if path.is_dir() {
        return listed(path, "");
    }
    match prefix(path) {
        Some((folder, name)) => listed(folder, name),
        None => kind(path).map(|kind| (kind, path.to_path_buf())).into_iter().collect(),
    }
}

pub(super) fn present(path: &Path, content: Option<&[u8]>) -> bool {
    match content {
        Some(bytes) => kind_of(path, content, Cursor::new(bytes)).is_some(),
        None => !found(path).is_empty(),
    }
}

pub(super) fn files(path: &Path, named: &[String]) -> Vec<PathBuf> {
    match Store::open(path, None) {
        Ok(mut store) => {
            // Those that are named may be elsewhere; what is wrong with the names is told where they are read.
            let _ = store.given(named);
            store.arrays.into_iter().map(|(_, path)| path).collect()
        }
        Err(_) => found(path).into_iter().map(|(_, path)| path).collect(),
    }
}

/// The file of the array `name` in the archive at `path`.
fn member<'m, 'a>(path: &Path, archive: &'m mut Archive<'a>, name: &str) -> Result<impl Read + use<'m, 'a>> {
    let damaged = |error| Error::file(path, format!("a damaged {name} ({error})"), "a whole NumPy array");
    archive.by_name(&format!("{name}.npy")).map_err(damaged)
}

impl<'a> Store<'a> {
    /// Opens what is at `path`, or `content`, which messages call `path`. Beside a file of one array those of its folder are seen
    /// too.
    ///
    /// # Errors
    /// [`Error::File`] for a damaged archive, and for a folder of arrays of several formats.
    pub(super) fn open(path: &Path, content: Option<&'a [u8]>) -> Result<Self> {
        let files = match content {
            Some(bytes) => {
                kind_of(path, content, Cursor::new(bytes)).map(|kind| (kind, "x".into())).into_iter().collect()
            }
            None => found(path),
        };
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let single = content.is_none() && path.is_file();
        let Some(kind) = files.first().map(|(kind, _)| *kind) else {
            return Err(Error::file(path, "no array", crate::data::UNDERSTOOD));
        };
        if kind == Kind::Archive {
            let bytes: Box<dyn Bytes + 'a> = match content {
                Some(content) => Box::new(Cursor::new(content)),
                None => Box::new(BufReader::new(File::open(path).map_err(Error::io("read", path))?)),
            };
            let damaged = |error| Error::file(path, format!("a damaged zip archive ({error})"), "a NumPy .npz archive");
            let archive = ZipArchive::new(bytes).map_err(damaged)?;
            let names = archive.file_names().flatten();
            let names = names.filter_map(|name| Some((name.strip_suffix(".npy")?.to_owned(), path.to_path_buf())));
            let arrays = names.collect();
            return Ok(Self { path: path.to_path_buf(), content, kind, archive: Some(archive), arrays, asked: None });
        }
        let files = if single { listed(folder_of(path), "") } else { files };
        let (files, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(other, _)| *other == kind);
        if let Some((_, other)) = others.first().filter(|_| !single) {
            let found = format!("files of NumPy and IDX files, such as {} and {}", name(&files[0].1), name(other));
            return Err(Error::file(path, found, "one of the two kinds"));
        }
        let ending = if kind == Kind::Numpy { ".npy" } else { ".gz" };
        let stem = |path: &Path| name(path).trim_end_matches(ending).to_owned();
        let arrays = files.into_iter().map(|(_, path)| (stem(&path), path)).collect();
        let asked = single.then(|| stem(path));
        Ok(Self { path: path.to_path_buf(), content, kind, archive: None, arrays, asked })
    }

    pub(super) fn is_idx(&self) -> bool {
        self.kind == Kind::Idx
    }

    /// The array called `name`.
    ///
    /// # Errors
    /// [`Error::File`] where it is malformed.
    pub(super) fn array(&mut self, name: &str) -> Result<Array> {
        let file = self.arrays.iter().find(|(other, _)| other == name).map(|(_, file)| file.clone());
        let file = file.ok_or_else(|| self.unknown(name))?;
        match (&mut self.archive, self.kind) {
            (Some(archive), _) => Array::read(&self.path, name, member(&self.path, archive, name)?),
            (None, Kind::Idx) => idx::array(self.content.map_or(&*file, |_| &self.path), self.content),
            (None, _) => match self.content {
                Some(content) => Array::read(&self.path, name, content),
                None => {
                    let source = File::open(&file).map_err(Error::io("read", &file))?;
                    Array::read(&file, name, BufReader::new(source))
                }
            },
        }
    }

    /// The array called `name`, as targets. QMNIST's labels have eight whole numbers each, of which the first is the class.
    ///
    /// # Errors
    /// Those of [`Store::array`].
    pub(super) fn targets(&mut self, name: &str, notes: &mut Vec<Note>) -> Result<Array> {
        let array = self.array(name)?;
        match (&array.shape[..], array.element.size) {
            (&[rows, 8], size @ 4) if self.is_idx() && !array.is_float() => {
                notes.push(format!("the first of the 8 columns of {name} is the class, as in QMNIST's files").into());
                let row = 8 * size;
                let bytes = array.bytes.chunks_exact(row).flat_map(|row| &row[..size]).copied().collect();
                Ok(Array { shape: vec![rows], bytes, ..array })
            }
            _ => Ok(array),
        }
    }

    /// The shape of the array called `name`.
    fn shape(&mut self, name: &str) -> Result<Vec<usize>> {
        match (&mut self.archive, self.arrays.iter().find(|(other, _)| other == name), self.content) {
            (Some(archive), ..) => Array::shape_of(&self.path, name, member(&self.path, archive, name)?),
            (None, Some((_, file)), None) if self.kind == Kind::Numpy => {
                let source = File::open(file).map_err(Error::io("read", file))?;
                Array::shape_of(file, name, BufReader::new(source))
            }
            _ => Ok(self.array(name)?.shape),
        }
    }

    /// The shapes of the arrays of these names, where they are read without the arrays: those of NumPy.
    ///
    /// # Errors
    /// Those of [`Store::array`].
    pub(super) fn headers(&mut self, [one, other]: [&str; 2]) -> Result<Option<[Vec<usize>; 2]>> {
        if self.is_idx() {
            return Ok(None);
        }
        Ok(Some([self.shape(one)?, self.shape(other)?]))
    }

    /// The one array that inputs are, where no names are needed to say it: the one that was asked for by its path, or a single
    /// one.
    ///
    /// # Errors
    /// [`Error::File`] where the one that was asked for are targets.
    pub(super) fn single(&self) -> Result<Option<&String>> {
        let single = match &self.arrays[..] {
            [(one, _)] => Some(one),
            _ => None,
        };
        let Some(asked) = self.asked.as_ref().or(single) else { return Ok(None) };
        if Meaning::of(asked).role != Some(Role::Targets) {
            return Ok(Some(asked));
        }
        Err(Error::file(&self.path, format!("the targets {asked}"), "inputs to predict them from"))
    }

    /// The names of all arrays, for messages.
    pub(super) fn listed(&self) -> String {
        let names: Vec<String> = self.arrays.iter().map(|(name, _)| name.clone()).collect();
        classes::list(&names)
    }

    fn unknown(&self, name: &str) -> Error {
        Error::file(&self.path, format!("no array {name} among {}", self.listed()), "the name of one")
    }

    /// The arrays that make up the data set: those that `options` name, else those whose names say so.
    ///
    /// # Errors
    /// [`Error::File`] where names do not tell, [`Error::Usage`] for options that name no arrays.
    pub(super) fn choose(&mut self, options: &Options, for_model: bool, notes: &mut Vec<Note>) -> Result<Chosen> {
        if !options.arrays.is_empty() {
            return self.given(&options.arrays);
        }
        let chosen = match self.numbered()? {
            Some(chosen) => {
                let parts = ["to train on", "to test", "to validate"].into_iter().zip(chosen.parts());
                let parts: Vec<String> = parts
                    .filter(|(_, pair)| !pair.is_empty())
                    .map(|(part, pair)| format!("{} {part}", pair.names().cloned().collect::<Vec<_>>().join(" and ")))
                    .collect();
                let text = format!("arrays are taken by their shapes as x and y: {}", parts.join(", "));
                notes.push(Note::new(text, "arrays"));
                chosen
            }
            None => {
                let mut meanings = self.meanings()?;
                // Only what belongs to the array that was asked for.
                if let Some(asked) = &self.asked {
                    let group =
                        meanings.iter().find(|(name, _)| name == asked).map(|(_, meaning)| meaning.group.clone());
                    meanings.retain(|(_, meaning)| Some(&meaning.group) == group.as_ref());
                }
                Chosen::by_names(&meanings).map_err(|(found, expected)| {
                    let prefix =
                        if self.is_idx() { ": give the beginning of its files' names as the path" } else { "" };
                    Error::file(&self.path, found, expected + prefix).advise(&[Remedy::Option("arrays")])
                })?
            }
        };
        // A model meets the part that was asked for.
        let asked = self.asked.as_ref().filter(|_| for_model);
        let of_asked = |asked| chosen.parts().into_iter().find(|pair| pair.names().any(|name| name == asked));
        let chosen = match asked.and_then(of_asked) {
            Some(pair) => Chosen { train: pair.clone(), ..Chosen::default() },
            None => chosen,
        };
        let used: Vec<&String> = chosen.names().collect();
        if let Some(asked) = self.asked.as_ref().filter(|asked| !used.contains(asked)) {
            let expected = "a name that says what it is, such as x_train.npy beside y_train.npy";
            return Err(
                Error::file(&self.path, format!("the array {asked}"), expected).advise(&[Remedy::Option("arrays")])
            );
        }
        let (beside, aside): (Vec<&String>, Vec<&String>) =
            self.arrays.iter().map(|(name, _)| name).partition(|name| used.contains(name));
        let (what, names) = match &self.asked {
            Some(asked) => ("beside it in its folder", beside.into_iter().filter(|name| *name != asked).collect()),
            None => ("arrays left aside", aside),
        };
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().cloned().collect();
            notes.push(Note::new(format!("{what}: {}", classes::list(&names)), "arrays"));
        }
        Ok(chosen)
    }

    /// Each array with the meaning of its name. What names of IDX files do not say, their dimensions do.
    fn meanings(&self) -> Result<Vec<(String, Meaning)>> {
        let mut meanings = Vec::new();
        for (name, file) in &self.arrays {
            let mut meaning = Meaning::of(name);
            if self.is_idx() {
                let of_format =
                    |word: &String| matches!(&word[..], "ubyte" | "byte" | "int" | "float") || word.starts_with("idx");
                meaning.group.retain(|word| !of_format(word));
                if meaning.role.is_none() {
                    let several = idx::shape(file, self.content)?.len() > 1;
                    meaning.role = Some(if several { Role::Inputs } else { Role::Targets });
                }
            }
            meanings.push((name.clone(), meaning));
        }
        Ok(meanings)
    }

    /// The arrays of an archive that numpy.savez wrote without names, `arr_0` and so on, by their shapes: those of one axis are
    /// targets, in the order of the inputs. None where there are names.
    fn numbered(&mut self) -> Result<Option<Chosen>> {
        let count = self.arrays.len();
        let names: Vec<String> = (0..count).map(|number| format!("arr_{number}")).collect();
        let known = |name: &String| self.arrays.iter().any(|(other, _)| other == name);
        if !(2..=6).contains(&count) || count % 2 == 1 || !names.iter().all(known) {
            return Ok(None);
        }
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for name in names {
            match self.shape(&name)?[..] {
                [_] | [_, 1] => targets.push(name),
                _ => inputs.push(name),
            }
        }
        // Of two, the second one may have a column per class.
        if (inputs.len(), targets.len()) == (2, 0) {
            targets.extend(inputs.pop());
        }
        if inputs.len() != targets.len() {
            return Ok(None);
        }
        let mut pairs = inputs.into_iter().zip(targets);
        let mut next = || pairs.next().map_or_else(Pair::default, |(x, y)| Pair { inputs: Some(x), targets: Some(y) });
        let (train, second, third) = (next(), next(), next());
        let (validation, test) = if third == Pair::default() { (third, second) } else { (second, third) };
        Ok(Some(Chosen { train, test, validation }))
    }

    /// The arrays that the user named: `X=images`, `y_test=labels` and so on. A file of NumPy's may be given by its path.
    fn given(&mut self, given: &[String]) -> Result<Chosen> {
        let wrong = |text: &str| {
            let how = "give what each array is, as in X=images,y=labels,X_test=more,y_test=others";
            Error::Usage(format!("{text:?} names no array: {how}")).advise(&[Remedy::Option("arrays")])
        };
        let mut meanings = Vec::new();
        for text in given {
            let (key, name) = text.split_once('=').ok_or_else(|| wrong(text))?;
            let meaning = Meaning::of(key);
            if meaning.role.is_none() || !meaning.group.is_empty() {
                return Err(wrong(text));
            }
            let name = name.trim();
            let stem = name.trim_end_matches(".npy");
            let beside = folder_of(&self.path).join(name);
            let file = if beside.exists() { beside } else { PathBuf::from(name) };
            let known =
                self.arrays.iter().map(|(other, _)| other).find(|other| *other == name || *other == stem).cloned();
            let name = match known {
                Some(name) => name,
                None if self.kind == Kind::Numpy && kind(&file) == Some(Kind::Numpy) => {
                    self.arrays.push((name.to_owned(), file));
                    name.to_owned()
                }
                None => return Err(self.unknown(name)),
            };
            meanings.push((name, meaning));
        }
        // The array that was asked for is the inputs, where none are named.
        if let Some(asked) =
            self.asked.clone().filter(|_| !meanings.iter().any(|(_, meaning)| meaning.role == Some(Role::Inputs)))
        {
            meanings.push((asked, Meaning { group: Vec::new(), part: None, role: Some(Role::Inputs) }));
        }
        Chosen::by_names(&meanings).map_err(|(found, expected)| Error::file(&self.path, found, expected))
    }
}
