//! Adapters: which there are, which one to take, and a device opened on it whose errors come back as errors.

use std::sync::{Arc, Mutex};

use wgpu::DeviceType;

use crate::backend::Precision;
use crate::backend::gpu::hardware::{Hardware, Tuning};
use crate::error::{Error, Remedy, Result};
use adapter::{MIXED, memory, subgroup};
pub use adapter::{adapters, best_hardware, choose, cooperative, tried, type_name};
use failures::Failures;
pub use work::{Read, Submitted, values};

mod adapter;
mod buffers;
mod failures;
mod work;

/// A device and its queue, opened on one adapter. Cheap to clone.
#[derive(Clone)]
pub struct Device {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// The adapter that it was opened on.
    pub adapter: wgpu::Adapter,
    /// What that is.
    pub info: wgpu::AdapterInfo,
    /// What was asked of the adapter: WebGPU's defaults, but buffers, bindings and workgroups as it has them.
    pub limits: wgpu::Limits,
    /// What of the adapter decides how kernels are launched.
    pub hardware: Hardware,
    /// Bytes of the memory that it has for itself, where the driver tells.
    pub memory: Option<u64>,
    /// The most bytes of data sets that are kept on it at a time: the rows of larger ones are streamed. As opened, three quarters of
    /// [`Device::memory`].
    pub data_bytes: u64,
    /// Whether the driver checks what shaders do: bounds, loops, memory that starts at zero. They are written to need none
    /// of it.
    pub checked: bool,
    failures: Arc<Mutex<Failures>>,
}

/// The most storage buffers that a kernel is to bind: the updates of about ten layers.
const STORAGE_BUFFERS: u32 = 64;
/// The most invocations of a workgroup that kernels can use.
const INVOCATIONS: u32 = 1024;

impl Device {
    /// Opens `adapter`, to compute in `precision`.
    ///
    /// # Errors
    /// [`Error::Adapter`] when it refuses, or has no units for that precision.
    pub async fn open(adapter: &wgpu::Adapter, precision: Precision) -> Result<Self> {
        let offered = adapter.limits();
        let mut limits = wgpu::Limits::default().or_worse_values_from(&offered);
        limits.max_buffer_size = offered.max_buffer_size;
        limits.max_storage_buffer_binding_size = offered.max_storage_buffer_binding_size;
        limits.max_compute_workgroup_storage_size = offered.max_compute_workgroup_storage_size;
        limits.max_storage_buffers_per_shader_stage = offered.max_storage_buffers_per_shader_stage.min(STORAGE_BUFFERS);
        let invocations = offered.max_compute_invocations_per_workgroup.min(offered.max_compute_workgroup_size_x);
        limits.max_compute_invocations_per_workgroup = invocations.min(INVOCATIONS);
        limits.max_compute_workgroup_size_x = invocations.min(INVOCATIONS);
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
        Self::open_with(adapter, precision, limits, adapter.features() & wanted).await
    }

    /// Opens `adapter` with no more than every WebGPU device has: its default limits, and no features.
    ///
    /// # Errors
    /// [`Error::Adapter`] when it refuses.
    pub async fn open_common(adapter: &wgpu::Adapter) -> Result<Self> {
        Self::open_with(adapter, Precision::F32, wgpu::Limits::default(), wgpu::Features::empty()).await
    }

    /// Opens `adapter` with these limits and features, and those that `precision` takes.
    async fn open_with(
        adapter: &wgpu::Adapter,
        precision: Precision,
        limits: wgpu::Limits,
        features: wgpu::Features,
    ) -> Result<Self> {
        let info = adapter.get_info();
        let mixed = precision == Precision::Mixed;
        let cooperative = if mixed { cooperative(adapter) } else { None };
        if mixed && cooperative.is_none() {
            return Err(Error::Adapter(format!(
                "adapter {} has no cooperative matrices with 16-bit operands and 32-bit sums, which mixed precision needs",
                info.name
            ))
            .advise(&[Remedy::FullPrecision]));
        }
        let features = features | if mixed { MIXED } else { wgpu::Features::empty() };
        let hardware = Hardware {
            software: info.device_type == DeviceType::Cpu,
            subgroup: if features.contains(wgpu::Features::SUBGROUP) { subgroup(&info) } else { 0 },
            invocations: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x),
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
            cooperative,
            tuning: Tuning::default(),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("mlp-gpu"),
            required_features: features,
            experimental_features: if mixed {
                // SAFETY: what is experimental is the shape of the API; the shaders that use it are checked against the twins.
                unsafe { wgpu::ExperimentalFeatures::enabled() }
            } else {
                wgpu::ExperimentalFeatures::disabled()
            },
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| Error::Adapter(format!("cannot open adapter {}: {error}", info.name)))?;
        let failures = failures::watch(&device);
        let memory = memory(adapter);
        let data_bytes = memory.map_or(u64::MAX, |bytes| bytes / 4 * 3);
        let adapter = adapter.clone();
        Ok(Self { device, queue, adapter, info, limits, hardware, memory, data_bytes, checked: false, failures })
    }

    /// The same device, but shaders run with the driver's checks.
    pub fn checked(&self) -> Self {
        Self { checked: true, ..self.clone() }
    }

    /// A device on the same adapter, opened anew.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the adapter is gone, or refuses.
    pub async fn reopen(&self) -> Result<Self> {
        let same = |adapter: &&wgpu::Adapter| adapter.get_info() == self.info;
        let adapters = adapters().await;
        let gone = || Error::Adapter(format!("adapter {} is no longer there", self.info.name));
        let adapter = adapters.iter().find(same).ok_or_else(gone)?;
        let precision = if self.hardware.cooperative.is_some() { Precision::Mixed } else { Precision::F32 };
        let opened = Self::open_with(adapter, precision, self.limits.clone(), self.device.features()).await?;
        let (hardware, data_bytes, checked) = (self.hardware.clone(), self.data_bytes, self.checked);
        Ok(Self { hardware, data_bytes, checked, ..opened })
    }
}
