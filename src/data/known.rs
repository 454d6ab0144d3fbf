//! Reading data as a model knows them: its columns, classes, scaling and targets, and the parts that its training drew.

use std::borrow::Cow;
use std::path::Path;

use super::arrays::{Look, Precision};
use super::split::rescale;
use super::{
    COLOURS, Columns, Form, Framing, Inputs, Note, Options, Origin, Part, Range, Raw, Samples, Scale, Scaling, Schema,
    TargetScale, Targets, Task, catalogue, channels, classes,
};
use crate::error::{Error, Remedy, Result};

/// A model's knowledge of its training data. Other data are read into the same form.
#[derive(Debug, Clone, PartialEq)]
pub struct Known<'a> {
    /// The name of the model in messages.
    pub model: &'a str,
    /// Number of values per row.
    pub width: usize,
    /// The names of the classes. Empty for a model that predicts numbers.
    pub classes: Cow<'a, [String]>,
    /// The kind of targets.
    pub task: Task,
    /// The standardisation of targets that are numbers; none for classes, or where targets stay as they are.
    pub target_scale: Option<&'a TargetScale>,
    /// The columns of the files where they were tables.
    pub columns: Option<&'a Columns>,
    /// What these columns become; none where all are numbers, as in older models.
    pub schema: Option<&'a Schema>,
    /// (height, width) in pixels where rows are images.
    pub image: Option<(usize, usize)>,
    /// How image files become rows.
    pub framing: Framing,
    /// The data set that it was trained on, and how image files of it did.
    pub trained_on: Option<(&'a str, Framing)>,
    /// The scaling of the features; none where they were bytes, taken as `value / 255`.
    pub scaling: Option<&'a Scaling>,
    /// What the values of the arrays or images that it learnt from stood for, where its file says it.
    pub range: Option<Range>,
    /// Whether its file says that rows are images.
    pub of_images: bool,
    /// Whether its training put images upright that lay on their side, where the user said it.
    pub transpose: Option<bool>,
    /// The rows that it was trained on, where they are known.
    pub origin: Option<&'a Origin>,
    /// Whether the model's file says all this. Otherwise classes are numbers, and it is not known whether features are scaled.
    pub described: bool,
}

impl Raw {
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
        notes: &mut Vec<Note>,
    ) -> Result<Samples> {
        let (name, model) = (self.name.clone(), known.model);
        if self.train.width != known.width {
            let (found, expected) = (self.train.width, known.width);
            return Err(Error::Data(format!(
                "{name}: found {found} values per row, expected {expected}, as the model {model} takes"
            )));
        }
        self.check_targets(known)?;
        self.relabel(known, notes)?;
        let read = self.read_scale();
        let origin = known.origin.filter(|origin| origin.same_rows(&Origin::new(&self.train)));
        if origin.is_some() {
            notes.push(format!("{name} is what {model} was trained on").into());
        }
        let drawn = origin.and_then(|origin| origin.test).filter(|_| self.test.is_none());
        let test = self.draw_test(options.test_split.or(drawn).filter(|share| *share > 0.0), options.seed, notes)?;
        let share =
            options.validation_split.or(origin.and_then(|origin| origin.validation)).filter(|share| *share > 0.0);
        let validation = self.draw_validation(share, options.seed, notes)?;
        let (what, mut samples) = match (part, test, validation) {
            (Part::Test, Some(test), _) => ("the test part", test),
            (Part::Validation, _, Some(validation)) => ("the validation part", validation),
            (Part::Validation, _, None) => {
                let error = Error::Usage(format!("{name} has no validation part"));
                return Err(error.advise(&[Remedy::Option("validation_split")]));
            }
            (Part::Train, Some(_), _) | (Part::Train, None, Some(_)) => ("the training part", self.train),
            (Part::Train | Part::Test, None, _) => ("all rows, as there is no test part", self.train),
        };
        notes.push(format!("{} rows of {name}: {what}", samples.len()).into());
        known.scale(&name, &mut samples, options.scale, notes)?;
        if let Some(read) = read {
            let scale = known.target_scale.cloned().unwrap_or_else(|| TargetScale::none(read.names.clone()));
            scale.replace(&read, &name, &mut samples.targets)?;
        }
        Ok(samples)
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
    fn relabel(&mut self, known: &Known<'_>, notes: &mut Vec<Note>) -> Result<()> {
        // Where a model's file names no classes, and those of the data are not its numbers, both are in the same order.
        let by_place = !known.described && self.classes.len() == known.classes.len();
        if by_place && !self.classes.iter().all(|class| known.classes.contains(class)) {
            return Ok(());
        }
        let mut numbering = classes::Numbering::of(&known.classes);
        let parts = [&mut self.train].into_iter().chain(&mut self.test).chain(&mut self.validation);
        let labels = parts.flat_map(|part| match &mut part.targets {
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
        notes.extend(numbering.note());
        self.classes = known.classes.to_vec();
        Ok(())
    }
}

impl Known<'_> {
    /// What the values of the array or file `name` at `path`, which look so, stand for: the same as in training, or another range
    /// of pixels, with a note. None where its file does not say what they stood for, so that they stay as they are.
    ///
    /// # Errors
    /// [`Error::File`] for values that can be no pixels, where training's were.
    pub(super) fn range_of(
        &self,
        path: &Path,
        name: &str,
        look: &Look,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Range>> {
        // Older files say no range, but bytes are bytes.
        let bytes = self.described && self.scaling.is_none() && self.columns.is_none();
        let Some(own) = self.range.or(bytes.then_some(Range::BYTES)) else { return Ok(None) };
        let range = own.of_more(look).map_err(|found| {
            Error::file(path, format!("{found} in {name}"), format!("{own}, as {} takes", self.model))
        })?;
        if range != own {
            notes.push(format!("{name} holds {range}, taken as such, where {} learnt from {own}", self.model).into());
        }
        Ok(Some(range))
    }

    /// Numbers of a text file at `path` as the pixels that they stand for, where the model learnt from pixels in arrays or images.
    ///
    /// # Errors
    /// [`Error::File`] for values that can be no pixels.
    pub fn pixels(&self, path: &Path, inputs: Inputs, notes: &mut Vec<Note>) -> Result<Inputs> {
        if self.columns.is_some() {
            return Ok(inputs);
        }
        let look = Look::of(std::iter::once((&inputs, Precision::SINGLE)));
        Ok(match self.range_of(path, "its rows", &look, notes)? {
            Some(range) => range.bring(inputs, Precision::SINGLE.near),
            None => inputs,
        })
    }

    /// What image files become, framed in this way; messages call them `path`.
    ///
    /// # Errors
    /// [`Error::File`] where the model takes no images, [`Error::Usage`] where it takes none that are framed so.
    pub fn form(&self, path: &Path, framing: Framing) -> Result<Form> {
        let (model, width) = (self.model, self.width);
        let image = self.image.and_then(|size| Some((size, channels(size, width)?)));
        let Some((size, channels)) = image else {
            return Err(Error::file(path, "an image", format!("rows of {width} features, as {model} takes")));
        };
        let form = Form { framing, size, colour: channels == COLOURS };
        if framing == Framing::Mnist && form != Form::MNIST {
            let ((height, width), colour) = (size, if form.colour { " in colour" } else { "" });
            let message = format!(
                "images framed as MNIST's digits are grey and of 28 x 28, and {model} takes {height} x {width}{colour}"
            );
            return Err(Error::Usage(message));
        }
        Ok(form)
    }

    /// How image files in the folder `path` become rows: as they did in training where it is the same, so that rows are known again.
    pub(super) fn framing_of(&self, path: &Path) -> Framing {
        let same = |(trained, _): &(&str, Framing)| {
            catalogue::set(trained).is_none() && Path::new(trained).canonicalize().ok() == path.canonicalize().ok()
        };
        self.trained_on.filter(same).map_or(self.framing, |(_, framing)| framing)
    }

    /// Scales raw `samples` of the file `name` as the model's training data were. Where the model's file does not say how,
    /// `scale` decides whether values are pixels (divided by 255) or stay as they are; without it, the values' look does.
    ///
    /// # Errors
    /// [`Error::Data`] for a value that cannot be scaled, [`Error::Usage`] for a scaling that must be fitted.
    pub fn scale(&self, name: &str, samples: &mut Samples, scale: Option<Scale>, notes: &mut Vec<Note>) -> Result<()> {
        if self.described && scale.is_some() {
            notes.push(
                format!("the scale that was given is left aside: {} says how its features are scaled", self.model)
                    .into(),
            );
        }
        match (self.scaling, &samples.inputs) {
            (Some(scaling), _) => rescale(name, samples, scaling),
            (None, Inputs::U8(_)) if self.described => Ok(()),
            (None, Inputs::F32(values)) if self.described && are_bytes(values) => {
                samples.inputs = Inputs::U8(values.iter().map(|&value| value as u8).collect());
                Ok(())
            }
            (None, inputs) => {
                let pixels = self.described || self.divides(name, &inputs.to_f32(), scale, notes)?;
                match inputs {
                    Inputs::U8(_) if pixels => Ok(()),
                    Inputs::U8(bytes) => {
                        samples.inputs = Inputs::F32(bytes.iter().map(|byte| f32::from(*byte)).collect());
                        Ok(())
                    }
                    Inputs::F32(_) if pixels => rescale(name, samples, &Scaling::fit(Scale::Bytes, &[], samples.width)),
                    Inputs::F32(_) => Ok(()),
                }
            }
        }
    }

    /// Whether the features `values` of the file `name` are divided by 255 for a model of other software: as `scale` says, else
    /// where they are bytes of images.
    fn divides(&self, name: &str, values: &[f32], scale: Option<Scale>, notes: &mut Vec<Note>) -> Result<bool> {
        match scale {
            Some(Scale::Bytes) => Ok(true),
            Some(Scale::None) => Ok(false),
            Some(_) => Err(Error::Usage(format!(
                "{} does not say what its features were fitted to: the scale can be 255 or none",
                self.model
            ))),
            None => {
                let pixels = self.image.is_some() && are_bytes(values) && values.iter().any(|&value| value > 1.0);
                let read = if pixels { "value / 255" } else { "they are" };
                notes.push(Note::new(format!("features of {name} are taken as {read}"), "scale"));
                Ok(pixels)
            }
        }
    }
}

/// Whether all values are whole numbers from 0 to 255.
pub(super) fn are_bytes(values: &[f32]) -> bool {
    values.iter().all(|value| value.fract() == 0.0 && (0.0..=255.0).contains(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::split::tests::{numbers, raw};
    use super::*;

    #[test]
    fn rows_for_a_model_take_its_classes_and_scaling() {
        let scaling = Scaling { offset: vec![1.0, 1.0], divisor: vec![2.0, 2.0], clip: None };
        let classes = ["1".to_owned(), "0".to_owned()];
        let known = Known {
            model: "m",
            width: 2,
            classes: Cow::Borrowed(&classes),
            task: Task::Classes,
            target_scale: None,
            columns: None,
            schema: None,
            image: None,
            framing: Framing::Resize,
            trained_on: None,
            scaling: Some(&scaling),
            range: None,
            of_images: false,
            transpose: None,
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
        let wide = Scaling { offset: vec![f32::MIN; 2], divisor: vec![1e-3; 2], clip: None };
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
            schema: None,
            image: None,
            framing: Framing::Resize,
            trained_on: None,
            scaling: set.scaling.as_ref(),
            range: None,
            of_images: false,
            transpose: None,
            origin: Some(&set.origin),
            described: true,
        };
        let rows = |raw: Raw, part| {
            raw.prepare_for(&Options { seed: 4, ..Options::default() }, &known, part, &mut Vec::new()).unwrap()
        };
        assert_eq!(rows(raw(&[50, 70]), Part::Test), *set.test.unwrap());
        assert_eq!(rows(raw(&[50, 70]), Part::Train), *set.train);
        assert_eq!(rows(raw(&[50, 70]), Part::Validation), *set.validation.unwrap());
        let mut other = raw(&[50, 70]);
        let mut labels = other.train.labels().to_vec();
        labels[0] = 1 - labels[0];
        other.train.targets = Targets::Classes(labels);
        assert_eq!(rows(other, Part::Test).len(), 120);
        assert_eq!(rows(raw(&[50, 69]), Part::Test).len(), 119);
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
            schema: None,
            image: None,
            framing: Framing::Resize,
            trained_on: None,
            scaling: set.scaling.as_ref(),
            range: None,
            of_images: false,
            transpose: None,
            origin: Some(&set.origin),
            described: true,
        };
        let rows = |raw: Raw, known: &Known<'_>, part| {
            raw.prepare_for(&Options { seed: 4, ..Options::default() }, known, part, &mut Vec::new())
        };
        assert_eq!(rows(numbers(50, 1), &known, Part::Test).unwrap(), *set.test.unwrap());
        assert_eq!(rows(numbers(50, 1), &known, Part::Train).unwrap(), *set.train);
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
}
