//! Search for a recipe: settings that are drawn at random, and synchronous successive halving (Jamieson and Talwalkar 2016).
//!
//! A trial is a setting. Trial 1 is the recipe that was there before, and the setting of any other depends on the seed and
//! its number alone. In each rung every trial that is left is trained anew, as a complete run of the rung's epochs; the best
//! quarter goes on to four times as many epochs. So each result is that of a plain run, and none depends on how fast a machine is.

use std::ops::Range;

use crate::metrics::mean_and_deviation;

mod found;
pub mod select;
pub mod space;

pub use found::{Found, chosen};

/// The share of its trials that a rung leaves, and the factor between the epochs of two rungs.
const FACTOR: u32 = 4;
/// The most rungs.
const MOST_RUNGS: u32 = 3;

/// Number of rungs for so many `trials`, which have `epochs` epochs in the last one: at most 3, and fewer where a rung would have
/// no trial or no epoch of its own.
pub fn rungs(trials: u32, epochs: u32) -> u32 {
    let enough = |rung: &u32| FACTOR.pow(rung - 1) <= trials.min(epochs);
    (1..=MOST_RUNGS).take_while(enough).count().max(1) as u32
}

/// The epochs in rung `rung` (from 1) of `rungs` for a trial that has `all` in the last one; at least 1.
pub fn epochs(all: u32, rung: u32, rungs: u32) -> u32 {
    (all / FACTOR.pow(rungs.saturating_sub(rung))).max(1)
}

/// The folds (from 0, of `all`) that judge the trials of rung `rung` (from 1) of `rungs`: in the last one all of them, a quarter of
/// as many in each one before, and other ones in each, so that no trial goes on for its luck with the same rows. With two folds
/// each of the first two rungs has one.
pub fn folds(all: u32, rung: u32, rungs: u32) -> Range<u32> {
    if rung >= rungs {
        return 0..all;
    }
    let count = |rung: u32| (all / FACTOR.pow(rungs - rung)).max(1);
    let start = (1..rung).map(count).sum::<u32>().min(all.saturating_sub(1));
    start..(start + count(rung)).min(all)
}

/// The trials that go on after a rung, by their numbers in rising order: the quarter with the least loss, of equal losses that with
/// the lower number, and trial 1, which the others are to beat. Those without a loss are out.
pub fn promoted(rung: &[(u32, Option<f64>)]) -> Vec<u32> {
    let mut left: Vec<(f64, u32)> = rung.iter().filter_map(|(trial, loss)| Some(((*loss)?, *trial))).collect();
    left.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let most = (rung.len() / FACTOR as usize).max(1);
    let on = left.iter().enumerate().filter(|(place, (_, trial))| *place < most || *trial == 1);
    let mut on: Vec<u32> = on.map(|(_, (_, trial))| *trial).collect();
    on.sort_unstable();
    on
}

/// Whether the mean of `blocks`, the losses of blocks of rows, is less than that of `other`, the losses of another network for the
/// same rows, by more than a standard error of their difference: that of the mean of as many differences of pairs.
pub fn beats(blocks: &[f64], other: &[f64]) -> bool {
    let differences: Vec<f64> = other.iter().zip(blocks).map(|(other, own)| other - own).collect();
    let (mean, deviation) = mean_and_deviation(&differences);
    differences.len() > 1 && mean > deviation / (differences.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_three_where_there_are_trials_and_epochs_for_them() {
        assert_eq!(
            [(64, 200), (16, 16), (15, 200), (64, 15), (3, 200), (64, 3), (1, 0)].map(|(t, e)| rungs(t, e)),
            [3, 3, 2, 2, 1, 1, 1]
        );
        assert_eq!([1, 2, 3].map(|rung| epochs(200, rung, 3)), [12, 50, 200]);
        assert_eq!((epochs(2, 1, 3), epochs(5, 1, 1)), (1, 5));
    }

    #[test]
    fn a_loss_is_less_where_that_is_more_than_chance() {
        // Differences 1, 3, 1, 3: mean 2, deviation of a sample 1.155, standard error 0.577.
        let other = [10.0, 10.0, 20.0, 20.0];
        assert!(beats(&[9.0, 7.0, 19.0, 17.0], &other) && !beats(&other, &[9.0, 7.0, 19.0, 17.0]));
        // 2, 0, 0, 0: mean and standard error are 0.5 both.
        assert!(!beats(&[8.0, 10.0, 20.0, 20.0], &other) && beats(&[8.0, 9.9, 20.0, 20.0], &other));
        assert!(!beats(&other, &other) && !beats(&[0.0], &[1.0]) && !beats(&[], &[]));
        // The same for all rows, be it little.
        assert!(beats(&[9.5, 9.5], &[10.0, 10.0]));
    }

    #[test]
    fn all_folds_judge_the_last_rung_and_a_few_others_each_one_before() {
        let of = |all, rungs| (1..=rungs).map(|rung| folds(all, rung, rungs)).collect::<Vec<_>>();
        assert_eq!(of(5, 3), [0..1, 1..2, 0..5]);
        assert_eq!(of(10, 3), [0..1, 1..3, 0..10]);
        assert_eq!((of(2, 3), of(3, 2)), (vec![0..1, 1..2, 0..2], vec![0..1, 0..3]));
        assert_eq!(folds(4, 1, 1), 0..4);
        // A validation part is one of one.
        assert_eq!(of(1, 3), [0..1, 0..1, 0..1]);
    }

    #[test]
    fn the_best_quarter_goes_on_and_the_first_with_it() {
        let rung = |losses: &[f64]| -> Vec<(u32, Option<f64>)> {
            (1..).zip(losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite()))).collect()
        };
        assert_eq!(promoted(&rung(&[0.9, 0.5, 0.4, 0.6, 0.3, 0.5, 0.7, 0.8])), [1, 3, 5]);
        // Ties by number; what diverged is out, be it the first.
        assert_eq!(promoted(&rung(&[0.2, 0.5, 0.5, 0.5, 0.7, 0.8, 0.9, 0.9])), [1, 2]);
        assert_eq!(promoted(&rung(&[f64::NAN, 0.5, f64::NAN])), [2]);
        assert_eq!(promoted(&rung(&[f64::NAN, f64::NAN])), [0; 0]);
        assert_eq!(promoted(&rung(&[0.1, 0.2])), [1]);
    }
}
