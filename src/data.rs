//! Data sets: what a data set is, and where each named one comes from.

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
    /// Number of classes.
    pub classes: usize,
    /// Height and width in pixels where a row is an image.
    pub image: Option<(usize, usize)>,
}
