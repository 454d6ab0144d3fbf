//! Figures of predicted classes.

use serde::{Deserialize, Serialize};

use crate::metrics::calibration::{self, BINS};
use crate::metrics::ranking::{Ranking, roc_curve};
use crate::metrics::{self};

/// The most points of a ROC curve.
const POINTS: usize = 201;
/// The most classes that have a curve each.
const CURVES: usize = 100;

/// What was found of predicted classes. What is not defined, such as the recall of a class without rows, is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// The share of rows whose class was predicted.
    pub accuracy: f64,
    /// The mean of `-ln p` of the rows' classes.
    pub log_loss: Option<f64>,
    /// The mean of the classes' recall.
    pub balanced_accuracy: Option<f64>,
    /// The area under the ROC curve: of two classes that of the second, of more the mean.
    pub roc_auc: Option<f64>,
    /// The average precision, of the same.
    pub average_precision: Option<f64>,
    /// The mean of the classes' F1.
    pub f1_macro: Option<f64>,
    /// Matthews correlation.
    pub matthews: Option<f64>,
    /// The expected calibration error.
    pub calibration_error: Option<f64>,
    /// The accuracy of always taking the class with the most rows.
    pub baseline_accuracy: Option<f64>,
    /// The log loss of always predicting the classes' shares.
    pub baseline_log_loss: Option<f64>,
    /// Rows by class (row of the matrix) and predicted class (column), `classes x classes`, row-major.
    pub confusion: Vec<u64>,
    /// What was found of each class.
    pub classes: Vec<Class>,
    /// Rows by the probability of their predicted class: the bins of the calibration error, from 0 to 1.
    pub calibration: Vec<Bin>,
}

/// What was found of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Number of its rows.
    pub support: u64,
    /// The share of the rows predicted as it that are of it.
    pub precision: Option<f64>,
    /// The share of its rows that were predicted as it.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
    /// The area under its ROC curve, against all other classes.
    pub roc_auc: Option<f64>,
    /// The curve's points, at most 201: the share of other rows, and that of its rows, that score as high or higher. Empty where it
    /// has no rows or all, for the first of two classes, and for more than 100 classes.
    pub roc: Vec<(f64, f64)>,
}

/// Rows whose predicted class has a probability in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of rows.
    pub rows: u64,
    /// The mean probability of the predicted class; none for no rows.
    pub confidence: Option<f64>,
    /// The share of rows whose class was predicted; none for no rows.
    pub accuracy: Option<f64>,
}

impl Classes {
    /// The figures of `probabilities` (`rows x classes`, row-major) of rows with `labels`, of which `found` has the counts.
    pub fn of(names: &[String], found: &metrics::Evaluation, probabilities: &[f32], labels: &[u32]) -> Self {
        let count = names.len();
        let finite = probabilities.iter().all(|p| p.is_finite());
        let ranking = Ranking::of_classes(probabilities, labels, count);
        let baseline = found.baseline();
        let (support, precision, recall, f1) = (found.support(), found.precision(), found.recall(), found.f1());
        let class = |(number, name): (usize, &String)| {
            // Of two classes the first one's curve is the second one's, mirrored.
            let curve = finite && count <= CURVES && (count > 2 || number == 1);
            let scores = || -> Vec<(f32, bool)> {
                let scores = probabilities.iter().skip(number).step_by(count).copied();
                scores.zip(labels.iter().map(|&label| label as usize == number)).collect()
            };
            Class {
                name: name.clone(),
                support: support[number],
                precision: precision[number],
                recall: recall[number],
                f1: f1[number],
                roc_auc: if finite { Ranking::of(scores()).map(|ranking| ranking.roc_auc) } else { None },
                roc: if curve { roc_curve(scores(), POINTS).unwrap_or_default() } else { Vec::new() },
            }
        };
        let bin = |bin: &calibration::Bin| {
            let share = |sum: f64| (bin.rows > 0).then(|| sum / bin.rows as f64).filter(|share| share.is_finite());
            Bin { rows: bin.rows, confidence: share(bin.confidence), accuracy: share(bin.hits as f64) }
        };
        let bins: [calibration::Bin; BINS] = calibration::bins(probabilities, labels, count);
        Self {
            accuracy: found.accuracy(),
            log_loss: calibration::log_loss(probabilities, labels, count),
            balanced_accuracy: found.balanced_accuracy(),
            roc_auc: ranking.map(|ranking| ranking.roc_auc),
            average_precision: ranking.map(|ranking| ranking.average_precision),
            f1_macro: found.f1_macro(),
            matthews: found.matthews(),
            calibration_error: calibration::calibration_error(probabilities, labels, count),
            baseline_accuracy: baseline.map(|baseline| baseline.accuracy),
            baseline_log_loss: baseline.map(|baseline| baseline.log_loss),
            confusion: found.confusion.clone(),
            classes: names.iter().enumerate().map(class).collect(),
            calibration: bins.iter().map(bin).collect(),
        }
    }

    /// The names of the classes.
    pub fn names(&self) -> Vec<String> {
        self.classes.iter().map(|class| class.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_metrics_and_what_is_undefined_is_none() {
        let (p, labels) = ([0.9f32, 0.1, 0.2, 0.8, 0.6, 0.4, 0.3, 0.7], [0u32, 1, 1, 1]);
        let mut counted = metrics::Evaluation::empty(2);
        for (p, &label) in p.chunks(2).zip(&labels) {
            counted.count(0.0, label, u32::from(p[1] > p[0]));
        }
        let names = ["no", "yes"].map(String::from);
        let found = Classes::of(&names, &counted, &p, &labels);
        assert_eq!((found.accuracy, &found.confusion[..]), (0.75, &[1, 0, 1, 2][..]));
        assert_eq!((found.classes[0].precision, found.classes[1].recall), (Some(0.5), Some(2.0 / 3.0)));
        assert_eq!(found.classes[1].roc, [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        assert!(found.classes[0].roc.is_empty() && found.classes[0].roc_auc == Some(1.0));
        assert_eq!(found.calibration_error, calibration::calibration_error(&p, &labels, 2));
        let binned = found.calibration.iter().map(|bin| (bin.rows as f64, bin.confidence, bin.accuracy));
        let error: f64 = binned.filter_map(|(rows, p, hits)| Some(rows * (p? - hits?).abs())).sum::<f64>() / 4.0;
        assert!((error - found.calibration_error.unwrap_or(f64::NAN)).abs() < 1e-12);
        let broken = Classes::of(&names, &counted, &[f32::NAN; 8], &labels);
        assert!(broken.log_loss.is_none() && broken.classes[1].roc.is_empty());
        let text = serde_json::to_string(&broken).expect("JSON");
        assert_eq!(serde_json::from_str::<Classes>(&text).expect("the same"), broken);
    }
}
