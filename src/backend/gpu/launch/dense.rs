//! The products of dense layers.

use super::{Launch, Within, Work};
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

/// The most outputs of a layer for `dense_sliced`, and rows for which it comes first.
const SLICED_OUTPUTS: usize = 16;
const SLICED_ROWS: usize = 256;
/// The most outputs of its workgroups.
pub(super) const SLICED_UNITS: usize = 8;

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

    /// Vectors of four in workgroup memory: both operands, then the sums of the slices.
    fn vectors(self) -> usize {
        let operands = self.slices * TILE_TERMS * self.side / 2;
        if self.slices > 1 { operands.max(4 * self.lanes()) } else { operands }
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
            Product::Forward(..) => (rows, self.outputs, self.inputs),
            Product::InputGradient(..) => (rows, self.inputs, self.outputs),
            Product::Update(_) => (self.inputs + 1, self.outputs, rows),
        }
    }

    /// What a product of it does for `rows` rows.
    fn work(self, product: Product, rows: usize) -> Work {
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

    fn constants(self, product: Product, rows: usize) -> Vec<(&'static str, usize)> {
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
    let mut ways = dense_cooperative(product, layer, rows, matrices);
    // Small products are often faster without matrices.
    plain.iter_mut().for_each(|way| way.what.clone_from(&ways[0].what));
    ways.append(&mut plain);
    ways
}

/// The ways without cooperative matrices.
fn dense_plain(product: Product, layer: Dense, rows: usize, hardware: &Hardware) -> Vec<Launch> {
    let (height, width, terms) = layer.extent(product, rows);
    let mut ways = Vec::new();
    if hardware.software {
        let shares = [8, 4].into_iter().filter(|&share| share <= hardware.subgroup as usize);
        ways.extend(shares.map(|share| dense_subgroup(product, layer, rows, share)));
    }
    let best = if hardware.software { Tile::SOFTWARE } else { Tile::choose(height, width, terms) };
    let place = |tile: Tile| Tile::ALL.iter().position(|&other| other == tile).unwrap_or(0);
    let mut tiles = Tile::ALL;
    // The next larger and smaller ones follow.
    tiles.sort_by_key(|&tile| place(tile).abs_diff(place(best)));
    ways.extend(tiles.map(|tile| dense_tiled(product, layer, rows, tile)));
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
    let constants = [&layer.constants(product, rows)[..], &tiles].concat();
    let how = format!("{words} words in {slices} slices");
    let launch = Launch::new(&DENSE_SLICED, &constants, grid).joins(4 * words * slices * (4 * units + 1));
    product.link(launch.with(&layer.what(product, rows), how), layer, rows)
}

/// `dense`, by `tile`.
fn dense_tiled(product: Product, layer: Dense, rows: usize, tile: Tile) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let tiles = [
        ("tile_m", tile.side),
        ("tile_n", tile.side),
        ("tile_k", TILE_TERMS),
        ("each_m", tile.each),
        ("each_n", tile.each),
        ("slices", tile.slices),
        ("lanes", tile.lanes()),
        ("staging_vectors", tile.vectors()),
    ];
    let grid = [width.div_ceil(tile.side) as u32, height.div_ceil(tile.side) as u32];
    let Tile { side, each, slices } = tile;
    let how = format!("{side} x {side} by {each} x {each} in {slices} slices");
    let launch = Launch::new(&DENSE, &[&layer.constants(product, rows)[..], &tiles].concat(), grid);
    let launch = launch.joins(16 * tile.vectors());
    product.link(launch.with(&layer.what(product, rows), how), layer, rows)
}

/// `dense_subgroup`, where subgroups have `share` invocations (4 or 8) or more.
fn dense_subgroup(product: Product, layer: Dense, rows: usize, share: usize) -> Launch {
    let (height, width, _) = layer.extent(product, rows);
    let (tile_rows, tile_columns) = SUBGROUP_TILE;
    let grid = [width.div_ceil(tile_columns) as u32, height.div_ceil(tile_rows) as u32];
    let constants = [&layer.constants(product, rows)[..], &[("share", share)]].concat();
    let how = format!("{share} share");
    product.link(Launch::new(&DENSE_SUBGROUP, &constants, grid).with(&layer.what(product, rows), how), layer, rows)
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
        let constants = [&layer.constants(product, rows)[..], &tiles].concat();
        // Both operands, of two bytes, and the results.
        let bytes = 2 * side * (tile_m + tile_n) + 4 * side * side * down * across;
        let launch = Launch::new(kernel, &constants, grid).joins(bytes);
        product.link(launch.with(&what, format!("{tile_m} x {tile_n}")), layer, rows)
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
