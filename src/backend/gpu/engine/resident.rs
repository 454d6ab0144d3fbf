//! Parts of a data set on the device, and whose rows they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use super::stream::{Stream, Window};
use crate::backend::Split;
use crate::backend::fit::{self, check_samples, row_weights};
use crate::backend::gpu::device::Device;
use crate::backend::gpu::plan::{Buffer, Dispatch, Element, Plan};
use crate::backend::gpu::store::Part;
use crate::backend::gpu::submit::{Entries, Ready, Work};
use crate::data::Samples;
use crate::error::{Error, Result};

/// Bytes of the orders of a submission, at most, unless one batch of each member takes more.
const ORDER_BYTES: usize = 64 << 20;

/// A part of a data set, and what runs over it.
pub(super) struct Resident {
    pub(super) rows: usize,
    place: Place,
    samples: Arc<Samples>,
    /// Of the training part: the weights of the rows in the loss, where they differ.
    pub(super) weights: Option<Vec<f32>>,
    /// The rows of each member, where it does not have all.
    pub(super) lists: Option<Lists>,
    /// Where the rows of a submission are listed. Of rows that are streamed it lists the places of a window.
    pub(super) order: wgpu::Buffer,
    pub(super) totals: wgpu::Buffer,
    /// Of an evaluation of the member that has most.
    pub(super) batches: usize,
    /// Of the training part.
    pub(super) plan: Option<Plan>,
    /// What runs over all rows; of rows that are streamed over each of the windows.
    pub(super) passes: Vec<Passes>,
    /// Which of them has its turn.
    turn: usize,
}

/// Where rows are.
enum Place {
    Whole { part: Arc<Part>, weights: Option<wgpu::Buffer> },
    Streamed { stream: Stream, windows: [Window; 2] },
}

impl Place {
    fn element(&self) -> Element {
        match self {
            Self::Whole { part, .. } => part.element,
            Self::Streamed { stream, .. } => stream.element(),
        }
    }

    /// The buffers that have rows: all of them, or those of a submission in turn.
    fn buffers(&self) -> Vec<Vec<(Buffer, wgpu::Buffer)>> {
        let of = |data: &wgpu::Buffer, targets: &wgpu::Buffer, weights: &Option<wgpu::Buffer>| {
            let weights = weights.iter().map(|weights| (Buffer::Weights, weights.clone()));
            [(Buffer::Data, data.clone()), (Buffer::Targets, targets.clone())].into_iter().chain(weights).collect()
        };
        match self {
            Self::Whole { part, weights } => vec![of(&part.data, &part.targets, weights)],
            Self::Streamed { windows, .. } => {
                windows.iter().map(|window| of(&window.data, &window.targets, &window.weights)).collect()
            }
        }
    }
}

/// What runs over buffers of rows.
pub(super) struct Passes {
    pub(super) buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// What [`Plan::lead`] says.
    pub(super) lead: Vec<Ready>,
    pub(super) step: Vec<Ready>,
    pub(super) evaluation: Vec<Ready>,
}

impl Passes {
    /// What runs for the steps of a submission.
    pub(super) fn steps(&self) -> Work<'_> {
        Work { lead: &self.lead, each: &self.step }
    }
}

/// Numbers of rows, for each member.
pub(super) struct Lists {
    pub(super) rows: Vec<Vec<u32>>,
    /// Where each begins among all, one after the other.
    starts: Vec<usize>,
    /// All of them, where the rows that they count are on the device.
    buffer: Option<wgpu::Buffer>,
}

impl Resident {
    /// Bytes of its buffers.
    pub(super) fn bytes(&self) -> u64 {
        let of = |buffers: &[Option<&wgpu::Buffer>]| buffers.iter().flatten().map(|buffer| buffer.size()).sum::<u64>();
        let place = match &self.place {
            Place::Whole { part, weights } => part.bytes() + of(&[weights.as_ref()]),
            Place::Streamed { windows, .. } => {
                let of = |window: &Window| of(&[Some(&window.data), Some(&window.targets), window.weights.as_ref()]);
                windows.iter().map(of).sum()
            }
        };
        let lists = self.lists.as_ref().and_then(|lists| lists.buffer.as_ref());
        place + of(&[Some(&self.order), Some(&self.totals), lists])
    }

    /// Why its rows are streamed, in words, where they are.
    pub(super) fn streamed(&self) -> Option<&str> {
        match &self.place {
            Place::Whole { .. } => None,
            Place::Streamed { stream, .. } => Some(&stream.why),
        }
    }

    /// Rows that a submission has room for.
    pub(super) fn room(&self) -> usize {
        match &self.place {
            Place::Whole { .. } => self.order.size() as usize / 4,
            Place::Streamed { stream, .. } => stream.rows,
        }
    }

    /// What runs over the rows that were handed over last.
    pub(super) fn passes(&self) -> &Passes {
        &self.passes[self.turn]
    }

    /// The next submission gets the buffers that the last one does not have.
    pub(super) fn turn(&mut self) {
        self.turn = (self.turn + 1) % self.passes.len();
    }

    /// Hands over which rows, or the rows themselves, the next submission is of: those of `lists`, one after the other.
    pub(super) fn list(&self, device: &Device, lists: &[Cow<'_, [u32]>]) -> Result<()> {
        match &self.place {
            Place::Whole { .. } => device.write(&self.order, lists.iter().map(AsRef::as_ref)),
            Place::Streamed { stream, windows } => {
                stream.fill(device, &windows[self.turn], &lists.concat(), self.weights.as_deref())
            }
        }
    }

    /// Where a member's rows begin in what an evaluation counts, and how many they are.
    pub(super) fn rows_of(&self, member: usize) -> (usize, usize) {
        match &self.lists {
            None => (0, self.rows),
            Some(lists) => (lists.starts[member], lists.rows[member].len()),
        }
    }

    /// The numbers of the rows that the entries of `steps` of an evaluation are of, one after the other, and these steps as they count
    /// them.
    pub(super) fn gathered(&self, steps: &[Entries]) -> (Vec<u32>, Vec<Entries>) {
        let (mut numbers, mut steps) = (Vec::new(), steps.to_vec());
        for entries in &mut steps {
            let start = numbers.len();
            for entry in entries {
                let (first, rows) = (entry.first as usize, entry.rows as usize);
                entry.first = numbers.len() as u32;
                match &self.lists {
                    Some(lists) => {
                        let member = entry.member as usize;
                        numbers.extend(&lists.rows[member][first - lists.starts[member]..][..rows]);
                    }
                    None if numbers.len() == start => numbers.extend(first as u32..(first + rows) as u32),
                    // All members have the same rows.
                    None => entry.first = start as u32,
                }
            }
        }
        (numbers, steps)
    }

    /// The values that a member's rows should give.
    pub(super) fn values_of(&self, member: usize, outputs: usize) -> Cow<'_, [f32]> {
        match &self.lists {
            None => Cow::Borrowed(self.samples.values()),
            Some(lists) => {
                let values = self.samples.values();
                let of = |&row: &u32| &values[row as usize * outputs..(row as usize + 1) * outputs];
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
        let place = self.place(split, samples, weights.as_deref())?;
        let device = self.device();
        let order = match &place {
            Place::Whole { part, .. } => {
                // A submission's part of the orders.
                let (batch_size, members) = (self.recipe().batch_size, self.members.len());
                let allowed = (ORDER_BYTES / 4 / batch_size / members).clamp(1, self.table.steps);
                let rows = part.rows.div_ceil(batch_size).clamp(1, allowed) * batch_size * members;
                device.storage("order of the rows", 4 * rows as u64)?
            }
            Place::Streamed { stream, .. } => {
                self.store.numbers("order of the rows", &(0..stream.rows as u32).collect::<Vec<_>>())?
            }
        };
        let (batch_size, hardware) = (self.recipe().batch_size, &device.hardware);
        let plan = (split == Split::Train)
            .then(|| Plan::step(self.plan, &self.model, self.recipe(), place.element(), batch_size, hardware))
            .map(|plan| warper.iter().fold(plan, Plan::augmenting));
        let mut passes = Vec::new();
        for rows in place.buffers() {
            let mut buffers = self.buffers.clone();
            buffers.extend(rows);
            buffers.insert(Buffer::Order, order.clone());
            let prepared = |dispatches: &[Dispatch]| self.store.prepare(dispatches, &buffers, &self.table);
            let (lead, step) = match &plan {
                Some(plan) => (prepared(&plan.lead)?, prepared(&plan.dispatches)?),
                None => (Vec::new(), Vec::new()),
            };
            passes.push(Passes { buffers, lead, step, evaluation: Vec::new() });
        }
        let rows = samples.len();
        let (samples, totals) = (Arc::clone(samples), device.storage("losses of the batches", 4)?);
        let mut resident =
            Resident { rows, place, samples, weights, lists: None, order, totals, batches: 0, plan, passes, turn: 0 };
        self.prepare_evaluation(&mut resident)?;
        self.data.set(split, resident);
        Ok(())
    }

    /// Where the rows of `samples` are to be, with their `weights` in the loss: on the device if they fit.
    fn place(&self, split: Split, samples: &Arc<Samples>, weights: Option<&[f32]>) -> Result<Place> {
        let name = split.name();
        let whole = || -> Result<Place> {
            let weights =
                weights.map(|weights| self.store.numbers("weights of the rows", bytemuck::cast_slice(weights)));
            Ok(Place::Whole { part: self.store.upload(name, samples)?, weights: weights.transpose()? })
        };
        let why = match self.store.refusal(samples) {
            Some(why) => why,
            None => match whole() {
                Ok(place) => return Ok(place),
                // No driver tells how much of its memory others have.
                Err(error) => error.to_string(),
            },
        };
        let stream = Stream::new(self.device(), samples, why, self.sizes.rows);
        let window = || stream.window(&self.store, name, weights.is_some());
        let windows = [window()?, window()?];
        Ok(Place::Streamed { stream, windows })
    }

    /// Makes what evaluates `resident`: the rows that its lists have, or all of them.
    fn prepare_evaluation(&self, resident: &mut Resident) -> Result<()> {
        let device = self.device();
        let most = (0..self.members.len()).map(|member| resident.rows_of(member).1).max().unwrap_or(0);
        let size = self.sizes.evaluation_rows;
        resident.batches = most.div_ceil(size);
        resident.totals =
            device.storage("losses of the batches", 4 * (self.members.len() * resident.batches) as u64)?;
        let order = match (&resident.place, &resident.lists) {
            (Place::Whole { .. }, Some(Lists { buffer: Some(buffer), .. })) => buffer,
            (Place::Whole { part, .. }, _) => &part.identity,
            (Place::Streamed { .. }, _) => &resident.order,
        };
        let element = resident.place.element();
        let plan = Plan::evaluation(self.plan, &self.model, self.recipe(), element, size, &device.hardware);
        for passes in &mut resident.passes {
            let mut buffers = passes.buffers.clone();
            buffers.extend([(Buffer::Order, order.clone()), (Buffer::Totals, resident.totals.clone())]);
            passes.evaluation = self.store.prepare(&plan.dispatches, &buffers, &self.table)?;
        }
        Ok(())
    }

    /// Gives each member rows of its own of `split`, by their numbers in the samples that were uploaded: what it is evaluated on, and
    /// of the training part what the numbers of its orders count.
    ///
    /// # Errors
    /// When nothing was uploaded, a member has no list or an empty one, a row is not there, or the device fails.
    pub async fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()> {
        self.settle().await?;
        let mut resident = self.data.take(split)?;
        let assigned = self.list(split, &mut resident, rows);
        self.data.set(split, resident);
        assigned
    }

    fn list(&self, split: Split, resident: &mut Resident, rows: &[Vec<u32>]) -> Result<()> {
        let (lists, members, count) = (rows.len(), self.members.len(), resident.rows);
        if lists != members {
            return Err(Error::Data(format!("{lists} lists of rows for {members} members")));
        }
        if let Some(member) = rows.iter().position(Vec::is_empty) {
            return Err(Error::Data(format!("member {member} has no rows of the {} part", split.name())));
        }
        if let Some(row) = rows.iter().flatten().find(|&&row| row as usize >= count) {
            return Err(Error::Data(format!("row {row} is not in a {} part of {count} rows", split.name())));
        }
        let whole = matches!(resident.place, Place::Whole { .. });
        let buffer = whole.then(|| self.store.numbers("rows of the members", &rows.concat())).transpose()?;
        let starts = rows.iter().scan(0, |next, rows| Some(std::mem::replace(next, *next + rows.len())));
        resident.lists = Some(Lists { rows: rows.to_vec(), starts: starts.collect(), buffer });
        self.prepare_evaluation(resident)
    }
}
