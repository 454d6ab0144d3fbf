//! `mlp-gpu devices`

use super::print_text;
use crate::backend::gpu::device::{adapters, best_hardware, cooperative, tried, type_name};
use crate::error::Result;

pub(super) fn run() -> Result<()> {
    let adapters = pollster::block_on(adapters());
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    for (index, (adapter, info)) in adapters.iter().zip(&infos).enumerate() {
        let limits = adapter.limits();
        print_text(&format!("{index}: {} ({}, {})", info.name, info.backend, type_name(info)))?;
        print_text(&format!("   driver: {} {}", info.driver, info.driver_info))?;
        print_text(&format!(
            "   limits: {} MiB a binding, {} MiB a buffer, {} invocations and {} KiB of memory a workgroup, \
             {} storage buffers a kernel",
            limits.max_storage_buffer_binding_size >> 20,
            limits.max_buffer_size >> 20,
            limits.max_compute_invocations_per_workgroup,
            limits.max_compute_workgroup_storage_size >> 10,
            limits.max_storage_buffers_per_shader_stage,
        ))?;
        print_text(&format!("   precision: {}", if cooperative(adapter).is_some() { "f32, mixed" } else { "f32" }))?;
    }
    print_text(&match best_hardware(&infos) {
        Some(index) => {
            format!(
                "auto takes {index}: {}, the first of the best kind ({})",
                infos[index].name,
                type_name(&infos[index])
            )
        }
        None if infos.is_empty() => format!("auto takes the CPU: no adapter was found (tried {})", tried()),
        None => "auto takes the CPU: all adapters are software (name one, or use --backend gpu, to run on it)".into(),
    })
}
