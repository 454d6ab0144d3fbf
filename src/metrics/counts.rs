//! Figures of the confusion matrix, each as scikit-learn defines it.

use super::Evaluation;

/// What a prediction scores that knows nothing of a row: always the class with the most rows, with the shares of the classes
/// among the rows as its probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// The class with the most rows; of several the first.
    pub class: usize,
    /// Its share of the rows.
    pub accuracy: f64,
    /// The mean over the rows of `-ln(share of the row's class)`: the entropy of the classes, in nats.
    pub log_loss: f64,
}

impl Evaluation {
    /// Number of rows whose label was predicted.
    pub fn hits(&self) -> u64 {
        self.confusion.iter().step_by(self.classes + 1).sum()
    }

    /// Share of rows whose label was predicted; 0 for no rows.
    pub fn accuracy(&self) -> f64 {
        self.hits() as f64 / self.samples().max(1) as f64
    }

    /// For each class the number of its rows.
    pub fn support(&self) -> Vec<u64> {
        self.confusion.chunks_exact(self.classes.max(1)).map(|row| row.iter().sum()).collect()
    }

    /// For each class the number of rows that were predicted as it.
    pub fn predicted(&self) -> Vec<u64> {
        let mut predicted = vec![0; self.classes];
        for row in self.confusion.chunks_exact(self.classes.max(1)) {
            predicted.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        predicted
    }

    /// For each class the share of the rows predicted as it that are of it; none where no row was.
    pub fn precision(&self) -> Vec<Option<f64>> {
        self.hits_in(1, &self.predicted())
    }

    /// For each class the share of its rows that were predicted as it; none where it has no row.
    pub fn recall(&self) -> Vec<Option<f64>> {
        self.hits_in(1, &self.support())
    }

    /// For each class `2 hits / (rows of it + rows predicted as it)`, the harmonic mean of precision and recall; none where
    /// there are rows of neither kind.
    pub fn f1(&self) -> Vec<Option<f64>> {
        let both: Vec<u64> = self.support().iter().zip(self.predicted()).map(|(rows, taken)| rows + taken).collect();
        self.hits_in(2, &both)
    }

    /// For each class, `factor` times its hits as a share of `of`; none if `of` is 0.
    fn hits_in(&self, factor: u64, of: &[u64]) -> Vec<Option<f64>> {
        let hits = self.confusion.iter().step_by(self.classes + 1);
        hits.zip(of).map(|(hits, &of)| (of > 0).then(|| (factor * hits) as f64 / of as f64)).collect()
    }

    /// The mean of [`Self::f1`] over the classes that have one; none for no rows.
    pub fn f1_macro(&self) -> Option<f64> {
        mean(&self.f1())
    }

    /// The mean of [`Self::recall`] over the classes that have rows; none for no rows.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        mean(&self.recall())
    }

    /// Matthews correlation of labels and predictions, from -1 to 1, for any number of classes (J. Gorodkin, Computational
    /// Biology and Chemistry 28, 2004). 0 where all rows were taken for one class; none where all rows are of one.
    pub fn matthews(&self) -> Option<f64> {
        let (rows, taken) = (self.support(), self.predicted());
        let dot = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(&a, &b)| i128::from(a) * i128::from(b)).sum::<i128>();
        let square = i128::from(self.rows).pow(2);
        let of_labels = square - dot(&rows, &rows);
        let of_predictions = square - dot(&taken, &taken);
        let of_both = i128::from(self.hits()) * i128::from(self.rows) - dot(&rows, &taken);
        match (of_labels, of_predictions) {
            (0, _) => None,
            (_, 0) => Some(0.0),
            _ => Some(of_both as f64 / (of_labels as f64 * of_predictions as f64).sqrt()),
        }
    }

    /// What knowing nothing of a row scores; none for no rows.
    pub fn baseline(&self) -> Option<Baseline> {
        let support = self.support();
        // Of equal ones `max_by_key` takes the last.
        let (class, &most) = support.iter().enumerate().rev().max_by_key(|(_, rows)| **rows)?;
        let share = |rows: u64| rows as f64 / self.rows as f64;
        let log_loss = support.iter().filter(|rows| **rows > 0).map(|&rows| -share(rows) * share(rows).ln()).sum();
        (most > 0).then(|| Baseline { class, accuracy: share(most), log_loss })
    }
}

/// The mean of those that are there; none where none is.
fn mean(figures: &[Option<f64>]) -> Option<f64> {
    let count = figures.iter().flatten().count();
    (count > 0).then(|| figures.iter().flatten().sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(confusion: &[u64], classes: usize) -> Evaluation {
        Evaluation { rows: confusion.iter().sum(), confusion: confusion.to_vec(), ..Evaluation::empty(classes) }
    }

    #[test]
    fn hits_are_the_diagonal() {
        let found = counted(&[2, 1, 0, 3], 2);
        assert_eq!((found.hits(), found.samples()), (5, 6));
        assert_eq!((found.support(), found.predicted()), (vec![3, 3], vec![2, 4]));
        assert_eq!(found.precision(), [Some(1.0), Some(0.75)]);
        assert_eq!(found.recall(), [Some(2.0 / 3.0), Some(1.0)]);
        assert_eq!(found.f1(), [Some(0.8), Some(6.0 / 7.0)]);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let one = counted(&[0, 2, 0, 0], 2);
        assert_eq!((one.precision(), one.recall()), (vec![None, Some(0.0)], vec![Some(0.0), None]));
        assert_eq!((one.f1(), one.matthews()), (vec![Some(0.0), Some(0.0)], None));
        assert_eq!(one.baseline(), Some(Baseline { class: 0, accuracy: 1.0, log_loss: 0.0 }));
        let unmet = counted(&[1, 0, 0, 1, 0, 0, 0, 0, 0], 3);
        assert_eq!((unmet.f1()[2], unmet.matthews(), unmet.balanced_accuracy()), (None, Some(0.0), Some(0.5)));
        let none = Evaluation::empty(3);
        assert_eq!(
            (none.f1_macro(), none.balanced_accuracy(), none.matthews(), none.baseline()),
            (None, None, None, None)
        );
    }

    #[test]
    fn counts_of_large_data_do_not_overflow() {
        let rows = u64::from(u32::MAX);
        let found = counted(&[rows, 0, 0, rows], 2);
        assert_eq!((found.matthews(), found.f1_macro()), (Some(1.0), Some(1.0)));
    }
}
