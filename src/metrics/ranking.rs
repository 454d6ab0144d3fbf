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

/// The ROC curve of `rows`, scores and whether a row is of a class, in any order: for each score, from the highest down, which share
/// of the other rows and which of the class's rows score as high or higher, from 0, 0 to 1, 1. Points on a straight line between
/// others are left out; if more than `most` remain, those are kept that are spread evenly along the curve. None where all rows are of
/// the class or none is.
pub fn roc_curve(mut rows: Vec<(f32, bool)>, most: usize) -> Option<Vec<(f64, f64)>> {
    let positive = rows.iter().filter(|(_, of_class)| *of_class).count();
    let negative = rows.len() - positive;
    if positive == 0 || negative == 0 {
        return None;
    }
    rows.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    // Counts, so that what lies on a line is known exactly.
    let mut corners: Vec<(i64, i64)> = vec![(0, 0)];
    for equal in rows.chunk_by(|(a, _), (b, _)| a == b) {
        let of_class = equal.iter().filter(|(_, of_class)| *of_class).count() as i64;
        let (others, hits) = corners[corners.len() - 1];
        let next = (others + equal.len() as i64 - of_class, hits + of_class);
        if let [.., (x, y), (on_x, on_y)] = corners[..]
            && i128::from(on_x - x) * i128::from(next.1 - on_y) == i128::from(on_y - y) * i128::from(next.0 - on_x)
        {
            corners.pop();
        }
        corners.push(next);
    }
    let share = |(others, hits): (i64, i64)| (others as f64 / negative as f64, hits as f64 / positive as f64);
    let points: Vec<(f64, f64)> = corners.into_iter().map(share).collect();
    Some(thinned(points, most.max(2)))
}

/// At most `most` of the `points` of a curve that rises from 0, 0 to 1, 1, with its ends: those that are the first at or behind each
/// of as many even steps of the way along both axes.
fn thinned(points: Vec<(f64, f64)>, most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points;
    }
    let last = points.len() - 1;
    let mut step = 0;
    let keep = |(at, (x, y)): (usize, (f64, f64))| {
        let reached = at == 0 || at == last || x + y >= 2.0 * f64::from(step) / (most - 1) as f64;
        if reached {
            step = ((x + y) / 2.0 * (most - 1) as f64).floor() as u32 + 1;
        }
        reached.then_some((x, y))
    };
    points.into_iter().enumerate().filter_map(keep).collect()
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

    #[test]
    fn a_curve_goes_through_its_corners() {
        let curve = |rows: &[(f32, bool)]| roc_curve(rows.to_vec(), 100);
        let right = [(0.9, true), (0.8, true), (0.2, false), (0.1, false)];
        assert_eq!(curve(&right), Some(vec![(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]));
        let mixed = [(0.9, true), (0.7, false), (0.5, true), (0.1, false)];
        assert_eq!(curve(&mixed), Some(vec![(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]));
        // Equal scores are a slope.
        assert_eq!(curve(&[(0.5, true), (0.5, false)]), Some(vec![(0.0, 0.0), (1.0, 1.0)]));
        assert_eq!((curve(&[(0.5, true)]), curve(&[])), (None, None));
    }

    #[test]
    fn a_thinned_curve_is_near_the_whole_one() {
        let noise = |row: u32| (row.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
        let rows: Vec<(f32, bool)> = (0..5000).map(|row| (noise(row) + noise(row + 9999), row % 3 == 0)).collect();
        let whole = roc_curve(rows.clone(), usize::MAX).expect("both kinds");
        let area = |points: &[(f64, f64)]| {
            points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum::<f64>()
        };
        let exact = Ranking::of(rows.clone()).expect("both kinds").roc_auc;
        assert!(whole.len() > 1000 && (area(&whole) - exact).abs() < 1e-12);
        for most in [10, 101] {
            let thin = roc_curve(rows.clone(), most).expect("both kinds");
            assert!(thin.len() <= most && thin.len() > most / 2, "{} of {most}", thin.len());
            assert!(thin[0] == (0.0, 0.0) && thin[thin.len() - 1] == (1.0, 1.0));
            assert!(thin.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
            assert!(thin.iter().all(|point| whole.contains(point)));
            assert!((area(&thin) - exact).abs() < 1.0 / most as f64, "{most}: {}", area(&thin));
        }
    }
}
