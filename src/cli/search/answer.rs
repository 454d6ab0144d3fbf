//! The answer of a search: which trial is best, by which command it can be had again, and an ensemble of the last trials.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::command;
use super::trials::{Outcome, Search};
use crate::checkpoint::{self, Checkpoint, Ensemble};
use crate::cli::recipe::{Given, shown};
use crate::cli::train::table::{aligned, digits, figures_of};
use crate::cli::{note, print, print_text, terminal};
use crate::data::{Samples, Targets};
use crate::ensemble::evaluation;
use crate::error::Result;
use crate::search::Found;
use crate::search::select::{BAGS, bagged, mean};

/// A selection of trials, and how good their mean is.
struct Selection {
    ensemble: Ensemble,
    /// Trials and how often each counts.
    picks: Vec<(u32, u32)>,
    figures: Map<String, Value>,
}

/// Writes what is to be saved, and tells the answer.
///
/// # Errors
/// What cannot be written, or trained again.
pub(super) fn tell(search: &mut Search<'_>, outcome: &Outcome) -> Result<()> {
    let (options, best) = (search.options, outcome.best());
    if let Some(path) = &options.save {
        let mut models = search.models(&[best], 0..search.ground.divisions.len())?.remove(0);
        match (&mut models[..], search.ground.folds()) {
            ([Checkpoint { model, state, metadata, .. }], None) => {
                checkpoint::save(path, model, state, metadata.as_ref())?;
            }
            _ => Ensemble::new(models)?.save(path)?,
        }
    }
    let selection = match &options.save_ensemble {
        Some(path) => {
            let selection = select(search, outcome)?;
            if let Some(selection) = &selection {
                selection.ensemble.save(path)?;
            }
            selection
        }
        None => None,
    };
    if outcome.cut {
        let time = options.time.as_ref().map_or("", |time| &time.text);
        options
            .tell(&format!("--time {time} was over before all was done: the answer depends on this machine's speed"));
    }
    let again = command::of(options.shards.command(), &again(search, best), search.ground.folds());
    if options.json {
        print(&json_of(search, outcome, selection.as_ref(), &again).to_string())
    } else if options.quiet {
        Ok(())
    } else {
        print_all(search, outcome, selection.as_ref(), &again)
    }
}

/// The options of the trial that `found` is of, beside those that flags give.
fn again(search: &Search<'_>, found: &Found) -> Given {
    let trial = search.trial(found.trial);
    let mut set = trial.setting.clone();
    let recipe = &trial.recipes[0];
    set.extend(search.ground.own.clone());
    if found.epochs != recipe.epochs {
        set.insert("epochs".into(), found.epochs.into());
    }
    set
}

/// The selection among the trials that were left.
fn select(search: &mut Search<'_>, outcome: &Outcome) -> Result<Option<Selection>> {
    let left: Vec<&Found> = outcome.ranked.iter().filter(|found| found.rung == outcome.rung).collect();
    let left = if left.is_empty() { outcome.ranked.iter().collect() } else { left };
    let divisions = search.divisions(left[0].rung);
    let models = search.models(&left, divisions.clone())?;
    let (ground, targets) = (search.ground, search.ground.targets(divisions.clone())?);
    // What each trial predicts of the rows that trials are judged by, division after division.
    let mut predicted: Vec<Vec<f32>> = vec![Vec::new(); models.len()];
    for (place, number) in divisions.enumerate() {
        let all = Ensemble::new(models.iter().map(|trial| trial[place].clone()).collect())?;
        let judged = ground.judged(number)?;
        let samples: Vec<Arc<Samples>> = all.readers().iter().map(|_| Arc::clone(&judged)).collect();
        all.on(search.selected).evaluate(&samples, |trial, own| {
            predicted[trial].extend_from_slice(&own.predicted);
            Ok(())
        })?;
    }
    let loss = search.trial(1).recipes[0].loss;
    let outputs = ground.divisions[0].dataset.outputs();
    let of = |mean: &[f32]| evaluation(loss, mean, &targets, outputs);
    let seed = search.options.recipe.seed();
    let Some((counts, least)) = bagged(&predicted, BAGS, seed, |mean| of(mean).mean_loss()) else { return Ok(None) };
    let (mut members, mut weights, mut picks) = (Vec::new(), Vec::new(), Vec::new());
    for ((found, models), count) in left.iter().zip(models).zip(&counts).filter(|(_, count)| **count > 0) {
        picks.push((found.trial, *count));
        weights.resize(weights.len() + models.len(), *count);
        members.extend(models);
    }
    let ensemble = Ensemble::weighted(members, weights)?;
    let mut figures = Map::new();
    let name = ground.judge().replace('-', "_");
    figures.insert(format!("{name}_loss"), least.into());
    let division = &ground.divisions[0].dataset;
    let scale = division.target_scale.as_ref();
    if ground.folds().is_none() {
        for (part, samples) in [(&name[..], &division.validation), ("test", &division.test)] {
            let Some(samples) = samples else { continue };
            let samples: Vec<Arc<Samples>> = ensemble.readers().iter().map(|_| Arc::clone(samples)).collect();
            let found = ensemble.on(search.selected).evaluate(&samples, |_, _| Ok(()))?.found;
            for (what, figure) in figures_of(&found, scale) {
                figures.insert(format!("{part}_{}", what.to_lowercase()), figure.into());
            }
        }
    } else if let Targets::Classes(_) = &targets {
        figures.insert(format!("{name}_accuracy"), of(&mean(&predicted, &counts)).accuracy().into());
    }
    Ok(Some(Selection { ensemble, picks, figures }))
}

/// Figures by their keys, and as text shows them, in order.
fn shown_figures(part: &str) -> Vec<(String, String)> {
    let whats = [("loss", "loss"), ("accuracy", "accuracy"), ("rmse", "RMSE"), ("mae", "MAE"), ("r2", "R2")];
    let parts = [part, "test"];
    let names = parts.iter().flat_map(|part| {
        whats.iter().map(move |(key, what)| (format!("{}_{key}", part.replace('-', "_")), format!("{part} {what}")))
    });
    names.collect()
}

fn print_all(search: &Search<'_>, outcome: &Outcome, selection: Option<&Selection>, again: &str) -> Result<()> {
    let (best, part) = (outcome.best(), search.ground.judge());
    let varied: Vec<&str> = search.names().collect();
    let figures: Vec<(String, String)> = shown_figures(part)
        .into_iter()
        .filter(|(key, _)| outcome.ranked.iter().any(|found| found.figures.contains_key(key)))
        .collect();
    let mut lines = vec![vec!["trial".to_owned()]];
    lines[0].extend(varied.iter().map(|name| name.replace('_', "-")));
    lines[0].push("epoch".into());
    lines[0].extend(figures.iter().map(|(_, shown)| shown.clone()));
    for found in &outcome.ranked {
        let own = search.trial(found.trial).recipes[0].options()?;
        let mut line = vec![found.trial.to_string()];
        line.extend(varied.iter().map(|name| own.get(*name).map(shown).unwrap_or_default()));
        let mean = f64::from(found.epoch.iter().sum::<u32>()) / found.epoch.len().max(1) as f64;
        line.push(format!("{mean:.0} of {}", found.epochs));
        line.extend(figures.iter().map(|(key, _)| found.figures.get(key).map_or_else(|| "-".into(), |it| digits(*it))));
        lines.push(line);
    }
    print(&format!("\nTrials that were left, the least {part} loss first:"))?;
    print(&aligned(&lines))?;
    let own = if best.trial == 1 { ", the recipe's own setting" } else { "" };
    print(&format!("\nBest: trial {}{own}", best.trial))?;
    let least = outcome.ranked[0].trial;
    if least != best.trial {
        print(&format!("Trial {least} has less {part} loss than trial 1, by at most a standard error"))?;
    }
    print(&terminal::folded_command(again))?;
    if let Some(Selection { picks, figures: found, .. }) = selection {
        let picked =
            picks.iter().map(|(trial, count)| format!("trial {trial} x {count}")).collect::<Vec<_>>().join(", ");
        let shown = shown_figures(part);
        let shown =
            shown.iter().filter_map(|(key, name)| Some(format!("{name} {}", digits(found.get(key)?.as_f64()?))));
        print_text(&format!("Ensemble of {picked}: {}", shown.collect::<Vec<_>>().join(", ")))?;
    }
    for (flag, path) in [("--save", &search.options.save), ("--save-ensemble", &search.options.save_ensemble)] {
        if let Some(path) = path {
            note(&format!("Saved to {} ({flag})", path.display()));
        }
    }
    Ok(())
}

fn json_of(search: &Search<'_>, outcome: &Outcome, selection: Option<&Selection>, again: &str) -> Value {
    let (best, part) = (outcome.best(), search.ground.judge());
    let selection = selection.map(|Selection { picks, figures, .. }| {
        let picks = picks.iter().map(|(trial, count)| json!({ "trial": trial, "count": count }));
        let mut of = figures.clone();
        of.insert("picks".into(), picks.collect());
        of
    });
    // Blocks are for the choice alone.
    let told = |found: &Found| Found { blocks: Vec::new(), ..found.clone() };
    json!({
        "trials": search.trials.len(),
        "judged_by": part,
        "folds": search.ground.folds(),
        "best": told(best),
        "command": again,
        "left": outcome.ranked.iter().map(told).collect::<Vec<_>>(),
        "found": search.found().into_iter().map(told).collect::<Vec<_>>(),
        "ensemble": selection,
        "cut_by_time": outcome.cut,
    })
}
