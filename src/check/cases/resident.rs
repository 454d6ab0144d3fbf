//! Cases of the kernel that does whole steps: three batches, the last short.

use super::{Answers, Case, FIRST, HEADS, Setting, Values, any_hardware, data, one_of, slots, turn};
use crate::backend::cpu::reference::{self, Rows};
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::launch::narrow::Narrow;
use crate::backend::gpu::launch::resident::{MAX_HIDDEN, resident};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;
use crate::backend::numbers::Numbers;
use crate::compare::Tolerance;
use crate::error::Result;
use crate::model::{Activation, Head, Mlp};
use crate::recipe::OptimizerKind;

pub(super) fn cases(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, columns, batch, number, rate, share, training, .. } = setting;
    let order = setting.order.clone();
    let draw = &mut setting.draw;
    let classes = columns.clamp(2, 12);
    let hidden = 1 + (room + columns) % MAX_HIDDEN;
    // So that it fits the workgroup memory of every WebGPU device.
    let inputs = inner.min(2300 / hidden.next_multiple_of(4));
    // Where they are many, three words more than whole turns of 32.
    let inputs = if inputs > 140 { inputs / 128 * 128 + 12 } else { inputs };
    let activation = one_of(Activation::ALL, number);
    let kind = one_of(&OptimizerKind::ALL, number);
    let head = one_of(&HEADS, number);
    let model = Mlp::new(&[inputs, hidden, classes])?.with_activation(activation);
    let model = model.with_head(if head.0.is_classes() { Head::Classes } else { Head::Values });
    // Less where more is kept of each row.
    let batch_size = room.div_ceil(3).min(if activation.saves_input() { 24 } else { 32 });
    let rows = (3 * batch_size - 1).min(rows);
    let picked = &order[FIRST..FIRST + rows];
    let floats = room % 4 == 1;
    let rows_data = super::inputs(draw, floats, inputs);
    let answers = Answers::new(draw, head, classes, false);
    let scale = 1.0 / (inputs as f32).sqrt();
    let parameters: Vec<f32> = draw.normal(model.parameters()).into_iter().map(|value| scale * value).collect();
    let before = setting.state(kind, parameters);
    let mut after = before.clone();
    let optimizer = setting.optimizer(kind);
    let mut steps = Vec::new();
    for (number, part) in picked.chunks(batch_size).enumerate() {
        // Another rate in each.
        let rate = rate / (1 + number) as f32;
        steps.push(Batch {
            numbers: Numbers::new(&optimizer, rate, training.step + number as u64),
            smoothing: answers.label_smoothing,
            ..Batch::of_rows(0, number * batch_size, part.len(), 0)
        });
        let examples = Rows { inputs: &rows_data, targets: answers.targets(), order: part };
        let gradients = reference::gradient(&model, answers.objective(), &after.parameters, examples, None);
        reference::update(&model, &optimizer, &gradients, part.len() as f32, rate, &mut after);
    }
    let mut buffers = answers.buffers();
    buffers.extend([
        ("data", data(&rows_data)),
        ("order", Values::U32(order.clone())),
        ("parameters", Values::F32(before.parameters.clone())),
        ("steps", Values::U32(bytemuck::cast_slice(&steps).to_vec())),
    ]);
    let sums = Tolerance::of_sum(inputs + rows);
    let mut expected = vec![("parameters", Values::F32(after.parameters.clone()), sums)];
    if kind.slots() > 0 {
        buffers.push(("slots", Values::F32(slots(&before))));
        expected.push(("slots", Values::F32(slots(&after)), sums));
    }
    let batch = Batch { rows: steps.len() as u32, index: 0, ..batch };
    let link = Link { activation, head: answers.head, optimizer: kind, ..Link::default() };
    let shape = Narrow { inputs, hidden, classes, floats };
    let gpu = Hardware { software: false, ..setting.hardware.clone() };
    let hardware = [any_hardware(), gpu];
    let mut ways: Vec<_> = hardware.iter().flat_map(|hardware| resident(shape, batch_size, link, hardware)).collect();
    ways.retain(|way| way.kernel.name == setting.kernel.name);
    // Workgroup memory may be too little for some.
    if ways.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Case { launch: turn(setting.kernel, ways, number), batch, share, before: buffers, after: expected }])
}
