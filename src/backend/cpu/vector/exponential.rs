//! The exponential and what activations need beside it, of vectors.

use pulp::Simd;

use super::multiply_add;

/// Below this `e^x` is no normal number.
const LOWEST: f32 = -87.3;

/// `e^x` for `x <= 0`, as `2^n e^r` with `|r| <= ln 2 / 2`.
pub struct Exponential<S: Simd> {
    /// `2^n`
    power: S::f32s,
    /// `e^r - 1`
    rest: S::f32s,
}

impl<S: Simd> Exponential<S> {
    /// The exponential of `x`, and of `x + extra` if `extra` is so small that `x + extra` would lose it. It is 0 for `x` below -87.3,
    /// and any number if `x` is NaN.
    #[inline(always)]
    pub fn new(simd: S, x: S::f32s, extra: Option<S::f32s>) -> Self {
        let splat = |value| simd.splat_f32s(value);
        let vanishes = simd.less_than_f32s(x, splat(LOWEST));
        let x = simd.max_f32s(x, splat(LOWEST));
        // Adding 1.5 x 2^23 rounds to a whole number, which then is in the lowest bits.
        let magic = splat(12_582_912.0);
        let shifted = multiply_add(simd, x, splat(std::f32::consts::LOG2_E), magic);
        let n = simd.sub_f32s(shifted, magic);
        // `ln 2` in two parts, so that `n` times the first is exact.
        let mut r = multiply_add(simd, n, splat(-0.693_359_4), x);
        r = multiply_add(simd, n, splat(2.121_944_4e-4), r);
        if let Some(extra) = extra {
            r = simd.add_f32s(r, extra);
        }
        let bits = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
        let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23)));
        let power = simd.select_f32s(vanishes, splat(0.0), power);
        // Taylor's series of e^r - 1.
        let mut rest = splat(1.0 / 5040.0);
        for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
            rest = multiply_add(simd, rest, r, splat(coefficient));
        }
        Self { power, rest: multiply_add(simd, simd.mul_f32s(rest, r), r, r) }
    }

    /// `e^x`
    #[inline(always)]
    pub fn value(&self, simd: S) -> S::f32s {
        multiply_add(simd, self.power, self.rest, self.power)
    }

    /// `e^x - 1`
    #[inline(always)]
    pub fn minus_one(&self, simd: S) -> S::f32s {
        multiply_add(simd, self.power, self.rest, simd.sub_f32s(self.power, simd.splat_f32s(1.0)))
    }
}

/// `1 / (1 + e^-x)`, and `1 / (1 + e^x)`; of NaN any number.
#[inline(always)]
pub fn sigmoids<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let one = simd.splat_f32s(1.0);
    let e = Exponential::new(simd, simd.neg_f32s(simd.abs_f32s(x)), None).value(simd);
    let large = simd.div_f32s(one, simd.add_f32s(one, e));
    let small = simd.mul_f32s(e, large);
    let negative = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    (simd.select_f32s(negative, small, large), simd.select_f32s(negative, large, small))
}
