//! Buffers, and how shaders bind them.

use super::Device;
use crate::backend::gpu::kernels::{BindingKind, Reflection};
use crate::error::{Error, Remedy, Result};

impl Device {
    /// The most bytes that a kernel can bind of one buffer.
    pub fn most_bound(&self) -> u64 {
        self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size)
    }

    /// A storage buffer of `bytes`, zeroed, that can be copied from and to.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the buffer when the adapter cannot bind or hold that much.
    pub fn storage(&self, name: &str, bytes: u64) -> Result<wgpu::Buffer> {
        let most = self.most_bound();
        if bytes > most {
            return Err(Error::Gpu(format!(
                "the {name} need a buffer of {:.1} MiB, but adapter {} binds at most {:.1} MiB",
                mebibytes(bytes),
                self.info.name,
                mebibytes(most)
            ))
            .advise(&[Remedy::Cpu]));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        // Whole vectors of four floats, as some kernels bind it.
        self.buffer(name, bytes.max(4).next_multiple_of(16), usage)
    }

    /// A uniform that holds `bytes`.
    ///
    /// # Errors
    /// As [`Device::buffer`].
    pub fn uniform(&self, name: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(name, bytes.len() as u64, usage)?;
        self.queue.write_buffer(&buffer, 0, bytes);
        Ok(buffer)
    }

    /// A buffer of `bytes` for `usage`.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the buffer when the adapter cannot hold that much.
    pub fn buffer(&self, name: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(name), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.check(&format!("the buffer of {name} ({:.1} MiB)", mebibytes(bytes)))?;
        Ok(buffer)
    }

    /// Writes `parts` to the beginning of `buffer`, one after the other, directly into the memory that is handed over.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there is no memory for it.
    pub fn write<'a, T: bytemuck::NoUninit>(
        &self,
        buffer: &wgpu::Buffer,
        parts: impl Iterator<Item = &'a [T]> + Clone,
    ) -> Result<()> {
        let bytes = parts.clone().map(size_of_val).sum::<usize>();
        if let Some(size) = wgpu::BufferSize::new(bytes as u64)
            && let Some(mut view) = self.queue.write_buffer_with(buffer, 0, size)
        {
            let mut at = 0;
            for part in parts {
                let part: &[u8] = bytemuck::cast_slice(part);
                view.slice(at..at + part.len()).copy_from_slice(part);
                at += part.len();
            }
        }
        self.check("handing over steps")
    }

    /// The layout of a shader's bindings: its `batches` at a dynamic offset, the rest as it declares them.
    pub fn layout(&self, name: &str, reflection: &Reflection) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = reflection
            .bindings
            .values()
            .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match kind {
                        BindingKind::Batch | BindingKind::Table => wgpu::BufferBindingType::Uniform,
                        BindingKind::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        BindingKind::Write => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: kind == BindingKind::Batch,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries };
        self.device.create_bind_group_layout(&descriptor)
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
