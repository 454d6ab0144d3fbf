//! The ground that writing stands on: uneven light as a smooth surface.

use image::{ImageBuffer, Luma};

use super::Plane;
use super::filters::quantile;

/// The brightness of the ground: a polynomial of degree 2 in both directions.
pub(super) struct Ground {
    size: (f64, f64),
    factors: [f64; 6],
}

impl Ground {
    /// Fits the ground to the majority of the pixels, so that ink has no weight.
    pub(super) fn fit(plane: &Plane) -> Self {
        let (width, height) = plane.dimensions();
        let size = (f64::from(width), f64::from(height));
        // In even light the median is the ground, unless writing covers most of the image. The median of the edge is safer,
        // because writing covers less of it, unless there is a frame. Ink is above the ground.
        let edge = plane.enumerate_pixels().filter(|(x, y, _)| {
            let margin = (width.min(height) / 16).max(1);
            *x < margin || *y < margin || x + margin >= width || y + margin >= height
        });
        let edge = quantile(edge.map(|(.., pixel)| pixel[0]), 0.5).unwrap_or(0.0);
        let level = quantile(plane.iter().copied(), 0.5).unwrap_or(0.0).min(edge);
        let mut ground = Self { size, factors: [f64::from(level), 0.0, 0.0, 0.0, 0.0, 0.0] };
        // Iteratively reweighted least squares with Tukey's biweight, the reach shrinking to that of the noise.
        for reach in [128.0, 96.0, 64.0, 48.0, 32.0, 24.0, 24.0] {
            let (mut matrix, mut right) = ([[0.0; 6]; 6], [0.0; 6]);
            for (x, y, pixel) in plane.enumerate_pixels() {
                let value = f64::from(pixel[0]);
                let terms = ground.terms(x, y);
                let error = (value - f64::from(ground.at(x, y))) / reach;
                let weight = (1.0 - error * error).max(0.0).powi(2);
                if weight == 0.0 {
                    continue;
                }
                for (row, (a, sum)) in matrix.iter_mut().zip(terms.into_iter().zip(&mut right)) {
                    *sum += weight * a * value;
                    row.iter_mut().zip(terms).for_each(|(cell, b)| *cell += weight * a * b);
                }
            }
            match solve(matrix, right) {
                Some(factors) => ground.factors = factors,
                None => break,
            }
        }
        ground
    }

    fn terms(&self, x: u32, y: u32) -> [f64; 6] {
        let (x, y) = (2.0 * f64::from(x) / self.size.0 - 1.0, 2.0 * f64::from(y) / self.size.1 - 1.0);
        [1.0, x, y, x * x, x * y, y * y]
    }

    /// The difference in brightness between `plane` and the ground.
    pub(super) fn taken_from(&self, plane: &Plane) -> Plane {
        ImageBuffer::from_fn(plane.width(), plane.height(), |x, y| Luma([plane.get_pixel(x, y)[0] - self.at(x, y)]))
    }

    fn at(&self, x: u32, y: u32) -> f32 {
        self.terms(x, y).iter().zip(self.factors).map(|(term, factor)| term * factor).sum::<f64>() as f32
    }
}

/// Solves a symmetric positive definite system by elimination. None where it is singular.
fn solve(mut matrix: [[f64; 6]; 6], mut right: [f64; 6]) -> Option<[f64; 6]> {
    for pivot in 0..6 {
        let row = matrix[pivot];
        if row[pivot] < 1e-6 {
            return None;
        }
        for other in (0..6).filter(|&other| other != pivot) {
            let factor = matrix[other][pivot] / row[pivot];
            matrix[other].iter_mut().zip(row).for_each(|(cell, above)| *cell -= factor * above);
            right[other] -= factor * right[pivot];
        }
    }
    Some(std::array::from_fn(|index| right[index] / matrix[index][index]))
}
