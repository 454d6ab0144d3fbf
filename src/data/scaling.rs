//! How raw features become what a network sees: fitted on the training part, kept with the model, applied wherever the
//! model meets data.

use serde::{Deserialize, Serialize};

/// `x = (raw - offset) / divisor`, feature by feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// One a feature.
    pub offset: Vec<f32>,
    /// One a feature, none 0.
    pub divisor: Vec<f32>,
}

impl Scaling {
    /// Scales `rows`, row-major, as long as the features a row.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.offset.len().max(1)) {
            for ((value, offset), divisor) in row.iter_mut().zip(&self.offset).zip(&self.divisor) {
                *value = (*value - offset) / divisor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_scaled_by_its_own_numbers() {
        let scaling = Scaling { offset: vec![1.0, 0.0], divisor: vec![2.0, 255.0] };
        let mut rows = [1.0, 255.0, 5.0, 51.0];
        scaling.apply(&mut rows);
        assert_eq!(rows, [0.0, 1.0, 2.0, 0.2]);
    }
}
