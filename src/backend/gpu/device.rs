//! Adapters: which there are, which one to take, and a device opened on it whose errors come back as errors.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use wgpu::DeviceType;

use crate::backend::Precision;
use crate::backend::gpu::hardware::{Cooperative, Hardware, Tuning};
use crate::backend::gpu::kernels::{BindingKind, Reflection};
use crate::error::{Error, Remedy, Result};

/// All adapters of Vulkan, Metal and DX12, in a fixed order: their place in it is their index.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor.with_env());
    instance.enumerate_adapters(wgpu::Backends::PRIMARY.with_env()).await
}

/// The graphics interfaces that are asked for adapters, in words: those that wgpu's variable `WGPU_BACKEND` names, where it is set.
pub fn tried() -> String {
    match std::env::var("WGPU_BACKEND") {
        Ok(named) if !named.is_empty() => format!("WGPU_BACKEND={named} of Vulkan, Metal and DX12"),
        _ => "Vulkan, Metal and DX12".into(),
    }
}

/// Lower is better; software drivers come last.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

/// The kind of adapter in a word or two.
pub fn type_name(info: &wgpu::AdapterInfo) -> &'static str {
    match info.device_type {
        DeviceType::DiscreteGpu => "discrete GPU",
        DeviceType::IntegratedGpu => "integrated GPU",
        DeviceType::VirtualGpu => "virtual GPU",
        DeviceType::Other => "other",
        DeviceType::Cpu => "software",
    }
}

/// Index of the adapter that `auto` takes: the first of the best kind, if any is hardware.
pub fn best_hardware(infos: &[wgpu::AdapterInfo]) -> Option<usize> {
    best(infos).filter(|&index| infos[index].device_type != DeviceType::Cpu)
}

fn best(infos: &[wgpu::AdapterInfo]) -> Option<usize> {
    (0..infos.len()).min_by_key(|&index| rank(&infos[index]))
}

/// Index of the adapter that `--backend gpu` takes: the one `wanted` names (an index, or a part of a name in any case),
/// else the best, software included.
///
/// # Errors
/// [`Error::Adapter`] where there is none, none fits `wanted`, or more than one does.
pub fn choose(infos: &[wgpu::AdapterInfo], wanted: Option<&str>) -> Result<usize> {
    let Some(default) = best(infos) else {
        return Err(
            Error::Adapter(format!("no GPU adapter found (tried {})", tried())).advise(&[Remedy::Driver, Remedy::Cpu])
        );
    };
    let Some(wanted) = wanted else { return Ok(default) };
    if let Ok(index) = wanted.parse::<usize>() {
        if index < infos.len() {
            return Ok(index);
        }
        return Err(Error::Adapter(format!("there is no adapter {index}; there is {}", listed(infos, 0..infos.len()))));
    }
    let fits = |index: &usize| infos[*index].name.to_lowercase().contains(&wanted.to_lowercase());
    let mut fitting = (0..infos.len()).filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => Err(Error::Adapter(format!(
            "no adapter's name contains {wanted:?}; there is {}",
            listed(infos, 0..infos.len())
        ))),
        (Some(_), Some(_)) => Err(Error::Adapter(format!(
            "{wanted:?} is in the names of several adapters, choose by index: {}",
            listed(infos, (0..infos.len()).filter(fits))
        ))),
    }
}

fn listed(infos: &[wgpu::AdapterInfo], indices: impl Iterator<Item = usize>) -> String {
    indices.map(|index| format!("{index}: {}", infos[index].name)).collect::<Vec<_>>().join(", ")
}

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
    /// What was asked of the adapter: WebGPU's defaults, but buffers, workgroup memory and bindings as it has them.
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

/// What the driver reported.
#[derive(Default)]
struct Failures {
    /// That the device was lost, for good.
    lost: Option<String>,
    /// The first error since the last call of [`Device::check`], by the thread whose call it is of: engines on several threads share
    /// a device.
    errors: HashMap<ThreadId, String>,
}

/// What `adapter` has for [`Precision::Mixed`], if it has it: cooperative matrices with 16-bit operands and 32-bit sums, and
/// subgroups of one size.
pub fn cooperative(adapter: &wgpu::Adapter) -> Option<Cooperative> {
    let (info, matrices) = (adapter.get_info(), adapter.cooperative_matrix_properties());
    let fits = |matrix: &&wgpu::CooperativeMatrixProperties| {
        let sides = [matrix.m_size, matrix.n_size, matrix.k_size];
        (sides == [16; 3] || sides == [8; 3])
            && matrix.ab_type == wgpu::CooperativeScalarType::F16
            && matrix.cr_type == wgpu::CooperativeScalarType::F32
            && !matrix.saturating_accumulation
    };
    let side = matrices.iter().filter(fits).map(|matrix| matrix.m_size as usize).max()?;
    let usable = adapter.features().contains(MIXED) && info.subgroup_min_size == info.subgroup_max_size;
    usable.then_some(Cooperative { side, subgroup: info.subgroup_min_size as usize })
}

/// Bytes of the largest memory that `adapter` has for itself; none where its driver, which is not Vulkan's, does not tell.
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    // Where wgpu has Vulkan.
    #[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
        const DEVICE_LOCAL: u32 = 1;
        // SAFETY: the adapter behind it is only asked what it is.
        let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
        let instance = adapter.shared_instance().raw_instance();
        // SAFETY: the physical device is one of this instance, which lives as long as the adapter does.
        let properties = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
        let heaps = properties.memory_heaps_as_slice().iter();
        heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
    }
    #[cfg(not(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        let _ = adapter;
        None
    }
}

/// What the cooperative kernels use.
const MIXED: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// How long the word that a device is lost is waited for where something failed.
const HEARING: Duration = Duration::from_secs(5);

/// The most storage buffers that a kernel is to bind: the updates of about ten layers.
const STORAGE_BUFFERS: u32 = 64;

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
            subgroup: if features.contains(wgpu::Features::SUBGROUP) { info.subgroup_min_size } else { 0 },
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

        let failures: Arc<Mutex<Failures>> = Arc::default();
        let of_errors = Arc::clone(&failures);
        // Called on the thread whose call failed.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut failures = of_errors.lock().unwrap_or_else(PoisonError::into_inner);
            failures.errors.entry(std::thread::current().id()).or_insert_with(|| one_line(&error));
        }));
        let of_loss = Arc::clone(&failures);
        device.set_device_lost_callback(move |reason, message| {
            let message = format!("the device was lost ({reason:?}: {})", message.trim());
            of_loss.lock().unwrap_or_else(PoisonError::into_inner).lost.get_or_insert(message);
        });
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

    /// Whether it was lost, for good.
    pub fn is_lost(&self) -> bool {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).lost.is_some()
    }

    /// The first error the driver reported of this thread's calls since the last check, about `what`; or that the device was lost.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there is one, [`Error::Lost`].
    pub fn check(&self, what: &str) -> Result<()> {
        let failures = || self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let error = failures().errors.remove(&std::thread::current().id());
        if error.is_some() {
            self.hear();
        }
        let named = |message: &str| format!("{what}: {message} (adapter {})", self.info.name);
        match (&failures().lost, error) {
            (Some(lost), _) => Err(Error::lost(named(lost))),
            (None, Some(error)) => Err(Error::Gpu(named(&error))),
            (None, None) => Ok(()),
        }
    }

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

    /// Hands over a copy of one buffer into another of the same size.
    pub fn copy(&self, from: &wgpu::Buffer, to: &wgpu::Buffer) {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        self.queue.submit([encoder.finish()]);
    }

    /// Hands `commands` over. The receiver hears when they are done.
    pub fn submit(&self, commands: wgpu::CommandBuffer) -> Submitted {
        let index = self.queue.submit([commands]);
        let (sender, receiver) = oneshot_channel();
        self.queue.on_submitted_work_done(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(());
        });
        (index, receiver)
    }

    /// Waits for what [`Device::submit`] returned.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device failed meanwhile.
    pub async fn wait(&self, (index, done): Submitted) -> Result<()> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })?;
        self.check("running kernels")?;
        done.receive().await.ok_or_else(|| self.failed("running kernels", "the device was dropped while it ran"))
    }

    /// Hands over what was written to buffers, and waits until it is there: the memory that it was copied to is free again then.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub fn flush(&self) -> Result<()> {
        let index = self.queue.submit([]);
        self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })
    }

    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        let polled = self.device.poll(how);
        self.check("running kernels")?;
        polled.map(|_| ()).map_err(|error| self.failed("waiting", &error.to_string()))
    }

    /// Waits for the word that the device is lost: what it fails with then may come before. It is said once the work under way has ended.
    fn hear(&self) {
        if !self.is_lost() {
            let _ = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(HEARING) });
        }
    }

    /// That `what` failed, or that the device was lost meanwhile.
    fn failed(&self, what: &str, why: &str) -> Error {
        self.hear();
        match self.check(what) {
            Err(error) => error,
            Ok(()) => Error::Gpu(format!("{what}: {why} (adapter {})", self.info.name)),
        }
    }

    /// Reads the bytes of a range of each buffer.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub async fn read(&self, sources: &[(&wgpu::Buffer, Range<u64>)]) -> Result<Vec<Vec<u8>>> {
        self.finish_read(self.begin_read(sources)?).await
    }

    /// Hands over the reading of the bytes of a range of each buffer, as the work before leaves them.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there is no memory for it.
    pub fn begin_read(&self, sources: &[(&wgpu::Buffer, Range<u64>)]) -> Result<Read> {
        let length = |bytes: &Range<u64>| bytes.end - bytes.start;
        let total = sources.iter().map(|(_, bytes)| length(bytes)).sum();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.buffer("results read back", total, usage)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut at = 0;
        for (source, bytes) in sources {
            encoder.copy_buffer_to_buffer(source, bytes.start, &staging, at, length(bytes));
            at += length(bytes);
        }
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, mapped) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        Ok(Read {
            staging,
            sizes: sources.iter().map(|(_, bytes)| length(bytes) as usize).collect(),
            submission,
            mapped,
        })
    }

    /// What [`Device::begin_read`] began to read; work handed over later may still be under way.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub async fn finish_read(&self, Read { staging, sizes, submission, mapped }: Read) -> Result<Vec<Vec<u8>>> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })?;
        let failed = |why: &str| self.failed("reading results back", why);
        match mapped.receive().await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(failed(&error.to_string())),
            None => return Err(failed("the device was dropped")),
        }
        let bytes = staging.get_mapped_range(..).map_err(|error| failed(&error.to_string()))?;
        let mut rest: &[u8] = &bytes;
        let part = |size| {
            let (part, after) = rest.split_at(size);
            rest = after;
            part.to_vec()
        };
        Ok(sizes.into_iter().map(part).collect())
    }
}

/// Work handed over, to wait for.
pub type Submitted = (wgpu::SubmissionIndex, OneshotReceiver<()>);

/// Results that are on their way back.
pub struct Read {
    staging: wgpu::Buffer,
    /// Bytes of each part.
    sizes: Vec<usize>,
    submission: wgpu::SubmissionIndex,
    mapped: OneshotReceiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

/// `bytes` as values, which need not be aligned.
pub fn values<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// An error and its causes on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
