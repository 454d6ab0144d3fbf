//! Data sets: what a data set is, and where each named one comes from.

use std::path::Path;

use crate::error::{Error, Result};

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
}

/// One part (training or test) of a data set: feature rows and a class for each.
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
}

/// A data set: two parts of the same width and classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// As it is named on the command line and in a log.
    pub name: String,
    /// What is learnt from.
    pub train: Samples,
    /// What is only ever evaluated.
    pub test: Samples,
    /// Names of the classes, which the labels count from 0.
    pub classes: Vec<String>,
    /// Height and width in pixels where a row is an image.
    pub image: Option<(usize, usize)>,
    /// How the features were scaled; none where the rows are bytes, read as `value / 255`.
    pub scaling: Option<Scaling>,
}

pub mod digits;
pub mod idx;
pub mod scaling;

pub use scaling::Scaling;

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
        Samples::new(Inputs::U8(images), 784, labels.into_iter().map(u32::from).collect())
    };
    let (train, test) = (part(0, DIGITS.0)?, part(DIGITS.0, DIGITS.1)?);
    Ok(Dataset { name: "digits".into(), train, test, classes: numbered(10), image: Some((28, 28)), scaling: None })
}

/// The data set `source`: `auto`, `digits`, one of [`FAMILY`] (in the folder of its name in `folder`), or the path of a
/// folder that holds four IDX files. The string, if any, says which one `auto` took, and why.
///
/// # Errors
/// [`Error::Data`] for a source that is not there, [`Error::File`] for a file that is not what it should be.
pub fn load(source: &str, folder: Option<&Path>) -> Result<(Dataset, Option<String>)> {
    match source {
        "auto" => match folder.map(|folder| folder.join("mnist")) {
            Some(mnist) if idx::present(&mnist) => {
                Ok((idx::load(&mnist, "mnist")?, Some(format!("MNIST from {}", mnist.display()))))
            }
            looked => {
                let why = match looked {
                    Some(mnist) => format!("there is no MNIST in {}", mnist.display()),
                    None => "no data folder is given (--data-dir or MLP_GPU_DATA)".into(),
                };
                Ok((digits()?, Some(format!("the embedded data set digits: {why}"))))
            }
        },
        "digits" => Ok((digits()?, None)),
        name if FAMILY.contains(&name) => {
            let Some(folder) = folder else {
                return Err(Error::Data(format!(
                    "--data {name} needs a data folder: put its four IDX files into DIR/{name} and give --data-dir DIR \
                     (or MLP_GPU_DATA=DIR)"
                )));
            };
            Ok((idx::load(&folder.join(name), name)?, None))
        }
        path if Path::new(path).is_dir() => Ok((idx::load(Path::new(path), path)?, None)),
        path if Path::new(path).exists() => {
            Err(Error::file(Path::new(path), "a file", "a folder with the four IDX files of a data set"))
        }
        other => Err(Error::Data(format!(
            "there is no data set {other:?}: give auto, digits, {}, or the path of a folder with four IDX files",
            FAMILY.join(", ")
        ))),
    }
}
