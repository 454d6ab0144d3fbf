//! Shaders and pipelines, and launches with their buffers bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use crate::backend::gpu::device::Device;
use crate::backend::gpu::kernels::{BindingKind, Reflection};
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::{Buffer, Plan};
use crate::backend::gpu::submit::{Ready, Table};
use crate::error::{Error, Remedy, Result};

/// Shaders, each built once for a kernel and its link, and pipelines, each for a shader and its constants.
pub(crate) struct Programs {
    device: Device,
    shaders: HashMap<String, Arc<Shader>>,
    pipelines: HashMap<String, wgpu::ComputePipeline>,
}

struct Shader {
    reflection: Reflection,
    module: wgpu::ShaderModule,
    bindings: wgpu::BindGroupLayout,
    layout: wgpu::PipelineLayout,
}

impl Programs {
    pub(crate) fn new(device: Device) -> Self {
        Self { device, shaders: HashMap::new(), pipelines: HashMap::new() }
    }

    /// Pipelines and bind groups of `plan` over `buffers`.
    pub(super) fn prepare(
        &mut self,
        plan: &Plan,
        buffers: &BTreeMap<Buffer, wgpu::Buffer>,
        table: &Table,
    ) -> Result<Vec<Ready>> {
        self.build(plan.dispatches.iter().map(|dispatch| &dispatch.launch))?;
        plan.dispatches.iter().map(|dispatch| self.bind(&dispatch.launch, &dispatch.bound(buffers), table)).collect()
    }

    /// A launch with its buffers bound by the shader's names.
    pub(crate) fn ready(&mut self, launch: &Launch, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        self.build([launch].into_iter())?;
        self.bind(launch, bound, table)
    }

    /// Builds what is not there yet of shaders and pipelines for `launches`, side by side: drivers take long.
    pub(super) fn build<'a>(&mut self, launches: impl Iterator<Item = &'a Launch>) -> Result<()> {
        let missing: BTreeMap<String, &Launch> = launches
            .map(|launch| (launch.program(), launch))
            .filter(|(program, _)| !self.pipelines.contains_key(program))
            .collect();
        let sources: BTreeMap<String, &Launch> = missing
            .values()
            .map(|&launch| (launch.shader(), launch))
            .filter(|(shader, _)| !self.shaders.contains_key(shader))
            .collect();
        let device = &self.device;
        let shaders: Vec<_> = sources
            .into_par_iter()
            .map(|(shader, launch)| Ok((shader, Arc::new(Shader::new(device, launch)?))))
            .collect::<Result<_>>()?;
        self.shaders.extend(shaders);
        let shaders = &self.shaders;
        let pipelines: Vec<_> = missing
            .into_par_iter()
            .map(|(program, launch)| Ok((program, shaders[&launch.shader()].pipeline(device, launch)?)))
            .collect::<Result<_>>()?;
        self.pipelines.extend(pipelines);
        Ok(())
    }

    /// A launch that was built, with its buffers.
    fn bind(&self, launch: &Launch, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        let name = launch.kernel.name;
        let most = self.device.limits.max_compute_workgroups_per_dimension;
        if launch.grid.iter().any(|&groups| groups > most) {
            return Err(Error::Gpu(format!(
                "kernel {name} needs {} x {} workgroups, but adapter {} takes {most} along an axis",
                launch.grid[0], launch.grid[1], self.device.info.name
            ))
            .advise(&[Remedy::SmallerBatch, Remedy::SmallerLayers, Remedy::Cpu]));
        }
        let shader = &self.shaders[&launch.shader()];
        let mut entries = Vec::with_capacity(shader.reflection.bindings.len());
        for (binding, &(number, kind)) in &shader.reflection.bindings {
            let resource = if kind == BindingKind::Batch {
                let size = wgpu::BufferSize::new(Table::BOUND);
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: table.buffer(), offset: 0, size })
            } else {
                let buffer = bound.iter().find(|(bound, _)| bound == binding);
                let (_, buffer) = buffer.ok_or_else(|| Error::Gpu(format!("kernel {name}: {binding} is not bound")))?;
                buffer.as_entire_binding()
            };
            entries.push(wgpu::BindGroupEntry { binding: number, resource });
        }
        let descriptor = wgpu::BindGroupDescriptor { label: Some(name), layout: &shader.bindings, entries: &entries };
        let bind_group = self.device.device.create_bind_group(&descriptor);
        self.device.check(&format!("kernel {name}"))?;
        let pipeline = self.pipelines[&launch.program()].clone();
        Ok(Ready { pipeline, bind_group, grid: launch.grid, label: launch.label() })
    }
}

impl Shader {
    fn new(device: &Device, launch: &Launch) -> Result<Self> {
        let name = launch.kernel.name;
        let reflection = launch.kernel.reflect(launch.link)?;
        let source = wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(reflection.module.clone()));
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source };
        let module = if device.checked {
            device.device.create_shader_module(descriptor)
        } else {
            // SAFETY: every kernel keeps within its own bounds, and ends its loops: the self-check runs them with checks too.
            unsafe { device.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let bindings = device.layout(name, &reflection);
        let layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        device.check(&format!("kernel {name}"))?;
        Ok(Self { reflection, module, bindings, layout })
    }

    fn pipeline(&self, device: &Device, launch: &Launch) -> Result<wgpu::ComputePipeline> {
        let name = launch.kernel.name;
        let (limits, reflection) = (&device.limits, &self.reflection);
        let lanes = launch.constants.iter().find(|(constant, _)| *constant == "lanes");
        let invocations = lanes.map_or(reflection.invocations, |&(_, lanes)| lanes as u32);
        if invocations > limits.max_compute_invocations_per_workgroup
            || reflection.workgroup_bytes > limits.max_compute_workgroup_storage_size
        {
            return Err(Error::Gpu(format!(
                "kernel {name} needs {} invocations and {} bytes of workgroup memory, but adapter {} has {} and {}",
                invocations,
                reflection.workgroup_bytes,
                device.info.name,
                limits.max_compute_invocations_per_workgroup,
                limits.max_compute_workgroup_storage_size
            )));
        }
        let descriptor = wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&self.layout),
            module: &self.module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &launch.constants,
                zero_initialize_workgroup_memory: device.checked,
            },
            cache: None,
        };
        let pipeline = device.device.create_compute_pipeline(&descriptor);
        device.check(&format!("kernel {name}"))?;
        Ok(pipeline)
    }
}
