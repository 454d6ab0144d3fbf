//! What lies on a device once, whoever uses it: data sets and compiled programs. Engines that are given the same store share
//! both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::backend::Split;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::{Buffer, Dispatch, Element};
use crate::backend::gpu::programs::Programs;
use crate::backend::gpu::submit::{Ready, Table};
use crate::data::{Inputs, Samples, Targets};
use crate::error::Result;
use crate::memory::Bytes;

/// A device, and what lies on it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    device: Device,
    programs: Arc<Mutex<Programs>>,
    parts: Arc<Mutex<Vec<Copied>>>,
    /// What took its place, after the device was lost.
    next: Arc<Mutex<Option<Store>>>,
}

/// Samples, and what lies on the device of them; neither is kept alive.
type Copied = (Weak<Samples>, Weak<Part>);

/// A part of a data set on the device.
pub(super) struct Part {
    pub(super) rows: usize,
    pub(super) element: Element,
    pub(super) data: wgpu::Buffer,
    /// Labels, or the bits of values, `rows x outputs`.
    pub(super) targets: wgpu::Buffer,
    /// The row numbers in their order.
    pub(super) identity: wgpu::Buffer,
}

impl Part {
    /// Bytes of its buffers.
    pub(super) fn bytes(&self) -> u64 {
        [&self.data, &self.targets, &self.identity].into_iter().map(wgpu::Buffer::size).sum()
    }
}

impl Store {
    /// An empty store on `device`.
    pub fn new(device: Device) -> Self {
        let programs = Arc::new(Mutex::new(Programs::new(device.clone())));
        Self { programs, device, parts: Arc::default(), next: Arc::default() }
    }

    /// This store; once its device is lost, an empty one on the same adapter, which all who ask share.
    ///
    /// # Errors
    /// As [`Device::reopen`].
    pub fn living(&self) -> Result<Self> {
        if !self.device.is_lost() {
            return Ok(self.clone());
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match &*next {
            Some(next) => next.living(),
            None => Ok(next.insert(Self::new(pollster::block_on(self.device.reopen())?)).clone()),
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Why not all of `samples` can be kept on the device, in words; none where they can, or are there already.
    pub fn refusal(&self, samples: &Arc<Samples>) -> Option<String> {
        let rows = 4 * samples.len() as u64;
        let (inputs, targets) = (samples.inputs.bytes() as u64, rows.max(4 * samples.values().len() as u64));
        let device = &self.device;
        let most = device.most_bound();
        if inputs.max(targets) > most {
            return Some(format!("adapter {} binds at most {}", device.info.name, Bytes(most)));
        }
        let parts = self.parts();
        if there(&parts, samples).is_some() {
            return None;
        }
        let taken: u64 = parts.iter().filter_map(|(_, part)| Some(part.upgrade()?.bytes())).sum();
        let left = device.data_bytes.saturating_sub(taken);
        (inputs + targets + rows > left).then(|| match device.memory {
            Some(bytes) if device.data_bytes > bytes / 2 => {
                format!(
                    "adapter {} has {} of memory, and {} are left for data",
                    device.info.name,
                    Bytes(bytes),
                    Bytes(left)
                )
            }
            _ => format!("{} of the GPU's memory are left of what data may take", Bytes(left)),
        })
    }

    /// `samples` on the device, called `name` in messages; those that are there already are not copied again.
    ///
    /// # Errors
    /// [`crate::error::Error::Gpu`] naming what the adapter cannot hold.
    pub(super) fn upload(&self, name: &str, samples: &Arc<Samples>) -> Result<Arc<Part>> {
        let mut parts = self.parts();
        parts.retain(|(_, part)| part.strong_count() > 0);
        if let Some(part) = there(&parts, samples) {
            return Ok(part);
        }
        let rows = samples.len();
        let identity: Vec<u32> = (0..rows as u32).collect();
        let part = Arc::new(Part {
            rows,
            element: Element::of(&samples.inputs),
            data: self.inputs(&format!("{name} inputs"), &samples.inputs)?,
            targets: self.numbers(&format!("{name} targets"), bits(&samples.targets))?,
            identity: self.numbers(&format!("{name} row numbers"), &identity)?,
        });
        parts.push((Arc::downgrade(samples), Arc::downgrade(&part)));
        Ok(part)
    }

    /// A buffer of `inputs`, bytes four to a word.
    pub(super) fn inputs(&self, name: &str, inputs: &Inputs) -> Result<wgpu::Buffer> {
        match inputs {
            Inputs::F32(values) => self.bytes(name, bytemuck::cast_slice(values)),
            Inputs::U8(bytes) => self.bytes(name, bytes),
        }
    }

    /// A buffer of whole numbers, or of the bits of floats.
    pub(super) fn numbers(&self, name: &str, values: &[u32]) -> Result<wgpu::Buffer> {
        self.bytes(name, bytemuck::cast_slice(values))
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let buffer = self.device.storage(name, (bytes.len() as u64).next_multiple_of(4))?;
        // In parts, some of which are handed over at a time, so that no staging memory is as large as the data; copies are of whole
        // words.
        const PART: usize = 16 << 20;
        const AT_ONCE: usize = 8;
        for (index, part) in bytes.chunks(PART).enumerate() {
            let (words, rest) = part.split_at(part.len() / 4 * 4);
            let at = (index * PART) as u64;
            self.device.queue.write_buffer(&buffer, at, words);
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                self.device.queue.write_buffer(&buffer, at + words.len() as u64, &word);
            }
            if index % AT_ONCE == AT_ONCE - 1 {
                self.device.flush()?;
            }
        }
        self.device.check(name)?;
        Ok(buffer)
    }

    /// Pipelines and bind groups of `dispatches` over `buffers`.
    pub(super) fn prepare(
        &self,
        dispatches: &[Dispatch],
        buffers: &BTreeMap<Buffer, wgpu::Buffer>,
        table: &Table,
    ) -> Result<Vec<Ready>> {
        self.programs().prepare(dispatches, buffers, table)
    }

    /// A launch with its buffers bound by the shader's names.
    pub(super) fn ready(&self, launch: &Launch, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        self.programs().ready(launch, bound, table)
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Copied>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of `parts` is a copy of `samples`.
fn there(parts: &[Copied], samples: &Arc<Samples>) -> Option<Arc<Part>> {
    // While there is a weak reference to samples, no others lie at their address.
    parts.iter().find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(samples)))?.1.upgrade()
}

/// Labels, or the bits of values, as shaders read them.
pub(super) fn bits(targets: &Targets) -> &[u32] {
    match targets {
        Targets::Classes(labels) => labels,
        Targets::Values(values) => bytemuck::cast_slice(values),
    }
}

/// That a part is streamed, and why.
pub(crate) fn streamed(split: Split, why: &str) -> String {
    format!("the {} part is streamed through the GPU: {why}", split.name())
}
