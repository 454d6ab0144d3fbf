//! What is handed to a device: dispatches, encoded once for each step.

use bytemuck::{Pod, Zeroable};

use crate::backend::gpu::device::{Device, Submitted};
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::programs::Programs;
use crate::backend::numbers::Numbers;
use crate::error::Result;

/// The most members of a pack: as many entries has the shaders' uniform `batches`.
pub const MOST_MEMBERS: usize = 256;
/// What every device takes as a uniform's offset is a multiple of so many bytes.
const OFFSETS: u64 = 256;
/// Bytes of a table at most, unless one step takes more.
const TABLE_BYTES: u64 = 4 << 20;
/// Steps of a table, at most.
pub(super) const MAX_STEPS: usize = 1024;

/// What a member does in a dispatch; the shaders' `Batch`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub(crate) struct Batch {
    /// Place of its first row in the order.
    pub first: u32,
    /// Number of rows: none in what leads a submission.
    pub rows: u32,
    /// Where its loss goes; in training, how many rows the member's next step in the submission has.
    pub index: u32,
    /// Whose parameters they are.
    pub member: u32,
    /// The optimizer's numbers in this step.
    pub numbers: Numbers,
    /// What dropout and augmentation hash with a place: [`crate::backend::cpu::dropout::step_key`].
    pub step_key: u32,
    /// What summed gradients are divided by: the weights of the rows together.
    pub divisor: f32,
    /// The share of a label that is spread over all classes.
    pub smoothing: f32,
}

impl Batch {
    /// Rows of a member that are not trained on.
    pub fn of_rows(member: usize, first: usize, rows: usize, index: usize) -> Self {
        Self {
            first: first as u32,
            rows: rows as u32,
            index: index as u32,
            member: member as u32,
            numbers: Numbers::zeroed(),
            step_key: 0,
            divisor: rows as f32,
            smoothing: 0.0,
        }
    }
}

/// The entries of one step: those of the members that take part.
pub(crate) type Entries = Vec<Batch>;

/// The uniform that holds the entries of each step of a submission.
pub(crate) struct Table {
    buffer: wgpu::Buffer,
    /// Bytes from one step to the next.
    stride: u64,
    /// Steps that it has room for.
    pub steps: usize,
}

impl Table {
    /// Bytes that a kernel binds of it.
    pub const BOUND: u64 = (MOST_MEMBERS * size_of::<Batch>()) as u64;

    /// For packs of up to `members` members.
    ///
    /// # Errors
    /// [`crate::error::Error::Gpu`] when the adapter cannot hold it.
    pub fn new(device: &Device, members: usize) -> Result<Self> {
        let stride = ((members * size_of::<Batch>()) as u64).next_multiple_of(OFFSETS);
        let steps = (TABLE_BYTES / stride).clamp(1, MAX_STEPS as u64);
        // As many entries are bound at the last step as at any other.
        let bytes = stride * (steps - 1) + Self::BOUND.max(stride);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        Ok(Self { buffer: device.buffer("batches", bytes, usage)?, stride, steps: steps as usize })
    }

    /// The buffer.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Fills it with `steps`.
    pub fn write(&self, device: &Device, steps: &[Entries]) {
        let mut bytes = vec![0; steps.len() * self.stride as usize];
        for (slot, entries) in bytes.chunks_exact_mut(self.stride as usize).zip(steps) {
            let entries: &[u8] = bytemuck::cast_slice(entries);
            slot[..entries.len()].copy_from_slice(entries);
        }
        device.queue.write_buffer(&self.buffer, 0, &bytes);
    }
}

/// A dispatch ready to be encoded.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bind_group: wgpu::BindGroup,
    pub(super) grid: [u32; 2],
    pub(super) label: String,
}

impl Ready {
    /// Encodes it for the entries in `slot` of `table`, of which there are `entries`.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass, table: &Table, slot: usize, entries: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot as u32 * table.stride as u32]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], entries as u32);
    }
}

/// What runs for each step of a submission. If there is a `lead`, that runs for the first of them instead.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) lead: &'a [Ready],
    pub(super) each: &'a [Ready],
}

impl<'a> Work<'a> {
    /// What runs for step number `slot`.
    pub(super) fn of(self, slot: usize) -> &'a [Ready] {
        if slot == 0 && !self.lead.is_empty() { self.lead } else { self.each }
    }
}

impl<'a, T: AsRef<[Ready]> + ?Sized> From<&'a T> for Work<'a> {
    fn from(each: &'a T) -> Self {
        Self { lead: &[], each: each.as_ref() }
    }
}

/// Encodes `work` for each of `steps`, in one pass, which writes the time at its ends where `timed` says.
pub(super) fn encode(
    device: &Device,
    encoder: &mut wgpu::CommandEncoder,
    table: &Table,
    work: Work<'_>,
    steps: &[Entries],
    timed: Option<wgpu::ComputePassTimestampWrites<'_>>,
) {
    table.write(device, steps);
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: timed });
    for (slot, entries) in steps.iter().enumerate() {
        for ready in work.of(slot) {
            ready.encode(&mut pass, table, slot, entries.len());
        }
    }
}

/// Encodes `work` for each of `steps` and hands it over.
pub(super) fn submit<'a>(
    device: &Device,
    table: &Table,
    work: impl Into<Work<'a>>,
    steps: &[Entries],
    clear: Option<&wgpu::Buffer>,
) -> Result<Submitted> {
    let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    if let Some(buffer) = clear {
        encoder.clear_buffer(buffer, 0, None);
    }
    encode(device, &mut encoder, table, work.into(), steps, None);
    let submitted = device.submit(encoder.finish());
    device.check("encoding kernels")?;
    Ok(submitted)
}

/// One launch with its buffers, to run by itself.
pub(crate) struct Single {
    device: Device,
    table: Table,
    ready: [Ready; 1],
    entries: [Entries; 1],
}

impl Single {
    /// Of `launch` over `buffers`, each under the shader's name for it.
    pub(crate) fn new(
        device: &Device,
        launch: &Launch,
        buffers: &[(&str, wgpu::Buffer)],
        entries: Entries,
    ) -> Result<Self> {
        let table = Table::new(device, entries.len())?;
        let bound: Vec<_> = buffers.iter().map(|(name, buffer)| (*name, buffer)).collect();
        let ready = [Programs::new(device.clone()).ready(launch, &bound, &table)?];
        Ok(Self { device: device.clone(), table, ready, entries: [entries] })
    }

    /// Runs it.
    pub(crate) async fn run(&self) -> Result<()> {
        let submitted = submit(&self.device, &self.table, &self.ready, &self.entries, None)?;
        self.device.wait(submitted).await
    }
}
