//! Many networks at once: each ends with the bits that it has alone.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlp_gpu::backend::gpu::Store;
use mlp_gpu::backend::select::{Choice, Selected};
use mlp_gpu::backend::{Parts, Split};
use mlp_gpu::data::View;
use mlp_gpu::many::{self, Job, Told, Trained};
use mlp_gpu::recipe::{Optimizer, OptimizerKind, RecipeName, Stopping};
use mlp_gpu::state::State;
use mlp_gpu::train::{End, Epoch};
use mlp_gpu::{Error, Inputs, Mlp, Recipe, Request, Result, Samples};

mod adapter;

const ROWS: usize = 150;
const WIDTH: usize = 20;

/// Rows of which half the bytes are 0, in three classes that their bytes tell apart.
fn samples(seed: usize) -> Arc<Samples> {
    let noise = |at: usize| (at + seed * 7919).wrapping_mul(2_654_435_761) >> 7;
    let byte = |at: usize| if noise(at).is_multiple_of(2) { (noise(at) % 251) as u8 } else { 0 };
    let bytes: Vec<u8> = (0..ROWS * WIDTH).map(byte).collect();
    let labels = bytes.chunks(WIDTH).map(|row| u32::from(row[0]) * 3 / 256).collect();
    Arc::new(Samples::new(Inputs::U8(bytes), WIDTH, labels).unwrap())
}

/// The third of the rows that is fold `fold`, or the others.
fn fold(samples: &Arc<Samples>, fold: u32, held_back: bool) -> View {
    let rows = (0..ROWS as u32).filter(|row| (row % 3 == fold) == held_back).collect();
    View::of_rows(samples, rows).unwrap()
}

/// Job `number` of a pack: its seed, rates, optimizer's numbers, dropout, epochs and rows are its own.
fn job(number: usize, rows: &Arc<Samples>, test: &Arc<Samples>) -> Job {
    let mut recipe = Recipe {
        dropout: vec![[0.0, 0.25][number % 2]],
        optimizer: Optimizer {
            kind: OptimizerKind::AdamW,
            weight_decay: 0.01 * (number % 4) as f64,
            ..Optimizer::default()
        },
        epochs: 3 + (number % 3) as u32,
        batch_size: 16,
        seed: number as u64,
        stopping: Stopping { early_stop: (number % 5 == 1).then_some(1), min_delta: 0.3, ..Stopping::default() },
        ..Recipe::new(RecipeName::Image, Some(vec![8]))
    };
    recipe.schedule.lr = 0.002 * (1 + number % 7) as f64;
    let model = recipe.model(WIDTH, 3).unwrap();
    let mut data = Parts::default();
    let of = number as u32 % 3;
    data.set(Split::Train, fold(rows, of, false));
    data.set(Split::Validation, fold(rows, of, true));
    data.set(Split::Test, test.into());
    let state = State::new(model.initial_parameters(recipe.init, recipe.seed), recipe.optimizer.kind);
    Job { model, recipe, data, state, done: 0 }
}

fn train(request: &Request, jobs: &[Job]) -> Vec<Option<Result<Trained>>> {
    train_on(&request.select().unwrap(), jobs)
}

fn train_on(selected: &Selected, jobs: &[Job]) -> Vec<Option<Result<Trained>>> {
    let mut found: Vec<_> = jobs.iter().map(|_| None).collect();
    many::train(selected, jobs, |number, told| {
        if let Told::Ended(ended) = told {
            found[number] = Some(*ended);
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

/// What a run has of an epoch that does not depend on the time.
fn timeless(epoch: &Epoch) -> Epoch {
    Epoch { train_seconds: 0.0, eval_seconds: 0.0, ..epoch.clone() }
}

fn same(found: &Trained, alone: &Trained, what: &str) {
    assert_eq!(found.outcome, alone.outcome, "{what}");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found.state.parameters), bits(&alone.state.parameters), "{what}");
    assert_eq!(found.state, alone.state, "{what}");
    let epochs = |trained: &Trained| trained.epochs.iter().map(timeless).collect::<Vec<_>>();
    assert_eq!(epochs(found), epochs(alone), "{what}");
}

#[test]
fn a_member_has_the_bits_of_the_same_network_alone() {
    let (rows, test) = (samples(1), samples(2));
    let jobs: Vec<Job> = (0..64).map(|number| job(number, &rows, &test)).collect();
    let alone: Vec<Trained> =
        jobs.iter().map(|job| train(&Request::cpu(1), std::slice::from_ref(job)).remove(0).unwrap().unwrap()).collect();
    assert!(alone.iter().any(|trained| trained.outcome.end == End::NoBetter), "none stopped early");
    for count in [1, 2, 3, 17, 64] {
        for threads in [1, 2, 3] {
            for reversed in [false, true] {
                let mut order: Vec<usize> = (0..count).collect();
                if reversed {
                    order.reverse();
                }
                let pack: Vec<Job> = order.iter().map(|&number| jobs[number].clone()).collect();
                for (found, number) in train(&Request::cpu(threads), &pack).into_iter().zip(order) {
                    let what = format!("job {number} of {count}, {threads} threads, reversed {reversed}");
                    same(&found.unwrap().unwrap(), &alone[number], &what);
                }
            }
        }
    }
}

#[test]
fn some_rows_of_shared_samples_are_the_samples_of_these_rows() {
    let (rows, test) = (samples(1), samples(2));
    for number in 0..3 {
        let shared = job(number, &rows, &test);
        let mut own = shared.clone();
        for (split, held_back) in [(Split::Train, false), (Split::Validation, true)] {
            let wanted = |row: usize| (row as u32 % 3 == number as u32 % 3) == held_back;
            own.data.set(split, (&Arc::new(rows.select(wanted).unwrap())).into());
        }
        let [shared, own] = [shared, own].map(|job| train(&Request::cpu(2), &[job]).remove(0).unwrap().unwrap());
        same(&shared, &own, &format!("fold {number}"));
    }
}

#[test]
fn what_one_job_fails_with_is_its_own() {
    let (rows, test) = (samples(1), samples(2));
    let mut jobs: Vec<Job> = (0..5).map(|number| job(number, &rows, &test)).collect();
    jobs[2].state.parameters.fill(f32::NAN);
    jobs[3].model = Mlp::new(&[WIDTH + 1, 8, 3]).unwrap();
    let found = train(&Request::cpu(2), &jobs);
    assert!(matches!(found[2], Some(Err(Error::Diverged { .. }))), "{:?}", found[2]);
    assert!(matches!(found[3], Some(Err(Error::Data(_)))), "{:?}", found[3]);
    for number in [0, 1, 4] {
        let alone = train(&Request::cpu(2), &jobs[number..=number]).remove(0).unwrap().unwrap();
        same(found[number].as_ref().unwrap().as_ref().unwrap(), &alone, &format!("job {number}"));
    }
}

#[test]
fn all_rows_and_epochs_are_told_and_the_caller_can_stop() {
    let (rows, test) = (samples(1), samples(2));
    let jobs: Vec<Job> = (0..7).map(|number| job(number, &rows, &test)).collect();
    let selected = Request::cpu(2).select().unwrap();
    let mut told = vec![(0, 0, 0); jobs.len()];
    many::train(&selected, &jobs, |number, event| {
        let (rows, epochs, ended) = &mut told[number];
        match event {
            Told::Rows(more) => *rows += more,
            Told::Epoch(epoch) => {
                *epochs += 1;
                assert_eq!(epoch.number, *epochs);
            }
            Told::Ended(found) => *ended += found.unwrap().epochs.len(),
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    for (rows, epochs, ended) in told {
        assert_eq!((rows, epochs as usize), (100 * ended, ended));
        assert!(ended > 0);
    }

    // From the third on they end only when they are stopped, however late this thread tells them.
    let mut jobs = jobs;
    for job in &mut jobs[2..] {
        job.recipe.epochs = 1_000_000;
        job.recipe.stopping = Stopping::default();
    }
    let mut ends = vec![None; jobs.len()];
    many::train(&selected, &jobs, |number, event| {
        if let Told::Ended(found) = event {
            ends[number] = Some(found.map_or(End::Stopped, |found| found.outcome.end));
        }
        Ok(if ends[1].is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .unwrap();
    assert!(ends[1].is_some_and(|end| end != End::Stopped) && ends[4..].iter().all(Option::is_none), "{ends:?}");
    assert!(ends[2..4].iter().flatten().all(|end| *end == End::Stopped), "{ends:?}");
    let failed = many::train(&selected, &jobs, |_, _| Err(Error::Data("no more".into())));
    assert!(matches!(failed, Err(Error::Data(text)) if text == "no more"));
}

/// A GPU, where there is one.
fn gpu(test: &str) -> Option<Selected> {
    adapter::or_skip(Request { backend: Choice::Gpu, ..Request::default() }.select(), test)
}

#[test]
fn all_rows_are_told_and_the_caller_can_stop_on_a_gpu_that_runs_ahead_too() {
    let Some(mut selected) = gpu("all_rows_are_told_and_the_caller_can_stop_on_a_gpu_that_runs_ahead_too") else {
        return;
    };
    let mut device = selected.gpu.as_ref().unwrap().device().clone();
    device.hardware.software = false;
    selected.gpu = Some(Store::new(device));
    let (rows, test) = (samples(1), samples(2));
    // Three packs: of one shape, one that is alone, and one with rows of its own. Two are under way at once.
    let mut jobs: Vec<Job> = [0, 2, 4, 5].map(|number| job(number, &rows, &test)).to_vec();
    jobs.push(job(0, &samples(3), &test));
    let mut told = vec![(0, 0); jobs.len()];
    many::train(&selected, &jobs, |number, event| {
        match event {
            Told::Rows(more) => told[number].0 += more,
            Told::Epoch(_) => {}
            Told::Ended(found) => told[number].1 = found.unwrap().epochs.len(),
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    assert!(told.iter().all(|(rows, epochs)| *rows == 100 * epochs && *epochs > 0), "{told:?}");

    let mut calls = 0;
    let failed = many::train(&selected, &jobs, |_, _| {
        calls += 1;
        Err(Error::Data(format!("call {calls}")))
    });
    assert!(matches!(failed, Err(Error::Data(text)) if text == "call 1"));
    assert_eq!(calls, 1);
    let mut ended = Vec::new();
    many::train(&selected, &jobs, |number, event| {
        if let Told::Ended(found) = &event {
            ended.push((number, found.as_ref().as_ref().map(|found| found.outcome.end).ok()));
        }
        Ok(if matches!(event, Told::Epoch(_)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .unwrap();
    assert!(ended.iter().all(|(number, end)| *number < 4 && end.is_none_or(|end| end == End::Stopped)), "{ended:?}");
    assert!(ended.len() >= 3, "{ended:?}");
}

/// The jobs of a pack on a GPU are those of one shape and optimizer; their rows, epochs and numbers are their own.
#[test]
fn packs_on_a_gpu_have_the_bits_of_the_same_networks_alone() {
    let Some(selected) = gpu("packs_on_a_gpu_have_the_bits_of_the_same_networks_alone") else { return };
    let (rows, test) = (samples(1), samples(2));
    // Two shapes: with dropout and without; one is done before it begins, one fails.
    let mut jobs: Vec<Job> = (0..7).map(|number| job(number, &rows, &test)).collect();
    jobs[3].done = jobs[3].recipe.epochs;
    jobs[4].state.parameters.fill(f32::NAN);
    // One does not fit its model, so there is no pack of it: each fails or ends for itself.
    jobs.push(Job { state: State::new(vec![0.0; 3], OptimizerKind::AdamW), ..jobs[0].clone() });
    let trained = |jobs: &[Job]| train_on(&selected, jobs).into_iter().map(Option::unwrap).collect::<Vec<_>>();
    for (number, found) in trained(&jobs).into_iter().enumerate() {
        let alone = trained(&jobs[number..=number]).remove(0);
        match (found, alone) {
            (Ok(found), Ok(alone)) => same(&found, &alone, &format!("job {number}")),
            (Err(Error::Diverged { .. }), Err(Error::Diverged { .. })) if number == 4 => {}
            (Err(Error::Data(found)), Err(Error::Data(alone))) if number == 7 => assert_eq!(found, alone),
            (found, alone) => panic!("job {number}: {found:?}, alone {alone:?}"),
        }
    }
}

#[test]
fn a_pack_whose_device_is_lost_goes_on_with_the_same_bits_on_another() {
    let test = "a_pack_whose_device_is_lost_goes_on_with_the_same_bits_on_another";
    let Some(undisturbed) = gpu(test) else { return };
    let (rows, part) = (samples(1), samples(2));
    let mut jobs: Vec<Job> = (0..3).map(|number| job(2 * number, &rows, &part)).collect();
    // Long enough that what is told is heard before the end.
    jobs.iter_mut().for_each(|job| (job.recipe.epochs, job.recipe.stopping) = (80, Stopping::default()));
    let expected: Vec<_> = train_on(&undisturbed, &jobs).into_iter().map(|ended| ended.unwrap().unwrap()).collect();
    static OPENED_ANEW: AtomicUsize = AtomicUsize::new(0);
    let mut selected = gpu(test).unwrap();
    selected.tell = |_| {
        OPENED_ANEW.fetch_add(1, Ordering::Relaxed);
    };
    let mut ended: Vec<Option<Result<Trained>>> = jobs.iter().map(|_| None).collect();
    let mut told = vec![Vec::new(); jobs.len()];
    many::train(&selected, &jobs, |number, what| {
        match what {
            Told::Epoch(epoch) => {
                told[number].push(epoch.number);
                selected.gpu.as_ref().unwrap().device().device.destroy();
            }
            Told::Ended(found) => ended[number] = Some(*found),
            Told::Rows(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    // Otherwise the packs were done before the loss.
    assert!(OPENED_ANEW.load(Ordering::Relaxed) > 0);
    for (number, (found, expected)) in ended.into_iter().zip(&expected).enumerate() {
        same(&found.unwrap().unwrap(), expected, &format!("job {number}"));
        let numbers: Vec<u32> = expected.epochs.iter().map(|epoch| epoch.number).collect();
        assert_eq!(told[number], numbers, "job {number}");
    }
}
