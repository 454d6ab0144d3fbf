//! Rows in memory: features, and a class or numbers for each row.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::{Targets, Task};
use crate::error::{Error, Result};

/// Feature rows, row-major: `samples x width`.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// Bytes, taken as `value / 255`: images.
    U8(Vec<u8>),
    /// Features of any other kind, taken as they are.
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

    /// Number of bytes that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Inputs::U8(values) => values.len(),
            Inputs::F32(values) => size_of_val(&values[..]),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values at the places `range`.
    pub fn part(&self, range: Range<usize>) -> Self {
        match self {
            Inputs::U8(values) => Inputs::U8(values[range].to_vec()),
            Inputs::F32(values) => Inputs::F32(values[range].to_vec()),
        }
    }

    /// The values as numbers. Bytes become 0 to 255.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            Inputs::U8(values) => values.iter().copied().map(f32::from).collect(),
            Inputs::F32(values) => Cow::Borrowed(values),
        }
    }
}

/// The number of values per pixel of an image in colour: red, green, blue.
pub const COLOURS: usize = 3;

/// The values per pixel, 1 or [`COLOURS`], of images of (height, width) `size` that are rows of `values`; none where they are
/// no such images.
pub fn channels((height, width): (usize, usize), values: usize) -> Option<usize> {
    let pixels = height.checked_mul(width).filter(|pixels| *pixels > 0)?;
    [1, COLOURS].into_iter().find(|channels| pixels.checked_mul(*channels) == Some(values))
}

/// One part (training, test or validation) of a data set: feature rows and their targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `len() x width` values, row-major.
    pub inputs: Inputs,
    /// Number of values per row.
    pub width: usize,
    /// The class or the numbers of each row.
    pub targets: Targets,
    /// (height, width) in pixels where rows are images: pixels row by row, the three colours of each one after the other where
    /// there are [`COLOURS`] values per pixel.
    pub image: Option<(usize, usize)>,
    /// How much each row weighs in the loss that training makes small; none where all weigh the same.
    pub weights: Option<Vec<f32>>,
}

impl Samples {
    /// Rows of `width` values with a class for each.
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
        Ok(Self { inputs, width, targets: Targets::Classes(labels), image: None, weights: None })
    }

    /// Rows of `width` values with `outputs` numbers for each: `values` is `rows x outputs`, row-major.
    ///
    /// # Errors
    /// [`Error::Data`] when the sizes do not fit together, or a number is not finite.
    pub fn with_values(inputs: Inputs, width: usize, values: Vec<f32>, outputs: usize) -> Result<Self> {
        let rows = inputs.len().checked_div(width).filter(|rows| rows.checked_mul(width) == Some(inputs.len()));
        if outputs == 0 || rows.and_then(|rows| rows.checked_mul(outputs)) != Some(values.len()) {
            return Err(Error::Data(format!(
                "{} input values and {} targets do not make rows of {width} and {outputs}",
                inputs.len(),
                values.len()
            )));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Data(format!("the target {} of row {} is not finite", values[index], index / outputs)));
        }
        Ok(Self { inputs, width, targets: Targets::Values(values), image: None, weights: None })
    }

    /// The same rows, which are images of (height, width) `size`, in grey or in colour.
    ///
    /// # Errors
    /// [`Error::Data`] when rows are not as long as such an image has pixels, or three times as long.
    pub fn with_image(mut self, size: (usize, usize)) -> Result<Self> {
        let (height, width) = size;
        if channels(size, self.width).is_none() {
            return Err(Error::Data(format!("rows of {} values are no images of {height} x {width}", self.width)));
        }
        self.image = Some(size);
        Ok(self)
    }

    /// The same rows, which weigh differently in training: `weights` has a number from 0 on for each.
    ///
    /// # Errors
    /// [`Error::Data`] when there are more or fewer than rows, or one is negative or not finite.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        if weights.len() != self.len() {
            return Err(Error::Data(format!("{} weights do not fit {} rows", weights.len(), self.len())));
        }
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            let weight = weights[row];
            return Err(Error::Data(format!("the weight {weight} of row {row} is no finite number from 0 on")));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// The kind of the targets.
    pub fn task(&self) -> Task {
        self.targets.task()
    }

    /// The class of each row. Empty where targets are numbers.
    pub fn labels(&self) -> &[u32] {
        match &self.targets {
            Targets::Classes(labels) => labels,
            Targets::Values(_) => &[],
        }
    }

    /// The numbers of each row, `len() x outputs`. Empty where targets are classes.
    pub fn values(&self) -> &[f32] {
        match &self.targets {
            Targets::Classes(_) => &[],
            Targets::Values(values) => values,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.targets {
            Targets::Classes(labels) => labels.len(),
            Targets::Values(_) => self.inputs.len() / self.width.max(1),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of these rows are rows of `other` too, with the same features and targets.
    pub(super) fn rows_in(&self, other: &Self) -> usize {
        let mut rows = HashMap::new();
        self.hashes().for_each(|hash| *rows.entry(hash).or_insert(0) += 1);
        other.hashes().filter_map(|hash| rows.remove(&hash)).sum()
    }

    /// A hash of the features and the targets of each row.
    fn hashes(&self) -> impl Iterator<Item = u64> {
        let outputs = self.values().len() / self.len().max(1);
        (0..self.len()).map(move |row| {
            let mut hasher = DefaultHasher::new();
            let (features, targets) = (row * self.width..(row + 1) * self.width, row * outputs..(row + 1) * outputs);
            match &self.inputs {
                Inputs::U8(values) => hasher.write(&values[features]),
                Inputs::F32(values) => hasher.write(bytemuck::cast_slice(&values[features])),
            }
            match &self.targets {
                Targets::Classes(labels) => hasher.write_u32(labels[row]),
                Targets::Values(values) => hasher.write(bytemuck::cast_slice(&values[targets])),
            }
            hasher.finish()
        })
    }

    /// The rows whose index `wanted` accepts, in the same order.
    ///
    /// # Errors
    /// None in practice, as rows stay whole.
    pub fn select(&self, wanted: impl Fn(usize) -> bool) -> Result<Self> {
        fn rows<T: Copy>(values: &[T], width: usize, wanted: impl Fn(usize) -> bool) -> Vec<T> {
            let rows = values.chunks_exact(width.max(1)).enumerate().filter(|(row, _)| wanted(*row));
            rows.flat_map(|(_, values)| values).copied().collect()
        }
        let inputs = match &self.inputs {
            Inputs::U8(values) => Inputs::U8(rows(values, self.width, &wanted)),
            Inputs::F32(values) => Inputs::F32(rows(values, self.width, &wanted)),
        };
        let selected = match &self.targets {
            Targets::Classes(labels) => Self::new(inputs, self.width, rows(labels, 1, &wanted))?,
            Targets::Values(values) => {
                let outputs = values.len() / self.len().max(1);
                Self::with_values(inputs, self.width, rows(values, outputs, &wanted), outputs.max(1))?
            }
        };
        let weights = self.weights.as_ref().map(|weights| rows(weights, 1, &wanted));
        Ok(Self { image: self.image, weights, ..selected })
    }
}

/// Samples that several runs may share, or some of their rows.
#[derive(Debug, Clone)]
pub struct View {
    /// The samples.
    pub samples: Arc<Samples>,
    /// The numbers of the rows, in their order; all rows where there are none.
    pub rows: Option<Arc<[u32]>>,
}

impl View {
    /// The rows `rows` of `samples`.
    ///
    /// # Errors
    /// [`Error::Data`] for a row that is not there.
    pub fn of_rows(samples: &Arc<Samples>, rows: Vec<u32>) -> Result<Self> {
        match rows.iter().find(|&&row| row as usize >= samples.len()) {
            Some(row) => Err(Error::Data(format!("row {row} is not in samples of {} rows", samples.len()))),
            None => Ok(Self { samples: Arc::clone(samples), rows: Some(rows.into()) }),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.samples.len(), |rows| rows.len())
    }

    /// The numbers of the rows, in their order.
    pub fn order(&self) -> Cow<'_, [u32]> {
        match &self.rows {
            Some(rows) => Cow::Borrowed(rows),
            None => (0..self.samples.len() as u32).collect(),
        }
    }

    /// The numbers, in the samples, of the rows that `order` counts.
    pub(crate) fn numbers<'a>(&self, order: &'a [u32]) -> Cow<'a, [u32]> {
        match &self.rows {
            Some(rows) => order.iter().map(|&row| rows[row as usize]).collect(),
            None => Cow::Borrowed(order),
        }
    }

    /// The rows as samples of their own, in the order of their numbers.
    ///
    /// # Errors
    /// None in practice, as rows stay whole.
    pub fn select(&self) -> Result<Samples> {
        let Some(rows) = &self.rows else { return Ok(Samples::clone(&self.samples)) };
        let mut wanted = vec![false; self.samples.len()];
        rows.iter().for_each(|&row| wanted[row as usize] = true);
        self.samples.select(|row| wanted[row])
    }

    /// The target values of the rows, `len() x outputs`. Empty where targets are classes.
    pub fn values(&self) -> Cow<'_, [f32]> {
        let values = self.samples.values();
        let Some(rows) = &self.rows else { return Cow::Borrowed(values) };
        let outputs = values.len() / self.samples.len().max(1);
        rows.iter().flat_map(|&row| &values[row as usize * outputs..][..outputs]).copied().collect()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&Arc<Samples>> for View {
    fn from(samples: &Arc<Samples>) -> Self {
        Self { samples: Arc::clone(samples), rows: None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn weights_stay_with_their_rows() {
        let samples = || Samples::new(Inputs::U8(vec![1, 2, 3]), 1, vec![0, 1, 0]).unwrap();
        let weighed = samples().with_weights(vec![0.5, 0.0, 2.0]).unwrap();
        assert_eq!(weighed.select(|row| row != 1).unwrap().weights, Some(vec![0.5, 2.0]));
        for weights in [vec![1.0], vec![1.0, -1.0, 1.0], vec![1.0, f32::NAN, 1.0]] {
            assert!(matches!(samples().with_weights(weights), Err(Error::Data(_))));
        }
    }

    #[test]
    fn images_have_as_many_pixels_as_rows_have_values_and_stay_images() {
        let rows = || Samples::new(Inputs::U8((0..12).collect()), 6, vec![0, 1]).unwrap();
        for size in [(3, 3), (0, 6), (usize::MAX, 2)] {
            assert!(matches!(rows().with_image(size), Err(Error::Data(_))), "{size:?}");
        }
        let images = rows().with_image((2, 3)).unwrap();
        let second = images.select(|row| row == 1).unwrap();
        assert_eq!((second.image, second.inputs), (Some((2, 3)), Inputs::U8((6..12).collect())));
    }
}
