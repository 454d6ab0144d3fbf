//! Shaders and pipelines, and launches with their buffers bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use crate::backend::gpu::device::Device;
use crate::backend::gpu::join::Joined;
use crate::backend::gpu::kernels::{BindingKind, Reflection};
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::{Buffer, Dispatch};
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

/// What becomes one pipeline.
enum Program<'a> {
    One(&'a Launch),
    /// Its label, and its text, which has the constants in it.
    Joined(String, Joined),
}

impl<'a> Program<'a> {
    fn of(dispatch: &'a Dispatch) -> Result<Self> {
        Ok(match &dispatch.pieces[..] {
            [piece] => Self::One(&piece.launch),
            pieces => Self::Joined(dispatch.label(), Joined::new(pieces)?),
        })
    }

    /// In words, for messages.
    fn name(&self) -> &str {
        match self {
            Self::One(launch) => launch.kernel.name,
            Self::Joined(label, ..) => label,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::One(launch) => launch.label(),
            Self::Joined(label, ..) => label.clone(),
        }
    }

    fn grid(&self) -> [u32; 2] {
        match self {
            Self::One(launch) => launch.grid,
            Self::Joined(_, joined) => joined.grid,
        }
    }

    /// What tells its shader from others.
    fn shader(&self) -> String {
        match self {
            Self::One(launch) => launch.shader(),
            Self::Joined(_, joined) => joined.source.clone(),
        }
    }

    /// What tells it from others.
    fn key(&self) -> String {
        match self {
            Self::One(launch) => launch.program(),
            Self::Joined(_, joined) => joined.source.clone(),
        }
    }

    fn reflect(&self) -> Result<Reflection> {
        match self {
            Self::One(launch) => launch.kernel.reflect(launch.link),
            Self::Joined(_, joined) => joined.reflect(),
        }
    }

    fn constants(&self) -> &[(&'static str, f64)] {
        match self {
            Self::One(launch) => &launch.constants,
            Self::Joined(..) => &[],
        }
    }

    /// Invocations of a workgroup, if not the shader's text says how many.
    fn lanes(&self) -> Option<u32> {
        match self {
            Self::One(launch) => launch.constant("lanes").map(|lanes| lanes as u32),
            Self::Joined(..) => None,
        }
    }
}

impl Programs {
    pub(crate) fn new(device: Device) -> Self {
        Self { device, shaders: HashMap::new(), pipelines: HashMap::new() }
    }

    /// Pipelines and bind groups of `dispatches` over `buffers`.
    pub(super) fn prepare(
        &mut self,
        dispatches: &[Dispatch],
        buffers: &BTreeMap<Buffer, wgpu::Buffer>,
        table: &Table,
    ) -> Result<Vec<Ready>> {
        let programs = dispatches.iter().map(Program::of).collect::<Result<Vec<_>>>()?;
        self.build(&programs)?;
        let ready = programs.iter().zip(dispatches).map(|(program, dispatch)| match program {
            Program::One(_) => self.bind(program, &dispatch.pieces[0].bound(buffers), table),
            Program::Joined(_, joined) => {
                let bound = joined.bindings.iter().map(|(name, buffer)| (name.as_str(), &buffers[buffer]));
                self.bind(program, &bound.collect::<Vec<_>>(), table)
            }
        });
        ready.collect()
    }

    /// A launch with its buffers bound by the shader's names.
    pub(crate) fn ready(&mut self, launch: &Launch, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        let program = Program::One(launch);
        self.build(std::slice::from_ref(&program))?;
        self.bind(&program, bound, table)
    }

    /// Builds what is not there yet of shaders and pipelines for `programs`, side by side: drivers take long.
    fn build(&mut self, programs: &[Program<'_>]) -> Result<()> {
        let missing: BTreeMap<String, &Program<'_>> = programs
            .iter()
            .map(|program| (program.key(), program))
            .filter(|(key, _)| !self.pipelines.contains_key(key))
            .collect();
        let sources: BTreeMap<String, &Program<'_>> = missing
            .values()
            .map(|&program| (program.shader(), program))
            .filter(|(shader, _)| !self.shaders.contains_key(shader))
            .collect();
        let device = &self.device;
        let shaders: Vec<_> = sources
            .into_par_iter()
            .map(|(shader, program)| Ok((shader, Arc::new(Shader::new(device, program)?))))
            .collect::<Result<_>>()?;
        self.shaders.extend(shaders);
        let shaders = &self.shaders;
        let pipelines: Vec<_> = missing
            .into_par_iter()
            .map(|(key, program)| Ok((key, shaders[&program.shader()].pipeline(device, program)?)))
            .collect::<Result<_>>()?;
        self.pipelines.extend(pipelines);
        Ok(())
    }

    /// A program that was built, with its buffers.
    fn bind(&self, program: &Program<'_>, bound: &[(&str, &wgpu::Buffer)], table: &Table) -> Result<Ready> {
        let (name, grid) = (program.name(), program.grid());
        let most = self.device.limits.max_compute_workgroups_per_dimension;
        if grid.iter().any(|&groups| groups > most) {
            return Err(Error::Gpu(format!(
                "kernel {name} needs {} x {} workgroups, but adapter {} takes {most} along an axis",
                grid[0], grid[1], self.device.info.name
            ))
            .advise(&[Remedy::SmallerBatch, Remedy::SmallerLayers, Remedy::Cpu]));
        }
        let shader = &self.shaders[&program.shader()];
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
        let pipeline = self.pipelines[&program.key()].clone();
        Ok(Ready { pipeline, bind_group, grid, label: program.label() })
    }
}

impl Shader {
    fn new(device: &Device, program: &Program<'_>) -> Result<Self> {
        let name = program.name();
        let reflection = program.reflect()?;
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

    fn pipeline(&self, device: &Device, program: &Program<'_>) -> Result<wgpu::ComputePipeline> {
        let name = program.name();
        let (limits, reflection) = (&device.limits, &self.reflection);
        let invocations = program.lanes().unwrap_or(reflection.invocations);
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
                constants: program.constants(),
                zero_initialize_workgroup_memory: device.checked,
            },
            cache: None,
        };
        let pipeline = device.device.create_compute_pipeline(&descriptor);
        device.check(&format!("kernel {name}"))?;
        Ok(pipeline)
    }
}
