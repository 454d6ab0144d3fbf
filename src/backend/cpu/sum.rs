//! The sum of a batch's losses, and the orders in which others are summed.

/// The sum of `values`.
pub fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}

/// Invocations of a workgroup that sums.
const LANES: usize = 64;

/// The sum of `values` in the order of the shaders that sum with a workgroup: every 64th value, then pairs.
pub fn in_lanes(values: impl Iterator<Item = f32>) -> f32 {
    let mut partial = [0.0; LANES];
    for (at, value) in values.enumerate() {
        partial[at % LANES] += value;
    }
    by_halves(partial)
}

/// The sum of `N` values, a power of two, by halves: the order that vectors and workgroups have.
#[inline(always)]
pub fn by_halves<const N: usize>(mut values: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for k in 0..half {
            values[k] += values[k + half];
        }
        half /= 2;
    }
    values[0]
}
