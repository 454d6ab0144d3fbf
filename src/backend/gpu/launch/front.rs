//! The kernels of the front: what the features of a row pass before the first layer.

use super::{Launch, lines};
use crate::backend::gpu::kernels::{EMBED, EMBED_BACKWARD, FRONT_STEP, SCALE, SCALE_BACKWARD};
use crate::model::Front;
use crate::model::front::{EMBEDDING_RATE, SCALE_RATE, WAVES};
use crate::recipe::OptimizerKind;

/// `embed` of `rows` rows of `inputs` features, of which `embedded` are embedded.
pub fn embed(rows: usize, front: &Front, inputs: usize) -> Launch {
    let constants = [("inputs", inputs), ("embedded", front.embedded.len())];
    Launch::new(&EMBED, &constants, lines(rows * front.outputs(inputs)))
}

/// `embed_backward`.
pub fn embed_backward(front: &Front, inputs: usize) -> Launch {
    let embedded = front.embedded.len();
    Launch::new(&EMBED_BACKWARD, &[("inputs", inputs), ("embedded", embedded)], lines(WAVES * embedded))
}

/// `scale` of `rows` rows of `width` inputs, whose factors start at `factors_offset`.
pub fn scale(rows: usize, width: usize, factors_offset: usize) -> Launch {
    Launch::new(&SCALE, &[("width", width), ("factors_offset", factors_offset)], lines(rows * width))
}

/// `scale_backward` of rows of `width` inputs, whose factors start at `factors_offset`.
pub fn scale_backward(width: usize, factors_offset: usize) -> Launch {
    let constants = [("width", width), ("factors_offset", factors_offset)];
    Launch::new(&SCALE_BACKWARD, &constants, [width.div_ceil(super::LINE) as u32, 1])
}

/// `front_step` of the front's `count` parameters, from gradients that are clipped or not.
pub fn front_step(count: usize, front: &Front, optimizer: OptimizerKind, clipping: bool) -> Launch {
    let constants = [("count", count), ("embedded", front.embedded.len())];
    let mut launch = Launch::new(&FRONT_STEP, &constants, lines(count));
    let rates = [("embedding_rate", EMBEDDING_RATE), ("scale_rate", SCALE_RATE)];
    launch.constants.extend(rates.map(|(name, rate)| (name, f64::from(rate))));
    launch.optimizer(optimizer).clipping(clipping)
}
