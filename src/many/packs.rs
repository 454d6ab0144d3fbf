//! Jobs on a GPU: those of one shape that learn from the same samples are trained as packs, as many at once as fit.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::{Job, Told, Trained, Watch};
use crate::backend::Split;
use crate::backend::gpu::{GpuPack, Store};
use crate::backend::pack::Pack;
use crate::backend::select::Selected;
use crate::data::View;
use crate::error::{Error, Result};
use crate::train::{self, End, Outcome};

/// What is told of jobs by their numbers.
type Tell<'a> = dyn FnMut(usize, Told) -> Result<ControlFlow<()>> + 'a;

/// Trains `jobs` pack after pack, until `tell` breaks.
///
/// # Errors
/// What `tell` fails with.
pub(super) fn train(selected: &Selected, store: &Store, jobs: &[Job], tell: &mut Tell<'_>) -> Result<()> {
    for pack in packs(selected, store, jobs) {
        let flow = match pack[..] {
            [number] => alone(selected, jobs, number, tell)?,
            _ => together(selected, store, jobs, &pack, tell)?,
        };
        if flow.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// The numbers of the jobs of each pack, those that come first in front. What has no epoch left is by itself.
fn packs(selected: &Selected, store: &Store, jobs: &[Job]) -> Vec<Vec<usize>> {
    let mut packs: Vec<(Vec<usize>, usize)> = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        let room = |(pack, most): &&mut (Vec<usize>, usize)| {
            let first = &jobs[pack[0]];
            pack.len() < *most && !job.is_done() && !first.is_done() && fits(first, job)
        };
        match packs.iter_mut().find(room) {
            Some((pack, _)) => pack.push(number),
            // What cannot be run is told of when it is tried.
            None => {
                let most = GpuPack::capacity(store, &job.model, &job.recipe, selected.plan()).unwrap_or(1);
                packs.push((vec![number], most));
            }
        }
    }
    packs.into_iter().map(|(pack, _)| pack).collect()
}

/// Whether two jobs can be members of one pack.
fn fits(one: &Job, other: &Job) -> bool {
    let parts = |job: &Job| -> Vec<(Split, *const _)> {
        job.data.each().map(|(split, view)| (split, Arc::as_ptr(&view.samples))).collect()
    };
    one.model.same_shape(&other.model) && one.recipe.packs_with(&other.recipe) && parts(one) == parts(other)
}

/// Trains one job by itself.
fn alone(selected: &Selected, jobs: &[Job], number: usize, tell: &mut Tell<'_>) -> Result<ControlFlow<()>> {
    let job = &jobs[number];
    let (mut failed, mut flow) = (Ok(()), ControlFlow::Continue(()));
    let ended = selected.backend(&job.model, &job.recipe).and_then(|(mut backend, _)| {
        job.train(backend.as_mut(), |told| {
            flow = tell(number, told).unwrap_or_else(|error| {
                failed = Err(error);
                ControlFlow::Break(())
            });
            flow
        })
    });
    failed?;
    let last = tell(number, Told::Ended(Box::new(ended)))?;
    Ok(if flow.is_break() { flow } else { last })
}

/// Trains the jobs whose `numbers` are given as one pack; each by itself where they make none, so that each fails for itself.
fn together(
    selected: &Selected,
    store: &Store,
    jobs: &[Job],
    numbers: &[usize],
    tell: &mut Tell<'_>,
) -> Result<ControlFlow<()>> {
    let members: Vec<&Job> = numbers.iter().map(|&number| &jobs[number]).collect();
    let mut watches: Vec<Watch> = members.iter().map(|_| Watch::default()).collect();
    let Ok(mut pack) = opened(selected, store, &members) else {
        for &number in numbers {
            let flow = alone(selected, jobs, number, tell)?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        return Ok(ControlFlow::Continue(()));
    };
    let (mut failed, mut flow) = (Ok(()), ControlFlow::Continue(()));
    let start = Instant::now();
    let clock = || start.elapsed();
    let evaluated: Vec<_> = members.iter().map(|job| job.evaluated()).collect();
    let runs = members.iter().zip(&evaluated).map(|(job, evaluated)| job.run(evaluated, &clock));
    let ended = runs.collect::<Result<Vec<_>>>().and_then(|runs| {
        train::train_pack(&mut pack, &runs, |member, event| {
            if failed.is_err() {
                return Ok(ControlFlow::Break(()));
            }
            let seen = watches[member].see(event, &mut |told| {
                tell(numbers[member], told).unwrap_or_else(|error| {
                    failed = Err(error);
                    ControlFlow::Break(())
                })
            });
            if seen.is_break() {
                flow = seen;
            }
            // All members end with the first that is told to.
            Ok(flow)
        })
    });
    failed?;
    match ended {
        Ok(ended) => {
            for ((&number, watch), ended) in numbers.iter().zip(watches).zip(ended) {
                let trained = ended.and_then(|(outcome, state)| match (watch.epochs, outcome) {
                    (epochs, Outcome { end: End::Stopped, .. }) if epochs.is_empty() => Err(Error::Interrupted),
                    (epochs, outcome) => Ok(Trained { outcome, state, epochs }),
                });
                if tell(number, Told::Ended(Box::new(trained)))?.is_break() {
                    flow = ControlFlow::Break(());
                }
            }
        }
        // What the device fails with is each member's.
        Err(error) => {
            let message = error.to_string();
            for &number in numbers {
                let error = Error::Gpu(message.clone());
                if tell(number, Told::Ended(Box::new(Err(error))))?.is_break() {
                    flow = ControlFlow::Break(());
                }
            }
        }
    }
    Ok(flow)
}

/// The pack of `members`, with their data and states.
fn opened(selected: &Selected, store: &Store, members: &[&Job]) -> Result<GpuPack> {
    let recipes: Vec<_> = members.iter().map(|job| job.recipe.clone()).collect();
    let mut pack = GpuPack::new(store.clone(), &members[0].model, &recipes, selected.plan())?;
    for (split, view) in members[0].data.each() {
        pack.upload(split, &view.samples)?;
        let views = members.iter().map(|job| job.data.get(split));
        let views = views.collect::<Result<Vec<&View>>>()?;
        if views.iter().any(|view| view.rows.is_some()) {
            let rows: Vec<Vec<u32>> = views.iter().map(|view| view.order().into_owned()).collect();
            pack.assign(split, &rows)?;
        }
    }
    for (member, job) in members.iter().enumerate() {
        pack.set_state(member, &job.state)?;
    }
    Ok(pack)
}
