//! Dropout by counter: which outputs a step drops is a hash of where they are, so that no mask is stored and every backend drops the
//! same ones. What is kept is divided by the share that is kept.
//!
//! The hash is `lowbias32` (Wellons 2018, "Prospecting for Hash Functions"), folded over the words of the position.

/// Mixes the bits of `x`; one to one.
#[inline(always)]
pub fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// What step `step`, from 1, of a run with the seed `seed` hashes with a place.
pub fn step_key(seed: u64, step: u64) -> u32 {
    let words = [seed as u32, (seed >> 32) as u32, step as u32, (step >> 32) as u32];
    words.into_iter().fold(0, |key, word| mix(key ^ word))
}

/// What one step drops of one layer's outputs.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    key: u32,
    /// A hash from this on keeps an output.
    pub threshold: u32,
    /// What is kept is multiplied by this.
    pub scale: f32,
}

impl Dropout {
    /// Drops the share `share`, at least 0 and below 1, in step `step` of a run with the seed `seed`. Layer 0 are the inputs,
    /// layer 1 the outputs of the first layer, and so on.
    pub fn new(seed: u64, step: u64, layer: u32, share: f64) -> Self {
        Self {
            key: mix(step_key(seed, step) ^ layer),
            threshold: (share * 4_294_967_296.0) as u32,
            scale: (1.0 / (1.0 - share)) as f32,
        }
    }

    /// What is hashed with the units of row `row` of the batch.
    #[inline(always)]
    pub fn row(self, row: u32) -> u32 {
        mix(self.key ^ row)
    }

    /// Whether the unit `unit` of a row, given by [`Dropout::row`], is kept.
    #[inline(always)]
    pub fn keeps(self, row: u32, unit: u32) -> bool {
        mix(row ^ unit) >= self.threshold
    }
}

/// Drops outputs of the rows of `h` (`.. x width`), the first of which is row `first` of the batch; or passes gradients through.
pub fn dropout(dropout: Dropout, first: u32, width: usize, h: &mut [f32]) {
    for (row, h) in (first..).zip(h.chunks_exact_mut(width)) {
        let row = dropout.row(row);
        for (unit, h) in (0..).zip(h) {
            *h = if dropout.keeps(row, unit) { *h * dropout.scale } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_whatever_varies() {
        let share = 0.3;
        let kept = |f: &dyn Fn(u32) -> bool| (0..100_000).filter(|&index| f(index)).count() as f64 / 100_000.0;
        let base = Dropout::new(7, 3, 1, share);
        for kept in [
            kept(&|unit| base.keeps(base.row(5), unit)),
            kept(&|row| base.keeps(base.row(row), 5)),
            kept(&|step| {
                let dropout = Dropout::new(7, u64::from(step), 1, share);
                dropout.keeps(dropout.row(0), 0)
            }),
            kept(&|seed| {
                let dropout = Dropout::new(u64::from(seed) << 20, 3, 1, share);
                dropout.keeps(dropout.row(9), 11)
            }),
        ] {
            // Five standard deviations.
            assert!((kept - (1.0 - share)).abs() < 5.0 * (share * (1.0 - share) / 100_000.0_f64).sqrt(), "{kept}");
        }
    }

    #[test]
    fn rows_and_steps_drop_apart() {
        let mask = |step, row| {
            let dropout = Dropout::new(1, step, 1, 0.5);
            (0..64).fold(0u64, |mask, unit| mask << 1 | u64::from(dropout.keeps(dropout.row(row), unit)))
        };
        let mut seen: Vec<u64> = (0..100).flat_map(|step| (0..100).map(move |row| mask(step, row))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }
}
