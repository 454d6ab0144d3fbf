//! The identity: `h = f`.

use super::{Activate, Operator, Simd};

pub(crate) struct Identity;

impl Activate for Identity {
    const OPERATORS: &'static [Operator] = &[Operator::of("Identity")];

    fn activate(f: f32) -> f32 {
        f
    }

    fn activate_backward(gradient: f32, _: f32) -> f32 {
        gradient
    }

    #[inline(always)]
    fn activate_vector<S: Simd>(_: S, f: S::f32s) -> S::f32s {
        f
    }

    #[inline(always)]
    fn activate_backward_vector<S: Simd>(_: S, gradient: S::f32s, _: S::f32s) -> S::f32s {
        gradient
    }

    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64) {
        (f, 1.0)
    }
}
