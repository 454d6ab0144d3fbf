//! Optimizers of vectors: each is written once, and what computes a gradient does not know which uses it. The formulas are those of
//! `torch.optim`.

use pulp::Simd;

use super::{LANES, Vectors, lanes, load, multiply_add, read, vectorize, write};
use crate::backend::cpu::clip;
use crate::backend::cpu::step::LEAST_KEPT;
use crate::backend::cpu::team::Shared;
use crate::recipe::{self, OptimizerKind};

/// What becomes of a parameter, given its gradient.
pub trait Optimizer: Copy + Send + Sync {
    /// Whether a parameter whose gradient is 0 stays as it is.
    fn rests(self) -> bool;

    /// The new values of `parameters`, which lie in their tensor from `at` on. `sums` are sums of their gradients over a batch.
    ///
    /// # Safety
    /// Nobody else touches what the optimizer keeps beside these parameters until the next barrier.
    unsafe fn step<S: Simd>(self, simd: S, at: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s;
}

/// `values`, but 0 for those below [`LEAST_KEPT`].
#[inline(always)]
fn without_tiny<S: Simd>(simd: S, values: S::f32s) -> S::f32s {
    let tiny = simd.less_than_f32s(simd.abs_f32s(values), simd.splat_f32s(LEAST_KEPT));
    simd.select_f32s(tiny, simd.splat_f32s(0.0), values)
}

/// `w -= rate g`, with `w` shrunk first: the weight decay.
#[derive(Clone, Copy)]
pub struct Sgd {
    /// The learning rate, divided by the rows of the batch.
    pub rate: f32,
    /// What decay leaves of a parameter: 1 for all.
    pub keep: f32,
}

impl Optimizer for Sgd {
    #[inline(always)]
    fn rests(self) -> bool {
        self.keep == 1.0
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(self, simd: S, _: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s {
        let kept = simd.mul_f32s(parameters, simd.splat_f32s(self.keep));
        multiply_add(simd, simd.splat_f32s(-self.rate), sums, kept)
    }
}

/// The same in the twin's order, each operation rounded.
#[derive(Clone, Copy)]
pub struct SgdInOrder {
    rate: f32,
    keep: f32,
    rows: f32,
    /// Where the number of rows is a power of two, whose reciprocal is exact: multiplying by it is the division, and faster.
    reciprocal: Option<f32>,
}

impl Optimizer for SgdInOrder {
    #[inline(always)]
    fn rests(self) -> bool {
        self.keep == 1.0
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(self, simd: S, _: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s {
        let means = match self.reciprocal {
            Some(reciprocal) => simd.mul_f32s(sums, simd.splat_f32s(reciprocal)),
            None => simd.div_f32s(sums, simd.splat_f32s(self.rows)),
        };
        let kept = simd.mul_f32s(parameters, simd.splat_f32s(self.keep));
        simd.add_f32s(simd.mul_f32s(means, simd.splat_f32s(-self.rate)), kept)
    }
}

/// `b = momentum b + g`, then `w -= rate b`, or Nesterov's `w -= rate (g + momentum b)`.
#[derive(Clone, Copy)]
pub struct Momentum<'a> {
    scale: f32,
    /// The L2 penalty.
    decay: f32,
    rate: f32,
    momentum: f32,
    /// What of `g` and of `b` a step consists of.
    shares: [f32; 2],
    slot: Shared<'a, f32>,
}

impl Optimizer for Momentum<'_> {
    #[inline(always)]
    fn rests(self) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(self, simd: S, at: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s {
        let splat = |value| simd.splat_f32s(value);
        // SAFETY: as the caller promises.
        let slot = unsafe { self.slot.part_mut(at..at + lanes::<S>()) };
        let decay = simd.mul_f32s(parameters, splat(self.decay));
        let gradient = multiply_add(simd, sums, splat(self.scale), decay);
        // SAFETY: one vector long.
        let moving = multiply_add(simd, unsafe { read(simd, slot, 0) }, splat(self.momentum), gradient);
        let moving = without_tiny(simd, moving);
        write(simd, slot, moving);
        let direction =
            multiply_add(simd, moving, splat(self.shares[1]), simd.mul_f32s(gradient, splat(self.shares[0])));
        multiply_add(simd, splat(-self.rate), direction, parameters)
    }
}

/// `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, then `w -= rate m / (sqrt(v) / root + epsilon)`.
#[derive(Clone, Copy)]
pub struct Adam<'a> {
    scale: f32,
    /// The L2 penalty.
    decay: f32,
    /// What decoupled decay leaves of a parameter.
    keep: f32,
    /// The learning rate, divided by `1 - beta1^t`.
    rate: f32,
    betas: [f32; 2],
    /// `1 - beta`
    others: [f32; 2],
    /// `1 / sqrt(1 - beta2^t)`
    reciprocal_root: f32,
    epsilon: f32,
    slots: [Shared<'a, f32>; 2],
}

impl Optimizer for Adam<'_> {
    #[inline(always)]
    fn rests(self) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(self, simd: S, at: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s {
        let splat = |value| simd.splat_f32s(value);
        let place = at..at + lanes::<S>();
        // SAFETY: as the caller promises.
        let [m, v] = unsafe { [self.slots[0].part_mut(place.clone()), self.slots[1].part_mut(place)] };
        let gradient = multiply_add(simd, parameters, splat(self.decay), simd.mul_f32s(sums, splat(self.scale)));
        let share = simd.mul_f32s(gradient, splat(self.others[0]));
        // SAFETY: a slot is as long as the vector, as the caller promises.
        let mean = without_tiny(simd, multiply_add(simd, unsafe { read(simd, m, 0) }, splat(self.betas[0]), share));
        write(simd, m, mean);
        let share = simd.mul_f32s(simd.mul_f32s(gradient, gradient), splat(self.others[1]));
        // SAFETY: a slot is as long as the vector, as the caller promises.
        let square = without_tiny(simd, multiply_add(simd, unsafe { read(simd, v, 0) }, splat(self.betas[1]), share));
        write(simd, v, square);
        let root = simd.sqrt_f32s(square);
        let divisor = multiply_add(simd, root, splat(self.reciprocal_root), splat(self.epsilon));
        let kept = simd.mul_f32s(parameters, splat(self.keep));
        multiply_add(simd, splat(-self.rate), simd.div_f32s(mean, divisor), kept)
    }
}

/// No optimizer: keeps the sums, and the parameters as they are.
#[derive(Clone, Copy)]
pub struct Keep<'a>(pub Shared<'a, f32>);

impl Optimizer for Keep<'_> {
    #[inline(always)]
    fn rests(self) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(self, simd: S, at: usize, sums: S::f32s, parameters: S::f32s) -> S::f32s {
        // SAFETY: as the caller promises.
        write(simd, unsafe { self.0.part_mut(at..at + lanes::<S>()) }, sums);
        parameters
    }
}

/// What a step does with gradients.
#[derive(Clone, Copy)]
pub enum Use {
    /// Gradients are kept: something is to be known of all of them first.
    Keep,
    /// The optimizer uses them.
    Step,
}

/// The numbers of one step.
#[derive(Clone, Copy)]
pub struct Step {
    /// What it does with gradients.
    gradients: Use,
    kind: OptimizerKind,
    learning_rate: f32,
    /// What the sums of gradients are divided by.
    total: f32,
    /// What they are multiplied by instead, clipping included.
    scale: f32,
    decay: f64,
    decay_biases: bool,
    momentum: f32,
    betas: [f32; 2],
    others: [f32; 2],
    corrections: [f64; 2],
    epsilon: f32,
}

impl Step {
    /// Step `number`, from 1, at `learning_rate`; the gradients are sums, to be divided by `total`.
    pub fn new(optimizer: &recipe::Optimizer, learning_rate: f32, number: u64, total: f32) -> Self {
        let betas = [optimizer.beta1, optimizer.beta2];
        Self {
            gradients: Use::Step,
            kind: optimizer.kind,
            learning_rate,
            total,
            scale: 1.0 / total,
            decay: optimizer.weight_decay,
            decay_biases: optimizer.decay_biases,
            momentum: optimizer.momentum as f32,
            betas: betas.map(|beta| beta as f32),
            others: betas.map(|beta| (1.0 - beta) as f32),
            corrections: betas.map(|beta| 1.0 - beta.powf(number as f64)),
            epsilon: optimizer.epsilon as f32,
        }
    }

    /// The same with gradients clipped: `squares` is the sum of the squares of all sums of gradients.
    pub fn clipped(self, squares: f64, norm: f64) -> Self {
        let found = squares.sqrt() / f64::from(self.total);
        let factor = clip::factor(found, norm);
        Self { scale: (factor / f64::from(self.total)) as f32, total: (f64::from(self.total) / factor) as f32, ..self }
    }

    /// The same for biases.
    pub fn of_biases(self) -> Self {
        Self { decay: if self.decay_biases { self.decay } else { 0.0 }, ..self }
    }

    /// The same for what never decays.
    pub fn without_decay(self) -> Self {
        Self { decay: 0.0, ..self }
    }

    /// The same at `factor` times the learning rate.
    pub fn with_rate(self, factor: f32) -> Self {
        Self { learning_rate: self.learning_rate * factor, ..self }
    }

    /// What decay leaves of a parameter, where it does not go through the gradient.
    fn keep(&self) -> f32 {
        (1.0 - f64::from(self.learning_rate) * self.decay) as f32
    }

    /// Plain SGD.
    pub fn sgd(&self) -> Sgd {
        Sgd { rate: self.learning_rate / self.total, keep: self.keep() }
    }

    /// Plain SGD in the twin's order.
    pub fn sgd_in_order(&self) -> SgdInOrder {
        let power_of_two = self.total.to_bits() << 9 == 0;
        SgdInOrder {
            rate: self.learning_rate,
            keep: self.keep(),
            rows: self.total,
            reciprocal: power_of_two.then_some(1.0 / self.total),
        }
    }

    /// Momentum, in the first of `slots`.
    pub fn momentum<'a>(&self, slots: &[Shared<'a, f32>]) -> Momentum<'a> {
        Momentum {
            scale: self.scale,
            decay: self.decay as f32,
            rate: self.learning_rate,
            momentum: self.momentum,
            shares: if self.kind == OptimizerKind::Nesterov { [1.0, self.momentum] } else { [0.0, 1.0] },
            slot: slots[0],
        }
    }

    /// Adam, in the first two of `slots`.
    pub fn adam<'a>(&self, slots: &[Shared<'a, f32>]) -> Adam<'a> {
        let decoupled = self.kind == OptimizerKind::AdamW;
        Adam {
            scale: self.scale,
            decay: if decoupled { 0.0 } else { self.decay as f32 },
            keep: if decoupled { self.keep() } else { 1.0 },
            rate: (f64::from(self.learning_rate) / self.corrections[0]) as f32,
            betas: self.betas,
            others: self.others,
            reciprocal_root: (1.0 / self.corrections[1].sqrt()) as f32,
            epsilon: self.epsilon,
            slots: [slots[0], slots[1]],
        }
    }

    /// The same, but the gradients are only kept.
    pub fn keeping(self) -> Self {
        Self { gradients: Use::Keep, ..self }
    }

    /// What it does, and by which rule.
    pub fn rule(&self) -> (Use, OptimizerKind) {
        (self.gradients, self.kind)
    }
}

/// Evaluates `$body` for the optimizer of `$step`, which it knows as `$optimizer`: compiled once for each. `$tensor` has what is
/// kept beside the parameters, and `$sgd` names the form of plain SGD.
macro_rules! with_optimizer {
    ($step:expr, $sgd:ident, $tensor:expr, |$optimizer:ident| $body:expr) => {{
        use $crate::backend::cpu::vector::optimizer::{Keep, Use};
        use $crate::recipe::OptimizerKind;
        let (step, tensor) = (&$step, &$tensor);
        match step.rule() {
            (Use::Keep, _) => {
                let $optimizer = Keep(tensor.gradients);
                $body
            }
            (Use::Step, OptimizerKind::Sgd) => {
                let $optimizer = step.$sgd();
                $body
            }
            (Use::Step, OptimizerKind::Momentum | OptimizerKind::Nesterov) => {
                let $optimizer = step.momentum(&tensor.slots);
                $body
            }
            (Use::Step, OptimizerKind::Adam | OptimizerKind::AdamW) => {
                let $optimizer = step.adam(&tensor.slots);
                $body
            }
        }
    }};
}
pub(in crate::backend::cpu) use with_optimizer;

/// Updates `parameters`, which lie in their tensor from `at` on, from the sums of their gradients; there are whole multiples of
/// [`LANES`].
///
/// # Safety
/// As [`Optimizer::step`].
#[inline(always)]
pub unsafe fn update<S: Simd, O: Optimizer>(simd: S, optimizer: O, at: usize, sums: &[f32], parameters: &mut [f32]) {
    let vectors = parameters.chunks_exact_mut(LANES).zip(sums.chunks_exact(LANES));
    for ((parameters, sums), at) in vectors.zip((at..).step_by(LANES)) {
        let (sums, old) = (load(simd, sums, 0), load(simd, parameters, 0));
        // SAFETY: as the caller promises.
        write(simd, parameters, unsafe { optimizer.step(simd, at, sums, old) });
    }
}

/// The same, compiled for `vectors`.
///
/// # Safety
/// As [`Optimizer::step`].
pub unsafe fn update_all<O: Optimizer>(
    vectors: Vectors,
    optimizer: O,
    at: usize,
    sums: &[f32],
    parameters: &mut [f32],
) {
    vectorize!(vectors, |simd| {
        // SAFETY: as the caller promises.
        unsafe { update(simd, optimizer, at, sums, parameters) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::vector::Aligned;

    #[test]
    fn moments_that_shrink_end_at_0() {
        for (vectors, kind) in Vectors::all()
            .into_iter()
            .flat_map(|vectors| [OptimizerKind::Momentum, OptimizerKind::Adam].map(|kind| (vectors, kind)))
        {
            let optimizer = recipe::Optimizer { kind, ..recipe::Optimizer::default() };
            let mut slots = [1e-30, 1e-34].map(|value| {
                let mut slot = Aligned::zeros(2 * LANES);
                slot.fill(value);
                slot
            });
            slots[0][0] = -1e-30;
            let (sums, mut parameters) = (Aligned::zeros(2 * LANES), Aligned::zeros(2 * LANES));
            parameters.fill(0.5);
            for number in 1..400 {
                let step = Step::new(&optimizer, 0.1, number, 1.0);
                let shared = slots.each_mut().map(|slot| Shared::new(slot));
                // SAFETY: nobody else has the slots.
                unsafe {
                    match kind {
                        OptimizerKind::Adam => update_all(vectors, step.adam(&shared), 0, &sums, &mut parameters),
                        _ => update_all(vectors, step.momentum(&shared), 0, &sums, &mut parameters),
                    }
                }
                let kept = || slots.iter().flat_map(|slot| slot.iter());
                assert!(kept().all(|value| *value == 0.0 || value.is_normal()), "{vectors:?} {}", kind.name());
            }
            assert!(slots[0].iter().all(|&value| value == 0.0) && parameters.iter().all(|&value| value == 0.5));
        }
    }
}
