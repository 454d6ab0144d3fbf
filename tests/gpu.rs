//! GPU against CPU on whatever adapter there is, through the same code as `mlp-gpu check`.
//!
//! Without an adapter these tests say so and check nothing; with MLP_GPU_REQUIRE_ADAPTER=1 they fail.
#![allow(missing_docs, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mlp_gpu::backend::cpu::Cpu;
use mlp_gpu::backend::cpu::reference::Reference;
use mlp_gpu::backend::gpu::device::{Device, adapters, cooperative};
use mlp_gpu::backend::gpu::hardware::Cooperative;
use mlp_gpu::backend::gpu::kernels::{self, Kernel, REGISTRY};
use mlp_gpu::backend::gpu::launch::{Within, elementary};
use mlp_gpu::backend::gpu::plan::{Element, Plan, PlanName};
use mlp_gpu::backend::gpu::{Gpu, Store};
use mlp_gpu::backend::select::{Choice, Request};
use mlp_gpu::backend::{Backend, BackendExt, Measure, Precision, Split, Steps};
use mlp_gpu::bench::{Workload, workloads};
use mlp_gpu::check::{self, Row};
use mlp_gpu::compare::{Tolerance, compare};
use mlp_gpu::data::{self, Dataset, Inputs, Samples};
use mlp_gpu::metrics::Evaluation;
use mlp_gpu::model::{Activation, Embed, Init, Mlp};
use mlp_gpu::random;
use mlp_gpu::recipe::{Loss, OptimizerKind, Recipe};
use mlp_gpu::schedule::Length;
use mlp_gpu::state::State;
use mlp_gpu::train::{self, End, Event, Outcome, Run};

use adapter::{device, every};

mod adapter;

fn recipe(batch_size: usize) -> Recipe {
    Recipe { batch_size, ..Recipe::default() }
}

fn gpu(device: &Device, model: &Mlp, batch_size: usize, plan: Option<PlanName>) -> Gpu {
    Gpu::new(Store::new(device.clone()), model.clone(), &recipe(batch_size), plan).unwrap()
}

fn fresh(parameters: &[f32]) -> State {
    State::new(parameters.to_vec(), OptimizerKind::Sgd)
}

fn assert_all(rows: &[Row]) {
    assert!(!rows.is_empty());
    for row in rows {
        assert!(row.comparison.passed(), "{} {} {}: {}", row.name, row.shape, row.what, row.comparison);
    }
}

/// All `rows` passed, and each kernel that runs on `device` has some.
fn assert_every_kernel(device: &Device, rows: &[Row]) {
    assert_all(rows);
    for kernel in REGISTRY.iter().filter(|kernel| kernel.needs.met_by(&device.hardware)) {
        assert!(rows.iter().any(|row| row.name == kernel.name), "{} has no case", kernel.name);
    }
}

#[test]
fn every_kernel_matches_its_twin() {
    let Some(device) = device("every_kernel_matches_its_twin") else { return };
    let rows = check::kernels(&device, check::KERNELS, every(&device, 4)).unwrap();
    assert_every_kernel(&device, &rows);
}

#[test]
#[ignore = "minutes on a software driver: tests/run --all"]
fn every_kernel_matches_its_twin_where_the_driver_checks_bounds_too() {
    let Some(device) = device("every_kernel_matches_its_twin_where_the_driver_checks_bounds_too") else { return };
    // A software driver compiles them for minutes more: one shape of three.
    let rows = check::kernels(&device.checked(), check::KERNELS, 3).unwrap();
    assert_every_kernel(&device, &rows);
}

#[test]
fn every_plan_matches_the_cpu() {
    let Some(device) = device("every_plan_matches_the_cpu") else { return };
    assert_all(&check::plans(&device, every(&device, 8)).unwrap());
}

/// As if the adapter were a GPU: a software driver has other ways.
fn as_gpu(device: &Device) -> Device {
    let mut device = device.clone();
    device.hardware.software = false;
    device
}

#[test]
fn updates_in_one_dispatch_are_those_in_dispatches_of_their_own() {
    let Some(device) = device("updates_in_one_dispatch_are_those_in_dispatches_of_their_own") else { return };
    let joining = as_gpu(&device);
    let rows = 70;
    let samples = Samples::new(Inputs::U8((0..=250).cycle().take(21 * rows).collect()), 21, vec![1; rows]).unwrap();
    let samples = Arc::new(samples);
    let order: Vec<u32> = (0..rows as u32).collect();
    for (widths, kind) in [
        (&[21, 40, 3][..], OptimizerKind::Sgd),
        (&[21, 40, 3], OptimizerKind::Adam),
        (&[21, 130, 65, 3], OptimizerKind::Momentum),
        (&[21, 33, 64, 20, 2], OptimizerKind::AdamW),
    ] {
        let model = Mlp::new(widths).unwrap();
        let mut recipe = recipe(32);
        recipe.optimizer.kind = kind;
        // Apart, but each update in the same way.
        let mut apart = joining.clone();
        apart.hardware.storage_buffers = 8;
        let step = |device: &Device| Plan::step(PlanName::Fused, &model, &recipe, Element::U8, 32, &device.hardware);
        step(&joining).pieces().for_each(|piece| apart.hardware.tuning.set(&piece.launch));
        let layers = widths.len() - 1;
        assert_eq!([&joining, &apart].map(|device| step(device).dispatches.len()), [2 * layers - 1, 3 * layers - 2]);
        let trained = [&joining, &apart].map(|device| {
            let plan = Some(PlanName::Fused);
            let mut gpu = Gpu::new(Store::new(device.clone()), model.clone(), &recipe, plan).unwrap();
            gpu.upload(Split::Train, &samples).unwrap();
            gpu.set_state(&State::new(model.initial_parameters(Init::He, 0), kind)).unwrap();
            gpu.pass(&order, 32, 0.01).unwrap();
            gpu.state(None).unwrap()
        });
        assert_eq!(trained[0].step, 3);
        assert!(trained[0] == trained[1], "{model}, {}", kind.name());
    }
}

/// Software drivers have no subgroups of 32: here 32 neighbours exchange what they have through workgroup memory.
#[test]
fn neighbours_that_do_all_of_a_rows_work_train_as_the_twins_do() {
    let Some(device) = device("neighbours_that_do_all_of_a_rows_work_train_as_the_twins_do") else { return };
    let some = every(&device, 2);
    let mut device = as_gpu(&device);
    device.hardware.subgroup = 32;
    let mut text = kernels::RESIDENT_SLICED.text.to_owned();
    for (from, to) in [
        ("@builtin(subgroup_invocation_id) member: u32,", ""),
        ("    begin(group.z);", "own_lane = lane; let member = lane % 32u; begin(group.z);"),
        (
            "-> vec4<f32> {\n    return subgroupShuffleXor(value, mask);",
            "-> vec4<f32> { return by_memory(value, own_lane ^ mask);",
        ),
        (
            "-> vec2<f32> {\n    return subgroupShuffleXor(value, mask);",
            "-> vec2<f32> { return by_memory(vec4<f32>(value, value), own_lane ^ mask).xy;",
        ),
        (
            "-> f32 {\n    return subgroupShuffleXor(value, mask);",
            "-> f32 { return by_memory(vec4<f32>(value), own_lane ^ mask).x;",
        ),
        (
            "return subgroupShuffle(value, member);",
            "return by_memory(vec4<f32>(value), own_lane / 32u * 32u + member).x;",
        ),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    text += "
        var<private> own_lane: u32;
        var<workgroup> values_of_lanes: array<vec4<f32>, lanes>;
        fn by_memory(value: vec4<f32>, lane: u32) -> vec4<f32> {
            values_of_lanes[own_lane] = value;
            workgroupBarrier();
            let other = values_of_lanes[lane];
            workgroupBarrier();
            return other;
        }";
    let Kernel { name, fused, .. } = kernels::RESIDENT_SLICED;
    let needs = kernels::Needs::Nothing;
    let kernel: &'static Kernel = Box::leak(Box::new(Kernel { name, fused, needs, text: text.leak() }));
    let checked = check::KERNELS.iter().find(|checked| checked.kernel == &kernels::RESIDENT_SLICED).unwrap();
    let rows = check::kernels(&device, &[checked.with(kernel)], some).unwrap();
    assert_all(&rows);
    assert!(rows.len() > 8 / some, "{}", rows.len());
}

/// In several turns over the inputs, of which some are loaded ahead, and in slices of the rows.
#[test]
fn a_workgroup_that_shares_out_inputs_and_rows_trains_as_the_twins_do() {
    let Some(device) = device("a_workgroup_that_shares_out_inputs_and_rows_trains_as_the_twins_do") else { return };
    if device.hardware.subgroup < 8 {
        println!("the adapter's subgroups are too small");
        return;
    }
    let device = as_gpu(&device);
    let rows = 150;
    let order: Vec<u32> = (0..rows as u32).rev().collect();
    for (widths, batch_size, kind) in [
        ([300, 7, 10], 64, OptimizerKind::Sgd),
        ([200, 13, 5], 48, OptimizerKind::Adam),
        ([30, 3, 2], 7, OptimizerKind::Momentum),
    ] {
        let model = Mlp::new(&widths).unwrap();
        let mut recipe = recipe(batch_size);
        recipe.optimizer.kind = kind;
        let labels = (0..rows).map(|row| (row * 7 % widths[2]) as u32).collect();
        let pixels = random::order(1, 0, (rows * widths[0]) as u32).into_iter().map(|value| value as u8);
        let samples = Arc::new(Samples::new(Inputs::U8(pixels.collect()), widths[0], labels).unwrap());
        let step = Plan::step(PlanName::Resident, &model, &recipe, Element::U8, batch_size, &device.hardware);
        assert_eq!(step.pieces().next().unwrap().launch.kernel, &kernels::RESIDENT_SLICED, "{model}");
        let mut gpu = Gpu::new(Store::new(device.clone()), model.clone(), &recipe, Some(PlanName::Resident)).unwrap();
        let mut reference = Reference::new(model.clone(), &recipe);
        let trained = [&mut gpu as &mut dyn Backend, &mut reference].map(|backend| {
            backend.upload(Split::Train, &samples).unwrap();
            backend.set_state(&State::new(model.initial_parameters(Init::He, 0), kind)).unwrap();
            for _ in 0..2 {
                backend.pass(&order, batch_size, 0.01).unwrap();
            }
            backend.parameters().unwrap()
        });
        let found = compare(&trained[0], &trained[1], Tolerance { absolute: 1e-6, relative: 1e-4 });
        assert!(found.passed(), "{model}: {found}");
    }
}

/// What a step makes for the next one does not depend on how steps are handed over: one by one the bits are the same.
#[test]
fn steps_that_begin_the_next_one_train_as_the_twins_do() {
    let Some(device) = device("steps_that_begin_the_next_one_train_as_the_twins_do") else { return };
    let device = as_gpu(&device);
    if device.hardware.subgroup < 8 || device.hardware.invocations < 1024 {
        println!("the adapter's subgroups or workgroups are too small");
        return;
    }
    let rows = 150;
    let order: Vec<u32> = (0..rows as u32).rev().collect();
    let (narrow, dense) = (&["narrow_step"][..], &["output_ahead", "dense_ahead"][..]);
    for (widths, batch_size, kind, loss, activation, dropout, floats) in [
        ([300, 7, 10], 64, OptimizerKind::Sgd, Loss::CrossEntropy, Activation::Relu, 0.0, false),
        ([30, 3, 2], 7, OptimizerKind::Momentum, Loss::CrossEntropy, Activation::Gelu, 0.3, false),
        ([201, 8, 5], 37, OptimizerKind::Adam, Loss::Huber, Activation::Tanh, 0.0, true),
        ([300, 40, 10], 64, OptimizerKind::Sgd, Loss::CrossEntropy, Activation::Relu, 0.2, false),
        ([201, 70, 3], 29, OptimizerKind::AdamW, Loss::Mse, Activation::Mish, 0.0, true),
    ] {
        let model = Mlp::new(&widths).unwrap().with_activation(activation).with_head(loss.head());
        let model = model.with_dropout(0.0, &[dropout]).unwrap();
        let mut recipe = Recipe { loss, ..recipe(batch_size) };
        recipe.optimizer.kind = kind;
        let values = random::order(1, 0, (rows * widths[0]) as u32).into_iter();
        let inputs = if floats {
            Inputs::F32(values.map(|value| (value % 100) as f32 / 50.0 - 1.0).collect())
        } else {
            Inputs::U8(values.map(|value| value as u8).collect())
        };
        let samples = if loss == Loss::CrossEntropy {
            recipe.class_weight = (0..widths[2]).map(|class| 1.0 + 0.1 * class as f64).collect();
            Samples::new(inputs, widths[0], (0..rows).map(|row| (row * 7 % widths[2]) as u32).collect())
        } else {
            let values = (0..rows * widths[2]).map(|at| (at as f32 * 0.7).sin()).collect();
            Samples::with_values(inputs, widths[0], values, widths[2])
        };
        let samples = Arc::new(samples.unwrap());
        let step =
            Plan::step(PlanName::Ahead, &model, &recipe, Element::of(&samples.inputs), batch_size, &device.hardware);
        let names: Vec<_> = step.pieces().map(|piece| piece.launch.kernel.name).collect();
        assert!(names.starts_with(if widths[1] <= 32 { narrow } else { dense }), "{model}: {names:?}");
        let mut gpu = Gpu::new(Store::new(device.clone()), model.clone(), &recipe, Some(PlanName::Ahead)).unwrap();
        let mut reference = Reference::new(model.clone(), &recipe);
        let trained = [&mut gpu as &mut dyn Backend, &mut reference].map(|backend| {
            backend.upload(Split::Train, &samples).unwrap();
            backend.set_state(&State::new(model.initial_parameters(Init::He, 0), kind)).unwrap();
            for _ in 0..2 {
                backend.pass(&order, batch_size, 0.01).unwrap();
            }
            backend.state(None).unwrap()
        });
        let found =
            compare(&trained[0].parameters, &trained[1].parameters, Tolerance { absolute: 1e-6, relative: 1e-4 });
        assert!(found.passed(), "{model}: {found}");
        gpu.set_state(&State::new(model.initial_parameters(Init::He, 0), kind)).unwrap();
        for batch in [order.chunks(batch_size), order.chunks(batch_size)].into_iter().flatten() {
            gpu.pass(batch, batch_size, 0.01).unwrap();
        }
        assert!(gpu.state(None).unwrap() == trained[0], "{model}");
    }
}

#[test]
fn packs_in_the_ways_of_gpus_have_the_bits_of_the_same_networks_alone() {
    let Some(device) = device("packs_in_the_ways_of_gpus_have_the_bits_of_the_same_networks_alone") else { return };
    assert_all(&check::packs(&as_gpu(&device)).unwrap());
}

/// Each value is one sum in the same order, whatever the tile is.
#[test]
fn tiles_of_any_size_make_the_same_bits() {
    let Some(device) = device("tiles_of_any_size_make_the_same_bits") else { return };
    let mut device = as_gpu(&device);
    device.hardware.subgroup = 32;
    // Updates of their own dispatches can be launched in any way.
    device.hardware.storage_buffers = 8;
    let model = Mlp::new(&[260, 192, 150, 4]).unwrap();
    let recipe = recipe(96);
    let step = Plan::step(PlanName::Fused, &model, &recipe, Element::U8, 96, &device.hardware);
    let samples = Samples::new(Inputs::U8((0..=250).cycle().take(260 * 200).collect()), 260, vec![1; 200]).unwrap();
    let samples = Arc::new(samples);
    let order: Vec<u32> = (0..200).collect();
    let mut states = Vec::new();
    for tile in ["128 x 128 by 8 x 8", "64 x 128 by 8 x 4", "64 x 64 by 8 x 8", "64 x 64 by 4 x 4", "32 x 32 by 4 x 4"]
    {
        let way = format!("{tile} in 1 slices");
        let mut taking = device.clone();
        let mut taken = 0;
        for piece in step.pieces() {
            let ways = std::iter::once(&piece.launch).chain(&piece.others);
            for launch in ways.filter(|launch| launch.way.starts_with(&way)) {
                taking.hardware.tuning.set(launch);
                taken += 1;
            }
        }
        // Of all layers but the last, and its update.
        assert_eq!(taken, 6, "{tile}");
        let mut gpu = Gpu::new(Store::new(taking), model.clone(), &recipe, None).unwrap();
        gpu.upload(Split::Train, &samples).unwrap();
        gpu.set_state(&fresh(&model.initial_parameters(Init::He, 0))).unwrap();
        gpu.pass(&order, 96, 0.05).unwrap();
        states.push(gpu.state(None).unwrap());
    }
    assert!(states.iter().all(|state| state.step == 3 && *state == states[0]));
    assert!(states[0].parameters.iter().all(|value| value.is_finite()));
}

#[test]
#[ignore = "minutes on a software driver: tests/run --all"]
fn every_plan_matches_the_cpu_on_what_every_webgpu_device_has_in_the_ways_of_gpus() {
    let test = "every_plan_matches_the_cpu_on_what_every_webgpu_device_has_in_the_ways_of_gpus";
    if device(test).is_none() {
        return;
    }
    for adapter in pollster::block_on(adapters()) {
        let common = pollster::block_on(Device::open_common(&adapter)).unwrap();
        assert_eq!(common.device.limits(), wgpu::Limits::default());
        // A software driver compiles the ways of GPUs for long: a third of the networks has them all.
        assert_all(&check::plans(&as_gpu(&common), 3).unwrap());
    }
}

/// Another driver may contract a product and a sum, or divide less exactly: `train --exact` finds out.
#[test]
fn the_plan_elementary_has_the_bits_of_its_twins_where_the_driver_rounds_as_written() {
    let test = "the_plan_elementary_has_the_bits_of_its_twins_where_the_driver_rounds_as_written";
    let Some(device) = device(test) else { return };
    let is_known = device.info.driver == "llvmpipe" && device.info.driver_info.contains("Mesa 22.");
    let store = Store::new(device);
    // The last input is always 0, and so is the gradient of its weights.
    let input = |at: u32| if at % 20 == 19 { 0.0 } else { (at * 37 % 101) as f32 / 50.0 - 1.0 };
    let inputs: Vec<f32> = (0..200 * 20).map(input).collect();
    let labels = Samples::new(Inputs::F32(inputs.clone()), 20, (0..200).map(|row| row % 3).collect()).unwrap();
    let values = (0..200).map(|row| (row as f32 * 0.7).sin()).collect();
    let values = Samples::with_values(Inputs::F32(inputs), 20, values, 1).unwrap();
    let (labels, values) = (Arc::new(labels), Arc::new(values));
    let order: Vec<u32> = (0..20).flat_map(|epoch| random::order(0, epoch, 200)).collect();
    let base = |kind, activation| {
        let mut recipe = Recipe { hidden: vec![16, 9], activation, batch_size: 32, ..Recipe::default() };
        recipe.optimizer.kind = kind;
        recipe
    };
    let (adam, relu) = (OptimizerKind::Adam, Activation::Relu);
    let mut recipes: Vec<Recipe> = Activation::ALL.iter().map(|&activation| base(adam, activation)).collect();
    recipes.extend(OptimizerKind::ALL.map(|kind| Recipe { label_smoothing: 0.1, ..base(kind, relu) }));
    recipes.extend([Loss::Mse, Loss::Mae, Loss::Huber].map(|loss| Recipe { loss, ..base(adam, relu) }));
    let dropping = |activation| Recipe { dropout: vec![0.2], input_dropout: 0.1, ..base(adam, activation) };
    recipes.extend([relu, Activation::Tanh, Activation::Mish].map(dropping));
    recipes.push(Recipe { class_weight: vec![1.0, 2.0, 0.5], ..base(adam, relu) });
    recipes.push(Recipe { embed: Embed::Pbld(0.3), trained_scale: true, ..base(adam, relu) });
    let mut clipping = base(adam, relu);
    clipping.optimizer.clip_norm = Some(0.3);
    recipes.push(clipping);
    for recipe in recipes {
        let (samples, outputs) = if recipe.loss == Loss::CrossEntropy { (&labels, 3) } else { (&values, 1) };
        let model = recipe.model(20, outputs).unwrap().with_front(recipe.front((0..5).collect())).unwrap();
        let mut state = State::new(model.initial_parameters(recipe.init, 0), recipe.optimizer.kind);
        // What shrinks from here is 0 in the end: without a bound it would be normal numbers still.
        state.slots.iter_mut().zip([1e-31, 7.6e-37]).for_each(|(slot, value)| slot.fill(value));
        let mut gpu = Gpu::new(store.clone(), model.clone(), &recipe, Some(PlanName::Elementary)).unwrap();
        let mut twins = Reference::new(model.clone(), &recipe);
        gpu.upload(Split::Train, samples).unwrap();
        if let Err(error) = check::exactly(&mut gpu, &model, &recipe, samples, &state) {
            assert!(!is_known, "{recipe}: {error}");
            println!("{recipe}: {error}");
            continue;
        }
        twins.upload(Split::Train, samples).unwrap();
        let both: [&mut dyn Backend; 2] = [&mut gpu, &mut twins];
        let [gpu, twins] = both.map(|backend| {
            backend.set_state(&state).unwrap();
            backend.pass(&order, 32, 0.003).unwrap();
            (backend.state(None).unwrap(), bits(&backend.predict(&samples.inputs).unwrap()))
        });
        assert!(gpu == twins || !is_known, "{recipe}");
    }
}

#[test]
fn products_of_mixed_precision_match_where_the_adapter_has_them() {
    let Some(device) = device("products_of_mixed_precision_match_where_the_adapter_has_them") else { return };
    let mixed = pollster::block_on(Device::open(&device.adapter, Precision::Mixed));
    match cooperative(&device.adapter) {
        Some(_) => assert_all(&check::mixed(&mixed.unwrap()).unwrap()),
        None => assert!(mixed.err().unwrap().to_string().contains("mixed precision")),
    }
}

#[test]
fn the_precision_of_products_is_told_before_there_are_data() {
    let Some(device) = device("the_precision_of_products_is_told_before_there_are_data") else { return };
    let mut device = as_gpu(&device);
    device.hardware.cooperative = Some(Cooperative { side: 16, subgroup: 32 });
    for (widths, expected) in [
        (&[784, 2048, 2048, 10][..], Precision::Mixed),
        // Products that are faster without matrices, and a network that has none.
        (&[784, 512, 512, 10], Precision::F32),
        (&[784, 7, 10], Precision::F32),
    ] {
        let model = Mlp::new(widths).unwrap();
        assert_eq!(gpu(&device, &model, 128, None).about().precision, expected, "{model}");
    }
}

#[test]
fn tuned_ways_are_used_and_compute_the_same() {
    let Some(device) = device("tuned_ways_are_used_and_compute_the_same") else { return };
    let rows = 40;
    let samples = Samples::new(Inputs::U8((0..=250).cycle().take(12 * rows).collect()), 12, vec![1; rows]).unwrap();
    let samples = Arc::new(samples);
    let model = Mlp::new(&[12, 40, 3]).unwrap();
    let parameters = model.initial_parameters(Init::He, 0);
    let open = |device: &Device| {
        let mut gpu = gpu(device, &model, 16, None);
        gpu.upload(Split::Train, &samples).unwrap();
        gpu.set_state(&fresh(&parameters)).unwrap();
        gpu
    };
    let mut gpu = open(&device);
    let (tuned, tuning) = gpu.tune().unwrap();
    // A forward product, the last layer and two updates.
    assert_eq!(tuned.len(), 4, "{tuned:?}");
    assert!(tuned.iter().all(|kernel| 0.0 < kernel.best_seconds && kernel.best_seconds <= kernel.before_seconds));
    assert_eq!(gpu.parameters().unwrap(), parameters, "tuning must not train");

    // As if the slowest ways had been the fastest.
    let mut other = device.clone();
    other.hardware.tuning = tuning;
    for piece in Plan::step(PlanName::Fused, &model, &recipe(16), Element::U8, 16, &device.hardware).pieces() {
        other.hardware.tuning.set(piece.others.last().unwrap());
    }
    let step = Plan::step(PlanName::Fused, &model, &recipe(16), Element::U8, 16, &other.hardware);
    let usual = Plan::step(PlanName::Fused, &model, &recipe(16), Element::U8, 16, &device.hardware);
    for (tuned, usual) in step.pieces().zip(usual.pieces()) {
        assert_ne!(tuned.launch.choice(), usual.launch.choice());
    }
    let order: Vec<u32> = (0..rows as u32).collect();
    let trained = [&device, &other].map(|device| {
        let mut gpu = open(device);
        gpu.pass(&order, 16, 0.1).unwrap();
        gpu.parameters().unwrap()
    });
    let comparison = compare(&trained[1], &trained[0], Tolerance { absolute: 1e-6, relative: 1e-5 });
    assert!(comparison.passed(), "{comparison}");
    assert_ne!(trained[0], parameters);
}

#[test]
fn tuning_does_not_train_where_a_step_begins_the_next_one() {
    let Some(device) = device("tuning_does_not_train_where_a_step_begins_the_next_one") else { return };
    let (device, rows) = (as_gpu(&device), 40);
    let samples = Samples::new(Inputs::U8((0..=250).cycle().take(40 * rows).collect()), 40, vec![1; rows]).unwrap();
    let samples = Arc::new(samples);
    for widths in [[40, 7, 3], [40, 50, 3]] {
        let model = Mlp::new(&widths).unwrap();
        let parameters = model.initial_parameters(Init::Normal(0.1), 0);
        let mut gpu = gpu(&device, &model, 16, Some(PlanName::Ahead));
        gpu.upload(Split::Train, &samples).unwrap();
        gpu.set_state(&fresh(&parameters)).unwrap();
        let (tuned, _) = gpu.tune().unwrap();
        assert!(tuned.iter().any(|tuned| tuned.what.contains("step") || tuned.what.contains("ahead")), "{tuned:?}");
        assert!(gpu.parameters().unwrap() == parameters, "{model}");
    }
}

#[test]
fn a_kernel_that_computes_something_else_fails_the_check() {
    static BROKEN: Kernel = Kernel {
        name: "activate_backward",
        fused: false,
        needs: kernels::Needs::Nothing,
        text: "// uses: own_rows, activation, dropout
            override width: u32;
            @group(0) @binding(1) var<storage, read> h: array<f32>;
            @group(0) @binding(2) var<storage, read_write> d: array<f32>;
            @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                begin(id.z);
                let at = own_rows(width) + id.x;
                if id.x < batch.rows * width && h[at] >= 0.0 { d[at] += 1e-3; }
            }",
    };
    let Some(device) = device("a_kernel_that_computes_something_else_fails_the_check") else { return };
    let checked = check::KERNELS.iter().find(|checked| checked.kernel == &kernels::ACTIVATE_BACKWARD).unwrap();
    let rows = check::kernels(&device, &[checked.with(&BROKEN)], 1).unwrap();
    assert!(rows.iter().any(|row| !row.comparison.passed()));
}

#[test]
fn nan_in_the_parameters_shows_in_the_loss_on_both_backends() {
    let widths = [6, 4, 3];
    let samples = Arc::new(Samples::new(Inputs::F32(vec![0.5; 12]), 6, vec![0, 2]).unwrap());
    let model = Mlp::new(&widths).unwrap();
    let mut parameters = model.initial_parameters(Init::He, 0);
    parameters[1] = f32::NAN;
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(Cpu::new(model.clone(), &recipe(2), 1).unwrap())];
    if let Some(device) = device("nan_in_the_parameters_shows_in_the_loss_on_both_backends") {
        backends.push(Box::new(gpu(&device, &model, 2, None)));
    }
    for backend in &mut backends {
        backend.upload(Split::Train, &samples).unwrap();
        backend.set_state(&fresh(&parameters)).unwrap();
        let loss = backend.evaluate_now(Split::Train).unwrap().loss_sum;
        assert!(loss.is_nan(), "{}: {loss}", backend.about().name);
    }
}

#[test]
fn a_step_on_augmented_images_is_the_cpus() {
    let Some(device) = device("a_step_on_augmented_images_is_the_cpus") else { return };
    let model = Mlp::new(&[20 * 14, 30, 3]).unwrap();
    let augment = "shift:2,rotate:15,scale:0.15,elastic".parse().unwrap();
    let recipe = Recipe { augment, seed: 3, ..recipe(32) };
    let gpu = |plan| Gpu::new(Store::new(device.clone()), model.clone(), &recipe, Some(plan)).unwrap();
    let rows: Vec<u8> = (0..48 * 280).map(|at: usize| (at * 2_654_435_761 % 251) as u8).collect();
    let samples = Samples::new(Inputs::U8(rows), 280, (0..48).map(|row| row % 3).collect()).unwrap();
    let error = gpu(PlanName::Fused).upload(Split::Train, &Arc::new(samples.clone())).unwrap_err().to_string();
    assert!(error.contains("images of known size"), "{error}");

    let samples = Arc::new(samples.with_image((20, 14)).unwrap());
    let mut cpu = Cpu::new(model.clone(), &recipe, 2).unwrap();
    let initial = model.initial_parameters(Init::He, 0);
    let step = |backend: &mut dyn Backend| {
        backend.upload(Split::Train, &samples).unwrap();
        backend.set_state(&fresh(&initial)).unwrap();
        // The second batch is short.
        backend.pass(&(0..48).rev().collect::<Vec<u32>>(), 32, 0.1).unwrap();
        (backend.parameters().unwrap(), backend.evaluate_now(Split::Train).unwrap().mean_loss() as f32)
    };
    let (expected, expected_loss) = step(&mut cpu);
    for plan in [PlanName::Elementary, PlanName::Fused] {
        let (found, loss) = step(&mut gpu(plan));
        let tolerance = Tolerance { absolute: 1e-5, relative: 1e-4 };
        let compared = compare(&found, &expected, tolerance);
        assert!(compared.passed(), "{plan:?} {compared}");
        assert!(compare(&[loss], &[expected_loss], tolerance).passed(), "{plan:?} {loss} {expected_loss}");
    }
}

#[test]
fn images_that_are_streamed_give_the_same_bits_also_in_the_middle_of_an_epoch() {
    let name = "images_that_are_streamed_give_the_same_bits_also_in_the_middle_of_an_epoch";
    let Some(device) = device(name) else { return };
    let rows = (0..9000 * 36).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let samples = Samples::new(Inputs::U8(rows), 36, (0..9000).map(|row| row % 3).collect()).unwrap();
    let samples = Arc::new(samples.with_image((6, 6)).unwrap());
    let order: Vec<u32> = (0..9000).map(|at| at * 7 % 9000).collect();
    for (device, plan, hidden, augment) in
        [(device.clone(), None, 8, "shift:1,rotate:15"), (as_gpu(&device), Some(PlanName::Ahead), 40, "none")]
    {
        let mut recipe = Recipe { hidden: vec![hidden], augment: augment.parse().unwrap(), ..recipe(16) };
        recipe.optimizer.kind = OptimizerKind::Adam;
        let model = recipe.model(36, 3).unwrap();
        let initial = State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind);
        let run = |data_bytes, from: &State, order: &[u32]| {
            let mut device = device.clone();
            device.data_bytes = data_bytes;
            let mut gpu = Gpu::new(Store::new(device), model.clone(), &recipe, plan).unwrap();
            gpu.upload(Split::Train, &samples).unwrap();
            assert_eq!(gpu.about().streamed.len(), usize::from(data_bytes < 1 << 20));
            gpu.set_state(from).unwrap();
            gpu.pass(order, 16, 0.001).unwrap();
            gpu.state(None).unwrap()
        };
        let expected = run(u64::MAX, &initial, &order);
        let middle = run(1 << 16, &initial, &order[..16 * 300]);
        let found = run(1 << 16, &middle, &order[16 * 300..]);
        assert_eq!((bits(&found.parameters), found.step), (bits(&expected.parameters), expected.step));
    }
}

#[test]
fn a_device_that_is_lost_is_opened_anew_and_the_run_ends_with_the_same_bits() {
    let name = "a_device_that_is_lost_is_opened_anew_and_the_run_ends_with_the_same_bits";
    let request = Request { backend: Choice::Gpu, ..Request::default() };
    let Some(_) = adapter::or_skip(request.select(), name) else { return };
    let samples = |rows: u32| {
        let inputs = (0..12 * rows).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Arc::new(Samples::new(Inputs::U8(inputs), 12, (0..rows).map(|row| row % 3).collect()).unwrap())
    };
    let mut recipe = Recipe { hidden: vec![6], epochs: 4, ..recipe(8) };
    recipe.optimizer.kind = OptimizerKind::Adam;
    let model = recipe.model(12, 3).unwrap();
    let run = |lost_in: Option<u32>| {
        let selected = request.select().unwrap();
        let (mut gpu, _) = selected.backend(&model, &recipe).unwrap();
        gpu.upload(Split::Train, &samples(500)).unwrap();
        gpu.upload(Split::Test, &samples(90)).unwrap();
        let initial = State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind);
        gpu.set_state(&initial).unwrap();
        let run = Run { recipe: &recipe, rows: 500, evaluated: &[Split::Test], done: 0, clock: &|| Duration::ZERO };
        let mut told = Vec::new();
        let outcome = train::train(gpu.as_mut(), run, |event| {
            match event {
                Event::Progress { epoch, .. } if lost_in == Some(epoch) => {
                    selected.gpu.as_ref().unwrap().device().device.destroy();
                }
                Event::Epoch(epoch, _) => told.push((epoch.number, epoch.train.clone(), epoch.test.clone())),
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        });
        (told, outcome.unwrap(), bits(&gpu.state(None).unwrap().parameters), selected.gpu.unwrap().device().is_lost())
    };
    let (told, outcome, parameters, lost) = run(None);
    assert!(told.len() == 4 && !lost);
    for epoch in [1, 3] {
        assert_eq!(run(Some(epoch)), (told.clone(), outcome, parameters.clone(), true));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_batch_or_the_layers_that_do() {
    let Some(device) = device("what_does_not_fit_is_refused_with_the_batch_or_the_layers_that_do") else { return };
    let mut small = device.clone();
    small.limits.max_storage_buffer_binding_size = 1 << 20;
    let refused = |widths: &[usize], batch_size| {
        let model = Mlp::new(widths).unwrap();
        Gpu::new(Store::new(small.clone()), model, &recipe(batch_size), None).err().map(|error| error.to_string())
    };
    let said = |error: Option<String>, before: &str| -> usize {
        let error = error.unwrap();
        let rest = error.split(before).nth(1).unwrap_or_else(|| panic!("{error}"));
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    // What is advised fits, and one more does not.
    let rows = said(refused(&[20, 64, 10], 60_000), "batches of at most ");
    assert!(refused(&[20, 64, 10], rows).is_none() && refused(&[20, 64, 10], rows + 1).is_some());
    let units = said(refused(&[784, 1000, 10], 64), "hidden layers of at most ");
    assert!(refused(&[784, units, 10], 64).is_none() && refused(&[784, units + 1, 10], 64).is_some());
    let error = refused(&[65_000, 10], 64).unwrap();
    assert!(error.contains("rows of fewer values"), "{error}");
    let mut poor = device.clone();
    poor.memory = Some(1 << 20);
    let error = Gpu::new(Store::new(poor), Mlp::new(&[784, 1000, 10]).unwrap(), &recipe(64), None).err().unwrap();
    assert!(error.to_string().contains("in all, but adapter"), "{error}");
}

#[test]
fn what_an_adapter_cannot_hold_is_an_error_that_names_the_buffer() {
    let Some(device) = device("what_an_adapter_cannot_hold_is_an_error_that_names_the_buffer") else { return };
    let mut small = device.clone();
    small.limits.max_storage_buffer_binding_size = 1 << 20;
    let model = Mlp::new(&[784, 1000, 10]).unwrap();
    let error = Gpu::new(Store::new(small), model, &recipe(64), None).err().unwrap().to_string();
    assert!(error.contains("parameters") && error.contains("MiB"), "{error}");
}

fn losses(backend: &mut dyn Backend, dataset: &Dataset, model: &Mlp, batch_size: usize, epochs: u32) -> Vec<f64> {
    backend.upload(Split::Train, &dataset.train).unwrap();
    backend.upload(Split::Test, dataset.test.as_ref().unwrap()).unwrap();
    backend.set_state(&fresh(&model.initial_parameters(Init::Normal(0.01), 0))).unwrap();
    let recipe = Recipe { epochs, ..recipe(batch_size) };
    let mut losses = Vec::new();
    let rows = dataset.train.len();
    let run = Run { recipe: &recipe, rows, evaluated: &[Split::Test], done: 0, clock: &|| Duration::ZERO };
    train::train(backend, run, |event| {
        if let Event::Epoch(epoch, _) = event {
            losses.push(epoch.train.as_ref().unwrap().mean_loss());
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    losses
}

#[test]
#[ignore = "minutes on a software driver: tests/run --all"]
fn the_default_run_has_the_same_loss_curve_on_both_backends() {
    let Some(device) = device("the_default_run_has_the_same_loss_curve_on_both_backends") else { return };
    let (dataset, _) = match std::env::var_os("MLP_GPU_DATA") {
        Some(folder) => {
            data::load("mnist", &data::Options { folder: Some(folder.into()), ..Default::default() }).unwrap()
        }
        None => data::load("digits", &data::Options::default()).unwrap(),
    };
    let model = Mlp::new(&[784, 7, 10]).unwrap();
    let cpu = losses(&mut Cpu::new(model.clone(), &recipe(64), 2).unwrap(), &dataset, &model, 64, 10);
    // The plan that `train` takes, and the twins' own as far as a software driver comes in a minute.
    for (plan, epochs) in [(None, 10), (Some(PlanName::Elementary), 3)] {
        let mut gpu = gpu(&device, &model, 64, plan);
        let plan = gpu.about().plan;
        let gpu = losses(&mut gpu, &dataset, &model, 64, epochs);
        let differences: Vec<f64> = cpu.iter().zip(&gpu).map(|(cpu, gpu)| (gpu / cpu - 1.0).abs()).collect();
        let text: Vec<String> = differences.iter().map(|difference| format!("{difference:.1e}")).collect();
        println!("{plan}: relative difference of the loss on {}, by epoch: {}", dataset.name, text.join(" "));
        for (epoch, bound) in [(1, 1e-4), (3, 1e-3), (10, 1e-2)] {
            let Some(difference) = differences.get(epoch - 1) else { continue };
            assert!(*difference <= bound, "{plan}: after epoch {epoch}: {difference} is above {bound}");
        }
    }
}

#[test]
fn an_epoch_is_told_as_it_was_though_the_device_is_steps_ahead() {
    let Some(mut device) = device("an_epoch_is_told_as_it_was_though_the_device_is_steps_ahead") else { return };
    // Software drivers are not handed work ahead.
    device.hardware.software = false;
    let (digits, _) = data::load("digits", &data::Options::default()).unwrap();
    // More steps an epoch than are handed over before the one before is told, and a short last batch.
    let (rows, batch_size) = (601, 4);
    let train_part = Arc::new(digits.train.select(|row| row < rows).unwrap());
    let test_part = Arc::new(digits.test.as_ref().unwrap().select(|row| row < 2000).unwrap());
    let validation = Arc::new(digits.train.select(|row| row >= 59_991).unwrap());
    let splits = [Split::Test, Split::Validation];
    let model = Mlp::new(&[784, 7, 10]).unwrap();
    for plan in PlanName::fitting(&model, &recipe(batch_size), &device.hardware) {
        let open = || {
            let mut gpu = gpu(&device, &model, batch_size, Some(plan));
            gpu.upload(Split::Train, &train_part).unwrap();
            gpu.upload(Split::Test, &test_part).unwrap();
            gpu.upload(Split::Validation, &validation).unwrap();
            gpu.set_state(&fresh(&model.initial_parameters(Init::He, 0))).unwrap();
            gpu
        };
        let recipe = Recipe { epochs: 3, ..recipe(batch_size) };
        let run = Run { recipe: &recipe, rows, evaluated: &splits, done: 0, clock: &|| Duration::ZERO };
        let mut told = Vec::new();
        let mut gpu = open();
        assert!(gpu.evaluate(&splits).unwrap().ahead);
        train::train(&mut gpu, run, |event| {
            if let Event::Epoch(epoch, snapshot) = event {
                let evaluations = [epoch.train.as_ref(), epoch.test.as_ref(), epoch.validation.as_ref()];
                let state = snapshot.state().unwrap();
                told.push((evaluations.map(Option::<&_>::cloned), bits(&state.parameters), state.step));
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();

        let mut gpu = open();
        let length = Length { steps_per_epoch: 151, epochs: recipe.epochs };
        let by_hand: Vec<_> = (0..recipe.epochs)
            .map(|epoch| {
                let order = random::order(recipe.seed, epoch.into(), rows as u32);
                gpu.pass(&order, batch_size, recipe.schedule.rate(151 * u64::from(epoch), length) as f32).unwrap();
                gpu.wait().unwrap();
                let evaluations =
                    [Split::Train, Split::Test, Split::Validation].map(|split| gpu.evaluate_now(split).ok());
                let state = gpu.state(None).unwrap();
                (evaluations, bits(&state.parameters), state.step)
            })
            .collect();
        assert!(told == by_hand, "{}", plan.name());

        let mut told = 0;
        let outcome = train::train(&mut open(), run, |event| {
            let Event::Epoch(..) = event else { return Ok(ControlFlow::Continue(())) };
            told += 1;
            Ok(ControlFlow::Break(()))
        });
        let outcome = outcome.unwrap();
        assert_eq!((outcome, told), (Outcome { epoch: 1, end: End::Stopped }, 1), "{}", plan.name());
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn values_are_evaluated_and_predicted_as_on_the_cpu_in_portions_and_ahead() {
    let Some(device) = device("values_are_evaluated_and_predicted_as_on_the_cpu_in_portions_and_ahead") else { return };
    // More rows than are evaluated at a time.
    let (rows, outputs) = (5000, 2);
    let inputs: Vec<f32> = (0..5 * rows).map(|i| ((i * 7919 + 13) % 2003) as f32 / 1001.5 - 1.0).collect();
    let values: Vec<f32> = (0..outputs * rows).map(|i| ((i * 6007 + 5) % 1009) as f32 / 300.0 - 1.5).collect();
    let samples = Arc::new(Samples::with_values(Inputs::F32(inputs), 5, values, outputs).unwrap());
    let order: Vec<u32> = (0..rows as u32).collect();
    for (widths, loss) in [(&[5, 8, 2][..], Loss::Mse), (&[5, 40, 2], Loss::Mae), (&[5, 2], Loss::Huber)] {
        let model = Mlp::new(widths).unwrap().with_head(loss.head());
        let recipe = Recipe { loss, ..recipe(500) };
        let mut cpu = Cpu::new(model.clone(), &recipe, 2).unwrap();
        cpu.upload(Split::Train, &samples).unwrap();
        cpu.set_state(&fresh(&model.initial_parameters(Init::He, 0))).unwrap();
        let (expected, predicted) = (cpu.evaluate_now(Split::Train).unwrap(), cpu.predict(&samples.inputs).unwrap());
        for (plan, software) in PlanName::ALL.into_iter().flat_map(|plan| [(plan, true), (plan, false)]) {
            let mut device = device.clone();
            device.hardware.software = software;
            if plan.check(&model, &recipe, &device.hardware).is_err() {
                continue;
            }
            let mut gpu = Gpu::new(Store::new(device), model.clone(), &recipe, Some(plan)).unwrap();
            gpu.upload(Split::Train, &samples).unwrap();
            gpu.set_state(&fresh(&model.initial_parameters(Init::He, 0))).unwrap();
            let ticket = gpu.evaluate(&[Split::Train]).unwrap();
            gpu.pass(&order, 500, 0.1).unwrap();
            let found = gpu.collect(ticket).unwrap().remove(0);
            assert_eq!((found.rows, found.classes, found.confusion.len()), (rows as u64, 0, 0));
            let figures = |of: &Evaluation| {
                let sums = of.errors.iter().flat_map(|e| [e.squared, e.absolute, e.targets, e.squared_targets]);
                sums.chain([of.loss_sum]).map(|sum| sum as f32).collect::<Vec<_>>()
            };
            let near = Tolerance { absolute: 1e-5, relative: 1e-5 };
            let comparison = compare(&figures(&found), &figures(&expected), near);
            assert!(comparison.passed(), "{widths:?} {}: {comparison}", plan.name());
            gpu.set_state(&fresh(&model.initial_parameters(Init::He, 0))).unwrap();
            let comparison = compare(&gpu.predict(&samples.inputs).unwrap(), &predicted, near);
            assert!(comparison.passed(), "{widths:?} {}: {comparison}", plan.name());
        }
    }
}

#[test]
fn the_first_epoch_of_every_workload_has_the_cpus_loss() {
    let Some(device) = device("the_first_epoch_of_every_workload_has_the_cpus_loss") else { return };
    let (digits, _) = data::load("digits", &data::Options::default()).unwrap();
    for Workload { name, hidden, batch_size } in workloads() {
        let model = Mlp::new(&[&[784], &hidden[..], &[10]].concat()).unwrap();
        // As much as a software adapter does in seconds.
        let rows = (5_000_000_000 / (6 * model.parameters())).clamp(batch_size, 2000);
        let part = |samples: &Samples, rows| Arc::new(samples.select(|row| row < rows).unwrap());
        let test = digits.test.as_ref().map(|test| part(test, rows.min(500)));
        let dataset = Dataset { train: part(&digits.train, rows), test, ..digits.clone() };
        let mut cpu = Cpu::new(model.clone(), &recipe(batch_size), 2).unwrap();
        let cpu = losses(&mut cpu, &dataset, &model, batch_size, 1)[0];
        for plan in PlanName::ALL {
            let slow = plan == PlanName::Elementary && model.parameters() > 200_000;
            if slow || plan.check(&model, &recipe(batch_size), &device.hardware).is_err() {
                continue;
            }
            let mut gpu = gpu(&device, &model, batch_size, Some(plan));
            let gpu = losses(&mut gpu, &dataset, &model, batch_size, 1)[0];
            let difference = (gpu / cpu - 1.0).abs();
            println!(
                "{name}, {rows} rows, {}: loss {gpu} and {cpu}, relative difference {difference:.1e}",
                plan.name()
            );
            assert!(difference <= 1e-3, "{name} {}: {gpu} and {cpu}", plan.name());
        }
    }
}

#[test]
fn the_registry_is_what_the_plans_launch() {
    // A launch function for a kernel that is not in the registry would escape the check.
    let relu = elementary::activate(1, 1, Activation::Relu, None);
    let start = Within { offset: 0, stride: 4 };
    let step = elementary::step(2, 1, start, OptimizerKind::Sgd, false);
    for launch in [elementary::sum(1), step, relu, elementary::matmul(1, 1, 1, start)] {
        assert!(REGISTRY.contains(&launch.kernel), "{}", launch.kernel.name);
    }
}

#[test]
fn a_batch_of_more_rows_than_a_grid_has_workgroups_is_trained_whole_or_refused() {
    let Some(device) = device("a_batch_of_more_rows_than_a_grid_has_workgroups_is_trained_whole_or_refused") else {
        return;
    };
    let rows = 300_000u32;
    let inputs: Vec<u8> = (0..4 * rows).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let labels: Vec<u32> = (0..rows).map(|row| u32::from(inputs[4 * row as usize] > 127)).collect();
    let samples = Arc::new(Samples::new(Inputs::U8(inputs), 4, labels).unwrap());
    let model = Mlp::new(&[4, 5, 2]).unwrap();
    let parameters = model.initial_parameters(Init::He, 0);
    let order: Vec<u32> = (0..rows).collect();
    let mut after = Vec::new();
    let batch_size = rows as usize;
    let cpu: Box<dyn Backend> = Box::new(Cpu::new(model.clone(), &recipe(batch_size), 1).unwrap());
    let software = device.info.device_type == wgpu::DeviceType::Cpu;
    let gpu = match Gpu::new(Store::new(device), model, &recipe(batch_size), Some(PlanName::Fused)) {
        // A software driver would cut the loops over the rows.
        Err(error) if software => return assert!(error.to_string().contains("65535"), "{error}"),
        gpu => gpu.unwrap(),
    };
    for mut backend in [cpu, Box::new(gpu)] {
        backend.upload(Split::Train, &samples).unwrap();
        backend.set_state(&fresh(&parameters)).unwrap();
        backend.pass(&order, batch_size, 0.5).unwrap();
        after.push(backend.parameters().unwrap());
    }
    let comparison = compare(&after[1], &after[0], Tolerance { absolute: 1e-5, relative: 1e-4 });
    assert!(comparison.passed(), "{comparison}");
    assert_ne!(after[0], parameters);
}

#[test]
fn a_profile_times_every_kernel_of_the_plan() {
    let Some(device) = device("a_profile_times_every_kernel_of_the_plan") else { return };
    let clock = device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
    let samples = Samples::new(Inputs::U8((0..=255).cycle().take(12 * 50).collect()), 12, vec![1; 50]).unwrap();
    let samples = Arc::new(samples);
    let order: Vec<u32> = (0..50).collect();
    // A forward product, the last layer, two updates; ahead the last layer and two updates, one of which makes a product, too.
    for (device, plan, count) in [(device.clone(), PlanName::Fused, 4), (as_gpu(&device), PlanName::Ahead, 3)] {
        let model = Mlp::new(&[12, 40, 3]).unwrap();
        let mut apart = device;
        apart.hardware.storage_buffers = 8;
        let mut gpu = gpu(&apart, &model, 8, Some(plan));
        gpu.upload(Split::Train, &samples).unwrap();
        let times = gpu.profile(Steps { order: &order, rates: &[0.1; 7] }).unwrap();
        assert_eq!(times.is_some(), clock);
        if let Some(times) = times {
            // Six whole batches and a short one; what leads is not counted.
            assert_eq!(times.iter().map(|time| time.launches).collect::<Vec<_>>(), vec![7; count], "{}", plan.name());
            assert!(times.iter().all(|time| time.seconds > 0.0), "{times:?}");
        }
    }
}
