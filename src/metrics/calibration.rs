//! How far predicted probabilities can be believed.

/// The number of bins of [`calibration_error`], all of the same width.
pub const BINS: usize = 15;

/// The mean over the rows of `-ln p[label]`, from `probabilities` (`rows x classes`, row-major) in float64, with a sum of 1 a
/// row, and at least float64's epsilon: as scikit-learn's `log_loss`. None for no rows, or where a probability is not finite or
/// a label is no class.
pub fn log_loss(probabilities: &[f32], labels: &[u32], classes: usize) -> Option<f64> {
    let rows = probabilities.chunks_exact(classes.max(1)).zip(labels);
    let loss = |(p, &label): (&[f32], &u32)| {
        let sum: f64 = p.iter().copied().map(f64::from).sum();
        let p = p.get(label as usize).map_or(f64::NAN, |&p| f64::from(p) / sum);
        -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    };
    mean(rows.map(loss).sum(), labels.len())
}

/// The expected calibration error: rows are put into [`BINS`] bins by the probability of their predicted class, the largest;
/// it is the mean over the rows of how far, in a row's bin, the share of right predictions is from the mean probability (C. Guo
/// et al., On Calibration of Modern Neural Networks, 2017). A bin holds its upper bound. None for no rows, or where a
/// probability is not finite.
pub fn calibration_error(probabilities: &[f32], labels: &[u32], classes: usize) -> Option<f64> {
    // For each bin: the sum of the probabilities minus the number of right predictions.
    let mut bins = [0.0; BINS];
    for (p, &label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        let first = p.first().map_or((0, f32::NAN), |&p| (0, p));
        // Of equal ones the first, as in an evaluation.
        let largest = |best: (usize, f32), (class, &p): (usize, &f32)| if p > best.1 { (class, p) } else { best };
        let (class, confidence) = p.iter().enumerate().fold(first, largest);
        let confidence = f64::from(confidence);
        let bin = (confidence * BINS as f64).ceil() as usize;
        bins[bin.clamp(1, BINS) - 1] += confidence - f64::from(u8::from(class == label as usize));
    }
    mean(bins.iter().map(|gap| gap.abs()).sum(), labels.len())
}

/// `sum` over `rows`; none where that is no number.
fn mean(sum: f64, rows: usize) -> Option<f64> {
    Some(sum / rows as f64).filter(|mean| mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_finite_and_that_of_probabilities_that_sum_to_1() {
        let loss = |p: &[f32], labels: &[u32]| log_loss(p, labels, 2);
        assert_eq!(loss(&[0.0, 1.0], &[0]), Some(-f64::EPSILON.ln()));
        assert!(loss(&[0.25, 0.25], &[1]).is_some_and(|loss| (loss - 2f64.ln()).abs() < 1e-15));
        assert_eq!((loss(&[f32::NAN, 0.5], &[0]), loss(&[], &[]), loss(&[0.5, 0.5], &[2])), (None, None, None));
    }

    #[test]
    fn a_calibration_error_is_the_distance_of_confidence_and_accuracy() {
        let error = |p: &[f32], labels: &[u32]| calibration_error(p, labels, 2);
        // Four rows of one bin, of which three are right.
        let p = [0.75, 0.25].repeat(4);
        assert_eq!(
            (error(&p, &[0, 0, 0, 1]), error(&p, &[0, 0, 1, 1]), error(&p, &[1; 4])),
            (Some(0.0), Some(0.25), Some(0.75))
        );
        assert_eq!((error(&[f32::NAN, 0.5], &[0]), error(&[], &[])), (None, None));
    }
}
