//! GELU: `h = f P(f)`, by the normal distribution `P` with the density `p`; its slope is `P(f) + f p(f)`.

use super::exponential::exponential_of_sum;

/// The activation of `f`.
pub fn activate(f: f32) -> f32 {
    if f.is_nan() { f } else { f * normal(f).0 }
}

/// The gradient at `f`, from that at `h` and from `f`.
pub fn activate_backward(gradient: f32, f: f32) -> f32 {
    if f.is_nan() {
        return f;
    }
    let (cumulative, density) = normal(f);
    gradient * (f * density + cumulative)
}

/// The normal distribution's cumulative probability and density.
fn normal(x: f32) -> (f32, f32) {
    // Beyond 13.3 the exponential is 0.
    let a = x.abs().min(13.4);
    // The square in two parts: of the leading bits, which is exact, and the rest.
    let leading = f32::from_bits(a.to_bits() & 0xffff_f000);
    let rest = (a - leading) * (a + leading);
    let e = exponential_of_sum(-0.5 * (leading * leading), -0.5 * rest);
    // `P(-a) e^(a^2 / 2)` as `t` times a polynomial in `t - 0.6`, `t = 1 / (1 + 0.3 a)`: a minimax fit for `a` in 0..13.3 by
    // iterated weighted least squares, within 3.5e-9.
    let t = 1.0 / (0.3 * a + 1.0);
    let s = t - 0.6;
    let mut p = -0.020_584_656;
    for coefficient in [
        0.001_059_987,
        0.044_185_495,
        -0.007_551_482_5,
        -0.091_044_66,
        -0.013_820_072,
        0.225_355_84,
        0.413_744_85,
        0.405_136_75,
        0.258_572_68,
    ] {
        p = p * s + coefficient;
    }
    let tail = p * t * e;
    // 1 / sqrt(2 pi)
    (if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * e)
}
