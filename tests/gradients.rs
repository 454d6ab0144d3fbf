//! The gradient of the CPU's twins and of the CPU backend against finite differences in f64, of an independent forward pass.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use mlp_gpu::backend::cpu::{Cpu, reference};
use mlp_gpu::backend::{Backend, BackendExt, Split};
use mlp_gpu::data::{Inputs, Samples};
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::recipe::Recipe;
use mlp_gpu::state::State;

/// Sum over the rows of the cross-entropy, in f64, written from the formula and nothing else.
fn loss(model: &Mlp, parameters: &[f64], inputs: &[f64], labels: &[u32]) -> f64 {
    let mut total = 0.0;
    for (row, &label) in inputs.chunks(model.inputs()).zip(labels) {
        let mut h = row.to_vec();
        for (index, layer) in model.layers().iter().enumerate() {
            let (weights, biases) = (&parameters[layer.weights.clone()], &parameters[layer.biases.clone()]);
            let f: Vec<f64> = (0..layer.outputs)
                .map(|j| biases[j] + (0..layer.inputs).map(|k| h[k] * weights[k * layer.outputs + j]).sum::<f64>())
                .collect();
            let last = index + 1 == model.layers().len();
            h = if last { f } else { f.into_iter().map(|f| f.max(0.0)).collect() };
        }
        let max = h.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = h.iter().map(|f| (f - max).exp()).sum();
        total -= ((h[label as usize] - max).exp() / sum + 1e-16).ln();
    }
    total
}

fn check(widths: &[usize], rows: usize) {
    let model = Mlp::new(widths).unwrap();
    let inputs: Vec<f32> = (0..rows * widths[0]).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0).collect();
    let labels: Vec<u32> = (0..rows).map(|row| (row * 7 % model.classes()) as u32).collect();
    let recipe = Recipe { batch_size: rows, ..Recipe::default() };
    let mut backend = Cpu::new(model.clone(), &recipe, 1).unwrap();
    let samples = Arc::new(Samples::new(Inputs::F32(inputs.clone()), widths[0], labels.clone()).unwrap());
    backend.upload(Split::Train, &samples).unwrap();
    let parameters = model.initial_parameters(Init::Normal(0.5), 4);
    backend.set_state(&State::new(parameters.clone(), recipe.optimizer.kind)).unwrap();
    let order: Vec<u32> = (0..rows as u32).collect();
    let twins = reference::gradient(&model, &parameters, &samples, &order, None);
    // A step at the rate of the number of rows subtracts the gradient of the summed loss.
    backend.pass(&order, rows, rows as f32).unwrap();
    let descent: Vec<f32> =
        backend.parameters().unwrap().iter().zip(&parameters).map(|(after, before)| before - after).collect();

    let inputs: Vec<f64> = inputs.into_iter().map(f64::from).collect();
    let mut point: Vec<f64> = parameters.into_iter().map(f64::from).collect();
    let step = 1e-6;
    let mut largest: f64 = 0.0;
    for index in 0..point.len() {
        let middle = point[index];
        point[index] = middle + step;
        let above = loss(&model, &point, &inputs, &labels);
        point[index] = middle - step;
        let below = loss(&model, &point, &inputs, &labels);
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
