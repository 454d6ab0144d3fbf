//! How well the probability of a class ranks its rows above the others, as scikit-learn's `roc_auc_score` and
//! `average_precision_score` define it.

use rayon::prelude::*;

/// How well scores rank rows of a class above the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// The area under the ROC curve: the share of pairs of a row of the class and another row in which the first scores higher,
    /// with half of those that score the same.
    pub roc_auc: f64,
    /// The mean over the rows of the class, from the highest score down, of the share of the class among the rows that score as
    /// high or higher.
    pub average_precision: f64,
}

impl Ranking {
    /// The ranking by `rows`, scores and whether a row is of the class, in any order; none where all rows are of the class or
    /// none is.
    pub fn of(mut rows: Vec<(f32, bool)>) -> Option<Self> {
        let positive = rows.iter().filter(|(_, of_class)| *of_class).count();
        let negative = rows.len() - positive;
        if positive == 0 || negative == 0 {
            return None;
        }
        rows.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        // Rows above; twice the pairs in order, so that ties count as whole numbers.
        let (mut hits, mut others, mut pairs, mut precision) = (0, 0, 0u128, 0.0);
        for equal in rows.chunk_by(|(a, _), (b, _)| a == b) {
            let of_class = equal.iter().filter(|(_, of_class)| *of_class).count();
            let not = equal.len() - of_class;
            pairs += not as u128 * (2 * hits + of_class) as u128;
            hits += of_class;
            others += not;
            precision += of_class as f64 * (hits as f64 / (hits + others) as f64);
        }
        Some(Self {
            roc_auc: pairs as f64 / 2.0 / positive as f64 / negative as f64,
            average_precision: precision / positive as f64,
        })
    }

    /// The ranking by `probabilities` (`rows x classes`, row-major) of rows with `labels`: of two classes by the probability of
    /// the second, which counts as positive; of more the mean over the classes, each against the rest. None where a class has
    /// no rows or all of them, or a probability is not finite.
    pub fn of_classes(probabilities: &[f32], labels: &[u32], classes: usize) -> Option<Self> {
        if probabilities.iter().any(|p| !p.is_finite()) {
            return None;
        }
        let of = |class: usize| {
            let scores = probabilities.iter().skip(class).step_by(classes).copied();
            Self::of(scores.zip(labels.iter().map(|&label| label as usize == class)).collect())
        };
        if classes == 2 {
            return of(1);
        }
        let found: Vec<Self> = (0..classes).into_par_iter().map(of).collect::<Option<_>>()?;
        let mean = |figure: fn(&Self) -> f64| found.iter().map(figure).sum::<f64>() / found.len() as f64;
        (!found.is_empty()).then(|| Self {
            roc_auc: mean(|ranking| ranking.roc_auc),
            average_precision: mean(|ranking| ranking.average_precision),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_half_in_order() {
        let ranking = |rows: &[(f32, bool)]| Ranking::of(rows.to_vec());
        let (right, wrong) = ([(0.9, true), (0.1, false)], [(0.1, true), (0.9, false)]);
        assert_eq!(ranking(&right), Some(Ranking { roc_auc: 1.0, average_precision: 1.0 }));
        assert_eq!(ranking(&wrong), Some(Ranking { roc_auc: 0.0, average_precision: 0.5 }));
        assert_eq!(
            ranking(&[(0.5, true), (0.5, false), (0.5, false), (0.5, true)]),
            Some(Ranking { roc_auc: 0.5, average_precision: 0.5 })
        );
        assert_eq!((ranking(&[(0.5, true)]), ranking(&[(0.5, false)]), ranking(&[])), (None, None, None));
    }

    #[test]
    fn a_class_without_rows_leaves_no_mean() {
        let p = [0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.5];
        assert!(Ranking::of_classes(&p, &[0, 1, 2], 3).is_some_and(|ranking| ranking.roc_auc == 1.0));
        assert_eq!(Ranking::of_classes(&p, &[0, 1, 1], 3), None);
        assert_eq!(Ranking::of_classes(&[], &[], 0), None);
        assert_eq!(Ranking::of_classes(&[f32::NAN, 0.5, 0.5, 0.5], &[0, 1], 2), None);
    }
}
