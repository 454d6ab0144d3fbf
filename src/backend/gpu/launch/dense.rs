//! The products of dense layers.

use super::{Launch, Within, Work, WorkgroupMemory};
use crate::backend::gpu::hardware::{Cooperative, Hardware};
use crate::backend::gpu::kernels::{DENSE, DENSE_COOPERATIVE, DENSE_COOPERATIVE_SMALL, DENSE_SLICED, DENSE_SUBGROUP};
use crate::backend::gpu::link::Dropping;
use crate::model::Activation;
use crate::recipe::OptimizerKind;

/// What a product of a dense layer makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Product {
    /// The layer's output, after this activation and dropout.
    Forward(Activation, Option<Dropping>),
    /// The gradient at the layer's input, before the activation and the dropout that made that.
    InputGradient(Activation, Option<Dropping>),
    /// The layer's parameters after a step by this optimizer.
    Update(OptimizerKind),
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
    /// Its weights among the parameters; its biases follow them.
    pub weights: Within,
    /// Where its input comes from.
    pub source: Source,
}

/// A tile of a product's result and how a workgroup makes it; see `dense`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Rows and columns.
    pub size: (usize, usize),
    /// Rows and columns of an invocation: 4 or 8.
    pub each: (usize, usize),
    /// Slices of the sum that are made side by side.
    pub slices: usize,
    /// Tiles of operands in workgroup memory: with 2 the next is written while one is read.
    pub stages: usize,
    /// Terms that the innermost loop adds in a round.
    pub together: usize,
}

/// Invocations of a subgroup that most GPUs have at least, and no software driver.
const GPU_SUBGROUP: u32 = 32;
/// Terms of a sum in workgroup memory at a time.
const TILE_TERMS: usize = 16;
/// Rows and columns of the tile of `dense_subgroup`.
const SUBGROUP_TILE: (usize, usize) = (64, 8);

/// Products with at least so many values use cooperative matrices: 128 tiles of 64 x 64.
const LEAST_MIXED_VALUES: usize = 128 * 64 * 64;
/// The most outputs of a layer for `dense_sliced`, and rows for which it comes first.
const SLICED_OUTPUTS: usize = 16;
const SLICED_ROWS: usize = 256;
/// The most outputs of its workgroups.
pub(super) const SLICED_UNITS: usize = 8;

impl Tile {
    /// Those to choose from, largest first: a larger one loads less, smaller ones keep more of the GPU busy.
    fn all(hardware: &Hardware) -> Vec<Self> {
        // Software drivers compile a long loop for seconds, and gain nothing by it.
        let together = if hardware.subgroup >= GPU_SUBGROUP { 4 } else { 1 };
        let tile = |side, each, slices| {
            let (size, each) = ((side, side), (each, each));
            Self { size, each, slices, stages: 1, together }
        };
        let (bytes, lanes) = (hardware.workgroup_bytes as usize, hardware.invocations as usize);
        // Of the smaller ones a processor has several workgroups, which work while others wait at a barrier.
        let staged = |tile: Self| {
            let twice = Self { stages: 2, ..tile };
            if twice.bytes() <= bytes { twice } else { tile }
        };
        let largest = staged(tile(128, 8, 1));
        let wide = staged(Self { size: (64, 128), each: (8, 4), ..largest });
        let mut all =
            vec![largest, wide, tile(64, 8, 1), tile(64, 4, 1), tile(32, 4, 1), tile(32, 4, 4), tile(16, 4, 8)];
        // What not every device has room for.
        all.extend(Some(tile(16, 4, 16)).filter(|tile| tile.bytes() <= bytes && tile.lanes() <= lanes));
        all
    }

    /// The place among `all` of the one for a result of `rows x columns` whose values are sums of `terms`.
    fn choose(all: &[Self], (rows, columns, terms): (usize, usize, usize), hardware: &Hardware) -> usize {
        let [wide, large, medium, sliced, small, smallest] = [1, 2, 4, 5, 6, 7];
        if hardware.software {
            return large;
        }
        let tiles = |place: usize| {
            let (height, width) = all[place].size;
            rows.div_ceil(height) * columns.div_ceil(width)
        };
        // A large GPU has more than a hundred processors, and each wants eight subgroups or more.
        let most = if all[wide].stages == 2 { 256 } else { 1024 };
        match () {
            () if tiles(wide) >= most => wide,
            () if tiles(large) >= 256 => large,
            // Where terms are few, slices leave fewer turns, and the GPU has room for their invocations.
            () if tiles(medium) >= 256 && (terms <= TILE_TERMS || terms > 16 * TILE_TERMS) => medium,
            () if tiles(medium) >= 128 || terms < 8 * TILE_TERMS => sliced,
            // So many slices leave a processor room for few tiles.
            () if terms > 8 * TILE_TERMS && all.len() > smallest && tiles(small) < 128 => smallest,
            () => small,
        }
    }

    fn lanes(self) -> usize {
        (self.size.0 / self.each.0) * (self.size.1 / self.each.1) * self.slices
    }

    /// Vectors of four in workgroup memory: both operands, then the sums of invocations that make 4 x 4.
    fn vectors(self) -> usize {
        let operands = self.stages * self.slices * TILE_TERMS * (self.size.0 + self.size.1) / 4;
        if self.each == (4, 4) { operands.max(4 * self.lanes()) } else { operands }
    }

    /// Bytes of workgroup memory.
    fn bytes(self) -> usize {
        16 * self.vectors()
    }
}

impl Dense {
    /// What a product of it makes of `rows` rows, in words.
    pub(super) fn what(self, product: Product, rows: usize) -> String {
        format!("{} {}-{}, {rows} rows of {}", product.name(), self.inputs, self.outputs, self.source.name())
    }

    /// Height, width and terms of a product's result, for `rows` rows.
    fn extent(self, product: Product, rows: usize) -> (usize, usize, usize) {
        match product {
            Product::Forward(..) => (rows, self.outputs, self.inputs),
            Product::InputGradient(..) => (rows, self.inputs, self.outputs),
            Product::Update(_) => (self.inputs + 1, self.outputs, rows),
        }
    }

    /// What a product of it does for `rows` rows.
    pub(super) fn work(self, product: Product, rows: usize) -> Work {
        let (height, width, terms) = self.extent(product, rows);
        let Self { inputs, outputs, .. } = self;
        let input = rows * inputs * if self.source == Source::Bytes { 1 } else { 4 };
        let parameters = (inputs + 1) * outputs;
        let bytes = match product {
            Product::Forward(..) => input + 4 * (parameters + rows * outputs),
            Product::InputGradient(..) => 4 * (rows * outputs + parameters + 2 * rows * inputs),
            Product::Update(optimizer) => input + 4 * (rows * outputs + 2 * (1 + optimizer.slots()) * parameters),
        };
        Work { flop: 2.0 * height as f64 * width as f64 * terms as f64, bytes: bytes as f64 }
    }

    /// Whether an update's biases would take a row of tiles of that size by themselves, and `lanes` invocations can sum them up
    /// beside a tile, a column each.
    fn has_biases_aside(self, product: Product, (rows, columns): (usize, usize), lanes: usize) -> bool {
        matches!(product, Product::Update(_)) && self.inputs.is_multiple_of(rows) && columns <= lanes
    }

    /// What shaders/shared/layer.wgsl is told of it. `tile` says how many columns and terms are loaded at a time, where all of
    /// them may be there.
    fn constants(self, product: Product, rows: usize, tile: Option<(usize, usize)>) -> Vec<(&'static str, usize)> {
        let (_, width, depth) = self.extent(product, rows);
        let whole = |of: usize, at_a_time: Option<usize>| usize::from(at_a_time.is_some_and(|n| of.is_multiple_of(n)));
        // A batch may have fewer rows than there is room for.
        let terms = tile.map(|tile| tile.1).filter(|_| !matches!(product, Product::Update(_)));
        let Within { offset, stride } = self.weights;
        // Whole vectors: W's rows, and a's.
        let (number, a_width, b_offset) = match product {
            Product::Forward(..) => (0, self.inputs, offset),
            Product::InputGradient(..) => (1, self.outputs, offset),
            Product::Update(_) => (2, self.inputs, 0),
        };
        vec![
            ("product", number),
            ("source", self.source.number()),
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("offset", offset),
            ("stride", stride),
            ("room", rows),
            ("a_quads", usize::from(a_width.is_multiple_of(4))),
            ("b_quads", usize::from(self.outputs.is_multiple_of(4) && b_offset.is_multiple_of(4))),
            ("whole_terms", whole(depth, terms)),
            ("whole_columns", whole(width, tile.map(|tile| tile.0))),
        ]
    }
}

impl Product {
    /// Links the part that the product of `layer` ends with, and says what it does.
    fn link(self, launch: Launch, layer: Dense, rows: usize) -> Launch {
        let launch = launch.work(layer.work(self, rows));
        match self {
            Product::Forward(activation, dropout) | Product::InputGradient(activation, dropout) => {
                launch.activation(activation).dropout(dropout)
            }
            Product::Update(optimizer) => launch.optimizer(optimizer),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Product::Forward(..) => "forward",
            Product::InputGradient(..) => "input gradient",
            Product::Update(_) => "update",
        }
    }
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Source::Activations => "activations",
            Source::Bytes => "bytes",
            Source::Floats => "floats",
        }
    }

    pub(super) fn number(self) -> usize {
        match self {
            Source::Activations => 0,
            Source::Bytes => 1,
            Source::Floats => 2,
        }
    }
}

/// A product of `layer` for `rows` rows: the ways, the one to take untuned first.
pub fn dense(product: Product, layer: Dense, rows: usize, hardware: &Hardware) -> Vec<Launch> {
    let mut plain = dense_plain(product, layer, rows, hardware);
    let Some(matrices) = hardware.cooperative else { return plain };
    let mut ways = dense_cooperative(product, layer, rows, matrices, hardware);
    if let Some(first) = ways.first() {
        plain.iter_mut().for_each(|way| way.what.clone_from(&first.what));
    }
    // A small product is faster without matrices: few workgroups leave most of a GPU idle, and slices of a sum are more of them.
    let (height, width, _) = layer.extent(product, rows);
    if height * width < LEAST_MIXED_VALUES {
        plain.append(&mut ways);
        return plain;
    }
    ways.append(&mut plain);
    ways
}

/// The ways without cooperative matrices.
fn dense_plain(product: Product, layer: Dense, rows: usize, hardware: &Hardware) -> Vec<Launch> {
    let mut ways = Vec::new();
    if hardware.software {
        let shares = [8, 4].into_iter().filter(|&share| share <= hardware.subgroup as usize);
        ways.extend(shares.map(|share| dense_subgroup(product, layer, rows, share)));
    }
    let tiles = Tile::all(hardware);
    let best = Tile::choose(&tiles, layer.extent(product, rows), hardware);
    // The next larger and smaller ones follow.
    let mut places: Vec<usize> = (0..tiles.len()).collect();
    places.sort_by_key(|place| place.abs_diff(best));
    ways.extend(places.into_iter().map(|place| dense_tiled(product, layer, rows, tiles[place])));
    if !hardware.software && matches!(product, Product::Update(_)) && layer.outputs <= SLICED_OUTPUTS {
        // With many rows tiles load less.
        let place = if rows <= SLICED_ROWS { 0 } else { ways.len() };
        ways.splice(
            place..place,
            [(2, 32), (1, 64), (4, 32), (8, 32)]
                .map(|(words, slices)| dense_sliced(product, layer, rows, words, slices)),
        );
    }
    ways
}

/// `dense_sliced`, by `words` groups of four inputs a workgroup.
fn dense_sliced(product: Product, layer: Dense, rows: usize, words: usize, slices: usize) -> Launch {
    let groups = layer.outputs.div_ceil(SLICED_UNITS);
    let units = layer.outputs.div_ceil(groups);
    let tiles = [("words", words), ("units", units), ("slices", slices), ("lanes", words * slices)];
    let grid = [((layer.inputs / 4 + 1).div_ceil(words) * layer.outputs.div_ceil(units)) as u32, 1];
    let constants = [&layer.constants(product, rows, None)[..], &tiles].concat();
    let how = format!("{words} words in {slices} slices");
    let memory = WorkgroupMemory::new([("f32", 4 * words * slices * (4 * units + 1))]);
    let launch = Launch::new(&DENSE_SLICED, &constants, grid).joins(memory);
    product.link(launch.with(&layer.what(product, rows), how), layer, rows)
}

/// `dense`, by `tile`.
fn dense_tiled(product: Product, layer: Dense, rows: usize, tile: Tile) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let Tile { size, each, slices, stages, .. } = tile;
    let biases_aside = each.0 == 8 && layer.has_biases_aside(product, size, tile.lanes());
    let height = if biases_aside { layer.inputs } else { height };
    let tiles = [
        ("tile_m", size.0),
        ("tile_n", size.1),
        ("tile_k", TILE_TERMS),
        ("each_m", each.0),
        ("each_n", each.1),
        ("biases_aside", usize::from(biases_aside)),
        ("slices", tile.slices),
        ("stages", tile.stages),
        ("together", tile.together),
        ("lanes", tile.lanes()),
        ("staging_vectors", tile.vectors()),
    ];
    let grid = [width.div_ceil(size.1) as u32, height.div_ceil(size.0) as u32];
    let buffered = if stages == 2 { ", double-buffered" } else { "" };
    let how = format!("{} x {} by {} x {} in {slices} slices{buffered}", size.0, size.1, each.0, each.1);
    let loaded = Some((size.1, slices * TILE_TERMS));
    let launch = Launch::new(&DENSE, &[&layer.constants(product, rows, loaded)[..], &tiles].concat(), grid);
    let launch = launch.joins(WorkgroupMemory::new([("vec4<f32>", tile.bytes())]));
    product.link(launch.with(&layer.what(product, rows), how), layer, rows)
}

/// `dense_subgroup`, where subgroups have `share` invocations (4 or 8) or more.
fn dense_subgroup(product: Product, layer: Dense, rows: usize, share: usize) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let (tile_rows, tile_columns) = SUBGROUP_TILE;
    let grid = [width.div_ceil(tile_columns) as u32, height.div_ceil(tile_rows) as u32];
    let constants = [&layer.constants(product, rows, None)[..], &[("share", share)]].concat();
    let how = format!("{share} share");
    product.link(Launch::new(&DENSE_SUBGROUP, &constants, grid).with(&layer.what(product, rows), how), layer, rows)
}

/// `dense_cooperative`, or `dense_cooperative_small`: the ways, the one to take untuned first.
fn dense_cooperative(
    product: Product,
    layer: Dense,
    rows: usize,
    matrices: Cooperative,
    hardware: &Hardware,
) -> Vec<Launch> {
    let Cooperative { side, subgroup } = matrices;
    let kernel = if side == 16 { &DENSE_COOPERATIVE } else { &DENSE_COOPERATIVE_SMALL };
    let (height, width, _) = layer.extent(product, rows);
    let what = format!("{}, mixed", layer.what(product, rows));
    let tile = |down: usize, across: usize| (2 * side * down, 4 * side * across);
    let operand = if side == 16 { "vec4<f16>" } else { "f16" };
    let memory = |(down, across): (usize, usize), terms: usize| {
        let (tile_m, tile_n) = tile(down, across);
        let (left, right) = (2 * terms * (tile_m + 8), 2 * terms * (tile_n + 8));
        WorkgroupMemory::new([(operand, left), (operand, right), ("f32", 4 * side * side * down * across)])
    };
    let bytes = hardware.workgroup_bytes as usize;
    let way = |(down, across): (usize, usize)| {
        let (tile_m, tile_n) = tile(down, across);
        let lanes = down * across * subgroup;
        // What an invocation loads at a time is kept in registers.
        let is_few = side * (tile_m + tile_n) / 16 <= 2 * lanes;
        let has_room = memory((down, across), 2 * side).bytes() <= bytes;
        let terms = if is_few && has_room { 2 * side } else { side };
        let biases_aside = layer.has_biases_aside(product, (tile_m, tile_n), lanes);
        let height = if biases_aside { layer.inputs } else { height };
        let tiles = [
            ("down", down),
            ("across", across),
            ("subgroup", subgroup),
            ("lanes", lanes),
            ("terms", terms),
            ("biases_aside", usize::from(biases_aside)),
        ];
        let grid = [width.div_ceil(tile_n) as u32, height.div_ceil(tile_m) as u32];
        let constants = [&layer.constants(product, rows, Some((tile_n, terms)))[..], &tiles].concat();
        let launch = Launch::new(kernel, &constants, grid).joins(memory((down, across), terms));
        product.link(launch.with(&what, format!("{tile_m} x {tile_n}")), layer, rows)
    };
    // An invocation loads at most 8 blocks, and every device takes 256 of them.
    let fits = |&(down, across): &(usize, usize)| {
        let (blocks, lanes) = (side * side / 8 * (down + 2 * across), down * across * subgroup);
        blocks <= 8 * lanes && lanes <= 256 && memory((down, across), side).bytes() <= bytes
    };
    let mut tiles: Vec<_> = [(4, 2), (2, 2), (4, 1), (2, 1), (1, 1)].into_iter().filter(fits).collect();
    let groups =
        |&(down, across): &(usize, usize)| height.div_ceil(2 * side * down) * width.div_ceil(4 * side * across);
    // The largest that keeps a large GPU busy, else the one with the most workgroups.
    let best = tiles.iter().position(|tile| groups(tile) >= 256).unwrap_or(tiles.len().saturating_sub(1));
    tiles.rotate_left(best);
    tiles.into_iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fit_into_workgroup_memory_and_the_places_of_the_shader() {
        for workgroup_bytes in [16_384, 32_768, 65_536] {
            let hardware = Hardware { workgroup_bytes, ..Hardware::GPU };
            for tile in Tile::all(&hardware) {
                assert!(tile.bytes() <= workgroup_bytes as usize && tile.vectors() <= 2048, "{tile:?}");
                // What an invocation loads is kept in registers.
                let blocks = TILE_TERMS / 4 * (tile.size.0 + tile.size.1) / 4;
                assert!(blocks <= 2 * tile.lanes() / tile.slices, "{tile:?}");
            }
        }
    }

    #[test]
    fn a_gpu_gets_slices_where_tiles_or_turns_are_few() {
        let chosen = |extent, hardware: &Hardware| {
            let all = Tile::all(hardware);
            let Tile { size, slices, .. } = all[Tile::choose(&all, extent, hardware)];
            (size.0, slices)
        };
        let roomy = Hardware { workgroup_bytes: 49_152, ..Hardware::GPU };
        for (extent, of_roomy, of_any) in [
            // A small layer's forward product and update.
            ((64, 128, 784), (16, 16), (16, 8)),
            ((64, 128, 128), (16, 8), (16, 8)),
            ((785, 128, 64), (32, 4), (32, 4)),
            // As many tiles as a large GPU has processors, and more.
            ((128, 512, 784), (16, 8), (16, 8)),
            // Updates by few rows and by many, and by so few that one turn adds them.
            ((785, 512, 128), (32, 4), (32, 4)),
            ((785, 512, 512), (32, 1), (32, 1)),
            ((785, 512, 16), (32, 1), (32, 1)),
            // Wide layers.
            ((1024, 2048, 2048), (64, 1), (64, 1)),
            ((1024, 1024, 64), (64, 1), (64, 1)),
        ] {
            assert_eq!((chosen(extent, &roomy), chosen(extent, &Hardware::GPU)), (of_roomy, of_any), "{extent:?}");
        }
    }
}
