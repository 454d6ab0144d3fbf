//! The elementary kernels.

use super::{Launch, Within, Work, fold, lines, rows_of_lines, tiles};
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
    Launch::new(&GATHER_U8, &[("width", width)], rows_of_lines(rows, width))
        .room(rows)
        .dropout(dropout)
        .work(Work { flop: (rows * width) as f64, bytes: (5 * rows * width) as f64 })
}

/// `gather_f32` of `rows` rows.
pub fn gather_f32(rows: usize, width: usize, dropout: Option<Dropping>) -> Launch {
    Launch::new(&GATHER_F32, &[("width", width)], rows_of_lines(rows, width))
        .room(rows)
        .dropout(dropout)
        .work(Work::of(rows * width, 2 * rows * width))
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
    let mut launch = Launch::new(&AUGMENT, &sizes, rows_of_lines(rows, inputs)).room(rows);
    let bounds = [("shift", shift), ("quarters", quarters), ("scale", scale), ("elastic", elastic)];
    let bounds = bounds.into_iter().chain([("spaces_per_pixel", spaces_per_pixel)]);
    launch.constants.extend(bounds.map(|(name, value)| (name, f64::from(value))));
    launch
        .dropout(dropout)
        .work(Work { flop: (rows * inputs) as f64, bytes: ((if floats { 8 } else { 5 }) * rows * inputs) as f64 })
}

/// `matmul`: `rows x inner` times `inner x columns`, which are the parameters at `b`.
pub fn matmul(rows: usize, inner: usize, columns: usize, b: Within) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("b_offset", b.offset)];
    Launch::new(&MATMUL, &constants, tiles(rows, columns))
        .room(rows)
        .stride(b.stride)
        .work(Work::of(2 * rows * inner * columns, rows * inner + inner * columns + rows * columns))
}

/// `matmul_at_b` over `rows` rows: the result, `inner x columns`, are the gradients at `c`.
pub fn matmul_at_b(rows: usize, inner: usize, columns: usize, c: Within) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("c_offset", c.offset)];
    Launch::new(&MATMUL_AT_B, &constants, tiles(inner, columns))
        .room(rows)
        .stride(c.stride)
        .work(Work::of(2 * rows * inner * columns, rows * inner + inner * columns + rows * columns))
}

/// `matmul_a_bt`: `rows x columns` times the transpose of `inner x columns`, which are the parameters at `b`.
pub fn matmul_a_bt(rows: usize, inner: usize, columns: usize, b: Within) -> Launch {
    let constants = [("inner", inner), ("columns", columns), ("b_offset", b.offset)];
    Launch::new(&MATMUL_A_BT, &constants, tiles(rows, inner))
        .room(rows)
        .stride(b.stride)
        .work(Work::of(2 * rows * inner * columns, rows * inner + inner * columns + rows * columns))
}

/// `bias_add` to `rows` rows; the biases are the parameters at `biases`.
pub fn bias_add(rows: usize, width: usize, biases: Within) -> Launch {
    let constants = [("width", width), ("biases_offset", biases.offset)];
    Launch::new(&BIAS_ADD, &constants, lines(rows * width))
        .room(rows)
        .stride(biases.stride)
        .work(Work::of(rows * width, 2 * rows * width + width))
}

/// `activate` of `rows` rows.
pub fn activate(rows: usize, width: usize, activation: Activation, dropout: Option<Dropping>) -> Launch {
    let launch = Launch::new(&ACTIVATE, &[("width", width)], lines(rows * width)).room(rows);
    launch.activation(activation).dropout(dropout).work(Work::of(rows * width, 2 * rows * width))
}

/// `activate_backward` of `rows` rows.
pub fn activate_backward(rows: usize, width: usize, activation: Activation, dropout: Option<Dropping>) -> Launch {
    let launch = Launch::new(&ACTIVATE_BACKWARD, &[("width", width)], lines(rows * width)).room(rows);
    launch.activation(activation).dropout(dropout).work(Work::of(rows * width, 3 * rows * width))
}

/// `row_softmax` of `rows` rows.
pub fn row_softmax(rows: usize, classes: usize) -> Launch {
    Launch::new(&ROW_SOFTMAX, &[("classes", classes)], lines(rows))
        .room(rows)
        .work(Work::of(rows * classes, 2 * rows * classes))
}

/// `cross_entropy` of `rows` rows.
pub fn cross_entropy(rows: usize, classes: usize) -> Launch {
    Launch::new(&CROSS_ENTROPY, &[("classes", classes)], lines(rows))
        .room(rows)
        .tally(true)
        .work(Work::of(rows, rows * (classes + 2)))
}

/// `loss_gradient` of `rows` rows, which have weights or not.
pub fn loss_gradient(rows: usize, outputs: usize, head: HeadKind, weights: bool) -> Launch {
    Launch::new(&LOSS_GRADIENT, &[("classes", outputs)], lines(rows))
        .room(rows)
        .head(head)
        .weights(weights)
        .work(Work::of(rows * outputs, 2 * rows * outputs + rows))
}

/// `reduce_rows` of `rows` rows of `width`; the sums are the gradients at `sums`.
pub fn reduce_rows(rows: usize, width: usize, sums: Within) -> Launch {
    let constants = [("width", width), ("sums_offset", sums.offset)];
    Launch::new(&REDUCE_ROWS, &constants, lines(width))
        .room(rows)
        .stride(sums.stride)
        .work(Work::of(rows * width, rows * width + width))
}

/// `sum` of the values of a batch of up to `rows` rows.
pub fn sum(rows: usize) -> Launch {
    Launch::new(&SUM, &[], [1, 1]).room(rows).work(Work::of(rows, rows))
}

/// `squares` of `count` gradients, `stride` from a member to the next.
pub fn squares(count: usize, stride: usize) -> Launch {
    Launch::new(&SQUARES, &[("count", count)], fold(count.div_ceil(BLOCK)))
        .stride(stride)
        .work(Work::of(2 * count, count))
}

/// `clip` of `count` gradients, from what `squares` makes of them.
pub fn clip(count: usize) -> Launch {
    Launch::new(&CLIP, &[("blocks", count.div_ceil(BLOCK))], [1, 1])
        .work(Work::of(count.div_ceil(BLOCK), count.div_ceil(BLOCK)))
}

/// `step` of a layer of `weights` weights and `biases` biases, the parameters at `layer`, from gradients that are clipped
/// or not.
pub fn step(weights: usize, biases: usize, layer: Within, optimizer: OptimizerKind, clipping: bool) -> Launch {
    let count = weights + biases;
    let constants = [("count", count), ("weights", weights), ("offset", layer.offset)];
    Launch::new(&STEP, &constants, lines(count))
        .stride(layer.stride)
        .optimizer(optimizer)
        .clipping(clipping)
        .work(Work::of(2 * count, (3 + 2 * optimizer.slots()) * count))
}
