//! The gradient of the CPU's twins and of the CPU backend against finite differences in f64, of an independent forward pass.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use mlp_gpu::backend::cpu::head::{Objective, Targets};
use mlp_gpu::backend::cpu::{Cpu, reference};
use mlp_gpu::backend::{Backend, BackendExt, Split};
use mlp_gpu::data::{self, Inputs, Samples};
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::recipe::{Loss, Recipe};
use mlp_gpu::state::State;

/// Sum over the rows of the loss of `recipe`, in f64, written from the formula and nothing else.
fn loss(model: &Mlp, recipe: &Recipe, parameters: &[f64], inputs: &[f64], targets: &data::Targets) -> f64 {
    let mut total = 0.0;
    for (number, row) in inputs.chunks(model.inputs()).enumerate() {
        let mut h = row.to_vec();
        for (index, layer) in model.layers().iter().enumerate() {
            let (weights, biases) = (&parameters[layer.weights.clone()], &parameters[layer.biases.clone()]);
            let f: Vec<f64> = (0..layer.outputs)
                .map(|j| biases[j] + (0..layer.inputs).map(|k| h[k] * weights[k * layer.outputs + j]).sum::<f64>())
                .collect();
            let last = index + 1 == model.layers().len();
            h = if last { f } else { f.into_iter().map(|f| f.max(0.0)).collect() };
        }
        total += match targets {
            data::Targets::Classes(labels) => class_loss(recipe, &h, labels[number] as usize),
            data::Targets::Values(values) => {
                let errors = h.iter().zip(&values[number * h.len()..]).map(|(f, &target)| f - f64::from(target));
                errors.map(|error| value_loss(recipe.loss, error)).sum::<f64>() / h.len() as f64
            }
        };
    }
    total
}

fn class_loss(recipe: &Recipe, f: &[f64], label: usize) -> f64 {
    let max = f.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = f.iter().map(|f| (f - max).exp()).sum();
    let surprise = |class: usize| -((f[class] - max).exp() / sum + 1e-16).ln();
    let spread = (0..f.len()).map(surprise).sum::<f64>() / f.len() as f64;
    let weight = recipe.class_weight.get(label).copied().unwrap_or(1.0);
    weight * ((1.0 - recipe.label_smoothing) * surprise(label) + recipe.label_smoothing * spread)
}

fn value_loss(loss: Loss, error: f64) -> f64 {
    match loss {
        Loss::CrossEntropy => panic!("of classes"),
        Loss::Mse => error * error,
        Loss::Mae => error.abs(),
        Loss::Huber if error.abs() < 1.0 => error * error / 2.0,
        Loss::Huber => error.abs() - 0.5,
    }
}

fn check(widths: &[usize], rows: usize) {
    check_of(widths, rows, Recipe::default());
}

fn check_of(widths: &[usize], rows: usize, recipe: Recipe) {
    let recipe = Recipe { batch_size: rows, ..recipe };
    let model = Mlp::new(widths).unwrap().with_head(recipe.loss.head());
    let inputs: Vec<f32> = (0..rows * widths[0]).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0).collect();
    let labels: Vec<u32> = (0..rows).map(|row| (row * 7 % model.outputs()) as u32).collect();
    // So far from 0 that some errors are beyond 1.
    let values: Vec<f32> = (0..rows * model.outputs()).map(|i| ((i * 53 + 7) % 89) as f32 / 20.0 - 2.0).collect();
    let samples = if recipe.loss == Loss::CrossEntropy {
        Samples::new(Inputs::F32(inputs.clone()), widths[0], labels.clone())
    } else {
        Samples::with_values(Inputs::F32(inputs.clone()), widths[0], values, model.outputs())
    };
    let samples = Arc::new(samples.unwrap());
    let weights: Vec<f32> =
        labels.iter().filter_map(|&label| recipe.class_weight.get(label as usize)).map(|&w| w as f32).collect();
    let targets = Targets::new(&samples.targets, Some(&weights[..]).filter(|weights| !weights.is_empty()));
    let mut backend = Cpu::new(model.clone(), &recipe, 1).unwrap();
    backend.upload(Split::Train, &samples).unwrap();
    let parameters = model.initial_parameters(Init::Normal(0.5), 4);
    backend.set_state(&State::new(parameters.clone(), recipe.optimizer.kind)).unwrap();
    let order: Vec<u32> = (0..rows as u32).collect();
    let examples = reference::Rows { inputs: &samples.inputs, targets, order: &order };
    let twins = reference::gradient(&model, Objective::from(&recipe), &parameters, examples, None);
    // A step at the rate of the weights of all rows, their number where they weigh the same, subtracts the gradient of
    // the summed loss.
    backend.pass(&order, rows, targets.total(&order)).unwrap();
    let descent: Vec<f32> =
        backend.parameters().unwrap().iter().zip(&parameters).map(|(after, before)| before - after).collect();

    let inputs: Vec<f64> = inputs.into_iter().map(f64::from).collect();
    let mut point: Vec<f64> = parameters.into_iter().map(f64::from).collect();
    let step = 1e-6;
    let mut largest: f64 = 0.0;
    for index in 0..point.len() {
        let middle = point[index];
        point[index] = middle + step;
        let above = loss(&model, &recipe, &point, &inputs, &samples.targets);
        point[index] = middle - step;
        let below = loss(&model, &recipe, &point, &inputs, &samples.targets);
        point[index] = middle;
        let expected = (above - below) / (2.0 * step);
        for (what, gradient) in [("twins", &twins), ("backend", &descent)] {
            let error = (f64::from(gradient[index]) - expected).abs();
            let found = gradient[index];
            assert!(error <= 2e-5 + 2e-5 * expected.abs(), "{what}, {widths:?} at {index}: {found} is not {expected}");
        }
        largest = largest.max(expected.abs());
    }
    assert!(largest > 0.1, "a gradient of zeros would check nothing");
}

#[test]
fn without_hidden_layers() {
    check(&[9, 4], 5);
}

#[test]
fn with_one_hidden_layer() {
    check(&[9, 6, 4], 5);
}

#[test]
fn with_two_hidden_layers() {
    check(&[9, 7, 6, 4], 11);
}

#[test]
fn of_values() {
    for loss in [Loss::Mse, Loss::Mae, Loss::Huber] {
        check_of(&[9, 6, 3], 5, Recipe { loss, ..Recipe::default() });
        check_of(&[9, 1], 5, Recipe { loss, ..Recipe::default() });
    }
}

#[test]
fn of_smoothed_labels() {
    check_of(&[9, 6, 4], 5, Recipe { label_smoothing: 0.2, ..Recipe::default() });
}

#[test]
fn of_weighed_classes() {
    let class_weight = vec![0.5, 2.0, 1.0, 0.0];
    check_of(&[9, 6, 4], 7, Recipe { class_weight: class_weight.clone(), ..Recipe::default() });
    check_of(&[9, 6, 4], 7, Recipe { class_weight, label_smoothing: 0.2, ..Recipe::default() });
}
