//! What lies on a device once, whoever uses it: data sets and compiled programs. Engines that are given the same store share
//! both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::backend::gpu::device::Device;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::{Buffer, Element, Plan};
use crate::backend::gpu::programs::Programs;
use crate::backend::gpu::submit::{Ready, Table};
use crate::data::{Inputs, Samples, Targets};
use crate::error::Result;

/// A device, and what lies on it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    device: Device,
    programs: Arc<Mutex<Programs>>,
    parts: Arc<Mutex<Vec<Copied>>>,
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
        Self { programs: Arc::new(Mutex::new(Programs::new(device.clone()))), device, parts: Arc::default() }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// `samples` on the device, called `name` in messages; those that are there already are not copied again.
    ///
    /// # Errors
    /// [`crate::error::Error::Gpu`] naming what the adapter cannot hold.
    pub(super) fn upload(&self, name: &str, samples: &Arc<Samples>) -> Result<Arc<Part>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|(_, part)| part.strong_count() > 0);
        // While there is a weak reference to samples, no others lie at their address.
        let there = parts.iter().find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(samples)));
        if let Some(part) = there.and_then(|(_, part)| part.upgrade()) {
            return Ok(part);
        }
        let rows = samples.len();
        let identity: Vec<u32> = (0..rows as u32).collect();
        let targets = match &samples.targets {
            Targets::Classes(labels) => labels,
            Targets::Values(values) => bytemuck::cast_slice(values),
        };
        let part = Arc::new(Part {
            rows,
            element: Element::of(&samples.inputs),
            data: self.inputs(&format!("{name} inputs"), &samples.inputs)?,
            targets: self.numbers(&format!("{name} targets"), targets)?,
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

    /// Pipelines and bind groups of `plan` over `buffers`.
    pub(super) fn prepare(
        &self,
        plan: &Plan,
        buffers: &BTreeMap<Buffer, wgpu::Buffer>,
        table: &Table,
    ) -> Result<Vec<Ready>> {
        self.programs().prepare(plan, buffers, table)
    }

    /// A launch with its buffers bound by the shader's names.
    pub(super) fn ready(&self, launch: &Launch, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        self.programs().ready(launch, bound, table)
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
