//! From WGSL to SPIR-V, HLSL and MSL, with the options that wgpu sets for shaders that are trusted.

use std::collections::BTreeMap;
use std::path::Path;

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

use crate::{Program, Result};

/// What is known of a translated program.
pub struct Facts {
    /// Invocations of a workgroup.
    pub lanes: u32,
    /// Bytes of workgroup memory that it declares.
    pub workgroup_bytes: u32,
    /// Number and kind of each binding: `batches`, `uniform` or `storage`.
    pub bindings: Vec<String>,
}

const UNCHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Unchecked,
    buffer: BoundsCheckPolicy::Unchecked,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// Writes `NUMBER.spv`, `NUMBER.hlsl` and `NUMBER.metal`; the last two not where naga cannot: of cooperative matrices.
pub fn program(folder: &Path, program: &Program) -> Result<Facts> {
    let source = std::fs::read_to_string(folder.join(format!("{}.wgsl", program.shader)))?;
    let module = naga::front::wgsl::parse_str(&source)?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let info = validator.validate(&module)?;
    let entry = Some((naga::ShaderStage::Compute, "main"));
    let constants = &program.constants;
    let (module, info) = naga::back::pipeline_constants::process_overrides(&module, &info, entry, constants)?;

    let write =
        |extension: &str, bytes: &[u8]| std::fs::write(folder.join(format!("{}.{extension}", program.number)), bytes);
    let words = spirv(&module, &info)?;
    write("spv", &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())?;
    let is_cooperative =
        module.types.iter().any(|(_, ty)| matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. }));
    if !is_cooperative {
        write("hlsl", hlsl_text(&module, &info)?.as_bytes())?;
        write("metal", msl_text(&module, &info)?.as_bytes())?;
    }

    let size = |variable: &naga::GlobalVariable| module.types[variable.ty].inner.size(module.to_ctx());
    let in_workgroup = |variable: &&naga::GlobalVariable| variable.space == naga::AddressSpace::WorkGroup;
    let globals = || module.global_variables.iter().map(|(_, variable)| variable);
    let bindings = globals().filter_map(|variable| {
        let kind = match (variable.space, variable.name.as_deref()) {
            // Bound at another offset in each step.
            (naga::AddressSpace::Uniform, Some("batches")) => "batches",
            (naga::AddressSpace::Uniform, _) => "uniform",
            _ => "storage",
        };
        variable.binding.as_ref().map(|at| format!("{}:{kind}", at.binding))
    });
    Ok(Facts {
        lanes: module.entry_points[0].workgroup_size.iter().product(),
        workgroup_bytes: globals().filter(in_workgroup).map(size).sum(),
        bindings: bindings.collect(),
    })
}

fn spirv(module: &naga::Module, info: &ModuleInfo) -> Result<Vec<u32>> {
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        capabilities: None,
        bounds_check_policies: UNCHECKED,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    Ok(spv::write_vec(module, info, &options, Some(&pipeline))?)
}

fn hlsl_text(module: &naga::Module, info: &ModuleInfo) -> Result<String> {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_4,
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        special_constants_binding: Some(hlsl::BindTarget { space: 255, ..hlsl::BindTarget::default() }),
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((naga::ShaderStage::Compute, "main".into())) };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None)?;
    Ok(text)
}

fn msl_text(module: &naga::Module, info: &ModuleInfo) -> Result<String> {
    let mut resources = msl::EntryPointResources { sizes_buffer: Some(30), ..msl::EntryPointResources::default() };
    for (_, variable) in module.global_variables.iter() {
        let Some(at) = &variable.binding else { continue };
        let mutable = match variable.space {
            naga::AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
            _ => false,
        };
        let target = msl::BindTarget { buffer: Some(at.binding as u8), mutable, ..msl::BindTarget::default() };
        resources.resources.insert(*at, target);
    }
    let options = msl::Options {
        lang_version: (3, 0),
        per_entry_point_map: BTreeMap::from([("main".to_owned(), resources)]),
        bounds_check_policies: UNCHECKED,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((naga::ShaderStage::Compute, "main".into())),
        ..msl::PipelineOptions::default()
    };
    Ok(msl::write_string(module, info, &options, &pipeline)?.0)
}
