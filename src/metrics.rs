//! What is measured: loss, accuracy, confusion matrix.

/// Added to a probability before its logarithm, so that the loss of a row stays finite: at most 36.84.
pub const LOSS_EPSILON: f32 = 1e-16;

/// What an evaluation of `samples` rows found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Sum over the rows of `-ln(p[label] + 1e-16)`.
    pub loss_sum: f64,
    /// Rows by label (row of the matrix) and predicted class (column): `classes x classes`, row-major.
    pub confusion: Vec<u64>,
    /// Number of classes.
    pub classes: usize,
}

impl Evaluation {
    /// An evaluation of no rows.
    pub fn empty(classes: usize) -> Self {
        Self { loss_sum: 0.0, confusion: vec![0; classes * classes], classes }
    }

    /// Number of rows evaluated.
    pub fn samples(&self) -> u64 {
        self.confusion.iter().sum()
    }

    /// Number of rows whose label was predicted.
    pub fn hits(&self) -> u64 {
        self.confusion.iter().step_by(self.classes + 1).sum()
    }

    /// Mean loss a row; 0 for no rows.
    pub fn mean_loss(&self) -> f64 {
        self.loss_sum / self.samples().max(1) as f64
    }

    /// Share of rows whose label was predicted; 0 for no rows.
    pub fn accuracy(&self) -> f64 {
        self.hits() as f64 / self.samples().max(1) as f64
    }

    /// For each class the share of the rows predicted as it that are of it; none where no row was.
    pub fn precision(&self) -> Vec<Option<f64>> {
        self.shares(|class| self.confusion.iter().skip(class).step_by(self.classes).sum())
    }

    /// For each class the share of its rows that were predicted as it; none where it has no row.
    pub fn recall(&self) -> Vec<Option<f64>> {
        self.shares(|class| self.confusion.iter().skip(class * self.classes).take(self.classes).sum())
    }

    fn shares(&self, of: impl Fn(usize) -> u64) -> Vec<Option<f64>> {
        let hits = self.confusion.iter().step_by(self.classes + 1).enumerate();
        hits.map(|(class, &hits)| Some(of(class)).filter(|&rows| rows > 0).map(|rows| hits as f64 / rows as f64))
            .collect()
    }

    /// Adds what another evaluation of the same classes found.
    pub fn add(&mut self, other: &Evaluation) {
        self.loss_sum += other.loss_sum;
        for (sum, count) in self.confusion.iter_mut().zip(&other.confusion) {
            *sum += count;
        }
    }
}

/// Euclidean norm of `values`.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_the_diagonal() {
        let mut evaluation = Evaluation { loss_sum: 3.0, confusion: vec![2, 1, 0, 3], classes: 2 };
        assert_eq!((evaluation.hits(), evaluation.samples()), (5, 6));
        assert_eq!(evaluation.mean_loss(), 0.5);
        assert_eq!(evaluation.precision(), [Some(1.0), Some(0.75)]);
        assert_eq!(evaluation.recall(), [Some(2.0 / 3.0), Some(1.0)]);
        assert_eq!(Evaluation { confusion: vec![0, 2, 0, 0], ..evaluation.clone() }.precision(), [None, Some(0.0)]);
        evaluation.add(&evaluation.clone());
        assert_eq!((evaluation.hits(), evaluation.samples(), evaluation.loss_sum), (10, 12, 6.0));
        assert_eq!(Evaluation::empty(3).accuracy(), 0.0);
    }
}
