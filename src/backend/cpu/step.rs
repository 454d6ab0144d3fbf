//! A step of the parameters by an optimizer, on the mean of their gradients over a batch.

use crate::recipe::OptimizerKind;

/// Updates `parameters` from `gradients`, summed over `rows` rows.
pub fn step(optimizer: OptimizerKind, gradients: &[f32], rows: usize, learning_rate: f32, parameters: &mut [f32]) {
    let rows = rows as f32;
    match optimizer {
        _ => {
            for (parameter, &gradient) in parameters.iter_mut().zip(gradients) {
                *parameter -= learning_rate * (gradient / rows);
            }
        }
    }
}
