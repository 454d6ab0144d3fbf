//! Cases of the products of dense layers: expected is what the elementary twins make, one after the other.

use super::{Case, MARGIN, SOURCE_ROWS, Setting, Values, all_ways, dropping, one_of, slots, turn, unwritten};
use crate::backend::cpu::activate::activate;
use crate::backend::cpu::activate_backward::activate_backward;
use crate::backend::cpu::bias_add::bias_add;
use crate::backend::cpu::gather_f32::gather_f32;
use crate::backend::cpu::gather_u8::gather_u8;
use crate::backend::cpu::matmul::matmul;
use crate::backend::cpu::matmul_a_bt::matmul_a_bt;
use crate::backend::cpu::matmul_at_b::matmul_at_b;
use crate::backend::cpu::reduce_rows::reduce_rows;
use crate::backend::cpu::step::{Mean, step};
use crate::backend::gpu::hardware::{Cooperative, Hardware};
use crate::backend::gpu::launch::Within;
use crate::backend::gpu::launch::dense::{Dense, Product, Source, dense};
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::error::Result;
use crate::model::Activation;
use crate::recipe::OptimizerKind;

pub(super) fn cases(setting: &mut Setting) -> Result<Vec<Case>> {
    products(setting, None)
}

pub(super) fn cooperative_cases(setting: &mut Setting) -> Result<Vec<Case>> {
    products(setting, setting.hardware.cooperative)
}

fn products(setting: &mut Setting, cooperative: Option<Cooperative>) -> Result<Vec<Case>> {
    let picked = setting.picked();
    let &mut Setting { kernel, room, rows, inner: inputs, columns: outputs, batch, share, number, .. } = setting;
    let order = setting.order.clone();
    // The layer lies where its rows start at whole vectors, and where they do not.
    let offset = if room % 2 == 0 { 4 } else { MARGIN };
    let scale = 1.0 / (inputs as f32).sqrt();
    // Operands that 16 bits hold exactly: then the products are exact too, however a driver rounds.
    let operand = |values: Vec<f32>| match cooperative {
        Some(_) => values.into_iter().map(|value| (value * 256.0).round() / 256.0).collect(),
        None => values,
    };
    let w = operand(setting.draw.normal(inputs * outputs).into_iter().map(|weight| scale * weight).collect());
    let biases = setting.draw.normal(outputs);
    let flat = |weights: &[f32], biases: &[f32]| {
        let mut all = vec![7.0; offset];
        all.extend_from_slice(weights);
        all.extend_from_slice(biases);
        all.extend([7.0; MARGIN]);
        all
    };
    let weights =
        Within { offset, stride: crate::backend::gpu::launch::stride(offset + (inputs + 1) * outputs + MARGIN) };
    let parameters = flat(&w, &biases);
    let mut bytes = setting.draw.bytes(SOURCE_ROWS * inputs);
    if cooperative.is_some() {
        bytes.iter_mut().for_each(|byte| *byte = 255 * (*byte & 1));
    }
    let floats = operand(setting.draw.normal(SOURCE_ROWS * inputs));
    let activations = operand(setting.draw.normal(rows * inputs));
    let df = operand(setting.draw.normal(rows * outputs));
    let chosen = one_of(Activation::ALL, number);
    let mut cases = Vec::new();
    let all_numbers = OptimizerKind::ALL.map(|kind| (kind, setting.numbers(kind)));
    let numbers = |kind| all_numbers.iter().find(|(of, _)| *of == kind).map_or(batch.numbers, |&(_, numbers)| numbers);
    let mut add = |product, source, mut before: Vec<(&'static str, Values)>, h: &[f32], after| {
        let layer = Dense { inputs, outputs, weights, source };
        let ways = all_ways(setting.hardware, |hardware| {
            dense(product, layer, room, &Hardware { cooperative, ..hardware.clone() })
        });
        // Of another product or width.
        if ways.iter().all(|way| way.kernel.name != kernel.name) {
            return;
        }
        let batch = match product {
            Product::Update(kind) => Batch { numbers: numbers(kind), ..batch },
            _ => batch,
        };
        // Each again, in vectors.
        before.extend([("a4", before[0].1.clone()), ("b4", before[1].1.clone())]);
        before.extend([("order", Values::U32(order.clone())), ("h", Values::F32(h.to_vec()))]);
        cases.push(Case { launch: turn(kernel, ways, number + cases.len()), batch, share, before, after });
    };

    for source in [Source::Activations, Source::Bytes, Source::Floats] {
        let mut x = vec![0.0; rows * inputs];
        let a = match source {
            Source::Activations => {
                x.copy_from_slice(&activations);
                Values::F32(activations.clone())
            }
            Source::Bytes => {
                gather_u8(&bytes, &picked, inputs, &mut x);
                Values::Bytes(bytes.clone())
            }
            Source::Floats => {
                gather_f32(&floats, &picked, inputs, &mut x);
                Values::F32(floats.clone())
            }
        };
        let mut f = vec![0.0; rows * outputs];
        matmul(&x, &w, inputs, outputs, &mut f);
        bias_add(&biases, &mut f);
        let activation = if source == Source::Activations { Activation::Identity } else { chosen };
        let saved = f.clone();
        activate(activation, &mut f);
        let dropping = dropping(number, 1);
        setting.drop_from(&mut f, outputs, dropping);
        let sums = Tolerance::of_sum(inputs);
        let mut before =
            vec![("a", a.clone()), ("b", Values::F32(parameters.clone())), ("c", unwritten(rows * outputs))];
        let mut after = vec![("c", Values::F32(f), sums)];
        if activation.saves_input() {
            before.push(("saved", unwritten(rows * outputs)));
            after.push(("saved", Values::F32(saved), sums));
        }
        add(Product::Forward(activation, dropping), source, before, &[0.0], after);

        let mut gradient = vec![0.0; (inputs + 1) * outputs];
        let (of_weights, of_biases) = gradient.split_at_mut(inputs * outputs);
        matmul_at_b(&x, &df, inputs, outputs, of_weights);
        reduce_rows(&df, of_biases);
        let kind = one_of(&OptimizerKind::ALL, number + source as usize);
        let mean = Mean { divisor: batch.divisor, factor: 1.0 };
        let before = setting.state(kind, parameters.clone());
        let mut after = before.clone();
        for (first, count, bias) in [(0, inputs * outputs, false), (inputs * outputs, outputs, true)] {
            let range = offset + first..offset + first + count;
            let mut slots: Vec<_> = after.slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
            let (gradients, parameters) = (&gradient[first..first + count], &mut after.parameters[range]);
            step(kind, &numbers(kind), bias, gradients, mean, parameters, &mut slots);
        }
        let mut buffers = vec![("a", a), ("b", Values::F32(df.clone())), ("c", Values::F32(before.parameters.clone()))];
        let sums = Tolerance::of_sum(rows);
        let mut expected = vec![("c", Values::F32(after.parameters.clone()), sums)];
        if kind.slots() > 0 {
            buffers.push(("slots", Values::F32(slots(&before))));
            expected.push(("slots", Values::F32(slots(&after)), sums));
        }
        add(Product::Update(kind), source, buffers, &[0.0], expected);
    }
    let mut saved = setting.draw.normal(rows * inputs);
    if !chosen.saves_input() {
        activate(chosen, &mut saved);
    }
    let dropping = dropping(number, 2);
    let mut dh = vec![0.0; rows * inputs];
    matmul_a_bt(&df, &w, inputs, outputs, &mut dh);
    setting.drop_from(&mut dh, inputs, dropping);
    activate_backward(chosen, &saved, &mut dh);
    // An output is bound as it is after dropout.
    if !chosen.saves_input() {
        setting.drop_from(&mut saved, inputs, dropping);
    }
    let mut before = vec![("a", Values::F32(df)), ("b", Values::F32(parameters)), ("c", unwritten(rows * inputs))];
    if chosen.saves_input() {
        before.push(("saved", unwritten(1)));
    }
    let after = vec![("c", Values::F32(dh), Tolerance::of_sum(outputs))];
    add(Product::InputGradient(chosen, dropping), Source::Activations, before, &saved, after);
    Ok(cases)
}
