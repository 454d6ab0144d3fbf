//! Layers as they are run, and what is worked into their weights: batch norms and the scaling of inputs.

use super::modules::Norm;
use super::place::Place;
use crate::checkpoint::foreign::Normalize;

/// A linear layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub(super) name: String,
    /// Its name in parts.
    pub(super) path: Vec<String>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `outputs x inputs`, row-major.
    pub(super) weights: Vec<f32>,
    /// One per output.
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// Makes it `f * factor + term` of its sums `f`.
    fn scale_outputs(&mut self, factor: &[f64], term: &[f64]) {
        let rows = self.weights.chunks_exact_mut(self.inputs.max(1)).zip(&mut self.bias);
        for ((row, bias), (factor, term)) in rows.zip(factor.iter().zip(term)) {
            row.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
            *bias = (f64::from(*bias) * factor + term) as f32;
        }
    }

    /// Makes it take `x` where it took `x * factor + term`.
    fn scale_inputs(&mut self, factor: &[f64], term: &[f64]) {
        for (row, bias) in self.weights.chunks_exact_mut(self.inputs.max(1)).zip(&mut self.bias) {
            let shift: f64 = row.iter().zip(term).map(|(weight, term)| f64::from(*weight) * term).sum();
            *bias = (f64::from(*bias) + shift) as f32;
            row.iter_mut().zip(factor).for_each(|(weight, factor)| *weight = (f64::from(*weight) * factor) as f32);
        }
    }
}

/// Works `norm` into the layer at its place.
pub(super) fn batch_norm(norm: &Norm, place: Place, layers: &mut [Layer]) {
    let factor = |(gain, variance): (&f32, &f32)| f64::from(*gain) / (f64::from(*variance) + norm.epsilon).sqrt();
    let factors: Vec<f64> = norm.gain.iter().zip(&norm.variance).map(factor).collect();
    let moved = norm.shift.iter().zip(&norm.mean).zip(&factors);
    let terms: Vec<f64> = moved.map(|((shift, mean), factor)| f64::from(*shift) - f64::from(*mean) * factor).collect();
    match place {
        Place::Behind(layer) => layers[layer].scale_outputs(&factors, &terms),
        Place::Before(layer) => layers[layer].scale_inputs(&factors, &terms),
    }
}

/// Makes the first layer take `x` where it took `(x - mean) / deviation`.
pub(super) fn normalize(Normalize { mean, deviation }: Normalize, layer: &mut Layer) {
    let same = |value: f64| vec![value; layer.inputs];
    let (factors, terms) = (same(1.0 / deviation), same(-mean / deviation));
    layer.scale_inputs(&factors, &terms);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Layer {
        let (weights, bias) = (vec![1.0, -2.0, 0.5, 3.0], vec![0.25, -1.0]);
        Layer { name: "fc".into(), path: vec!["fc".into()], inputs: 2, outputs: 2, weights, bias }
    }

    fn run(layer: &Layer, x: &[f64]) -> Vec<f64> {
        let sum = |(row, bias): (&[f32], &f32)| {
            f64::from(*bias) + row.iter().zip(x).map(|(weight, x)| f64::from(*weight) * x).sum::<f64>()
        };
        layer.weights.chunks_exact(layer.inputs).zip(&layer.bias).map(sum).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        let near = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{found:?} {expected:?}");
    }

    #[test]
    fn norms_are_worked_into_either_side() {
        let norm = Norm {
            name: "bn".into(),
            path: vec!["bn".into()],
            gain: vec![2.0, -1.0],
            shift: vec![0.5, 0.1],
            mean: vec![0.3, -0.2],
            variance: vec![4.0, 0.25],
            epsilon: 1e-5,
            keras: false,
        };
        let of = |x: &[f64]| -> Vec<f64> {
            let value = |i: usize| {
                let scaled = (x[i] - f64::from(norm.mean[i])) / (f64::from(norm.variance[i]) + norm.epsilon).sqrt();
                scaled * f64::from(norm.gain[i]) + f64::from(norm.shift[i])
            };
            (0..2).map(value).collect()
        };
        let x = [0.7, -1.5];
        let mut behind = [layer()];
        batch_norm(&norm, Place::Behind(0), &mut behind);
        close(&run(&behind[0], &x), &of(&run(&layer(), &x)));
        let mut before = [layer()];
        batch_norm(&norm, Place::Before(0), &mut before);
        close(&run(&before[0], &x), &run(&layer(), &of(&x)));
    }

    #[test]
    fn scaled_inputs_are_worked_into_the_weights() {
        let mut scaled = layer();
        normalize(Normalize { mean: 0.1307, deviation: 0.3081 }, &mut scaled);
        let x = [0.9, 0.2];
        close(&run(&scaled, &x), &run(&layer(), &x.map(|x| (x - 0.1307) / 0.3081)));
    }
}
