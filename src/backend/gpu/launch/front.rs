//! The kernels of the front: what the features of a row pass before the first layer.

use super::{Launch, Within, Work, lines};
use crate::backend::gpu::kernels::{EMBED, EMBED_BACKWARD, FRONT_STEP, SCALE, SCALE_BACKWARD};
use crate::model::Front;
use crate::model::front::{EMBEDDING_RATE, SCALE_RATE, WAVES};
use crate::recipe::OptimizerKind;

/// `embed` of `rows` rows of `inputs` features, of which some are embedded; `stride` lies from a member's parameters to the next.
pub fn embed(rows: usize, front: &Front, inputs: usize, stride: usize) -> Launch {
    let constants = [("inputs", inputs), ("embedded", front.embedded.len())];
    Launch::new(&EMBED, &constants, lines(rows * front.outputs(inputs)))
        .room(rows)
        .stride(stride)
        .work(Work::of(4 * rows * front.outputs(inputs), rows * (inputs + front.outputs(inputs))))
}

/// `embed_backward` of `rows` rows.
pub fn embed_backward(rows: usize, front: &Front, inputs: usize, stride: usize) -> Launch {
    let embedded = front.embedded.len();
    Launch::new(&EMBED_BACKWARD, &[("inputs", inputs), ("embedded", embedded)], lines(WAVES * embedded))
        .room(rows)
        .stride(stride)
        .work(Work::of(4 * rows * WAVES * embedded, rows * embedded * (1 + WAVES)))
}

/// `scale` of `rows` rows of `width` inputs, whose factors are the parameters at `factors`.
pub fn scale(rows: usize, width: usize, factors: Within) -> Launch {
    let constants = [("width", width), ("factors_offset", factors.offset)];
    Launch::new(&SCALE, &constants, lines(rows * width))
        .room(rows)
        .stride(factors.stride)
        .work(Work::of(rows * width, 2 * rows * width + width))
}

/// `scale_backward` of `rows` rows of `width` inputs, whose factors are the parameters at `factors`.
pub fn scale_backward(rows: usize, width: usize, factors: Within) -> Launch {
    let constants = [("width", width), ("factors_offset", factors.offset)];
    let grid = [width.div_ceil(super::LINE) as u32, 1];
    Launch::new(&SCALE_BACKWARD, &constants, grid)
        .room(rows)
        .stride(factors.stride)
        .work(Work::of(2 * rows * width, 2 * rows * width + width))
}

/// `front_step` of the front's `count` parameters, from gradients that are clipped or not.
pub fn front_step(count: usize, front: &Front, stride: usize, optimizer: OptimizerKind, clipping: bool) -> Launch {
    let constants = [("count", count), ("embedded", front.embedded.len())];
    let mut launch = Launch::new(&FRONT_STEP, &constants, lines(count)).stride(stride);
    let rates = [("embedding_rate", EMBEDDING_RATE), ("scale_rate", SCALE_RATE)];
    launch.constants.extend(rates.map(|(name, rate)| (name, f64::from(rate))));
    launch.optimizer(optimizer).clipping(clipping).work(Work::of(2 * count, (3 + 2 * optimizer.slots()) * count))
}
