//! Rows that pass through the device: the host gathers those of a submission into one of two windows while the device works on the
//! other. Kernels find them in the order in which they come, so that nothing else of a step changes, and no bit of its result.

use std::sync::Arc;

use crate::backend::gpu::device::Device;
use crate::backend::gpu::plan::Element;
use crate::backend::gpu::store::{Store, bits};
use crate::data::{Inputs, Samples};
use crate::error::Result;

/// Bytes of the inputs of a window, unless a step or a batch of an evaluation takes more.
const WINDOW_BYTES: u64 = 32 << 20;
/// One part in so many of what data may take is for a window: there are two of each of three parts.
const SHARE: u64 = 8;

/// The rows of a part that are not kept on the device.
pub(super) struct Stream {
    pub(super) samples: Arc<Samples>,
    /// Why they are not, in words.
    pub(super) why: String,
    /// Rows of a window.
    pub(super) rows: usize,
}

/// Buffers for the rows of a submission.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) data: wgpu::Buffer,
    pub(super) targets: wgpu::Buffer,
    pub(super) weights: Option<wgpu::Buffer>,
}

impl Stream {
    /// Of `samples`, for steps of at most `least` rows.
    pub(super) fn new(device: &Device, samples: &Arc<Samples>, why: String, least: usize) -> Self {
        let row = (samples.inputs.bytes() / samples.len().max(1)).max(1) as u64;
        let most = WINDOW_BYTES.min(device.data_bytes / SHARE).min(device.most_bound());
        let rows = usize::try_from(most / row).unwrap_or(usize::MAX).min(samples.len()).max(least);
        Self { samples: Arc::clone(samples), why, rows }
    }

    pub(super) fn element(&self) -> Element {
        Element::of(&self.samples.inputs)
    }

    /// Values of each row's targets.
    fn outputs(&self) -> usize {
        bits(&self.samples.targets).len() / self.samples.len().max(1)
    }

    /// An empty window.
    pub(super) fn window(&self, store: &Store, name: &str, weighs: bool) -> Result<Window> {
        let (device, values) = (store.device(), self.rows * self.samples.width);
        let element = match self.element() {
            Element::U8 => 1,
            Element::F32 => 4,
        };
        let numbers = |what: &str, count: usize| device.storage(&format!("{name} {what} of a step"), 4 * count as u64);
        Ok(Window {
            data: device.storage(&format!("{name} inputs of a step"), (element * values) as u64)?,
            targets: numbers("targets", self.rows * self.outputs())?,
            weights: weighs.then(|| numbers("weights", self.rows)).transpose()?,
        })
    }

    /// Fills `window` with `rows`, in their order, once the work that was handed over before is done with it. `weights` are those of
    /// all rows.
    pub(super) fn fill(&self, device: &Device, window: &Window, rows: &[u32], weights: Option<&[f32]>) -> Result<()> {
        let width = self.samples.width;
        match &self.samples.inputs {
            Inputs::U8(values) => gather(device, &window.data, values, width, rows)?,
            Inputs::F32(values) => gather(device, &window.data, bytemuck::cast_slice(values), 4 * width, rows)?,
        }
        let targets = bytemuck::cast_slice(bits(&self.samples.targets));
        gather(device, &window.targets, targets, 4 * self.outputs(), rows)?;
        if let (Some(buffer), Some(weights)) = (&window.weights, weights) {
            gather(device, buffer, bytemuck::cast_slice(weights), 4, rows)?;
        }
        Ok(())
    }
}

/// Has `rows` of `from`, rows of `row` bytes, written to `buffer` one after the other: straight into what is handed over.
fn gather(device: &Device, buffer: &wgpu::Buffer, from: &[u8], row: usize, rows: &[u32]) -> Result<()> {
    let bytes = rows.len() * row;
    // Copies are of whole words.
    let whole = bytes.next_multiple_of(4);
    if let Some(size) = wgpu::BufferSize::new(whole as u64)
        && let Some(mut view) = device.queue.write_buffer_with(buffer, 0, size)
    {
        let mut to = view.slice(..);
        for (place, &number) in rows.iter().enumerate() {
            let first = number as usize * row;
            to.slice(place * row..(place + 1) * row).copy_from_slice(&from[first..first + row]);
        }
        to.slice(bytes..).fill(0);
    }
    device.check("handing over rows")
}
