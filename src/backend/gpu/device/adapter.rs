//! Which adapters there are, what they have, and which one to take.

use wgpu::DeviceType;

use crate::backend::gpu::hardware::Cooperative;
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

/// Invocations of a subgroup at least, on an adapter that has subgroups; 0 where its kernels are better without.
pub(super) fn subgroup(info: &wgpu::AdapterInfo) -> u32 {
    // SwiftShader needs more than 20 GB to compile `dense_subgroup`.
    if info.driver.starts_with("SwiftShader") { 0 } else { info.subgroup_min_size }
}

/// What the cooperative kernels use.
pub(super) const MIXED: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// What `adapter` has for [`Precision::Mixed`](crate::backend::Precision::Mixed), if it has it: cooperative matrices with 16-bit operands and 32-bit sums, and
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
pub(super) fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
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
