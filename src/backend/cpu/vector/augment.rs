//! Augmentation over vectors of a row's pixels, as its twin to the bit.

use super::{Aligned, Vectors, vectorize};
use crate::backend::cpu::augment::{Grid, POINTS, Warp, Warper};

/// Pixels that are worked on at a time.
const PIXELS: usize = 16;

/// What a run augments its images with: all that is the same for every row.
#[derive(Debug, Clone)]
pub struct Augmenter {
    warper: Warper,
    /// How much each column of the grid counts at each pixel of a row, [`PIXELS`] after [`PIXELS`].
    weights: Vec<[[f32; PIXELS]; POINTS]>,
}

impl Augmenter {
    /// The vectors for the images that `warper` is for.
    pub fn new(warper: Warper) -> Self {
        let mut weights = vec![[[0.0; PIXELS]; POINTS]; warper.width.div_ceil(PIXELS)];
        for (x, knot) in warper.columns.iter().enumerate() {
            for (k, weight) in knot.weights.iter().enumerate() {
                weights[x / PIXELS][knot.first + k][x % PIXELS] = *weight;
            }
        }
        Self { warper, weights }
    }

    /// Augments the images in `x` (`.. x values`), the first of which is row `first` of the batch, in the step of the key `key`.
    pub fn augment(&self, vectors: Vectors, key: u32, first: usize, old: &mut Aligned, x: &mut [f32]) {
        let Warper { height, width, channels, .. } = self.warper;
        let padded = (height + 1) * (width + 1);
        // Of colours one after the other is made, beside the image.
        old.resize(padded + if channels > 1 { height * width } else { 0 });
        let (old, made) = old.split_at_mut(padded);
        for (row, image) in (first as u32..).zip(x.chunks_exact_mut(self.warper.values())) {
            let warp = self.warper.warp(key, row);
            if channels == 1 {
                repeat_edges(image, width, old);
                vectorize!(vectors, |_simd| self.warp(&warp, old, image));
                continue;
            }
            for channel in 0..channels {
                made.iter_mut().zip(image[channel..].iter().step_by(channels)).for_each(|(made, value)| *made = *value);
                repeat_edges(made, width, old);
                vectorize!(vectors, |_simd| self.warp(&warp, old, made));
                image[channel..].iter_mut().step_by(channels).zip(&*made).for_each(|(value, made)| *value = *made);
            }
        }
    }

    /// Makes `image` of `old`, whose edges are repeated on the right and below.
    #[inline(always)]
    fn warp(&self, warp: &Warp, old: &[f32], image: &mut [f32]) {
        let Warper { height, width, ref rows, .. } = self.warper;
        let (last_x, last_y) = ((width - 1) as f32, (height - 1) as f32);
        let (centre_x, centre_y) = (0.5 * last_x, 0.5 * last_y);
        let [a, b, c, d] = warp.matrix;
        for (y, new) in image.chunks_exact_mut(width).enumerate() {
            let from_y = y as f32 - centre_y;
            let (b, d) = (b * from_y, d * from_y);
            // At this row, of each column of the grid.
            let mut displaced = [Grid::default()[0]; 2];
            for (sums, grid) in displaced.iter_mut().zip(&warp.grid) {
                for (weight, points) in rows[y].weights.iter().zip(&grid[rows[y].first..]) {
                    sums.iter_mut().zip(points).for_each(|(sum, point)| *sum += weight * point);
                }
            }
            for ((chunk, new), weights) in new.chunks_mut(PIXELS).enumerate().zip(&self.weights) {
                let start = chunk * PIXELS;
                let mut bent = [[0.0f32; PIXELS]; 2];
                if self.warper.bends() {
                    for ((weights, along_x), along_y) in weights.iter().zip(displaced[0]).zip(displaced[1]) {
                        for (lane, weight) in weights.iter().enumerate() {
                            bent[0][lane] += weight * along_x;
                            bent[1][lane] += weight * along_y;
                        }
                    }
                }
                let (mut at, mut part) = ([0i32; PIXELS], [[0.0f32; PIXELS]; 2]);
                for lane in 0..PIXELS {
                    let from_x = (start + lane) as f32 - centre_x;
                    let x = a * from_x + b + centre_x + (warp.shift[0] + bent[0][lane]);
                    let y = c * from_x + d + centre_y + (warp.shift[1] + bent[1][lane]);
                    // Unlike a clamp, these make 0 of NaN.
                    let (x, y) = (x.max(0.0).min(last_x), y.max(0.0).min(last_y));
                    // SAFETY: both are within the image, whose sides are far below 2^31.
                    let (whole_x, whole_y): (i32, i32) = unsafe { (x.to_int_unchecked(), y.to_int_unchecked()) };
                    (part[0][lane], part[1][lane]) = (x - whole_x as f32, y - whole_y as f32);
                    at[lane] = whole_y * (width as i32 + 1) + whole_x;
                }
                // Two pixels above and two below.
                let mut corners = [[0.0f32; PIXELS]; 4];
                for (lane, &at) in at.iter().enumerate() {
                    for (corner, beside) in corners.iter_mut().zip([0, 1, width + 1, width + 2]) {
                        // SAFETY: x and y are within the image, and `old` has one pixel more to the right and below.
                        corner[lane] = unsafe { *old.get_unchecked(at as usize + beside) };
                    }
                }
                let mut made = [0.0f32; PIXELS];
                for (lane, made) in made.iter_mut().enumerate() {
                    let left = corners[0][lane] + part[1][lane] * (corners[2][lane] - corners[0][lane]);
                    let right = corners[1][lane] + part[1][lane] * (corners[3][lane] - corners[1][lane]);
                    *made = left + part[0][lane] * (right - left);
                }
                new.copy_from_slice(&made[..new.len()]);
            }
        }
    }
}

/// Copies `image` to `old`, the last pixel of each row and the last row twice.
fn repeat_edges(image: &[f32], width: usize, old: &mut [f32]) {
    let rows = old.len() / (width + 1);
    for (row, old) in old.chunks_exact_mut(width + 1).enumerate() {
        let from = &image[row.min(rows - 2) * width..][..width];
        old[..width].copy_from_slice(from);
        old[width] = from[width - 1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Augment;
    use crate::backend::cpu::augment as twin;

    #[test]
    fn vectors_make_what_the_twin_makes() {
        let all = Augment { shift: 2.0, rotate: 15.0, scale: 0.15, elastic: 4.0 };
        let stiff = Augment { elastic: 0.0, ..all };
        let far = Augment { shift: 40.0, rotate: 180.0, scale: 0.9, elastic: 9.0 };
        for (height, width) in [(28, 28), (1, 1), (5, 1), (1, 40), (17, 33), (48, 3)] {
            for (augment, channels) in [(all, 1), (stiff, 1), (far, 1), (Augment::default(), 1), (all, 3)] {
                let warper = Warper::new(augment, (height, width)).with_channels(channels);
                let key = Warper::key(3, 1 << 33);
                let x: Vec<f32> = (0..5 * height * width * channels).map(|at| (at as f32 * 0.7).sin()).collect();
                let mut expected = x.clone();
                twin::augment(&warper, key, 2, &mut expected);
                let augmenter = Augmenter::new(warper);
                for vectors in Vectors::all() {
                    let mut x = x.clone();
                    augmenter.augment(vectors, key, 2, &mut Aligned::default(), &mut x);
                    assert_eq!(x, expected, "{vectors:?} {height} x {width} {augment}");
                }
            }
        }
    }
}
