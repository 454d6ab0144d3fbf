//! Data sets: the types that hold them, and the sources they are read from.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::Split;
use crate::error::{Error, Remedy, Result};
use crate::{files, path_text};

/// A data set: parts of the same width and targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name on the command line and in logs.
    pub name: String,
    /// The rows to train on.
    pub train: Arc<Samples>,
    /// The rows that are only evaluated, if there are any.
    pub test: Option<Arc<Samples>>,
    /// The rows that are evaluated to choose options by, if wanted.
    pub validation: Option<Arc<Samples>>,
    /// The names of the classes; a label is an index into them. Empty where targets are numbers.
    pub classes: Vec<String>,
    /// The standardisation of targets that are numbers; none where targets are classes.
    pub target_scale: Option<TargetScale>,
    /// The columns of the files where they are tables.
    pub columns: Option<Columns>,
    /// What these columns become.
    pub schema: Option<Schema>,
    /// The scaling of the features; none where they are bytes, taken as `value / 255`.
    pub scaling: Option<Scaling>,
    /// What the values stood for where they were arrays or images, before they were brought to 0 to 255 if they are pixels.
    pub range: Option<Range>,
    /// The rows that the parts were made of.
    pub origin: Origin,
}

pub mod arrays;
pub mod catalogue;
pub mod classes;
pub mod converted;
pub mod csv;
pub mod digits;
pub mod fetch;
pub mod folds;
pub mod framing;
pub mod idx;
pub mod images;
mod known;
mod note;
mod samples;
pub mod scaling;
pub mod schema;
pub mod split;
pub mod targets;
mod truth;
mod unpacked;

pub use arrays::Range;
pub use csv::{Columns, Decimal, Delimiter, Header, Table, TableFiles, table_files};
pub use framing::{Form, Framing};
pub use known::Known;
pub use note::Note;
pub use samples::{COLOURS, Inputs, Samples, View, channels};
pub use scaling::{Scale, Scaling};
pub use schema::{Kind, Missing, Schema};
pub use split::{Origin, Part, Raw};
pub use targets::{Expected, TargetScale, Targets, Task};

/// The kinds of data that a path may lead to, for messages.
pub const UNDERSTOOD: &str = "a table (CSV, plain or packed by gzip, zstd or zip; Parquet; Arrow), a NumPy archive (.npz) or \
                              file (.npy), IDX files or a folder of them, a folder with a folder of images for each class, or a \
                              converted data set";

/// Options for reading a data set. The folder and the seed are not saved with a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The folder in which named data sets are looked for.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
    /// The label column of a table: its name, its number from 1 (or from -1, counting from the last), or `last`.
    pub label: Option<String>,
    /// The same column by another name; `label` is preferred.
    pub target: Option<String>,
    /// The kind of targets. By default it is guessed from them.
    pub task: Option<Task>,
    /// Whether a CSV file has a header.
    pub header: Header,
    /// What stands between the cells of a CSV file.
    pub delimiter: Delimiter,
    /// The decimal mark of a CSV file.
    pub decimal: Decimal,
    /// Lines of a CSV file above the table. By default those with fewer cells than the rows, and comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_lines: Option<usize>,
    /// What is done about missing cells of a table.
    pub missing: Missing,
    /// Cells of a table that stand for a missing value, beside the usual ones.
    pub missing_values: Vec<String>,
    /// Columns of a table that are left out: names, or numbers from 1.
    pub ignore: Vec<String>,
    /// Columns of a table that are taken as categories, whatever they look like.
    pub categories: Vec<String>,
    /// The column of a table that says how much each row weighs in training: its name or its number. It is no feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// The column of a table that says which rows belong together, and so into one fold of cross-validation. It is no feature.
    #[serde(skip)]
    pub groups: Option<String>,
    /// The most categories of a column of a table; [`csv::MAX_CATEGORIES`] where it is not given.
    pub max_categories: Option<usize>,
    /// Whether all columns of a table are taken as numbers, as older models do.
    #[serde(skip)]
    pub plain: bool,
    /// The table of the test part.
    #[serde(with = "path_text")]
    pub test: Option<PathBuf>,
    /// The share of the rows to draw as the test part, between 0 and 1; [`split::TEST_SHARE`] where there would be no test
    /// part otherwise.
    pub test_split: Option<f64>,
    /// The share of the training part to draw as the validation part, between 0 and 1.
    pub validation_split: Option<f64>,
    /// The same of a table that has [`ENOUGH_TO_VALIDATE`] rows, where `validation_split` says nothing.
    #[serde(skip)]
    pub table_validation: Option<f64>,
    /// The kind of scaling of the features. By default bytes are divided by 255, tables of no more features than rows
    /// scaled robustly, and all others standardised.
    pub scale: Option<Scale>,
    /// Which arrays are what, as in `X=images` and `y_test=labels`. By default their names say it.
    pub arrays: Vec<String>,
    /// Whether images in arrays and IDX files lie on their side. By default those of EMNIST's files do.
    pub transpose: Option<bool>,
    /// (height, width) that image files are resized to, and of images in arrays whose shapes do not say it. By default all must
    /// have the same.
    pub image_size: Option<(usize, usize)>,
    /// How images in folders become rows. By default they are resized, or as a model takes them.
    pub framing: Option<Framing>,
    /// Whether images in folders keep their colours: [`COLOURS`] values per pixel.
    pub colour: bool,
    /// Whether images in folders that cannot be used are left out. Otherwise they are an error.
    pub skip_broken: bool,
    /// Seed of the draws of rows.
    #[serde(skip)]
    pub seed: u64,
}

impl Dataset {
    /// The kind of the targets.
    pub fn task(&self) -> Task {
        self.train.task()
    }

    /// The parts that there are, in the order training, test, validation.
    pub fn parts(&self) -> impl Iterator<Item = (Split, &Arc<Samples>)> {
        let parts = [
            (Split::Train, Some(&self.train)),
            (Split::Test, self.test.as_ref()),
            (Split::Validation, self.validation.as_ref()),
        ];
        parts.into_iter().filter_map(|(split, part)| Some((split, part?)))
    }

    /// (height, width) in pixels where rows are images.
    pub fn image(&self) -> Option<(usize, usize)> {
        self.train.image
    }

    /// The features that are numbers, and not categories, booleans, pixels or signs of missing cells: all features where the
    /// columns of no table say it.
    pub fn numbers(&self) -> Vec<u32> {
        match (&self.schema, &self.train.inputs) {
            (Some(schema), _) => (0..).zip(schema.binary()).filter(|(_, binary)| !binary).map(|(at, _)| at).collect(),
            (None, Inputs::F32(_)) if self.image().is_none() => (0..self.train.width as u32).collect(),
            (None, _) => Vec::new(),
        }
    }

    /// The number of outputs of a network for these targets: the number of classes, or of numbers per row.
    pub fn outputs(&self) -> usize {
        self.target_scale.as_ref().map_or(self.classes.len(), |scale| scale.names.len())
    }
}

/// Names for classes that have only numbers.
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// The numbers of training and test images of `digits`. The test images follow the training images.
const DIGITS: (usize, usize) = (60_000, 10_000);
/// The seed of `digits` in the generator.
const DIGITS_SEED: u64 = 0;

/// The embedded data set: 60,000 training and 10,000 test images of handwritten-like digits, 28 x 28. They are drawn anew
/// each time, and are always the same.
///
/// # Errors
/// None in practice, as the generator's output fits.
pub fn digits() -> Result<Dataset> {
    let part = |first: usize, count| {
        let (images, labels) = digits::generate(DIGITS_SEED, first as u64, count);
        let samples = Samples::new(Inputs::U8(images), 784, labels.into_iter().map(u32::from).collect())?;
        samples.with_image((28, 28)).map(Arc::new)
    };
    let (train, test) = (part(0, DIGITS.0)?, Some(part(DIGITS.0, DIGITS.1)?));
    Ok(Dataset {
        name: "digits".into(),
        train,
        test,
        validation: None,
        classes: numbered(10),
        target_scale: None,
        columns: None,
        schema: None,
        scaling: None,
        range: Some(Range::BYTES),
        origin: Origin::default(),
    })
}

/// Loads the data set `source`: `auto`, `digits`, one of [`catalogue::SETS`] (from its folder in `options.folder`), or a
/// path to one of the kinds that [`UNDERSTOOD`] lists. Also returns notes for the user, such as the set that `auto` took, or
/// the rows that were drawn.
///
/// # Errors
/// [`Error::Data`] for a source that does not exist, [`Error::File`] for a malformed file, [`Error::Usage`] for options that
/// do not go with the source.
pub fn load(source: &str, options: &Options) -> Result<(Dataset, Vec<Note>)> {
    let mut notes = Vec::new();
    let set = match read(source, options, None, &mut notes)? {
        Found::Rows(raw) => raw.prepare(options, &mut notes)?,
        Found::Table(table) => {
            let enough = table.rows() >= ENOUGH_TO_VALIDATE;
            table.prepare(&options.with_validation(options.table_validation.filter(|_| enough)), &mut notes)?
        }
        Found::Converted(set) => {
            converted::check(&set, options)?;
            *set
        }
    };
    if let (Some(_), Some(test)) = (&options.test, &set.test) {
        let (known, all) = (test.rows_in(&set.train), test.len());
        if 2 * known > all {
            let known = if known == all { format!("all {all}") } else { format!("{known} of the {all}") };
            notes.push(
                format!("{known} test rows are training rows, too: the test figures say little about new rows").into(),
            );
        }
    }
    Ok((set, notes))
}

/// The table `source` before it is split, and notes for the user.
///
/// # Errors
/// Those of [`load`], and [`Error::Data`] where `source` is no table.
pub fn table(source: &str, options: &Options) -> Result<(Table, Vec<Note>)> {
    let mut notes = Vec::new();
    match read(source, options, None, &mut notes)? {
        Found::Table(table) => Ok((*table, notes)),
        Found::Rows(raw) => Err(Error::Data(format!("{}: this is no table with columns", raw.name))),
        Found::Converted(set) => {
            Err(Error::Data(format!("{}: its columns are encoded already: give what it was converted from", set.name)))
        }
    }
}

/// What a source holds.
enum Found {
    /// Rows of features.
    Rows(Box<Raw>),
    /// Rows of which it is not decided yet what their columns become.
    Table(Box<Table>),
    /// Parts whose rows are encoded and scaled.
    Converted(Box<Dataset>),
}

/// Loads the rows of `source` on which a model is evaluated, prepared for that model. Where `source` has no test part and
/// `options` draw none, all rows are both its training and its test part.
///
/// # Errors
/// Those of [`load`], and [`Error::Data`] where the rows do not fit the model.
pub fn load_for(source: &str, options: &Options, known: &Known<'_>, part: Part) -> Result<(Samples, Vec<Note>)> {
    let mut notes = Vec::new();
    let raw = match read(source, options, Some(known), &mut notes)? {
        Found::Rows(raw) => *raw,
        Found::Table(table) => {
            let mut raw = table.plain()?;
            let inputs = std::mem::replace(&mut raw.train.inputs, Inputs::F32(Vec::new()));
            raw.train.inputs = known.pixels(Path::new(source), inputs, &mut notes)?;
            raw
        }
        Found::Converted(set) if set.scaling.is_some() => {
            converted::check(&set, options)?;
            return Ok((converted::rows_for(*set, known, part, &mut notes)?, notes));
        }
        Found::Converted(set) => (*set).into(),
    };
    let samples = raw.prepare_for(options, known, part, &mut notes)?;
    Ok((samples, notes))
}

impl Found {
    /// Rows of features.
    fn of(rows: impl Into<Raw>) -> Self {
        Self::Rows(Box::new(rows.into()))
    }
}

/// The files that [`load`] reads of `source`, as far as they are there; that of the test part is left out.
pub fn files(source: &str, options: &Options) -> Vec<PathBuf> {
    let path = Path::new(source);
    if let Some(set) = catalogue::set(if source == "auto" { "mnist" } else { source }) {
        return options.folder.as_ref().map(|folder| set.found(&folder.join(set.folder))).unwrap_or_default();
    }
    match () {
        () if source == "digits" || source == "-" => Vec::new(),
        () if arrays::present(path, None) => arrays::files(path, &options.arrays),
        () if !path.is_dir() || csv::is_folder_of_tables(path) => {
            table_files(path).unwrap_or_else(|_| vec![path.to_path_buf()])
        }
        () => images::paths(path),
    }
}

/// Reads `source` without preparing it. With `known`, the columns are read as a model knows them.
fn read(source: &str, options: &Options, known: Option<&Known<'_>>, notes: &mut Vec<Note>) -> Result<Found> {
    let folder = options.folder.as_deref();
    let path = Path::new(source);
    if let (Some(known), Some(given)) = (known, options.task)
        && known.task != given
    {
        let (name, model, predicted) = (given.name(), known.model, known.task.name());
        let error = Error::Usage(format!("the model {model} predicts {predicted}, not {name}"));
        return Err(error.advise(&[Remedy::Without("task")]));
    }
    match source {
        "auto" => {
            options.refuse_for("the data set auto", &[])?;
            match folder.map(|folder| folder.join("mnist")) {
                Some(mnist) if catalogue::set("mnist").is_some_and(|set| set.present(&mnist)) => {
                    notes.push(format!("MNIST from {}", mnist.display()).into());
                    Ok(Found::of(idx::load(&mnist, "mnist")?))
                }
                looked => {
                    let why = match looked {
                        Some(mnist) => format!("there is no MNIST in {}", mnist.display()),
                        None => "no data folder is given".into(),
                    };
                    notes.push(format!("the embedded data set digits: {why}").into());
                    Ok(Found::of(digits()?))
                }
            }
        }
        "digits" => {
            options.refuse_for("the data set digits", &[])?;
            Ok(Found::of(digits()?))
        }
        _ if let Some(set) = catalogue::set(source) => {
            let own = if set.is_like_mnist() { "" } else { ARRAYS };
            options.refuse_for(&format!("the data set {source}"), &[own])?;
            let Some(folder) = folder else {
                let message =
                    format!("{source} needs a data folder, with its four IDX files in a folder {}", set.folder);
                return Err(Error::Data(message).advise(&[Remedy::Option("folder")]));
            };
            let folder = folder.join(set.folder);
            if set.is_like_mnist() {
                return Ok(Found::of(idx::load(&folder, source)?));
            }
            set.files.iter().try_for_each(|file| idx::find(&folder, file.name).map(drop))?;
            // Files of several sets may lie in one folder: those of this one begin with its name.
            let raw = arrays::read(&folder.join(source), None, options, known, options.task_for(known), notes)?;
            Ok(Found::of(Raw { name: source.into(), ..raw }))
        }
        _ if converted::present(path) => {
            // What a model predicts may be said of it, too.
            options.refuse_for("a converted data set", if known.is_some() { &["task"] } else { &[] })?;
            Ok(Found::Converted(Box::new(converted::read(path, notes)?)))
        }
        _ if arrays::present(path, None) => read_arrays(path, None, options, known, notes),
        _ if csv::is_folder_of_tables(path) => read_table(path, None, options, known, notes),
        _ if path.is_dir() => {
            csv::check_folder(path)?;
            options.refuse_for("a folder of images", &IMAGES)?;
            images::read(path, options, known, notes).map(Found::of)
        }
        "-" => {
            let mut content = Vec::new();
            let path = Path::new("standard input");
            std::io::stdin().lock().read_to_end(&mut content).map_err(Error::io("read", path))?;
            match arrays::present(path, Some(&content)) {
                true => read_arrays(path, Some(&content), options, known, notes),
                false => read_table(path, Some(&content), options, known, notes),
            }
        }
        _ if files::matching(path)?.is_some() => read_table(path, None, options, known, notes),
        _ if !path.exists() && (path.components().count() > 1 || path.extension().is_some()) => {
            Err(Error::Data(without(path)))
        }
        _ if !path.exists() => Err(Error::Data(format!(
            "there is no data set {source:?}: give auto, digits, {}, or the path of {UNDERSTOOD}",
            catalogue::names()
        ))),
        _ if !path.is_file() => Err(Error::file(path, "something that is neither a file nor a folder", UNDERSTOOD)),
        _ => read_table(path, None, options, known, notes),
    }
}

/// Says that there is nothing at `path`, and what there is with a similar name.
fn without(path: &Path) -> String {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = folder.read_dir() else {
        return format!("there is no file {shown}: there is no folder {} that can be read", folder.display());
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let scored = names.map(|other| (strsim::jaro(&other, &name), other)).filter(|(score, _)| *score > 0.85);
    let similar = scored.max_by(|one, other| one.0.total_cmp(&other.0).then_with(|| other.1.cmp(&one.1)));
    match similar {
        Some((_, similar)) => format!("there is no file or folder {shown}: a similar name there is {similar}"),
        None => format!("there is no file or folder {shown}"),
    }
}

/// Reads the arrays at `path`, or in `content`, which messages call `path`.
fn read_arrays(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Result<Found> {
    options.refuse_for("arrays", &["task", "image_size", ARRAYS])?;
    arrays::read(path, content, options, known, options.task_for(known), notes).map(Found::of)
}

/// Reads the table at `path`, or `content`, which messages call `path`.
fn read_table(
    path: &Path,
    content: Option<&[u8]>,
    options: &Options,
    known: Option<&Known<'_>>,
    notes: &mut Vec<Note>,
) -> Result<Found> {
    let own = ["label", "target", "task", "header", "test", TABLES];
    options.refuse_for("a table", &own)?;
    match known.and_then(|known| Some((known, known.columns?))) {
        Some((known, columns)) => csv::read_for(path, content, options, known, columns, notes).map(Found::of),
        None => {
            let task = options.task_for(known);
            let options = Options { task, plain: options.plain || known.is_some(), ..options.clone() };
            Ok(Found::Table(Box::new(csv::read(path, content, &options, notes)?)))
        }
    }
}

/// The options of tables' columns and cells, together.
const TABLES: &str = "options of columns and cells";
/// The options of arrays, together.
const ARRAYS: &str = "options of arrays";

/// The options of folders of images.
const IMAGES: [&str; 4] = ["image_size", "framing", "colour", "skip_broken"];

/// The rows of a table from which on a part of them can be spared for validation.
pub const ENOUGH_TO_VALIDATE: usize = 500;

impl Options {
    /// The same, with a validation part of the share `default` where they say nothing, and none of the share 0.
    fn with_validation(&self, default: Option<f64>) -> Self {
        let validation_split = self.validation_split.or(default).filter(|share| *share > 0.0);
        Self { validation_split, ..self.clone() }
    }

    /// The kind of targets: that of the model that is known, else the one that is given.
    fn task_for(&self, known: Option<&Known<'_>>) -> Option<Task> {
        known.map(|known| known.task).or(self.task)
    }

    /// The column of the labels or targets that the user gave.
    pub fn column(&self) -> Option<&str> {
        self.label.as_deref().or(self.target.as_deref())
    }

    /// These options, completed by those of `kept` where they say nothing.
    pub fn or(self, kept: &Self) -> Self {
        let kept = kept.clone();
        let own_column = self.label.is_some() || self.target.is_some();
        let (label, target) = if own_column { (self.label, self.target) } else { (kept.label, kept.target) };
        Self {
            label,
            target,
            task: self.task.or(kept.task),
            header: if self.header == Header::Auto { kept.header } else { self.header },
            delimiter: if self.delimiter == Delimiter::Auto { kept.delimiter } else { self.delimiter },
            decimal: if self.decimal == Decimal::Auto { kept.decimal } else { self.decimal },
            skip_lines: self.skip_lines.or(kept.skip_lines),
            missing: if self.missing == Missing::Fill { kept.missing } else { self.missing },
            missing_values: if self.missing_values.is_empty() { kept.missing_values } else { self.missing_values },
            ignore: if self.ignore.is_empty() { kept.ignore } else { self.ignore },
            categories: if self.categories.is_empty() { kept.categories } else { self.categories },
            weight: self.weight.or(kept.weight),
            groups: self.groups.or(kept.groups),
            max_categories: self.max_categories.or(kept.max_categories),
            test: self.test.or(if self.test_split.is_some() { None } else { kept.test }),
            test_split: self.test_split.or(kept.test_split),
            validation_split: self.validation_split.or(kept.validation_split),
            arrays: if self.arrays.is_empty() { kept.arrays } else { self.arrays },
            transpose: self.transpose.or(kept.transpose),
            scale: self.scale.or(kept.scale),
            image_size: self.image_size.or(kept.image_size),
            framing: self.framing.or(kept.framing),
            colour: self.colour || kept.colour,
            skip_broken: self.skip_broken || kept.skip_broken,
            ..self
        }
    }

    /// Whether anything is said of the columns or cells of tables.
    fn is_of_tables(&self) -> bool {
        let lists = [&self.missing_values, &self.ignore, &self.categories];
        self.delimiter != Delimiter::Auto
            || self.decimal != Decimal::Auto
            || self.skip_lines.is_some()
            || self.missing != Missing::Fill
            || self.max_categories.is_some()
            || self.weight.is_some()
            || lists.iter().any(|list| !list.is_empty())
    }

    /// Refuses options that do not apply to `what`, which has the options `own`.
    fn refuse_for(&self, what: &str, own: &[&str]) -> Result<()> {
        let given = [
            ("label", self.label.is_some(), "tables"),
            ("target", self.target.is_some(), "tables"),
            ("task", self.task.is_some(), "tables and arrays"),
            ("header", self.header != Header::Auto, "tables"),
            (TABLES, self.is_of_tables(), "tables"),
            ("test", self.test.is_some(), "tables"),
            (ARRAYS, !self.arrays.is_empty() || self.transpose.is_some(), "NumPy's and IDX files"),
            ("image_size", self.image_size.is_some(), "folders of images and arrays"),
            ("framing", self.framing.is_some(), "folders of images"),
            ("colour", self.colour, "folders of images"),
            ("skip_broken", self.skip_broken, "folders of images"),
        ];
        match given.iter().find(|(option, given, _)| *given && !own.contains(option)) {
            Some((options, _, kinds)) if [TABLES, ARRAYS].contains(options) => {
                Err(Error::Usage(format!("{options} are for {kinds}, not for {what}")))
            }
            Some((option, _, kinds)) => Err(Error::Unsuited { option, why: format!("is for {kinds}, not for {what}") }),
            None => Ok(()),
        }
    }
}
