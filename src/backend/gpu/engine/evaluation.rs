//! Evaluation and prediction: what members give for rows, and how good it is.

use std::collections::BTreeMap;

use super::sizes::work;
use super::{Engine, Flight, IN_FLIGHT, Resident};
use crate::backend::cpu::head::values_evaluation;
use crate::backend::fit::rows_of;
use crate::backend::gpu::device::{Read, values};
use crate::backend::gpu::plan::{Buffer, Element, Plan};
use crate::backend::gpu::submit::{Batch, Entries, submit};
use crate::backend::{Split, Ticket};
use crate::data::Inputs;
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Head;

/// What is to be evaluated: of each member these parts.
pub(super) type Asked = Vec<Vec<Split>>;
/// What was found: of each member, for each of its parts.
type Found = Vec<Vec<Evaluation>>;
/// What was found of a part, for each of these members.
type Part = (Split, Vec<usize>, Vec<Evaluation>);

/// An evaluation: of a software driver to be done when it is collected, else under way.
pub(super) enum Pending {
    Asked(Asked),
    Begun(Asked, Vec<Begun>),
    Done(Found),
}

/// An evaluation of one part that is under way.
pub(super) struct Begun {
    split: Split,
    members: Vec<usize>,
    reads: Reads,
}

/// Results on their way back.
enum Reads {
    /// Losses and counts.
    Classes(Read),
    /// Predictions, batch by batch, and of which members.
    Values(Vec<(Read, Vec<usize>)>),
}

impl Engine {
    /// Hands over the evaluation of `split` of `members`. Where rows are streamed, it waits for all but the last of it.
    async fn begin(&mut self, split: Split, members: Vec<usize>) -> Result<Begun> {
        let device = self.device().clone();
        let (rows, outputs) = (self.sizes.evaluation_rows, self.model.outputs());
        let flops = 2.0 * self.model.parameters() as f64 * rows as f64;
        let confusion = self.buffers.get(&Buffer::Confusion).cloned();
        let mut clear = confusion.as_ref();
        let mut predicted = Vec::new();
        for members in members.chunks(self.sizes.at_once) {
            let resident = self.data.get(split)?;
            let steps = resident.evaluation_steps(members, rows);
            let most = ((work(&device) / flops / members.len() as f64) as usize).clamp(1, self.table.steps);
            // Of values each batch's lie where the next one's will.
            let most = if self.model.head() == Head::Classes { most } else { 1 };
            let streamed = resident.streamed().is_some();
            let lists = if resident.lists.is_some() { members.len() } else { 1 };
            let most = if streamed { most.min(resident.room() / (rows * lists)).max(1) } else { most };
            for steps in steps.chunks(most) {
                let handed = self.pace.now();
                let submitted = if streamed {
                    self.data.get_mut(split)?.turn();
                    let resident = self.data.get(split)?;
                    let (numbers, steps) = resident.gathered(steps);
                    resident.list(&device, &[numbers.into()])?;
                    submit(&device, &self.table, &resident.passes().evaluation, &steps, clear.take())?
                } else {
                    let passes = self.data.get(split)?.passes();
                    submit(&device, &self.table, &passes.evaluation, steps, clear.take())?
                };
                self.in_flight.push_back(Flight { submitted, steps: 0, handed });
                self.evaluations_in_flight += 1;
                if self.model.head() == Head::Values {
                    let entries = &steps[0];
                    let of = |(place, entry): (usize, &Batch)| {
                        let start = 4 * (place * rows * outputs) as u64;
                        (self.predicted(), start..start + 4 * u64::from(entry.rows) * outputs as u64)
                    };
                    let read = device.begin_read(&entries.iter().enumerate().map(of).collect::<Vec<_>>())?;
                    predicted.push((read, entries.iter().map(|entry| entry.member as usize).collect()));
                }
                if streamed {
                    self.wait_until(IN_FLIGHT).await?;
                }
            }
        }
        let resident = self.data.get(split)?;
        let reads = match (self.model.head(), &confusion) {
            (Head::Classes, Some(confusion)) => {
                let most = members.iter().max().map_or(0, |most| most + 1);
                Reads::Classes(device.begin_read(&[
                    (&resident.totals, 0..4 * (most * resident.batches) as u64),
                    (confusion, 0..4 * (most * outputs * outputs) as u64),
                ])?)
            }
            _ => Reads::Values(predicted),
        };
        Ok(Begun { split, members, reads })
    }

    /// Where an evaluation leaves the outputs of a batch.
    fn predicted(&self) -> &wgpu::Buffer {
        &self.buffers[&Buffer::Deltas(self.model.layers().len() - 1)]
    }

    /// What an evaluation found of each of its members.
    async fn finish(&self, begun: Begun) -> Result<Part> {
        let Begun { split, members, reads } = begun;
        let resident = self.data.get(split)?;
        let outputs = self.model.outputs();
        match reads {
            Reads::Classes(read) => {
                let mut parts = self.device().finish_read(read).await?.into_iter();
                let totals = parts.next().map_or_else(Vec::new, |bytes| values::<f32>(&bytes));
                let confusion = parts.next().map_or_else(Vec::new, |bytes| values::<u32>(&bytes));
                let of = |member: usize| {
                    let first = member * resident.batches;
                    let batches = resident.rows_of(member).1.div_ceil(self.sizes.evaluation_rows);
                    let counts = &confusion[member * outputs * outputs..(member + 1) * outputs * outputs];
                    let confusion: Vec<u64> = counts.iter().copied().map(u64::from).collect();
                    Evaluation {
                        rows: confusion.iter().sum(),
                        loss_sum: totals[first..first + batches].iter().copied().map(f64::from).sum(),
                        confusion,
                        ..Evaluation::empty(self.model.classes())
                    }
                };
                let found = members.iter().copied().map(of).collect();
                Ok((split, members, found))
            }
            Reads::Values(reads) => {
                let mut predicted: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
                for (read, from) in reads {
                    let bytes = self.device().finish_read(read).await?;
                    for (member, bytes) in from.into_iter().zip(bytes) {
                        predicted.entry(member).or_default().extend(values::<f32>(&bytes));
                    }
                }
                let of = |member: usize| {
                    let predicted = predicted.get(&member).map_or(&[][..], |predicted| predicted);
                    let targets = resident.values_of(member, outputs);
                    values_evaluation(self.recipe().loss, predicted, &targets, outputs)
                };
                let found = members.iter().copied().map(of).collect();
                Ok((split, members, found))
            }
        }
    }

    /// Evaluates at once.
    async fn evaluate_now(&mut self, asked: &Asked) -> Result<Found> {
        let mut found = Vec::new();
        for (split, members) in by_part(asked) {
            let begun = self.begin(split, members).await?;
            self.synchronize().await?;
            found.push(self.finish(begun).await?);
        }
        sorted(asked, &found)
    }

    /// Hands over an evaluation: of each member of the parts that `asked` has for it.
    ///
    /// # Errors
    /// When a part was not uploaded, or the device fails.
    pub async fn evaluate(&mut self, asked: Asked) -> Result<Ticket> {
        if asked.len() != self.members.len() {
            let (lists, members) = (asked.len(), self.members.len());
            return Err(Error::Data(format!("{lists} lists of parts to evaluate for {members} members")));
        }
        for (buffer, copy) in &self.evaluated.0 {
            self.device().copy(&self.buffers[buffer], copy);
        }
        self.evaluated.1 = self.members.iter().map(|member| member.step).collect();
        let parts = asked.iter().flatten().map(|&split| Ok(self.data.get(split)?.streamed().is_some()));
        let streamed = parts.collect::<Result<Vec<bool>>>()?.contains(&true);
        // Software drivers work on the caller's cores, Mesa's even before a submission returns: nothing would run ahead. Streamed rows
        // are gathered by the caller.
        let ahead = !self.device().hardware.software && !streamed;
        let pending = if ahead {
            let mut begun = Vec::new();
            for (split, members) in by_part(&asked) {
                begun.push(self.begin(split, members).await?);
            }
            Pending::Begun(asked, begun)
        } else {
            Pending::Asked(asked)
        };
        self.device().check("encoding evaluations")?;
        Ok(self.evaluating.begin(pending, ahead))
    }

    /// The state is about to change: does the evaluation that was asked for in this one.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if let Some(Pending::Asked(asked)) = &self.evaluating.pending {
            let asked = asked.clone();
            self.evaluating.pending = Some(Pending::Done(self.evaluate_now(&asked).await?));
        }
        Ok(())
    }

    /// What the evaluation of `ticket` found of each member, for each of its parts.
    ///
    /// # Errors
    /// When a later one was handed over, or the device fails.
    pub async fn collect(&mut self, ticket: Ticket) -> Result<Vec<Vec<Evaluation>>> {
        match self.evaluating.take(ticket)? {
            Pending::Asked(asked) => self.evaluate_now(&asked).await,
            Pending::Done(found) => Ok(found),
            Pending::Begun(asked, begun) => {
                let mut found = Vec::new();
                for begun in begun {
                    found.push(self.finish(begun).await?);
                }
                sorted(&asked, &found)
            }
        }
    }

    /// A member's outputs for `inputs`.
    ///
    /// # Errors
    /// When there is no such member, the rows do not fit the model, or the device fails.
    pub async fn predict(&mut self, member: usize, inputs: &Inputs) -> Result<Vec<f32>> {
        self.member(member)?;
        let rows = rows_of(&self.model, inputs)? as usize;
        let (width, outputs) = (self.model.inputs(), self.model.outputs());
        let size = self.sizes.evaluation_rows.min(rows);
        let (store, device) = (self.store.clone(), self.device().clone());
        let element = Element::of(inputs);
        let plan = Plan::evaluation(self.plan, &self.model, self.recipe(), element, size, &device.hardware);
        let identity: Vec<u32> = (0..size as u32).collect();
        let mut buffers = self.buffers.clone();
        buffers.insert(Buffer::Order, store.numbers("row numbers", &identity)?);
        // Of classes it counts losses and hits too, of no use here.
        buffers.insert(Buffer::Targets, store.numbers("targets", &vec![0; size])?);
        buffers.insert(Buffer::Totals, device.storage("losses of the batches", 4)?);
        let mut found = Vec::with_capacity(rows * outputs);
        for first in (0..rows).step_by(self.sizes.evaluation_rows) {
            let count = self.sizes.evaluation_rows.min(rows - first);
            let part = inputs.part(first * width..(first + count) * width);
            buffers.insert(Buffer::Data, store.inputs("rows to predict", &part)?);
            let ready = store.prepare(&plan.dispatches, &buffers, &self.table)?;
            let entries = vec![Batch::of_rows(member, 0, count, 0)];
            submit(&device, &self.table, &ready, &[entries], None)?;
            let parts = device.read(&[(self.predicted(), 0..4 * (count * outputs) as u64)]).await?;
            found.extend(parts.iter().flat_map(|bytes| values::<f32>(bytes)));
        }
        Ok(found)
    }
}

impl Resident {
    /// The batches of an evaluation of `members`, `size` rows each but the last: those that have as many take part.
    fn evaluation_steps(&self, members: &[usize], size: usize) -> Vec<Entries> {
        let batch = |number: usize, member: usize| {
            let (start, rows) = self.rows_of(member);
            let first = number * size;
            let index = member * self.batches + number;
            (first < rows).then(|| Batch::of_rows(member, start + first, size.min(rows - first), index))
        };
        let steps =
            (0..self.batches).map(|number| members.iter().filter_map(|&member| batch(number, member)).collect());
        steps.filter(|entries: &Entries| !entries.is_empty()).collect()
    }
}

/// The parts that `asked` names, each with its members.
fn by_part(asked: &Asked) -> Vec<(Split, Vec<usize>)> {
    let mut parts: Vec<(Split, Vec<usize>)> = Vec::new();
    for (member, splits) in asked.iter().enumerate() {
        for &split in splits {
            match parts.iter_mut().find(|(part, _)| *part == split) {
                Some((_, members)) => members.push(member),
                None => parts.push((split, vec![member])),
            }
        }
    }
    parts
}

/// What was `found` by parts, in the order of `asked`.
fn sorted(asked: &Asked, found: &[Part]) -> Result<Found> {
    let of = |member: usize, split: Split| {
        let (_, members, found) = found.iter().find(|(part, ..)| *part == split)?;
        found.get(members.iter().position(|&of| of == member)?).cloned()
    };
    let missing = |split: Split| Error::Data(format!("the {} part was not evaluated", split.name()));
    let members = asked.iter().enumerate().map(|(member, splits)| {
        splits.iter().map(|&split| of(member, split).ok_or_else(|| missing(split))).collect::<Result<Vec<_>>>()
    });
    members.collect()
}
