//! Cases of the elementary kernels: expected is what the twin makes.

use super::{
    Answers, Case, HEADS, MARGIN, SOURCE_ROWS, Setting, Values, data, dropping, inputs, one_of, padded, stepped,
    unwritten,
};
use crate::augment::Augment;
use crate::backend::cpu;
use crate::backend::cpu::augment::Warper;
use crate::backend::cpu::squares::BLOCK;
use crate::backend::cpu::step::Mean;
use crate::backend::gpu::launch::{Within, elementary as launch, stride};
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::error::Result;
use crate::model::Activation;
use crate::recipe::OptimizerKind;

/// exp() of x may err by 3 + 2 |x| units in the last place in Vulkan, division by 2.5, log() by 3, or 2^-21 near 1.
const FUNCTIONS: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-5 };
const ONE_ROUNDING: Tolerance = Tolerance { absolute: 0.0, relative: 4.0 * f32::EPSILON as f64 };

/// So many values in the middle of the parameters.
fn within(count: usize) -> Within {
    Within { offset: MARGIN, stride: stride(count + 2 * MARGIN) }
}

pub(super) fn gather_u8(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let picked = setting.picked();
    let data = setting.draw.bytes(SOURCE_ROWS * inner);
    let mut x = vec![0.0; rows * inner];
    cpu::gather_u8::gather_u8(&data, &picked, inner, &mut x);
    let dropping = dropping(setting.number, 0);
    setting.drop_from(&mut x, inner, dropping);
    Ok(vec![Case {
        launch: launch::gather_u8(room, inner, dropping),
        batch,
        share,
        before: vec![
            ("data", Values::Bytes(data)),
            ("order", Values::U32(setting.order.clone())),
            ("x", unwritten(rows * inner)),
        ],
        after: vec![("x", Values::F32(x), ONE_ROUNDING)],
    }])
}

pub(super) fn gather_f32(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let picked = setting.picked();
    let data = setting.draw.normal(SOURCE_ROWS * inner);
    let mut x = vec![0.0; rows * inner];
    cpu::gather_f32::gather_f32(&data, &picked, inner, &mut x);
    let dropping = dropping(setting.number, 0);
    setting.drop_from(&mut x, inner, dropping);
    Ok(vec![Case {
        launch: launch::gather_f32(room, inner, dropping),
        batch,
        share,
        before: vec![
            ("data", Values::F32(data)),
            ("order", Values::U32(setting.order.clone())),
            ("x", unwritten(rows * inner)),
        ],
        after: vec![("x", Values::F32(x), Tolerance::EXACT)],
    }])
}

pub(super) fn augment(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { number, room, rows, inner, batch, share, training, .. } = setting;
    let picked = setting.picked();
    // In colour where the values allow it; as square as the pixels allow, lying or standing.
    let channels = if inner.is_multiple_of(3) { 3 } else { 1 };
    let pixels = inner / channels;
    let short = (1..=pixels.isqrt()).rev().find(|side| pixels.is_multiple_of(*side)).unwrap_or(1);
    let size = if number.is_multiple_of(2) { (short, pixels / short) } else { (pixels / short, short) };
    let all = Augment { shift: 2.0, rotate: 40.0, scale: 0.2, elastic: 4.0 };
    let hows = [all, Augment { elastic: 0.0, ..all }, Augment { rotate: 180.0, shift: 9.0, ..all }];
    let warper = Warper::new(one_of(&hows, number), size).with_channels(channels);
    let dropping = dropping(number, 0);
    // Roundings of a place grow with the image, and values between pixels as pixels differ.
    let tolerance = Tolerance { absolute: 64.0 * f64::from(f32::EPSILON) * (pixels / short) as f64, relative: 1e-5 };
    let cases = [false, true].map(|floats| {
        let rows_data = inputs(&mut setting.draw, floats, inner);
        let mut x = vec![0.0; rows * inner];
        cpu::gather(&rows_data, &picked, inner, &mut x);
        cpu::augment::augment(&warper, Warper::key(training.seed, training.step), 0, &mut x);
        setting.drop_from(&mut x, inner, dropping);
        Case {
            launch: launch::augment(room, &warper, floats, dropping),
            batch,
            share,
            before: vec![
                ("data", data(&rows_data)),
                ("order", Values::U32(setting.order.clone())),
                ("x", unwritten(rows * inner)),
            ],
            after: vec![("x", Values::F32(x), tolerance)],
        }
    });
    Ok(cases.into())
}

pub(super) fn matmul(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, columns, batch, share, .. } = setting;
    let (a, b) = (setting.draw.normal(rows * inner), setting.draw.normal(inner * columns));
    let mut c = vec![0.0; rows * columns];
    cpu::matmul::matmul(&a, &b, inner, columns, &mut c);
    Ok(vec![Case {
        launch: launch::matmul(room, inner, columns, within(inner * columns)),
        batch,
        share,
        before: vec![("a", Values::F32(a)), ("b", Values::F32(padded(&b))), ("c", unwritten(rows * columns))],
        after: vec![("c", Values::F32(c), Tolerance::of_sum(inner))],
    }])
}

pub(super) fn matmul_at_b(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, columns, batch, share, .. } = setting;
    let (a, b) = (setting.draw.normal(rows * inner), setting.draw.normal(rows * columns));
    let mut c = vec![0.0; inner * columns];
    cpu::matmul_at_b::matmul_at_b(&a, &b, inner, columns, &mut c);
    Ok(vec![Case {
        launch: launch::matmul_at_b(room, inner, columns, within(inner * columns)),
        batch,
        share,
        before: vec![("a", Values::F32(a)), ("b", Values::F32(b)), ("c", unwritten(inner * columns + 2 * MARGIN))],
        after: vec![("c", Values::F32(padded(&c)), Tolerance::of_sum(rows))],
    }])
}

pub(super) fn matmul_a_bt(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, columns, batch, share, .. } = setting;
    let (a, b) = (setting.draw.normal(rows * columns), setting.draw.normal(inner * columns));
    let mut c = vec![0.0; rows * inner];
    cpu::matmul_a_bt::matmul_a_bt(&a, &b, inner, columns, &mut c);
    Ok(vec![Case {
        launch: launch::matmul_a_bt(room, inner, columns, within(inner * columns)),
        batch,
        share,
        before: vec![("a", Values::F32(a)), ("b", Values::F32(padded(&b))), ("c", unwritten(rows * inner))],
        after: vec![("c", Values::F32(c), Tolerance::of_sum(columns))],
    }])
}

pub(super) fn bias_add(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let (biases, f) = (setting.draw.normal(inner), setting.draw.normal(rows * inner));
    let mut sums = f.clone();
    cpu::bias_add::bias_add(&biases, &mut sums);
    Ok(vec![Case {
        launch: launch::bias_add(room, inner, within(inner)),
        batch,
        share,
        before: vec![("biases", Values::F32(padded(&biases))), ("f", Values::F32(f))],
        after: vec![("f", Values::F32(sums), Tolerance::EXACT)],
    }])
}

pub(super) fn activate(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let dropping = dropping(setting.number, 3);
    let cases = Activation::ALL.iter().map(|&activation| {
        // Also far from 0, where some are flat.
        let mut f: Vec<f32> = setting.draw.normal(rows * inner).into_iter().map(|f| 4.0 * f).collect();
        f[0] = -0.0;
        let mut h = f.clone();
        cpu::activate::activate(activation, &mut h);
        setting.drop_from(&mut h, inner, dropping);
        let mut before = vec![("f", Values::F32(f.clone()))];
        let tolerance = if is_linear(activation) { Tolerance::EXACT } else { FUNCTIONS };
        let mut after = vec![("f", Values::F32(h), tolerance)];
        if activation.saves_input() {
            before.push(("saved", unwritten(f.len())));
            after.push(("saved", Values::F32(f), Tolerance::EXACT));
        }
        Case { launch: launch::activate(room, inner, activation, dropping), batch, share, before, after }
    });
    Ok(cases.collect())
}

pub(super) fn activate_backward(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let dropping = dropping(setting.number, 3);
    let cases = Activation::ALL.iter().map(|&activation| {
        let (mut saved, d) = (setting.draw.normal(rows * inner), setting.draw.normal(rows * inner));
        if !activation.saves_input() {
            cpu::activate::activate(activation, &mut saved);
        }
        let mut expected = d.clone();
        setting.drop_from(&mut expected, inner, dropping);
        cpu::activate_backward::activate_backward(activation, &saved, &mut expected);
        let tolerance = if is_linear(activation) { Tolerance::EXACT } else { FUNCTIONS };
        // An output is bound as it is after dropout.
        if !activation.saves_input() {
            setting.drop_from(&mut saved, inner, dropping);
        }
        Case {
            launch: launch::activate_backward(room, inner, activation, dropping),
            batch,
            share,
            before: vec![("h", Values::F32(saved)), ("d", Values::F32(d))],
            after: vec![("d", Values::F32(expected), tolerance)],
        }
    });
    Ok(cases.collect())
}

/// Whether it only passes values on, or multiplies them once.
fn is_linear(activation: Activation) -> bool {
    matches!(activation, Activation::Relu | Activation::LeakyRelu | Activation::Identity)
}

pub(super) fn row_softmax(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    // Values far apart: without the maximum subtracted some overflow, with it some underflow.
    let f: Vec<f32> = setting.draw.normal(rows * inner).into_iter().map(|f| 100.0 + 30.0 * f).collect();
    let mut p = f.clone();
    cpu::row_softmax::row_softmax(inner, &mut p);
    Ok(vec![Case {
        launch: launch::row_softmax(room, inner),
        batch,
        share,
        before: vec![("f", Values::F32(f)), ("outputs", unwritten(rows * inner))],
        after: vec![("outputs", Values::F32(p), FUNCTIONS)],
    }])
}

pub(super) fn cross_entropy(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, columns, batch, share, .. } = setting;
    let picked = setting.picked();
    let labels = setting.draw.below(columns, SOURCE_ROWS);
    let mut p = setting.draw.normal(rows * columns);
    cpu::row_softmax::row_softmax(columns, &mut p);
    // One row is all zero, as an underflow makes it.
    p[..columns].fill(0.0);
    let mut losses = vec![0.0; rows];
    let mut confusion = vec![1; columns * columns];
    let start = Values::U32(confusion.clone());
    cpu::cross_entropy::cross_entropy(&p, &labels, &picked, columns, &mut losses, &mut confusion);
    Ok(vec![Case {
        launch: launch::cross_entropy(room, columns),
        batch,
        share,
        before: vec![
            ("outputs", Values::F32(p)),
            ("targets", Values::U32(labels)),
            ("order", Values::U32(setting.order.clone())),
            ("losses", unwritten(rows)),
            ("confusion", start),
        ],
        after: vec![
            ("losses", Values::F32(losses), FUNCTIONS),
            ("confusion", Values::U32(confusion), Tolerance::EXACT),
        ],
    }])
}

pub(super) fn loss_gradient(setting: &mut Setting) -> Result<Vec<Case>> {
    let picked = setting.picked();
    let &mut Setting { number, room, rows, columns, batch, share, ref order, ref mut draw, .. } = setting;
    let case = |(index, head)| {
        let answers = Answers::new(draw, head, columns, (number + index) % 2 == 1);
        let predicted = draw.normal(rows * columns);
        let mut df = predicted.clone();
        cpu::loss_gradient::loss_gradient(answers.objective(), &answers.targets(), &picked, columns, &mut df);
        let mut before = answers.buffers();
        before.extend([("order", Values::U32(order.clone())), ("outputs", Values::F32(predicted))]);
        Case {
            launch: launch::loss_gradient(room, columns, answers.head, answers.weights.is_some()),
            batch: Batch { smoothing: answers.label_smoothing, ..batch },
            share,
            before,
            after: vec![("outputs", Values::F32(df), FUNCTIONS)],
        }
    };
    Ok(HEADS.into_iter().enumerate().map(case).collect())
}

pub(super) fn reduce_rows(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let d = setting.draw.normal(rows * inner);
    let mut sums = vec![0.0; inner];
    cpu::reduce_rows::reduce_rows(&d, &mut sums);
    Ok(vec![Case {
        launch: launch::reduce_rows(room, inner, within(inner)),
        batch,
        share,
        before: vec![("d", Values::F32(d)), ("sums", unwritten(inner + 2 * MARGIN))],
        after: vec![("sums", Values::F32(padded(&sums)), Tolerance::of_sum(rows))],
    }])
}

pub(super) fn sum(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, mut batch, share, .. } = setting;
    batch.rows = (rows * inner) as u32;
    let values = setting.draw.normal(rows * inner);
    let total = cpu::sum::sum(&values) as f32;
    Ok(vec![Case {
        launch: launch::sum(room * inner),
        batch,
        share,
        before: vec![("values", Values::F32(values)), ("totals", unwritten(3))],
        after: vec![("totals", Values::F32(vec![7.0, total, 7.0]), Tolerance::of_sum(rows * inner))],
    }])
}

pub(super) fn squares(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { inner, columns, batch, share, .. } = setting;
    let gradients = setting.draw.normal(inner * columns);
    let blocks = gradients.len().div_ceil(BLOCK);
    let mut sums = vec![0.0; blocks];
    cpu::squares::squares(&gradients, batch.divisor, &mut sums);
    Ok(vec![Case {
        launch: launch::squares(gradients.len(), stride(gradients.len())),
        batch,
        share,
        before: vec![("gradients", Values::F32(gradients)), ("sums", unwritten(blocks))],
        after: vec![("sums", Values::F32(sums), Tolerance::of_sum(inner * columns))],
    }])
}

pub(super) fn clip(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, inner, batch, share, .. } = setting;
    let sums: Vec<f32> = setting.draw.normal(room * inner).into_iter().map(|sum| sum * sum).collect();
    let norm = sums.iter().sum::<f32>().sqrt();
    // Longer than the norm and shorter, and a norm of 0.
    let cases = [(0.25 * norm, sums.clone()), (2.0 * norm, sums), (1.0, vec![0.0; room * inner])];
    let case = |(clip_norm, sums): (f32, Vec<f32>)| Case {
        launch: launch::clip(sums.len() * BLOCK),
        batch,
        share,
        after: vec![("factor", Values::F32(vec![cpu::clip::clip(&sums, clip_norm)]), FUNCTIONS)],
        before: vec![
            ("sums", Values::F32(sums)),
            ("clip_norms", Values::F32(vec![clip_norm])),
            ("factor", unwritten(1)),
        ],
    };
    Ok(cases.map(case).into())
}

pub(super) fn step(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { inner, columns, batch, share, .. } = setting;
    let (weights, count) = (inner * columns, (inner + 1) * columns);
    let near_one = Tolerance { absolute: 2.0 * f64::from(f32::EPSILON), relative: 1e-5 };
    let clipping = (setting.number % 3 == 1).then_some(setting.share as f32);
    let mean = Mean { divisor: batch.divisor, factor: clipping.unwrap_or(1.0) };
    let cases = OptimizerKind::ALL.map(|kind| {
        let gradients = setting.draw.normal(count + 2 * MARGIN);
        let parameters = setting.draw.normal(count + 2 * MARGIN);
        let before = setting.state(kind, parameters);
        let mut after = before.clone();
        let numbers = setting.numbers(kind);
        for (range, bias) in [(MARGIN..MARGIN + weights, false), (MARGIN + weights..MARGIN + count, true)] {
            let mut slots: Vec<_> = after.slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
            let (gradients, parameters) = (&gradients[range.clone()], &mut after.parameters[range]);
            cpu::step::step(kind, &numbers, bias, gradients, mean, parameters, &mut slots);
        }
        let launch = launch::step(weights, columns, within(count), kind, clipping.is_some());
        stepped(launch, Batch { numbers, ..batch }, share, clipping, gradients, (&before, &after), near_one)
    });
    Ok(cases.into())
}
