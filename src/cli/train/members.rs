//! An ensemble by one command: networks that differ in their seeds alone, trained side by side, in one file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::grid::{Before, Runs, all_runs_log, unsuited};
use super::table::Table;
use super::{Options, errors};
use crate::checkpoint::{Checkpoint, Ensemble};
use crate::cli::recipe::Given;
use crate::cli::shards::Jobs;
use crate::cli::{jobs, note, print};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::metrics::Evaluation;

/// Trains `count` members by what is `given` of their recipe, with as many seeds from its own on.
pub(super) fn run(options: &Options, given: &Given, count: u32) -> Result<()> {
    unsuited(options, "--members")?;
    let shards = options.shards.open()?;
    let outputs: Vec<Named> = options.save.iter().map(|path| ("--save", path.clone())).collect();
    outputs.iter().try_for_each(|(_, path)| files::check_replaceable(path))?;
    let first = options.recipe.seed();
    let seeds = (0..u64::from(count)).map(|number| {
        let overflow = || Error::Usage(format!("--seed {first} with --members {count}: seeds end at 2^64 - 1"));
        first.checked_add(number).ok_or_else(overflow)
    });
    let seeds = seeds.collect::<Result<Vec<u64>>>()?;
    let runs: Vec<Given> = seeds.iter().map(|&seed| with_seed(given, seed)).collect();
    let before = match &options.resume {
        Some(path) => before(path, &seeds)?,
        None => Vec::new(),
    };
    let Runs { dataset, selected, jobs, metadata } = Runs::new(options, &runs, &outputs, &before)?;
    let all = Jobs { selected: &selected, jobs: &jobs, quiet: options.quiet };
    if let Some(share) = shards.share() {
        return share.train(&all);
    }
    let lists = ["seed".to_owned()];
    let mut log = options.log.as_deref().map(|path| all_runs_log(path, &dataset, &jobs, &lists)).transpose()?;
    let mut table = Table::new(&dataset, &lists);
    // What is in a file stays in it until there is more.
    let kept = before.iter().enumerate().filter_map(|(number, before)| Some((number, before.as_ref()?.1.clone())));
    let mut members: BTreeMap<usize, Checkpoint> = kept.collect();
    let mut failed = 0;
    let interrupted = shards.train(&all, None, |number, found| {
        failed += usize::from(!matches!(found, Ok(_) | Err(Error::Interrupted)));
        let Some(trained) = table.add(number, &runs[number], found) else { return Ok(()) };
        if let Some(log) = &mut log {
            table.log(number, &trained, log)?;
        }
        if !options.quiet && !options.json {
            table.tell(number, runs.len())?;
        }
        if !trained.can_go_on(&jobs[number].recipe) {
            return Ok(());
        }
        let name = format!("member {number}");
        members.insert(number, jobs::checkpoint(&selected, name, &jobs[number], &metadata[number], trained)?);
        Ok(())
    })?;
    let members: Vec<Checkpoint> = members.into_values().collect();
    let is_whole = |member: &&Checkpoint| member.metadata.as_ref().is_some_and(|kept| kept.training.ended);
    let (trained, whole) = (members.len(), members.iter().filter(is_whole).count());
    let ensemble = if members.is_empty() { None } else { Some(Ensemble::new(members)?) };
    if let (Some(ensemble), Some(path)) = (&ensemble, &options.save) {
        ensemble.save(path)?;
    }
    if interrupted {
        let kept = match (&ensemble, &options.save) {
            (Some(_), Some(path)) => {
                let path = path.display();
                format!(", {trained} with what is done are in {path}; to go on: the same command with --resume {path}")
            }
            _ => String::new(),
        };
        note(&format!("Interrupted: {whole} of {count} members are done{kept}"));
        return Err(Error::Interrupted);
    }
    let tested = match (&ensemble, &dataset.test) {
        (Some(ensemble), Some(test)) => {
            let samples: Vec<_> = ensemble.readers().iter().map(|_| Arc::clone(test)).collect();
            Some(ensemble.on(&selected).evaluate(&samples, |_, _| Ok(()))?.found)
        }
        _ => None,
    };
    let scale = dataset.target_scale.as_ref();
    if options.json {
        let mut whole = table.json();
        whole["ensemble"] = tested.as_ref().map_or(Value::Null, |found| of_ensemble(found, scale));
        print(&whole.to_string())?;
    } else if !options.quiet {
        table.print_seeds()?;
        if let Some(found) = &tested {
            print(&match scale {
                None => format!("Test Accuracy: {:.4}, Test Loss: {:.4}", found.accuracy(), found.mean_loss()),
                Some(scale) => format!("Test {}", errors(found, scale)),
            })?;
            let (rows, name) = (found.samples(), &dataset.name);
            note(&format!("Tested as an ensemble of {trained} on the {rows} test rows of {name}"));
        }
    }
    match failed {
        0 => Ok(()),
        failed => {
            let rest = if options.save.is_some() && trained > 0 { ": the file has the others" } else { "" };
            Err(Error::Data(format!("{failed} of {count} members failed, see above{rest}")))
        }
    }
}

/// The figures of the ensemble on the test part.
fn of_ensemble(found: &Evaluation, scale: Option<&crate::data::TargetScale>) -> Value {
    match scale {
        None => json!({ "test_accuracy": found.accuracy(), "test_loss": found.mean_loss() }),
        Some(scale) => {
            let found = found.in_units(scale);
            json!({ "test_rmse": found.rmse(), "test_mae": found.mae(), "test_r2": found.r2() })
        }
    }
}

fn with_seed(given: &Given, seed: u64) -> Given {
    let mut given = given.clone();
    given.insert("seed".into(), seed.into());
    given
}

/// The member of each seed in the file `path` of an ensemble that was not done.
fn before(path: &Path, seeds: &[u64]) -> Result<Vec<Before>> {
    let ensemble = Ensemble::load(path)?;
    let seed = |member: &Checkpoint| member.metadata.as_ref().map(|metadata| metadata.recipe.seed);
    if let Some(other) = ensemble.members().iter().find_map(|member| seed(member).filter(|seed| !seeds.contains(seed)))
    {
        let (first, last) = (seeds[0], seeds[seeds.len() - 1]);
        return Err(Error::Usage(format!(
            "--resume {} has a member of seed {other}, and --members asks for {first} to {last}",
            path.display()
        )));
    }
    let member = |wanted: &u64| ensemble.members().iter().find(|member| seed(member) == Some(*wanted)).cloned();
    Ok(seeds.iter().map(|wanted| member(wanted).map(|member| (path.to_path_buf(), member))).collect())
}
