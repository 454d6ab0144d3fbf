//! The kernel that keeps the parameters in workgroup memory for many steps.

use super::Launch;
use super::narrow::Narrow;
use crate::backend::gpu::kernels::RESIDENT;
use crate::backend::gpu::link::Link;

/// The widest hidden layer.
pub const MAX_HIDDEN: usize = 16;
/// Its invocations, and the most rows of a batch.
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

/// `resident`, with batches of `batch_size` rows.
pub fn resident(shape: Narrow, batch_size: usize, link: Link) -> Launch {
    let own = [("batch_size", batch_size), ("lanes", LANES), ("kept_vectors", kept_vectors(shape, batch_size, link))];
    let shared = shape.constants().into_iter().filter(|(name, _)| !["w1", "b1"].contains(name));
    let launch = Launch::new(&RESIDENT, &shared.chain(own).collect::<Vec<_>>(), [1, 1]);
    launch.activation(link.activation).head(link.head).optimizer(link.optimizer)
}
