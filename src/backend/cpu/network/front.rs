//! The front in the engine: rows are embedded and scaled before the first layer by those who gathered them; going back, each thread
//! sums the gradients of some features over all rows of the batch, in their order.

use std::ops::Range;

use super::{GRAIN, Layout, Learning, Member, Shared, SharedTensor, Tensor, Vectors};
use crate::backend::cpu::embed::Waves;
use crate::backend::cpu::embed_backward::WaveGradients;
use crate::backend::cpu::vector::Aligned;
use crate::backend::cpu::vector::embed::{embed, embed_backward};
use crate::model::front::VALUES;
use crate::model::{self, FrontTensor, Mlp};

/// A model's front: what it does, and its parameters.
pub(super) struct Front {
    pub(super) shape: Shape,
    /// Laid out as in the model, padded to whole vectors.
    pub(super) values: [Tensor; 5],
}

/// What the front does.
pub(super) struct Shape {
    front: model::Front,
    /// Features of a row.
    pub(super) inputs: usize,
    /// Inputs of the first layer.
    outputs: usize,
    /// The tensors of the parameters, in the order of the model.
    pub(super) tensors: [FrontTensor; 5],
}

impl Front {
    /// That of `model`, if it has one, all parameters 0.
    pub(super) fn new(model: &Mlp, learning: &Learning) -> Option<Self> {
        let (front, inputs) = (model.front().clone(), model.inputs());
        let tensors = model.front_tensors().clone();
        let values = std::array::from_fn(|index| {
            let length = tensors[index].place.len().next_multiple_of(GRAIN);
            Tensor { gradients: Aligned::zeros(length), ..Tensor::new(length, &learning.optimizer) }
        });
        let outputs = front.outputs(inputs);
        (!front.is_none()).then_some(Self { shape: Shape { front, inputs, outputs, tensors }, values })
    }

    /// Adds the parameters or a slot to `flat`, laid out as the model says.
    pub(super) fn flatten(&self, slot: Option<usize>, flat: &mut Vec<f32>) {
        for (values, tensor) in self.values.iter().zip(&self.shape.tensors) {
            flat.extend_from_slice(&values.values(slot)[..tensor.place.len()]);
        }
    }

    /// Replaces the parameters or a slot by the first of `flat`; the rest of it.
    pub(super) fn fill<'a>(&mut self, slot: Option<usize>, mut flat: &'a [f32]) -> &'a [f32] {
        for (values, tensor) in self.values.iter_mut().zip(&self.shape.tensors) {
            let (own, rest) = flat.split_at(tensor.place.len());
            values.values_mut(slot)[..own.len()].copy_from_slice(own);
            flat = rest;
        }
        flat
    }

    /// Its parameters.
    pub(super) fn parameters(&self) -> [&[f32]; 5] {
        std::array::from_fn(|index| &self.values[index].parameters[..])
    }
}

/// Where the rows of a batch go.
pub(super) struct Rows<'a, 'b> {
    /// The rows as they are, each of all features: those of `range` alone.
    pub(super) raw: &'a [f32],
    /// Which rows of the batch.
    pub(super) range: Range<usize>,
    /// The layout of the two below.
    pub(super) layout: Layout,
    /// What factors are multiplied with, if they are trained.
    pub(super) embedded: Option<&'a Shared<'b, f32>>,
    /// The first layer's input.
    pub(super) x: &'a Shared<'b, f32>,
}

impl Shape {
    fn waves<'a>(&self, parameters: [&'a [f32]; 5]) -> Waves<'a> {
        let [frequencies, phases, weights, biases, _] = parameters;
        Waves { frequencies, phases, weights, biases }
    }

    /// Whether factors are trained.
    pub(super) fn scales(&self) -> bool {
        self.front.scaled
    }

    /// Embeds and scales rows.
    ///
    /// # Safety
    /// Nobody else touches these rows of what is written until the next barrier.
    pub(super) unsafe fn forward(&self, vectors: Vectors, parameters: [&[f32]; 5], rows: Rows, scratch: &mut Aligned) {
        let Rows { raw, range, layout, embedded, x } = rows;
        let (waves, factors) = (self.waves(parameters), parameters[4]);
        scratch.resize(self.outputs);
        for (row, raw) in range.zip(raw.chunks_exact(self.inputs)) {
            scratch[..self.inputs].copy_from_slice(raw);
            embed(vectors, waves, &self.front.embedded, raw, &mut scratch[self.inputs..]);
            for part in layout.over(0..self.outputs) {
                let place = part.row(row)..part.row(row) + part.columns.len();
                let values = &scratch[part.columns.clone()];
                if let Some(embedded) = embedded {
                    // SAFETY: as the caller promises.
                    unsafe { embedded.part_mut(place.clone()) }.copy_from_slice(values);
                }
                // SAFETY: as the caller promises.
                let x = unsafe { x.part_mut(place) };
                if self.front.scaled {
                    let values = values.iter().zip(&factors[part.columns]);
                    x.iter_mut().zip(values).for_each(|(x, (value, factor))| *x = value * factor);
                } else {
                    x.copy_from_slice(values);
                }
            }
        }
    }

    /// Fills this member's share of the gradients of all parameters from `dx`, the gradient at the first layer's input.
    ///
    /// # Safety
    /// Nobody writes the rows and parameters, nor touches the gradients, until the next barrier.
    pub(super) unsafe fn backward(
        &self,
        vectors: Vectors,
        member: &Member,
        values: &[SharedTensor; 5],
        count: usize,
        batch: Batch,
        scratch: &mut Aligned,
    ) {
        let Batch { raw, layout, embedded, dx } = batch;
        // SAFETY: as the caller promises.
        let parameters: [&[f32]; 5] = std::array::from_fn(|index| unsafe { values[index].parameters.all() });
        let (waves, factors) = (self.waves(parameters), parameters[4]);
        scratch.resize((1 + VALUES) * count);
        let (numbers, de) = scratch.split_at_mut(count);
        let (de, _) = de.as_chunks_mut::<VALUES>();
        for feature in member.share(self.front.embedded.len(), 1) {
            let column = self.front.embedded[feature] as usize;
            let rows = raw.chunks_exact(self.inputs);
            numbers.iter_mut().zip(rows).for_each(|(number, row)| *number = row[column]);
            for j in 0..VALUES {
                let column = self.inputs + feature * VALUES + j;
                let part = layout.at(column);
                let factor = if self.front.scaled { factors[column] } else { 1.0 };
                de.iter_mut().enumerate().for_each(|(row, de)| de[j] = dx[part.row(row)] * factor);
            }
            let mut sums = WaveGradients::default();
            embed_backward(vectors, waves, feature, numbers, de, &mut sums);
            for (tensor, sums) in values.iter().zip(sums.tensors()) {
                let first = feature * sums.len();
                // SAFETY: each member has its own features.
                unsafe { tensor.gradients.part_mut(first..first + sums.len()) }.copy_from_slice(sums);
            }
        }
        if self.front.scaled {
            for part in layout.over(member.share(self.outputs, GRAIN)) {
                // SAFETY: each member has its own columns.
                let sums = unsafe { values[4].gradients.part_mut(part.columns.clone()) };
                sums.fill(0.0);
                for row in 0..count {
                    let place = part.row(row)..part.row(row) + part.columns.len();
                    let products = dx[place.clone()].iter().zip(&embedded[place]).map(|(dx, e)| dx * e);
                    sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
                }
            }
        }
    }
}

/// What the front's gradients are computed from.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    /// The rows as they are.
    pub(super) raw: &'a [f32],
    /// The layout of the two below.
    pub(super) layout: Layout,
    /// What factors were multiplied with.
    pub(super) embedded: &'a [f32],
    /// The gradient at the first layer's input.
    pub(super) dx: &'a [f32],
}
