//! The registry: every kernel, once, and the files that it is linked from.
//!
//! A shader says in a line `// uses: NAME, NAME` what it is linked with: a file of `shaders/shared/`, or a part such as
//! `activation`, `head` or `optimizer`, which [`Link`] chooses. Those may use others. Bindings and constants are not
//! listed here: a shader declares them, and they are bound by the names it gives them.

use std::collections::BTreeMap;

use wgpu::naga;

use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::link::{Link, Part};
use crate::error::{Error, Result};

/// A compute kernel: one WGSL file, with the entry point `main` and the bindings in group 0.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name of its file in `shaders/`, and of its CPU twin.
    pub name: &'static str,
    /// The WGSL text of that file.
    pub text: &'static str,
    /// Whether it computes what several elementary kernels do: then it has no twin of its own, but is checked against the
    /// composition of theirs.
    pub fused: bool,
    /// What hardware it needs.
    pub needs: Needs,
}

/// What hardware a kernel needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// What every WebGPU device has.
    Nothing,
    /// Subgroups of at least so many invocations.
    Subgroup(u32),
    /// Cooperative matrices of so many rows and columns.
    Cooperative(usize),
}

impl Needs {
    /// Whether `hardware` has it.
    pub fn met_by(self, hardware: &Hardware) -> bool {
        match self {
            Self::Nothing => true,
            Self::Subgroup(least) => hardware.subgroup >= least,
            Self::Cooperative(side) => hardware.cooperative.is_some_and(|matrices| matrices.side == side),
        }
    }
}

macro_rules! kernels {
    (elementary { $($constant:ident $name:literal,)* }
     fused { $($fused:ident $fused_name:literal needs $needs:expr,)* }) => {
        $(kernels!(@ $constant $name, false, Needs::Nothing);)*
        $(kernels!(@ $fused $fused_name, true, $needs);)*

        /// Every kernel.
        pub static REGISTRY: &[&Kernel] = &[$(&$constant,)* $(&$fused),*];
    };
    (@ $constant:ident $name:literal, $is_fused:literal, $needs:expr) => {
        #[doc = concat!("`shaders/", $name, ".wgsl`")]
        pub static $constant: Kernel = Kernel {
            name: $name,
            text: include_str!(concat!("../../../shaders/", $name, ".wgsl")),
            fused: $is_fused,
            needs: $needs,
        };
    };
}

kernels! {
    elementary {
        GATHER_U8 "gather_u8",
        GATHER_F32 "gather_f32",
        AUGMENT "augment",
        EMBED "embed",
        EMBED_BACKWARD "embed_backward",
        SCALE "scale",
        SCALE_BACKWARD "scale_backward",
        FRONT_STEP "front_step",
        MATMUL "matmul",
        MATMUL_AT_B "matmul_at_b",
        MATMUL_A_BT "matmul_a_bt",
        BIAS_ADD "bias_add",
        ACTIVATE "activate",
        ACTIVATE_BACKWARD "activate_backward",
        ROW_SOFTMAX "row_softmax",
        CROSS_ENTROPY "cross_entropy",
        LOSS_GRADIENT "loss_gradient",
        REDUCE_ROWS "reduce_rows",
        SUM "sum",
        SQUARES "squares",
        CLIP "clip",
        STEP "step",
    }
    fused {
        DENSE "dense" needs Needs::Nothing,
        DENSE_AHEAD "dense_ahead" needs Needs::Nothing,
        DENSE_SLICED "dense_sliced" needs Needs::Nothing,
        DENSE_SUBGROUP "dense_subgroup" needs Needs::Subgroup(4),
        DENSE_COOPERATIVE "dense_cooperative" needs Needs::Cooperative(16),
        DENSE_COOPERATIVE_SMALL "dense_cooperative_small" needs Needs::Cooperative(8),
        OUTPUT "output" needs Needs::Nothing,
        OUTPUT_AHEAD "output_ahead" needs Needs::Nothing,
        OUTPUT_REGISTERS "output_registers" needs Needs::Nothing,
        NARROW_FORWARD "narrow_forward" needs Needs::Nothing,
        NARROW_FORWARD_FLAT "narrow_forward_flat" needs Needs::Nothing,
        NARROW_FORWARD_SUBGROUP "narrow_forward_subgroup" needs Needs::Subgroup(8),
        NARROW_STEP "narrow_step" needs Needs::Subgroup(8),
        NARROW_UPDATE "narrow_update" needs Needs::Nothing,
        NARROW_UPDATE_SLICED "narrow_update_sliced" needs Needs::Nothing,
        NARROW_UPDATE_SUBGROUP "narrow_update_subgroup" needs Needs::Subgroup(8),
        RESIDENT "resident" needs Needs::Nothing,
        RESIDENT_SLICED "resident_sliced" needs Needs::Subgroup(8),
        RESIDENT_SUBGROUP "resident_subgroup" needs Needs::Subgroup(8),
    }
}

macro_rules! shared {
    ($($name:literal),* $(,)?) => {
        /// The files of `shaders/shared/`: name and text.
        static SHARED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../shaders/shared/", $name, ".wgsl")))),*];
    };
}

shared![
    "adam_step",
    "ahead",
    "batch",
    "bytes",
    "circle",
    "cooperative",
    "decay",
    "exponential",
    "hash",
    "head_by_value",
    "last_input",
    "last_layer",
    "last_row",
    "layer",
    "nan",
    "narrow",
    "narrow_parameters",
    "narrow_rows",
    "normal",
    "order",
    "own_parameters",
    "own_rows",
    "resident",
    "rows",
    "sigmoids",
    "sliced",
    "slots",
    "softmax",
    "stepping",
    "unit_gradients",
    "unit_weights",
    "values",
    "wave_sizes",
    "waves",
];

/// What a shader's line `// uses:` names.
fn uses(text: &'static str) -> impl Iterator<Item = &'static str> {
    let line = text.lines().find_map(|line| line.strip_prefix("// uses: ")).unwrap_or_default();
    line.split(", ").filter(|name| !name.is_empty())
}

impl Kernel {
    /// Whether it rounds operands to 16 bits.
    pub fn is_mixed(&self) -> bool {
        matches!(self.needs, Needs::Cooperative(_))
    }

    /// The texts of what it uses, itself or through another, each once.
    fn linked(&self, link: Link) -> Result<Vec<&'static str>> {
        let mut names: Vec<&str> = uses(self.text).collect();
        let mut texts = Vec::new();
        let mut next = 0;
        while let Some(&name) = names.get(next) {
            let text = match Part::named(name) {
                Some(part) => link.text(part),
                None => {
                    let shared = SHARED.iter().find(|(shared, _)| *shared == name);
                    shared.ok_or_else(|| self.error(&format!("it uses {name:?}, which is not in shaders/shared/")))?.1
                }
            };
            for used in uses(text) {
                if !names.contains(&used) {
                    names.push(used);
                }
            }
            texts.push(text);
            next += 1;
        }
        Ok(texts)
    }

    /// Its text with all that it uses, by the parts of `link`.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the kernel and what is not there.
    pub fn source(&self, link: Link) -> Result<String> {
        Ok([&[self.text][..], &self.linked(link)?].concat().join("\n"))
    }

    /// The kinds of parts that it is linked with.
    pub fn parts(&self, link: Link) -> Result<Vec<Part>> {
        let texts = self.linked(link)?;
        let names = [self.text].into_iter().chain(texts).flat_map(uses);
        let mut parts = Vec::new();
        for part in names.filter_map(Part::named) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        Ok(parts)
    }
}

/// The name of the uniform that says which rows a dispatch works on.
pub const BATCHES: &str = "batches";

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// The uniform that says which rows a dispatch works on, another in each step.
    Batch,
    /// A uniform that is the same in every step.
    Table,
    /// A storage buffer that the kernel only reads.
    Read,
    /// A storage buffer that the kernel writes.
    Write,
}

/// A shader, parsed and validated.
#[derive(Debug)]
pub struct Reflection {
    /// What wgpu makes a pipeline of.
    pub module: naga::Module,
    /// Its bindings by name: the number in group 0, and the kind.
    pub bindings: BTreeMap<String, (u32, BindingKind)>,
    /// The names of its `override` constants without a value of their own.
    pub constants: Vec<String>,
    /// Invocations a workgroup; 0 where the constant `lanes` says so.
    pub invocations: u32,
    /// Bytes of workgroup memory, arrays whose length a constant says left out.
    pub workgroup_bytes: u32,
}

impl Kernel {
    /// Links, parses and validates the shader.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the kernel and the place, for a shader that does not hold.
    pub fn reflect(&self, link: Link) -> Result<Reflection> {
        reflect(self.name, &self.source(link)?)
    }

    fn error(&self, what: &str) -> Error {
        error(self.name, what)
    }
}

fn error(kernel: &str, what: &str) -> Error {
    Error::Gpu(format!("kernel {kernel}: {what}"))
}

/// Parses and validates the WGSL text of a kernel.
///
/// # Errors
/// [`Error::Gpu`] naming the kernel and the place, for a shader that does not hold.
pub(super) fn reflect(kernel: &str, source: &str) -> Result<Reflection> {
    let path = format!("shaders/{kernel}.wgsl");
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|why| error(kernel, &why.emit_to_string_with_path(source, &path)))?;
    let capabilities = naga::valid::Capabilities::SUBGROUP
        | naga::valid::Capabilities::SHADER_FLOAT16
        | naga::valid::Capabilities::COOPERATIVE_MATRIX;
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|why| error(kernel, &why.emit_to_string_with_path(source, &path)))?;
    let entry = module.entry_points.iter().find(|entry| entry.name == "main");
    let entry = entry.ok_or_else(|| error(kernel, "no entry point `main`"))?;
    let invocations = match entry.workgroup_size_overrides {
        Some(_) => 0,
        None => entry.workgroup_size.iter().product(),
    };

    let mut bindings = BTreeMap::new();
    let mut workgroup_bytes = 0;
    for (_, variable) in module.global_variables.iter() {
        let kind = match variable.space {
            naga::AddressSpace::Uniform if variable.name.as_deref() == Some(BATCHES) => BindingKind::Batch,
            naga::AddressSpace::Uniform => BindingKind::Table,
            naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => BindingKind::Write,
            naga::AddressSpace::Storage { .. } => BindingKind::Read,
            naga::AddressSpace::WorkGroup => {
                workgroup_bytes += module.types[variable.ty].inner.size(module.to_ctx());
                continue;
            }
            _ => continue,
        };
        let (Some(name), Some(at)) = (&variable.name, &variable.binding) else { continue };
        bindings.insert(name.clone(), (at.binding, kind));
    }
    let constants = module.overrides.iter().filter(|(_, constant)| constant.init.is_none());
    let constants = constants.filter_map(|(_, constant)| constant.name.clone()).collect();
    Ok(Reflection { module, bindings, constants, invocations, workgroup_bytes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::gpu::link::{Dropping, HeadKind};
    use crate::model::Activation;
    use crate::recipe::OptimizerKind;

    /// The names of the WGSL files in a folder of `shaders/`.
    fn files(folder: &str) -> Vec<String> {
        let folder = format!("{}/shaders/{folder}", env!("CARGO_MANIFEST_DIR"));
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter_map(|name| name.strip_suffix(".wgsl").map(str::to_owned)).collect();
        names.sort();
        names
    }

    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Every choice of the parts that a launch of `kernel` is linked with.
    fn links(kernel: &Kernel) -> Vec<Link> {
        let parts = kernel.parts(Link::default()).unwrap();
        let mut links = vec![Link::default()];
        if parts.contains(&Part::Activation) {
            let with = |link: Link| Activation::ALL.iter().map(move |&activation| Link { activation, ..link });
            links = links.into_iter().flat_map(with).collect();
        }
        if parts.contains(&Part::Head) {
            let with = |link: Link| HeadKind::ALL.map(|head| Link { head, ..link });
            links = links.into_iter().flat_map(with).collect();
        }
        if parts.contains(&Part::Optimizer) {
            let with = |link: Link| OptimizerKind::ALL.map(|optimizer| Link { optimizer, ..link });
            links = links.into_iter().flat_map(with).collect();
        }
        if parts.contains(&Part::Dropout) {
            let dropout = Some(Dropping { layer: 1 });
            links = links.into_iter().flat_map(|link| [link, Link { dropout, ..link }]).collect();
        }
        if parts.contains(&Part::Weights) {
            links = links.into_iter().flat_map(|link| [link, Link { weights: true, ..link }]).collect();
        }
        // An evaluation drops nothing, weighs nothing, and tallies classes.
        if parts.contains(&Part::Tally) {
            let evaluations = links.clone().into_iter();
            let evaluations =
                evaluations.filter(|link| link.head.is_classes() && link.dropout.is_none() && !link.weights);
            links.extend(evaluations.map(|link| Link { tally: true, ..link }).collect::<Vec<_>>());
        }
        if parts.contains(&Part::Clipping) {
            links = links.into_iter().flat_map(|link| [link, Link { clipping: true, ..link }]).collect();
        }
        // A launch that saves makes no step, and one that makes a step calls no activation.
        if parts.contains(&Part::Save) {
            links.retain(|link| {
                link.optimizer == OptimizerKind::Sgd
                    || (link.activation == Activation::Identity && link.dropout.is_none())
            });
        }
        links
    }

    #[test]
    fn every_shader_is_registered_and_valid_with_all_that_it_is_linked_with() {
        assert_eq!(files(""), sorted(REGISTRY.iter().map(|kernel| kernel.name)));
        let chosen = [
            ["dropout", "no_dropout"],
            ["save", "save_nothing"],
            ["weights", "no_weights"],
            ["tally", "no_tally"],
            ["clipping", "no_clipping"],
        ];
        let chosen = chosen.as_flattened().iter().copied();
        assert_eq!(files("shared"), sorted(SHARED.iter().map(|&(name, _)| name).chain(chosen)));
        for kernel in REGISTRY {
            for link in links(kernel) {
                let reflection = kernel.reflect(link).unwrap();
                assert!(!reflection.bindings.is_empty(), "{} {link}", kernel.name);
                // WebGPU's default limits.
                let is_storage = |kind| matches!(kind, BindingKind::Read | BindingKind::Write);
                let buffers = reflection.bindings.values().filter(|&&(_, kind)| is_storage(kind)).count();
                assert!(buffers <= 8, "{} {link}: {buffers} storage buffers", kernel.name);
                assert!(reflection.invocations <= 256, "{} {link}", kernel.name);
                assert!(reflection.workgroup_bytes <= 16_384, "{} {link}", kernel.name);
            }
        }
    }

    #[test]
    fn every_part_is_a_file_of_its_own() {
        let texts = |part, links: Vec<Link>| {
            let mut texts: Vec<_> = links.into_iter().map(|link| link.text(part)).collect();
            texts.sort_unstable();
            texts.dedup();
            texts.len()
        };
        let of = Link::default();
        let activations = Activation::ALL.iter().map(|&activation| Link { activation, ..of });
        assert_eq!(files("link/activation").len(), texts(Part::Activation, activations.collect()));
        assert_eq!(files("link/head").len(), texts(Part::Head, HeadKind::ALL.map(|head| Link { head, ..of }).to_vec()));
        let optimizers = OptimizerKind::ALL.map(|optimizer| Link { optimizer, ..of });
        assert_eq!(files("link/optimizer").len(), texts(Part::Optimizer, optimizers.to_vec()));
    }

    #[test]
    fn every_elementary_kernel_has_a_twin_of_its_name() {
        for kernel in REGISTRY.iter().filter(|kernel| !kernel.fused) {
            let twin = format!("{}/src/backend/cpu/{}.rs", env!("CARGO_MANIFEST_DIR"), kernel.name);
            let text = std::fs::read_to_string(&twin).unwrap();
            assert!(text.contains(&format!("pub fn {}(", kernel.name)), "{twin}");
        }
    }

    #[test]
    fn a_broken_shader_is_an_error_that_names_it() {
        for text in [
            "fn main( {",
            "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }",
            "const a = 1;",
            "// uses: what_is_not_there\n@compute @workgroup_size(1) fn main() {}",
        ] {
            let kernel = Kernel { name: "broken", text, fused: false, needs: Needs::Nothing };
            let error = kernel.reflect(Link::default()).unwrap_err().to_string();
            assert!(error.starts_with("kernel broken: "), "{error}");
        }
    }
}
