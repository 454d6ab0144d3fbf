//! The elementary kernels.

use super::{Launch, fold, lines, rows_of_lines, tiles};
use crate::backend::cpu::augment::{POINTS, Warper};
use crate::backend::cpu::squares::BLOCK;
use crate::backend::gpu::kernels::{
    ACTIVATE, ACTIVATE_BACKWARD, AUGMENT, BIAS_ADD, CLIP, CROSS_ENTROPY, GATHER_F32, GATHER_U8, LOSS_GRADIENT, MATMUL,
    MATMUL_A_BT, MATMUL_AT_B, REDUCE_ROWS, ROW_SOFTMAX, SQUARES, STEP, SUM,
};
use crate::backend::gpu::link::{Dropping, HeadKind};
use crate::model::Activation;
use crate::recipe::OptimizerKind;

/// `gather_u8` of `rows` rows.
pub fn gather_u8(rows: usize, width: usize, dropout: Option<Dropping>) -> Launch {
    Launch::new(&GATHER_U8, &[("width", width)], rows_of_lines(rows, width)).dropout(dropout)
}

/// `gather_f32` of `rows` rows.
pub fn gather_f32(rows: usize, width: usize, dropout: Option<Dropping>) -> Launch {
    Launch::new(&GATHER_F32, &[("width", width)], rows_of_lines(rows, width)).dropout(dropout)
}

/// `augment` of `rows` rows, which are floats or bytes.
pub fn augment(rows: usize, warper: &Warper, floats: bool, dropout: Option<Dropping>) -> Launch {
    let &Warper { height, width, channels, shift, quarters, scale, elastic, spaces_per_pixel, .. } = warper;
    let inputs = warper.values();
    let sizes = [
        ("inputs", inputs),
        ("floats", floats.into()),
        ("height", height),
        ("width", width),
        ("channels", channels),
        ("points", POINTS),
    ];
    let mut launch = Launch::new(&AUGMENT, &sizes, rows_of_lines(rows, inputs));
    let bounds = [("shift", shift), ("quarters", quarters), ("scale", scale), ("elastic", elastic)];
    let bounds = bounds.into_iter().chain([("spaces_per_pixel", spaces_per_pixel)]);
    launch.constants.extend(bounds.map(|(name, value)| (name, f64::from(value))));
    launch.dropout(dropout)
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

/// `activate` of `rows` rows.
pub fn activate(rows: usize, width: usize, activation: Activation, dropout: Option<Dropping>) -> Launch {
    Launch::new(&ACTIVATE, &[("width", width)], lines(rows * width)).activation(activation).dropout(dropout)
}

/// `activate_backward` of `rows` rows.
pub fn activate_backward(rows: usize, width: usize, activation: Activation, dropout: Option<Dropping>) -> Launch {
    Launch::new(&ACTIVATE_BACKWARD, &[("width", width)], lines(rows * width)).activation(activation).dropout(dropout)
}

/// `row_softmax` of `rows` rows.
pub fn row_softmax(rows: usize, classes: usize) -> Launch {
    Launch::new(&ROW_SOFTMAX, &[("classes", classes)], lines(rows))
}

/// `cross_entropy` of `rows` rows.
pub fn cross_entropy(rows: usize, classes: usize) -> Launch {
    Launch::new(&CROSS_ENTROPY, &[("classes", classes)], lines(rows)).tally(true)
}

/// `loss_gradient` of `rows` rows, which have weights or not.
pub fn loss_gradient(rows: usize, outputs: usize, head: HeadKind, weights: bool) -> Launch {
    Launch::new(&LOSS_GRADIENT, &[("classes", outputs)], lines(rows)).head(head).weights(weights)
}

/// `reduce_rows` of rows of `width`; the sums start at `sums_offset`.
pub fn reduce_rows(width: usize, sums_offset: usize) -> Launch {
    Launch::new(&REDUCE_ROWS, &[("width", width), ("sums_offset", sums_offset)], lines(width))
}

/// `sum` of a batch's values.
pub fn sum() -> Launch {
    Launch::new(&SUM, &[], [1, 1])
}

/// `squares` of `count` gradients.
pub fn squares(count: usize) -> Launch {
    Launch::new(&SQUARES, &[("count", count)], fold(count.div_ceil(BLOCK)))
}

/// `clip` of `count` gradients to the norm `clip_norm`, from what `squares` makes of them.
pub fn clip(count: usize, clip_norm: f64) -> Launch {
    let mut launch = Launch::new(&CLIP, &[("blocks", count.div_ceil(BLOCK))], [1, 1]);
    launch.constants.push(("clip_norm", clip_norm));
    launch
}

/// `step` of a layer of `weights` weights and `biases` biases, which start at `offset`, from gradients that are clipped
/// or not.
pub fn step(weights: usize, biases: usize, offset: usize, optimizer: OptimizerKind, clipping: bool) -> Launch {
    let count = weights + biases;
    let constants = [("count", count), ("weights", weights), ("offset", offset)];
    Launch::new(&STEP, &constants, lines(count)).optimizer(optimizer).clipping(clipping)
}
