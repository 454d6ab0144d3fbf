//! Random numbers: ChaCha8, seeded once per run; stream 0 for the weights, stream `1 + e` for the order of epoch `e`, so
//! that a resumed run sees the same order without any history. Which rows are taken for a test or a validation part, or for
//! which fold, comes from the last streams, which no epoch reaches: epochs are counted in 32 bits. The settings and the bags of
//! a search come from streams between them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    // The seed itself is the key, little-endian: any implementation of ChaCha8 can draw the same numbers.
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng
}

/// The generator that initial weights are drawn from.
pub fn weights(seed: u64) -> ChaCha8Rng {
    stream(seed, 0)
}

/// The order in which epoch `epoch` (from 0) visits `n` rows: a permutation of `0..n`.
pub fn order(seed: u64, epoch: u64, n: u32) -> Vec<u32> {
    let mut order = Vec::new();
    fill_order(&mut order, seed, epoch, n);
    order
}

/// The same, in place of what `order` has.
pub fn fill_order(order: &mut Vec<u32>, seed: u64, epoch: u64, n: u32) {
    permute(order, stream(seed, 1 + epoch), n);
}

/// The generator that the setting of trial `trial` of a search is drawn from.
pub fn trial(seed: u64, trial: u32) -> ChaCha8Rng {
    stream(seed, (1 << 33) + u64::from(trial))
}

/// The generator that the bags of a search's selection are drawn from.
pub fn bags(seed: u64) -> ChaCha8Rng {
    stream(seed, 1 << 34)
}

/// What a random part of a data set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Testing.
    Test,
    /// Validation.
    Validation,
    /// The folds of cross-validation.
    Folds,
}

/// The order in which `n` rows are considered for a random part: a permutation of `0..n`.
pub fn draw(seed: u64, part: Draw, n: u32) -> Vec<u32> {
    let last = match part {
        Draw::Test => u64::MAX,
        Draw::Validation => u64::MAX - 1,
        Draw::Folds => u64::MAX - 2,
    };
    let mut order = Vec::new();
    permute(&mut order, stream(seed, last), n);
    order
}

fn permute(order: &mut Vec<u32>, mut rng: ChaCha8Rng, n: u32) {
    order.clear();
    order.extend(0..n);
    // Fisher and Yates' shuffle as in textbooks: the one of a library may change with its version.
    for last in (1..order.len()).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_seed_and_epoch_decide() {
        let first = order(7, 0, 1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(first, order(7, 0, 1000));
        assert_ne!(first, order(7, 1, 1000));
        assert_ne!(first, order(8, 0, 1000));
    }

    #[test]
    fn parts_are_drawn_apart_from_each_other_and_from_every_order() {
        let drawn = [draw(0, Draw::Test, 100), draw(0, Draw::Validation, 100), order(0, 0, 100)];
        assert!(drawn[0] != drawn[1] && drawn[0] != drawn[2] && drawn[1] != drawn[2]);
        assert_eq!(draw(0, Draw::Test, 100), drawn[0]);
        assert_ne!(draw(1, Draw::Test, 100), drawn[0]);
    }

    #[test]
    fn streams_are_pinned_so_that_an_update_of_a_library_cannot_change_runs_unseen() {
        assert_eq!(order(0, 0, 8), PINNED_ORDER);
        assert_eq!(draw(0, Draw::Test, 8), [5, 0, 7, 2, 4, 3, 1, 6]);
        assert_eq!(draw(0, Draw::Validation, 8), [6, 1, 4, 3, 0, 5, 7, 2]);
    }

    const PINNED_ORDER: [u32; 8] = [6, 1, 0, 3, 4, 2, 7, 5];
}
