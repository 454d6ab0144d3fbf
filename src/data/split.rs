//! From what files hold to the parts that are trained and evaluated on: rows drawn at random, then features scaled by the
//! rows that are left to learn from.

use crate::data::{Columns, Dataset, Inputs, Known, Options, Samples, Scale, Scaling, classes};
use crate::error::{Error, Result};
use crate::random::{self, Draw};

/// The share of the rows that are the test part where there is none and none is said.
pub const TEST_SHARE: f64 = 0.1;

/// A data set as its files hold it: with a test part only if it has its own, features as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// As it is named on the command line.
    pub name: String,
    /// Rows to learn from, and to draw the parts from that it does not have.
    pub train: Samples,
    /// Its own test part.
    pub test: Option<Samples>,
    /// Names of the classes, which the labels count from 0.
    pub classes: Vec<String>,
    /// Height and width in pixels where a row is an image.
    pub image: Option<(usize, usize)>,
    /// The columns of the files, where they are tables.
    pub columns: Option<Columns>,
}

impl From<Dataset> for Raw {
    fn from(set: Dataset) -> Self {
        let Dataset { name, train, test, classes, image, columns, .. } = set;
        Self { name, train, test: Some(test), classes, image, columns }
    }
}

impl Raw {
    /// The data set, with what there is to say of the parts.
    ///
    /// # Errors
    /// [`Error::Usage`] for a share to test on where there is a test part, [`Error::Data`] where there is too little to
    /// draw from, only one class, or a value that cannot be scaled.
    pub fn prepare(self, options: &Options, notes: &mut Vec<String>) -> Result<Dataset> {
        let Self { name, train, test, classes, image, columns } = self;
        if classes.len() < 2 {
            let found = classes::list(&classes);
            return Err(Error::Data(format!(
                "{name}: found a single class, {found}, expected at least two to tell apart"
            )));
        }
        let (train, test) = match (test, options.test_split) {
            (Some(test), None) => (train, test),
            (Some(_), Some(_)) => {
                return Err(Error::Usage(format!("--test-split: {name} has a test part of its own; leave it out")));
            }
            (None, share) => {
                let share = share.unwrap_or(TEST_SHARE);
                let (rows, seed) = (train.len(), options.seed);
                let (train, test) = draw(&name, train, classes.len(), share, Draw::Test, seed)?;
                notes.push(format!(
                    "{} of {rows} rows, drawn with seed {seed}, are the test part (--test-split {share})",
                    test.len()
                ));
                (train, test)
            }
        };
        let (train, validation) = match options.validation_split {
            None => (train, None),
            Some(share) => {
                let (train, validation) = draw(&name, train, classes.len(), share, Draw::Validation, options.seed)?;
                notes.push(format!(
                    "{} training rows are the validation part, {} are left",
                    validation.len(),
                    train.len()
                ));
                (train, Some(validation))
            }
        };
        let mut set = Dataset { name, train, test, validation, classes, image, columns, scaling: None };
        let parts = || [&set.train, &set.test].into_iter().chain(&set.validation);
        let bytes = parts().all(|part| matches!(part.inputs, Inputs::U8(_)));
        let scale = match options.scale {
            None | Some(Scale::Bytes) if bytes => return Ok(set),
            scale => scale.unwrap_or(Scale::Standard),
        };
        let scaling = Scaling::fit(scale, &set.train.inputs.to_f32(), set.train.width);
        for part in [&mut set.train, &mut set.test].into_iter().chain(&mut set.validation) {
            rescale(&set.name, part, &scaling)?;
        }
        set.scaling = Some(scaling);
        Ok(set)
    }

    /// The test part, or all rows where it has none, as the model that knows `known` takes them.
    ///
    /// # Errors
    /// [`Error::Data`] for a class or a width that the model does not have.
    pub fn prepare_for(self, known: &Known<'_>) -> Result<Samples> {
        let mut samples = self.test.unwrap_or(self.train);
        if samples.width != known.width {
            let (found, expected) = (samples.width, known.width);
            return Err(Error::Data(format!(
                "{}: found {found} values a row, expected {expected}, as the model takes",
                self.name
            )));
        }
        let mut numbering = classes::Numbering::of(known.classes);
        for label in &mut samples.labels {
            let class = &self.classes[*label as usize];
            *label = numbering.number(class).map_err(|expected| {
                Error::Data(format!("{}: found the class {class:?}, expected {expected}", self.name))
            })?;
        }
        known.scale(&self.name, &mut samples)?;
        Ok(samples)
    }
}

impl Known<'_> {
    /// Scales raw `samples` of the file `name` as those were that the model learnt from.
    ///
    /// # Errors
    /// [`Error::Data`] for a value that cannot be scaled.
    pub fn scale(&self, name: &str, samples: &mut Samples) -> Result<()> {
        match (self.scaling, &samples.inputs) {
            (Some(scaling), _) => rescale(name, samples, scaling),
            (None, Inputs::U8(_)) => Ok(()),
            (None, Inputs::F32(_)) => rescale(name, samples, &Scaling::fit(Scale::Bytes, &[], samples.width)),
        }
    }
}

fn rescale(name: &str, samples: &mut Samples, scaling: &Scaling) -> Result<()> {
    let mut rows = match std::mem::replace(&mut samples.inputs, Inputs::F32(Vec::new())) {
        Inputs::U8(rows) => rows.into_iter().map(f32::from).collect(),
        Inputs::F32(rows) => rows,
    };
    scaling.apply(&mut rows);
    let far = rows.iter().position(|value| !value.is_finite());
    samples.inputs = Inputs::F32(rows);
    match far {
        Some(index) => Err(Error::Data(format!(
            "{name}: feature {} has values too far apart to be scaled in float32: rescale it in the file",
            index % samples.width + 1
        ))),
        None => Ok(()),
    }
}

/// Takes `share` of `samples` out at random, of each class as much as of all, but leaves one row of each. Both parts
/// keep the rows' order: what is left, then what was drawn.
fn draw(name: &str, samples: Samples, classes: usize, share: f64, part: Draw, seed: u64) -> Result<(Samples, Samples)> {
    let rows = u32::try_from(samples.len())
        .map_err(|_| Error::Data(format!("{name}: {} rows are more than 2^32 - 1", samples.len())))?;
    // A pile a class. Its first row stays, of the others every n-th is drawn, on from pile to pile.
    let mut piles = vec![Vec::new(); classes];
    for row in random::draw(seed, part, rows) {
        piles[samples.labels[row as usize] as usize].push(row as usize);
    }
    let candidates: Vec<usize> = piles.iter().flat_map(|pile| pile.iter().skip(1)).copied().collect();
    let wanted = ((share * f64::from(rows)).round() as usize).clamp(1, candidates.len().max(1));
    if candidates.is_empty() {
        return Err(Error::Data(format!("{name}: each class has a single row, so that none can be drawn: add rows")));
    }
    let mut drawn = vec![false; samples.len()];
    for (index, &row) in candidates.iter().enumerate() {
        let reached = |index: usize| (index as u128 * wanted as u128 / candidates.len() as u128) as usize;
        drawn[row] = reached(index + 1) > reached(index);
    }
    Ok((samples.select(|row| !drawn[row])?, samples.select(|row| drawn[row])?))
}
