//! What is measured: loss, accuracy and confusion matrix of classes, errors of values.

use crate::data::TargetScale;

/// Added to a probability before its logarithm, so that the loss of a row stays finite: at most 36.84.
pub const LOSS_EPSILON: f32 = 1e-16;

/// What the evaluation of some rows found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Rows that were evaluated.
    pub rows: u64,
    /// The loss, summed over the rows: of classes `-ln(p[label] + 1e-16)`, of values the mean over the outputs.
    pub loss_sum: f64,
    /// Of classes: rows by label (row of the matrix) and predicted class (column), `classes x classes`, row-major.
    pub confusion: Vec<u64>,
    /// Number of classes; 0 for values.
    pub classes: usize,
    /// Of values: the errors of each output.
    pub errors: Vec<Errors>,
}

/// Sums over rows of an output's targets and of its errors (prediction minus target), in the unit of the targets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    /// Of the squared errors.
    pub squared: f64,
    /// Of the absolute errors.
    pub absolute: f64,
    /// Of the targets.
    pub targets: f64,
    /// Of the squared targets.
    pub squared_targets: f64,
}

impl Errors {
    /// The root of the mean squared error over `rows` rows.
    pub fn rmse(&self, rows: u64) -> f64 {
        (self.squared / rows.max(1) as f64).sqrt()
    }

    /// The mean absolute error over `rows` rows.
    pub fn mae(&self, rows: u64) -> f64 {
        self.absolute / rows.max(1) as f64
    }

    /// The coefficient of determination over `rows` rows: 1 minus the squared errors as a share of the squared differences of
    /// the targets from their mean. 0 where all targets are the same.
    pub fn r2(&self, rows: u64) -> f64 {
        let spread = self.squared_targets - self.targets.powi(2) / rows.max(1) as f64;
        if spread > 0.0 { 1.0 - self.squared / spread } else { 0.0 }
    }
}

impl Evaluation {
    /// An evaluation of no rows of `classes` classes.
    pub fn empty(classes: usize) -> Self {
        Self { rows: 0, loss_sum: 0.0, confusion: vec![0; classes * classes], classes, errors: Vec::new() }
    }

    /// Counts a row of class `label` that was taken for `predicted`.
    pub fn count(&mut self, loss: f64, label: u32, predicted: u32) {
        self.rows += 1;
        self.loss_sum += loss;
        self.confusion[label as usize * self.classes + predicted as usize] += 1;
    }

    /// The evaluation of `predicted` values (`rows x outputs`) for `targets`, whose losses add up to `loss_sum`.
    pub fn of_values(loss_sum: f64, predicted: &[f32], targets: &[f32], outputs: usize) -> Self {
        let mut errors = vec![Errors::default(); outputs];
        for (predicted, targets) in predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
            for (errors, (&predicted, &target)) in errors.iter_mut().zip(predicted.iter().zip(targets)) {
                let (error, target) = (f64::from(predicted) - f64::from(target), f64::from(target));
                errors.squared += error * error;
                errors.absolute += error.abs();
                errors.targets += target;
                errors.squared_targets += target * target;
            }
        }
        Self { rows: (targets.len() / outputs.max(1)) as u64, loss_sum, errors, ..Self::empty(0) }
    }

    /// Number of rows evaluated.
    pub fn samples(&self) -> u64 {
        self.rows
    }

    /// The mean over the outputs of what `of` makes of each one's errors.
    fn over_outputs(&self, of: impl Fn(&Errors) -> f64) -> f64 {
        self.errors.iter().map(of).sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// The root mean squared error of values, a mean over the outputs.
    pub fn rmse(&self) -> f64 {
        self.over_outputs(|errors| errors.rmse(self.rows))
    }

    /// The mean absolute error of values, a mean over the outputs.
    pub fn mae(&self) -> f64 {
        self.over_outputs(|errors| errors.mae(self.rows))
    }

    /// The coefficient of determination of values, a mean over the outputs.
    pub fn r2(&self) -> f64 {
        self.over_outputs(|errors| errors.r2(self.rows))
    }

    /// The same of targets that were standardised by `scale`, in the unit that they had before; the loss stays.
    pub fn in_units(&self, scale: &TargetScale) -> Self {
        let unit = |(errors, &deviation): (&Errors, &f64)| {
            // Targets stay centred: no figure depends on their mean, and far from 0 their squares would lose it.
            Errors {
                squared: errors.squared * deviation * deviation,
                absolute: errors.absolute * deviation,
                targets: errors.targets * deviation,
                squared_targets: errors.squared_targets * deviation * deviation,
            }
        };
        Self { errors: self.errors.iter().zip(&scale.deviation).map(unit).collect(), ..self.clone() }
    }

    /// Number of rows whose label was predicted.
    pub fn hits(&self) -> u64 {
        self.confusion.iter().step_by(self.classes + 1).sum()
    }

    /// Mean loss per row; 0 for no rows.
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
        self.rows += other.rows;
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
        let mut evaluation = Evaluation { rows: 6, loss_sum: 3.0, confusion: vec![2, 1, 0, 3], ..Evaluation::empty(2) };
        assert_eq!((evaluation.hits(), evaluation.samples()), (5, 6));
        assert_eq!(evaluation.mean_loss(), 0.5);
        assert_eq!(evaluation.precision(), [Some(1.0), Some(0.75)]);
        assert_eq!(evaluation.recall(), [Some(2.0 / 3.0), Some(1.0)]);
        assert_eq!(Evaluation { confusion: vec![0, 2, 0, 0], ..evaluation.clone() }.precision(), [None, Some(0.0)]);
        evaluation.add(&evaluation.clone());
        assert_eq!((evaluation.hits(), evaluation.samples(), evaluation.loss_sum), (10, 12, 6.0));
        assert_eq!(Evaluation::empty(3).accuracy(), 0.0);
    }

    #[test]
    fn errors_of_values_are_those_of_the_textbook_in_whichever_unit() {
        let (predicted, targets) = ([1.0, 2.0, 4.0, 2.5], [1.5, 2.0, 3.0, 3.5]);
        let found = Evaluation::of_values(0.0, &predicted, &targets, 1);
        assert_eq!((found.rows, found.mae()), (4, 0.625));
        assert!((found.rmse() - (2.25f64 / 4.0).sqrt()).abs() < 1e-12);
        // The targets' mean is 2.5, their squared differences from it add up to 2.5.
        assert!((found.r2() - 0.1).abs() < 1e-12);
        let scale = TargetScale { mean: vec![1000.0], deviation: vec![10.0], names: vec!["y".into()] };
        let unit = found.in_units(&scale);
        assert_eq!((unit.mae(), unit.rmse()), (6.25, 10.0 * found.rmse()));
        assert!((unit.r2() - found.r2()).abs() < 1e-12);
    }
}
