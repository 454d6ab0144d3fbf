//! The sum of a batch's losses.

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
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            partial[lane] += partial[lane + half];
        }
        half /= 2;
    }
    partial[0]
}
