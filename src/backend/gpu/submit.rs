//! What is handed to a device: dispatches, encoded once for each batch.

use bytemuck::{Pod, Zeroable};

use crate::backend::gpu::device::{Device, Submitted};
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::programs::Programs;
use crate::backend::numbers::Numbers;
use crate::error::Result;

/// Bytes from one [`Batch`] of the table to the next: what every device takes as a uniform's offset.
pub(super) const BATCH_STRIDE: u64 = 256;

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
    /// The optimizer's numbers in this step.
    pub numbers: Numbers,
    /// What dropout and augmentation hash with a place: [`crate::backend::cpu::dropout::step_key`].
    pub step_key: u32,
    /// What summed gradients are divided by: the weights of the rows together.
    pub divisor: f32,
}

impl Batch {
    /// Rows that are not trained on.
    pub fn of_rows(first: usize, rows: usize, index: usize) -> Self {
        Self {
            first: first as u32,
            rows: rows as u32,
            index: index as u32,
            numbers: Numbers::zeroed(),
            step_key: 0,
            divisor: rows as f32,
        }
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
    /// Encodes it for the batch in `slot` of the table.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass, slot: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[slot as u32 * BATCH_STRIDE as u32]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

/// Fills the table with `batches`.
pub(super) fn write_batches(device: &Device, table: &wgpu::Buffer, batches: &[Batch]) {
    let mut bytes = vec![0; batches.len() * BATCH_STRIDE as usize];
    for (slot, batch) in bytes.chunks_exact_mut(BATCH_STRIDE as usize).zip(batches) {
        slot[..size_of::<Batch>()].copy_from_slice(bytemuck::bytes_of(batch));
    }
    device.queue.write_buffer(table, 0, &bytes);
}

/// Encodes `work` once for each of `batches` and hands it over.
pub(super) fn submit(
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
