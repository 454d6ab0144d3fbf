//! Cases of the kernels for one narrow hidden layer: expected is what the elementary twins make, one after the other.

use super::{Answers, Case, HEADS, Setting, Values, all_ways, data, dropping, inputs, one_of, slots, turn, unwritten};
use crate::backend::cpu::activate_backward::activate_backward;
use crate::backend::cpu::loss_gradient::loss_gradient;
use crate::backend::cpu::matmul_a_bt::matmul_a_bt;
use crate::backend::cpu::reference::{self, Rows};
use crate::backend::gpu::launch::narrow::{self as launch, MAX_HIDDEN, MAX_OUTPUTS, Narrow};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::data::Inputs;
use crate::error::Result;
use crate::model::{Activation, Head, Mlp};
use crate::recipe::OptimizerKind;

/// A network with one hidden layer, rows of data, and what the twins make of a batch of them.
pub(super) struct Example {
    pub(super) model: Mlp,
    pub(super) inputs: Inputs,
    pub(super) answers: Answers,
    pub(super) parameters: Vec<f32>,
    pub(super) shape: Narrow,
    pub(super) h: Vec<f32>,
    pub(super) d0: Vec<f32>,
    pub(super) d1: Vec<f32>,
}

/// One with a narrow hidden layer.
pub(super) fn example(setting: &mut Setting) -> Result<Example> {
    let Setting { room, columns, .. } = *setting;
    example_of(setting, 1 + (room + columns) % MAX_HIDDEN, columns.clamp(2, MAX_OUTPUTS))
}

/// One with so many hidden units and outputs.
pub(super) fn example_of(setting: &mut Setting, hidden: usize, classes: usize) -> Result<Example> {
    let picked = setting.picked();
    let &mut Setting { number, room, rows, inner, training, share, ref mut draw, .. } = setting;
    let floats = room % 4 == 1;
    let activation = one_of(Activation::ALL, number);
    let share = dropping(number, 1).map_or(0.0, |_| share);
    let head = one_of(&HEADS, number);
    let model = Mlp::new(&[inner, hidden, classes])?.with_activation(activation).with_dropout(0.0, &[share])?;
    let model = model.with_head(if head.0.is_classes() { Head::Classes } else { Head::Values });
    let inputs = inputs(draw, floats, inner);
    let answers = Answers::new(draw, head, classes, number % 3 == 1);
    let scale = 1.0 / (inner as f32).sqrt();
    let parameters: Vec<f32> = draw.normal(model.parameters()).into_iter().map(|value| scale * value).collect();

    let mut forward = reference::forward(&model, &parameters, &inputs, &picked, Some(training));
    let mut d1 = forward.activations.swap_remove(2);
    loss_gradient(answers.objective(), &answers.targets(), &picked, classes, &mut d1);
    let mut d0 = vec![0.0; rows * hidden];
    let w1 = &parameters[model.layers()[1].weights.clone()];
    matmul_a_bt(&d1, w1, hidden, classes, &mut d0);
    setting.drop_from(&mut d0, hidden, dropping(number, 1));
    activate_backward(activation, &forward.saved[0], &mut d0);
    let h = forward.activations.swap_remove(1);

    let shape = Narrow { inputs: inner, hidden, classes, floats };
    Ok(Example { model, inputs, answers, parameters, shape, h, d0, d1 })
}

pub(super) fn forward(setting: &mut Setting) -> Result<Vec<Case>> {
    let Example { model, inputs, answers, parameters, shape, h, d0, d1 } = example(setting)?;
    let Setting { room, inner, share, .. } = *setting;
    let (head, weights) = (answers.head, answers.weights.is_some());
    let dropout = dropping(setting.number, 1);
    let link = Link { activation: model.activation(), dropout, head, weights, ..Link::default() };
    let sums = Tolerance::of_sum(inner);
    let ways = all_ways(setting.hardware, |hardware| launch::forward(room, shape, true, link, hardware));
    let mut before = answers.buffers();
    before.extend([
        ("data", data(&inputs)),
        ("order", Values::U32(setting.order.clone())),
        ("parameters", Values::F32(parameters)),
        ("h", unwritten(h.len())),
        ("d0", unwritten(d0.len())),
        ("p", unwritten(d1.len())),
    ]);
    Ok(vec![Case {
        launch: turn(setting.kernel, ways, room + inner),
        batch: Batch { smoothing: answers.label_smoothing, ..setting.batch },
        share,
        before,
        after: vec![("h", Values::F32(h), sums), ("d0", Values::F32(d0), sums), ("p", Values::F32(d1), sums)],
    }])
}

pub(super) fn update(setting: &mut Setting) -> Result<Vec<Case>> {
    let Example { model, inputs, answers, parameters, shape, h, d0, d1 } = example(setting)?;
    let picked = setting.picked();
    let Setting { number, room, rows, inner, batch, share, training, rate, .. } = *setting;
    let kind = one_of(&OptimizerKind::ALL, number);
    let examples = Rows { inputs: &inputs, targets: answers.targets(), order: &picked };
    let gradients = reference::gradient(&model, answers.objective(), &parameters, examples, Some(training));
    let before = setting.state(kind, parameters);
    let mut after = before.clone();
    reference::update(&model, &setting.optimizer(kind), &gradients, batch.divisor, rate, &mut after);
    let mut buffers = vec![
        ("data", data(&inputs)),
        ("order", Values::U32(setting.order.clone())),
        ("h", Values::F32(h)),
        ("d0", Values::F32(d0)),
        ("d1", Values::F32(d1)),
        ("parameters", Values::F32(before.parameters.clone())),
    ];
    let sums = Tolerance::of_sum(rows);
    let mut expected = vec![("parameters", Values::F32(after.parameters.clone()), sums)];
    if kind.slots() > 0 {
        buffers.push(("slots", Values::F32(slots(&before))));
        expected.push(("slots", Values::F32(slots(&after)), sums));
    }
    let ways = all_ways(setting.hardware, |hardware| launch::update(room, shape, kind, hardware));
    let batch = Batch { numbers: setting.numbers(kind), ..batch };
    let launch = turn(setting.kernel, ways, room + inner);
    Ok(vec![Case { launch, batch, share, before: buffers, after: expected }])
}
