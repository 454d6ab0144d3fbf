//! A training step as the plain composition of the twins: the oracle of every plan, on one thread.

use super::{
    bias_add, cross_entropy_gradient, gather_f32, gather_u8, matmul, matmul_a_bt, matmul_at_b, reduce_rows, relu,
    relu_mask, row_softmax, sgd,
};
use super::{check_parameters, check_samples, cross_entropy, missing, rows_of, sum};
use crate::backend::{Backend, Pass, Split};
use crate::data::{Inputs, Samples};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::model::Mlp;

/// The input rows `order`, then each layer's output after its ReLU or softmax.
pub fn forward(model: &Mlp, parameters: &[f32], inputs: &Inputs, order: &[u32]) -> Vec<Vec<f32>> {
    let mut x = vec![0.0; order.len() * model.inputs()];
    match inputs {
        Inputs::U8(data) => gather_u8::gather_u8(data, order, model.inputs(), &mut x),
        Inputs::F32(data) => gather_f32::gather_f32(data, order, model.inputs(), &mut x),
    }
    let mut activations = vec![x];
    for (index, layer) in model.layers().iter().enumerate() {
        let mut f = vec![0.0; order.len() * layer.outputs];
        let (h, weights) = (&activations[index], &parameters[layer.weights.clone()]);
        matmul::matmul(h, weights, layer.inputs, layer.outputs, &mut f);
        bias_add::bias_add(&parameters[layer.biases.clone()], &mut f);
        if index + 1 < model.layers().len() {
            relu::relu(&mut f);
        } else {
            row_softmax::row_softmax(layer.outputs, &mut f);
        }
        activations.push(f);
    }
    activations
}

/// The gradient of the summed loss over the rows `order` of `samples`, laid out as the parameters are.
pub fn gradient(model: &Mlp, parameters: &[f32], samples: &Samples, order: &[u32]) -> Vec<f32> {
    let activations = forward(model, parameters, &samples.inputs, order);
    let mut gradients = vec![0.0; parameters.len()];
    let mut df = activations[model.layers().len()].clone();
    cross_entropy_gradient::cross_entropy_gradient(samples.labels(), order, model.classes(), &mut df);
    for (index, layer) in model.layers().iter().enumerate().rev() {
        let h = &activations[index];
        let weights = &mut gradients[layer.weights.clone()];
        matmul_at_b::matmul_at_b(h, &df, layer.inputs, layer.outputs, weights);
        reduce_rows::reduce_rows(&df, &mut gradients[layer.biases.clone()]);
        if index > 0 {
            let mut dh = vec![0.0; h.len()];
            matmul_a_bt::matmul_a_bt(&df, &parameters[layer.weights.clone()], layer.inputs, layer.outputs, &mut dh);
            relu_mask::relu_mask(h, &mut dh);
            df = dh;
        }
    }
    gradients
}

/// A backend of nothing but twins: what every other is checked against.
pub struct Reference {
    model: Mlp,
    batch_size: usize,
    parameters: Vec<f32>,
    train: Option<Samples>,
    test: Option<Samples>,
    validation: Option<Samples>,
    pass: Pass,
}

impl Reference {
    /// A backend for `model`, parameters 0.
    pub fn new(model: Mlp, batch_size: usize) -> Self {
        Self {
            parameters: vec![0.0; model.parameters()],
            model,
            batch_size,
            train: None,
            test: None,
            validation: None,
            pass: Pass::default(),
        }
    }
}

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn device(&self) -> String {
        "1 thread".into()
    }

    fn plan(&self) -> &'static str {
        "elementary"
    }

    fn plan_reason(&self) -> &'static str {
        "the reference's only one"
    }

    fn dispatches(&self) -> Option<usize> {
        None
    }

    fn bytes(&self) -> u64 {
        let data = |part: &Samples| part.inputs.bytes() + part.targets.bytes();
        let parts = [&self.train, &self.test, &self.validation].into_iter().flatten();
        (parts.map(data).sum::<usize>() + size_of_val(&self.parameters[..])) as u64
    }

    fn upload(&mut self, split: Split, samples: &Samples) -> Result<()> {
        check_samples(&self.model, samples)?;
        match split {
            Split::Train => (self.train, self.pass) = (Some(samples.clone()), Pass::default()),
            Split::Test => self.test = Some(samples.clone()),
            Split::Validation => self.validation = Some(samples.clone()),
        }
        Ok(())
    }

    fn begin_pass(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        let samples = self.train.as_ref().ok_or_else(|| missing(Split::Train))?;
        self.pass = Pass::new(order, learning_rate, samples.len())?;
        Ok(())
    }

    fn advance(&mut self) -> Result<usize> {
        let samples = self.train.as_ref().ok_or_else(|| missing(Split::Train))?;
        let learning_rate = self.pass.learning_rate;
        let batch = self.pass.take(self.batch_size);
        if !batch.is_empty() {
            let gradients = gradient(&self.model, &self.parameters, samples, batch);
            sgd::sgd(&gradients, batch.len(), learning_rate, &mut self.parameters);
        }
        Ok(self.pass.done)
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        let samples = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
            Split::Validation => &self.validation,
        };
        let samples = samples.as_ref().ok_or_else(|| missing(split))?;
        let classes = self.model.classes();
        let order: Vec<u32> = (0..samples.len() as u32).collect();
        let activations = forward(&self.model, &self.parameters, &samples.inputs, &order);
        let (mut losses, mut confusion) = (vec![0.0; order.len()], vec![0; classes * classes]);
        let p = &activations[self.model.layers().len()];
        cross_entropy::cross_entropy(p, samples.labels(), &order, classes, &mut losses, &mut confusion);
        Ok(Evaluation {
            loss_sum: sum::sum(&losses),
            confusion: confusion.into_iter().map(u64::from).collect(),
            classes,
        })
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let order: Vec<u32> = (0..rows_of(&self.model, inputs)?).collect();
        Ok(forward(&self.model, &self.parameters, inputs, &order).pop().unwrap_or_default())
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        Ok(self.parameters.clone())
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.model, parameters)?;
        self.parameters.copy_from_slice(parameters);
        Ok(())
    }
}
