//! Gradient descent on the mean over a batch: `w -= learning_rate (g / rows)`.

/// Updates `parameters` from `gradients`, summed over `rows` rows.
pub fn sgd(gradients: &[f32], rows: usize, learning_rate: f32, parameters: &mut [f32]) {
    let rows = rows as f32;
    for (parameter, &gradient) in parameters.iter_mut().zip(gradients) {
        *parameter -= learning_rate * (gradient / rows);
    }
}
