//! The rungs of a search, and the models that came of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use super::Options;
use super::ground::Ground;
use super::journal::Journal;
use crate::backend::select::Selected;
use crate::checkpoint::{Checkpoint, Ensemble, Metadata};
use crate::cli::recipe::Given;
use crate::cli::recipe::in_words;
use crate::cli::shards::{Jobs, Shards};
use crate::cli::train::table::{digits, figures_of};
use crate::cli::{jobs, note, print};
use crate::data::Targets;
use crate::ensemble::{Evaluated, evaluation};
use crate::error::{Error, Result};
use crate::many::{Job, Trained};
use crate::metrics::Evaluation;
use crate::recipe::Recipe;
use crate::search::{self, Found};

/// A setting.
pub(super) struct Trial {
    /// From 1.
    pub(super) number: u32,
    /// The options that were drawn.
    pub(super) setting: Given,
    /// Its recipe on each division of the data, with all epochs.
    pub(super) recipes: Vec<Recipe>,
}

/// The networks of a trial by the number of their division: each by the number of its job, and what came of it.
type Networks = BTreeMap<usize, (usize, Result<Trained>)>;

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) options: &'a Options,
    pub(super) selected: &'a Selected,
    pub(super) ground: &'a Ground,
    shards: &'a Shards,
    pub(super) trials: Vec<Trial>,
    journal: Journal,
    until: Option<Instant>,
    /// The models of trials in the rung, by both and by their divisions, as far as they are kept.
    models: BTreeMap<(u32, u32), BTreeMap<usize, Checkpoint>>,
}

/// How good a network is on the rows that judge it: in all, and its mean loss in each block of them.
struct Judged {
    found: Evaluation,
    blocks: Vec<f64>,
}

/// What came of a search.
pub(super) struct Outcome {
    /// The trials that were left, the least loss first.
    pub(super) ranked: Vec<Found>,
    /// The place among them of the one that is chosen.
    chosen: usize,
    /// The rung that was the last one.
    pub(super) rung: u32,
    /// Whether the time was over before all was done.
    pub(super) cut: bool,
}

impl Outcome {
    /// The trial that is chosen.
    pub(super) fn best(&self) -> &Found {
        &self.ranked[self.chosen]
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(
        options: &'a Options,
        selected: &'a Selected,
        ground: &'a Ground,
        shards: &'a Shards,
        trials: Vec<Trial>,
        journal: Journal,
        until: Option<Instant>,
    ) -> Self {
        Self { options, selected, ground, shards, trials, journal, until, models: BTreeMap::new() }
    }

    pub(super) fn trial(&self, number: u32) -> &Trial {
        &self.trials[number as usize - 1]
    }

    /// The options that any trial has drawn, in the order of their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<&str> =
            self.trials.iter().flat_map(|trial| trial.setting.keys().map(String::as_str)).collect();
        names.into_iter()
    }

    /// All that was found, by rungs and trials.
    pub(super) fn found(&self) -> Vec<&Found> {
        self.journal.all()
    }

    /// Number of rungs.
    fn rungs(&self) -> u32 {
        search::rungs(self.trials.len() as u32, self.trials[0].recipes[0].epochs)
    }

    /// The divisions that judge the trials of `rung`.
    pub(super) fn divisions(&self, rung: u32) -> Range<usize> {
        let folds = search::folds(self.ground.divisions.len() as u32, rung, self.rungs());
        folds.start as usize..folds.end as usize
    }

    /// All rungs, one after the other, until they are done or the time is over.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C, [`Error::Data`] where no trial ended with a model.
    ///
    /// None where a share is all that this process trains.
    pub(super) fn run(&mut self) -> Result<Option<Outcome>> {
        let rungs = self.rungs();
        let mut left: Vec<u32> = self.trials.iter().map(|trial| trial.number).collect();
        let mut latest: BTreeMap<u32, Found> = BTreeMap::new();
        let (mut rung, mut cut) = (1, false);
        loop {
            if !self.rung(rung, rungs, &left)? {
                return Ok(None);
            }
            let found: Vec<Found> = left.iter().filter_map(|&trial| self.journal.found(rung, trial)).cloned().collect();
            cut |= found.len() < left.len();
            self.tell_rung(rung, rungs, left.len(), &found)?;
            let losses: Vec<(u32, Option<f64>)> = found.iter().map(|found| (found.trial, found.loss)).collect();
            found.into_iter().for_each(|found| drop(latest.insert(found.trial, found)));
            if cut || rung == rungs {
                break;
            }
            left = search::promoted(&losses);
            self.models.retain(|(_, trial), _| left.contains(trial));
            if left.is_empty() {
                break;
            }
            rung += 1;
        }
        let mut ranked: Vec<Found> = left.iter().filter_map(|trial| latest.remove(trial)).collect();
        ranked.retain(|found| found.loss.is_some());
        let loss = |found: &Found| found.loss.unwrap_or(f64::INFINITY);
        // Where the time was over, some are judged by more folds than others, and better known.
        let judged = |found: &Found| std::cmp::Reverse(self.divisions(found.rung).len());
        ranked.sort_by(|one, other| {
            (judged(one).cmp(&judged(other))).then(loss(one).total_cmp(&loss(other))).then(one.trial.cmp(&other.trial))
        });
        match (&self.options.time, ranked.is_empty()) {
            (Some(time), true) if cut => {
                let message = format!("--time {}: the time was over before a trial was done: give more", time.text);
                Err(Error::Data(message))
            }
            (_, true) => Err(Error::Data("no trial ended with a model: see above".into())),
            (_, false) => Ok(Some(Outcome { chosen: search::chosen(&ranked), ranked, rung, cut })),
        }
    }

    /// Trains those of `trials` that are not known in this rung. Returns whether it is known then what came of them.
    fn rung(&mut self, rung: u32, rungs: u32, trials: &[u32]) -> Result<bool> {
        let new: Vec<u32> = trials.iter().copied().filter(|trial| self.journal.found(rung, *trial).is_none()).collect();
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Ok(true);
        }
        let saves = self.options.save.is_some() || self.options.save_ensemble.is_some();
        let keep = saves && (rung == rungs || self.until.is_some());
        let wanted: Vec<(u32, u32)> = new.iter().map(|trial| (rung, *trial)).collect();
        self.train(&wanted, self.divisions(rung), keep, self.until)
    }

    /// Trains trials on `divisions`, each in its rung, and adds what is not known to the journal. Their models are kept if they are
    /// to be. Returns whether it is known what came of them: a shard that waits for no further rung trains its share alone.
    fn train(
        &mut self,
        wanted: &[(u32, u32)],
        divisions: Range<usize>,
        keep: bool,
        until: Option<Instant>,
    ) -> Result<bool> {
        let (rungs, mut runs) = (self.rungs(), Vec::new());
        for &(rung, trial) in wanted {
            for division in divisions.clone() {
                let recipe = &self.trial(trial).recipes[division];
                let epochs = search::epochs(recipe.epochs, rung, rungs);
                let recipe = Recipe { epochs, ..recipe.clone() };
                let (job, metadata) = self.ground.job(division, recipe, rung == rungs)?;
                let cost = job.state.parameters.len() as u64 * u64::from(epochs);
                runs.push((cost, (rung, trial), division, job, metadata));
            }
        }
        // The longest first, so that no thread is left alone with one at the end.
        runs.sort_by_key(|(cost, ..)| std::cmp::Reverse(*cost));
        let (mut of, mut jobs, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
        for (_, which, division, job, described) in runs {
            of.push((which, division));
            jobs.push(job);
            metadata.push(described);
        }
        let divisions = divisions.len();
        let mut ended: BTreeMap<(u32, u32), Networks> = BTreeMap::new();
        let all = Jobs { selected: self.selected, jobs: &jobs, quiet: self.options.quiet };
        let is_last = wanted.iter().all(|(rung, _)| *rung == rungs);
        if let (Some(share), true) = (self.shards.share(), is_last) {
            share.train(&all)?;
            return Ok(false);
        }
        let shards = self.shards;
        let interrupted = shards.train(&all, until, |number, found| {
            let (which, division) = of[number];
            let stopped = match &found {
                Ok(trained) => !trained.is_whole(),
                Err(error) => matches!(error, Error::Interrupted),
            };
            if stopped {
                return Ok(());
            }
            let trial = ended.entry(which).or_default();
            trial.insert(division, (number, found));
            if trial.len() < divisions {
                return Ok(());
            }
            let all = ended.remove(&which).unwrap_or_default();
            self.ended(which, all, (&jobs, &metadata), keep)
        })?;
        if interrupted {
            self.tell_interrupted();
            return Err(Error::Interrupted);
        }
        Ok(true)
    }

    /// Notes what came of a trial in a rung, of whose networks all have ended.
    fn ended(
        &mut self,
        (rung, trial): (u32, u32),
        networks: Networks,
        (jobs, metadata): (&[Job], &[Metadata]),
        keep: bool,
    ) -> Result<()> {
        let mut found = Found {
            trial,
            rung,
            epochs: networks.values().next().map_or(0, |(number, _)| jobs[*number].recipe.epochs),
            setting: self.trial(trial).setting.clone(),
            epoch: Vec::new(),
            loss: None,
            blocks: vec![0.0; self.ground.blocks()],
            figures: BTreeMap::new(),
            error: None,
        };
        let count = networks.len() as f64;
        let (mut sum, mut models) = (0.0, BTreeMap::new());
        for (division, (number, network)) in networks {
            let judged = network.and_then(|trained| {
                let kept = trained.epochs.iter().find(|epoch| epoch.number == trained.outcome.epoch);
                let test = kept.or(trained.epochs.last()).and_then(|epoch| epoch.test.clone());
                let test = test.filter(|_| self.ground.folds().is_none());
                found.epoch.push(trained.outcome.epoch);
                let model = self.model(trial, division, &jobs[number], &metadata[number], trained)?;
                Ok((self.judge(division, &model)?, test, model))
            });
            let (judged, test, model) = match judged {
                Ok(judged) => judged,
                Err(error) => {
                    if self.journal.found(rung, trial).is_none() {
                        note(&format!("Trial {trial} ({}): {error}", in_words(&found.setting)));
                    }
                    found.error = Some(error.to_string());
                    break;
                }
            };
            sum += judged.found.mean_loss();
            found.blocks.iter_mut().zip(&judged.blocks).for_each(|(sum, loss)| *sum += loss / count);
            let scale = self.ground.divisions[division].dataset.target_scale.as_ref();
            for (part, evaluated) in [(self.ground.judge(), Some(&judged.found)), ("test", test.as_ref())] {
                for (what, figure) in evaluated.into_iter().flat_map(|evaluated| figures_of(evaluated, scale)) {
                    let name = format!("{}_{}", part.replace('-', "_"), what.to_lowercase());
                    *found.figures.entry(name).or_insert(0.0) += figure / count;
                }
            }
            models.insert(division, model);
        }
        match &found.error {
            Some(_) => {
                found.figures.clear();
                found.blocks.clear();
            }
            None => {
                found.loss = Some(sum / count);
                if keep {
                    self.models.retain(|(_, other), _| *other != trial);
                    self.models.insert((rung, trial), models);
                }
            }
        }
        if self.journal.found(rung, trial).is_none() { self.journal.add(found) } else { Ok(()) }
    }

    /// How good `model` is on the rows of the division `number` that judge it.
    fn judge(&self, number: usize, model: &Checkpoint) -> Result<Judged> {
        let (ensemble, samples) = (Ensemble::from(model.clone()), self.ground.judged(number)?);
        let Evaluated { found, predicted } =
            ensemble.on(self.selected).evaluate(std::slice::from_ref(&samples), |_, _| Ok(()))?;
        if !found.loss_sum.is_finite() {
            return Err(Error::Data(format!("it has a loss of {} on rows that it did not learn from", found.loss_sum)));
        }
        let (loss, outputs) = (self.trials[0].recipes[0].loss, self.ground.divisions[number].dataset.outputs());
        let count = self.ground.blocks();
        let of = |block| {
            let rows = (block..samples.len()).step_by(count);
            let predicted: Vec<f32> =
                rows.clone().flat_map(|row| &predicted[row * outputs..(row + 1) * outputs]).copied().collect();
            let targets = match &samples.targets {
                Targets::Classes(labels) => Targets::Classes(rows.map(|row| labels[row]).collect()),
                Targets::Values(values) => {
                    Targets::Values(rows.flat_map(|row| &values[row * outputs..(row + 1) * outputs]).copied().collect())
                }
            };
            evaluation(loss, &predicted, &targets, outputs).mean_loss()
        };
        Ok(Judged { found, blocks: (0..count).map(of).collect() })
    }

    fn model(
        &self,
        trial: u32,
        division: usize,
        job: &Job,
        metadata: &Metadata,
        trained: Trained,
    ) -> Result<Checkpoint> {
        let divisions = self.ground.divisions.len();
        let fold = if divisions > 1 { format!(", fold {}/{divisions}", division + 1) } else { String::new() };
        let mut model = jobs::checkpoint(self.selected, format!("trial {trial}{fold}"), job, metadata, trained)?;
        if let Some(metadata) = &mut model.metadata {
            // As a file of a single run, which does not say it.
            metadata.training.ended &= divisions > 1;
        }
        Ok(model)
    }

    /// The models of trials on `divisions`, each in its rung. Those that another command trained, or none, are trained again, to
    /// the same bits.
    ///
    /// # Errors
    /// What fails in training.
    pub(super) fn models(&mut self, wanted: &[&Found], divisions: Range<usize>) -> Result<Vec<Vec<Checkpoint>>> {
        let kept = |found: &Found| self.models.get(&(found.rung, found.trial));
        let whole = |found: &Found| {
            kept(found).is_some_and(|models| divisions.clone().all(|division| models.contains_key(&division)))
        };
        let missing = wanted.iter().filter(|found| !whole(found));
        let missing: Vec<(u32, u32)> = missing.map(|found| (found.rung, found.trial)).collect();
        if !missing.is_empty() {
            self.train(&missing, divisions.clone(), true, None)?;
        }
        let model = |found: &&Found| {
            let lost = || Error::Data(format!("trial {} did not train as before", found.trial));
            let models = self.models.get(&(found.rung, found.trial)).ok_or_else(lost)?;
            divisions.clone().map(|division| models.get(&division).cloned().ok_or_else(lost)).collect()
        };
        wanted.iter().map(model).collect()
    }

    fn tell_rung(&self, rung: u32, rungs: u32, trials: usize, found: &[Found]) -> Result<()> {
        if self.options.quiet || self.options.json || self.shards.share().is_some() {
            return Ok(());
        }
        let loss = |found: &&Found| found.loss.unwrap_or(f64::INFINITY);
        let best = found.iter().min_by(|one, other| loss(one).total_cmp(&loss(other)));
        let best = best.and_then(|best| {
            let name = self.ground.judge();
            Some(format!(": least {name} loss {}, of trial {}", digits(best.loss?), best.trial))
        });
        let failed = found.iter().filter(|found| found.loss.is_none()).count();
        let failed = if failed > 0 { format!("; {failed} failed") } else { String::new() };
        let epochs = found.iter().map(|found| found.epochs);
        let epochs = match (epochs.clone().min(), epochs.max()) {
            (Some(least), Some(most)) if least != most => format!(" of {least} to {most} epochs"),
            (Some(one), _) => format!(" of {one} epoch{}", if one == 1 { "" } else { "s" }),
            _ => String::new(),
        };
        let done = if found.len() < trials { format!("{} of {trials}", found.len()) } else { trials.to_string() };
        let noun = if trials == 1 { "trial" } else { "trials" };
        print(&format!("Rung {rung}/{rungs}: {done} {noun}{epochs}{}{failed}", best.unwrap_or_default()))
    }

    fn tell_interrupted(&self) {
        if self.shards.share().is_some() {
            return;
        }
        let file = self.options.log.as_ref().or(self.options.resume.as_ref());
        let on = match file {
            Some(path) => {
                format!("what is done is in {0}; to go on: the same command with --resume {0}", path.display())
            }
            None => "nothing is kept, as there is no --log".into(),
        };
        note(&format!("Interrupted: {on}"));
    }
}
