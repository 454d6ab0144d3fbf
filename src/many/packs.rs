//! Jobs on a GPU: those of one shape that learn from the same samples are trained as packs, as many at once as fit.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::{Job, Teller, Told, Trained, Watch, spread};
use crate::backend::gpu::{GpuPack, Store};
use crate::backend::lasting::Lasting;
use crate::backend::pack::Pack;
use crate::backend::select::Selected;
use crate::backend::{Backend, Split};
use crate::data::View;
use crate::error::{Error, Result};
use crate::train::{self, End, Outcome};

/// Packs that are under way at once: while the results of one are read and told, the device has work of another.
const INTERLEAVED: usize = 2;

/// Trains `jobs` pack by pack, two of them interleaved, until `tell` breaks.
///
/// # Errors
/// What `tell` fails with.
pub(super) fn train(
    selected: &Selected,
    store: &Store,
    jobs: &[Job],
    tell: &mut dyn FnMut(usize, Told) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let packs = packs(selected, store, jobs);
    // What the device cannot hold beside another is tried again by itself.
    let turn = RwLock::new(());
    let one = |pack: usize, teller: &Teller<'_>| {
        let numbers = &packs[pack][..];
        let beside = turn.read().unwrap_or_else(PoisonError::into_inner);
        if let Ok(opened) = Opened::new(selected, store, jobs, numbers) {
            return opened.train(jobs, numbers, teller);
        }
        drop(beside);
        let _alone = turn.write().unwrap_or_else(PoisonError::into_inner);
        match Opened::new(selected, store, jobs, numbers) {
            Ok(opened) => opened.train(jobs, numbers, teller),
            Err(error) if numbers.len() == 1 => teller.ended(numbers[0], Err(error)),
            // Each by itself, so that each fails for itself.
            Err(_) => numbers.iter().for_each(|&number| match Opened::new(selected, store, jobs, &[number]) {
                Ok(opened) => opened.train(jobs, &[number], teller),
                Err(error) => teller.ended(number, Err(error)),
            }),
        }
    };
    spread(INTERLEAVED.min(packs.len()), packs.len(), &one, tell)
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

/// What trains a job, or the jobs of a pack.
enum Opened {
    One(Box<dyn Backend>),
    Pack(Box<Lasting<GpuPack>>),
}

impl Opened {
    /// What trains the jobs `numbers`.
    fn new(selected: &Selected, store: &Store, jobs: &[Job], numbers: &[usize]) -> Result<Self> {
        match *numbers {
            [number] => Ok(Self::One(selected.backend(&jobs[number].model, &jobs[number].recipe)?.0)),
            _ => Ok(Self::Pack(Box::new(opened(selected, store, jobs, numbers)?))),
        }
    }

    fn train(self, jobs: &[Job], numbers: &[usize], teller: &Teller<'_>) {
        match self {
            Self::One(mut backend) => {
                let number = numbers[0];
                teller.ended(number, jobs[number].train(backend.as_mut(), |told| teller.tell(number, told)));
            }
            Self::Pack(mut pack) => together(pack.as_mut(), jobs, numbers, teller),
        }
    }
}

/// Trains the jobs `numbers`, which are the members of `pack`.
fn together(pack: &mut dyn Pack, jobs: &[Job], numbers: &[usize], teller: &Teller<'_>) {
    let members: Vec<&Job> = numbers.iter().map(|&number| &jobs[number]).collect();
    let mut watches: Vec<Watch> = members.iter().map(|_| Watch::default()).collect();
    let mut flow = ControlFlow::Continue(());
    let start = Instant::now();
    let clock = || start.elapsed();
    let evaluated: Vec<_> = members.iter().map(|job| job.evaluated()).collect();
    let runs = members.iter().zip(&evaluated).map(|(job, evaluated)| job.run(evaluated, &clock));
    let ended = runs.collect::<Result<Vec<_>>>().and_then(|runs| {
        train::train_pack(pack, &runs, |member, event| {
            let seen = watches[member].see(event, &mut |told| teller.tell(numbers[member], told));
            // All members end with the first that is told to.
            if seen.is_break() {
                flow = seen;
            }
            Ok(flow)
        })
    });
    match ended {
        Ok(ended) => {
            for ((&number, watch), ended) in numbers.iter().zip(watches).zip(ended) {
                let trained = ended.and_then(|(outcome, state)| match (watch.epochs, outcome) {
                    (epochs, Outcome { end: End::Stopped, .. }) if epochs.is_empty() => Err(Error::Interrupted),
                    (epochs, outcome) => Ok(Trained { outcome, state, epochs }),
                });
                teller.ended(number, trained);
            }
        }
        // What the device fails with is each member's.
        Err(error) => {
            let message = error.to_string();
            for &number in numbers {
                teller.ended(number, Err(Error::Gpu(message.clone())));
            }
        }
    }
}

/// The pack of the jobs `numbers`, with their data and states.
fn opened(selected: &Selected, store: &Store, jobs: &[Job], numbers: &[usize]) -> Result<Lasting<GpuPack>> {
    let members: Vec<&Job> = numbers.iter().map(|&number| &jobs[number]).collect();
    let recipes: Vec<_> = members.iter().map(|job| job.recipe.clone()).collect();
    let (store, model, plan, batch_size) =
        (store.clone(), members[0].model.clone(), selected.plan(), members[0].recipe.batch_size);
    let open = move || -> Result<GpuPack> { GpuPack::new(store.living()?, &model, &recipes, plan) };
    let mut pack = Lasting::new(Box::new(open), batch_size, selected.tell)?;
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
