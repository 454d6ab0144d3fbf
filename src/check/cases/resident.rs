//! Cases of the kernel that does whole steps: three batches, the last short.

use super::{Case, FIRST, SOURCE_ROWS, Setting, Values, data};
use crate::backend::cpu::reference;
use crate::backend::cpu::step::step;
use crate::backend::gpu::launch::narrow::Narrow;
use crate::backend::gpu::launch::resident::{MAX_HIDDEN, resident};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::data::Samples;
use crate::error::Result;
use crate::model::{Activation, Mlp};
use crate::recipe::OptimizerKind;

pub(super) fn cases(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { rows, inner, columns, batch, ref order, ref mut draw, .. } = setting;
    let classes = columns.clamp(2, 12);
    let hidden = 1 + (rows + columns) % MAX_HIDDEN;
    // So that it fits the workgroup memory of every WebGPU device.
    let inputs = inner.min(2300 / hidden.next_multiple_of(4));
    let model = Mlp::new(&[inputs, hidden, classes])?;
    let batch_size = rows.div_ceil(3).min(32);
    let rows = (3 * batch_size - 1).min(rows);
    let picked = &order[FIRST..FIRST + rows];
    let floats = rows % 4 == 1;
    let rows_data = super::inputs(draw, floats, inputs);
    let samples = Samples::new(rows_data, inputs, draw.below(classes, SOURCE_ROWS))?;
    let scale = 1.0 / (inputs as f32).sqrt();
    let parameters: Vec<f32> = draw.normal(model.parameters()).into_iter().map(|value| scale * value).collect();
    let mut updated = parameters.clone();
    for part in picked.chunks(batch_size) {
        let gradients = reference::gradient(&model, &updated, &samples, part);
        step(OptimizerKind::Sgd, &gradients, part.len(), batch.learning_rate, &mut updated);
    }
    let before = vec![
        ("data", data(&samples.inputs)),
        ("order", Values::U32(order.clone())),
        ("labels", Values::U32(samples.labels().to_vec())),
        ("parameters", Values::F32(parameters)),
    ];
    let after = vec![("parameters", Values::F32(updated), Tolerance::of_sum(inputs + rows))];
    let batch = Batch { rows: rows as u32, ..batch };
    let link = Link { activation: Activation::Relu, ..Link::default() };
    Ok(vec![Case {
        launch: resident(Narrow { inputs, hidden, classes, floats }, batch_size, link),
        batch,
        before,
        after,
    }])
}
