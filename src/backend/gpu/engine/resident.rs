//! Parts of a data set on the device, and whose rows they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use crate::backend::Split;
use crate::backend::fit::{self, check_samples, row_weights};
use crate::backend::gpu::plan::{Buffer, Plan};
use crate::backend::gpu::store::Part;
use crate::backend::gpu::submit::Ready;
use crate::data::Samples;
use crate::error::{Error, Result};

/// Bytes of the orders of a submission, at most, unless one batch of each member takes more.
const ORDER_BYTES: usize = 64 << 20;

/// A part of a data set, and what runs over it.
pub(super) struct Resident {
    pub(super) part: Arc<Part>,
    /// The values that the rows should give, `rows x outputs`; none of classes.
    pub(super) values: Vec<f32>,
    /// Of the training part: the weights of the rows in the loss, here and on the device, where they differ.
    pub(super) weights: Option<(Vec<f32>, wgpu::Buffer)>,
    /// The rows of each member, where it does not have all.
    pub(super) lists: Option<Lists>,
    pub(super) order: wgpu::Buffer,
    pub(super) totals: wgpu::Buffer,
    /// Of an evaluation of the member that has most.
    pub(super) batches: usize,
    pub(super) buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// Of the training part.
    pub(super) plan: Option<Plan>,
    pub(super) step: Vec<Ready>,
    pub(super) evaluation: Vec<Ready>,
}

/// Numbers of rows, for each member.
pub(super) struct Lists {
    pub(super) rows: Vec<Vec<u32>>,
    /// Where each begins among all, one after the other.
    starts: Vec<usize>,
    /// All of them.
    pub(super) buffer: wgpu::Buffer,
}

impl Resident {
    /// Where a member's rows begin in what an evaluation binds as the order, and how many they are.
    pub(super) fn rows_of(&self, member: usize) -> (usize, usize) {
        match &self.lists {
            None => (0, self.part.rows),
            Some(lists) => (lists.starts[member], lists.rows[member].len()),
        }
    }

    /// The values that a member's rows should give.
    pub(super) fn values_of(&self, member: usize, outputs: usize) -> Cow<'_, [f32]> {
        match &self.lists {
            None => Cow::Borrowed(&self.values),
            Some(lists) => {
                let of = |&row: &u32| &self.values[row as usize * outputs..(row as usize + 1) * outputs];
                lists.rows[member].iter().flat_map(of).copied().collect()
            }
        }
    }
}

impl Engine {
    /// Makes `samples` resident as `split`, all of it for every member.
    ///
    /// # Errors
    /// When the rows do not fit the model or the device.
    pub async fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()> {
        check_samples(&self.model, samples)?;
        let weights = row_weights(&self.model, self.recipe(), split, samples)?;
        let warper = fit::warper(self.recipe(), split, samples)?;
        let part = self.store.upload(split.name(), samples)?;
        let device = self.device();
        let weights = match weights {
            Some(weights) => {
                let buffer = self.store.numbers("weights of the rows", bytemuck::cast_slice(&weights))?;
                Some((weights, buffer))
            }
            None => None,
        };
        let mut buffers = self.buffers.clone();
        buffers.extend([(Buffer::Data, part.data.clone()), (Buffer::Targets, part.targets.clone())]);
        buffers.extend(weights.iter().map(|(_, buffer)| (Buffer::Weights, buffer.clone())));
        // A submission's part of the orders.
        let (batch_size, members) = (self.recipe().batch_size, self.members.len());
        let allowed = (ORDER_BYTES / 4 / batch_size / members).clamp(1, self.table.steps);
        let rows = part.rows.div_ceil(batch_size).clamp(1, allowed) * batch_size * members;
        let order = device.storage("order of the rows", 4 * rows as u64)?;
        buffers.insert(Buffer::Order, order.clone());
        let hardware = &device.hardware;
        let plan = (split == Split::Train)
            .then(|| Plan::step(self.plan, &self.model, self.recipe(), part.element, batch_size, hardware))
            .map(|plan| warper.iter().fold(plan, Plan::augmenting));
        let step = plan.iter().map(|plan| self.store.prepare(plan, &buffers, &self.table));
        let step = step.collect::<Result<Vec<_>>>()?.concat();
        let values = samples.values().to_vec();
        let (totals, evaluation) = self.evaluation_of(&part, &part.identity, part.rows)?;
        let batches = part.rows.div_ceil(self.sizes.evaluation_rows);
        let resident =
            Resident { part, values, weights, lists: None, order, totals, batches, buffers, plan, step, evaluation };
        self.data.set(split, resident);
        Ok(())
    }

    /// Where the losses of an evaluation of `part` go, `rows` rows of each member at most, and its dispatches, which take the rows
    /// that `order` lists.
    fn evaluation_of(&self, part: &Part, order: &wgpu::Buffer, rows: usize) -> Result<(wgpu::Buffer, Vec<Ready>)> {
        let device = self.device();
        let totals = self.members.len() * rows.div_ceil(self.sizes.evaluation_rows);
        let totals = device.storage("losses of the batches", 4 * totals as u64)?;
        let mut buffers = self.buffers.clone();
        buffers.extend([
            (Buffer::Data, part.data.clone()),
            (Buffer::Targets, part.targets.clone()),
            (Buffer::Order, order.clone()),
            (Buffer::Totals, totals.clone()),
        ]);
        let (rows, hardware) = (self.sizes.evaluation_rows, &device.hardware);
        let plan = Plan::evaluation(self.plan, &self.model, self.recipe(), part.element, rows, hardware);
        let evaluation = self.store.prepare(&plan, &buffers, &self.table)?;
        Ok((totals, evaluation))
    }

    /// Gives each member rows of its own of `split`, by their numbers in the samples that were uploaded: what it is evaluated on, and
    /// of the training part what the numbers of its orders count.
    ///
    /// # Errors
    /// When nothing was uploaded, a member has no list or an empty one, a row is not there, or the device fails.
    pub async fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()> {
        self.settle().await?;
        let resident = self.data.get(split)?;
        let (lists, members, count) = (rows.len(), self.members.len(), resident.part.rows);
        if lists != members {
            return Err(Error::Data(format!("{lists} lists of rows for {members} members")));
        }
        if let Some(member) = rows.iter().position(Vec::is_empty) {
            return Err(Error::Data(format!("member {member} has no rows of the {} part", split.name())));
        }
        if let Some(row) = rows.iter().flatten().find(|&&row| row as usize >= count) {
            return Err(Error::Data(format!("row {row} is not in a {} part of {count} rows", split.name())));
        }
        let buffer = self.store.numbers("rows of the members", &rows.concat())?;
        let most = rows.iter().map(Vec::len).max().unwrap_or(0);
        let (totals, evaluation) = self.evaluation_of(&resident.part, &buffer, most)?;
        let batches = most.div_ceil(self.sizes.evaluation_rows);
        let starts = rows.iter().scan(0, |next, rows| Some(std::mem::replace(next, *next + rows.len())));
        let lists = Some(Lists { rows: rows.to_vec(), starts: starts.collect(), buffer });
        let resident = self.data.get_mut(split)?;
        (resident.lists, resident.totals, resident.evaluation, resident.batches) = (lists, totals, evaluation, batches);
        Ok(())
    }
}
