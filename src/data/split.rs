//! From the rows of files to the parts that a model is trained and evaluated on: parts are drawn at random, then features
//! are scaled by the training rows.

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::data::{
    Columns, Dataset, Inputs, Known, Options, Samples, Scale, Scaling, TargetScale, Targets, Task, classes,
};
use crate::error::{Error, Result};
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
}

impl Origin {
    /// The origin of `samples`, of which none were drawn yet.
    fn new(samples: &Samples) -> Self {
        let mut checksum = Crc::new();
        match &samples.inputs {
            Inputs::U8(values) => checksum.update(values),
            Inputs::F32(values) => checksum.update(bytemuck::cast_slice(values)),
        }
        checksum.update(samples.targets.as_bytes());
        Self { rows: samples.len(), checksum: checksum.sum(), test: None, validation: None }
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
    /// The validation part that --validation-split draws, or that was drawn in training
    Validation,
}

/// A data set as its files hold it: features are not scaled, and it has a test part only if its files do.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// Its name on the command line.
    pub name: String,
    /// The rows to train on, from which missing parts are drawn.
    pub train: Samples,
    /// The test part of its files.
    pub test: Option<Samples>,
    /// The names of the classes; a label is an index into them. Empty where targets are numbers.
    pub classes: Vec<String>,
    /// The standardisation, by all rows of its files, that targets have which are numbers; none where targets are classes.
    pub target_scale: Option<TargetScale>,
    /// (height, width) in pixels where rows are images.
    pub image: Option<(usize, usize)>,
    /// The columns of the files where they are tables.
    pub columns: Option<Columns>,
}

impl From<Dataset> for Raw {
    fn from(set: Dataset) -> Self {
        let Dataset { name, train, test, classes, target_scale, image, columns, .. } = set;
        Self { name, train, test: Some(test), classes, target_scale, image, columns }
    }
}

impl Raw {
    /// Splits the rows and scales the features. What is worth saying goes to `notes`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a test share where the files have a test part; [`Error::Data`] for too few rows to draw from, a
    /// single class, or a value that cannot be scaled.
    pub fn prepare(mut self, options: &Options, notes: &mut Vec<String>) -> Result<Dataset> {
        if self.train.task() == Task::Classes && self.classes.len() < 2 {
            let found = classes::list(&self.classes);
            return Err(Error::Data(format!(
                "{}: found a single class, {found}, expected at least two to tell apart",
                self.name
            )));
        }
        let share = options.test_split.or(self.test.is_none().then_some(TEST_SHARE));
        let origin = Origin { test: share, validation: options.validation_split, ..Origin::new(&self.train) };
        let test = self.draw_test(share, options.seed, notes)?;
        let validation = self.draw_validation(origin.validation, options.seed, notes)?;
        let read = self.read_scale();
        let Self { name, train, classes, image, columns, .. } = self;
        let test = test.unwrap_or_else(|| train.clone());
        let target_scale = read.as_ref().map(|read| TargetScale::fit(&read.undo(train.values()), read.names.clone()));
        let mut set =
            Dataset { name, train, test, validation, classes, target_scale, image, columns, scaling: None, origin };
        if let (Some(scale), Some(read)) = (&set.target_scale, &read) {
            for part in [&mut set.train, &mut set.test].into_iter().chain(&mut set.validation) {
                scale.replace(read, &set.name, &mut part.targets)?;
            }
        }
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

    /// The rows of `part`, prepared for the model that `known` describes. The rows that it was trained on are split as they
    /// were then, unless `options` say otherwise.
    ///
    /// # Errors
    /// [`Error::Data`] for a class or a width that the model does not have, [`Error::Usage`] for a part that does not exist,
    /// and those of [`Raw::prepare`].
    pub fn prepare_for(
        mut self,
        options: &Options,
        known: &Known<'_>,
        part: Part,
        notes: &mut Vec<String>,
    ) -> Result<Samples> {
        let (name, model) = (self.name.clone(), known.model);
        if self.train.width != known.width {
            let (found, expected) = (self.train.width, known.width);
            return Err(Error::Data(format!(
                "{name}: found {found} values a row, expected {expected}, as the model {model} takes"
            )));
        }
        self.check_targets(known)?;
        self.relabel(known)?;
        let read = self.read_scale();
        let origin = known.origin.filter(|origin| origin.same_rows(&Origin::new(&self.train)));
        if origin.is_some() {
            notes.push(format!("{name} is what {model} was trained on"));
        }
        let drawn = origin.and_then(|origin| origin.test).filter(|_| self.test.is_none());
        let test = self.draw_test(options.test_split.or(drawn), options.seed, notes)?;
        let share = options.validation_split.or(origin.and_then(|origin| origin.validation));
        let validation = self.draw_validation(share, options.seed, notes)?;
        let (what, mut samples) = match (part, test, validation) {
            (Part::Test, Some(test), _) => ("the test part", test),
            (Part::Validation, _, Some(validation)) => ("the validation part", validation),
            (Part::Validation, _, None) => {
                let message = format!("--part validation: {name} has none; draw one with --validation-split SHARE");
                return Err(Error::Usage(message));
            }
            (Part::Train, Some(_), _) | (Part::Train, None, Some(_)) => ("the training part", self.train),
            (Part::Train | Part::Test, None, _) => ("all rows, as there is no test part", self.train),
        };
        notes.push(format!("{} rows of {name}: {what}", samples.len()));
        known.scale(&name, &mut samples, options.scale, notes)?;
        if let Some(read) = read {
            let scale = known.target_scale.cloned().unwrap_or_else(|| TargetScale::none(read.names.clone()));
            scale.replace(&read, &name, &mut samples.targets)?;
        }
        Ok(samples)
    }

    /// The standardisation that targets which are numbers have been read with.
    fn read_scale(&self) -> Option<TargetScale> {
        let outputs = self.train.values().len() / self.train.len().max(1);
        let none = || TargetScale::none(crate::data::numbered(outputs));
        (self.train.task() == Task::Values).then(|| self.target_scale.clone().unwrap_or_else(none))
    }

    /// Checks that the targets are what the model predicts: classes, or as many numbers per row.
    fn check_targets(&self, known: &Known<'_>) -> Result<()> {
        let kind = |task, outputs: usize| match (task, outputs) {
            (Task::Classes, _) => "classes".to_owned(),
            (Task::Values, 1) => "a number per row".to_owned(),
            (Task::Values, _) => format!("{outputs} numbers per row"),
        };
        let own = self.read_scale().map_or(0, |scale| scale.names.len());
        let found = kind(self.train.task(), own);
        let outputs = known.target_scale.map_or(own, |scale| scale.names.len());
        let expected = kind(known.task, outputs);
        if found != expected {
            let (name, model) = (&self.name, known.model);
            return Err(Error::Data(format!(
                "{name}: found targets that are {found}, expected {expected}, as the model {model} predicts"
            )));
        }
        Ok(())
    }

    /// Gives the classes the numbers that they have in the model.
    fn relabel(&mut self, known: &Known<'_>) -> Result<()> {
        // Where a model's file names no classes, and those of the data are not its numbers, both are in the same order.
        let by_place = !known.described && self.classes.len() == known.classes.len();
        if by_place && !self.classes.iter().all(|class| known.classes.contains(class)) {
            return Ok(());
        }
        let mut numbering = classes::Numbering::of(&known.classes);
        let labels = [&mut self.train].into_iter().chain(&mut self.test).flat_map(|part| match &mut part.targets {
            Targets::Classes(labels) => &mut labels[..],
            Targets::Values(_) => &mut [],
        });
        for label in labels {
            let class = &self.classes[*label as usize];
            *label = numbering.number(class).map_err(|expected| {
                let (name, model) = (&self.name, known.model);
                Error::Data(format!("{name}: found the class {class:?}, expected {expected} of the model {model}"))
            })?;
        }
        self.classes = known.classes.to_vec();
        Ok(())
    }

    /// The test part: its own, or a share that is taken out of the training part.
    fn draw_test(&mut self, share: Option<f64>, seed: u64, notes: &mut Vec<String>) -> Result<Option<Samples>> {
        match (self.test.take(), share) {
            (Some(_), Some(_)) => {
                Err(Error::Usage(format!("--test-split: {} has a test part of its own; leave it out", self.name)))
            }
            (None, Some(share)) => {
                let rows = self.train.len();
                let test = self.draw(share, Draw::Test, seed)?;
                notes.push(format!(
                    "{} of {rows} rows, drawn with seed {seed}, are the test part (--test-split {share})",
                    test.len()
                ));
                Ok(Some(test))
            }
            (test, None) => Ok(test),
        }
    }

    /// The validation part: a share that is taken out of the training part.
    fn draw_validation(&mut self, share: Option<f64>, seed: u64, notes: &mut Vec<String>) -> Result<Option<Samples>> {
        let Some(share) = share else { return Ok(None) };
        let validation = self.draw(share, Draw::Validation, seed)?;
        let (rows, left) = (validation.len(), self.train.len());
        notes.push(format!("{rows} training rows are the validation part, {left} are left"));
        Ok(Some(validation))
    }

    fn draw(&mut self, share: f64, part: Draw, seed: u64) -> Result<Samples> {
        let (left, drawn) = draw(&self.name, &self.train, self.classes.len(), share, part, seed)?;
        self.train = left;
        Ok(drawn)
    }
}

impl Known<'_> {
    /// Scales raw `samples` of the file `name` as the model's training data were. Where the model's file does not say how,
    /// `scale` decides whether values are pixels (divided by 255) or stay as they are; without it, the values' look does.
    ///
    /// # Errors
    /// [`Error::Data`] for a value that cannot be scaled, [`Error::Usage`] for a scaling that must be fitted.
    pub fn scale(
        &self,
        name: &str,
        samples: &mut Samples,
        scale: Option<Scale>,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        if self.described && scale.is_some() {
            notes.push(format!("--scale is left aside: {} says how its features are scaled", self.model));
        }
        match (self.scaling, &samples.inputs) {
            (Some(scaling), _) => rescale(name, samples, scaling),
            (None, Inputs::U8(_)) => Ok(()),
            (None, Inputs::F32(values)) if self.described && are_bytes(values) => {
                samples.inputs = Inputs::U8(values.iter().map(|&value| value as u8).collect());
                Ok(())
            }
            (None, Inputs::F32(values)) => {
                let pixels = match scale {
                    _ if self.described => true,
                    Some(Scale::Bytes) => true,
                    Some(Scale::None) => false,
                    Some(_) => {
                        return Err(Error::Usage(format!(
                            "--scale: {} does not say what its features were fitted to; give 255 or none",
                            self.model
                        )));
                    }
                    None => {
                        let pixels =
                            self.image.is_some() && are_bytes(values) && values.iter().any(|&value| value > 1.0);
                        let read = if pixels { "value / 255 (--scale none: as they are)" } else { "they are" };
                        notes.push(format!("features of {name} are taken as {read}"));
                        pixels
                    }
                };
                if pixels {
                    rescale(name, samples, &Scaling::fit(Scale::Bytes, &[], samples.width))?;
                }
                Ok(())
            }
        }
    }
}

/// Whether all values are whole numbers from 0 to 255.
fn are_bytes(values: &[f32]) -> bool {
    values.iter().all(|value| value.fract() == 0.0 && (0.0..=255.0).contains(value))
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

/// Takes `share` of `samples` out at random: the same share of each class, except that at least one row of each is left.
/// Where targets are numbers, all rows count as one class. Returns what is left and what was drawn, both in the rows' order.
fn draw(
    name: &str,
    samples: &Samples,
    classes: usize,
    share: f64,
    part: Draw,
    seed: u64,
) -> Result<(Samples, Samples)> {
    let rows = u32::try_from(samples.len())
        .map_err(|_| Error::Data(format!("{name}: {} rows are more than 2^32 - 1", samples.len())))?;
    // One pile per class. The first row of each stays; of all others, pile after pile, every n-th is drawn.
    let mut piles = vec![Vec::new(); classes.max(1)];
    for row in random::draw(seed, part, rows) {
        let pile = samples.labels().get(row as usize).map_or(0, |&label| label as usize);
        piles[pile].push(row as usize);
    }
    let candidates: Vec<usize> = piles.iter().flat_map(|pile| pile.iter().skip(1)).copied().collect();
    let wanted = ((share * f64::from(rows)).round() as usize).clamp(1, candidates.len().max(1));
    if candidates.is_empty() {
        let what =
            if samples.task() == Task::Classes { "each class has a single row" } else { "there is a single row" };
        return Err(Error::Data(format!("{name}: {what}, so that none can be drawn: add rows")));
    }
    let mut drawn = vec![false; samples.len()];
    for (index, &row) in candidates.iter().enumerate() {
        let reached = |index: usize| (index as u128 * wanted as u128 / candidates.len() as u128) as usize;
        drawn[row] = reached(index + 1) > reached(index);
    }
    Ok((samples.select(|row| !drawn[row])?, samples.select(|row| drawn[row])?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// Rows of the features `[row, 3]`, as many of each class as `counts` says, mixed.
    fn raw(counts: &[usize]) -> Raw {
        let mut labels: Vec<u32> = (0..).zip(counts).flat_map(|(class, &count)| vec![class; count]).collect();
        labels = random::draw(9, Draw::Test, labels.len() as u32).iter().map(|&row| labels[row as usize]).collect();
        let inputs = Inputs::F32((0..labels.len()).flat_map(|row| [row as f32, 3.0]).collect());
        Raw {
            name: "some".into(),
            train: Samples::new(inputs, 2, labels).unwrap(),
            test: None,
            classes: crate::data::numbered(counts.len()),
            target_scale: None,
            image: None,
            columns: None,
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
        let parts = [&set.train, &set.test, set.validation.as_ref().unwrap()];
        let mut rows = Vec::new();
        for part in parts {
            let numbers: Vec<usize> = part.inputs.to_f32().iter().step_by(2).map(|&row| row as usize).collect();
            assert!(numbers.is_sorted() && part.inputs.to_f32().iter().skip(1).step_by(2).all(|&value| value == 3.0));
            assert!(numbers.iter().zip(part.labels()).all(|(&row, label)| raw(&all).train.labels()[row] == *label));
            rows.extend(numbers);
        }
        rows.sort_unstable();
        assert_eq!(rows, (0..350).collect::<Vec<_>>());
        let test = counts(&set.test, 3);
        assert!(test.iter().zip([20, 40, 10]).all(|(found, share)| found.abs_diff(share) <= 1), "{test:?}");
        assert_eq!((set.test.len(), parts[2].len()), (70, 28));
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
        assert!(counts(&set.train, 4).iter().all(|&count| count > 0) && set.test.len() == 41);
        assert_eq!(prepare(&[2, 2], 0.01, None, 0).unwrap().test.len(), 1);
        let error = prepare(&[1, 1], 0.5, None, 0).unwrap_err().to_string();
        assert!(error.contains("single row"), "{error}");
        assert!(prepare(&[10], 0.5, None, 0).unwrap_err().to_string().contains("a single class, \"0\""));
    }

    /// Rows of the features `[row, 3]` with the target `1000 + row`, and its triple as a second one if there are two.
    fn numbers(rows: usize, outputs: usize) -> Raw {
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
            assert_eq!((set.train.len(), set.test.len(), validation.len()), (60, 20, 20));
            assert_eq!((set.task(), set.outputs(), set.classes.len()), (Task::Values, outputs, 0));
            let scale = set.target_scale.as_ref().unwrap();
            assert_eq!(scale.names, ["price", "triple"][..outputs]);
            let sum: f32 = set.train.values().iter().sum();
            let squares: f32 = set.train.values().iter().map(|value| value * value).sum();
            assert!(sum.abs() < 1e-3 && (squares / (60 * outputs) as f32 - 1.0).abs() < 1e-4, "{sum} {squares}");
            // Every row is in one part, and its target comes back in its own unit.
            let mut rows = Vec::new();
            for part in [&set.train, &set.test, validation] {
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
    fn rows_for_a_model_of_numbers_take_its_scale_and_its_parts() {
        let options = Options { test_split: Some(0.2), scale: Some(Scale::None), seed: 4, ..Options::default() };
        let set = numbers(50, 1).prepare(&options, &mut Vec::new()).unwrap();
        let known = Known {
            model: "m",
            width: 2,
            classes: Cow::Borrowed(&[]),
            task: Task::Values,
            target_scale: set.target_scale.as_ref(),
            columns: None,
            image: None,
            scaling: set.scaling.as_ref(),
            origin: Some(&set.origin),
            described: true,
        };
        let rows = |raw: Raw, known: &Known<'_>, part| {
            raw.prepare_for(&Options { seed: 4, ..Options::default() }, known, part, &mut Vec::new())
        };
        assert_eq!(rows(numbers(50, 1), &known, Part::Test).unwrap(), set.test);
        assert_eq!(rows(numbers(50, 1), &known, Part::Train).unwrap(), set.train);
        // Other rows are standardised by the model's numbers, not by their own.
        let other = rows(numbers(2, 1), &known, Part::Test).unwrap();
        let scale = set.target_scale.as_ref().unwrap();
        assert_eq!(other.values()[1], ((1001.0 - scale.mean[0]) / scale.deviation[0]) as f32);
        let plain = Known { target_scale: None, ..known.clone() };
        assert_eq!(rows(numbers(2, 1), &plain, Part::Test).unwrap().values(), [1000.0, 1001.0]);
        let mut changed = numbers(50, 1);
        changed.train.targets = Targets::Values(vec![0.0; 50]);
        assert_eq!(rows(changed, &known, Part::Test).unwrap().len(), 50, "other targets are other rows");

        for (raw, parts) in [
            (raw(&[1, 1]), ["found targets that are classes", "a number per row"]),
            (numbers(2, 2), ["found targets that are 2 numbers per row", "expected a number"]),
        ] {
            let error = rows(raw, &known, Part::Test).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        let classes = ["0".to_owned(), "1".to_owned()];
        let classes = Known { task: Task::Classes, target_scale: None, classes: Cow::Borrowed(&classes), ..known };
        let error = rows(numbers(2, 1), &classes, Part::Test).unwrap_err().to_string();
        assert!(error.contains("a number per row, expected classes"), "{error}");
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
        let test: Vec<f32> = set.test.inputs.to_f32().iter().step_by(2).copied().collect();
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

    #[test]
    fn rows_for_a_model_take_its_classes_and_scaling() {
        let scaling = Scaling { offset: vec![1.0, 1.0], divisor: vec![2.0, 2.0] };
        let classes = ["1".to_owned(), "0".to_owned()];
        let known = Known {
            model: "m",
            width: 2,
            classes: Cow::Borrowed(&classes),
            task: Task::Classes,
            target_scale: None,
            columns: None,
            image: None,
            scaling: Some(&scaling),
            origin: None,
            described: true,
        };
        let rows =
            |raw: Raw, known: &Known<'_>| raw.prepare_for(&Options::default(), known, Part::Test, &mut Vec::new());
        let samples = rows(raw(&[1, 1]), &known).unwrap();
        assert_eq!(samples.inputs, Inputs::F32(vec![-0.5, 1.0, 0.0, 1.0]));
        assert!(samples.labels().iter().zip(raw(&[1, 1]).train.labels()).all(|(new, old)| *new == 1 - old));
        let bytes = Known { scaling: None, ..known.clone() };
        assert_eq!(rows(raw(&[1, 1]), &bytes).unwrap().inputs, Inputs::U8(vec![0, 3, 1, 3]));
        let mut halves = raw(&[1, 1]);
        halves.train.inputs = Inputs::F32(vec![0.5; 4]);
        assert_eq!(rows(halves, &bytes).unwrap().inputs.to_f32()[1], 0.5 / 255.0);
        assert!(rows(raw(&[1, 1, 1]), &known).unwrap_err().to_string().contains("the class \"2\""));
        assert!(rows(raw(&[1, 1]), &Known { width: 3, ..known.clone() }).is_err());
        let mut far = raw(&[1, 1]);
        far.train.inputs = Inputs::F32(vec![f32::MAX; 4]);
        let wide = Scaling { offset: vec![f32::MIN; 2], divisor: vec![1.0; 2] };
        let error = rows(far, &Known { scaling: Some(&wide), ..known }).unwrap_err().to_string();
        assert!(error.contains("feature 1"), "{error}");
    }

    #[test]
    fn a_model_is_evaluated_on_the_rows_that_its_training_held_out() {
        let options = Options {
            test_split: Some(0.2),
            validation_split: Some(0.1),
            scale: Some(Scale::None),
            seed: 4,
            ..Options::default()
        };
        let set = raw(&[50, 70]).prepare(&options, &mut Vec::new()).unwrap();
        let known = Known {
            model: "m",
            width: 2,
            classes: Cow::Borrowed(&set.classes),
            task: Task::Classes,
            target_scale: None,
            columns: None,
            image: None,
            scaling: set.scaling.as_ref(),
            origin: Some(&set.origin),
            described: true,
        };
        let rows = |raw: Raw, part| {
            raw.prepare_for(&Options { seed: 4, ..Options::default() }, &known, part, &mut Vec::new()).unwrap()
        };
        assert_eq!(rows(raw(&[50, 70]), Part::Test), set.test);
        assert_eq!(rows(raw(&[50, 70]), Part::Train), set.train);
        assert_eq!(Some(rows(raw(&[50, 70]), Part::Validation)), set.validation);
        let mut other = raw(&[50, 70]);
        let mut labels = other.train.labels().to_vec();
        labels[0] = 1 - labels[0];
        other.train.targets = Targets::Classes(labels);
        assert_eq!(rows(other, Part::Test).len(), 120);
        assert_eq!(rows(raw(&[50, 69]), Part::Test).len(), 119);
    }
}
