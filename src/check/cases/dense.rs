//! Cases of the products of dense layers: expected is what the elementary twins make, one after the other.

use super::{Case, MARGIN, SHAPES, SOURCE_ROWS, Setting, Values, any_hardware, turn, unwritten};
use crate::backend::cpu::activate::activate;
use crate::backend::cpu::activate_backward::activate_backward;
use crate::backend::cpu::bias_add::bias_add;
use crate::backend::cpu::gather_f32::gather_f32;
use crate::backend::cpu::gather_u8::gather_u8;
use crate::backend::cpu::matmul::matmul;
use crate::backend::cpu::matmul_a_bt::matmul_a_bt;
use crate::backend::cpu::matmul_at_b::matmul_at_b;
use crate::backend::cpu::reduce_rows::reduce_rows;
use crate::backend::cpu::step::step;
use crate::backend::gpu::hardware::{Cooperative, Hardware};
use crate::backend::gpu::launch::dense::{Dense, Product, Source, dense};
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
    let &mut Setting { kernel, rows, inner: inputs, columns: outputs, batch, ref order, ref mut draw, .. } = setting;
    let shape = SHAPES.iter().position(|&shape| shape == (rows, inputs, outputs)).unwrap_or(0);
    // The layer lies where its rows start at whole vectors, and where they do not.
    let offset = if rows % 2 == 0 { 4 } else { MARGIN };
    let scale = 1.0 / (inputs as f32).sqrt();
    // Operands that 16 bits hold exactly: then the products are exact too, however a driver rounds.
    let operand = |values: Vec<f32>| match cooperative {
        Some(_) => values.into_iter().map(|value| (value * 256.0).round() / 256.0).collect(),
        None => values,
    };
    let weights = operand(draw.normal(inputs * outputs).into_iter().map(|weight| scale * weight).collect());
    let biases = draw.normal(outputs);
    let flat = |weights: &[f32], biases: &[f32]| {
        let mut all = vec![7.0; offset];
        all.extend_from_slice(weights);
        all.extend_from_slice(biases);
        all.extend([7.0; MARGIN]);
        all
    };
    let parameters = flat(&weights, &biases);
    let mut bytes = draw.bytes(SOURCE_ROWS * inputs);
    if cooperative.is_some() {
        bytes.iter_mut().for_each(|byte| *byte = 255 * (*byte & 1));
    }
    let floats = operand(draw.normal(SOURCE_ROWS * inputs));
    let activations = operand(draw.normal(rows * inputs));
    let (df, mut h) = (operand(draw.normal(rows * outputs)), draw.normal(rows * inputs));
    activate(Activation::Relu, &mut h);
    let mut cases = Vec::new();
    let mut add = |product, source, a: Values, b: Vec<f32>, c: Values, expected: Vec<f32>, terms| {
        let layer = Dense { inputs, outputs, offset, source };
        let launch =
            turn(kernel, dense(product, layer, rows, &Hardware { cooperative, ..any_hardware() }), shape + cases.len());
        let buffers = vec![
            ("a", a.clone()),
            ("a4", a),
            ("b", Values::F32(b.clone())),
            ("b4", Values::F32(b)),
            ("order", Values::U32(order.clone())),
            ("h", Values::F32(h.clone())),
            ("c", c),
        ];
        let after = vec![("c", Values::F32(expected), Tolerance::of_sum(terms))];
        cases.push(Case { launch, batch, before: buffers, after });
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
        matmul(&x, &weights, inputs, outputs, &mut f);
        bias_add(&biases, &mut f);
        let activation = if source == Source::Activations { Activation::Identity } else { Activation::Relu };
        activate(activation, &mut f);
        add(Product::Forward(activation), source, a.clone(), parameters.clone(), unwritten(f.len()), f, inputs);

        let mut gradient = vec![0.0; (inputs + 1) * outputs];
        let (of_weights, of_biases) = gradient.split_at_mut(inputs * outputs);
        matmul_at_b(&x, &df, inputs, outputs, of_weights);
        reduce_rows(&df, of_biases);
        let mut updated = [&weights[..], &biases].concat();
        step(OptimizerKind::Sgd, &gradient, rows, batch.learning_rate, &mut updated);
        let (weights, biases) = updated.split_at(inputs * outputs);
        let expected = flat(weights, biases);
        add(
            Product::Update(OptimizerKind::Sgd),
            source,
            a,
            df.clone(),
            Values::F32(parameters.clone()),
            expected,
            rows,
        );
    }
    let mut dh = vec![0.0; rows * inputs];
    matmul_a_bt(&df, &weights, inputs, outputs, &mut dh);
    activate_backward(Activation::Relu, &h, &mut dh);
    add(
        Product::InputGradient(Activation::Relu),
        Source::Activations,
        Values::F32(df.clone()),
        parameters.clone(),
        unwritten(dh.len()),
        dh,
        outputs,
    );
    Ok(cases)
}
