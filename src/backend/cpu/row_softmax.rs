//! `p[r, c] = exp(f[r, c] - max_r) / sum_c exp(f[r, c] - max_r)`, with the row's maximum subtracted so that nothing
//! overflows.

/// Replaces each row of `f` (`rows x classes`) by its softmax.
pub fn row_softmax(classes: usize, f: &mut [f32]) {
    for row in f.chunks_exact_mut(classes) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &f| max.max(f));
        let mut sum = 0.0;
        for f in row.iter_mut() {
            *f = exponential(*f - max);
            sum += *f;
        }
        for f in row.iter_mut() {
            *f /= sum;
        }
    }
}

/// `e^x` for `x <= 0`, within 2 units in the last place; 0 below -87; NaN for NaN.
///
/// The shader's arithmetic to the letter, rather than the platform's `exp`: one result on every machine, and training
/// lets the smallest difference grow. `x = n ln 2 + r` with `|r| <= ln 2 / 2`, so `e^x = 2^n e^r`; `ln 2` is in two
/// parts so that `n ln 2` is exact.
fn exponential(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    if x < -87.0 {
        return 0.0;
    }
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    // Taylor's series of e^r.
    let mut e = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        e = e * r + coefficient;
    }
    e * f32::from_bits(((n as i32 + 127) as u32) << 23)
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
