//! What a Vulkan driver says of the pipelines that it compiles; nothing is run.

use std::ffi::{CStr, c_char};
use std::path::Path;

use ash::vk;

use crate::Result;

struct Driver {
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    /// Whether it has cooperative matrices.
    cooperative: bool,
    /// The most invocations, and bytes of workgroup memory, of a workgroup.
    invocations: u32,
    workgroup_bytes: u32,
    // Dropped last: the device needs them.
    _instance: ash::Instance,
    _entry: ash::Entry,
}

/// Prints the driver's name, then of each program that it has the units and the memory for, program, name and value of each statistic.
pub fn compile(folder: &Path) -> Result<()> {
    let driver = Driver::open()?;
    for line in std::fs::read_to_string(folder.join("programs.tsv"))?.lines() {
        let [number, lanes, workgroup_bytes, bindings] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("programs.tsv: {line}").into());
        };
        let cooperative = !folder.join(format!("{number}.metal")).exists();
        let fits =
            lanes.parse::<u32>()? <= driver.invocations && workgroup_bytes.parse::<u32>()? <= driver.workgroup_bytes;
        if !fits || cooperative && !driver.cooperative {
            continue;
        }
        let bytes = std::fs::read(folder.join(format!("{number}.spv")))?;
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        match driver.statistics(&words, bindings) {
            Ok(statistics) => statistics.iter().for_each(|(name, value)| println!("{number}\t{name}\t{value}")),
            Err(error) => println!("{number}\tfailed\t{error}"),
        }
    }
    Ok(())
}

fn text(chars: &[c_char]) -> String {
    // SAFETY: Vulkan's fixed arrays of characters end with a zero.
    unsafe { CStr::from_ptr(chars.as_ptr()) }.to_string_lossy().into_owned()
}

impl Driver {
    /// Opens the first GPU, with the features that wgpu switches on and those that its kernels use.
    fn open() -> Result<Self> {
        // SAFETY: every call has what Vulkan asks of it: handles of live objects, and structures that outlive the call.
        unsafe {
            let entry = ash::Entry::load()?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let create = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&create, None)?;
            let gpu = *instance.enumerate_physical_devices()?.first().ok_or("the driver has no GPU")?;
            let properties = instance.get_physical_device_properties(gpu);
            println!("# {}", text(&properties.device_name));

            let offered = instance.enumerate_device_extension_properties(gpu)?;
            let has = |name: &CStr| offered.iter().any(|one| one.extension_name_as_c_str() == Ok(name));
            let mut extensions = vec![ash::khr::pipeline_executable_properties::NAME];
            let (robust, cooperative) = (has(ash::ext::robustness2::NAME), has(ash::khr::cooperative_matrix::NAME));
            extensions.extend(robust.then_some(ash::ext::robustness2::NAME));
            extensions.extend(cooperative.then_some(ash::khr::cooperative_matrix::NAME));
            let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();

            let mut info =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
            let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
            let mut v11 = vk::PhysicalDeviceVulkan11Features::default().storage_buffer16_bit_access(cooperative);
            let mut v12 = vk::PhysicalDeviceVulkan12Features::default().shader_float16(cooperative);
            v12 = v12.vulkan_memory_model(cooperative).vulkan_memory_model_device_scope(cooperative);
            let mut v13 = vk::PhysicalDeviceVulkan13Features::default().subgroup_size_control(true);
            let core = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
            let mut features = vk::PhysicalDeviceFeatures2::default().features(core).push_next(&mut info);
            features = features.push_next(&mut v11).push_next(&mut v12).push_next(&mut v13);
            if robust {
                features = features.push_next(&mut robustness);
            }
            if cooperative {
                features = features.push_next(&mut matrices);
            }
            let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let create = vk::DeviceCreateInfo::default().queue_create_infos(&queues).enabled_extension_names(&names);
            let device = instance.create_device(gpu, &create.push_next(&mut features), None)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            let limits = properties.limits;
            let invocations = limits.max_compute_work_group_invocations;
            let workgroup_bytes = limits.max_compute_shared_memory_size;
            Ok(Self {
                device,
                executables,
                cooperative,
                invocations,
                workgroup_bytes,
                _instance: instance,
                _entry: entry,
            })
        }
    }

    /// The statistics of a compute pipeline of this SPIR-V. Nothing is destroyed: the program ends soon.
    fn statistics(&self, words: &[u32], bindings: &str) -> Result<Vec<(String, f64)>> {
        let entry = |binding: &str| {
            let (number, kind) = binding.split_once(':').ok_or("a binding without a kind")?;
            let kind = match kind {
                "batches" => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
                "uniform" => vk::DescriptorType::UNIFORM_BUFFER,
                _ => vk::DescriptorType::STORAGE_BUFFER,
            };
            let entry = vk::DescriptorSetLayoutBinding::default().binding(number.parse()?).descriptor_count(1);
            Ok(entry.stage_flags(vk::ShaderStageFlags::COMPUTE).descriptor_type(kind))
        };
        let entries = bindings.split(' ').map(entry).collect::<Result<Vec<_>>>()?;
        let mut found = Vec::new();
        // SAFETY: as in `open`; naga validated the SPIR-V, and the layout has all that it binds.
        unsafe {
            let module = self.device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(words), None)?;
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&entries);
            let sets = [self.device.create_descriptor_set_layout(&create, None)?];
            let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = self.device.create_pipeline_layout(&create, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE).name(c"main");
            let varying = vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
            let create = vk::ComputePipelineCreateInfo::default().stage(stage.module(module).flags(varying));
            let create = create.layout(layout).flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR);
            let pipelines = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = pipelines.map_err(|(_, error)| error)?[0];

            let which = vk::PipelineInfoKHR::default().pipeline(pipeline);
            for (index, part) in self.executables.get_pipeline_executable_properties(&which)?.iter().enumerate() {
                found.push(("Subgroup size".into(), f64::from(part.subgroup_size)));
                let which = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(index as u32);
                for one in self.executables.get_pipeline_executable_statistics(&which)? {
                    let value = match one.format {
                        vk::PipelineExecutableStatisticFormatKHR::BOOL32 => f64::from(one.value.b32),
                        vk::PipelineExecutableStatisticFormatKHR::INT64 => one.value.i64 as f64,
                        vk::PipelineExecutableStatisticFormatKHR::UINT64 => one.value.u64 as f64,
                        _ => one.value.f64,
                    };
                    found.push((text(&one.name), value));
                }
            }
        }
        Ok(found)
    }
}
