//! The engine against a plain network in f64, and against itself with other threads.

use std::f64::consts::TAU;

use super::*;
use crate::backend::cpu::head::Target;
use crate::model::Front;
use crate::model::front::{VALUES, WAVES};
use crate::recipe::{Loss, OptimizerKind};

/// A network in f64, written to be read.
struct Plain {
    model: Mlp,
    learning: Learning,
    parameters: Vec<f64>,
    slots: Vec<Vec<f64>>,
    step: u64,
}

impl Plain {
    fn new(model: &Mlp, learning: &Learning, parameters: &[f32]) -> Self {
        Self {
            model: model.clone(),
            learning: learning.clone(),
            parameters: parameters.iter().map(|&value| f64::from(value)).collect(),
            slots: vec![vec![0.0; parameters.len()]; learning.optimizer.kind.slots()],
            step: 0,
        }
    }

    /// The gradient of the weighted mean loss over the rows `order`.
    fn gradient(&self, inputs: &[f64], targets: &Targets, order: &[u32]) -> Vec<f64> {
        let mut gradient = vec![0.0; self.parameters.len()];
        let total: f64 = order.iter().map(|&row| weight(targets, row)).sum();
        for (place, &row) in (0..).zip(order) {
            let dropout = |layer, share| Dropout::new(self.learning.seed, self.step, layer, share);
            let factor = |drop: Dropout, share: f64, unit| {
                if drop.keeps(drop.row(place), unit) { 1.0 / (1.0 - share) } else { 0.0 }
            };
            let width = self.model.inputs();
            let mut h: Vec<f64> = inputs[row as usize * width..][..width].to_vec();
            if self.model.input_dropout() > 0.0 {
                let share = self.model.input_dropout();
                (0..).zip(&mut h).for_each(|(unit, h)| *h *= factor(dropout(0, share), share, unit));
            }
            let raw = h.clone();
            h = self.front(&raw, &self.parameters);
            // Each layer's input, and each unit's slope with its dropout.
            let (mut hs, mut slopes) = (Vec::new(), Vec::new());
            for (index, layer) in self.model.layers().iter().enumerate() {
                let weights = &self.parameters[layer.weights.clone()];
                let f = (0..layer.outputs).map(|column| {
                    let sum: f64 = h.iter().enumerate().map(|(k, h)| h * weights[k * layer.outputs + column]).sum();
                    sum + self.parameters[layer.biases.start + column]
                });
                let drop = dropout(index as u32 + 1, layer.dropout);
                let units: Vec<(f64, f64)> = f
                    .enumerate()
                    .map(|(unit, f)| {
                        let (value, slope) = layer.activation.exact(f);
                        let factor = if layer.dropout > 0.0 { factor(drop, layer.dropout, unit as u32) } else { 1.0 };
                        (value * factor, slope * factor)
                    })
                    .collect();
                hs.push(std::mem::replace(&mut h, units.iter().map(|unit| unit.0).collect()));
                slopes.push(units.into_iter().map(|unit| unit.1).collect::<Vec<_>>());
            }
            let mut d = self.head_gradient(&h, targets, row);
            d.iter_mut().for_each(|d| *d *= weight(targets, row) / total);
            for (index, layer) in self.model.layers().iter().enumerate().rev() {
                d.iter_mut().zip(&slopes[index]).for_each(|(d, slope)| *d *= slope);
                let mut dh = vec![0.0; layer.inputs];
                for (k, dh) in dh.iter_mut().enumerate() {
                    for (column, d) in d.iter().enumerate() {
                        let at = layer.weights.start + k * layer.outputs + column;
                        gradient[at] += hs[index][k] * d;
                        *dh += d * self.parameters[at];
                    }
                }
                d.iter().enumerate().for_each(|(column, d)| gradient[layer.biases.start + column] += d);
                d = dh;
            }
            self.add_front_gradient(&raw, &d, &mut gradient);
        }
        gradient
    }

    /// What the front makes of a row.
    fn front(&self, x: &[f64], parameters: &[f64]) -> Vec<f64> {
        let [w, p, weights, b, factors] =
            self.model.front_tensors().each_ref().map(|tensor| &parameters[tensor.place.clone()]);
        let mut h = x.to_vec();
        for (feature, &column) in self.model.front().embedded.iter().enumerate() {
            let waves = feature * WAVES..(feature + 1) * WAVES;
            let cosines: Vec<f64> = waves.map(|k| (TAU * w[k] * x[column as usize] + p[k]).cos()).collect();
            for j in feature * VALUES..(feature + 1) * VALUES {
                let products = cosines.iter().zip(&weights[j * WAVES..]).map(|(cosine, weight)| cosine * weight);
                h.push(b[j] + products.sum::<f64>());
            }
        }
        h.iter_mut().zip(factors).for_each(|(h, factor)| *h *= factor);
        h
    }

    /// Adds the front's gradients of a row by finite differences, given the gradient `d` behind it.
    fn add_front_gradient(&self, x: &[f64], d: &[f64], gradient: &mut [f64]) {
        let mut parameters = self.parameters.clone();
        for at in 0..self.model.front_tensors()[4].place.end {
            let mut behind = |change: f64| {
                parameters[at] = self.parameters[at] + change;
                let h = self.front(x, &parameters);
                parameters[at] = self.parameters[at];
                h.iter().zip(d).map(|(h, d)| h * d).sum::<f64>()
            };
            gradient[at] += (behind(1e-5) - behind(-1e-5)) / 2e-5;
        }
    }

    fn head_gradient(&self, f: &[f64], targets: &Targets, row: u32) -> Vec<f64> {
        let Objective { loss, label_smoothing } = self.learning.objective;
        match targets.of {
            Target::Classes(labels) => {
                let max = f.iter().fold(f64::NEG_INFINITY, |max, &f| max.max(f));
                let sum: f64 = f.iter().map(|f| (f - max).exp()).sum();
                let smoothing = f64::from(label_smoothing);
                let target = |class| f64::from(class == labels[row as usize] as usize);
                let smooth = |class| (1.0 - smoothing) * target(class) + smoothing / f.len() as f64;
                f.iter().enumerate().map(|(class, f)| (f - max).exp() / sum - smooth(class)).collect()
            }
            Target::Values(values) => {
                let count = f.len() as f64;
                let errors = f.iter().zip(&values[row as usize * f.len()..]).map(|(f, &value)| f - f64::from(value));
                errors
                    .map(|error| match loss {
                        Loss::CrossEntropy | Loss::Mse => 2.0 * error / count,
                        Loss::Mae => error.signum() / count,
                        Loss::Huber => error.clamp(-1.0, 1.0) / count,
                    })
                    .collect()
            }
        }
    }

    fn train(&mut self, inputs: &[f64], targets: &Targets, steps: Steps, batch_size: usize) {
        for (batch, rate) in steps.batches(batch_size) {
            self.step += 1;
            let mut gradient = self.gradient(inputs, targets, batch);
            let Optimizer { kind, momentum, beta1, beta2, epsilon, weight_decay, decay_biases, clip_norm } =
                self.learning.optimizer;
            if let Some(most) = clip_norm {
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                gradient.iter_mut().for_each(|g| *g *= (most / (norm + 1e-6)).min(1.0));
            }
            let rate = f64::from(rate);
            let t = self.step as i32;
            for (at, mut g) in gradient.into_iter().enumerate() {
                let front = self.model.front_tensors().iter().find(|tensor| tensor.place.contains(&at));
                let rate = rate * front.map_or(1.0, |tensor| f64::from(tensor.rate));
                let bias = match front.map(|tensor| tensor.decay) {
                    Some(decay) => decay == Decay::Biases,
                    None => self.model.layers().iter().any(|layer| layer.biases.contains(&at)),
                };
                let never = front.is_some_and(|tensor| tensor.decay == Decay::Never);
                let decay = if never || bias && !decay_biases { 0.0 } else { weight_decay };
                let w = &mut self.parameters[at];
                if kind == OptimizerKind::AdamW {
                    *w -= rate * decay * *w;
                } else {
                    g += decay * *w;
                }
                match kind {
                    OptimizerKind::Sgd => *w -= rate * g,
                    OptimizerKind::Momentum | OptimizerKind::Nesterov => {
                        let b = &mut self.slots[0][at];
                        *b = momentum * *b + g;
                        *w -= rate * if kind == OptimizerKind::Nesterov { g + momentum * *b } else { *b };
                    }
                    OptimizerKind::Adam | OptimizerKind::AdamW => {
                        let m = &mut self.slots[0][at];
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        let m = *m / (1.0 - beta1.powi(t));
                        let v = &mut self.slots[1][at];
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        *w -= rate * m / ((*v / (1.0 - beta2.powi(t))).sqrt() + epsilon);
                    }
                }
            }
        }
    }
}

fn weight(targets: &Targets, row: u32) -> f64 {
    targets.weights.map_or(1.0, |weights| f64::from(weights[row as usize]))
}

/// Rows of a training part, and where they start.
struct Case {
    widths: Vec<usize>,
    inputs: Inputs,
    labels: Vec<u32>,
    values: Vec<f32>,
    weights: Vec<f32>,
    order: Vec<u32>,
}

const ROWS_OF_CASE: usize = 50;
const BATCH: usize = 16;

impl Case {
    /// Narrow and wide layers, in both orders; bytes of which most are 0, or numbers.
    fn new(widths: &[usize], sparse: bool) -> Self {
        let (rows, outputs) = (ROWS_OF_CASE, widths[widths.len() - 1]);
        let noise = |at: usize| dropout::mix(at as u32 ^ 0x5bd1_e995);
        let share = |at: usize| f64::from(noise(at)) / 4_294_967_296.0;
        let count = rows * widths[0];
        let inputs = if sparse {
            Inputs::U8((0..count).map(|at| if noise(at) % 4 == 0 { (noise(at) >> 24) as u8 } else { 0 }).collect())
        } else {
            Inputs::F32((0..count).map(|at| (share(at) * 2.0 - 1.0) as f32).collect())
        };
        Self {
            widths: widths.to_vec(),
            inputs,
            labels: (0..rows).map(|row| noise(row + 7777) % outputs as u32).collect(),
            values: (0..rows * outputs).map(|at| (4.0 * share(at + 999) - 2.0) as f32).collect(),
            weights: (0..rows).map(|row| (0.25 + share(row + 31)) as f32).collect(),
            order: (0..rows as u32).map(|row| (row * 17 + 5) % rows as u32).collect(),
        }
    }

    fn all() -> [Self; 4] {
        [
            Self::new(&[20, 40, 9, 24, 3], false),
            Self::new(&[30, 7, 33, 10], true),
            Self::new(&[30, 72, 5], true),
            Self::new(&[12, 6, 70], false),
        ]
    }

    fn exact_inputs(&self) -> Vec<f64> {
        match &self.inputs {
            Inputs::U8(bytes) => bytes.iter().map(|&byte| f64::from(byte as f32 / 255.0)).collect(),
            Inputs::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
        }
    }

    fn model(&self, activation: Activation, learning: &Learning) -> Mlp {
        let model = Mlp::new(&self.widths).unwrap();
        model.with_activation(activation).with_head(learning.objective.loss.head())
    }

    fn targets(&self, learning: &Learning, weighted: bool) -> Targets<'_> {
        let of = match learning.objective.loss {
            Loss::CrossEntropy => Target::Classes(&self.labels),
            _ => Target::Values(&self.values),
        };
        Targets { of, weights: weighted.then_some(&self.weights) }
    }

    /// The state after some epochs by `threads` threads, in two calls of `train`.
    fn trained(
        &self,
        model: &Mlp,
        learning: &Learning,
        targets: Targets,
        (vectors, threads): (Vectors, usize),
        rates: &[f32],
    ) -> State {
        let team = Team::new(threads).unwrap();
        let samples = Samples::new(self.inputs.clone(), self.widths[0], self.labels.clone());
        let samples = Arc::new(samples.unwrap());
        let changed = model.input_dropout() > 0.0 || !model.front().is_none();
        let rows = if changed { Rows::dense(&samples) } else { Rows::new(&samples, threads) };
        let mut network = Network::new(model, learning.clone(), vectors);
        network.set_state(&State::new(start(model), learning.optimizer.kind));
        let mut buffers = Buffers::default();
        for rates in rates.chunks(ROWS_OF_CASE.div_ceil(BATCH)) {
            let steps = Steps { order: &self.order, rates };
            let examples = Examples { rows: &rows, augmenter: None, targets };
            network.train(&team, examples, steps, BATCH, &mut buffers);
            // What a checkpoint keeps is all there is.
            let state = network.state();
            network = Network::new(model, learning.clone(), vectors);
            network.set_state(&state);
        }
        network.state()
    }

    /// Trains in both ways, and compares parameters and slots.
    fn check(&self, model: &Mlp, learning: &Learning, weighted: bool, rates: &[f32], tolerance: f64) {
        let targets = self.targets(learning, weighted);
        let mut plain = Plain::new(model, learning, &start(model));
        let inputs = self.exact_inputs();
        for rates in rates.chunks(ROWS_OF_CASE.div_ceil(BATCH)) {
            plain.train(&inputs, &targets, Steps { order: &self.order, rates }, BATCH);
        }
        for vectors in Vectors::all() {
            let state = self.trained(model, learning, targets, (vectors, 2), rates);
            assert_eq!(state.step, plain.step);
            close(&state.parameters, &plain.parameters, tolerance, &format!("{vectors:?} {learning:?} {model:?}"));
            for (slot, expected) in state.slots.iter().zip(&plain.slots) {
                close(slot, expected, tolerance, &format!("slot: {vectors:?} {learning:?} {model:?}"));
            }
            for threads in [1, 3, 4, 7] {
                let other = self.trained(model, learning, targets, (vectors, threads), rates);
                assert!(other == state, "{threads} threads give other bits than 2: {vectors:?} {learning:?} {model:?}");
            }
        }
    }
}

fn start(model: &Mlp) -> Vec<f32> {
    let mut parameters = model.initial_parameters(crate::model::Init::He, 3);
    // Biases are 0 so far.
    for layer in model.layers() {
        let biases = parameters[layer.biases.clone()].iter_mut().enumerate();
        biases.for_each(|(index, bias)| *bias = 0.05 * (index as f32 * 1.7).sin());
    }
    parameters
}

fn close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance * (largest + expected.abs()), "{what}: {at}: {found} is not {expected}");
    }
}

fn learning(kind: OptimizerKind) -> Learning {
    let objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 };
    Learning { optimizer: Optimizer { kind, ..Optimizer::default() }, objective, seed: 77 }
}

/// Two epochs of falling rates.
fn rates(first: f32) -> Vec<f32> {
    (0..2 * ROWS_OF_CASE.div_ceil(BATCH)).map(|step| first * 0.9f32.powi(step as i32)).collect()
}

#[test]
fn every_activation_trains_as_the_plain_network() {
    for case in Case::all() {
        for &activation in Activation::ALL {
            let learning = learning(OptimizerKind::Sgd);
            case.check(&case.model(activation, &learning), &learning, false, &rates(0.2), 3e-6);
        }
    }
}

#[test]
fn every_optimizer_trains_as_the_plain_network() {
    for case in Case::all() {
        for kind in OptimizerKind::ALL {
            for (weight_decay, decay_biases, clip_norm) in
                [(0.0, true, None), (0.1, true, None), (0.1, false, Some(0.3)), (0.0, true, Some(1e9))]
            {
                let mut learning = learning(kind);
                // Where gradients are tiny, Adam's direction is their rounding.
                learning.optimizer =
                    Optimizer { weight_decay, decay_biases, clip_norm, epsilon: 1e-3, ..learning.optimizer };
                let rate = if kind.slots() == 2 { 0.01 } else { 0.1 };
                case.check(&case.model(Activation::Tanh, &learning), &learning, false, &rates(rate), 5e-6);
            }
        }
    }
}

#[test]
fn every_loss_trains_as_the_plain_network() {
    for case in Case::all() {
        for (loss, label_smoothing) in [
            (Loss::CrossEntropy, 0.0),
            (Loss::CrossEntropy, 0.1),
            (Loss::Mse, 0.0),
            (Loss::Mae, 0.0),
            (Loss::Huber, 0.0),
        ] {
            for weighted in [false, true] {
                let mut learning = learning(OptimizerKind::Momentum);
                learning.objective = Objective { loss, label_smoothing };
                case.check(&case.model(Activation::Silu, &learning), &learning, weighted, &rates(0.01), 5e-6);
            }
        }
    }
}

#[test]
fn dropout_trains_as_the_plain_network() {
    for case in Case::all() {
        for activation in [Activation::Relu, Activation::Tanh, Activation::Gelu] {
            for input in [0.0, 0.2] {
                let learning = learning(OptimizerKind::Sgd);
                let model = case.model(activation, &learning).with_dropout(input, &[0.4]).unwrap();
                case.check(&model, &learning, false, &rates(0.1), 3e-6);
            }
        }
    }
}

#[test]
fn a_front_trains_as_the_plain_network() {
    for case in [Case::new(&[6, 40, 9, 3], false), Case::new(&[7, 6, 70], false), Case::new(&[5, 4], false)] {
        let some: Vec<u32> = (0..case.widths[0] as u32).filter(|at| at % 3 != 1).collect();
        for (number, (kind, clip_norm, input)) in [
            (OptimizerKind::Sgd, None, 0.0),
            (OptimizerKind::Nesterov, Some(0.3), 0.2),
            (OptimizerKind::Adam, Some(1e9), 0.0),
            (OptimizerKind::AdamW, None, 0.2),
        ]
        .into_iter()
        .enumerate()
        {
            let mut learning = learning(kind);
            let decay_biases = number % 2 == 0;
            learning.optimizer =
                Optimizer { weight_decay: 0.1, decay_biases, clip_norm, epsilon: 1e-3, ..learning.optimizer };
            let rate = if kind.slots() == 2 { 0.01 } else { 0.05 };
            for (embedded, scaled) in [(some.clone(), false), (Vec::new(), true), (some.clone(), true)] {
                let model = case.model(Activation::Tanh, &learning).with_dropout(input, &[0.3]).unwrap();
                let model = model.with_front(Front { embedded, deviation: 0.5, scaled }).unwrap();
                case.check(&model, &learning, number > 0, &rates(rate), 1e-5);
            }
        }
    }
}
