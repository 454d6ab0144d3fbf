//! Folds for cross-validation: each row is held back once, and what is decided by the rows to learn from (features,
//! scaling) is decided anew without it.

use std::sync::Arc;

use super::csv::Table;
use super::split::{pick, share_of_test};
use super::{Dataset, ENOUGH_TO_VALIDATE, Found, Inputs, Note, Options, Raw, Samples, Scale, View, converted, read};
use crate::error::{Error, Remedy, Result};
use crate::random::{self, Draw};

/// A fold: its rows, which are held back, and all others, which are learnt from.
#[derive(Debug, Clone)]
pub struct Fold {
    /// The rows that are held back, by their numbers from 0 in the order of the source.
    pub rows: Vec<u32>,
    /// What there is to know of the data; its parts are those of this fold, or, where folds share their samples, all rows.
    pub dataset: Arc<Dataset>,
    /// What is learnt from.
    pub train: View,
    /// What is held back.
    pub test: View,
    /// What is taken out of the others to choose an epoch by, if wanted.
    pub validation: Option<View>,
}

/// A source whose rows are to be divided.
pub struct Folding {
    source: Source,
    options: Options,
}

enum Source {
    Table(Box<Table>),
    /// Rows whose scaling depends on the rows that are learnt from.
    Rows(Box<Raw>),
    /// Rows that are what they are: all folds share them.
    Shared(Arc<Dataset>),
}

impl Source {
    /// The training part of `raw`.
    fn of(mut raw: Box<Raw>, options: &Options, notes: &mut Vec<Note>) -> Result<Self> {
        if options.groups.is_some() {
            let message = format!("{}: groups are a column of a table, and this is none", raw.name);
            return Err(Error::Usage(message).advise(&[Remedy::Without("groups")]));
        }
        if raw.test.take().is_some() {
            let name = &raw.name;
            notes.push(
                format!("the test part of {name} is left aside: the folds are those of its training part").into(),
            );
        }
        if raw.validation.take().is_some() {
            notes.push(format!("the validation part of {} is left aside", raw.name).into());
        }
        if matches!(raw.train.inputs, Inputs::U8(_)) && matches!(options.scale, None | Some(Scale::Bytes)) {
            let all = Options { test_split: Some(0.0), validation_split: None, ..options.clone() };
            Ok(Self::Shared(Arc::new(raw.prepare(&all, notes)?)))
        } else {
            Ok(Self::Rows(raw))
        }
    }
}

impl Folding {
    /// Reads `source` whole. A test part of its own is left aside; notes are for the user.
    ///
    /// # Errors
    /// Those of [`super::load`].
    pub fn read(source: &str, options: &Options) -> Result<(Self, Vec<Note>)> {
        let mut notes = Vec::new();
        let source = match read(source, options, None, &mut notes)? {
            Found::Table(table) => Source::Table(table),
            Found::Rows(raw) => Source::of(raw, options, &mut notes)?,
            Found::Converted(set) => Source::of(Box::new(converted::raw(*set)?), options, &mut notes)?,
        };
        Ok((Self { source, options: options.clone() }, notes))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.source {
            Source::Table(table) => table.rows(),
            Source::Rows(raw) => raw.train.len(),
            Source::Shared(dataset) => dataset.train.len(),
        }
    }

    /// The rows of `count` folds, drawn with `seed`: the same share of each class in all, or whole groups of rows in as even a
    /// number of rows as groups allow.
    ///
    /// # Errors
    /// [`Error::Usage`] for more folds than there are rows or groups to divide.
    pub fn draw(&self, count: usize, seed: u64) -> Result<Vec<Vec<u32>>> {
        let rows = self.rows();
        let order = random::draw(
            seed,
            Draw::Folds,
            u32::try_from(rows).map_err(|_| Error::Data(format!("{rows} rows are more than 2^32 - 1")))?,
        );
        let (labels, groups): (&[u32], _) = match &self.source {
            Source::Table(table) => (table.labels(), table.groups()),
            Source::Rows(raw) => (raw.train.labels(), None),
            Source::Shared(dataset) => (dataset.train.labels(), None),
        };
        let mut folds = vec![Vec::new(); count];
        match groups {
            Some(groups) => {
                for (fold, group) in whole_groups(&order, groups, count)? {
                    folds[fold].extend(group);
                }
            }
            None if count > rows || count < 2 => {
                return Err(Error::Usage(format!("{rows} rows do not make {count} folds: give from 2 to {rows}")));
            }
            None => {
                // One pile per class, dealt out one after the other.
                let classes = labels.iter().max().map_or(1, |most| *most as usize + 1);
                let mut piles = vec![Vec::new(); classes];
                order
                    .iter()
                    .for_each(|&row| piles[labels.get(row as usize).map_or(0, |&label| label as usize)].push(row));
                piles.into_iter().flatten().enumerate().for_each(|(index, row)| folds[index % count].push(row));
            }
        }
        folds.iter_mut().for_each(|fold| fold.sort_unstable());
        Ok(folds)
    }

    /// The fold of `rows`, which are held back. A validation part is drawn from the others with `seed` where the options say so.
    ///
    /// # Errors
    /// Those of [`super::load`].
    pub fn fold(&self, rows: Vec<u32>, seed: u64, notes: &mut Vec<Note>) -> Result<Fold> {
        let mut held_back = vec![false; self.rows()];
        rows.iter().for_each(|&row| held_back[row as usize] = true);
        let options = Options { seed, ..self.options.clone() };
        let of_dataset = |rows: Vec<u32>, dataset: Dataset| -> Result<Fold> {
            let test = dataset.test.as_ref().ok_or_else(|| Error::Data("a fold without rows".into()))?;
            let (train, test) = (View::from(&dataset.train), View::from(test));
            let validation = dataset.validation.as_ref().map(View::from);
            Ok(Fold { rows, train, test, validation, dataset: Arc::new(dataset) })
        };
        match &self.source {
            Source::Table(table) => {
                let enough = self.rows() - rows.len() >= ENOUGH_TO_VALIDATE;
                let options = options.with_validation(options.table_validation.filter(|_| enough));
                of_dataset(rows, table.hold_back(&held_back, &options, notes)?)
            }
            Source::Rows(raw) => {
                let raw = Raw {
                    name: raw.name.clone(),
                    train: raw.train.select(|row| !held_back[row])?,
                    test: Some(raw.train.select(|row| held_back[row])?),
                    validation: None,
                    classes: raw.classes.clone(),
                    target_scale: raw.target_scale.clone(),
                    columns: raw.columns.clone(),
                    range: raw.range,
                };
                of_dataset(rows, raw.prepare(&options, notes)?)
            }
            Source::Shared(dataset) => {
                share_of_test(&dataset.name, &options, true)?;
                let samples = &dataset.train;
                let mut left: Vec<u32> = (0..samples.len() as u32).filter(|row| !held_back[*row as usize]).collect();
                let validation = match options.validation_split.filter(|share| *share > 0.0) {
                    None => None,
                    Some(share) => Some(take(dataset, samples, &mut left, share, seed)?),
                };
                Ok(Fold {
                    train: View::of_rows(samples, left)?,
                    test: View::of_rows(samples, rows.clone())?,
                    validation: validation.map(|rows| View::of_rows(samples, rows)).transpose()?,
                    rows,
                    dataset: Arc::clone(dataset),
                })
            }
        }
    }
}

/// Takes a `share` of the rows `left` out of them, as a validation part is drawn.
fn take(dataset: &Dataset, samples: &Samples, left: &mut Vec<u32>, share: f64, seed: u64) -> Result<Vec<u32>> {
    let labels: Vec<u32> = left.iter().filter_map(|&row| samples.labels().get(row as usize).copied()).collect();
    let classes = dataset.classes.len();
    let drawn = pick(&dataset.name, &labels, left.len(), classes, share, Draw::Validation, seed)?;
    let rows: Vec<(u32, bool)> = left.drain(..).zip(drawn).collect();
    left.extend(rows.iter().filter(|(_, drawn)| !drawn).map(|(row, _)| *row));
    Ok(rows.into_iter().filter(|(_, drawn)| *drawn).map(|(row, _)| row).collect())
}

/// The fold of each group, and its rows: the largest groups first, each to the fold with the fewest rows so far. Of groups of
/// one size the one that comes first in `order` goes first.
fn whole_groups(order: &[u32], groups: &[u32], count: usize) -> Result<Vec<(usize, Vec<u32>)>> {
    let most = groups.iter().max().map_or(0, |most| *most as usize + 1);
    let mut rows_of = vec![Vec::new(); most];
    let mut met = Vec::new();
    for &row in order {
        let group = groups[row as usize] as usize;
        if rows_of[group].is_empty() {
            met.push(group);
        }
        rows_of[group].push(row);
    }
    if !(2..=met.len()).contains(&count) {
        let groups = met.len();
        return Err(Error::Usage(format!(
            "{groups} groups of rows do not make {count} folds: give from 2 to {groups}"
        )));
    }
    met.sort_by_key(|group| std::cmp::Reverse(rows_of[*group].len()));
    let mut sizes = vec![0; count];
    let place = |group: usize| {
        let fold = (0..count).min_by_key(|fold| sizes[*fold]).unwrap_or(0);
        let rows = std::mem::take(&mut rows_of[group]);
        sizes[fold] += rows.len();
        (fold, rows)
    };
    Ok(met.into_iter().map(place).collect())
}
