//! The GPU engine: resident buffers, pipelines built once, submission in short portions, results read back by ticket. It trains a
//! pack: networks of one shape, which share every dispatch. A network alone is a pack of one.
//!
//! Everything here is `async` and takes no file and no clock but the one it is given, and no thread but rayon's, which does without
//! where there are none, so that it can run in a browser too. The blocking shells around it are [`super::Gpu`] and [`super::GpuPack`].

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use crate::backend::cpu::dropout::{Dropout, step_key};
use crate::backend::cpu::head::total_weight;
use crate::backend::gpu::device::{Device, Submitted, values};
use crate::backend::gpu::launch::stride;
use crate::backend::gpu::plan::{Buffer, Element, Plan, PlanName};
use crate::backend::gpu::store::{self, Store};
use crate::backend::gpu::submit::{Batch, Entries, MOST_MEMBERS, Table, submit};
use crate::backend::gpu::timer::{self, Timer};
use crate::backend::numbers::Numbers;
use crate::backend::pack::for_each_member;
use crate::backend::{About, Evaluating, KernelTime, Parts, Precision, Split, Steps, Ticket};
use crate::error::{Error, Remedy, Result};
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use evaluation::Pending;
pub use pace::Clock;
use pace::Pace;
use resident::Resident;
use sizes::{Sizes, work};

mod evaluation;
mod pace;
mod resident;
mod sizes;
mod stream;

pub(crate) use sizes::capacity;

/// Steps of the first submission after a wait.
const FIRST_STEPS: usize = 32;
/// Submissions under way at a time: one runs while the next is encoded.
const IN_FLIGHT: usize = 2;

/// The most rounds that the loops of an invocation may make on a software driver, all together: Mesa's llvmpipe ends later
/// ones early, with wrong results and no error.
const SOFTWARE_LOOP: usize = 65_535;

/// Models, their states and their data on a GPU.
pub struct Engine {
    store: Store,
    /// The first member's; the others differ in what is dropped.
    model: Mlp,
    members: Vec<Member>,
    plan: PlanName,
    reason: &'static str,
    sizes: Sizes,
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    table: Table,
    data: Parts<Resident>,
    /// Steps handed over since the last wait.
    handed: usize,
    in_flight: VecDeque<Flight>,
    pace: Pace,
    /// How many of the last submissions in flight are evaluations.
    evaluations_in_flight: usize,
    evaluating: Evaluating<Pending>,
    /// The parameters that the last evaluation is of, and the steps of each member before it.
    evaluated: (BTreeMap<Buffer, wgpu::Buffer>, Vec<u64>),
}

/// A submission under way.
struct Flight {
    submitted: Submitted,
    /// Steps of the member that takes most; none of an evaluation.
    steps: usize,
    /// When it was handed over.
    handed: Duration,
}

/// One of the networks of a pack.
struct Member {
    recipe: Recipe,
    /// Steps taken.
    step: u64,
}

impl Member {
    /// The rows of `steps`, as the device counts them, and the entries of this member, whose number this is, and whose rows begin at
    /// such a place of a submission.
    fn run<'a>(
        &self,
        resident: &Resident,
        (number, first): (usize, usize),
        steps: Steps<'a>,
    ) -> Result<(Cow<'a, [u32]>, Vec<Batch>)> {
        let Self { recipe, step: taken } = self;
        let batch_size = recipe.batch_size;
        steps.check(resident.rows_of(number).1, batch_size)?;
        let order: Cow<'a, [u32]> = match &resident.lists {
            None => Cow::Borrowed(steps.order),
            Some(lists) => steps.order.iter().map(|&row| lists.rows[number][row as usize]).collect(),
        };
        let weights = resident.weights.as_deref();
        let batch = |(index, (rows, rate)): (usize, (&[u32], f32))| Batch {
            numbers: Numbers::new(&recipe.optimizer, rate, taken + index as u64 + 1),
            step_key: step_key(recipe.seed, taken + index as u64 + 1),
            divisor: total_weight(weights, rows),
            smoothing: recipe.label_smoothing as f32,
            ..Batch::of_rows(number, first + index * batch_size, rows.len(), 0)
        };
        let own = Steps { order: &order, rates: steps.rates };
        let run = own.batches(batch_size).enumerate().map(batch).collect();
        Ok((order, run))
    }
}

impl Engine {
    /// An engine that trains networks on the device of `store`, each by its recipe, all parameters 0. They are of one shape:
    /// `members` are their models and recipes, and [`Mlp::same_shape`] and [`Recipe::packs_with`] hold for any two. By `clock`
    /// submissions are made as long as they should be; results do not depend on it.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the buffer that the adapter cannot hold.
    /// [`Error::Usage`] when they cannot be one pack, or not be run by the plan `wanted`; without one, the best is taken.
    pub async fn new(
        store: Store,
        members: &[(&Mlp, &Recipe)],
        wanted: Option<PlanName>,
        clock: Clock,
    ) -> Result<Self> {
        let Some(&(model, recipe)) = members.first() else {
            return Err(Error::Usage("a pack has no members".into()));
        };
        if members.len() > MOST_MEMBERS {
            let count = members.len();
            return Err(Error::Usage(format!("a pack has {count} members, and at most {MOST_MEMBERS} fit")));
        }
        let fits = |(other, of): &(&Mlp, &Recipe)| model.same_shape(other) && recipe.packs_with(of);
        if let Some(other) = members.iter().position(|member| !fits(member)) {
            return Err(Error::Usage(format!("member {other} of a pack is of another shape than the first")));
        }
        let batch_size = recipe.batch_size;
        if batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        let device = store.device().clone();
        let hardware = &device.hardware;
        let (plan, reason) = PlanName::choose(model, recipe, hardware, wanted)?;
        let longest = (0..model.widths().len()).map(|index| model.width(index)).fold(batch_size, usize::max);
        if hardware.software && longest > SOFTWARE_LOOP {
            return Err(Error::Gpu(format!(
                "the software adapter {} may cut loops of more than {SOFTWARE_LOOP} rounds, and the batch or a layer is {longest} \
                 long",
                device.info.name
            ))
            .advise(&[Remedy::Cpu]));
        }
        let sized = sizes::check(&device, plan, model, recipe, members.len())?;
        let sizes = Sizes::new(&device, model, batch_size, members.len());
        let mut buffers = BTreeMap::new();
        for (buffer, (name, bytes)) in sized {
            let remedies = [Remedy::SmallerBatch, Remedy::SmallerLayers, Remedy::Cpu];
            buffers.insert(buffer, device.storage(&name, bytes).map_err(|error| error.advise(&remedies))?);
        }
        if let Some(columns) = buffers.get(&Buffer::Columns) {
            device.queue.write_buffer(columns, 0, bytemuck::cast_slice(&model.front().embedded));
        }
        if let Some(norms) = buffers.get(&Buffer::ClipNorms) {
            let norm = |(_, recipe): &(&Mlp, &Recipe)| recipe.optimizer.clip_norm.unwrap_or(f64::INFINITY) as f32;
            let bytes: Vec<f32> = members.iter().map(norm).collect();
            device.queue.write_buffer(norms, 0, bytemuck::cast_slice(&bytes));
        }
        for layer in 0..model.layers().len() {
            let shares: Vec<f64> = members
                .iter()
                .map(|(model, _)| match layer.checked_sub(1) {
                    None => model.input_dropout(),
                    Some(index) => model.layers()[index].dropout,
                })
                .collect();
            if shares.iter().any(|&share| share > 0.0) {
                buffers.insert(Buffer::Drops(layer), device.uniform("shares to drop", &drops(&shares))?);
            }
        }
        let table = Table::new(&device, members.len())?;
        let mut evaluated = BTreeMap::new();
        for buffer in [Buffer::Parameters, Buffer::Slots] {
            if let Some(of) = buffers.get(&buffer) {
                evaluated.insert(buffer, device.storage("copy of the state", of.size())?);
            }
        }
        Ok(Self {
            store,
            model: model.clone(),
            members: members.iter().map(|&(_, recipe)| Member { recipe: recipe.clone(), step: 0 }).collect(),
            plan,
            reason,
            sizes,
            buffers,
            table,
            data: Parts::default(),
            handed: 0,
            in_flight: VecDeque::new(),
            pace: Pace::new(clock),
            evaluations_in_flight: 0,
            evaluating: Evaluating::default(),
            evaluated: (evaluated, vec![0; members.len()]),
        })
    }

    /// The device.
    pub(super) fn device(&self) -> &Device {
        self.store.device()
    }

    /// The time by the engine's clock.
    pub(super) fn now(&self) -> Duration {
        self.pace.now()
    }

    /// The first member's: what is structure is the same in all.
    fn recipe(&self) -> &Recipe {
        &self.members[0].recipe
    }

    /// How many networks there are.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Member number `member`.
    fn member(&self, member: usize) -> Result<&Member> {
        let count = self.members.len();
        self.members.get(member).ok_or_else(|| Error::Data(format!("there is no member {member} in a pack of {count}")))
    }

    /// What [`crate::backend::Backend::about`] tells.
    pub fn about(&self) -> About {
        let train = self.data.get(Split::Train).ok();
        let Device { info, hardware, .. } = self.device();
        let own = self.buffers.values().chain([self.table.buffer()]).chain(self.evaluated.0.values());
        let own = own.map(wgpu::Buffer::size).sum::<u64>();
        let streamed =
            |(split, resident): (Split, &Resident)| resident.streamed().map(|why| store::streamed(split, why));
        About {
            name: "gpu",
            device: format!("{} ({}{})", info.name, info.backend, if hardware.software { ", software" } else { "" }),
            plan: self.plan.name(),
            plan_reason: self.reason,
            precision: self.precision(),
            dispatches: train.map(|resident| resident.passes().step.len()),
            bytes: own + self.data.iter().map(Resident::bytes).sum::<u64>(),
            streamed: self.data.each().filter_map(streamed).collect(),
        }
    }

    /// What the products of a step are computed in, also before there are data.
    fn precision(&self) -> Precision {
        if let Some(step) = self.data.get(Split::Train).ok().and_then(|part| part.plan.as_ref()) {
            return step.precision();
        }
        let (recipe, hardware) = (self.recipe(), &self.device().hardware);
        Plan::step(self.plan, &self.model, recipe, Element::F32, recipe.batch_size, hardware).precision()
    }

    /// Hands over the first of each member's `steps`: how many of the member that has most. Those without steps do nothing.
    ///
    /// # Errors
    /// When nothing was uploaded, a row is not there, or the device fails.
    pub async fn train(&mut self, steps: &[Steps<'_>]) -> Result<usize> {
        self.settle().await?;
        let (entries, taken) = self.portion(steps, usize::MAX)?;
        if !entries.is_empty() {
            let passes = self.data.get(Split::Train)?.passes();
            let handed = self.pace.now();
            let submitted = submit(self.device(), &self.table, passes.steps(), &entries, None)?;
            self.in_flight.push_back(Flight { submitted, steps: taken, handed });
            self.evaluations_in_flight = 0;
            self.wait_until(IN_FLIGHT).await?;
        }
        Ok(taken)
    }

    /// The entries of each step of the next submission, at most `most`, and the steps that they are. Their orders are on the device
    /// then, and for [`PlanName::Resident`] their numbers.
    fn portion<'a>(&mut self, steps: &[Steps<'a>], most: usize) -> Result<(Vec<Entries>, usize)> {
        if steps.len() != self.members.len() {
            let (lists, members) = (steps.len(), self.members.len());
            return Err(Error::Data(format!("steps of {lists} members for {members}")));
        }
        self.data.get_mut(Split::Train)?.turn();
        let resident = self.data.get(Split::Train)?;
        let batch_size = self.recipe().batch_size;
        let busy = |(_, steps): &(usize, Steps<'a>)| !steps.rates.is_empty() || !steps.order.is_empty();
        let busy: Vec<(usize, Steps<'a>)> = steps.iter().copied().enumerate().filter(busy).collect();
        let looks_ahead = !resident.passes().lead.is_empty();
        let slots = self.table.steps - usize::from(looks_ahead);
        let room = (resident.room() / batch_size / busy.len().max(1)).min(slots);
        // Before any was timed, as a slow device would take.
        let flops = 6.0 * self.model.parameters() as f64 * (batch_size * busy.len().max(1)) as f64;
        let timed = self.pace.most().unwrap_or((work(self.device()) / flops) as usize);
        let most = timed.clamp(1, most).min(room);
        let rounds = if self.device().hardware.software { SOFTWARE_LOOP } else { usize::MAX };
        let most = most.min(self.plan.most_steps(&self.model, batch_size, rounds).unwrap_or(usize::MAX));
        // The device starts on a short portion. Each is little longer than the one before, during which it is encoded.
        let most = (self.handed / 4).max(FIRST_STEPS).min(most);
        let mut places = 0;
        let place = |(member, steps): (usize, Steps<'a>)| {
            let (steps, first) = (steps.take(most, batch_size), places);
            places += steps.order.len();
            ((member, first), steps)
        };
        let busy: Vec<((usize, usize), Steps<'a>)> = busy.into_iter().map(place).collect();
        let members = &self.members;
        let make = |&(at, steps): &((usize, usize), Steps<'a>)| members[at.0].run(resident, at, steps);
        let runs = for_each_member(&busy, make);
        let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
        let (orders, runs): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        let device = self.device();
        resident.list(device, &orders)?;
        let longest = runs.iter().map(Vec::len).max().unwrap_or(0);
        let entries = match self.buffers.get(&Buffer::Steps) {
            Some(numbers) => {
                device.write(numbers, runs.iter().map(Vec::as_slice))?;
                let mut index = 0;
                let run = |run: &Vec<Batch>| {
                    index += run.len();
                    Some(Batch::of_rows(run.first()?.member as usize, 0, run.len(), index - run.len()))
                };
                let entries: Entries = runs.iter().filter_map(run).collect();
                [entries].into_iter().filter(|entries| !entries.is_empty()).collect()
            }
            None if looks_ahead => {
                // Step by step, and before the first.
                let of = |number: usize| {
                    let entry = |run: &Vec<Batch>| {
                        let index = run.get(number).map_or(0, |next| next.rows);
                        let batch = match number.checked_sub(1) {
                            None => Batch { rows: 0, ..*run.first()? },
                            Some(at) => *run.get(at)?,
                        };
                        Some(Batch { index, ..batch })
                    };
                    runs.iter().filter_map(entry).collect()
                };
                (0..longest + usize::from(longest > 0)).map(of).collect()
            }
            None => {
                let of = |number: usize| {
                    let mut entries = Entries::with_capacity(runs.len());
                    entries.extend(runs.iter().filter_map(|run| run.get(number)));
                    entries
                };
                (0..longest).map(of).collect()
            }
        };
        for run in &runs {
            if let Some(first) = run.first() {
                self.members[first.member as usize].step += run.len() as u64;
            }
        }
        self.handed += longest;
        Ok((entries, longest))
    }

    /// What [`crate::backend::Measure::profile`] tells of the steps of the first member.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn profile(&mut self, mut steps: Steps<'_>) -> Result<Option<Vec<KernelTime>>> {
        self.settle().await?;
        self.synchronize().await?;
        let Some(mut timer) = Timer::new(self.device())? else { return Ok(None) };
        let batch_size = self.recipe().batch_size;
        let mut all = vec![Steps { order: &[], rates: &[] }; self.members.len()];
        while !steps.rates.is_empty() {
            let passes = self.data.get(Split::Train)?.passes();
            let most = (timer::PASSES - passes.lead.len()) / passes.step.len();
            all[0] = steps;
            let (entries, done) = self.portion(&all, most)?;
            timer.run(self.device(), &self.table, self.data.get(Split::Train)?.passes().steps(), &entries).await?;
            let rows = (done * batch_size).min(steps.order.len());
            steps = Steps { order: &steps.order[rows..], rates: &steps.rates[done..] };
        }
        Ok(Some(timer.times))
    }

    /// Waits until no more than `most` submissions are under way.
    async fn wait_until(&mut self, most: usize) -> Result<()> {
        while self.in_flight.len() > most
            && let Some(Flight { submitted, steps, handed }) = self.in_flight.pop_front()
        {
            self.device().wait(submitted).await?;
            self.pace.done(steps, handed);
        }
        self.evaluations_in_flight = self.evaluations_in_flight.min(self.in_flight.len());
        self.device().check("running kernels")
    }

    /// Waits until all is done.
    async fn synchronize(&mut self) -> Result<()> {
        self.handed = 0;
        self.wait_until(0).await
    }

    /// Waits until the steps handed over are done; an evaluation may still be under way.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn wait(&mut self) -> Result<()> {
        self.handed = 0;
        self.wait_until(self.evaluations_in_flight).await
    }

    /// The states of these members now, or as they were when the last evaluation was handed over.
    ///
    /// # Errors
    /// When there is no such member, they are not kept any more, or the device fails.
    pub async fn states(&mut self, members: Range<usize>, at: Option<Ticket>) -> Result<Vec<State>> {
        let Some(last) = members.clone().last() else { return Ok(Vec::new()) };
        self.member(last)?;
        let buffers = match at {
            Some(ticket) => {
                self.evaluating.check(ticket)?;
                &self.evaluated.0
            }
            None => &self.buffers,
        };
        let (count, slots) = (self.model.parameters(), self.recipe().optimizer.kind.slots());
        let start = |member: usize, values: usize| member * stride(count) * values;
        let own = |values: usize| {
            let (first, end) = (start(members.start, values), start(last, values) + values * count);
            4 * first as u64..4 * end as u64
        };
        let mut sources = vec![(&buffers[&Buffer::Parameters], own(1))];
        sources.extend(buffers.get(&Buffer::Slots).map(|buffer| (buffer, own(slots))));
        let mut parts = self.device().read(&sources).await?.into_iter().map(|bytes| values::<f32>(&bytes));
        let parameters = parts.next().unwrap_or_default();
        // On the device, a parameter's slots lie side by side.
        let together = parts.next().unwrap_or_default();
        let state = |(index, member): (usize, usize)| {
            let (first, slot_first) = (start(index, 1), start(index, slots));
            let own = together.get(slot_first..slot_first + slots * count).unwrap_or_default();
            let slot = |slot| own.iter().copied().skip(slot).step_by(slots).collect();
            State {
                parameters: parameters[first..first + count].to_vec(),
                slots: (0..slots).map(slot).collect(),
                step: if at.is_some() { self.evaluated.1[member] } else { self.members[member].step },
            }
        };
        Ok(members.enumerate().map(state).collect())
    }

    /// The state of one of them.
    ///
    /// # Errors
    /// As [`Engine::states`].
    pub async fn state(&mut self, member: usize, at: Option<Ticket>) -> Result<State> {
        let state = self.states(member..member + 1, at).await?.pop();
        state.ok_or_else(|| Error::Data(format!("the state of member {member} was not read")))
    }

    /// Replaces a member's state.
    ///
    /// # Errors
    /// When there is no such member, it is of another model or optimizer, or the device fails.
    pub async fn set_state(&mut self, member: usize, state: &State) -> Result<()> {
        self.member(member)?;
        self.settle().await?;
        let kind = self.recipe().optimizer.kind;
        state.check(&self.model, kind)?;
        let start = 4 * (member * stride(self.model.parameters())) as u64;
        let buffer = &self.buffers[&Buffer::Parameters];
        self.device().queue.write_buffer(buffer, start, bytemuck::cast_slice(&state.parameters));
        if let Some(buffer) = self.buffers.get(&Buffer::Slots) {
            let together = |at| state.slots.iter().map(move |slot: &Vec<f32>| slot[at]);
            let together: Vec<f32> = (0..state.parameters.len()).flat_map(together).collect();
            let start = start * kind.slots() as u64;
            self.device().queue.write_buffer(buffer, start, bytemuck::cast_slice(&together));
        }
        self.members[member].step = state.step;
        self.device().check("writing the state")
    }

    /// What tries the ways of a training step: its plan, the buffers and a batch that trains nothing.
    ///
    /// # Errors
    /// When nothing was uploaded.
    pub(super) fn trial(&self) -> Result<Trial<'_>> {
        let resident = self.data.get(Split::Train)?;
        let rows = self.recipe().batch_size.min(resident.rows);
        let order: Vec<u32> = (0..rows as u32).collect();
        // The same rows again for what a step makes of the next one, where there is room: only a whole batch has a next one.
        let leads = resident.plan.as_ref().is_some_and(|plan| !plan.lead.is_empty());
        let has_next = leads && rows == self.recipe().batch_size && resident.room() >= 2 * rows;
        let index = if has_next { rows } else { 0 };
        resident.list(self.device(), &vec![order.into(); 1 + usize::from(index > 0)])?;
        let batch = Batch::of_rows(0, 0, rows, index);
        // A run of one batch, where a dispatch does runs.
        let entry = match self.buffers.get(&Buffer::Steps) {
            Some(numbers) => {
                self.device().queue.write_buffer(numbers, 0, bytemuck::bytes_of(&batch));
                Batch::of_rows(0, 0, 1, 0)
            }
            None => batch,
        };
        Ok(Trial {
            plan: resident.plan.as_ref(),
            buffers: &resident.passes().buffers,
            table: &self.table,
            lead: vec![Batch { rows: 0, index: rows as u32, ..batch }],
            entries: vec![entry],
            store: &self.store,
        })
    }

    /// The store, and the table of batches.
    pub(super) fn table(&self) -> (&Store, &Table) {
        (&self.store, &self.table)
    }
}

/// A training step to be tried.
pub(super) struct Trial<'a> {
    pub(super) plan: Option<&'a Plan>,
    pub(super) buffers: &'a BTreeMap<Buffer, wgpu::Buffer>,
    pub(super) table: &'a Table,
    /// What comes before it where the plan has a lead.
    pub(super) lead: Entries,
    pub(super) entries: Entries,
    pub(super) store: &'a Store,
}

/// What each member drops of a layer, `shares` of its outputs, as the shaders' `drops`.
pub(crate) fn drops(shares: &[f64]) -> Vec<u8> {
    let drop = |&share: &f64| {
        let Dropout { threshold, scale, .. } = Dropout::new(0, 0, 0, share);
        [threshold, scale.to_bits(), ((1.0 - share) as f32).to_bits(), 0]
    };
    let mut drops: Vec<[u32; 4]> = shares.iter().map(drop).collect();
    drops.resize(MOST_MEMBERS, [0; 4]);
    bytemuck::cast_slice(&drops).to_vec()
}
