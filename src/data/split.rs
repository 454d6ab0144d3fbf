//! From the rows of files to the parts that a model is trained and evaluated on: parts are drawn at random, then features
//! are scaled by the training rows.

use std::sync::Arc;

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::data::{
    Columns, Dataset, Inputs, Note, Options, Range, Samples, Scale, Scaling, Schema, TargetScale, Task, classes,
};
use crate::error::{Error, Remedy, Result};
use crate::random::{self, Draw};

/// The share of the rows that becomes the test part where the data has none and no share is given.
pub const TEST_SHARE: f64 = 0.1;

/// The rows that a data set was made of, and how they were split: enough to recognise the same rows, and to split them
/// the same way again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The number of rows before any were drawn. Those of a test part of its own are not counted.
    pub rows: usize,
    /// A checksum of these rows as they were read, and of their targets.
    pub checksum: u32,
    /// The share that was drawn as the test part, if it was.
    pub test: Option<f64>,
    /// The share that was drawn as the validation part, if it was, from the rows that were left.
    pub validation: Option<f64>,
    /// The seed of these draws; in a saved model only where it is not the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Origin {
    /// The origin of `samples`, of which none were drawn yet.
    pub(super) fn new(samples: &Samples) -> Self {
        let mut checksum = Crc::new();
        match &samples.inputs {
            Inputs::U8(values) => checksum.update(values),
            Inputs::F32(values) => checksum.update(bytemuck::cast_slice(values)),
        }
        checksum.update(samples.targets.as_bytes());
        Self { rows: samples.len(), checksum: checksum.sum(), ..Self::default() }
    }

    /// Whether both have the same rows, however they were split.
    pub fn same_rows(&self, other: &Self) -> bool {
        (self.rows, self.checksum) == (other.rows, other.checksum)
    }
}

/// The rows to evaluate a model on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The test part; all rows where the data has none
    Test,
    /// The training part; all rows where the data has no test part
    Train,
    /// The validation part that is drawn now, or that was drawn in training
    Validation,
}

impl Part {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Test => "test",
            Part::Train => "training",
            Part::Validation => "validation",
        }
    }
}

/// What the parts are called in names of folders and arrays, in lower case.
pub(super) const PARTS: [(Part, &[&str]); 3] = [
    (Part::Train, &["train", "training"]),
    (Part::Test, &["test", "testing"]),
    (Part::Validation, &["val", "valid", "validation", "dev"]),
];

/// A data set as its files hold it: features are not scaled, and it has a test part only if its files do.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// Its name on the command line.
    pub name: String,
    /// The rows to train on, from which missing parts are drawn.
    pub train: Samples,
    /// The test part of its files.
    pub test: Option<Samples>,
    /// The validation part of its files.
    pub validation: Option<Samples>,
    /// The names of the classes; a label is an index into them. Empty where targets are numbers.
    pub classes: Vec<String>,
    /// The standardisation, by all rows of its files, that targets have which are numbers; none where targets are classes.
    pub target_scale: Option<TargetScale>,
    /// The columns of the files where they are tables.
    pub columns: Option<Columns>,
    /// What its values stood for before they were brought to 0 to 255 where they are pixels; none where that is not known.
    pub range: Option<Range>,
}

impl From<Dataset> for Raw {
    fn from(set: Dataset) -> Self {
        let Dataset { name, train, test, validation, classes, target_scale, columns, range, .. } = set;
        let owned = |part: Option<Arc<Samples>>| part.map(Arc::unwrap_or_clone);
        let (train, test, validation) = (Arc::unwrap_or_clone(train), owned(test), owned(validation));
        Self { name, train, test, validation, classes, target_scale, columns, range }
    }
}

impl Raw {
    /// Splits the rows and scales the features. What is worth saying goes to `notes`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a share of a part that the files have; [`Error::Data`] for too few rows to draw from, a single
    /// class, or a value that cannot be scaled.
    pub fn prepare(mut self, options: &Options, notes: &mut Vec<Note>) -> Result<Dataset> {
        check_classes(&self.name, self.train.task(), &self.classes)?;
        let share = share_of_test(&self.name, options, self.test.is_some())?;
        // A share of 0 leaves a validation part of its own aside.
        if options.validation_split == Some(0.0) {
            self.validation = None;
        }
        let validation_share = options.validation_split.filter(|share| *share > 0.0);
        let seed = Some(options.seed);
        let origin = Origin { test: share, validation: validation_share, seed, ..Origin::new(&self.train) };
        let test = self.draw_test(share, options.seed, notes)?;
        let validation = self.draw_validation(validation_share, options.seed, notes)?;
        let read_scale = self.read_scale();
        let Self { name, train, classes, columns, range, .. } = self;
        let parts = (train, test, validation);
        Drawn { name, parts, classes, read_scale, columns, schema: None, range, origin }.finish(options)
    }

    /// The standardisation that targets which are numbers have been read with.
    pub(super) fn read_scale(&self) -> Option<TargetScale> {
        let outputs = self.train.values().len() / self.train.len().max(1);
        let none = || TargetScale::none(crate::data::numbered(outputs));
        (self.train.task() == Task::Values).then(|| self.target_scale.clone().unwrap_or_else(none))
    }

    /// The test part: its own, or a share that is taken out of the training part.
    pub(super) fn draw_test(
        &mut self,
        share: Option<f64>,
        seed: u64,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Samples>> {
        match (self.test.take(), share) {
            (Some(_), Some(_)) => Err(own_part(&self.name, "test", "test_split")),
            (None, Some(share)) => {
                let rows = self.train.len();
                let test = self.draw(share, Draw::Test, seed)?;
                notes.push(told(true, test.len(), rows, share, seed));
                Ok(Some(test))
            }
            (test, None) => Ok(test),
        }
    }

    /// The validation part: its own, or a share that is taken out of the training part.
    pub(super) fn draw_validation(
        &mut self,
        share: Option<f64>,
        seed: u64,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Samples>> {
        let share = match (self.validation.take(), share) {
            (Some(_), Some(_)) => return Err(own_part(&self.name, "validation", "validation_split")),
            (own, None) => return Ok(own),
            (None, Some(share)) => share,
        };
        let validation = self.draw(share, Draw::Validation, seed)?;
        let rows = validation.len() + self.train.len();
        notes.push(told(false, validation.len(), rows, share, seed));
        Ok(Some(validation))
    }

    fn draw(&mut self, share: f64, part: Draw, seed: u64) -> Result<Samples> {
        let (left, drawn) = draw(&self.name, &self.train, self.classes.len(), share, part, seed)?;
        self.train = left;
        Ok(drawn)
    }
}

/// Says how many of the training rows were drawn as another part.
pub(super) fn told(test: bool, drawn: usize, rows: usize, share: f64, seed: u64) -> Note {
    if test {
        let text = format!("{drawn} of {rows} rows, a share of {share} drawn with seed {seed}, are the test part");
        Note::new(text, "test_split")
    } else {
        let text = format!("{drawn} training rows are the validation part, {} are left", rows - drawn);
        Note::new(text, "validation_split")
    }
}

/// Refuses data of a single class.
pub(super) fn check_classes(name: &str, task: Task, classes: &[String]) -> Result<()> {
    if task == Task::Classes && classes.len() < 2 {
        let found = classes::list(classes);
        return Err(Error::Data(format!("{name}: found a single class, {found}, expected at least two to tell apart")));
    }
    Ok(())
}

fn own_part(name: &str, part: &str, option: &'static str) -> Error {
    let message = format!("{name} has a {part} part of its own, so that none is drawn");
    Error::Usage(message).advise(&[Remedy::Without(option)])
}

/// The share of the rows to draw as the test part, if any is drawn.
///
/// # Errors
/// [`Error::Usage`] for a share where the data have a test part of their own.
pub(super) fn share_of_test(name: &str, options: &Options, own: bool) -> Result<Option<f64>> {
    match (own, options.test_split) {
        (true, Some(_)) => Err(own_part(name, "test", "test_split")),
        (true, None) => Ok(None),
        (false, share) => Ok(share.or(Some(TEST_SHARE)).filter(|share| *share > 0.0)),
    }
}

/// A data set whose parts are drawn, and whose features and targets are not scaled yet.
pub(super) struct Drawn {
    pub(super) name: String,
    /// The training part, the test part and the validation part.
    pub(super) parts: (Samples, Option<Samples>, Option<Samples>),
    pub(super) classes: Vec<String>,
    /// The standardisation that targets have which are numbers.
    pub(super) read_scale: Option<TargetScale>,
    pub(super) columns: Option<Columns>,
    pub(super) schema: Option<Schema>,
    /// What the values stood for.
    pub(super) range: Option<Range>,
    pub(super) origin: Origin,
}

impl Drawn {
    /// Scales targets and features by the training part.
    ///
    /// # Errors
    /// [`Error::Data`] for a value that cannot be scaled.
    pub(super) fn finish(self, options: &Options) -> Result<Dataset> {
        let Self { name, mut parts, classes, read_scale: read, columns, schema, range, origin } = self;
        let target_scale = read.as_ref().map(|read| TargetScale::fit(&read.undo(parts.0.values()), read.names.clone()));
        if let (Some(scale), Some(read)) = (&target_scale, &read) {
            for part in [&mut parts.0].into_iter().chain(&mut parts.1).chain(&mut parts.2) {
                scale.replace(read, &name, &mut part.targets)?;
            }
        }
        let bytes = |part: &Samples| matches!(part.inputs, Inputs::U8(_));
        let all_bytes = bytes(&parts.0) && parts.1.iter().chain(&parts.2).all(bytes);
        let (width, pixels) = (parts.0.width, range.filter(|range| range.is_pixels()));
        let as_they_were = pixels.and_then(|range| range.as_they_were(width));
        let scaling = match options.scale {
            None | Some(Scale::Bytes) if all_bytes => None,
            Some(Scale::None) if as_they_were.is_some() => as_they_were,
            scale => {
                // Both were measured on 18 tables: so the errors are least. Few rows say little of the quartiles of many columns.
                let robust = schema.is_some() && width <= parts.0.len();
                let usual = match pixels {
                    Some(_) => Scale::Bytes,
                    None if robust => Scale::Robust,
                    None => Scale::Standard,
                };
                let as_they_are = schema.as_ref().filter(|_| scale != Some(Scale::Bytes)).map(Schema::binary);
                let (kind, as_they_are) = (scale.unwrap_or(usual), as_they_are.unwrap_or_default());
                Some(Scaling::fit(kind, &parts.0.inputs.to_f32(), width).except(&as_they_are))
            }
        };
        if let Some(scaling) = &scaling {
            for part in [&mut parts.0].into_iter().chain(&mut parts.1).chain(&mut parts.2) {
                rescale(&name, part, scaling)?;
            }
        }
        let (train, test, validation) = (Arc::new(parts.0), parts.1.map(Arc::new), parts.2.map(Arc::new));
        Ok(Dataset { name, train, test, validation, classes, target_scale, columns, schema, scaling, range, origin })
    }
}

/// Scales the features of the file `name`.
///
/// # Errors
/// [`Error::Data`] for a value that float32 cannot hold when scaled.
pub(super) fn rescale(name: &str, samples: &mut Samples, scaling: &Scaling) -> Result<()> {
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

/// Takes `share` of `samples` out at random, as [`pick`] says. Returns what is left and what was drawn, both in the rows'
/// order.
fn draw(
    name: &str,
    samples: &Samples,
    classes: usize,
    share: f64,
    part: Draw,
    seed: u64,
) -> Result<(Samples, Samples)> {
    let drawn = pick(name, samples.labels(), samples.len(), classes, share, part, seed)?;
    Ok((samples.select(|row| !drawn[row])?, samples.select(|row| drawn[row])?))
}

/// Which of `rows` rows are drawn: the same share of each class, except that at least one row of each is left. Where there
/// are no `labels`, as targets are numbers, all rows count as one class.
pub(super) fn pick(
    name: &str,
    labels: &[u32],
    rows: usize,
    classes: usize,
    share: f64,
    part: Draw,
    seed: u64,
) -> Result<Vec<bool>> {
    let count = u32::try_from(rows).map_err(|_| Error::Data(format!("{name}: {rows} rows are more than 2^32 - 1")))?;
    // One pile per class. The first row of each stays; of all others, pile after pile, every n-th is drawn.
    let mut piles = vec![Vec::new(); classes.max(1)];
    for row in random::draw(seed, part, count) {
        let pile = labels.get(row as usize).map_or(0, |&label| label as usize);
        piles[pile].push(row as usize);
    }
    let candidates: Vec<usize> = piles.iter().flat_map(|pile| pile.iter().skip(1)).copied().collect();
    let wanted = ((share * f64::from(count)).round() as usize).clamp(1, candidates.len().max(1));
    if candidates.is_empty() {
        let what = if labels.is_empty() { "there is a single row" } else { "each class has a single row" };
        return Err(Error::Data(format!("{name}: {what}, so that none can be drawn: add rows")));
    }
    let mut drawn = vec![false; rows];
    for (index, &row) in candidates.iter().enumerate() {
        let reached = |index: usize| (index as u128 * wanted as u128 / candidates.len() as u128) as usize;
        drawn[row] = reached(index + 1) > reached(index);
    }
    Ok(drawn)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// Rows of the features `[row, 3]`, as many of each class as `counts` says, mixed.
    pub(in crate::data) fn raw(counts: &[usize]) -> Raw {
        let mut labels: Vec<u32> = (0..).zip(counts).flat_map(|(class, &count)| vec![class; count]).collect();
        labels = random::draw(9, Draw::Test, labels.len() as u32).iter().map(|&row| labels[row as usize]).collect();
        let inputs = Inputs::F32((0..labels.len()).flat_map(|row| [row as f32, 3.0]).collect());
        Raw {
            name: "some".into(),
            train: Samples::new(inputs, 2, labels).unwrap(),
            test: None,
            validation: None,
            classes: crate::data::numbered(counts.len()),
            target_scale: None,
            columns: None,
            range: None,
        }
    }

    fn prepare(counts: &[usize], test: f64, validation: Option<f64>, seed: u64) -> Result<Dataset> {
        let options = Options {
            test_split: Some(test),
            validation_split: validation,
            scale: Some(Scale::None),
            seed,
            ..Options::default()
        };
        raw(counts).prepare(&options, &mut Vec::new())
    }

    fn counts(samples: &Samples, classes: usize) -> Vec<usize> {
        (0..classes as u32).map(|class| samples.labels().iter().filter(|label| **label == class).count()).collect()
    }

    #[test]
    fn every_row_is_in_one_part_and_each_part_has_its_share_of_each_class() {
        let all = [100, 200, 50];
        let set = prepare(&all, 0.2, Some(0.1), 0).unwrap();
        let parts = [&set.train, set.test.as_ref().unwrap(), set.validation.as_ref().unwrap()];
        let mut rows = Vec::new();
        for part in parts {
            let numbers: Vec<usize> = part.inputs.to_f32().iter().step_by(2).map(|&row| row as usize).collect();
            assert!(numbers.is_sorted() && part.inputs.to_f32().iter().skip(1).step_by(2).all(|&value| value == 3.0));
            assert!(numbers.iter().zip(part.labels()).all(|(&row, label)| raw(&all).train.labels()[row] == *label));
            rows.extend(numbers);
        }
        rows.sort_unstable();
        assert_eq!(rows, (0..350).collect::<Vec<_>>());
        let test = counts(set.test.as_ref().unwrap(), 3);
        assert!(test.iter().zip([20, 40, 10]).all(|(found, share)| found.abs_diff(share) <= 1), "{test:?}");
        assert_eq!((parts[1].len(), parts[2].len()), (70, 28));
    }

    #[test]
    fn the_seed_decides_which_rows_are_drawn() {
        let test = |seed| prepare(&[50, 50], 0.3, None, seed).unwrap().test;
        assert_eq!(test(1), test(1));
        assert_ne!(test(1), test(2));
    }

    #[test]
    fn one_row_of_each_class_stays_to_learn_from() {
        let set = prepare(&[1, 2, 3, 40], 0.9, None, 0).unwrap();
        assert!(counts(&set.train, 4).iter().all(|&count| count > 0));
        assert_eq!(set.test.unwrap().len(), 41);
        assert_eq!(prepare(&[2, 2], 0.01, None, 0).unwrap().test.unwrap().len(), 1);
        let error = prepare(&[1, 1], 0.5, None, 0).unwrap_err().to_string();
        assert!(error.contains("single row"), "{error}");
        assert!(prepare(&[10], 0.5, None, 0).unwrap_err().to_string().contains("a single class, \"0\""));
    }

    /// Rows of the features `[row, 3]` with the target `1000 + row`, and its triple as a second one if there are two.
    pub(in crate::data) fn numbers(rows: usize, outputs: usize) -> Raw {
        let inputs = Inputs::F32((0..rows).flat_map(|row| [row as f32, 3.0]).collect());
        let values = |row: usize| [1000.0 + row as f32, 3.0 * (1000.0 + row as f32)].into_iter().take(outputs);
        Raw {
            train: Samples::with_values(inputs, 2, (0..rows).flat_map(values).collect(), outputs).unwrap(),
            classes: Vec::new(),
            target_scale: Some(TargetScale::none(["price", "triple"].map(String::from)[..outputs].to_vec())),
            ..raw(&[])
        }
    }

    #[test]
    fn targets_are_standardised_by_the_rows_that_are_left_to_learn_from() {
        for outputs in [1, 2] {
            let options = Options {
                test_split: Some(0.2),
                validation_split: Some(0.25),
                scale: Some(Scale::None),
                seed: 3,
                ..Options::default()
            };
            let set = numbers(100, outputs).prepare(&options, &mut Vec::new()).unwrap();
            let validation = set.validation.as_ref().unwrap();
            assert_eq!((set.train.len(), set.test.as_ref().unwrap().len(), validation.len()), (60, 20, 20));
            assert_eq!((set.task(), set.outputs(), set.classes.len()), (Task::Values, outputs, 0));
            let scale = set.target_scale.as_ref().unwrap();
            assert_eq!(scale.names, ["price", "triple"][..outputs]);
            let sum: f32 = set.train.values().iter().sum();
            let squares: f32 = set.train.values().iter().map(|value| value * value).sum();
            assert!(sum.abs() < 1e-3 && (squares / (60 * outputs) as f32 - 1.0).abs() < 1e-4, "{sum} {squares}");
            // Every row is in one part, and its target comes back in its own unit.
            let mut rows = Vec::new();
            for part in [&set.train, set.test.as_ref().unwrap(), validation] {
                let values = scale.undo(part.values());
                for (values, inputs) in values.chunks(outputs).zip(part.inputs.to_f32().chunks(2)) {
                    assert!((values[0] - 1000.0 - f64::from(inputs[0])).abs() < 1e-3, "{values:?} {inputs:?}");
                    assert!(values.get(1).is_none_or(|triple| (triple - 3.0 * values[0]).abs() < 1e-2), "{values:?}");
                    rows.push(inputs[0] as usize);
                }
            }
            rows.sort_unstable();
            assert_eq!(rows, (0..100).collect::<Vec<_>>());
            assert_ne!(
                numbers(100, outputs).prepare(&Options { seed: 4, ..options }, &mut Vec::new()).unwrap().test,
                set.test
            );
        }
        let error = numbers(1, 1).prepare(&Options::default(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("a single row"), "{error}");
    }

    #[test]
    fn features_are_scaled_by_the_rows_that_are_left_to_learn_from() {
        let options = Options { validation_split: Some(0.3), ..Options::default() };
        let mut notes = Vec::new();
        let set = raw(&[60, 60]).prepare(&options, &mut notes).unwrap();
        assert_eq!(notes.len(), 2);
        let scaling = set.scaling.as_ref().unwrap();
        let left: Vec<f32> = set.train.inputs.to_f32().iter().step_by(2).copied().collect();
        assert!(
            left.iter().sum::<f32>().abs() < 1e-3
                && (left.iter().map(|x| x * x).sum::<f32>() / 76.0 - 1.0).abs() < 1e-3
        );
        assert_eq!((left.len(), scaling.offset[1], scaling.divisor[1]), (76, 3.0, 1.0));
        let test: Vec<f32> = set.test.as_ref().unwrap().inputs.to_f32().iter().step_by(2).copied().collect();
        assert!(test.iter().all(|x| {
            let row = x * scaling.divisor[0] + scaling.offset[0];
            (row - row.round()).abs() < 1e-3
        }));
    }

    #[test]
    fn bytes_stay_bytes_unless_a_scale_is_asked_for() {
        let bytes = |scale| {
            let mut raw = raw(&[5, 5]);
            raw.train.inputs = Inputs::U8((0..20).collect());
            let set = raw.prepare(&Options { scale, ..Options::default() }, &mut Vec::new()).unwrap();
            (matches!(set.train.inputs, Inputs::U8(_)), set.scaling.is_none())
        };
        assert_eq!(
            [bytes(None), bytes(Some(Scale::Bytes)), bytes(Some(Scale::None))],
            [(true, true), (true, true), (false, false)]
        );
    }
}
