//! Which models are worth averaging: greedy selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004,
//! "Ensemble selection from libraries of models").

/// The most picks that are worth while.
pub const MOST_PICKS: u32 = 50;

/// How often each model is picked, and the loss of the mean with these counts. `predicted` has what each predicts for the same
/// rows; `loss` is that of predictions of them. Each pick is the model with which the mean has the least loss, of equal ones the
/// first; it ends after `most` picks, or when no pick makes the loss less. None for no models, or none with a loss.
pub fn greedy(predicted: &[Vec<f32>], most: u32, loss: impl Fn(&[f32]) -> f64) -> Option<(Vec<u32>, f64)> {
    let mut counts = vec![0; predicted.len()];
    let mut sum = vec![0.0; predicted.first()?.len()];
    let mut least: Option<f64> = None;
    for picked in 1..=most {
        let with = |model: &Vec<f32>| -> f64 {
            let mean = |(sum, value): (&f64, &f32)| ((sum + f64::from(*value)) / f64::from(picked)) as f32;
            loss(&sum.iter().zip(model).map(mean).collect::<Vec<f32>>())
        };
        let losses = predicted.iter().map(with).enumerate();
        let best = losses.filter(|(_, loss)| loss.is_finite()).min_by(|one, other| one.1.total_cmp(&other.1));
        let Some((model, loss)) = best.filter(|(_, loss)| least.is_none_or(|least| *loss < least)) else { break };
        counts[model] += 1;
        sum.iter_mut().zip(&predicted[model]).for_each(|(sum, value)| *sum += f64::from(*value));
        least = Some(loss);
    }
    Some((counts, least?))
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
            let mut rng = crate::random::trial(seed, 1);
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
    fn equal_models_are_picked_once_and_nothing_is_picked_of_none() {
        let model = vec![0.5, 0.25];
        let twice = greedy(&[model.clone(), model], 50, squares(&[1.0, 1.0])).unwrap();
        assert_eq!(twice, (vec![1, 0], 0.8125));
        assert_eq!(greedy(&[], 50, squares(&[])), None);
        assert_eq!(greedy(&[vec![f32::NAN]], 50, squares(&[1.0])), None);
    }
}
