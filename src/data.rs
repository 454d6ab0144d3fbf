//! Data sets: what a data set is, and where each comes from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path_text;

/// Feature rows, row-major: `samples x width`.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// Bytes, read as `value / 255`: images.
    U8(Vec<u8>),
    /// Features of any other kind, read as they are.
    F32(Vec<f32>),
}

impl Inputs {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Inputs::U8(values) => values.len(),
            Inputs::F32(values) => values.len(),
        }
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Inputs::U8(values) => values.len(),
            Inputs::F32(values) => size_of_val(&values[..]),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as numbers: bytes from 0 to 255.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            Inputs::U8(values) => values.iter().copied().map(f32::from).collect(),
            Inputs::F32(values) => Cow::Borrowed(values),
        }
    }
}

/// One part (training, test or validation) of a data set: feature rows and a class for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `len() x width` values, row-major.
    pub inputs: Inputs,
    /// Values a row.
    pub width: usize,
    /// The class of each row, below the data set's number of classes.
    pub labels: Vec<u32>,
}

impl Samples {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Data`] when `inputs` is not `labels.len() x width`.
    pub fn new(inputs: Inputs, width: usize, labels: Vec<u32>) -> Result<Self> {
        if labels.len().checked_mul(width) != Some(inputs.len()) {
            return Err(Error::Data(format!(
                "{} input values do not make {} rows of {width}",
                inputs.len(),
                labels.len()
            )));
        }
        Ok(Self { inputs, width, labels })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The rows whose number `wanted` takes, in the same order.
    ///
    /// # Errors
    /// None in practice: rows stay whole.
    pub fn select(&self, wanted: impl Fn(usize) -> bool) -> Result<Self> {
        fn rows<T: Copy>(values: &[T], width: usize, wanted: impl Fn(usize) -> bool) -> Vec<T> {
            let rows = values.chunks_exact(width.max(1)).enumerate().filter(|(row, _)| wanted(*row));
            rows.flat_map(|(_, values)| values).copied().collect()
        }
        let inputs = match &self.inputs {
            Inputs::U8(values) => Inputs::U8(rows(values, self.width, &wanted)),
            Inputs::F32(values) => Inputs::F32(rows(values, self.width, &wanted)),
        };
        Self::new(inputs, self.width, rows(&self.labels, 1, &wanted))
    }
}

/// A data set: parts of the same width and classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// As it is named on the command line and in a log.
    pub name: String,
    /// What is learnt from.
    pub train: Arc<Samples>,
    /// What is only ever evaluated.
    pub test: Option<Arc<Samples>>,
    /// What is evaluated to choose options by, if that is wanted.
    pub validation: Option<Arc<Samples>>,
    /// Names of the classes, which the labels count from 0.
    pub classes: Vec<String>,
    /// Height and width in pixels where a row is an image.
    pub image: Option<(usize, usize)>,
    /// The columns of the files, where they are tables.
    pub columns: Option<Columns>,
    /// How the features were scaled; none where the rows are bytes, read as `value / 255`.
    pub scaling: Option<Scaling>,
    /// What the parts were made of.
    pub origin: Origin,
}

pub mod catalogue;
pub mod classes;
pub mod csv;
pub mod digits;
pub mod fetch;
pub mod framing;
pub mod idx;
pub mod images;
pub mod npz;
pub mod scaling;
pub mod split;

pub use csv::{Columns, Header};
pub use framing::Framing;
pub use scaling::{Scale, Scaling};
pub use split::{Origin, Part, Raw};

/// What a path may lead to, for messages.
pub const UNDERSTOOD: &str = "a CSV file (plain or gzipped), a NumPy .npz archive, a folder with the four IDX files of a data \
                              set, or a folder with a folder of images for each class";

/// How a data set is read. What is written with a model leaves out the folder and the seed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The folder in which named data sets are looked for.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
    /// The column of labels of a CSV file: its name, its number from 1 on or from -1 on down, or `last`.
    pub label: Option<String>,
    /// Whether a CSV file has a header.
    pub header: Header,
    /// The CSV file of the test part.
    #[serde(with = "path_text")]
    pub test: Option<PathBuf>,
    /// The share of the rows to draw a test part from, between 0 and 1; [`split::TEST_SHARE`] where there is no test part
    /// otherwise.
    pub test_split: Option<f64>,
    /// The share of the training part to draw a validation part from, between 0 and 1.
    pub validation_split: Option<f64>,
    /// How features are scaled; bytes by 255 and all others to mean 0 and deviation 1 where it is not said.
    pub scale: Option<Scale>,
    /// Height and width that image files are resized to; all must have the same where it is not said.
    pub image_size: Option<(usize, usize)>,
    /// Seed of the rows that are drawn.
    #[serde(skip)]
    pub seed: u64,
}

/// What a model knows of the data that it learnt from: other data is read into the same.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The model, as messages name it.
    pub model: &'a str,
    /// Values a row.
    pub width: usize,
    /// Names of the classes.
    pub classes: Cow<'a, [String]>,
    /// The columns of the files, where they were tables.
    pub columns: Option<&'a Columns>,
    /// Height and width in pixels where a row is an image.
    pub image: Option<(usize, usize)>,
    /// How the features were scaled; none where they were bytes, read as `value / 255`.
    pub scaling: Option<&'a Scaling>,
    /// The rows that it learnt from, where it is known.
    pub origin: Option<&'a Origin>,
    /// Whether the model's file says all this. Otherwise classes are numbers, and features may be scaled or not.
    pub described: bool,
}

/// The names of classes that have none but their numbers.
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// Training images of `digits`, and the test images that follow them.
const DIGITS: (usize, usize) = (60_000, 10_000);
/// Which of its endless images `digits` are.
const DIGITS_SEED: u64 = 0;

/// The names of the MNIST family, each also the name of its folder in the data folder.
pub const FAMILY: [&str; 3] = ["mnist", "fashion-mnist", "kmnist"];

/// The embedded data set: 60,000 training and 10,000 test images of handwritten-like digits, 28 x 28, drawn anew each
/// time, always the same.
///
/// # Errors
/// None in practice: the generator's output fits.
pub fn digits() -> Result<Dataset> {
    let part = |first: usize, count| {
        let (images, labels) = digits::generate(DIGITS_SEED, first as u64, count);
        Samples::new(Inputs::U8(images), 784, labels.into_iter().map(u32::from).collect()).map(Arc::new)
    };
    let (train, test) = (part(0, DIGITS.0)?, Some(part(DIGITS.0, DIGITS.1)?));
    Ok(Dataset {
        name: "digits".into(),
        train,
        test,
        validation: None,
        classes: numbered(10),
        image: Some((28, 28)),
        columns: None,
        scaling: None,
        origin: Origin::default(),
    })
}

/// The data set `source`: `auto`, `digits`, one of [`FAMILY`] (in the folder of its name in `options.folder`), or a path to
/// what [`UNDERSTOOD`] lists. Then what there is to say of it: which one `auto` took, and why, which rows were drawn.
///
/// # Errors
/// [`Error::Data`] for a source that is not there, [`Error::File`] for a file that is not what it should be,
/// [`Error::Usage`] for options that do not go with it.
pub fn load(source: &str, options: &Options) -> Result<(Dataset, Vec<String>)> {
    let mut notes = Vec::new();
    let set = read(source, options, None, &mut notes)?.prepare(options, &mut notes)?;
    Ok((set, notes))
}

/// The rows of `source` that a model is evaluated on, as it takes them. Where `source` has no test part of its own and
/// `options` draw none, all rows are its training and its test part.
///
/// # Errors
/// As [`load`], and where the rows do not fit what the model knows.
pub fn load_for(source: &str, options: &Options, known: &Known<'_>, part: Part) -> Result<(Samples, Vec<String>)> {
    let mut notes = Vec::new();
    let raw = read(source, options, Some(known), &mut notes)?;
    let samples = raw.prepare_for(options, known, part, &mut notes)?;
    Ok((samples, notes))
}

/// The files that [`load`] reads of `source`, as far as they are there; that of the test part is left out.
pub fn files(source: &str, options: &Options) -> Vec<PathBuf> {
    let path = Path::new(source);
    let named = if source == "auto" { "mnist" } else { source };
    match options.folder.as_ref().map(|folder| folder.join(named)) {
        _ if source == "digits" => Vec::new(),
        folder if FAMILY.contains(&named) => folder.as_deref().map(idx::files).unwrap_or_default(),
        _ if !path.is_dir() => vec![path.to_path_buf()],
        _ if idx::present(path) => idx::files(path),
        _ => images::paths(path),
    }
}

/// What `source` holds, as it is; read as a model knows it, if one does.
fn read(source: &str, options: &Options, known: Option<&Known<'_>>, notes: &mut Vec<String>) -> Result<Raw> {
    let folder = options.folder.as_deref();
    let path = Path::new(source);
    match source {
        "auto" => {
            options.refuse_for("--data auto", &[])?;
            match folder.map(|folder| folder.join("mnist")) {
                Some(mnist) if idx::present(&mnist) => {
                    notes.push(format!("MNIST from {}", mnist.display()));
                    Ok(idx::load(&mnist, "mnist")?.into())
                }
                looked => {
                    let why = match looked {
                        Some(mnist) => format!("there is no MNIST in {}", mnist.display()),
                        None => "no data folder is given (--data-dir or MLP_GPU_DATA)".into(),
                    };
                    notes.push(format!("the embedded data set digits: {why}"));
                    Ok(digits()?.into())
                }
            }
        }
        "digits" => {
            options.refuse_for("--data digits", &[])?;
            Ok(digits()?.into())
        }
        name if FAMILY.contains(&name) => {
            options.refuse_for(&format!("--data {name}"), &[])?;
            let Some(folder) = folder else {
                return Err(Error::Data(format!(
                    "--data {name} needs a data folder: put its four IDX files into DIR/{name} and give --data-dir DIR \
                     (or MLP_GPU_DATA=DIR)"
                )));
            };
            Ok(idx::load(&folder.join(name), name)?.into())
        }
        _ if path.is_dir() && idx::present(path) => {
            options.refuse_for("a folder of IDX files", &[])?;
            Ok(idx::load_own(path)?.into())
        }
        _ if path.is_dir() => {
            options.refuse_for("a folder of images", &["--image-size"])?;
            images::read(path, options.image_size.or(known.and_then(|known| known.image)), notes)
        }
        _ if !path.exists() => Err(Error::Data(format!(
            "there is no data set {source:?}: give auto, digits, {}, or the path of {UNDERSTOOD}",
            FAMILY.join(", ")
        ))),
        _ if !path.is_file() => Err(Error::file(path, "something that is neither a file nor a folder", UNDERSTOOD)),
        _ if npz::is_archive(path)? => {
            options.refuse_for("a NumPy archive", &[])?;
            npz::read(path)
        }
        _ => {
            options.refuse_for("a CSV file", &["--label", "--header", "--test"])?;
            let label = options.label.as_deref();
            match known.and_then(|known| Some((known.columns?, &known.classes))) {
                Some((columns, classes)) => {
                    let part = |path: &Path| csv::read_like(path, label, options.header, columns, classes);
                    Ok(Raw {
                        name: source.into(),
                        train: part(path)?,
                        test: options.test.as_deref().map(part).transpose()?,
                        classes: classes.to_vec(),
                        image: None,
                        columns: Some(columns.clone()),
                    })
                }
                None => {
                    let raw = csv::read(path, options.test.as_deref(), label, options.header)?;
                    let columns = raw.columns.as_ref().map(Columns::to_string).unwrap_or_default();
                    notes.push(format!("{} rows, {columns}, classes {}", raw.train.len(), classes::list(&raw.classes)));
                    Ok(raw)
                }
            }
        }
    }
}

impl Options {
    /// These, and those of `kept` where nothing is said.
    pub fn or(self, kept: &Self) -> Self {
        let kept = kept.clone();
        Self {
            label: self.label.or(kept.label),
            header: if self.header == Header::Auto { kept.header } else { self.header },
            test: self.test.or(if self.test_split.is_some() { None } else { kept.test }),
            test_split: self.test_split.or(kept.test_split),
            validation_split: self.validation_split.or(kept.validation_split),
            scale: self.scale.or(kept.scale),
            image_size: self.image_size.or(kept.image_size),
            ..self
        }
    }

    /// Refuses options that say something of a kind of data that `what` is not; `own` are its own.
    fn refuse_for(&self, what: &str, own: &[&str]) -> Result<()> {
        let given = [
            ("--label", self.label.is_some()),
            ("--header", self.header != Header::Auto),
            ("--test", self.test.is_some()),
            ("--image-size", self.image_size.is_some()),
        ];
        match given.iter().find(|(flag, given)| *given && !own.contains(flag)) {
            Some(("--image-size", _)) => {
                Err(Error::Usage(format!("--image-size is for folders of images, not for {what}")))
            }
            Some((flag, _)) => Err(Error::Usage(format!("{flag} is for CSV files, not for {what}"))),
            None => Ok(()),
        }
    }
}
