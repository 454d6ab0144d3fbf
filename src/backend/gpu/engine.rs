//! The GPU engine: resident buffers, pipelines built once, submission in short portions, results read back by ticket.
//!
//! Everything here is `async` and takes no clock, no thread and no file, so that it can run in a browser too. The blocking shell
//! around it is [`super::Gpu`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::backend::cpu::dropout::step_key;
use crate::backend::cpu::head::{total_weight, values_evaluation};
use crate::backend::cpu::squares::BLOCK;
use crate::backend::fit::{self, check_samples, row_weights, rows_of};
use crate::backend::gpu::device::{Device, Read, Submitted, values};
use crate::backend::gpu::plan::{Buffer, Dispatch, Element, Plan, PlanName};
use crate::backend::gpu::store::{Part, Store};
use crate::backend::gpu::submit::{BATCH_STRIDE, Batch, Ready, submit};
use crate::backend::gpu::timer::{self, Timer};
use crate::backend::numbers::Numbers;
use crate::backend::{About, Evaluating, KernelTime, Parts, Precision, Split, Steps, Ticket};
use crate::data::{Inputs, View};
use crate::error::{Error, Remedy, Result};
use crate::metrics::Evaluation;
use crate::model::{Head, Mlp};
use crate::recipe::Recipe;
use crate::state::State;

/// Batches of the table, so at most so many steps a submission.
pub(super) const MAX_STEPS: usize = 1024;
/// Steps of the first submission after a wait.
const FIRST_STEPS: usize = 32;
/// Submissions under way at a time: one runs while the next is encoded.
const IN_FLIGHT: usize = 2;
/// Rows evaluated at a time, at most.
const EVALUATION_ROWS: usize = 4096;
/// Bytes of one activation buffer at most, as far as evaluation decides it.
const EVALUATION_BYTES: usize = 64 << 20;
/// Floating-point operations of one submission, so that it ends long before a desktop's watchdog (2 s) does: half a
/// second on the slowest hardware worth the name, and on a software driver.
const HARDWARE_WORK: f64 = 2e10;
const SOFTWARE_WORK: f64 = 5e8;

/// The longest loop of a kernel on a software driver: Mesa's llvmpipe ends longer ones early, with wrong results and no
/// error.
const SOFTWARE_LOOP: usize = 65_535;

/// A model, its state and its data on a GPU.
pub struct Engine {
    store: Store,
    model: Mlp,
    recipe: Recipe,
    plan: PlanName,
    reason: &'static str,
    evaluation_rows: usize,
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    batches: wgpu::Buffer,
    data: Parts<Resident>,
    /// Steps taken.
    step: u64,
    /// Steps handed over since the last wait.
    handed: usize,
    in_flight: VecDeque<Submitted>,
    /// How many of the last submissions in flight are evaluations.
    evaluations_in_flight: usize,
    evaluating: Evaluating<Pending>,
    /// The parameters that the last evaluation is of, and the steps before it.
    evaluated: (BTreeMap<Buffer, wgpu::Buffer>, u64),
}

/// A part of a data set, and what runs over it.
struct Resident {
    part: Arc<Part>,
    /// Rows that are evaluated.
    rows: usize,
    /// The values that these should give, `rows x outputs`; none of classes.
    values: Arc<Vec<f32>>,
    /// Of the training part: the weights of the rows in the loss, here and on the device, where they differ.
    weights: Option<(Vec<f32>, wgpu::Buffer)>,
    order: wgpu::Buffer,
    totals: wgpu::Buffer,
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// Of the training part.
    plan: Option<Plan>,
    step: Vec<Ready>,
    evaluation: Vec<Ready>,
}

/// An evaluation: of a software driver to be done when it is collected, else under way.
enum Pending {
    Asked(Vec<Split>),
    Begun(Vec<Begun>),
    Done(Vec<Evaluation>),
}

/// An evaluation of one part that is under way.
struct Begun {
    /// Of classes losses and counts, of values the predictions, batch by batch.
    reads: Vec<Read>,
    /// The values that the rows should give.
    values: Arc<Vec<f32>>,
}

impl Engine {
    /// An engine that trains `model` by `recipe` on the device of `store`, all parameters 0.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the buffer that the adapter cannot hold.
    /// [`Error::Usage`] when the network cannot be run by the plan `wanted`; without one, the best is taken.
    pub async fn new(store: Store, model: Mlp, recipe: &Recipe, wanted: Option<PlanName>) -> Result<Self> {
        let batch_size = recipe.batch_size;
        if batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        let device = store.device().clone();
        let hardware = &device.hardware;
        let (plan, reason) = PlanName::choose(&model, recipe, hardware, wanted)?;
        let width = |index: usize| if index == 0 { model.layers()[0].inputs } else { model.widths()[index] };
        let longest = (0..model.widths().len()).map(width).fold(batch_size, usize::max);
        if hardware.software && longest > SOFTWARE_LOOP {
            return Err(Error::Gpu(format!(
                "the software adapter {} may cut loops of more than {SOFTWARE_LOOP} rounds, and the batch or a layer is {longest} \
                 long",
                device.info.name
            ))
            .advise(&[Remedy::Cpu]));
        }
        let widest = (0..model.widths().len()).map(width).max().unwrap_or(1);
        let flops = 2.0 * model.parameters() as f64;
        let rows_by_work = (work(&device) / flops) as usize;
        let evaluation_rows = EVALUATION_ROWS.min(EVALUATION_BYTES / 4 / widest).min(rows_by_work).max(64);
        let rows = batch_size.max(evaluation_rows);

        let step = Plan::step(plan, &model, recipe, Element::U8, batch_size, hardware);
        let evaluation = Plan::evaluation(plan, &model, recipe, Element::U8, evaluation_rows, hardware);
        let used: BTreeSet<Buffer> = step.buffers().chain(evaluation.buffers()).collect();
        let mut buffers = BTreeMap::new();
        for buffer in used {
            let (name, values) = match buffer {
                Buffer::Parameters => ("parameters".into(), model.parameters()),
                Buffer::Gradients => ("gradients".into(), model.parameters()),
                Buffer::Squares => ("squares of the gradients".into(), model.parameters().div_ceil(BLOCK)),
                Buffer::ClipFactor => ("factor of the gradients".into(), 1),
                Buffer::Rows => ("rows of a batch".into(), rows * model.inputs()),
                Buffer::Columns => ("embedded features".into(), model.front().embedded.len()),
                Buffer::Embedded => ("embedded rows".into(), rows * width(0)),
                Buffer::InputGradient => ("gradients at the inputs".into(), rows * width(0)),
                Buffer::Activations(index) => (format!("activations of layer {index}"), rows * width(index)),
                Buffer::Saved(index) => (format!("sums of layer {index}"), rows * model.widths()[index]),
                Buffer::Slots => ("optimizer's slots".into(), recipe.optimizer.kind.slots() * model.parameters()),
                Buffer::Deltas(index) => (format!("gradients at layer {index}"), rows * model.widths()[index + 1]),
                Buffer::Losses => ("losses".into(), rows),
                Buffer::Confusion => ("confusion matrix's counts".into(), model.classes() * model.classes()),
                Buffer::Unused => ("unused buffer".into(), 1),
                // Those of a data set.
                Buffer::Data | Buffer::Targets | Buffer::Weights | Buffer::Order | Buffer::Totals => continue,
            };
            let storage = device.storage(&name, 4 * values as u64)?;
            if buffer == Buffer::Columns {
                device.queue.write_buffer(&storage, 0, bytemuck::cast_slice(&model.front().embedded));
            }
            buffers.insert(buffer, storage);
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let batches = device.buffer("batches", BATCH_STRIDE * MAX_STEPS as u64, usage)?;
        let mut evaluated = BTreeMap::new();
        for buffer in [Buffer::Parameters, Buffer::Slots] {
            if let Some(of) = buffers.get(&buffer) {
                evaluated.insert(buffer, device.storage("copy of the state", of.size())?);
            }
        }
        Ok(Self {
            store,
            model,
            recipe: recipe.clone(),
            plan,
            reason,
            evaluation_rows,
            buffers,
            batches,
            data: Parts::default(),
            step: 0,
            handed: 0,
            in_flight: VecDeque::new(),
            evaluations_in_flight: 0,
            evaluating: Evaluating::default(),
            evaluated: (evaluated, 0),
        })
    }

    /// The device.
    pub(super) fn device(&self) -> &Device {
        self.store.device()
    }

    /// What [`crate::backend::Backend::about`] tells.
    pub fn about(&self) -> About {
        let train = self.data.get(Split::Train).ok();
        let Device { info, hardware, .. } = self.device();
        let own = self
            .buffers
            .values()
            .chain([&self.batches])
            .chain(self.evaluated.0.values())
            .map(wgpu::Buffer::size)
            .sum::<u64>();
        let part = |resident: &Resident| {
            let weights = resident.weights.as_ref().map_or(0, |(_, buffer)| buffer.size());
            resident.part.bytes() + resident.order.size() + resident.totals.size() + weights
        };
        About {
            name: "gpu",
            device: format!("{} ({}{})", info.name, info.backend, if hardware.software { ", software" } else { "" }),
            plan: self.plan.name(),
            plan_reason: self.reason,
            precision: train.and_then(|part| part.plan.as_ref()).map_or(Precision::F32, Plan::precision),
            dispatches: train.map(|resident| resident.step.len()),
            bytes: own + self.data.iter().map(part).sum::<u64>(),
        }
    }

    /// Makes `view` resident as `split`.
    ///
    /// # Errors
    /// When the rows do not fit the model or the device.
    pub async fn upload(&mut self, split: Split, view: &View) -> Result<()> {
        let samples = &view.samples;
        check_samples(&self.model, samples)?;
        let weights = row_weights(&self.model, &self.recipe, split, samples)?;
        let warper = fit::warper(&self.recipe, split, samples)?;
        let part = self.store.upload(split.name(), samples)?;
        let listed = view.rows.as_ref().map(|rows| self.store.numbers("numbers of the rows", rows)).transpose()?;
        let device = self.device();
        let weights = match weights {
            Some(weights) => {
                let buffer = self.store.numbers("weights of the rows", bytemuck::cast_slice(&weights))?;
                Some((weights, buffer))
            }
            None => None,
        };
        let batch_size = self.recipe.batch_size;
        let totals = view.len().div_ceil(self.evaluation_rows);
        let totals = device.storage("losses of the batches", 4 * totals as u64)?;
        let with = |order: &wgpu::Buffer| {
            let mut buffers = self.buffers.clone();
            buffers.extend([
                (Buffer::Data, part.data.clone()),
                (Buffer::Targets, part.targets.clone()),
                (Buffer::Order, order.clone()),
                (Buffer::Totals, totals.clone()),
            ]);
            buffers.extend(weights.iter().map(|(_, buffer)| (Buffer::Weights, buffer.clone())));
            buffers
        };
        // A submission's part of an order.
        let rows = part.rows.div_ceil(batch_size).clamp(1, MAX_STEPS) * batch_size;
        let order = device.storage("order of the rows", 4 * rows as u64)?;
        let hardware = &device.hardware;
        let plan = (split == Split::Train)
            .then(|| Plan::step(self.plan, &self.model, &self.recipe, part.element, batch_size, hardware))
            .map(|plan| warper.iter().fold(plan, Plan::augmenting));
        let buffers = with(&order);
        let step = plan.iter().map(|plan| self.store.prepare(plan, &buffers, &self.batches));
        let step = step.collect::<Result<Vec<_>>>()?.concat();
        let rows = self.evaluation_rows;
        let evaluation = Plan::evaluation(self.plan, &self.model, &self.recipe, part.element, rows, hardware);
        let evaluation =
            self.store.prepare(&evaluation, &with(listed.as_ref().unwrap_or(&part.identity)), &self.batches)?;
        let values = Arc::new(view.values().into_owned());
        self.data.set(
            split,
            Resident { part, rows: view.len(), values, weights, order, totals, buffers, plan, step, evaluation },
        );
        Ok(())
    }

    /// Hands over the first of `steps`: how many.
    ///
    /// # Errors
    /// When nothing was uploaded, a row is not there, or the device fails.
    pub async fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        self.settle().await?;
        let (batches, steps) = self.portion(steps, MAX_STEPS)?;
        if !batches.is_empty() {
            let resident = self.data.get(Split::Train)?;
            let submitted = submit(self.device(), &self.batches, &resident.step, &batches, None)?;
            self.in_flight.push_back(submitted);
            self.evaluations_in_flight = 0;
            self.wait_until(IN_FLIGHT).await?;
        }
        Ok(steps)
    }

    /// The batches of the next submission, at most `most`, and the steps that they are. Their order is on the device then.
    fn portion(&mut self, steps: Steps<'_>, most: usize) -> Result<(Vec<Batch>, usize)> {
        let resident = self.data.get(Split::Train)?;
        let batch_size = self.recipe.batch_size;
        let flops = 6.0 * self.model.parameters() as f64 * batch_size as f64;
        let room = resident.order.size() as usize / 4 / batch_size;
        let most = ((work(self.device()) / flops) as usize).clamp(1, most).min(room);
        // The device starts on a short portion while the next, as long as all before it, is encoded.
        let mut steps = steps.take(self.handed.max(FIRST_STEPS).min(most), batch_size);
        // The resident plan takes its batches from one run of rows, all at one rate.
        let one_run = self.plan == PlanName::Resident;
        if one_run && let Some(same) = steps.rates.iter().position(|rate| *rate != steps.rates[0]) {
            steps = steps.take(same, batch_size);
        }
        steps.check(resident.part.rows, batch_size)?;
        self.device().queue.write_buffer(&resident.order, 0, bytemuck::cast_slice(steps.order));
        let size = if one_run { steps.order.len().max(1) } else { batch_size };
        let (optimizer, seed, taken) = (&self.recipe.optimizer, self.recipe.seed, self.step);
        let weights = resident.weights.as_ref().map(|(weights, _)| &weights[..]);
        let batch = |(index, (rows, rate)): (usize, (&[u32], f32))| Batch {
            numbers: Numbers::new(optimizer, rate, taken + index as u64 + 1),
            step_key: step_key(seed, taken + index as u64 + 1),
            divisor: total_weight(weights, rows),
            ..Batch::of_rows(index * size, rows.len(), 0)
        };
        let batches = steps.batches(size).enumerate().map(batch).collect();
        self.handed += steps.rates.len();
        self.step += steps.rates.len() as u64;
        Ok((batches, steps.rates.len()))
    }

    /// What [`crate::backend::Measure::profile`] tells.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn profile(&mut self, mut steps: Steps<'_>) -> Result<Option<Vec<KernelTime>>> {
        self.settle().await?;
        self.synchronize().await?;
        let Some(mut timer) = Timer::new(self.device())? else { return Ok(None) };
        let batch_size = self.recipe.batch_size;
        while !steps.rates.is_empty() {
            let most = (timer::PASSES / self.data.get(Split::Train)?.step.len()).min(MAX_STEPS);
            let (batches, done) = self.portion(steps, most)?;
            timer.run(self.device(), &self.batches, &self.data.get(Split::Train)?.step, &batches).await?;
            let rows = (done * batch_size).min(steps.order.len());
            steps = Steps { order: &steps.order[rows..], rates: &steps.rates[done..] };
        }
        Ok(Some(timer.times))
    }

    /// Waits until no more than `most` submissions are under way.
    async fn wait_until(&mut self, most: usize) -> Result<()> {
        while self.in_flight.len() > most
            && let Some(submitted) = self.in_flight.pop_front()
        {
            self.device().wait(submitted).await?;
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

    /// Hands over the evaluation of `split`.
    fn begin(&mut self, split: Split) -> Result<Begun> {
        let resident = self.data.get(split)?;
        let values = Arc::clone(&resident.values);
        let rows = resident.rows;
        let starts = (0..rows).step_by(self.evaluation_rows);
        let batch = |(index, first)| Batch::of_rows(first, self.evaluation_rows.min(rows - first), index);
        let batches: Vec<Batch> = starts.enumerate().map(batch).collect();
        let device = self.device();
        let outputs = self.model.outputs();
        let (mut submitted, mut reads) = (Vec::new(), Vec::new());
        match self.model.head() {
            Head::Classes => {
                let flops = 2.0 * self.model.parameters() as f64 * self.evaluation_rows as f64;
                let most = ((work(device) / flops) as usize).clamp(1, MAX_STEPS);
                let confusion = &self.buffers[&Buffer::Confusion];
                let mut clear = Some(confusion);
                for batches in batches.chunks(most) {
                    submitted.push(submit(device, &self.batches, &resident.evaluation, batches, clear.take())?);
                }
                reads.push(device.begin_read(&[
                    (&resident.totals, 4 * batches.len() as u64),
                    (confusion, 4 * (outputs * outputs) as u64),
                ])?);
            }
            // Each batch's values lie where the next one's will.
            Head::Values => {
                for batch in batches {
                    let size = 4 * u64::from(batch.rows) * outputs as u64;
                    submitted.push(submit(device, &self.batches, &resident.evaluation, &[batch], None)?);
                    reads.push(device.begin_read(&[(self.predicted(), size)])?);
                }
            }
        }
        self.evaluations_in_flight += submitted.len();
        self.in_flight.extend(submitted);
        Ok(Begun { reads, values })
    }

    /// Where an evaluation leaves the outputs of a batch.
    fn predicted(&self) -> &wgpu::Buffer {
        &self.buffers[&Buffer::Deltas(self.model.layers().len() - 1)]
    }

    /// What an evaluation found.
    async fn finish(&self, Begun { reads, values: targets }: Begun) -> Result<Evaluation> {
        let mut parts = Vec::new();
        for read in reads {
            parts.extend(self.device().finish_read(read).await?);
        }
        if self.model.head() == Head::Values {
            let predicted: Vec<f32> = parts.iter().flat_map(|bytes| values::<f32>(bytes)).collect();
            return Ok(values_evaluation(self.recipe.loss, &predicted, &targets, self.model.outputs()));
        }
        let confusion = parts.pop().map_or_else(Vec::new, |bytes| values::<u32>(&bytes));
        let totals = parts.pop().map_or_else(Vec::new, |bytes| values::<f32>(&bytes));
        let confusion: Vec<u64> = confusion.into_iter().map(u64::from).collect();
        Ok(Evaluation {
            rows: confusion.iter().sum(),
            loss_sum: totals.into_iter().map(f64::from).sum(),
            confusion,
            ..Evaluation::empty(self.model.classes())
        })
    }

    /// Evaluates each of `splits` at once.
    async fn evaluate_now(&mut self, splits: &[Split]) -> Result<Vec<Evaluation>> {
        let mut found = Vec::new();
        for &split in splits {
            let begun = self.begin(split)?;
            self.synchronize().await?;
            found.push(self.finish(begun).await?);
        }
        Ok(found)
    }

    /// Hands over an evaluation.
    ///
    /// # Errors
    /// When a part was not uploaded, or the device fails.
    pub fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        for (buffer, copy) in &self.evaluated.0 {
            self.device().copy(&self.buffers[buffer], copy);
        }
        self.evaluated.1 = self.step;
        // Software drivers work on the caller's cores, Mesa's even before a submission returns: nothing would run ahead.
        let ahead = !self.device().hardware.software;
        let pending = if ahead {
            Pending::Begun(splits.iter().map(|&split| self.begin(split)).collect::<Result<_>>()?)
        } else {
            for &split in splits {
                self.data.get(split)?;
            }
            Pending::Asked(splits.to_vec())
        };
        self.device().check("encoding evaluations")?;
        Ok(self.evaluating.begin(pending, ahead))
    }

    /// The state is about to change: does the evaluation that was asked for in this one.
    async fn settle(&mut self) -> Result<()> {
        if let Some(Pending::Asked(splits)) = &self.evaluating.pending {
            let splits = splits.clone();
            self.evaluating.pending = Some(Pending::Done(self.evaluate_now(&splits).await?));
        }
        Ok(())
    }

    /// What the evaluation of `ticket` found.
    ///
    /// # Errors
    /// When a later one was handed over, or the device fails.
    pub async fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        match self.evaluating.take(ticket)? {
            Pending::Asked(splits) => self.evaluate_now(&splits).await,
            Pending::Done(found) => Ok(found),
            Pending::Begun(begun) => {
                let mut found = Vec::new();
                for begun in begun {
                    found.push(self.finish(begun).await?);
                }
                Ok(found)
            }
        }
    }

    /// Outputs for `inputs`.
    ///
    /// # Errors
    /// When the rows do not fit the model, or the device fails.
    pub async fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let rows = rows_of(&self.model, inputs)? as usize;
        let (width, outputs) = (self.model.inputs(), self.model.outputs());
        let size = self.evaluation_rows.min(rows);
        let (store, device) = (self.store.clone(), self.device().clone());
        let element = Element::of(inputs);
        let plan = Plan::evaluation(self.plan, &self.model, &self.recipe, element, size, &device.hardware);
        let identity: Vec<u32> = (0..size as u32).collect();
        let mut buffers = self.buffers.clone();
        buffers.insert(Buffer::Order, store.numbers("row numbers", &identity)?);
        // Of classes it counts losses and hits too, of no use here.
        buffers.insert(Buffer::Targets, store.numbers("targets", &vec![0; size])?);
        buffers.insert(Buffer::Totals, device.storage("losses of the batches", 4)?);
        let mut found = Vec::with_capacity(rows * outputs);
        for first in (0..rows).step_by(self.evaluation_rows) {
            let count = self.evaluation_rows.min(rows - first);
            let part = inputs.part(first * width..(first + count) * width);
            buffers.insert(Buffer::Data, store.inputs("rows to predict", &part)?);
            let ready = store.prepare(&plan, &buffers, &self.batches)?;
            let batch = Batch::of_rows(0, count, 0);
            submit(&device, &self.batches, &ready, &[batch], None)?;
            let parts = device.read(&[(self.predicted(), 4 * (count * outputs) as u64)]).await?;
            found.extend(parts.iter().flat_map(|bytes| values::<f32>(bytes)));
        }
        Ok(found)
    }

    /// The state now, or as it was when the last evaluation was handed over.
    ///
    /// # Errors
    /// When it is not kept any more, or the device fails.
    pub async fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        let (buffers, step) = match at {
            Some(ticket) => {
                self.evaluating.check(ticket)?;
                (&self.evaluated.0, self.evaluated.1)
            }
            None => (&self.buffers, self.step),
        };
        let (count, slots) = (self.model.parameters(), self.recipe.optimizer.kind.slots());
        let mut sources = vec![(&buffers[&Buffer::Parameters], 4 * count as u64)];
        sources.extend(buffers.get(&Buffer::Slots).map(|buffer| (buffer, 4 * (slots * count) as u64)));
        let mut parts = self.device().read(&sources).await?.into_iter().map(|bytes| values::<f32>(&bytes));
        let parameters = parts.next().unwrap_or_default();
        // On the device, a parameter's slots lie side by side.
        let together = parts.next().unwrap_or_default();
        let slot = |slot| together.iter().copied().skip(slot).step_by(slots).collect();
        Ok(State { parameters, slots: (0..slots).map(slot).collect(), step })
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// When it is of another model or optimizer, or the device fails.
    pub async fn set_state(&mut self, state: &State) -> Result<()> {
        self.settle().await?;
        state.check(&self.model, self.recipe.optimizer.kind)?;
        let buffer = &self.buffers[&Buffer::Parameters];
        self.device().queue.write_buffer(buffer, 0, bytemuck::cast_slice(&state.parameters));
        if let Some(buffer) = self.buffers.get(&Buffer::Slots) {
            let together = |at| state.slots.iter().map(move |slot: &Vec<f32>| slot[at]);
            let together: Vec<f32> = (0..state.parameters.len()).flat_map(together).collect();
            self.device().queue.write_buffer(buffer, 0, bytemuck::cast_slice(&together));
        }
        self.step = state.step;
        self.device().check("writing the state")
    }

    /// What tries the ways of a training step: its dispatches, their buffers and a batch that trains nothing.
    ///
    /// # Errors
    /// When nothing was uploaded.
    pub(super) fn trial(&self) -> Result<Trial<'_>> {
        let resident = self.data.get(Split::Train)?;
        let rows = self.recipe.batch_size.min(resident.part.rows);
        let order: Vec<u32> = (0..rows as u32).collect();
        self.device().queue.write_buffer(&resident.order, 0, bytemuck::cast_slice(&order));
        Ok(Trial {
            dispatches: resident.plan.iter().flat_map(|plan| &plan.dispatches).collect(),
            buffers: &resident.buffers,
            batches: &self.batches,
            batch: Batch::of_rows(0, rows, 0),
            store: &self.store,
        })
    }

    /// The table of batches, and the store.
    pub(super) fn table(&self) -> (&Store, &wgpu::Buffer) {
        (&self.store, &self.batches)
    }
}

/// A training step to be tried.
pub(super) struct Trial<'a> {
    pub(super) dispatches: Vec<&'a Dispatch>,
    pub(super) buffers: &'a BTreeMap<Buffer, wgpu::Buffer>,
    pub(super) batches: &'a wgpu::Buffer,
    pub(super) batch: Batch,
    pub(super) store: &'a Store,
}

/// Floating-point operations of one submission.
fn work(device: &Device) -> f64 {
    if device.hardware.software { SOFTWARE_WORK } else { HARDWARE_WORK }
}
