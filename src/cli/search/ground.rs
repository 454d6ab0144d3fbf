//! What trials are trained on and judged by: one division of the data, or several folds.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Options;
use super::trials::Trial;
use crate::backend::{Parts, Split};
use crate::checkpoint::{HeldBack, Metadata};
use crate::cli::cv::{self, Study, TABLE_VALIDATION};
use crate::cli::recipe::{self, Given};
use crate::cli::train::{grid, is_table, prepare};
use crate::cli::{read_so, spare_data};
use crate::data::folds::{Fold, Folding};
use crate::data::{self, Dataset, Samples, Targets};
use crate::error::{Error, Result};
use crate::files::Named;
use crate::many::Job;
use crate::recipe::{Facts, Recipe};
use crate::search::space::Space;

/// The share of the training rows that judges trials.
const VALIDATION: f64 = 0.1;

/// The fewest rows of a table whose trials are judged by folds without being asked for, so that each fold has some.
const ENOUGH: usize = 50;
/// The most rows of one that has ten folds: there a network misses the rows of a fifth more than those of a tenth.
const VERY_FEW: usize = 2500;
/// The most rows of one that has five: of more, a validation part of a tenth has at least 1000 rows, and time counts.
const FEW: usize = 10_000;
/// Blocks of the rows that judge a trial: enough that the deviation of their losses is known to about an eighth of it.
const BLOCKS: usize = 32;

/// All that is the same for every trial.
pub(super) struct Ground {
    pub(super) divisions: Vec<Division>,
    reading: data::Options,
    class_weight: Option<String>,
    images: bool,
    /// What trials have beside flags and what was drawn: the share of the rows that judges them, and the recipe of images.
    pub(super) own: Given,
}

/// A part of the rows to learn from, and one to judge by.
pub(super) struct Division {
    /// With the rows to learn from.
    pub(super) dataset: Dataset,
    fold: Option<(HeldBack, Fold)>,
    /// The rows that trials are judged by: those of the fold, or the validation part.
    judged: Option<Arc<Samples>>,
}

impl Ground {
    /// Reads the data of the command, whose recipes have what is `given`. None of `outputs` may be a file of them.
    ///
    /// # Errors
    /// Those of reading, and [`Error::Usage`] where nothing judges trials.
    pub(super) fn read(options: &Options, given: &Given, outputs: &[Named]) -> Result<Self> {
        let (divisions, reading) = match options.folds {
            Some(0) if options.groups.is_some() => {
                return Err(Error::Usage("--groups is for folds, and --folds 0 has none: leave one out".into()));
            }
            None | Some(0) => {
                let mut notes = Vec::new();
                let (dataset, reading) = divide(options, outputs, &mut |line| notes.push(line.to_owned()))?;
                match suited_folds(options, &dataset) {
                    Some(folds) => fold(options, given, folds, outputs)?,
                    None => {
                        notes.iter().for_each(|line| options.tell(line));
                        (vec![Division { judged: dataset.validation.clone(), dataset, fold: None }], reading)
                    }
                }
            }
            Some(folds) => fold(options, given, folds, outputs)?,
        };
        let first = &divisions[0].dataset;
        let images = !is_table(first);
        let mut own = Given::new();
        let drawn = first.origin.validation.filter(|_| divisions[0].fold.is_none());
        if let (None, Some(share)) = (options.data.validation_split, drawn) {
            own.insert("validation_split".into(), share.into());
        }
        let notebook = ["recipe", "hidden", "lr_decay", "lr_decay_every"];
        if images && !notebook.iter().any(|name| given.contains_key(*name)) {
            own.insert("recipe".into(), "image".into());
        }
        Ok(Self { divisions, reading, class_weight: options.class_weight.clone(), images, own })
    }

    /// What every trial has: what the flags give, and of images the recipe `image`, whose layers can be drawn.
    pub(super) fn given(&self, given: &Given) -> Given {
        let mut given = given.clone();
        given.extend(
            self.own.iter().filter(|(name, _)| *name == "recipe").map(|(name, value)| (name.clone(), value.clone())),
        );
        given
    }

    /// The recipe of what is `given`, and the facts that suit it.
    pub(super) fn base(&self, given: &Given) -> Result<(Recipe, Facts)> {
        let first = &self.divisions[0];
        Ok((self.recipe(given, first)?, prepare::facts(&first.dataset)))
    }

    fn recipe(&self, given: &Given, division: &Division) -> Result<Recipe> {
        let mut recipe = recipe::recipe(given, self.images, None)?;
        prepare::suit(&mut recipe, given, &division.dataset, None);
        prepare::fit(recipe, &division.dataset, self.class_weight.as_deref(), false)
    }

    /// `count` trials that are drawn from `space` by `seed`, laid over what is `given`. The first one has that alone.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the trial whose options do not go together.
    pub(super) fn trials(&self, space: &Space, given: &Given, count: u32, seed: u64) -> Result<Vec<Trial>> {
        let trial = |number: u32| {
            let mut all = given.clone();
            let mut setting = if number == 1 { Given::new() } else { space.draw(seed, number) };
            all.extend(setting.clone());
            let built = recipe::without_idle(&all, |name| setting.contains_key(name), self.images).and_then(|all| {
                let recipes = self.divisions.iter().map(|division| {
                    let recipe = self.recipe(&all, division)?;
                    recipe.model_of(&division.dataset)?;
                    Ok(recipe)
                });
                Ok((recipes.collect::<Result<Vec<_>>>()?, all))
            });
            let (recipes, all) = match built {
                Err(error) if number > 1 => {
                    let setting = recipe::in_words(&setting);
                    let message = format!("trial {number} ({setting}): {error}; change the space (--space)");
                    return Err(Error::Usage(message));
                }
                built => built?,
            };
            setting.retain(|name, _| all.contains_key(name));
            Ok(Trial { number, setting, recipes })
        };
        (1..=count).map(trial).collect()
    }

    /// The network of a trial on the division `number` by its `recipe`, and what its file will say. Where trials are `tested`, and
    /// there is a test part, each epoch is evaluated on it too.
    pub(super) fn job(&self, number: usize, recipe: Recipe, tested: bool) -> Result<(Job, Metadata)> {
        let division = &self.divisions[number];
        let (mut job, metadata) = match &division.fold {
            Some((held_back, fold)) => {
                let (Study { metadata, .. }, job) = cv::study(*held_back, fold.clone(), recipe, &self.reading, None)?;
                (job, metadata)
            }
            None => grid::job(&division.dataset, recipe, &self.reading, None, None)?,
        };
        // Held-back rows are evaluated once, in the end; only a run that may stop by them sees them before.
        let decides = division.fold.is_some() && job.recipe.stopping.target_accuracy.is_some();
        if (division.fold.is_some() || !tested) && !decides {
            let mut parts = Parts::default();
            let kept = job.data.each().filter(|(split, _)| *split != Split::Test);
            kept.for_each(|(split, view)| parts.set(split, view.clone()));
            job.data = parts;
        }
        // Nobody sees it, and it decides nothing.
        job.recipe.train_eval = false;
        Ok((job, metadata))
    }

    /// The number of folds, where trials are judged by folds.
    pub(super) fn folds(&self) -> Option<u32> {
        self.divisions[0].fold.is_some().then_some(self.divisions.len() as u32)
    }

    /// How trials are judged, in a line.
    pub(super) fn judging(&self) -> String {
        match self.folds() {
            Some(folds) => {
                let rows: usize = self.divisions.iter().filter_map(|it| Some(it.fold.as_ref()?.1.test.len())).sum();
                format!(
                    "{folds} folds of {rows} rows in all in the last rung, fewer before (--folds 0: a validation part)"
                )
            }
            None => {
                let rows = self.divisions[0].dataset.validation.as_ref().map_or(0, |part| part.len());
                format!("the {rows} rows of the validation part (--folds K: all rows)")
            }
        }
    }

    /// The name of the rows that trials are judged by.
    pub(super) fn judge(&self) -> &'static str {
        if self.folds().is_some() { "held-back" } else { "validation" }
    }

    /// The number of blocks of the rows that judge a network: each has at least two rows, if there are as many.
    pub(super) fn blocks(&self) -> usize {
        let rows = |division: &Division| division.judged.as_ref().map_or(0, |judged| judged.len());
        (self.divisions.iter().map(rows).min().unwrap_or(0) / 2).clamp(1, BLOCKS)
    }

    /// The rows of the division `number` that trials are judged by.
    pub(super) fn judged(&self, number: usize) -> Result<Arc<Samples>> {
        let judged = self.divisions[number].judged.clone();
        judged.ok_or_else(|| Error::Data("there is no validation part".into()))
    }

    /// The targets of all rows of `divisions` that trials are judged by.
    pub(super) fn targets(&self, divisions: Range<usize>) -> Result<Targets> {
        let (mut labels, mut values) = (Vec::new(), Vec::new());
        for number in divisions {
            let judged = self.judged(number)?;
            labels.extend_from_slice(judged.labels());
            values.extend_from_slice(judged.values());
        }
        Ok(if values.is_empty() { Targets::Classes(labels) } else { Targets::Values(values) })
    }

    /// What makes the data those that they are, for the log.
    pub(super) fn identity(&self) -> Value {
        let of = |division: &Division| {
            let Dataset { origin, train, test, validation, .. } = &division.dataset;
            let rows = |part: &Option<Arc<Samples>>| part.as_ref().map_or(0, |part| part.len());
            json!({ "origin": origin, "rows": [train.len(), rows(test), rows(validation)], "features": train.width })
        };
        self.divisions.iter().map(of).collect()
    }
}

/// The folds that judge trials where nothing says by what: `dataset` is a table of few rows, of which a validation part and a test
/// part were drawn by default.
fn suited_folds(options: &Options, dataset: &Dataset) -> Option<u32> {
    let data = &options.data;
    let asked =
        options.folds.is_some() || data.test.is_some() || data.test_split.is_some() || data.validation_split.is_some();
    let drawn = dataset.origin.test.is_some() && dataset.origin.validation.is_some();
    // Standard input is read once.
    if asked || !drawn || !is_table(dataset) || data.data.as_deref() == Some("-") {
        return None;
    }
    match dataset.origin.rows {
        rows if !(ENOUGH..=FEW).contains(&rows) => None,
        ..=VERY_FEW => Some(10),
        _ => Some(5),
    }
}

/// The data with a validation part: their own, the one that is asked for, or one that is drawn.
fn divide(options: &Options, outputs: &[Named], tell: &mut dyn FnMut(&str)) -> Result<(Dataset, data::Options)> {
    let own = options.data.validation_split;
    if own == Some(0.0) {
        let message = "--validation-split 0 leaves nothing to judge trials by: leave it out, or give --folds";
        return Err(Error::Usage(message.into()));
    }
    let source = options.data.data.as_deref().unwrap_or("auto");
    let mut reading =
        data::Options { table_validation: Some(VALIDATION), ..options.data.reading(options.recipe.seed()) };
    // Standard input is read once, and has no validation part.
    if source == "-" {
        reading.validation_split = own.or(Some(VALIDATION));
    }
    let read = |reading: &data::Options, tell: &dyn Fn(&str)| {
        options.data.read(source, reading.clone(), outputs, options.verbose, tell)
    };
    let notes = std::cell::RefCell::new(Vec::new());
    let mut dataset = read(&reading, &|line| notes.borrow_mut().push(line.to_owned()))?;
    if dataset.validation.is_none() {
        reading.validation_split = Some(VALIDATION);
        notes.borrow_mut().clear();
        dataset = read(&reading, &|line| notes.borrow_mut().push(line.to_owned()))?;
    }
    notes.into_inner().iter().for_each(|line| tell(line));
    reading.validation_split = reading.validation_split.or(dataset.origin.validation);
    Ok((dataset, reading))
}

/// The folds that `cv` has of the same data.
fn fold(options: &Options, given: &Given, count: u32, outputs: &[Named]) -> Result<(Vec<Division>, data::Options)> {
    if options.data.test.is_some() || options.data.test_split.is_some() {
        let flag = if options.data.test.is_some() { "--test" } else { "--test-split" };
        return Err(Error::Usage(format!("{flag}: with --folds every row is tested on in its turn: leave it out")));
    }
    let seed = options.recipe.seed();
    let stops = recipe::recipe(given, false, None).is_ok_and(|recipe| recipe.stopping.early_stop.is_some());
    let source = options.data.data.as_deref().unwrap_or("auto");
    let (source, folder) = options.data.locate(source, options.verbose, |line| options.tell(line))?;
    let reading = data::Options {
        table_validation: stops.then_some(TABLE_VALIDATION),
        groups: options.groups.clone(),
        folder,
        ..options.data.reading(seed)
    };
    spare_data("--data", source, &reading, outputs)?;
    let (folding, notes) = Folding::read(source, &reading)?;
    notes.iter().for_each(|note| options.tell(&read_so(note)));
    let mut divisions = Vec::new();
    for (number, rows) in (1..).zip(folding.draw(count as usize, seed)?) {
        let mut notes = Vec::new();
        let fold = folding.fold(rows, seed, &mut notes)?;
        if number == 1 {
            notes.iter().for_each(|note| options.tell(&format!("{} (the first fold)", read_so(note))));
        }
        let held_back = HeldBack { fold: number, of: count, repeat: 1 };
        let (dataset, rows) = (cv::learnt_from(&fold)?, Arc::new(fold.test.select()?));
        divisions.push(Division { dataset, fold: Some((held_back, fold)), judged: Some(rows) });
    }
    Ok((divisions, reading))
}
