//! How a kernel is launched: its link, its sizes, and the number of workgroups.

use std::collections::BTreeMap;

use crate::backend::gpu::kernels::Kernel;
use crate::backend::gpu::link::{Dropping, HeadKind, Link, Part};
use crate::error::Result;
use crate::model::Activation;
use crate::recipe::OptimizerKind;

pub mod ahead;
pub mod dense;
pub mod elementary;
pub mod front;
pub mod narrow;
pub mod output;
pub mod resident;

/// Invocations of a workgroup of the kernels that do one value or one row an invocation.
const LINE: usize = 64;
/// Side of the tile that a workgroup of a product makes.
const TILE: usize = 8;

/// A kernel with its sizes and the number of workgroups.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// What runs.
    pub kernel: &'static Kernel,
    /// What it makes and of what size, where that is not the kernel's name.
    pub what: String,
    /// How, where there are several ways.
    pub way: String,
    /// What it is linked with.
    pub link: Link,
    /// The values of its `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Workgroups along x and y; along z lie the members of a pack.
    pub grid: [u32; 2],
    /// What it does for a member, at the least.
    pub work: Work,
    /// Its workgroup memory, if it can share a dispatch with others that have as many `lanes`.
    pub joins: Option<WorkgroupMemory>,
}

/// Workgroup memory of launches that share a dispatch. A workgroup runs one of them, so that a variable of one stands for those of the
/// others whose values have its type: the largest says how many bytes it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkgroupMemory(BTreeMap<(&'static str, usize), usize>);

impl WorkgroupMemory {
    /// Of a launch whose variables have values of these types, and so many bytes.
    pub fn new<const N: usize>(variables: [(&'static str, usize); N]) -> Self {
        let mut memory = Self::default();
        for (ty, bytes) in variables {
            let before = memory.0.keys().filter(|(other, _)| *other == ty).count();
            memory.0.insert((ty, before), bytes);
        }
        memory
    }

    /// Shared with another launch.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for (&variable, &bytes) in &other.0 {
            let own = self.0.entry(variable).or_default();
            *own = bytes.max(*own);
        }
        self
    }

    /// Bytes of all variables.
    pub fn bytes(&self) -> usize {
        self.0.values().sum()
    }
}

/// What a launch does, counted as the textbook does: nothing twice, nothing skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations: two for each term of a product, one for any other value that is made.
    pub flop: f64,
    /// Bytes read and written, each once.
    pub bytes: f64,
}

impl Work {
    /// `flop` operations over `values` values of four bytes.
    fn of(flop: usize, values: usize) -> Self {
        Self { flop: flop as f64, bytes: 4.0 * values as f64 }
    }
}

impl Launch {
    fn new(kernel: &'static Kernel, constants: &[(&'static str, usize)], grid: [u32; 2]) -> Self {
        let constants = constants.iter().map(|&(name, value)| (name, value as f64)).collect();
        Self {
            kernel,
            what: String::new(),
            way: String::new(),
            link: Link::default(),
            constants,
            grid,
            work: Work::default(),
            joins: None,
        }
    }

    /// That it can share a dispatch with others; its workgroup memory is `memory`.
    fn joins(mut self, memory: WorkgroupMemory) -> Self {
        self.joins = Some(memory);
        self
    }

    /// That it does `work`.
    fn work(mut self, work: Work) -> Self {
        self.work = work;
        self
    }

    /// With room for `rows` rows of each member in the buffers that only a dispatch writes and the next one reads.
    fn room(mut self, rows: usize) -> Self {
        self.constants.push(("room", rows as f64));
        self
    }

    /// With `stride` values from the parameters of a member to those of the next.
    fn stride(mut self, stride: usize) -> Self {
        self.constants.push(("stride", stride as f64));
        self
    }

    fn activation(mut self, activation: Activation) -> Self {
        self.link.activation = activation;
        self
    }

    fn dropout(mut self, dropout: Option<Dropping>) -> Self {
        self.link.dropout = dropout;
        self.constants.extend(self.link.constants(Part::Dropout));
        self
    }

    fn head(mut self, head: HeadKind) -> Self {
        self.link.head = head;
        self
    }

    fn weights(mut self, weights: bool) -> Self {
        self.link.weights = weights;
        self
    }

    fn tally(mut self, tally: bool) -> Self {
        self.link.tally = tally;
        self.constants.extend(self.link.constants(Part::Tally));
        self
    }

    fn clipping(mut self, clipping: bool) -> Self {
        self.link.clipping = clipping;
        self
    }

    fn optimizer(mut self, optimizer: OptimizerKind) -> Self {
        self.link.optimizer = optimizer;
        self
    }

    fn with(mut self, what: &str, way: String) -> Self {
        (self.what, self.way) = (what.to_owned(), way);
        self
    }

    /// Invocations of a workgroup.
    ///
    /// # Errors
    /// As [`Kernel::reflect`].
    pub fn lanes(&self) -> Result<u32> {
        self.constant("lanes").map_or_else(|| Ok(self.kernel.reflect(self.link)?.invocations), |lanes| Ok(lanes as u32))
    }

    /// The value of the `override` constant `name`, if it gives it one.
    pub fn constant(&self, name: &str) -> Option<f64> {
        self.constants.iter().find(|(constant, _)| *constant == name).map(|&(_, value)| value)
    }

    /// What it makes, by which kernel, and in which way.
    pub fn label(&self) -> String {
        let parts = [self.what.as_str(), self.kernel.name, &self.way];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// What tells its shader from others.
    pub fn shader(&self) -> String {
        format!("{} {}", self.kernel.name, self.link)
    }

    /// What tells its compiled program from others.
    pub fn program(&self) -> String {
        format!("{} {:?}", self.shader(), self.constants)
    }

    /// The kernel and the way: what a [`Tuning`](crate::backend::gpu::hardware::Tuning) remembers.
    pub fn choice(&self) -> String {
        format!("{}, {}", self.kernel.name, self.way)
    }
}

/// Those of `ways` that are not the same as one before.
fn distinct(ways: impl Iterator<Item = Launch>) -> Vec<Launch> {
    let mut all: Vec<Launch> = Vec::new();
    for launch in ways {
        if all.iter().all(|way| way.way != launch.way) {
            all.push(launch);
        }
    }
    all
}

/// Where something begins among the parameters, or the gradients, of each member of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// Values before it.
    pub offset: usize,
    /// What [`stride`] says.
    pub stride: usize,
}

/// Values from a member's parameters to those of the next, of a network of so many: whole vectors of four.
pub fn stride(parameters: usize) -> usize {
    parameters.next_multiple_of(4)
}

/// The most workgroups along one axis that every WebGPU device takes.
const MAX_GRID: usize = 65_535;

/// Workgroups for `values` invocations in lines of [`LINE`], folded over y where x is not enough.
fn lines(values: usize) -> [u32; 2] {
    fold(values.div_ceil(LINE))
}

/// `groups` workgroups along x, folded over y where x is not enough.
pub(super) fn fold(groups: usize) -> [u32; 2] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_all_values_within_the_limit() {
        for values in [1, 64, 65, 64 * MAX_GRID, 64 * MAX_GRID + 1, 1 << 30] {
            let [x, y] = lines(values).map(|n| n as usize);
            assert!(x * y * LINE >= values && x <= MAX_GRID && y <= MAX_GRID, "{values}: {x} x {y}");
        }
    }
}
