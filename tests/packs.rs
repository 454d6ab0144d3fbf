//! The contract of packs: what is told of a member, how it ends and its state are bit for bit those of the same network alone.
//!
//! Without an adapter these tests say so and check nothing; with MLP_GPU_REQUIRE_ADAPTER=1 they fail.
#![allow(missing_docs, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mlp_gpu::backend::gpu::device::Device;
use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::gpu::{Gpu, GpuPack, Store};
use mlp_gpu::backend::pack::Pack;
use mlp_gpu::backend::{Backend, Split, Steps};
use mlp_gpu::data::{Inputs, Samples};
use mlp_gpu::error::Error;
use mlp_gpu::metrics::Evaluation;
use mlp_gpu::model::{Activation, Embed, Init, Mlp};
use mlp_gpu::recipe::{Loss, OptimizerKind, Recipe, Stopping};
use mlp_gpu::schedule::ScheduleKind;
use mlp_gpu::state::State;
use mlp_gpu::train::{self, End, Event, Outcome, Run};

use adapter::device;

mod adapter;

/// What an observer heard of an epoch, its state included.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    number: u32,
    learning_rate: f64,
    evaluations: [Option<Evaluation>; 3],
    state: State,
}

/// All that a run gave: what was told, and how it ended; the error of one that failed.
type Course = (Vec<Told>, Result<(Outcome, State), String>);

/// Data for networks of `width` inputs and `outputs` classes or values: training, test and validation.
struct Data {
    parts: [(Split, Arc<Samples>); 3],
    /// Rows of the training part, for each member where they have their own.
    folds: Option<Vec<Vec<u32>>>,
}

impl Data {
    fn new(width: usize, outputs: usize, loss: Loss) -> Self {
        Self::of_rows(width, outputs, loss, [70, 33, 21])
    }

    /// So many rows of each part.
    fn of_rows(width: usize, outputs: usize, loss: Loss, rows: [usize; 3]) -> Self {
        let part = |rows: usize, salt: u32| {
            let hash = |at: usize| (at as u32 ^ salt).wrapping_mul(2_654_435_761) >> 24;
            let inputs = (0..rows * width).map(|at| hash(at) as u8).collect();
            let inputs = Inputs::U8(inputs);
            let samples = if loss == Loss::CrossEntropy {
                Samples::new(inputs, width, (0..rows).map(|row| hash(row * width) % outputs as u32).collect()).unwrap()
            } else {
                let value = |at| hash(at * width) as f32 / 100.0;
                Samples::with_values(inputs, width, (0..rows * outputs).map(value).collect(), outputs).unwrap()
            };
            Arc::new(samples.with_weights((0..rows).map(|row| 0.5 + (row % 3) as f32).collect()).unwrap())
        };
        let [train, test, validation] = rows;
        let parts =
            [(Split::Train, part(train, 1)), (Split::Test, part(test, 2)), (Split::Validation, part(validation, 3))];
        Self { parts, folds: None }
    }

    /// The rows of the training part that member `member` has.
    fn train_of(&self, member: usize) -> Arc<Samples> {
        let all = &self.parts[0].1;
        match &self.folds {
            None => Arc::clone(all),
            Some(folds) => Arc::new(all.select(|row| folds[member].contains(&(row as u32))).unwrap()),
        }
    }
}

const EVALUATED: [Split; 2] = [Split::Test, Split::Validation];

/// The observer that all runs have: member 4 is stopped after its second epoch.
fn observe(member: usize, told: &mut Vec<Told>, event: Event<'_>) -> mlp_gpu::Result<ControlFlow<()>> {
    if let Event::Epoch(epoch, snapshot) = event {
        let evaluations = [epoch.train.clone(), epoch.test.clone(), epoch.validation.clone()];
        let (number, learning_rate) = (epoch.number, epoch.learning_rate);
        told.push(Told { number, learning_rate, evaluations, state: snapshot.state()? });
        if member == 4 && number == 2 {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Why a run failed. One alone may see within an epoch that it diverged, by its state; a member of a pack sees it behind the epoch, by its
/// loss.
fn why(error: &Error) -> String {
    match error {
        Error::Diverged { epoch, learning_rate, .. } => format!("diverged in epoch {epoch} at {learning_rate}"),
        error => error.to_string(),
    }
}

fn initial(model: &Mlp, recipe: &Recipe) -> State {
    State::new(model.initial_parameters(recipe.init, recipe.seed), recipe.optimizer.kind)
}

fn alone(store: &Store, model: &Mlp, recipe: &Recipe, plan: PlanName, data: &Data, member: usize) -> Course {
    let model = recipe.apply(model.clone()).unwrap();
    let mut gpu = Gpu::new(store.clone(), model.clone(), recipe, Some(plan)).unwrap();
    for (split, part) in &data.parts {
        gpu.upload(*split, part).unwrap();
    }
    let train = data.train_of(member);
    gpu.upload(Split::Train, &train).unwrap();
    gpu.set_state(&initial(&model, recipe)).unwrap();
    let run = Run { recipe, rows: train.len(), evaluated: &EVALUATED, done: 0, clock: &|| Duration::ZERO };
    let mut told = Vec::new();
    let outcome = train::train(&mut gpu, run, |event| observe(member, &mut told, event));
    let ended = match outcome {
        Ok(outcome) => Ok((outcome, gpu.state(None).unwrap())),
        Err(error) => Err(why(&error)),
    };
    (told, ended)
}

fn together(store: &Store, model: &Mlp, recipes: &[Recipe], plan: PlanName, data: &Data) -> Vec<Course> {
    let mut pack = GpuPack::new(store.clone(), model, recipes, Some(plan)).unwrap();
    assert_eq!((pack.members(), pack.about().plan), (recipes.len(), plan.name()));
    for (split, part) in &data.parts {
        pack.upload(*split, part).unwrap();
    }
    if let Some(folds) = &data.folds {
        pack.assign(Split::Train, folds).unwrap();
    }
    for (member, recipe) in recipes.iter().enumerate() {
        pack.set_state(member, &initial(model, recipe)).unwrap();
    }
    let rows: Vec<usize> = (0..recipes.len()).map(|member| data.train_of(member).len()).collect();
    let run = |(recipe, &rows)| Run { recipe, rows, evaluated: &EVALUATED, done: 0, clock: &|| Duration::ZERO };
    let runs: Vec<Run<'_>> = recipes.iter().zip(&rows).map(run).collect();
    let mut told = vec![Vec::new(); recipes.len()];
    let ended = train::train_pack(&mut pack, &runs, |member, event| observe(member, &mut told[member], event));
    let ended = ended.unwrap().into_iter().map(|ended| ended.map_err(|error| why(&error)));
    for (member, state) in pack.states(None).unwrap().into_iter().enumerate() {
        let own = pack.state(member, None).unwrap();
        assert!(own == state || !own.is_finite(), "{member}");
    }
    told.into_iter().zip(ended).collect()
}

/// Recipes that differ in every number that members may differ in.
fn recipes(base: &Recipe, count: usize) -> Vec<Recipe> {
    let kinds = [ScheduleKind::Constant, ScheduleKind::Cosine, ScheduleKind::Notebook, ScheduleKind::Linear];
    let of = |member: usize| {
        let mut recipe = Recipe { seed: 3 + 7 * member as u64, epochs: 2 + (member % 4) as u32, ..base.clone() };
        let number = member as f64;
        recipe.schedule.kind = kinds[member % 4];
        recipe.schedule.lr = base.schedule.lr * (1.0 + 0.1 * (number % 9.0));
        recipe.optimizer.momentum = 0.5 + 0.4 * (number % 5.0) / 5.0;
        recipe.optimizer.beta2 = 0.95 + 0.04 * (number % 3.0) / 3.0;
        recipe.optimizer.weight_decay = 0.01 * (number % 4.0);
        recipe.optimizer.decay_biases = member.is_multiple_of(3);
        recipe.optimizer.clip_norm = base.optimizer.clip_norm.map(|norm| norm * (1.0 + number % 3.0));
        recipe.label_smoothing = if base.loss == Loss::CrossEntropy { 0.05 * (number % 3.0) } else { 0.0 };
        let vary = |share: f64| if share > 0.0 { share + 0.05 * (number % 6.0) } else { 0.0 };
        recipe.dropout.iter_mut().for_each(|share| *share = vary(*share));
        recipe.input_dropout = vary(base.input_dropout);
        recipe.shuffle = member % 5 != 3;
        recipe.eval_every = 1 + (member % 3 == 2) as u32;
        recipe.train_eval = member % 7 != 5;
        recipe.stopping = Stopping {
            early_stop: (member % 2 == 1).then_some(1),
            target_accuracy: (member % 6 == 2).then_some(0.5),
            ..Stopping::default()
        };
        recipe
    };
    (0..count).map(of).collect()
}

fn base(hidden: &[usize], kind: OptimizerKind) -> Recipe {
    let mut recipe = Recipe { hidden: hidden.to_vec(), batch_size: 16, init: Init::He, ..Recipe::default() };
    recipe.optimizer.kind = kind;
    recipe.schedule.lr = kind.usual_rate();
    recipe
}

fn same(device: &Device, base: &Recipe, plan: PlanName, sizes: &[usize], folds: bool) {
    let store = Store::new(device.clone());
    let mut data = Data::new(20, 3, base.loss);
    let model = base.model(20, 3).unwrap().with_front(base.front(vec![0, 5])).unwrap();
    let all = recipes(base, sizes.iter().copied().max().unwrap());
    if folds {
        // Of another number each, so that numbers of batches differ.
        let fold = |member: usize| (0..70).filter(|row| row % (2 + member as u32 % 5) != 0).collect();
        data.folds = Some((0..all.len()).map(fold).collect());
    }
    let alone = |(member, recipe)| alone(&store, &model, recipe, plan, &data, member);
    let expected: Vec<Course> = all.iter().enumerate().map(alone).collect();
    let ends = expected.iter().filter_map(|(_, ended)| Some(ended.as_ref().ok()?.0.end));
    let stopped_early = ends.filter(|end| *end != End::Done).count();
    assert!(all.len() < 17 || stopped_early > 0, "no member ends early");
    for &size in sizes {
        let found = if folds {
            let folds = data.folds.as_ref().map(|folds| folds[..size].to_vec());
            together(&store, &model, &all[..size], plan, &Data { folds, parts: data.parts.clone() })
        } else {
            together(&store, &model, &all[..size], plan, &data)
        };
        for (member, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = format!("{} {:?}, member {member} of {size}", plan.name(), base.optimizer.kind);
            let epochs = |course: &Course| course.0.iter().map(|told| told.number).collect::<Vec<_>>();
            assert_eq!(epochs(found), epochs(expected), "{what}");
            assert!(
                found == expected,
                "{what}: {:?} {:?}",
                found.1.as_ref().map(|ended| ended.0),
                expected.1.as_ref().map(|ended| ended.0)
            );
        }
    }
}

#[test]
fn members_of_the_plan_resident_are_as_alone() {
    let Some(device) = device("members_of_the_plan_resident_are_as_alone") else { return };
    same(&device, &base(&[7], OptimizerKind::Nesterov), PlanName::Resident, &[1, 2, 3, 17, 64], false);
    same(&device, &base(&[9], OptimizerKind::Adam), PlanName::Resident, &[3, 17], true);
    let values = Recipe { loss: Loss::Mse, activation: Activation::Gelu, ..base(&[5], OptimizerKind::AdamW) };
    same(&device, &values, PlanName::Resident, &[3, 17], false);
}

#[test]
fn members_of_the_plan_fused_are_as_alone() {
    let Some(device) = device("members_of_the_plan_fused_are_as_alone") else { return };
    let narrow = Recipe { dropout: vec![0.2], ..base(&[7], OptimizerKind::Momentum) };
    same(&device, &narrow, PlanName::Fused, &[1, 2, 3, 17, 64], false);
    let wide = Recipe {
        dropout: vec![0.1, 0.3],
        input_dropout: 0.1,
        activation: Activation::Gelu,
        row_weights: true,
        class_weight: vec![1.0, 0.5, 2.0],
        ..base(&[40, 9], OptimizerKind::AdamW)
    };
    same(&device, &wide, PlanName::Fused, &[1, 3, 17, 64], true);
    same(&device, &base(&[], OptimizerKind::Adam), PlanName::Fused, &[3, 17], true);
    let values = Recipe { loss: Loss::Huber, ..base(&[33], OptimizerKind::Sgd) };
    same(&device, &values, PlanName::Fused, &[2, 17], true);
}

#[test]
fn members_of_the_plan_ahead_are_as_alone() {
    let Some(mut device) = device("members_of_the_plan_ahead_are_as_alone") else { return };
    // Software drivers do not run it for themselves.
    device.hardware.software = false;
    let wide = Recipe { dropout: vec![0.2], row_weights: true, ..base(&[40], OptimizerKind::AdamW) };
    same(&device, &wide, PlanName::Ahead, &[1, 2, 3, 17], true);
    let values = Recipe { loss: Loss::Huber, ..base(&[33], OptimizerKind::Sgd) };
    same(&device, &values, PlanName::Ahead, &[17, 64], false);
    if device.hardware.subgroup < 8 {
        println!("the adapter's subgroups are too small for narrow layers");
        return;
    }
    let narrow = Recipe { dropout: vec![0.2], ..base(&[7], OptimizerKind::Momentum) };
    same(&device, &narrow, PlanName::Ahead, &[1, 2, 3, 17, 64], true);
}

#[test]
fn members_of_the_plan_elementary_are_as_alone() {
    let Some(device) = device("members_of_the_plan_elementary_are_as_alone") else { return };
    let mut clipping = Recipe { dropout: vec![0.2], activation: Activation::Mish, ..base(&[9], OptimizerKind::Adam) };
    clipping.optimizer.clip_norm = Some(0.3);
    same(&device, &clipping, PlanName::Elementary, &[1, 2, 3, 17, 64], false);
    same(&device, &base(&[12, 5], OptimizerKind::Sgd), PlanName::Elementary, &[3, 17], true);
    let values = Recipe { loss: Loss::Mse, row_weights: true, ..base(&[7], OptimizerKind::Nesterov) };
    same(&device, &values, PlanName::Elementary, &[3], true);
}

#[test]
fn members_with_embedded_numbers_are_as_alone() {
    let Some(device) = device("members_with_embedded_numbers_are_as_alone") else { return };
    let both = |recipe| Recipe { embed: Embed::Pbld(0.3), trained_scale: true, ..recipe };
    same(&device, &both(base(&[40, 9], OptimizerKind::AdamW)), PlanName::Fused, &[3], false);
    let mut clipping = both(base(&[9], OptimizerKind::Momentum));
    clipping.optimizer.clip_norm = Some(0.3);
    same(&device, &clipping, PlanName::Elementary, &[3], true);
}

#[test]
fn rows_that_are_streamed_give_the_bits_of_those_that_are_kept() {
    let Some(device) = device("rows_that_are_streamed_give_the_bits_of_those_that_are_kept") else { return };
    let mut small = device.clone();
    small.data_bytes = 0;
    let weighed = Recipe {
        dropout: vec![0.1, 0.3],
        row_weights: true,
        class_weight: vec![1.0, 0.5, 2.0],
        ..base(&[33, 12], OptimizerKind::AdamW)
    };
    let mut clipped = Recipe { input_dropout: 0.1, ..base(&[9], OptimizerKind::Sgd) };
    clipped.optimizer.clip_norm = Some(0.5);
    let values = Recipe { loss: Loss::Mse, ..base(&[5], OptimizerKind::Adam) };
    for (plan, base, folds) in [
        (PlanName::Resident, &base(&[9], OptimizerKind::Adam), true),
        (PlanName::Fused, &weighed, true),
        (PlanName::Fused, &values, false),
        (PlanName::Elementary, &clipped, false),
    ] {
        // More rows than a window has, of training, and of an evaluation.
        let mut data = Data::of_rows(20, 3, base.loss, [4500, 4200, 50]);
        let model = base.model(20, 3).unwrap();
        let recipes: Vec<Recipe> = recipes(base, 2).into_iter().map(|recipe| Recipe { epochs: 1, ..recipe }).collect();
        if folds {
            data.folds = Some(vec![(0..4500).filter(|row| row % 9 > 0).collect(), (100..4400).rev().collect()]);
        }
        let (kept, streamed) = (Store::new(device.clone()), Store::new(small.clone()));
        let pack = |store: &Store| {
            let mut pack = GpuPack::new(store.clone(), &model, &recipes, Some(plan)).unwrap();
            pack.upload(Split::Train, &data.parts[0].1).unwrap();
            pack.about()
        };
        assert_eq!(pack(&kept).streamed, Vec::<String>::new());
        assert!(pack(&streamed).streamed[0].starts_with("the training part is streamed"));
        let expected = together(&kept, &model, &recipes, plan, &data);
        assert!(expected.iter().all(|(told, _)| told.len() == 1));
        assert!(together(&streamed, &model, &recipes, plan, &data) == expected, "{}", plan.name());
    }
}

#[test]
fn the_last_of_as_many_members_as_a_pack_can_have_is_as_alone() {
    let Some(device) = device("the_last_of_as_many_members_as_a_pack_can_have_is_as_alone") else { return };
    let (store, base) = (Store::new(device), base(&[7], OptimizerKind::Sgd));
    let (data, model) = (Data::new(20, 3, base.loss), base.model(20, 3).unwrap());
    let all = recipes(&base, 256);
    let found = together(&store, &model, &all, PlanName::Fused, &data);
    for member in [0, 100, 255] {
        assert!(found[member] == alone(&store, &model, &all[member], PlanName::Fused, &data, member), "{member}");
    }
}

#[test]
fn members_are_as_alone_where_the_device_is_steps_ahead() {
    let Some(mut device) = device("members_are_as_alone_where_the_device_is_steps_ahead") else { return };
    // Software drivers are not handed work ahead, and evaluate fewer rows at a time.
    device.hardware.software = false;
    device.hardware.subgroup = 0;
    same(&device, &base(&[7], OptimizerKind::Momentum), PlanName::Resident, &[2, 17], true);
    let narrow = Recipe { dropout: vec![0.2], ..base(&[7], OptimizerKind::Momentum) };
    same(&device, &narrow, PlanName::Fused, &[3, 17], true);
    let wide = Recipe { dropout: vec![0.2], ..base(&[40, 9], OptimizerKind::AdamW) };
    same(&device, &wide, PlanName::Fused, &[3, 17], true);
    let values = Recipe { loss: Loss::Mse, ..base(&[7], OptimizerKind::Sgd) };
    same(&device, &values, PlanName::Elementary, &[3], false);
}

#[test]
fn a_long_run_of_steps_is_as_many_single_steps() {
    let Some(device) = device("a_long_run_of_steps_is_as_many_single_steps") else { return };
    // Software drivers end loops after so many rounds of all loops together.
    let recipe = base(&[7], OptimizerKind::Momentum);
    let (model, data, store) = (recipe.model(20, 3).unwrap(), Data::new(20, 3, recipe.loss), Store::new(device));
    let order: Vec<u32> = (0..900 * 16).map(|step| step % 70).collect();
    let trained = [usize::MAX, 7].map(|most| {
        let mut gpu = Gpu::new(store.clone(), model.clone(), &recipe, Some(PlanName::Resident)).unwrap();
        gpu.upload(Split::Train, &data.parts[0].1).unwrap();
        gpu.set_state(&initial(&model, &recipe)).unwrap();
        let (mut order, mut left) = (&order[..], 900);
        while left > 0 {
            let rates = vec![0.01; left.min(most)];
            let part = &order[..16 * rates.len()];
            let taken = gpu.train(Steps { order: part, rates: &rates }).unwrap();
            (order, left) = (&order[16 * taken..], left - taken);
        }
        gpu.state(None).unwrap()
    });
    assert_eq!(trained[0].step, 900);
    assert!(trained[0] == trained[1]);
}

#[test]
fn a_member_that_diverges_ends_with_its_own_error_and_the_others_go_on() {
    let Some(device) = device("a_member_that_diverges_ends_with_its_own_error_and_the_others_go_on") else { return };
    let base = base(&[7], OptimizerKind::Sgd);
    let (model, data, store) = (base.model(20, 3).unwrap(), Data::new(20, 3, base.loss), Store::new(device));
    let mut all = recipes(&base, 3);
    all[1].schedule.lr = 1e30;
    for plan in PlanName::fitting(&model, &all[0], &store.device().hardware) {
        let found = together(&store, &model, &all, plan, &data);
        assert!(found[1].1.as_ref().is_err_and(|error| error.contains("epoch 1")), "{:?}", found[1].1);
        for member in [0, 1, 2] {
            assert!(found[member] == alone(&store, &model, &all[member], plan, &data, member), "{member}");
        }
    }
}

#[test]
fn what_is_no_pack_is_refused() {
    let Some(device) = device("what_is_no_pack_is_refused") else { return };
    let base = base(&[7], OptimizerKind::Sgd);
    let (model, store) = (base.model(20, 3).unwrap(), Store::new(device));
    let open = |recipes: &[Recipe]| GpuPack::new(store.clone(), &model, recipes, None);
    let others: [&dyn Fn(&mut Recipe); 5] = [
        &|recipe| recipe.batch_size = 8,
        &|recipe| recipe.optimizer.kind = OptimizerKind::Adam,
        &|recipe| recipe.optimizer.clip_norm = Some(1.0),
        &|recipe| recipe.dropout = vec![0.1],
        &|recipe| recipe.activation = Activation::Gelu,
    ];
    for change in others {
        let mut other = base.clone();
        change(&mut other);
        assert!(!base.packs_with(&other));
        let error = open(&[base.clone(), other]).err().unwrap().to_string();
        assert!(error.contains("member 1 of a pack is of another shape"), "{error}");
    }
    assert!(open(&[]).is_err() && open(&vec![base.clone(); 257]).is_err());

    let data = Data::new(20, 3, base.loss);
    let mut pack = open(&vec![base.clone(); 3]).unwrap();
    assert!(pack.train(&[Steps { order: &[], rates: &[] }; 3]).is_err(), "nothing was uploaded");
    pack.upload(Split::Train, &data.parts[0].1).unwrap();
    assert!(pack.assign(Split::Train, &[vec![0], vec![], vec![1]]).is_err());
    assert!(pack.assign(Split::Train, &[vec![0], vec![70], vec![1]]).is_err());
    pack.assign(Split::Train, &[vec![0], vec![69, 3], vec![1]]).unwrap();
    assert_eq!(pack.train(&[Steps { order: &[], rates: &[] }; 3]).unwrap(), 0);
    let [none, one] = [Steps { order: &[], rates: &[] }, Steps { order: &[1], rates: &[0.1] }];
    assert_eq!(pack.train(&[none, one, none]).unwrap(), 1);
    assert!(matches!(pack.train(&[one, none, none]), Err(Error::Data(_))), "row 1 of a member that has one row");
    assert_eq!([0, 1, 2].map(|member| pack.state(member, None).unwrap().step), [0, 1, 0]);
    assert!(pack.state(3, None).is_err());
}

#[test]
fn so_many_members_fit() {
    let Some(mut device) = device("so_many_members_fit") else { return };
    let recipe = base(&[100], OptimizerKind::Adam);
    let model = recipe.model(784, 10).unwrap();
    let fits = |device: &Device| {
        let store = Store::new(device.clone());
        let most = GpuPack::capacity(&store, &model, &recipe, None).unwrap();
        assert!(GpuPack::new(store, &model, &vec![recipe.clone(); most], None).is_ok());
        most
    };
    // The slots are what takes most: two of each of 79,510 parameters, and whole vectors.
    let slots = 2 * 4 * 79_512;
    let most = device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size) / slots;
    assert_eq!(fits(&device) as u64, most.min(256));
    device.limits.max_storage_buffer_binding_size = 10 * slots;
    assert_eq!(fits(&device), 10);
    let store = Store::new(device.clone());
    assert!(GpuPack::new(store, &model, &vec![recipe.clone(); 11], None).is_err());
}
