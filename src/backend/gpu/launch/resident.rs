//! The kernels that do many steps of each member in one dispatch.

use super::Launch;
use super::narrow::Narrow;
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{RESIDENT, RESIDENT_SUBGROUP};
use crate::backend::gpu::link::Link;

/// The widest hidden layer.
pub const MAX_HIDDEN: usize = 16;
/// Invocations of `resident`, and the most rows of a batch.
pub const LANES: usize = 256;

/// Vectors that keep what the activation's slope needs beside its output.
fn kept_vectors(shape: Narrow, batch_size: usize, link: Link) -> usize {
    if link.activation.saves_input() { batch_size * shape.hidden.div_ceil(4) } else { 1 }
}

/// Bytes of workgroup memory that `resident` needs.
pub fn workgroup_bytes(shape: Narrow, batch_size: usize, link: Link) -> usize {
    let padded = shape.hidden.next_multiple_of(4);
    let rest = shape.hidden + shape.hidden * shape.classes + shape.classes;
    4 * (shape.inputs * padded
        + rest
        + batch_size * (2 * padded + shape.classes)
        + 4 * kept_vectors(shape, batch_size, link))
}

/// Rounds that the loops of an invocation make together in one step, at most, whichever the way: as if none were unrolled.
pub fn rounds(shape: Narrow, batch_size: usize) -> usize {
    let Narrow { inputs, hidden, classes, .. } = shape;
    let (vectors, rest) = (hidden.div_ceil(4), hidden + hidden * classes + classes);
    let parts = LANES / batch_size;
    let span = inputs.div_ceil(4 * parts);
    let backward = 2 * classes * (hidden + 4) + 16;
    let turns = (parts + 1) * (1 + 6 * vectors);
    let one_each = span * (5 + 4 * vectors)
        + turns
        + backward
        + inputs.div_ceil(4 * LANES) * (batch_size * (1 + 5 * vectors) + 4 + 4 * vectors)
        + rest.div_ceil(LANES) * (batch_size + 1);
    let shared = batch_size.div_ceil(32) * hidden.div_ceil(8) * (parts * (span + 1) + 1 + 8 * vectors)
        + batch_size.div_ceil(8) * (backward + 1)
        + inputs.div_ceil(64) * (1 + hidden.div_ceil(8) * (batch_size + 1))
        + rest.div_ceil(8) * (batch_size + 1);
    one_each.max(shared)
}

/// `resident`, or `resident_subgroup`, with batches of `batch_size` rows: the ways, the one to take untuned first. All sum in the
/// same order.
pub fn resident(shape: Narrow, batch_size: usize, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("steps {shape}, batches of {batch_size} rows");
    let way = |kernel, lanes: usize| {
        let parts = LANES / batch_size;
        let own = [("batch_size", batch_size), ("lanes", lanes), ("parts", parts)];
        let own = own.into_iter().chain([("kept_vectors", kept_vectors(shape, batch_size, link))]);
        let shared = shape.constants().into_iter().filter(|(name, _)| !["w1", "b1"].contains(name));
        let launch = Launch::new(kernel, &shared.chain(own).collect::<Vec<_>>(), [1, 1]);
        let launch = launch.with(&what, format!("{lanes} invocations"));
        let work = shape.step_work(batch_size, link.optimizer);
        launch.activation(link.activation).head(link.head).optimizer(link.optimizer).work(work)
    };
    let mut ways = Vec::new();
    if hardware.software && hardware.subgroup >= 8 {
        ways.push(way(&RESIDENT_SUBGROUP, 8));
    }
    ways.push(way(&RESIDENT, LANES));
    ways
}
