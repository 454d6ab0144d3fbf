//! Which models are worth averaging: greedy selection with replacement, from bags of the models (Caruana, Niculescu-Mizil, Crew
//! and Ksikes 2004, "Ensemble selection from libraries of models").

use rand::RngExt;

use crate::random;

/// The most picks of a selection that are worth while.
pub const MOST_PICKS: u32 = 50;
/// The bags that are worth while.
pub const BAGS: u32 = 20;

/// How often each model is picked, and the loss of the mean with these counts. `predicted` has what each predicts for the same
/// rows; `loss` is that of predictions of them. Each pick is the model with which the mean has the least loss, of equal ones the
/// first; it ends after `most` picks, or when no pick makes the loss less. None for no models, or none with a loss.
pub fn greedy(predicted: &[Vec<f32>], most: u32, loss: impl Fn(&[f32]) -> f64) -> Option<(Vec<u32>, f64)> {
    let all: Vec<usize> = (0..predicted.len()).collect();
    greedy_of(&all, predicted, most, &loss)
}

/// The same among the `models` alone, by their places in `predicted`.
fn greedy_of(
    models: &[usize],
    predicted: &[Vec<f32>],
    most: u32,
    loss: &impl Fn(&[f32]) -> f64,
) -> Option<(Vec<u32>, f64)> {
    let mut counts = vec![0; predicted.len()];
    let mut sum = vec![0.0; predicted.first()?.len()];
    let mut least: Option<f64> = None;
    for picked in 1..=most {
        let with = |&model: &usize| -> (usize, f64) {
            let mean = |(sum, value): (&f64, &f32)| ((sum + f64::from(*value)) / f64::from(picked)) as f32;
            (model, loss(&sum.iter().zip(&predicted[model]).map(mean).collect::<Vec<f32>>()))
        };
        let losses = models.iter().map(with);
        let best = losses.filter(|(_, loss)| loss.is_finite()).min_by(|one, other| one.1.total_cmp(&other.1));
        let Some((model, loss)) = best.filter(|(_, loss)| least.is_none_or(|least| *loss < least)) else { break };
        counts[model] += 1;
        sum.iter_mut().zip(&predicted[model]).for_each(|(sum, value)| *sum += f64::from(*value));
        least = Some(loss);
    }
    Some((counts, least?))
}

/// How much each model weighs, and the loss of the mean with these weights: the mean of the greedy selections of up to
/// [`MOST_PICKS`] from so many `bags`, as in the paper. A bag is half of the models, rounded up, drawn by `seed`, so that
/// a model that a few rows overrate does not drive out all others. Each selection counts the same, however many picks it has:
/// weights are sixtieths of the whole, rounded. Arguments otherwise, and None, as of [`greedy`].
pub fn bagged(predicted: &[Vec<f32>], bags: u32, seed: u64, loss: impl Fn(&[f32]) -> f64) -> Option<(Vec<u32>, f64)> {
    let mut rng = random::bags(seed);
    let mut weights = vec![0.0; predicted.len()];
    for _ in 0..bags {
        let mut bag: Vec<usize> = (0..predicted.len()).collect();
        // The first ones of Fisher and Yates' shuffle.
        let half = bag.len().div_ceil(2);
        for place in 0..half {
            let other = rng.random_range(place..=bag.len() - 1);
            bag.swap(place, other);
        }
        bag.truncate(half);
        bag.sort_unstable();
        let Some((counts, _)) = greedy_of(&bag, predicted, MOST_PICKS, &loss) else { continue };
        let picks = f64::from(counts.iter().sum::<u32>());
        weights.iter_mut().zip(counts).for_each(|(weight, count)| *weight += f64::from(count) / picks);
    }
    let counts: Vec<u32> =
        weights.iter().map(|weight| (weight * 60.0 / f64::from(bags.max(1))).round() as u32).collect();
    let loss = counts.iter().any(|count| *count > 0).then(|| loss(&mean(predicted, &counts)))?;
    Some((counts, loss))
}

/// The mean of what models predicted, each as often as its count says; some count is not 0.
pub fn mean(predicted: &[Vec<f32>], counts: &[u32]) -> Vec<f32> {
    let total = f64::from(counts.iter().sum::<u32>());
    let of = |row: usize| {
        let sum: f64 =
            predicted.iter().zip(counts).map(|(model, count)| f64::from(model[row]) * f64::from(*count)).sum();
        (sum / total) as f32
    };
    (0..predicted.first().map_or(0, Vec::len)).map(of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn squares(targets: &[f32]) -> impl Fn(&[f32]) -> f64 {
        move |mean| mean.iter().zip(targets).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    /// The same by lists of picks: every model is tried behind those that were picked before.
    fn by_hand(predicted: &[Vec<f32>], targets: &[f32]) -> Vec<usize> {
        let loss = |picks: &[usize]| {
            let mean = |row: usize| {
                (picks.iter().map(|&pick| f64::from(predicted[pick][row])).sum::<f64>() / picks.len() as f64) as f32
            };
            squares(targets)(&(0..targets.len()).map(mean).collect::<Vec<_>>())
        };
        let mut picks: Vec<usize> = Vec::new();
        while picks.len() < MOST_PICKS as usize {
            let mut tried = Vec::new();
            for model in 0..predicted.len() {
                tried.push([&picks[..], &[model]].concat());
            }
            let mut best = tried[0].clone();
            tried.into_iter().for_each(|list| {
                if loss(&list) < loss(&best) {
                    best = list;
                }
            });
            if !picks.is_empty() && loss(&best) >= loss(&picks) {
                break;
            }
            picks = best;
        }
        picks
    }

    #[test]
    fn picks_are_those_of_a_search_by_hand() {
        let mut several = 0;
        for seed in 0..20 {
            let mut rng = random::trial(seed, 1);
            // Eighths: their sums are exact in any order.
            let mut row = || (0..6).map(|_| rng.random_range(0..=16) as f32 / 8.0).collect::<Vec<f32>>();
            let (targets, predicted) = (row(), (0..5).map(|_| row()).collect::<Vec<_>>());
            let (counts, loss) = greedy(&predicted, MOST_PICKS, squares(&targets)).unwrap();
            let picks = by_hand(&predicted, &targets);
            let expected: Vec<u32> =
                (0..5).map(|model| picks.iter().filter(|pick| **pick == model).count() as u32).collect();
            assert_eq!(counts, expected, "seed {seed}");
            assert!(predicted.iter().all(|model| loss <= squares(&targets)(model)));
            several += u32::from(picks.len() > 2);
        }
        assert!(several > 5, "only {several} of 20 had more than two picks");
    }

    #[test]
    fn bags_keep_models_that_a_single_selection_leaves_out() {
        // The first model is the best of these rows by a little, and no mean with it is better.
        let predicted = vec![vec![1.0, 1.0], vec![1.1, 1.1], vec![1.2, 1.2], vec![1.3, 1.3]];
        let loss = squares(&[0.9, 0.9]);
        assert_eq!(greedy(&predicted, 50, &loss).unwrap().0, [1, 0, 0, 0]);
        let (counts, found) = bagged(&predicted, BAGS, 0, &loss).unwrap();
        assert!(counts[0] > counts[1].max(counts[2]) && counts[1].min(counts[2]) > 0 && counts[3] == 0, "{counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 60);
        // Of the six pairs three have the first, two more the second, and none lacks the first three.
        let of = |seed| bagged(&predicted, BAGS, seed, &loss).unwrap().0;
        let all = (0..50).map(of).fold([0; 4], |sum, counts| std::array::from_fn(|model| sum[model] + counts[model]));
        let near = |count: u32, expected: u32| count.abs_diff(expected) < 130;
        assert!(near(all[0], 1500) && near(all[1], 1000) && near(all[2], 500) && all[3] == 0, "{all:?}");
        let shares = counts.iter().zip(&predicted).map(|(count, model)| f64::from(*count) / 60.0 * f64::from(model[0]));
        assert!((found - 2.0 * (shares.sum::<f64>() - 0.9).powi(2)).abs() < 1e-6);
        assert_eq!(bagged(&predicted, BAGS, 0, &loss), bagged(&predicted, BAGS, 0, &loss));
        assert_ne!(bagged(&predicted, BAGS, 1, &loss).unwrap().0, counts);
        // A single model is the whole, and nothing is picked of none.
        assert_eq!(bagged(&predicted[..1], BAGS, 0, &loss).unwrap().0, [60]);
        assert_eq!(bagged(&[], BAGS, 0, &loss), None);
        assert_eq!(bagged(&[vec![f32::NAN]], BAGS, 0, &loss), None);
    }

    #[test]
    fn equal_models_are_picked_once_and_nothing_is_picked_of_none() {
        let model = vec![0.5, 0.25];
        let twice = greedy(&[model.clone(), model], 50, squares(&[1.0, 1.0])).unwrap();
        assert_eq!(twice, (vec![1, 0], 0.8125));
        assert_eq!(greedy(&[], 50, squares(&[])), None);
        assert_eq!(greedy(&[vec![f32::NAN]], 50, squares(&[1.0])), None);
    }
}
