//! A table to learn from: its rows are drawn into parts, its columns decided on, and all of it encoded and scaled.

use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::frame::{Frame, Held};
use super::{Expectation, OTHERWISE, Wanted, check_missing, no_labels, read_like};
use crate::data::schema::{self, Encoding, Profile, Range, Rules};
use crate::data::split::{self, Drawn, Origin};
use crate::data::targets::Cells;
use crate::data::{Dataset, Inputs, Note, Options, Raw, Samples, Schema};
use crate::error::{Error, Remedy, Result};
use crate::random::Draw;

/// The rows of a file to learn from, before it is decided what their columns become.
#[derive(Clone)]
pub struct Table {
    pub(super) path: PathBuf,
    pub(super) frame: Frame,
    pub(super) targets: Cells,
    /// How much each row weighs in training; none where all weigh the same.
    pub(super) weights: Option<Vec<f32>>,
    /// The group of each row, where rows belong together.
    pub(super) groups: Option<Vec<u32>>,
    pub(super) columns: Columns,
    pub(super) rules: Rules,
}

impl Table {
    /// Splits the rows, decides by those to learn from what columns become, encodes all and scales them.
    ///
    /// # Errors
    /// Those of [`Raw::prepare`], and of the reading of the test part.
    pub fn prepare(self, options: &Options, notes: &mut Vec<Note>) -> Result<Dataset> {
        self.part(None, options, notes)
    }

    /// The same with the rows that `held_back` marks as the test part.
    ///
    /// # Errors
    /// As [`Table::prepare`].
    pub(in crate::data) fn hold_back(
        &self,
        held_back: &[bool],
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> Result<Dataset> {
        self.clone().part(Some(held_back), options, notes)
    }

    fn part(self, held_back: Option<&[bool]>, options: &Options, notes: &mut Vec<Note>) -> Result<Dataset> {
        let Self { path, frame, targets, weights, columns, rules, .. } = self;
        let name = path.display().to_string();
        let classes = targets.classes().to_vec();
        let expected = Expectation::of(&targets);
        let read_scale = targets.scale_without(held_back.unwrap_or_default(), || vec![columns.output()]);
        let rows = frame.rows();
        let labelled = targets.with(Inputs::F32(vec![0.0; rows]), 1, read_scale.as_ref())?;
        split::check_classes(&name, labelled.task(), &classes)?;
        let own = options.test.is_some() || held_back.is_some();
        let test_share = split::share_of_test(&name, options, own)?;
        let parts = draw(&name, &labelled, (classes.len(), test_share, held_back), options, notes)?;
        let schema = if options.plain {
            numbers_alone(&path, &frame, &columns)?
        } else {
            let fitted = schema::fit(&path, &frame, &columns, &|row| parts[row] == TRAIN, &rules, notes)?.0;
            Schema { missing_values: options.missing_values.clone(), ..fitted }
        };
        let encoding = Encoding::new(&schema, &frame, rules.comma);
        let places = frame.places.clone();
        let encoded = encoding.apply(frame, 3, |row| parts[row]);
        check_missing(&path, &schema, &columns, &encoded.met, &places).map_err(|error| error.advise(&OTHERWISE))?;
        let mut checksum = encoded.checksum;
        checksum.update(labelled.targets.as_bytes());
        if let Some(weights) = &weights {
            checksum.update(bytemuck::cast_slice(weights));
        }
        let origin = Origin {
            rows,
            checksum: checksum.sum(),
            test: test_share,
            validation: options.validation_split,
            seed: Some(options.seed),
        };
        let mut inputs = encoded.parts.into_iter();
        let mut part = |wanted: usize| -> Result<Option<Samples>> {
            let inputs = Inputs::F32(inputs.next().unwrap_or_default());
            let targets = labelled.targets.select(rows, |row| parts[row] == wanted);
            Ok((!targets.is_empty()).then_some(Samples {
                inputs,
                width: schema.width(),
                targets,
                image: None,
                weights: weights.as_ref().map(|weights| {
                    weights.iter().zip(&parts).filter(|(_, part)| **part == wanted).map(|(weight, _)| *weight).collect()
                }),
            }))
        };
        let train = part(TRAIN)?.ok_or_else(|| Error::Data(format!("{name}: no row is left to learn from")))?;
        if let Some(weights) = &train.weights {
            let sum: f32 = weights.iter().sum();
            if !sum.is_finite() || sum <= 0.0 {
                let found = format!("weights of a sum of {sum} in the rows to learn from");
                return Err(
                    Error::file(&path, found, "one above 0 that float32 can hold").advise(&[Remedy::Option("weight")])
                );
            }
        }
        let (mut test, validation) = (part(TEST)?, part(VALIDATION)?);
        if let Some(file) = &options.test {
            let wanted = Wanted { columns: &columns, schema: &schema, expected: expected.borrow() };
            let rows = read_like(file, None, options, &wanted, true, notes)?;
            let cells = rows.cells.ok_or_else(|| no_labels(file))?;
            test = Some(cells.with(Inputs::F32(rows.features), schema.width(), read_scale.as_ref())?);
        }
        let drawn = Drawn {
            name,
            parts: (train, test, validation),
            classes,
            read_scale,
            columns: Some(columns),
            schema: (!options.plain).then_some(schema),
            range: None,
            origin,
        };
        drawn.finish(options)
    }

    /// Its rows as those of a model that does not say what columns become: all but the label's are numbers.
    ///
    /// # Errors
    /// [`Error::File`] for missing cells.
    pub fn plain(self) -> Result<Raw> {
        let Self { path, frame, targets, columns, rules, .. } = self;
        let schema = numbers_alone(&path, &frame, &columns)?;
        let places = frame.places.clone();
        let encoded = Encoding::new(&schema, &frame, rules.comma).apply(frame, 1, |_| 0);
        check_missing(&path, &schema, &columns, &encoded.met, &places)?;
        let target_scale = targets.scale(|| vec![columns.output()]);
        let classes = targets.classes().to_vec();
        let inputs = Inputs::F32(encoded.parts.into_iter().next().unwrap_or_default());
        let train = targets.with(inputs, schema.width(), target_scale.as_ref())?;
        let name = path.display().to_string();
        Ok(Raw {
            name,
            train,
            test: None,
            validation: None,
            classes,
            target_scale,
            columns: Some(columns),
            range: None,
        })
    }

    /// What its columns hold, and what they would become if all rows were learnt from.
    ///
    /// # Errors
    /// [`Error::File`] for numbers among which a few cells are text, and for a table of which no feature is left.
    pub fn profile(&self, notes: &mut Vec<Note>) -> Result<(Vec<Profile>, Schema)> {
        let Self { path, frame, targets, columns, rules, .. } = self;
        let (schema, mut profiles) = schema::fit(path, frame, columns, &|_| true, rules, notes)?;
        profiles[columns.label].range = match targets {
            Cells::Classes { names, labels } => {
                let mut frequent: Vec<(String, usize)> = names.iter().map(|name| (name.clone(), 0)).collect();
                labels.iter().for_each(|label| frequent[*label as usize].1 += 1);
                // Of equally frequent ones in the order of their names.
                frequent.sort_by(|(_, a), (_, b)| b.cmp(a));
                frequent.truncate(8);
                Range::Texts { different: names.len(), frequent }
            }
            Cells::Values(values) => Range::Numbers {
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            },
        };
        Ok((profiles, schema))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.rows()
    }

    /// The class of each row; empty where the targets are numbers.
    pub(in crate::data) fn labels(&self) -> &[u32] {
        match &self.targets {
            Cells::Classes { labels, .. } => labels,
            Cells::Values(_) => &[],
        }
    }

    /// The group of each row, where rows belong together.
    pub(in crate::data) fn groups(&self) -> Option<&[u32]> {
        self.groups.as_deref()
    }

    /// The names of the classes; empty where the targets are numbers.
    pub fn classes(&self) -> &[String] {
        self.targets.classes()
    }
}

/// The schema of a table for a model that does not say what text becomes.
fn numbers_alone(path: &Path, frame: &Frame, columns: &Columns) -> Result<Schema> {
    match (0..columns.count).find(|index| matches!(frame.held[*index], Held::Text { .. })) {
        Some(index) => {
            let found = format!("text in {}", columns.name(index));
            Err(Error::file(path, found, "numbers alone, as the model does not say what text becomes"))
        }
        None => Ok(Schema::of_numbers(columns)),
    }
}

/// The parts of a table's rows.
const TRAIN: usize = 0;
const TEST: usize = 1;
const VALIDATION: usize = 2;

/// The part of each row: drawn as those of other data are.
fn draw(
    name: &str,
    samples: &Samples,
    (classes, test, held_back): (usize, Option<f64>, Option<&[bool]>),
    options: &Options,
    notes: &mut Vec<Note>,
) -> Result<Vec<usize>> {
    let rows = samples.len();
    let mut parts = vec![TRAIN; rows];
    let held_back = held_back.unwrap_or_default().iter();
    parts.iter_mut().zip(held_back).filter(|(_, held_back)| **held_back).for_each(|(part, _)| *part = TEST);
    for (share, part, kind) in [(test, TEST, Draw::Test), (options.validation_split, VALIDATION, Draw::Validation)] {
        let Some(share) = share else { continue };
        let left: Vec<usize> = (0..rows).filter(|row| parts[*row] == TRAIN).collect();
        let labels: Vec<u32> = left.iter().filter_map(|row| samples.labels().get(*row).copied()).collect();
        let drawn = split::pick(name, &labels, left.len(), classes, share, kind, options.seed)?;
        left.iter().zip(&drawn).filter(|(_, drawn)| **drawn).for_each(|(row, _)| parts[*row] = part);
        let count = drawn.iter().filter(|drawn| **drawn).count();
        notes.push(split::told(part == TEST, count, left.len(), share, options.seed));
    }
    Ok(parts)
}
