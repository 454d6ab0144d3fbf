//! The GPU backend: resident buffers, pipelines built once, submission in short chunks, readback.
//!
//! What touches the device is `async`; [`pollster::block_on`] stands only where [`Backend`] is implemented.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytemuck::{Pod, Zeroable};

use crate::backend::cpu::{check_parameters, check_samples, missing, rows_of};
use crate::backend::{Backend, KernelTime, Pass, Peak, Precision, Split};
use crate::data::{Inputs, Samples};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;
use device::{Device, Read, Submitted, values};
use kernels::Launch;
use plan::{Buffer, Element, Plan, PlanName};
pub(crate) use programs::Programs;
use timer::Timer;
pub use tune::Tuned;

pub mod device;
pub mod kernels;
mod peak;
pub mod plan;
mod programs;
mod timer;
mod tune;

/// The step from one [`Batch`] of the table to the next: what every device takes as a uniform's offset.
const BATCH_STRIDE: u64 = 256;
/// Batches of the table, so at most so many steps a submission.
const MAX_STEPS: usize = 1024;
/// Steps of the first submission of a pass.
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

/// Which rows a dispatch works on; the shaders' `Batch`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct Batch {
    /// Place of its first row in the order.
    pub first: u32,
    /// Number of rows.
    pub rows: u32,
    /// Number of the batch: where its loss goes.
    pub index: u32,
    /// The learning rate.
    pub learning_rate: f32,
}

/// A model and its data on a GPU.
pub struct Gpu {
    device: Device,
    model: Mlp,
    plan: PlanName,
    reason: &'static str,
    batch_size: usize,
    evaluation_rows: usize,
    programs: Programs,
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    batches: wgpu::Buffer,
    train: Option<Resident>,
    test: Option<Resident>,
    validation: Option<Resident>,
    pass: Pass,
    in_flight: VecDeque<Submitted>,
    /// Evaluations under way.
    evaluating: Vec<(Split, Read)>,
    /// How many of the last submissions in flight are evaluations.
    evaluations_in_flight: usize,
    /// The parameters that are evaluated.
    evaluated: wgpu::Buffer,
}

/// A part of a data set on the device, and what runs over it.
struct Resident {
    rows: usize,
    /// Of its buffers.
    bytes: u64,
    order: wgpu::Buffer,
    totals: wgpu::Buffer,
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// Of the training part.
    plan: Option<Plan>,
    step: Vec<Ready>,
    evaluation: Vec<Ready>,
}

/// A dispatch ready to be encoded.
#[derive(Clone)]
pub(crate) struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
    label: String,
}

impl Gpu {
    /// A backend for `model` on `device`, parameters 0.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the buffer that the adapter cannot hold.
    /// [`Error::Usage`] when the network cannot be run by the plan `wanted`; without one, the best is taken.
    pub async fn new(device: Device, model: Mlp, batch_size: usize, wanted: Option<PlanName>) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        let hardware = &device.hardware;
        let (plan, reason) = PlanName::choose(&model, batch_size, hardware, wanted)?;
        let longest = model.widths().iter().copied().fold(batch_size, usize::max);
        if hardware.software && longest > SOFTWARE_LOOP {
            return Err(Error::Gpu(format!(
                "the software adapter {} may cut loops of more than {SOFTWARE_LOOP} rounds, and --batch-size or a layer is \
                 {longest} long: use --backend cpu",
                device.info.name
            )));
        }
        let widest = model.widths().iter().max().copied().unwrap_or(1);
        let flops = 2.0 * model.parameters() as f64;
        let rows_by_work = (work(&device) / flops) as usize;
        let evaluation_rows = EVALUATION_ROWS.min(EVALUATION_BYTES / 4 / widest).min(rows_by_work).max(64);
        let rows = batch_size.max(evaluation_rows);

        let step = Plan::step(plan, &model, Element::U8, batch_size, hardware);
        let evaluation = Plan::evaluation(plan, &model, Element::U8, evaluation_rows, hardware);
        let used: BTreeSet<Buffer> = step.buffers().chain(evaluation.buffers()).collect();
        let mut buffers = BTreeMap::new();
        for buffer in used {
            let (name, values) = match buffer {
                Buffer::Parameters => ("parameters".into(), model.parameters()),
                Buffer::Gradients => ("gradients".into(), model.parameters()),
                Buffer::Activations(index) => (format!("activations of layer {index}"), rows * model.widths()[index]),
                Buffer::Deltas(index) => (format!("gradients at layer {index}"), rows * model.widths()[index + 1]),
                Buffer::Losses => ("losses".into(), rows),
                Buffer::Confusion => ("confusion matrix's counts".into(), model.classes() * model.classes()),
                Buffer::Unused => ("unused buffer".into(), 1),
                // Those of a data set.
                Buffer::Data | Buffer::Labels | Buffer::Order | Buffer::Totals => continue,
            };
            buffers.insert(buffer, device.storage(&name, 4 * values as u64)?);
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let batches = device.buffer("batches", BATCH_STRIDE * MAX_STEPS as u64, usage)?;
        let evaluated = device.storage("copy of the parameters", 4 * model.parameters() as u64)?;
        Ok(Self {
            programs: Programs::new(device.clone()),
            device,
            model,
            plan,
            reason,
            batch_size,
            evaluation_rows,
            buffers,
            batches,
            train: None,
            test: None,
            validation: None,
            pass: Pass::default(),
            in_flight: VecDeque::new(),
            evaluating: Vec::new(),
            evaluations_in_flight: 0,
            evaluated,
        })
    }

    async fn upload(&mut self, split: Split, samples: &Samples) -> Result<()> {
        check_samples(&self.model, samples)?;
        let part = match split {
            Split::Train => "training",
            Split::Test => "test",
            Split::Validation => "validation",
        };
        let element = element(&samples.inputs);
        let data = self.upload_inputs(&format!("{part} inputs"), &samples.inputs)?;
        let labels = self.upload_u32(&format!("{part} labels"), samples.labels())?;
        let rows = samples.len();
        let identity: Vec<u32> = (0..rows as u32).collect();
        let identity = self.upload_u32(&format!("{part} row numbers"), &identity)?;
        let batches = rows.div_ceil(self.evaluation_rows);
        let totals = self.device.storage("losses of the batches", 4 * batches as u64)?;

        let shared = self.buffers.clone();
        let with = |order: &wgpu::Buffer| {
            let mut buffers = shared.clone();
            buffers.extend([
                (Buffer::Data, data.clone()),
                (Buffer::Labels, labels.clone()),
                (Buffer::Order, order.clone()),
                (Buffer::Totals, totals.clone()),
            ]);
            buffers
        };
        let order = self.device.storage("order of the rows", 4 * rows.next_multiple_of(self.batch_size) as u64)?;
        let plan = (split == Split::Train)
            .then(|| Plan::step(self.plan, &self.model, element, self.batch_size, &self.device.hardware));
        let buffers = with(&order);
        let step = plan.iter().map(|plan| self.programs.prepare(plan, &buffers, &self.batches));
        let step = step.collect::<Result<Vec<_>>>()?.concat();
        let hardware = &self.device.hardware;
        let evaluation = Plan::evaluation(self.plan, &self.model, element, self.evaluation_rows, hardware);
        let evaluation = self.programs.prepare(&evaluation, &with(&identity), &self.batches)?;
        let bytes = [&data, &labels, &identity, &order, &totals].into_iter().map(wgpu::Buffer::size).sum();
        let resident = Some(Resident { rows, bytes, order, totals: totals.clone(), buffers, plan, step, evaluation });
        match split {
            Split::Train => (self.train, self.pass) = (resident, Pass::default()),
            Split::Test => self.test = resident,
            Split::Validation => self.validation = resident,
        }
        Ok(())
    }

    /// A buffer of `inputs`, bytes four a word.
    fn upload_inputs(&self, name: &str, inputs: &Inputs) -> Result<wgpu::Buffer> {
        match inputs {
            Inputs::F32(values) => self.upload_bytes(name, bytemuck::cast_slice(values)),
            Inputs::U8(bytes) => self.upload_bytes(name, bytes),
        }
    }

    fn upload_u32(&self, name: &str, values: &[u32]) -> Result<wgpu::Buffer> {
        self.upload_bytes(name, bytemuck::cast_slice(values))
    }

    fn upload_bytes(&self, name: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let buffer = self.device.storage(name, (bytes.len() as u64).next_multiple_of(4))?;
        // In parts, so that no staging buffer is as large as the data; copies are of whole words.
        const PART: usize = 16 << 20;
        for (index, part) in bytes.chunks(PART).enumerate() {
            let (words, rest) = part.split_at(part.len() / 4 * 4);
            let at = (index * PART) as u64;
            self.device.queue.write_buffer(&buffer, at, words);
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                self.device.queue.write_buffer(&buffer, at + words.len() as u64, &word);
            }
        }
        self.device.check(name)?;
        Ok(buffer)
    }

    /// Hands over the next steps of the pass; with `timer`, measures every launch.
    async fn advance(&mut self, timer: Option<&mut Timer>) -> Result<usize> {
        let Self { device, batches: table, train, pass, in_flight, batch_size, .. } = self;
        let resident = train.as_ref().ok_or_else(|| missing(Split::Train))?;
        let batch_size = *batch_size;
        let most = if timer.is_some() { timer::PASSES / resident.step.len() } else { MAX_STEPS };
        let flops = 6.0 * self.model.parameters() as f64 * batch_size as f64;
        let most = ((work(device) / flops) as usize).clamp(1, most);
        // The device starts on a short chunk while the next, as long as all before it, is encoded.
        let steps = (pass.done / batch_size).max(FIRST_STEPS).min(most);
        // Orders are as long as the data set, and their place on the device is; of longer ones a part at a time.
        let room = resident.rows.next_multiple_of(batch_size);
        let first = pass.done % room;
        if first == 0 {
            device.queue.write_buffer(&resident.order, 0, bytemuck::cast_slice(pass.next(room)));
        }
        let learning_rate = pass.learning_rate;
        let chunk = pass.take((steps * batch_size).min(room - first)).len();
        // The resident plan takes its batches from one run of rows.
        let size = if self.plan == PlanName::Resident { chunk.max(1) } else { batch_size };
        let batch = |start| Batch {
            first: (first + start) as u32,
            rows: size.min(chunk - start) as u32,
            index: 0,
            learning_rate,
        };
        let batches: Vec<Batch> = (0..chunk).step_by(size).map(batch).collect();
        if let Some(timer) = timer {
            timer.run(device, table, &resident.step, &batches).await?;
        } else if !batches.is_empty() {
            in_flight.push_back(submit(device, table, &resident.step, &batches, None)?);
            self.evaluations_in_flight = 0;
            self.wait_until(IN_FLIGHT).await?;
        }
        Ok(self.pass.done)
    }

    fn begin_pass(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        self.pass = Pass::new(order, learning_rate, self.resident(Split::Train)?.rows)?;
        Ok(())
    }

    async fn profile(&mut self, order: &[u32], learning_rate: f32) -> Result<Option<Vec<KernelTime>>> {
        self.synchronize().await?;
        let mut timer = Timer::new(&self.device)?;
        self.begin_pass(order, learning_rate)?;
        while self.advance(timer.as_mut()).await? < order.len() {}
        self.synchronize().await?;
        Ok(timer.map(|timer| timer.times))
    }

    /// Waits until no more than `most` submissions are under way.
    async fn wait_until(&mut self, most: usize) -> Result<()> {
        while self.in_flight.len() > most
            && let Some(submitted) = self.in_flight.pop_front()
        {
            self.device.wait(submitted).await?;
        }
        self.evaluations_in_flight = self.evaluations_in_flight.min(self.in_flight.len());
        self.device.check("running kernels")
    }

    async fn synchronize(&mut self) -> Result<()> {
        self.wait_until(0).await
    }

    fn resident(&self, split: Split) -> Result<&Resident> {
        let resident = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
            Split::Validation => &self.validation,
        };
        resident.as_ref().ok_or_else(|| missing(split))
    }

    /// Hands over the evaluation of `split`.
    fn begin_evaluation_of(&mut self, split: Split) -> Result<Read> {
        let resident = self.resident(split)?;
        let confusion = &self.buffers[&Buffer::Confusion];
        let starts = (0..resident.rows).step_by(self.evaluation_rows);
        let batch = |(index, first): (usize, usize)| Batch {
            first: first as u32,
            rows: self.evaluation_rows.min(resident.rows - first) as u32,
            index: index as u32,
            learning_rate: 0.0,
        };
        let batches: Vec<Batch> = starts.enumerate().map(batch).collect();
        let flops = 2.0 * self.model.parameters() as f64 * self.evaluation_rows as f64;
        let most = ((work(&self.device) / flops) as usize).clamp(1, MAX_STEPS);
        let mut clear = Some(confusion);
        let submitted = batches
            .chunks(most)
            .map(|batches| submit(&self.device, &self.batches, &resident.evaluation, batches, clear.take()));
        let submitted = submitted.collect::<Result<Vec<_>>>()?;
        let read = self.device.begin_read(&[
            (&resident.totals, 4 * batches.len() as u64),
            (confusion, 4 * (self.model.classes() * self.model.classes()) as u64),
        ])?;
        self.evaluations_in_flight += submitted.len();
        self.in_flight.extend(submitted);
        Ok(read)
    }

    async fn finish_evaluation_of(&self, read: Read) -> Result<Evaluation> {
        let mut parts = self.device.finish_read(read).await?;
        let confusion = parts.pop().map_or_else(Vec::new, |bytes| values::<u32>(&bytes));
        let totals = parts.pop().map_or_else(Vec::new, |bytes| values::<f32>(&bytes));
        Ok(Evaluation {
            loss_sum: totals.into_iter().map(f64::from).sum(),
            confusion: confusion.into_iter().map(u64::from).collect(),
            classes: self.model.classes(),
        })
    }

    async fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        let read = self.begin_evaluation_of(split)?;
        self.synchronize().await?;
        self.finish_evaluation_of(read).await
    }

    fn begin_evaluation(&mut self, splits: &[Split]) -> Result<()> {
        self.evaluating.clear();
        self.device.copy(&self.buffers[&Buffer::Parameters], &self.evaluated);
        for &split in splits {
            let read = self.begin_evaluation_of(split)?;
            self.evaluating.push((split, read));
        }
        self.device.check("encoding evaluations")
    }

    async fn finish_evaluation(&mut self, splits: &[Split]) -> Result<Vec<Evaluation>> {
        let mut found = Vec::new();
        for &split in splits {
            let begun = self.evaluating.iter().position(|(begun, _)| *begun == split);
            let begun = begun.map(|index| self.evaluating.remove(index).1);
            found.push(match begun {
                Some(read) => self.finish_evaluation_of(read).await?,
                None => self.evaluate(split).await?,
            });
        }
        Ok(found)
    }

    async fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let rows = rows_of(&self.model, inputs)? as usize;
        let (width, classes) = (self.model.inputs(), self.model.classes());
        let size = self.evaluation_rows.min(rows);
        let plan = Plan::evaluation(self.plan, &self.model, element(inputs), size, &self.device.hardware);
        let identity: Vec<u32> = (0..size as u32).collect();
        let mut buffers = self.buffers.clone();
        buffers.insert(Buffer::Order, self.upload_u32("row numbers", &identity)?);
        // It counts losses and hits too, of no use here.
        buffers.insert(Buffer::Labels, self.upload_u32("labels", &vec![0; size])?);
        buffers.insert(Buffer::Totals, self.device.storage("losses of the batches", 4)?);
        let mut probabilities = Vec::with_capacity(rows * classes);
        for first in (0..rows).step_by(self.evaluation_rows) {
            let count = self.evaluation_rows.min(rows - first);
            let part = first * width..(first + count) * width;
            let part = match inputs {
                Inputs::U8(values) => Inputs::U8(values[part].to_vec()),
                Inputs::F32(values) => Inputs::F32(values[part].to_vec()),
            };
            buffers.insert(Buffer::Data, self.upload_inputs("rows to predict", &part)?);
            let ready = self.programs.prepare(&plan, &buffers, &self.batches)?;
            let batch = Batch { first: 0, rows: count as u32, index: 0, learning_rate: 0.0 };
            submit(&self.device, &self.batches, &ready, &[batch], None)?;
            let p = &self.buffers[&Buffer::Deltas(self.model.layers().len() - 1)];
            let parts = self.device.read(&[(p, 4 * (count * classes) as u64)]).await?;
            probabilities.extend(parts.iter().flat_map(|bytes| values::<f32>(bytes)));
        }
        Ok(probabilities)
    }

    /// The values of `buffer`, the parameters or their copy.
    async fn read_parameters(&self, buffer: &wgpu::Buffer) -> Result<Vec<f32>> {
        let parts = self.device.read(&[(buffer, 4 * self.model.parameters() as u64)]).await?;
        Ok(parts.iter().flat_map(|bytes| values(bytes)).collect())
    }
}

fn element(inputs: &Inputs) -> Element {
    match inputs {
        Inputs::U8(_) => Element::U8,
        Inputs::F32(_) => Element::F32,
    }
}

/// Floating-point operations of one submission.
fn work(device: &Device) -> f64 {
    if device.hardware.software { SOFTWARE_WORK } else { HARDWARE_WORK }
}

impl Ready {
    /// Encodes it for the batch in `slot` of the table.
    fn encode(&self, pass: &mut wgpu::ComputePass, slot: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot as u32 * BATCH_STRIDE as u32]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

/// Fills the table with `batches`.
fn write_batches(device: &Device, table: &wgpu::Buffer, batches: &[Batch]) {
    let mut bytes = vec![0; batches.len() * BATCH_STRIDE as usize];
    for (slot, batch) in bytes.chunks_exact_mut(BATCH_STRIDE as usize).zip(batches) {
        slot[..size_of::<Batch>()].copy_from_slice(bytemuck::bytes_of(batch));
    }
    device.queue.write_buffer(table, 0, &bytes);
}

/// Encodes `work` once for each of `batches` and hands it over.
fn submit(
    device: &Device,
    table: &wgpu::Buffer,
    work: &[Ready],
    batches: &[Batch],
    clear: Option<&wgpu::Buffer>,
) -> Result<Submitted> {
    write_batches(device, table, batches);
    let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    if let Some(buffer) = clear {
        encoder.clear_buffer(buffer, 0, None);
    }
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for slot in 0..batches.len() {
            for ready in work {
                ready.encode(&mut pass, slot);
            }
        }
    }
    let submitted = device.submit(encoder.finish());
    device.check("encoding kernels")?;
    Ok(submitted)
}

/// Runs one launch over `buffers`, each under the shader's name for it.
pub(crate) async fn run_once(
    device: &Device,
    launch: &Launch,
    buffers: &[(&str, wgpu::Buffer)],
    batch: Batch,
) -> Result<()> {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let table = device.buffer("batches", BATCH_STRIDE, usage)?;
    let bound: Vec<_> = buffers.iter().map(|(name, buffer)| (*name, buffer)).collect();
    let ready = Programs::new(device.clone()).ready(launch, &bound, &table)?;
    let submitted = submit(device, &table, &[ready], &[batch], None)?;
    device.wait(submitted).await
}

impl Backend for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn device(&self) -> String {
        format!("{} ({})", self.device.info.name, self.device.info.backend)
    }

    fn plan(&self) -> &'static str {
        self.plan.name()
    }

    fn plan_reason(&self) -> &'static str {
        self.reason
    }

    fn precision(&self) -> Precision {
        self.train.as_ref().and_then(|part| part.plan.as_ref()).map_or(Precision::F32, Plan::precision)
    }

    fn dispatches(&self) -> Option<usize> {
        self.train.as_ref().map(|resident| resident.step.len())
    }

    fn bytes(&self) -> u64 {
        let parts = [&self.train, &self.test, &self.validation].into_iter().flatten().map(|part| part.bytes);
        let own = self.buffers.values().chain([&self.batches, &self.evaluated]);
        own.map(wgpu::Buffer::size).sum::<u64>() + parts.sum::<u64>()
    }

    fn upload(&mut self, split: Split, samples: &Samples) -> Result<()> {
        pollster::block_on(self.upload(split, samples))
    }

    fn begin_pass(&mut self, order: &[u32], learning_rate: f32) -> Result<()> {
        self.begin_pass(order, learning_rate)
    }

    fn advance(&mut self) -> Result<usize> {
        pollster::block_on(self.advance(None))
    }

    fn finish_pass(&mut self) -> Result<()> {
        pollster::block_on(self.wait_until(self.evaluations_in_flight))
    }

    fn profile(&mut self, order: &[u32], learning_rate: f32) -> Result<Option<Vec<KernelTime>>> {
        pollster::block_on(self.profile(order, learning_rate))
    }

    fn peak(&mut self) -> Result<Option<Peak>> {
        self.peak_now().map(Some)
    }

    fn synchronize(&mut self) -> Result<()> {
        pollster::block_on(self.synchronize())
    }

    fn evaluate(&mut self, split: Split) -> Result<Evaluation> {
        pollster::block_on(self.evaluate(split))
    }

    fn is_asynchronous(&self) -> bool {
        // Software drivers work on the caller's cores, Mesa's even before a submission returns.
        !self.device.hardware.software
    }

    fn begin_evaluation(&mut self, splits: &[Split]) -> Result<()> {
        self.begin_evaluation(splits)
    }

    fn finish_evaluation(&mut self, splits: &[Split]) -> Result<Vec<Evaluation>> {
        pollster::block_on(self.finish_evaluation(splits))
    }

    fn evaluated_parameters(&mut self) -> Result<Vec<f32>> {
        pollster::block_on(self.read_parameters(&self.evaluated))
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        pollster::block_on(self.predict(inputs))
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        pollster::block_on(self.read_parameters(&self.buffers[&Buffer::Parameters]))
    }

    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()> {
        check_parameters(&self.model, parameters)?;
        let buffer = &self.buffers[&Buffer::Parameters];
        self.device.queue.write_buffer(buffer, 0, bytemuck::cast_slice(parameters));
        self.device.check("writing the parameters")
    }
}
