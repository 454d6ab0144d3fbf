//! Training with each optimizer, activation, loss and schedule against PyTorch's runs in float64, which
//! tests/reference/options.py recorded: rates and losses, and all parameters after 20 steps. On both backends.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::select::{Choice, Request};
use mlp_gpu::backend::{Backend, BackendExt, Split, Steps};
use mlp_gpu::compare::{Tolerance, compare};
use mlp_gpu::data::{Inputs, Samples};
use mlp_gpu::model::Mlp;
use mlp_gpu::recipe::{Loss, Recipe};
use mlp_gpu::schedule::Length;
use mlp_gpu::state::State;
use serde_json::{Map, Value};

mod adapter;

/// `scale` times numbers in -1 .. 1, as `values` in tests/reference/options.py makes them.
fn values(count: usize, factor: usize, offset: usize, scale: f64) -> Vec<f32> {
    (0..count).map(|i| (((i * factor + offset) % 2003) as f64 - 1001.0) / 1024.0 * scale).map(|x| x as f32).collect()
}

fn number(value: &Value, name: &str) -> usize {
    value[name].as_u64().unwrap() as usize
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// The recipe of a case: its keys that are options.
fn recipe(case: &Value, shape: &Value) -> Recipe {
    let results = ["rates", "parameters", "losses"];
    let options = case.as_object().unwrap().iter().filter(|(name, _)| !results.contains(&name.as_str()));
    let mut options: Map<String, Value> = options.map(|(name, value)| (name.clone(), value.clone())).collect();
    options.insert("hidden".into(), shape["hidden"].clone());
    options.insert("batch_size".into(), shape["batch"].clone());
    options.insert("epochs".into(), shape["epochs"].clone());
    Recipe::default().overlaid(&options).unwrap()
}

fn samples(shape: &Value, loss: Loss) -> Arc<Samples> {
    let (rows, inputs, outputs) = (number(shape, "rows"), number(shape, "inputs"), number(shape, "outputs"));
    let features = Inputs::F32(values(rows * inputs, 7919, 13, 1.0));
    Arc::new(match loss {
        Loss::CrossEntropy => {
            let labels = (0..rows).map(|row| (row * 7 % outputs) as u32).collect();
            Samples::new(features, inputs, labels).unwrap()
        }
        _ => Samples::with_values(features, inputs, values(rows * outputs, 104_729, 7, 2.0), outputs).unwrap(),
    })
}

fn parameters(model: &Mlp) -> Vec<f32> {
    let layer = |(number, layer): (usize, &mlp_gpu::model::Layer)| {
        values((layer.inputs + 1) * layer.outputs, 7907, 31 + number, 0.5)
    };
    model.layers().iter().enumerate().flat_map(layer).collect()
}

/// Follows every case that `request` can run, or one of two where compilers take minutes; how many these are, or stand for.
fn follow(request: &Request) -> usize {
    let text = include_str!("reference/options.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    let shape = &recorded["shape"];
    let selected = request.select().unwrap();
    let some = selected.gpu.as_ref().map_or(1, |store| adapter::every(store.device(), 2));
    let mut followed = 0;
    for case in recorded["cases"].as_array().unwrap().iter().step_by(some) {
        let recipe = recipe(case, shape);
        let model = recipe.model(number(shape, "inputs"), number(shape, "outputs")).unwrap();
        let (mut backend, _) = match selected.backend(&model, &recipe) {
            Err(error) if error.is_unfit() => continue,
            backend => backend.unwrap(),
        };
        let options = case.as_object().unwrap().iter().filter(|(_, value)| !value.is_array());
        let name = options.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
        let (found, losses, rates) = run(backend.as_mut(), &recipe, shape, parameters(&model));
        let exact = Tolerance { absolute: 1e-9, relative: 1e-6 };
        let after_20 = Tolerance { absolute: 2e-6, relative: 1e-5 };
        let after_all = Tolerance { absolute: 1e-6, relative: 1e-3 };
        for (what, found, expected, tolerance) in [
            ("rates", &rates, numbers(&case["rates"]), exact),
            ("parameters after 20 steps", &found, numbers(&case["parameters"]), after_20),
            ("losses", &losses, numbers(&case["losses"]), after_all),
        ] {
            let comparison = compare(found, &expected, tolerance);
            assert!(comparison.passed(), "{}: {name}: {what}: {comparison}", backend.about().plan);
        }
        followed += some;
    }
    followed
}

/// Parameters after the recorded number of steps, the mean loss after each epoch, and the rates.
fn run(
    backend: &mut dyn Backend,
    recipe: &Recipe,
    shape: &Value,
    parameters: Vec<f32>,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let samples = samples(shape, recipe.loss);
    backend.upload(Split::Train, &samples).unwrap();
    backend.set_state(&State::new(parameters, recipe.optimizer.kind)).unwrap();
    let order: Vec<u32> = (0..samples.len() as u32).collect();
    let per_epoch = order.len().div_ceil(recipe.batch_size);
    let length = Length { steps_per_epoch: per_epoch as u64, epochs: recipe.epochs };
    let rate = |step: usize| recipe.schedule.rate(step as u64, length) as f32;
    let rates: Vec<f32> = (0..per_epoch * recipe.epochs as usize).map(rate).collect();
    let (mut after, mut losses) = (Vec::new(), Vec::new());
    for (step, rate) in rates.iter().enumerate() {
        let batch = order.chunks(recipe.batch_size).nth(step % per_epoch).unwrap();
        backend.train(Steps { order: batch, rates: &[*rate] }).unwrap();
        if step + 1 == number(shape, "steps") {
            after = backend.parameters().unwrap();
        }
        if (step + 1) % per_epoch == 0 {
            losses.push(loss(backend, recipe, &samples));
        }
    }
    (after, losses, rates)
}

/// The mean loss over the training part; that of smoothed labels is not what an evaluation tells.
fn loss(backend: &mut dyn Backend, recipe: &Recipe, samples: &Samples) -> f32 {
    let mean = backend.evaluate_now(Split::Train).unwrap().mean_loss();
    if recipe.label_smoothing == 0.0 {
        return mean as f32;
    }
    let probabilities = backend.predict(&samples.inputs).unwrap();
    let classes = probabilities.len() / samples.len();
    let logarithms: f64 = probabilities.iter().map(|&p| f64::from(p).ln()).sum();
    let spread = -logarithms / (classes * samples.len()) as f64;
    ((1.0 - recipe.label_smoothing) * mean + recipe.label_smoothing * spread) as f32
}

#[test]
fn the_cpu_follows_pytorch() {
    for threads in [1, 3] {
        assert_eq!(follow(&Request::cpu(threads)), 36);
    }
}

/// Expects that so many cases are followed by `plan`.
fn gpu_follows(plan: PlanName, cases: usize) {
    let request = Request { backend: Choice::Gpu, plan: Some(plan), ..Request::default() };
    if let Err(error) = request.select() {
        assert!(std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_err(), "{error}");
        println!("no adapter: the_gpu_follows_pytorch, {}", plan.name());
        return;
    }
    assert_eq!(follow(&request), cases);
}

#[test]
fn the_gpu_follows_pytorch_in_the_plan_elementary() {
    gpu_follows(PlanName::Elementary, 36);
}

#[test]
fn the_gpu_follows_pytorch_in_the_plan_fused() {
    // It does not clip gradients.
    gpu_follows(PlanName::Fused, 34);
}
