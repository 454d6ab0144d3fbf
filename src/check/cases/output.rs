//! Cases of the last layer, in training and not, for each head, with rows for one workgroup and for several of them.

use super::{Answers, Case, HEADS, MARGIN, SOURCE_ROWS, Setting, Values, all_ways, dropping, one_of, turn, unwritten};
use crate::backend::cpu::activate::activate;
use crate::backend::cpu::activate_backward::activate_backward;
use crate::backend::cpu::bias_add::bias_add;
use crate::backend::cpu::cross_entropy::cross_entropy;
use crate::backend::cpu::gather_u8::gather_u8;
use crate::backend::cpu::head::Target;
use crate::backend::cpu::loss_gradient::loss_gradient;
use crate::backend::cpu::matmul::matmul;
use crate::backend::cpu::matmul_a_bt::matmul_a_bt;
use crate::backend::gpu::launch::dense::{Dense, Source};
use crate::backend::gpu::launch::output::{Pass, output};
use crate::backend::gpu::launch::{Within, stride};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::error::Result;
use crate::model::Activation;

pub(super) fn cases(setting: &mut Setting) -> Result<Vec<Case>> {
    let picked = setting.picked();
    let &mut Setting { kernel, room, rows, inner: inputs, columns: outputs, batch, share, number, .. } = setting;
    let order = setting.order.clone();
    let scale = 1.0 / (inputs as f32).sqrt();
    let w: Vec<f32> = setting.draw.normal(inputs * outputs).into_iter().map(|weight| scale * weight).collect();
    let biases = setting.draw.normal(outputs);
    let mut parameters = vec![7.0; MARGIN];
    parameters.extend_from_slice(&w);
    parameters.extend_from_slice(&biases);
    let bytes = setting.draw.bytes(SOURCE_ROWS * inputs);
    let activation = one_of(Activation::ALL, number);
    let sums = setting.draw.normal(rows * inputs);
    let mut h = sums.clone();
    activate(activation, &mut h);
    let saved = if activation.saves_input() { sums.clone() } else { h.clone() };
    let dropping = dropping(number, 1);
    setting.drop_from(&mut h, inputs, dropping);
    let mut cases = Vec::new();
    let (whole, first) = (Pass::Training { backward: true }, Pass::Training { backward: false });
    for (source, pass) in [
        (Source::Activations, whole),
        (Source::Activations, first),
        (Source::Activations, Pass::Evaluation),
        (Source::Bytes, first),
        (Source::Bytes, Pass::Evaluation),
    ] {
        let turned = number + cases.len();
        let weighs = pass != Pass::Evaluation && turned % 3 == 1;
        let answers = Answers::new(&mut setting.draw, one_of(&HEADS, turned), outputs, weighs);
        let (x, a) = match source {
            Source::Activations => (h.clone(), Values::F32(h.clone())),
            _ => {
                let mut x = vec![0.0; rows * inputs];
                gather_u8(&bytes, &picked, inputs, &mut x);
                (x, Values::Bytes(bytes.clone()))
            }
        };
        let mut p = vec![0.0; rows * outputs];
        matmul(&x, &w, inputs, outputs, &mut p);
        bias_add(&biases, &mut p);
        answers.predict(outputs, &mut p);
        let mut confusion = vec![1; outputs * outputs];
        // The gradient at the layer before, or each row's loss.
        let width = if pass == Pass::Evaluation { 1 } else { inputs };
        let mut c = vec![7.0; rows * width];
        match (pass, answers.targets().of) {
            (Pass::Training { backward }, _) => {
                loss_gradient(answers.objective(), &answers.targets(), &picked, outputs, &mut p);
                if backward {
                    c.fill(0.0);
                    matmul_a_bt(&p, &w, inputs, outputs, &mut c);
                    setting.drop_from(&mut c, inputs, dropping);
                    activate_backward(activation, &saved, &mut c);
                }
            }
            (Pass::Evaluation, Target::Classes(labels)) => {
                cross_entropy(&p, labels, &picked, outputs, &mut c, &mut confusion);
            }
            (Pass::Evaluation, Target::Values(_)) => {}
        }
        let weights = Within { offset: MARGIN, stride: stride(parameters.len()) };
        let layer = Dense { inputs, outputs, weights, source };
        let tolerance = Tolerance::of_sum(inputs);
        let link = Link { activation, dropout: dropping, head: answers.head, weights: weighs, ..Link::default() };
        let ways = all_ways(setting.hardware, |hardware| output(room, layer, pass, link, hardware));
        // Of another width or pass.
        if ways.iter().all(|way| way.kernel.name != kernel.name) {
            continue;
        }
        let mut before = answers.buffers();
        before.extend([
            ("a", a.clone()),
            ("b", Values::F32(parameters.clone())),
            ("order", Values::U32(order.clone())),
            ("p", unwritten(rows * outputs)),
            ("c", unwritten(rows * width)),
            ("h", Values::F32(if activation.saves_input() { sums.clone() } else { h.clone() })),
            ("confusion", Values::U32(vec![1; outputs * outputs])),
        ]);
        cases.push(Case {
            launch: turn(kernel, ways, room + cases.len()),
            batch: Batch { smoothing: answers.label_smoothing, ..batch },
            share,
            before,
            after: vec![
                ("p", Values::F32(p.clone()), tolerance),
                ("c", Values::F32(c.clone()), Tolerance::of_sum(inputs + outputs)),
                ("confusion", Values::U32(confusion.clone()), Tolerance::EXACT),
            ],
        });
    }
    Ok(cases)
}
