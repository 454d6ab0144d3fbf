//! The registry: every kernel, once. Its shader, how it is launched for given sizes, and its tests.
//!
//! Bindings are not listed here: a shader declares them, and they are bound by the names it gives them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use wgpu::naga;

use crate::error::{Error, Result};
use crate::metrics::LOSS_EPSILON;

/// Invocations of a workgroup of the kernels that do one value or one row an invocation.
const LINE: usize = 64;
/// Side of the tile that a workgroup of a product makes.
const TILE: usize = 8;

/// A compute kernel: one WGSL file, with the entry point `main` and the bindings in group 0. Functions that several use
/// are in `shaders/shared/`, and follow the file's own text.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name of its file in `shaders/`, and of its CPU twin.
    pub name: &'static str,
    /// The WGSL text.
    pub source: &'static str,
    /// Whether it computes what several elementary kernels do: then it has no twin of its own, but is checked against the
    /// composition of theirs.
    pub fused: bool,
}

impl Kernel {
    /// Whether `hardware` has the subgroups or cooperative matrices that it needs.
    pub fn runs_on(&self, hardware: &Hardware) -> bool {
        match self.name {
            "dense_subgroup" => hardware.subgroup >= 4,
            "narrow_forward_subgroup" | "narrow_update_subgroup" => hardware.subgroup >= 8,
            "dense_cooperative" => hardware.cooperative.is_some_and(|matrices| matrices.side == 16),
            "dense_cooperative_small" => hardware.cooperative.is_some_and(|matrices| matrices.side == 8),
            _ => true,
        }
    }
}

macro_rules! kernels {
    (elementary { $($constant:ident $name:literal $(with $shared:literal)*,)* }
     fused { $($fused:ident $fused_name:literal $(with $fused_shared:literal)*,)* }) => {
        kernels!(@ false $($constant $name $(with $shared)*,)*);
        kernels!(@ true $($fused $fused_name $(with $fused_shared)*,)*);

        /// Every kernel.
        pub static REGISTRY: &[&Kernel] = &[$(&$constant,)* $(&$fused),*];
    };
    (@ $is_fused:literal $($constant:ident $name:literal $(with $shared:literal)*,)*) => {
        $(#[doc = concat!("`shaders/", $name, ".wgsl`")]
        pub static $constant: Kernel = Kernel {
            name: $name,
            source: concat!(
                include_str!(concat!("../../../shaders/", $name, ".wgsl")),
                $("\n", include_str!(concat!("../../../shaders/shared/", $shared, ".wgsl")),)*
            ),
            fused: $is_fused,
        };)*
    };
}

kernels! {
    elementary {
        GATHER_U8 "gather_u8",
        GATHER_F32 "gather_f32",
        MATMUL "matmul",
        MATMUL_AT_B "matmul_at_b",
        MATMUL_A_BT "matmul_a_bt",
        BIAS_ADD "bias_add",
        RELU "relu",
        RELU_MASK "relu_mask",
        ROW_SOFTMAX "row_softmax" with "exponential",
        CROSS_ENTROPY "cross_entropy",
        CROSS_ENTROPY_GRADIENT "cross_entropy_gradient",
        REDUCE_ROWS "reduce_rows",
        SUM "sum",
        SGD "sgd",
    }
    fused {
        DENSE "dense" with "layer",
        DENSE_SUBGROUP "dense_subgroup" with "layer",
        DENSE_COOPERATIVE "dense_cooperative" with "cooperative" with "layer",
        DENSE_COOPERATIVE_SMALL "dense_cooperative_small" with "cooperative" with "layer",
        OUTPUT "output" with "exponential",
        NARROW_FORWARD "narrow_forward" with "narrow" with "rows" with "exponential",
        NARROW_FORWARD_SUBGROUP "narrow_forward_subgroup" with "narrow" with "rows" with "exponential",
        NARROW_UPDATE "narrow_update" with "narrow_parameters" with "rows",
        NARROW_UPDATE_SUBGROUP "narrow_update_subgroup" with "narrow_parameters" with "rows",
        RESIDENT_KERNEL "resident" with "rows" with "exponential",
    }
}

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// The uniform that says which rows a dispatch works on.
    Batch,
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
    /// Parses and validates the shader.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the kernel and the place, for a shader that does not hold.
    pub fn reflect(&self) -> Result<Reflection> {
        let path = format!("shaders/{}.wgsl", self.name);
        let module = naga::front::wgsl::parse_str(self.source)
            .map_err(|error| self.error(&error.emit_to_string_with_path(self.source, &path)))?;
        let capabilities = naga::valid::Capabilities::SUBGROUP
            | naga::valid::Capabilities::SHADER_FLOAT16
            | naga::valid::Capabilities::COOPERATIVE_MATRIX;
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
            .subgroup_operations(naga::valid::SubgroupOperationSet::all())
            .validate(&module)
            .map_err(|error| self.error(&error.emit_to_string_with_path(self.source, &path)))?;
        let entry = module.entry_points.iter().find(|entry| entry.name == "main");
        let entry = entry.ok_or_else(|| self.error("no entry point `main`"))?;
        let invocations = match entry.workgroup_size_overrides {
            Some(_) => 0,
            None => entry.workgroup_size.iter().product(),
        };

        let mut bindings = BTreeMap::new();
        let mut workgroup_bytes = 0;
        for (_, variable) in module.global_variables.iter() {
            let kind = match variable.space {
                naga::AddressSpace::Uniform => BindingKind::Batch,
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    BindingKind::Write
                }
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

    fn error(&self, what: &str) -> Error {
        Error::Gpu(format!("kernel {}: {what}", self.name))
    }
}

/// A kernel with its sizes and the number of workgroups.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// What runs.
    pub kernel: &'static Kernel,
    /// What it makes and of what size, where that is not the kernel's name.
    pub what: String,
    /// How, where there are several ways.
    pub way: String,
    /// The values of its `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Workgroups along x and y.
    pub grid: [u32; 2],
}

impl Launch {
    fn new(kernel: &'static Kernel, constants: &[(&'static str, usize)], grid: [u32; 2]) -> Self {
        let constants = constants.iter().map(|&(name, value)| (name, value as f64)).collect();
        Self { kernel, what: String::new(), way: String::new(), constants, grid }
    }

    fn with(mut self, what: &str, way: String) -> Self {
        (self.what, self.way) = (what.to_owned(), way);
        self
    }

    /// What it makes, by which kernel, and in which way.
    pub fn label(&self) -> String {
        let parts = [self.what.as_str(), self.kernel.name, &self.way];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// What tells its compiled program from others.
    pub fn program(&self) -> String {
        format!("{} {:?}", self.kernel.name, self.constants)
    }

    /// The kernel and the way: what a [`Tuning`] remembers.
    pub fn choice(&self) -> String {
        format!("{}, {}", self.kernel.name, self.way)
    }
}

/// Of what is made, the way that was measured to be the fastest: [`Launch::what`] to kernel and way. Empty where nothing
/// was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tuning(BTreeMap<String, String>);

impl Tuning {
    /// Remembers `launch` as the fastest way to make what it makes.
    pub fn set(&mut self, launch: &Launch) {
        self.0.insert(launch.what.clone(), launch.choice());
    }

    /// Takes over what `other` has.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Of the `ways` to make one thing, the place of the fastest as far as that was measured, else of the first.
    pub fn pick(&self, ways: &[Launch]) -> usize {
        let known = ways.first().and_then(|first| self.0.get(&first.what));
        known.and_then(|choice| ways.iter().position(|way| way.choice() == *choice)).unwrap_or(0)
    }
}

/// Cooperative matrices with operands of 16 bits and sums of 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooperative {
    /// Rows and columns: 16 or 8.
    pub side: usize,
    /// Invocations of a subgroup.
    pub subgroup: usize,
}

/// What of an adapter decides how kernels are launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// Whether it computes on a CPU: there loads cost more than arithmetic and barriers, and a few invocations fill all
    /// cores; a GPU wants many invocations and short ones.
    pub software: bool,
    /// Invocations of a subgroup at least; 0 where shaders cannot use subgroups.
    pub subgroup: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// By which cooperative matrices products of wide layers are made, where precision is mixed.
    pub cooperative: Option<Cooperative>,
    /// The fastest ways to launch some kernels, where they were measured.
    pub tuning: Tuning,
}

impl Hardware {
    /// A GPU with what every WebGPU device has.
    pub const GPU: Self = Self::plain(false);
    /// A software driver with as much.
    pub const SOFTWARE: Self = Self::plain(true);

    const fn plain(software: bool) -> Self {
        Self { software, subgroup: 0, workgroup_bytes: 16_384, cooperative: None, tuning: Tuning(BTreeMap::new()) }
    }
}

/// The widest hidden layer of the narrow kernels, and the most classes.
pub const NARROW: usize = 32;
/// The most classes of the narrow kernels.
pub const NARROW_CLASSES: usize = 64;

/// The most workgroups along one axis that every WebGPU device takes.
const MAX_GRID: usize = 65_535;

/// Workgroups for `values` invocations in lines of [`LINE`], folded over y where x is not enough.
fn lines(values: usize) -> [u32; 2] {
    fold(values.div_ceil(LINE))
}

/// `groups` workgroups along x, folded over y where x is not enough.
fn fold(groups: usize) -> [u32; 2] {
    let groups = groups.max(1);
    let y = groups.div_ceil(MAX_GRID);
    [groups.div_ceil(y) as u32, y as u32]
}

/// Workgroups for `rows` rows of `width` invocations in lines of [`LINE`]; where there are too many rows for one axis, a
/// workgroup does several.
fn rows_of_lines(rows: usize, width: usize) -> [u32; 2] {
    [width.div_ceil(LINE) as u32, rows.min(MAX_GRID) as u32]
}

/// Workgroups for a `rows x columns` matrix in tiles.
fn tiles(rows: usize, columns: usize) -> [u32; 2] {
    [columns.div_ceil(TILE) as u32, rows.div_ceil(TILE) as u32]
}

/// `gather_u8` of `rows` rows.
pub fn gather_u8(rows: usize, width: usize) -> Launch {
    Launch::new(&GATHER_U8, &[("width", width)], rows_of_lines(rows, width))
}

/// `gather_f32` of `rows` rows.
pub fn gather_f32(rows: usize, width: usize) -> Launch {
    Launch::new(&GATHER_F32, &[("width", width)], rows_of_lines(rows, width))
}

/// `matmul`: `rows x inner` times `inner x columns`, which starts at `b_offset`.
pub fn matmul(rows: usize, inner: usize, columns: usize, b_offset: usize) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("b_offset", b_offset)];
    Launch::new(&MATMUL, &constants, tiles(rows, columns))
}

/// `matmul_at_b`: the result, `inner x columns`, starts at `c_offset`.
pub fn matmul_at_b(inner: usize, columns: usize, c_offset: usize) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("c_offset", c_offset)];
    Launch::new(&MATMUL_AT_B, &constants, tiles(inner, columns))
}

/// `matmul_a_bt`: `rows x columns` times the transpose of `inner x columns`, which starts at `b_offset`.
pub fn matmul_a_bt(rows: usize, inner: usize, columns: usize, b_offset: usize) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("b_offset", b_offset)];
    Launch::new(&MATMUL_A_BT, &constants, tiles(rows, inner))
}

/// `bias_add` to `rows` rows; the biases start at `biases_offset`.
pub fn bias_add(rows: usize, width: usize, biases_offset: usize) -> Launch {
    Launch::new(&BIAS_ADD, &[("width", width), ("biases_offset", biases_offset)], lines(rows * width))
}

/// `relu` of `rows` rows.
pub fn relu(rows: usize, width: usize) -> Launch {
    Launch::new(&RELU, &[("width", width)], lines(rows * width))
}

/// `relu_mask` of `rows` rows.
pub fn relu_mask(rows: usize, width: usize) -> Launch {
    Launch::new(&RELU_MASK, &[("width", width)], lines(rows * width))
}

/// `row_softmax` of `rows` rows.
pub fn row_softmax(rows: usize, classes: usize) -> Launch {
    Launch::new(&ROW_SOFTMAX, &[("classes", classes)], lines(rows))
}

/// `cross_entropy` of `rows` rows.
pub fn cross_entropy(rows: usize, classes: usize) -> Launch {
    let mut launch = Launch::new(&CROSS_ENTROPY, &[("classes", classes)], lines(rows));
    launch.constants.push(("epsilon", f64::from(LOSS_EPSILON)));
    launch
}

/// `cross_entropy_gradient` of `rows` rows.
pub fn cross_entropy_gradient(rows: usize, classes: usize) -> Launch {
    Launch::new(&CROSS_ENTROPY_GRADIENT, &[("classes", classes)], lines(rows))
}

/// `reduce_rows` of rows of `width`; the sums start at `sums_offset`.
pub fn reduce_rows(width: usize, sums_offset: usize) -> Launch {
    Launch::new(&REDUCE_ROWS, &[("width", width), ("sums_offset", sums_offset)], lines(width))
}

/// `sum` of a batch's values.
pub fn sum() -> Launch {
    Launch::new(&SUM, &[], [1, 1])
}

/// `sgd` of `count` parameters.
pub fn sgd(count: usize) -> Launch {
    Launch::new(&SGD, &[("count", count)], lines(count))
}

/// Widths of a network with one narrow hidden layer, and what its rows are made of.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    /// Width of an input row.
    pub inputs: usize,
    /// Hidden units, at most [`NARROW`].
    pub hidden: usize,
    /// Classes, at most [`NARROW_CLASSES`].
    pub classes: usize,
    /// Whether the rows are floats.
    pub floats: bool,
}

impl fmt::Display for Narrow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.floats { "floats" } else { "bytes" };
        write!(out, "{}-{}-{} from {rows}", self.inputs, self.hidden, self.classes)
    }
}

impl Narrow {
    fn constants(self) -> Vec<(&'static str, usize)> {
        let Self { inputs, hidden, classes, floats } = self;
        // As `Mlp` lays the flat parameters out.
        let b0 = inputs * hidden;
        let w1 = b0 + hidden;
        let b1 = w1 + hidden * classes;
        let offsets = [("w0", 0), ("b0", b0), ("w1", w1), ("b1", b1)];
        let sizes = [("inputs", inputs), ("hidden", hidden), ("classes", classes), ("floats", usize::from(floats))];
        [sizes, offsets].concat()
    }
}

/// `narrow_forward` of `rows` rows, or `narrow_forward_subgroup`: the ways, the one to take untuned first.
pub fn narrow_forward(rows: usize, shape: Narrow, training: bool, hardware: &Hardware) -> Vec<Launch> {
    let vectors = shape.hidden.div_ceil(4);
    let what = format!("{} {shape}, {rows} rows", if training { "forward and backward" } else { "forward" });
    let way = |kernel, lanes: usize, group_rows: usize| {
        let tiles = [("training", usize::from(training)), ("lanes", lanes), ("group_rows", group_rows)];
        let constants = [&shape.constants()[..], &tiles].concat();
        let how = format!("{lanes} invocations for {group_rows} rows");
        Launch::new(kernel, &constants, fold(rows.div_ceil(group_rows))).with(&what, how)
    };
    let mut ways = Vec::new();
    if hardware.software {
        if hardware.subgroup >= 8 {
            ways.push(way(&NARROW_FORWARD_SUBGROUP, 8, 32));
        }
        // More rows no longer stay in registers of a software driver.
        ways.push(way(&NARROW_FORWARD, 8, (8 / vectors).clamp(1, 4)));
    }
    let tiles = [(64, 1), (32, 1), (128, 1), (256, 1), (64, 2), (32, 4), (64, 4)];
    // Its sums are in registers, then in workgroup memory.
    let fits = |&(lanes, rows): &(usize, usize)| rows * vectors <= 8 && 4 * lanes * rows * vectors <= 2048;
    ways.extend(tiles.into_iter().filter(fits).map(|(lanes, rows)| way(&NARROW_FORWARD, lanes, rows)));
    ways
}

/// `narrow_update` for `rows` rows, or `narrow_update_subgroup`: the ways, the one to take untuned first.
pub fn narrow_update(rows: usize, shape: Narrow, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("update {shape}, {rows} rows");
    let way = |words: usize, each: usize, slices: usize| {
        let tiles = [("words", words), ("each", each), ("slices", slices), ("lanes", words * slices)];
        let constants = [&shape.constants()[..], &tiles].concat();
        let how = format!("{words} x {each} words in {slices} slices");
        Launch::new(&NARROW_UPDATE, &constants, fold(shape.inputs.div_ceil(4 * words * each) + 1)).with(&what, how)
    };
    let mut ways = Vec::new();
    if hardware.software {
        if hardware.subgroup >= 8 {
            let constants = [&shape.constants()[..], &[("lanes", 8)]].concat();
            let launch = Launch::new(&NARROW_UPDATE_SUBGROUP, &constants, fold(shape.inputs.div_ceil(64) + 1));
            ways.push(launch.with(&what, "8 invocations".into()));
        }
        ways.push(way(8, (16 / shape.hidden).clamp(1, 4), 1));
    }
    for words in [8, 4, 16, 2, 1] {
        // Partial sums are in workgroup memory.
        let most = 2048 / (words * 4 * shape.hidden);
        let slices = [32, 16, 8, 4, 2].into_iter().filter(|&slices| slices <= most && words * slices <= 256);
        let first = if words == 8 { 8 } else { 32 };
        ways.extend(slices.filter(|&slices| slices <= first).map(|slices| way(words, 1, slices)));
    }
    ways.push(way(8, 1, 1));
    ways
}

/// The widest hidden layer of the resident kernel.
pub const RESIDENT: usize = 16;
/// Its invocations, and the most rows of a batch.
pub const RESIDENT_LANES: usize = 256;

/// Bytes of workgroup memory that `resident` needs.
pub fn resident_bytes(shape: Narrow, batch_size: usize) -> usize {
    let padded = shape.hidden.next_multiple_of(4);
    let rest = shape.hidden + shape.hidden * shape.classes + shape.classes;
    4 * (shape.inputs * padded + rest + batch_size * (2 * padded + shape.classes))
}

/// `resident`, with batches of `batch_size` rows.
pub fn resident(shape: Narrow, batch_size: usize) -> Launch {
    let own = [("batch_size", batch_size), ("lanes", RESIDENT_LANES)];
    let shared = shape.constants().into_iter().filter(|(name, _)| !["w1", "b1"].contains(name));
    Launch::new(&RESIDENT_KERNEL, &shared.chain(own).collect::<Vec<_>>(), [1, 1])
}

/// What a product of a dense layer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// The layer's output, and its ReLU where `relu`.
    Forward {
        /// Whether this is a hidden layer.
        relu: bool,
    },
    /// The gradient at the layer's input, before that layer's ReLU.
    InputGradient,
    /// The layer's parameters after a step.
    Update,
}

/// What the rows of a layer's input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The batch's, of the layer before.
    Activations,
    /// A data set's, bytes.
    Bytes,
    /// A data set's, floats.
    Floats,
}

/// A dense layer, for the kernels `dense`, `dense_subgroup` and `output`.
#[derive(Debug, Clone, Copy)]
pub struct Dense {
    /// Width of its input.
    pub inputs: usize,
    /// Width of its output.
    pub outputs: usize,
    /// Where its weights start in the parameters; its biases follow them.
    pub offset: usize,
    /// Where its input comes from.
    pub source: Source,
}

/// A tile of a product's result and how a workgroup makes it; see `dense`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Rows and columns.
    pub side: usize,
    /// Rows, and columns, of an invocation: 4 or 8.
    pub each: usize,
    /// Slices of the sum that are made side by side.
    pub slices: usize,
}

/// Terms of a sum in workgroup memory at a time.
const TILE_TERMS: usize = 16;
/// Rows and columns of the tile of `dense_subgroup`.
const SUBGROUP_TILE: (usize, usize) = (64, 8);

impl Tile {
    /// Those to choose from, largest first: a larger one loads less, smaller ones keep more of the GPU busy.
    pub const ALL: [Self; 6] = [
        Self { side: 128, each: 8, slices: 1 },
        Self { side: 64, each: 8, slices: 1 },
        Self { side: 64, each: 4, slices: 1 },
        Self { side: 32, each: 4, slices: 1 },
        Self { side: 32, each: 4, slices: 4 },
        Self { side: 16, each: 4, slices: 8 },
    ];

    /// The one of software drivers without subgroups.
    const SOFTWARE: Self = Self::ALL[1];

    /// The one for a result of `rows x columns` whose values are sums of `terms`.
    fn choose(rows: usize, columns: usize, terms: usize) -> Self {
        let [largest, large, _, medium, sliced, small] = Self::ALL;
        let tiles = |side: usize| rows.div_ceil(side) * columns.div_ceil(side);
        // A large GPU has more than a hundred processors, and each wants more than one workgroup.
        match () {
            () if tiles(largest.side) >= 512 => largest,
            () if tiles(large.side) >= 256 => large,
            () if tiles(medium.side) >= 256 => medium,
            () if tiles(medium.side) >= 128 || terms < 8 * TILE_TERMS => sliced,
            () => small,
        }
    }

    fn lanes(self) -> usize {
        (self.side / self.each).pow(2) * self.slices
    }
}

impl Dense {
    /// What a product of it makes of `rows` rows, in words.
    fn what(self, product: Product, rows: usize) -> String {
        format!("{} {}-{}, {rows} rows of {}", product.name(), self.inputs, self.outputs, self.source.name())
    }

    /// Height, width and terms of a product's result, for `rows` rows.
    fn extent(self, product: Product, rows: usize) -> (usize, usize, usize) {
        match product {
            Product::Forward { .. } => (rows, self.outputs, self.inputs),
            Product::InputGradient => (rows, self.inputs, self.outputs),
            Product::Update => (self.inputs + 1, self.outputs, rows),
        }
    }

    fn constants(self, product: Product) -> Vec<(&'static str, usize)> {
        let (number, relu) = match product {
            Product::Forward { relu } => (0, relu),
            Product::InputGradient => (1, false),
            Product::Update => (2, false),
        };
        // Whole vectors: W's rows, and a's.
        let a_width = if product == Product::InputGradient { self.outputs } else { self.inputs };
        let b_offset = if product == Product::Update { 0 } else { self.offset };
        vec![
            ("product", number),
            ("relu", usize::from(relu)),
            ("source", self.source.number()),
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("offset", self.offset),
            ("a_quads", usize::from(a_width.is_multiple_of(4))),
            ("b_quads", usize::from(self.outputs.is_multiple_of(4) && b_offset.is_multiple_of(4))),
        ]
    }
}

impl Product {
    fn name(self) -> &'static str {
        match self {
            Product::Forward { .. } => "forward",
            Product::InputGradient => "input gradient",
            Product::Update => "update",
        }
    }
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Source::Activations => "activations",
            Source::Bytes => "bytes",
            Source::Floats => "floats",
        }
    }

    fn number(self) -> usize {
        match self {
            Source::Activations => 0,
            Source::Bytes => 1,
            Source::Floats => 2,
        }
    }
}

/// A product of `layer` for `rows` rows: the ways, the one to take untuned first.
pub fn dense(product: Product, layer: Dense, rows: usize, hardware: &Hardware) -> Vec<Launch> {
    let (height, width, terms) = layer.extent(product, rows);
    if let Some(matrices) = hardware.cooperative {
        return dense_cooperative(product, layer, rows, matrices);
    }
    let mut ways = Vec::new();
    if hardware.software {
        let shares = [8, 4].into_iter().filter(|&share| share <= hardware.subgroup as usize);
        ways.extend(shares.map(|share| dense_subgroup(product, layer, rows, share)));
    }
    let best = if hardware.software { Tile::SOFTWARE } else { Tile::choose(height, width, terms) };
    let others = Tile::ALL.into_iter().filter(|&tile| tile != best);
    ways.extend([best].into_iter().chain(others).map(|tile| dense_tiled(product, layer, rows, tile)));
    ways
}

/// `dense`, by `tile`.
pub fn dense_tiled(product: Product, layer: Dense, rows: usize, tile: Tile) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let tiles = [
        ("tile_m", tile.side),
        ("tile_n", tile.side),
        ("tile_k", TILE_TERMS),
        ("each_m", tile.each),
        ("each_n", tile.each),
        ("slices", tile.slices),
        ("lanes", tile.lanes()),
    ];
    let grid = [width.div_ceil(tile.side) as u32, height.div_ceil(tile.side) as u32];
    let Tile { side, each, slices } = tile;
    let how = format!("{side} x {side} by {each} x {each} in {slices} slices");
    Launch::new(&DENSE, &[&layer.constants(product)[..], &tiles].concat(), grid).with(&layer.what(product, rows), how)
}

/// `dense_subgroup`, where subgroups have `share` invocations (4 or 8) or more.
pub fn dense_subgroup(product: Product, layer: Dense, rows: usize, share: usize) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let (tile_rows, tile_columns) = SUBGROUP_TILE;
    let grid = [width.div_ceil(tile_columns) as u32, height.div_ceil(tile_rows) as u32];
    let constants = [&layer.constants(product)[..], &[("share", share)]].concat();
    let how = format!("{share} share");
    Launch::new(&DENSE_SUBGROUP, &constants, grid).with(&layer.what(product, rows), how)
}

/// `dense_cooperative`, or `dense_cooperative_small`: the ways, the one to take untuned first.
fn dense_cooperative(product: Product, layer: Dense, rows: usize, matrices: Cooperative) -> Vec<Launch> {
    let Cooperative { side, subgroup } = matrices;
    let kernel = if side == 16 { &DENSE_COOPERATIVE } else { &DENSE_COOPERATIVE_SMALL };
    let (height, width, _) = layer.extent(product, rows);
    let what = format!("{}, mixed", layer.what(product, rows));
    let way = |(down, across): (usize, usize)| {
        let (tile_m, tile_n) = (2 * side * down, 4 * side * across);
        let lanes = down * across * subgroup;
        let tiles = [("down", down), ("across", across), ("subgroup", subgroup), ("lanes", lanes)];
        let grid = [width.div_ceil(tile_n) as u32, height.div_ceil(tile_m) as u32];
        let constants = [&layer.constants(product)[..], &tiles].concat();
        Launch::new(kernel, &constants, grid).with(&what, format!("{tile_m} x {tile_n}"))
    };
    // An invocation loads at most 8 blocks, and every device takes 256 of them.
    let fits = |&(down, across): &(usize, usize)| {
        let (blocks, lanes) = (side * side / 8 * (down + 2 * across), down * across * subgroup);
        blocks <= 8 * lanes && lanes <= 256
    };
    let mut tiles: Vec<_> = [(4, 2), (2, 2), (4, 1), (2, 1), (1, 1)].into_iter().filter(fits).collect();
    let groups =
        |&(down, across): &(usize, usize)| height.div_ceil(2 * side * down) * width.div_ceil(4 * side * across);
    // The largest that keeps a large GPU busy, else the one with the most workgroups.
    let best = tiles.iter().position(|tile| groups(tile) >= 128).unwrap_or(tiles.len().saturating_sub(1));
    tiles.rotate_left(best);
    tiles.into_iter().map(way).collect()
}

/// The most classes of `output`.
pub const OUTPUT_CLASSES: usize = 2048;

/// `output` of `rows` rows; `layer` is the last one, with at most [`OUTPUT_CLASSES`] outputs. The ways, the one to take
/// untuned first.
pub fn output(rows: usize, layer: Dense, training: bool, hardware: &Hardware) -> Vec<Launch> {
    let Dense { inputs, outputs, offset, source } = layer;
    let kind = if training { "output, training," } else { "output" };
    let what = format!("{kind} {inputs}-{outputs}, {rows} rows of {}", source.name());
    let most = (OUTPUT_CLASSES / outputs).max(1);
    let way = |(lanes, group_rows): (usize, usize)| {
        let constants = [
            ("source", source.number()),
            ("training", usize::from(training)),
            ("inputs", inputs),
            ("classes", outputs),
            ("offset", offset),
            ("group_rows", group_rows),
            ("lanes", lanes),
        ];
        let how = format!("{lanes} invocations for {group_rows} rows");
        let mut launch = Launch::new(&OUTPUT, &constants, fold(rows.div_ceil(group_rows))).with(&what, how);
        launch.constants.push(("epsilon", f64::from(LOSS_EPSILON)));
        launch
    };
    let lanes = if hardware.software { 8 } else { 64 };
    // A workgroup reads all weights: with many rows, for several of them at a time.
    let several = if hardware.software || rows >= 512 { 4 } else { 1 };
    let first = (lanes, several.min(most));
    let others = [8, 32, 64].into_iter().flat_map(|lanes| [1, 2, 4].map(|rows| (lanes, rows)));
    let others = others.filter(|&(lanes, rows)| (lanes, rows) != first && rows <= most);
    [first].into_iter().chain(others).map(way).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_shader_is_valid_and_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
        let mut files: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.retain(|name| name != "shared");
        let mut registered: Vec<String> = REGISTRY.iter().map(|kernel| format!("{}.wgsl", kernel.name)).collect();
        files.sort();
        registered.sort();
        assert_eq!(files, registered);
        for kernel in REGISTRY {
            let reflection = kernel.reflect().unwrap();
            assert!(!reflection.bindings.is_empty(), "{}", kernel.name);
            // WebGPU's default limits.
            assert!(reflection.invocations <= 256 && reflection.workgroup_bytes <= 16_384, "{}", kernel.name);
        }
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
        for source in ["fn main( {", "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }", "const a = 1;"] {
            let error = Kernel { name: "broken", source, fused: false }.reflect().unwrap_err().to_string();
            assert!(error.starts_with("kernel broken: "), "{error}");
        }
    }

    #[test]
    fn a_grid_covers_all_values_within_the_limit() {
        for values in [1, 64, 65, 64 * MAX_GRID, 64 * MAX_GRID + 1, 1 << 30] {
            let [x, y] = lines(values).map(|n| n as usize);
            assert!(x * y * LINE >= values && x <= MAX_GRID && y <= MAX_GRID, "{values}: {x} x {y}");
        }
    }
}
