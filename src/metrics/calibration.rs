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

/// Rows whose predicted class has a probability within one of [`BINS`] ranges of the same width.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Number of rows.
    pub rows: u64,
    /// Those whose class was predicted.
    pub hits: u64,
    /// The probabilities of the predicted classes, summed.
    pub confidence: f64,
}

/// Rows by the probability of their predicted class, the largest of their `probabilities` (`rows x classes`, row-major), of equal
/// ones the first: [`BINS`] bins, of which each holds its upper bound.
pub fn bins(probabilities: &[f32], labels: &[u32], classes: usize) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for (p, &label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        let (class, confidence) = predicted(p);
        let confidence = f64::from(confidence);
        let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.rows += 1;
        bin.hits += u64::from(class == label as usize);
        bin.confidence += confidence;
    }
    bins
}

/// The class with the largest of the probabilities `p`, of equal ones the first as in an evaluation, and that probability.
pub fn predicted(p: &[f32]) -> (usize, f32) {
    let first = p.first().map_or((0, f32::NAN), |&p| (0, p));
    let largest = |best: (usize, f32), (class, &p): (usize, &f32)| if p > best.1 { (class, p) } else { best };
    p.iter().enumerate().fold(first, largest)
}

/// The expected calibration error: of rows in [`bins`] it is the mean over the rows of how far, in a row's bin, the share of right
/// predictions is from the mean probability (C. Guo et al., On Calibration of Modern Neural Networks, 2017). None for no rows, or
/// where a probability is not finite.
pub fn calibration_error(probabilities: &[f32], labels: &[u32], classes: usize) -> Option<f64> {
    let gap = |bin: &Bin| (bin.confidence - bin.hits as f64).abs();
    mean(bins(probabilities, labels, classes).iter().map(gap).sum(), labels.len())
}

/// `sum` over `rows`; none if that is not a number.
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
