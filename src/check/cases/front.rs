//! Cases of the kernels of the front: expected is what the twin makes.

use super::{Case, MARGIN, Setting, Values, padded, stepped, unwritten};
use crate::backend::cpu;
use crate::backend::cpu::embed::Waves;
use crate::backend::cpu::step::Mean;
use crate::backend::gpu::launch::{Within, front as launch, stride};
use crate::backend::gpu::submit::Batch;
use crate::compare::Tolerance;
use crate::error::Result;
use crate::model::Front;
use crate::model::front::VALUES;
use crate::recipe::OptimizerKind;

/// The front of a case, its parameters, and rows.
struct Embedding {
    front: Front,
    parameters: Vec<f32>,
    x: Vec<f32>,
}

impl Embedding {
    /// Every other feature is embedded; waves go around a few times.
    fn new(setting: &mut Setting) -> Self {
        let &mut Setting { rows, inner, ref mut draw, .. } = setting;
        let front = Front { embedded: (0..inner as u32).step_by(2).collect(), deviation: 0.3, scaled: false };
        let [frequencies, .., end] = front.tensors(inner).map(|tensor| tensor.place);
        let mut parameters = draw.normal(end.end);
        parameters[frequencies].iter_mut().for_each(|frequency| *frequency *= front.deviation);
        Self { front, parameters, x: draw.normal(rows * inner) }
    }

    fn waves(&self, inner: usize) -> Waves<'_> {
        Waves::of(&self.parameters, &self.front.tensors(inner))
    }

    fn buffers(&self) -> Vec<(&'static str, Values)> {
        vec![
            ("x", Values::F32(self.x.clone())),
            ("parameters", Values::F32(self.parameters.clone())),
            ("columns", Values::U32(self.front.embedded.clone())),
        ]
    }
}

/// The factors of `inner` inputs, in the middle of the parameters.
fn within(inner: usize) -> Within {
    Within { offset: MARGIN, stride: stride(inner + 2 * MARGIN) }
}

/// How far rounding takes an angle near two turns, summed over 16 waves.
const ANGLE: f64 = 16.0 * 2.0 * std::f64::consts::TAU * f32::EPSILON as f64;

pub(super) fn embed(setting: &mut Setting) -> Result<Vec<Case>> {
    let embedding = Embedding::new(setting);
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let mut e = vec![0.0; rows * embedding.front.outputs(inner)];
    cpu::embed::embed(embedding.waves(inner), &embedding.front.embedded, inner, &embedding.x, &mut e);
    let mut before = embedding.buffers();
    before.push(("e", unwritten(e.len())));
    Ok(vec![Case {
        launch: launch::embed(room, &embedding.front, inner, stride(embedding.parameters.len())),
        batch,
        share,
        before,
        after: vec![("e", Values::F32(e), Tolerance { absolute: ANGLE, relative: 1e-5 })],
    }])
}

pub(super) fn embed_backward(setting: &mut Setting) -> Result<Vec<Case>> {
    let embedding = Embedding::new(setting);
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let width = embedding.front.outputs(inner);
    let dx = setting.draw.normal(rows * width);
    let mut gradients = vec![7.0; embedding.parameters.len()];
    let places = embedding.front.tensors(inner).map(|tensor| tensor.place);
    for (feature, &column) in embedding.front.embedded.iter().enumerate() {
        let x: Vec<f32> = embedding.x.chunks(inner).map(|row| row[column as usize]).collect();
        let first = inner + feature * VALUES;
        let de: Vec<[f32; VALUES]> = dx.chunks(width).map(|row| std::array::from_fn(|j| row[first + j])).collect();
        let sums = cpu::embed_backward::embed_backward(embedding.waves(inner), feature, &x, &de);
        for (place, sums) in places.iter().zip(sums.tensors()) {
            gradients[place.start + feature * sums.len()..][..sums.len()].copy_from_slice(sums);
        }
    }
    let mut before = embedding.buffers();
    before.extend([("dx", Values::F32(dx)), ("gradients", unwritten(gradients.len()))]);
    // Each row's slope is off by as much as its angle is.
    let absolute = ANGLE * (rows as f64).sqrt().max(4.0);
    Ok(vec![Case {
        launch: launch::embed_backward(room, &embedding.front, inner, stride(embedding.parameters.len())),
        batch,
        share,
        before,
        after: vec![("gradients", Values::F32(gradients), Tolerance { absolute, relative: 1e-5 })],
    }])
}

pub(super) fn scale(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let (factors, e) = (setting.draw.normal(inner), setting.draw.normal(rows * inner));
    let mut x = vec![0.0; rows * inner];
    cpu::scale::scale(&factors, &e, &mut x);
    Ok(vec![Case {
        launch: launch::scale(room, inner, within(inner)),
        batch,
        share,
        before: vec![("factors", Values::F32(padded(&factors))), ("e", Values::F32(e)), ("x", unwritten(rows * inner))],
        after: vec![("x", Values::F32(x), Tolerance::EXACT)],
    }])
}

pub(super) fn scale_backward(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { room, rows, inner, batch, share, .. } = setting;
    let (factors, e) = (setting.draw.normal(inner), setting.draw.normal(rows * inner));
    let dx = setting.draw.normal(rows * inner);
    let (mut after, mut sums) = (dx.clone(), vec![0.0; inner]);
    cpu::scale_backward::scale_backward(&factors, &e, &mut after, &mut sums);
    Ok(vec![Case {
        launch: launch::scale_backward(room, inner, within(inner)),
        batch,
        share,
        before: vec![
            ("factors", Values::F32(padded(&factors))),
            ("e", Values::F32(e)),
            ("dx", Values::F32(dx)),
            ("sums", unwritten(inner + 2 * MARGIN)),
        ],
        after: vec![
            ("dx", Values::F32(after), Tolerance::EXACT),
            ("sums", Values::F32(padded(&sums)), Tolerance::of_sum(rows)),
        ],
    }])
}

pub(super) fn front_step(setting: &mut Setting) -> Result<Vec<Case>> {
    let &mut Setting { inner, columns, batch, share, .. } = setting;
    let front = Front { embedded: (0..columns.min(inner) as u32).collect(), deviation: 0.3, scaled: true };
    let tensors = front.tensors(inner);
    let count = tensors[4].place.end;
    // What a parameter moves is the difference of two.
    let near_one = Tolerance { absolute: 8.0 * f64::from(f32::EPSILON), relative: 1e-5 };
    let clipping = (setting.number % 3 == 1).then_some(share as f32);
    let mean = Mean { divisor: batch.divisor, factor: clipping.unwrap_or(1.0) };
    let cases = OptimizerKind::ALL.map(|kind| {
        let (gradients, parameters) = (setting.draw.normal(count + MARGIN), setting.draw.normal(count + MARGIN));
        let before = setting.state(kind, parameters);
        let mut after = before.clone();
        let numbers = setting.numbers(kind);
        for tensor in &tensors {
            let place = tensor.place.clone();
            let mut slots: Vec<_> = after.slots.iter_mut().map(|slot| &mut slot[place.clone()]).collect();
            let (gradients, parameters) = (&gradients[place.clone()], &mut after.parameters[place]);
            cpu::front_step::front_step(kind, &numbers, tensor, gradients, mean, parameters, &mut slots);
        }
        let launch = launch::front_step(count, &front, stride(count + MARGIN), kind, clipping.is_some());
        stepped(launch, Batch { numbers, ..batch }, share, clipping, gradients, (&before, &after), near_one)
    });
    Ok(cases.into())
}
