//! Sine and cosine of turns: of `2 pi r`. Range reduction is exact, and no library decides the last bits.

/// The odd polynomial of degree 9 nearest to `sin(2 pi z)` for `|z| <= 1/4`: off by at most 4e-9 but for rounding.
// The first is near 2 pi, and not it.
#[allow(clippy::approx_constant)]
const SINE: [f32; 5] = [6.283_185, -41.341_656, 81.601_006, -76.549_78, 39.536_705];

/// `x` less the nearest whole number of turns: from -1/2 to 1/2.
#[inline(always)]
pub fn fraction(x: f32) -> f32 {
    x - x.round_ties_even()
}

/// `cos(2 pi r)` for `|r| <= 1/2`.
#[inline(always)]
pub fn cosine(r: f32) -> f32 {
    quarter(0.25 - r.abs())
}

/// `sin(2 pi r)` for `|r| <= 1/2`.
#[inline(always)]
pub fn sine(r: f32) -> f32 {
    quarter(r.abs().min(0.5 - r.abs()).copysign(r))
}

/// `sin(2 pi z)` for `|z| <= 1/4`.
#[inline(always)]
fn quarter(z: f32) -> f32 {
    let square = z * z;
    let [a, b, c, d, e] = SINE;
    z * (a + square * (b + square * (c + square * (d + square * e))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sine_and_cosine() {
        for step in -40_000..40_000 {
            let x = step as f32 * 0.000_137;
            let exact = std::f64::consts::TAU * f64::from(x);
            let r = fraction(x);
            assert!((f64::from(cosine(r)) - exact.cos()).abs() < 3e-7, "{x}");
            assert!((f64::from(sine(r)) - exact.sin()).abs() < 3e-7, "{x}");
        }
        for x in [0.0, 0.25, 0.5, 1.0, 1e9, f32::MAX] {
            assert!(cosine(fraction(x)).abs() <= 1.000_001 && sine(fraction(x)).abs() <= 1.000_001, "{x}");
        }
    }
}
