//! `p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)`, with the row's maximum subtracted so that nothing
//! overflows.

/// Replaces each row of `f` (`rows x classes`) by its softmax.
pub fn row_softmax(classes: usize, f: &mut [f32]) {
    for row in f.chunks_exact_mut(classes) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &f| max.max(f));
        exponentials(max, row);
        let sum: f32 = row.iter().sum();
        for f in row {
            *f /= sum;
        }
    }
}

/// Replaces each value of a row by `e^(f - max)`.
#[inline(always)]
pub fn exponentials(max: f32, row: &mut [f32]) {
    for f in row {
        *f = exponential(*f - max);
    }
}

/// `e^x` for `x <= 0`, within 2 units in the last place; 0 below -87; NaN for NaN.
///
/// The shader's arithmetic to the letter, rather than the platform's `exp`: one result on every machine, and training
/// lets the smallest difference grow. `x = n ln 2 + r` with `|r| <= ln 2 / 2`, so `e^x = 2^n e^r`; `ln 2` is in two
/// parts so that `n ln 2` is exact.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    // Without branches, so that it can be vectorised.
    let bounded = x.clamp(-87.0, 0.0);
    let n = (bounded * std::f32::consts::LOG2_E + 0.5).floor();
    let r = (bounded - n * 0.693_359_4) + n * 2.121_944_4e-4;
    // Taylor's series of e^r.
    let mut e = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        e = e * r + coefficient;
    }
    // SAFETY: n is between -126 and 0: x was bounded, and is replaced where it is NaN.
    let n: i32 = unsafe { if x.is_nan() { 0.0 } else { n }.to_int_unchecked() };
    e *= f32::from_bits(((n + 127) as u32) << 23);
    if x.is_nan() {
        x
    } else if x < -87.0 {
        0.0
    } else {
        e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        for step in 0..870_000 {
            let x = -(step as f32) / 10_000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - exact).abs() / exact;
            assert!(error <= 2.0 * f64::from(f32::EPSILON), "e^{x}: off by {error:e}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert!(exponential(f32::NAN).is_nan());
    }
}
