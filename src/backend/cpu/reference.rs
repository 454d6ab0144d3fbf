//! A training step as the plain composition of the twins: the oracle of every plan, on one thread.

use super::augment::{self, Warper};
use super::dropout::{self, Dropout};
use super::head::{Objective, Targets, values_evaluation};
use super::squares::{BLOCK, squares};
use super::step::Mean;
use super::{
    activate, activate_backward, bias_add, clip, gather, loss_gradient, matmul, matmul_a_bt, matmul_at_b, reduce_rows,
    row_softmax, scale, scale_backward, step,
};
use super::{cross_entropy, embed, embed_backward, front_step, sum};
use crate::backend::fit::{check_samples, row_weights, rows_of, warper};
use crate::backend::numbers::Numbers;
use crate::backend::{About, Backend, Evaluating, Parts, Precision, Split, Steps, Ticket};
use crate::data::{Inputs, View};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::front::VALUES;
use crate::model::{Head, Mlp};
use crate::recipe::{Optimizer, Recipe};
use crate::state::State;

/// What the rows of a batch make on their way through a model.
pub struct Forward {
    /// The rows after dropout: `.. x features`.
    pub rows: Vec<f32>,
    /// What the front's factors are multiplied with; empty where there are none.
    pub embedded: Vec<f32>,
    /// The first layer's input, then each layer's output after its activation or softmax.
    pub activations: Vec<Vec<f32>>,
    /// What the slopes of the hidden layers' activations are computed from: their inputs, or outputs before dropout.
    pub saved: Vec<Vec<f32>>,
}

/// The run that a step belongs to, and the number of the step, from 1: they decide what it drops and how it augments its rows.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The step's number.
    pub step: u64,
    /// What its rows are augmented with.
    pub warper: Option<&'a Warper>,
}

/// Rows of a data set that a step learns from.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The data set's inputs.
    pub inputs: &'a Inputs,
    /// What its rows should give.
    pub targets: Targets<'a>,
    /// The numbers of the rows.
    pub order: &'a [u32],
}

impl Training<'_> {
    /// What is dropped of the inputs.
    fn input_dropout(self, model: &Mlp) -> Option<Dropout> {
        let share = model.input_dropout();
        (share > 0.0).then(|| Dropout::new(self.seed, self.step, 0, share))
    }

    /// What is dropped of the outputs of layer `index`.
    fn dropout(self, model: &Mlp, index: usize) -> Option<Dropout> {
        let share = model.layers()[index].dropout;
        (share > 0.0).then(|| Dropout::new(self.seed, self.step, index as u32 + 1, share))
    }
}

/// The rows `order` of `inputs` on their way through `model`, in a step of training or not.
pub fn forward(
    model: &Mlp,
    parameters: &[f32],
    inputs: &Inputs,
    order: &[u32],
    training: Option<Training<'_>>,
) -> Forward {
    let mut x = vec![0.0; order.len() * model.inputs()];
    gather(inputs, order, model.inputs(), &mut x);
    if let Some(Training { seed, step, warper: Some(warper) }) = training {
        augment::augment(warper, Warper::key(seed, step), 0, &mut x);
    }
    if let Some(dropout) = training.and_then(|training| training.input_dropout(model)) {
        dropout::dropout(dropout, 0, model.inputs(), &mut x);
    }
    let rows = x;
    let (x, embedded) = front(model, parameters, &rows);
    let (mut activations, mut saved) = (vec![x], Vec::new());
    for (index, layer) in model.layers().iter().enumerate() {
        let mut f = vec![0.0; order.len() * layer.outputs];
        let (h, weights) = (&activations[index], &parameters[layer.weights.clone()]);
        matmul::matmul(h, weights, layer.inputs, layer.outputs, &mut f);
        bias_add::bias_add(&parameters[layer.biases.clone()], &mut f);
        if index + 1 < model.layers().len() {
            let sums = f.clone();
            activate::activate(layer.activation, &mut f);
            let dropout = training.and_then(|training| training.dropout(model, index));
            if let Some(dropout) = dropout {
                dropout::dropout(dropout, 0, layer.outputs, &mut f);
            }
            saved.push(match dropout {
                _ if layer.activation.saves_input() => sums,
                // As they were before, from what the layer after it is given.
                Some(_) => f.iter().map(|f| f * (1.0 - layer.dropout) as f32).collect(),
                None => f.clone(),
            });
        } else if model.head() == Head::Classes {
            row_softmax::row_softmax(layer.outputs, &mut f);
        }
        activations.push(f);
    }
    Forward { rows, embedded, activations, saved }
}

/// What the model's front makes of `rows` (`.. x features`): the first layer's input, and what its factors are multiplied with, if it
/// has any.
pub fn front(model: &Mlp, parameters: &[f32], rows: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let front = model.front();
    if front.is_none() {
        return (rows.to_vec(), Vec::new());
    }
    let mut embedded = vec![0.0; rows.len() / model.inputs() * model.layers()[0].inputs];
    embed::embed(
        embed::Waves::of(parameters, model.front_tensors()),
        &front.embedded,
        model.inputs(),
        rows,
        &mut embedded,
    );
    if !front.scaled {
        return (embedded, Vec::new());
    }
    let mut x = vec![0.0; embedded.len()];
    scale::scale(&parameters[model.front_tensors()[4].place.clone()], &embedded, &mut x);
    (x, embedded)
}

/// Fills the gradients of the front from `dx`, the gradient at the first layer's input.
fn front_gradient(model: &Mlp, parameters: &[f32], forward: &Forward, mut dx: Vec<f32>, gradients: &mut [f32]) {
    let front = model.front();
    let tensors = model.front_tensors();
    if front.scaled {
        let factors = tensors[4].place.clone();
        let sums = &mut gradients[factors.clone()];
        scale_backward::scale_backward(&parameters[factors], &forward.embedded, &mut dx, sums);
    }
    for (feature, &column) in front.embedded.iter().enumerate() {
        let x: Vec<f32> = forward.rows.chunks_exact(model.inputs()).map(|row| row[column as usize]).collect();
        let values = dx.chunks_exact(model.layers()[0].inputs).map(|row| {
            let first = model.inputs() + feature * VALUES;
            std::array::from_fn(|j| row[first + j])
        });
        let sums = embed_backward::embed_backward(
            embed::Waves::of(parameters, model.front_tensors()),
            feature,
            &x,
            &values.collect::<Vec<_>>(),
        );
        for (tensor, sums) in tensors.iter().zip(sums.tensors()) {
            gradients[tensor.place.start + feature * sums.len()..][..sums.len()].copy_from_slice(sums);
        }
    }
}

/// The gradient of the summed loss over `rows`, laid out as the parameters are.
pub fn gradient(
    model: &Mlp,
    objective: Objective,
    parameters: &[f32],
    rows: Rows,
    training: Option<Training<'_>>,
) -> Vec<f32> {
    let forward = forward(model, parameters, rows.inputs, rows.order, training);
    let mut gradients = vec![0.0; parameters.len()];
    let mut df = forward.activations[model.layers().len()].clone();
    loss_gradient::loss_gradient(objective, &rows.targets, rows.order, model.outputs(), &mut df);
    for (index, layer) in model.layers().iter().enumerate().rev() {
        let h = &forward.activations[index];
        let weights = &mut gradients[layer.weights.clone()];
        matmul_at_b::matmul_at_b(h, &df, layer.inputs, layer.outputs, weights);
        reduce_rows::reduce_rows(&df, &mut gradients[layer.biases.clone()]);
        if index > 0 || !model.front().is_none() {
            let mut dh = vec![0.0; h.len()];
            matmul_a_bt::matmul_a_bt(&df, &parameters[layer.weights.clone()], layer.inputs, layer.outputs, &mut dh);
            if index == 0 {
                front_gradient(model, parameters, &forward, dh, &mut gradients);
                break;
            }
            if let Some(dropout) = training.and_then(|training| training.dropout(model, index - 1)) {
                dropout::dropout(dropout, 0, layer.inputs, &mut dh);
            }
            let activation = model.layers()[index - 1].activation;
            activate_backward::activate_backward(activation, &forward.saved[index - 1], &mut dh);
            df = dh;
        }
    }
    gradients
}

/// A step of `state` from summed `gradients`, of which `divisor` makes the mean, at the rate `rate`.
pub fn update(model: &Mlp, optimizer: &Optimizer, gradients: &[f32], divisor: f32, rate: f32, state: &mut State) {
    let mut mean = Mean { divisor, factor: 1.0 };
    if let Some(clip_norm) = optimizer.clip_norm {
        let mut sums = vec![0.0; gradients.len().div_ceil(BLOCK)];
        squares(gradients, divisor, &mut sums);
        mean.factor = clip::clip(&sums, clip_norm as f32);
    }
    state.step += 1;
    let numbers = Numbers::new(optimizer, rate, state.step);
    for tensor in model.front_tensors() {
        let mut slots: Vec<_> = state.slots.iter_mut().map(|slot| &mut slot[tensor.place.clone()]).collect();
        let (gradients, parameters) = (&gradients[tensor.place.clone()], &mut state.parameters[tensor.place.clone()]);
        front_step::front_step(optimizer.kind, &numbers, tensor, gradients, mean, parameters, &mut slots);
    }
    for layer in model.layers() {
        for (range, bias) in [(&layer.weights, false), (&layer.biases, true)] {
            let mut slots: Vec<_> = state.slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
            let (gradients, parameters) = (&gradients[range.clone()], &mut state.parameters[range.clone()]);
            step::step(optimizer.kind, &numbers, bias, gradients, mean, parameters, &mut slots);
        }
    }
}

/// A backend of nothing but twins: what every other is checked against.
pub struct Reference {
    model: Mlp,
    recipe: Recipe,
    state: State,
    data: Parts<View>,
    /// The weights of the training rows, if they differ.
    weights: Option<Vec<f32>>,
    /// What the training part is augmented with.
    warper: Option<Warper>,
    /// What was found, and in which state.
    evaluating: Evaluating<Vec<Evaluation>>,
    evaluated: State,
}

impl Reference {
    /// What [`Backend::about`] calls it.
    pub const NAME: &'static str = "reference";

    /// A backend that trains `model` by `recipe`, all parameters 0.
    pub fn new(model: Mlp, recipe: &Recipe) -> Self {
        Self {
            state: State::new(vec![0.0; model.parameters()], recipe.optimizer.kind),
            model,
            recipe: recipe.clone(),
            data: Parts::default(),
            weights: None,
            warper: None,
            evaluating: Evaluating::default(),
            evaluated: State::default(),
        }
    }

    fn evaluation(&self, split: Split) -> Result<Evaluation> {
        let view = self.data.get(split)?;
        let (samples, order) = (&view.samples, view.order());
        let classes = self.model.outputs();
        let activations = forward(&self.model, &self.state.parameters, &samples.inputs, &order, None).activations;
        let p = &activations[self.model.layers().len()];
        if self.model.head() == Head::Values {
            return Ok(values_evaluation(self.recipe.loss, p, &view.values(), self.model.outputs()));
        }
        let (mut losses, mut confusion) = (vec![0.0; order.len()], vec![0; classes * classes]);
        cross_entropy::cross_entropy(p, samples.labels(), &order, classes, &mut losses, &mut confusion);
        Ok(Evaluation {
            loss_sum: sum::sum(&losses),
            rows: order.len() as u64,
            confusion: confusion.into_iter().map(u64::from).collect(),
            ..Evaluation::empty(classes)
        })
    }
}

impl Backend for Reference {
    fn about(&self) -> About {
        let data = |part: &View| part.samples.inputs.bytes() + part.samples.targets.bytes();
        About {
            name: Self::NAME,
            device: "1 thread".into(),
            plan: "elementary",
            plan_reason: "the reference's only one",
            precision: Precision::F32,
            dispatches: None,
            bytes: (self.data.iter().map(data).sum::<usize>() + size_of_val(&self.state.parameters[..])) as u64,
            streamed: Vec::new(),
        }
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        let samples = &view.samples;
        check_samples(&self.model, samples)?;
        if split == Split::Train {
            self.weights = row_weights(&self.model, &self.recipe, split, samples)?;
        }
        if let Some(warper) = warper(&self.recipe, split, samples)? {
            self.warper = Some(warper);
        }
        self.data.set(split, view.clone());
        Ok(())
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        let view = self.data.get(Split::Train)?;
        let samples = &view.samples;
        steps.check(view.len(), self.recipe.batch_size)?;
        let order = view.numbers(steps.order);
        for (batch, rate) in (Steps { order: &order, ..steps }).batches(self.recipe.batch_size) {
            let (seed, step, warper) = (self.recipe.seed, self.state.step + 1, self.warper.as_ref());
            let training = Training { seed, step, warper };
            let targets = Targets::new(&samples.targets, self.weights.as_deref());
            let rows = Rows { inputs: &samples.inputs, targets, order: batch };
            let objective = Objective::from(&self.recipe);
            let gradients = gradient(&self.model, objective, &self.state.parameters, rows, Some(training));
            update(&self.model, &self.recipe.optimizer, &gradients, targets.total(batch), rate, &mut self.state);
        }
        Ok(steps.rates.len())
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        let found = splits.iter().map(|&split| self.evaluation(split)).collect::<Result<_>>()?;
        self.evaluated = self.state.clone();
        Ok(self.evaluating.begin(found, false))
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        self.evaluating.take(ticket)
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let order: Vec<u32> = (0..rows_of(&self.model, inputs)?).collect();
        Ok(forward(&self.model, &self.state.parameters, inputs, &order, None).activations.pop().unwrap_or_default())
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        Ok(match at {
            Some(ticket) => self.evaluating.check(ticket).map(|()| self.evaluated.clone())?,
            None => self.state.clone(),
        })
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        state.check(&self.model, self.recipe.optimizer.kind)?;
        self.state = state.clone();
        Ok(())
    }
}
