//! Search for a recipe: settings that are drawn at random, and synchronous successive halving (Jamieson and Talwalkar 2016).
//!
//! A trial is a setting. Trial 1 is the recipe that was there before, and the setting of each other one depends on the seed and
//! its number alone. In each rung every trial that is left is trained anew, as a complete run of the rung's epochs; the best third
//! goes on to three times as many. So each result is that of a plain run, and none depends on how fast a machine is.

pub mod select;
pub mod space;

/// The share of its trials that a rung leaves, and the factor between the epochs of two rungs.
const FACTOR: u32 = 3;
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

/// The trials that go on after a rung, by their numbers in rising order: the third with the least loss, of equal losses that with
/// the lower number, and trial 1, which the others are to beat. Those without a loss are out.
pub fn promoted(rung: &[(u32, Option<f64>)]) -> Vec<u32> {
    let mut left: Vec<(f64, u32)> = rung.iter().filter_map(|(trial, loss)| Some(((*loss)?, *trial))).collect();
    left.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let third = (rung.len() / FACTOR as usize).max(1);
    let on = left.iter().enumerate().filter(|(place, (_, trial))| *place < third || *trial == 1);
    let mut on: Vec<u32> = on.map(|(_, (_, trial))| *trial).collect();
    on.sort_unstable();
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_three_where_there_are_trials_and_epochs_for_them() {
        assert_eq!(
            [(64, 200), (9, 9), (8, 200), (64, 8), (2, 200), (64, 2), (1, 0)].map(|(t, e)| rungs(t, e)),
            [3, 3, 2, 2, 1, 1, 1]
        );
        assert_eq!([1, 2, 3].map(|rung| epochs(200, rung, 3)), [22, 66, 200]);
        assert_eq!((epochs(2, 1, 3), epochs(5, 1, 1)), (1, 5));
    }

    #[test]
    fn the_best_third_goes_on_and_the_first_with_it() {
        let rung = |losses: &[f64]| -> Vec<(u32, Option<f64>)> {
            (1..).zip(losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite()))).collect()
        };
        assert_eq!(promoted(&rung(&[0.9, 0.5, 0.4, 0.6, 0.3, 0.5])), [1, 3, 5]);
        // Ties by number; what diverged is out, be it the first.
        assert_eq!(promoted(&rung(&[0.2, 0.5, 0.5, 0.5, 0.7, 0.8])), [1, 2]);
        assert_eq!(promoted(&rung(&[f64::NAN, 0.5, f64::NAN])), [2]);
        assert_eq!(promoted(&rung(&[f64::NAN, f64::NAN])), [0; 0]);
        assert_eq!(promoted(&rung(&[0.1, 0.2])), [1]);
    }
}
