//! Augmentation of images: each row of a batch is shifted, turned, scaled and bent by draws of its own, anew in each step.
//!
//! The pixel `p = (x, y)` of the new image is the old one at `c + A (p - c) + shift + d(p)`, between pixels by bilinear
//! interpolation; beyond the edge the nearest pixel repeats. `c` is the image's centre, and `A = R diag(sx, sy)` turns by the
//! angle of `R` what was scaled by factors of their own along both axes. `d` is the elastic distortion of Simard, Steinkraus and
//! Platt (2003, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis"), whose field of random
//! displacements is smooth here as a uniform cubic B-spline over a grid of random vectors, and not by a Gaussian filter.
//!
//! What is drawn is uniform between the bounds that [`Augment`] sets: a hash of seed, step, row of the batch and number of the
//! draw, the same as dropout's, so that every backend draws the same. Sampling is continuous in the draws: where devices round
//! differently, images differ by no more than rounding.

use super::dropout::{mix, step_key};
use crate::augment::Augment;

/// What the key of a step is hashed with, where dropout hashes it with a layer: no network has so many layers.
pub const DOMAIN: u32 = 0x6175_676d;

/// Spaces between points of the grid along the longer side of an image. Four of them bend strokes about as far as the filter of
/// Simard et al., whose deviation of 4 pixels is that of such a B-spline at 28 pixels.
pub const SPACES: usize = 4;

/// The most points of the grid along a side: each pixel is between two, and depends on the two beside them too.
pub const POINTS: usize = SPACES + 3;

/// Displacements of the grid's points along one axis, row by row; what fills a row up to a whole vector is 0.
pub type Grid = [[f32; POINTS.next_multiple_of(8)]; POINTS];

/// The numbers of an image's draws: of the points of the grid two each, from [`draws::GRID`] on.
pub mod draws {
    #![allow(missing_docs)]
    pub const SHIFT_X: u32 = 0;
    pub const SHIFT_Y: u32 = 1;
    pub const ANGLE: u32 = 2;
    pub const SCALE_X: u32 = 3;
    pub const SCALE_Y: u32 = 4;
    pub const GRID: u32 = 5;
}

/// Where the pixels of one row or column lie in the grid.
#[derive(Debug, Clone, Copy)]
pub struct Knot {
    /// The first of the four points that it depends on.
    pub first: usize,
    /// How much each counts.
    pub weights: [f32; 4],
}

/// What the augmentation of images of one size is made with.
#[derive(Debug, Clone)]
pub struct Warper {
    /// Pixels of a column.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Values of a pixel, which lie together and move together.
    pub channels: usize,
    /// The most pixels of a shift.
    pub shift: f32,
    /// The largest angle, in quarters of a turn.
    pub quarters: f32,
    /// How far a factor may be from 1.
    pub scale: f32,
    /// The most pixels of a displacement of the grid's points.
    pub elastic: f32,
    /// Spaces of the grid from one pixel to the next.
    pub spaces_per_pixel: f32,
    /// The knot of each row of pixels.
    pub rows: Vec<Knot>,
    /// The knot of each column of pixels.
    pub columns: Vec<Knot>,
}

/// What one image becomes.
#[derive(Debug, Clone)]
pub struct Warp {
    /// `A`, row by row.
    pub matrix: [f32; 4],
    /// Along x and y.
    pub shift: [f32; 2],
    /// Displacements along x and along y.
    pub grid: [Grid; 2],
}

impl Warper {
    /// The warper of images of this height and width, with one value per pixel.
    pub fn new(augment: Augment, (height, width): (usize, usize)) -> Self {
        let spaces_per_pixel = SPACES as f32 / height.max(width) as f32;
        let knots = |pixels: usize| (0..pixels).map(|at| knot(at as f32 * spaces_per_pixel)).collect();
        Self {
            height,
            width,
            channels: 1,
            shift: augment.shift as f32,
            quarters: (augment.rotate / 90.0) as f32,
            scale: augment.scale as f32,
            elastic: augment.elastic as f32,
            spaces_per_pixel,
            rows: knots(height),
            columns: knots(width),
        }
    }

    /// The same of images with so many values per pixel.
    pub fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Values of an image.
    pub fn values(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether images are bent.
    pub fn bends(&self) -> bool {
        self.elastic > 0.0
    }

    /// What step `step`, from 1, of a run with the seed `seed` hashes with a row.
    pub fn key(seed: u64, step: u64) -> u32 {
        mix(step_key(seed, step) ^ DOMAIN)
    }

    /// What row `row` of a batch becomes in the step of this key.
    pub fn warp(&self, key: u32, row: u32) -> Warp {
        let key = mix(key ^ row);
        let draw = |number: u32| signed_unit(mix(key ^ number));
        let &Self { shift, quarters, scale, elastic, .. } = self;
        let (sin, cos) = sin_cos(quarters * draw(draws::ANGLE));
        let [sx, sy] = [draws::SCALE_X, draws::SCALE_Y].map(|number| 1.0 + scale * draw(number));
        let mut grid = [Grid::default(); 2];
        if self.bends() {
            for (point, axis) in (0..POINTS * POINTS).flat_map(|point| [(point, 0), (point, 1)]) {
                grid[axis][point / POINTS][point % POINTS] = elastic * draw(draws::GRID + (2 * point + axis) as u32);
            }
        }
        Warp {
            matrix: [cos * sx, -(sin * sy), sin * sx, cos * sy],
            shift: [draws::SHIFT_X, draws::SHIFT_Y].map(|number| shift * draw(number)),
            grid,
        }
    }

    /// Where in the old image the pixel (x, y) of the new one comes from, x and y within the image.
    fn source(&self, warp: &Warp, x: usize, y: usize) -> [f32; 2] {
        let (last_x, last_y) = ((self.width - 1) as f32, (self.height - 1) as f32);
        let (centre_x, centre_y) = (0.5 * last_x, 0.5 * last_y);
        let (from_x, from_y) = (x as f32 - centre_x, y as f32 - centre_y);
        let [a, b, c, d] = warp.matrix;
        let [bent_x, bent_y] = [0, 1].map(|axis| self.displacement(&warp.grid[axis], x, y));
        let source_x = a * from_x + b * from_y + centre_x + (warp.shift[0] + bent_x);
        let source_y = c * from_x + d * from_y + centre_y + (warp.shift[1] + bent_y);
        [source_x.clamp(0.0, last_x), source_y.clamp(0.0, last_y)]
    }

    /// The spline over `grid` at the pixel (x, y).
    fn displacement(&self, grid: &Grid, x: usize, y: usize) -> f32 {
        let (column, row) = (self.columns[x], self.rows[y]);
        let along_y = |point: usize| {
            let points = (0..4).map(|k| row.weights[k] * grid[row.first + k][point]);
            points.fold(0.0, |sum, value| sum + value)
        };
        (0..4).map(|k| column.weights[k] * along_y(column.first + k)).fold(0.0, |sum, value| sum + value)
    }
}

/// The knot of a pixel at `at`, in spaces of the grid: the basis of the uniform cubic B-spline.
fn knot(at: f32) -> Knot {
    let first = at.floor();
    let t = at - first;
    let (square, cube, rest) = (t * t, t * t * t, 1.0 - t);
    let weights = [
        rest * rest * rest / 6.0,
        (3.0 * cube - 6.0 * square + 4.0) / 6.0,
        (-3.0 * cube + 3.0 * square + 3.0 * t + 1.0) / 6.0,
        cube / 6.0,
    ];
    Knot { first: first as usize, weights }
}

/// A number from -1 on and below 1, of 24 bits of a hash.
fn signed_unit(hash: u32) -> f32 {
    (hash >> 8) as f32 * (1.0 / 8_388_608.0) - 1.0
}

/// Sine and cosine of an angle in quarters of a turn: Taylor's series around the nearest whole quarter, within a rounding.
fn sin_cos(quarters: f32) -> (f32, f32) {
    let nearest = (quarters + 0.5).floor();
    let x = (quarters - nearest) * std::f32::consts::FRAC_PI_2;
    let square = x * x;
    let sin =
        x * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5040.0 + square / 362_880.0))));
    let cos = 1.0 + square * (-0.5 + square * (1.0 / 24.0 + square * (-1.0 / 720.0 + square / 40_320.0)));
    match (nearest as i32).rem_euclid(4) {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Augments the images in `x` (`.. x values`), the first of which is row `first` of the batch, in the step of this key.
pub fn augment(warper: &Warper, key: u32, first: u32, x: &mut [f32]) {
    for (row, image) in (first..).zip(x.chunks_exact_mut(warper.values())) {
        warp(warper, &warper.warp(key, row), image);
    }
}

/// What `image` becomes by `warp`.
fn warp(warper: &Warper, warp: &Warp, image: &mut [f32]) {
    let &Warper { height, width, channels, .. } = warper;
    let old = image.to_vec();
    for (index, new) in image.iter_mut().enumerate() {
        let (at, channel) = (index / channels, index % channels);
        let pixel = |x: usize, y: usize| old[(y.min(height - 1) * width + x.min(width - 1)) * channels + channel];
        let [source_x, source_y] = warper.source(warp, at % width, at / width);
        let (x, y) = (source_x as usize, source_y as usize);
        let (part_x, part_y) = (source_x - x as f32, source_y - y as f32);
        let between = |a: f32, b: f32, part: f32| a + part * (b - a);
        let left = between(pixel(x, y), pixel(x, y + 1), part_y);
        let right = between(pixel(x + 1, y), pixel(x + 1, y + 1), part_y);
        *new = between(left, right, part_x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Warp = Warp { matrix: [1.0, 0.0, 0.0, 1.0], shift: [0.0; 2], grid: [[[0.0; 8]; POINTS]; 2] };

    fn warped(size: (usize, usize), how: &Warp, image: &[f32]) -> Vec<f32> {
        let mut new = image.to_vec();
        warp(&Warper::new(Augment::default(), size), how, &mut new);
        new
    }

    fn near(actual: &[f32], expected: &[f32]) -> bool {
        actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4)
    }

    #[test]
    fn nothing_to_do_leaves_every_bit() {
        for (height, width) in [(1, 1), (3, 4), (28, 28), (1, 7)] {
            let mut x: Vec<f32> = (0..3 * height * width).map(|at| (at as f32 * 0.37).sin()).collect();
            let before = x.clone();
            augment(&Warper::new(Augment::default(), (height, width)), Warper::key(1, 1), 0, &mut x);
            assert_eq!(x, before);
        }
    }

    #[test]
    fn a_shift_by_whole_pixels_moves_them_and_repeats_the_edge() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let right = Warp { shift: [-1.0, 0.0], ..NONE };
        assert_eq!(warped((2, 3), &right, &image), [1.0, 1.0, 2.0, 4.0, 4.0, 5.0]);
        let up = Warp { shift: [0.0, 1.0], ..NONE };
        assert_eq!(warped((2, 3), &up, &image), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        let half = Warp { shift: [0.5, 0.0], ..NONE };
        assert_eq!(warped((2, 3), &half, &image), [1.5, 2.5, 3.0, 4.5, 5.5, 6.0]);
    }

    #[test]
    fn the_colours_of_a_pixel_move_together() {
        let augment = Augment { shift: 2.0, rotate: 30.0, scale: 0.2, elastic: 3.0 };
        let warper = Warper::new(augment, (5, 7));
        let planes: Vec<Vec<f32>> = (1..4).map(|c| (0..70).map(|at| (at * c * 5 % 13) as f32).collect()).collect();
        let interleaved: Vec<f32> = (0..70).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect();
        let made = |warper: &Warper, mut x: Vec<f32>| {
            super::augment(warper, Warper::key(1, 2), 3, &mut x);
            x
        };
        let colour = made(&warper.clone().with_channels(3), interleaved);
        for (channel, plane) in planes.into_iter().enumerate() {
            let of_channel: Vec<f32> = colour.iter().skip(channel).step_by(3).copied().collect();
            assert_eq!(of_channel, made(&warper, plane));
        }
    }

    #[test]
    fn a_quarter_of_a_turn_moves_corners_to_corners() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let turned = |quarters| {
            let (sin, cos) = sin_cos(quarters);
            warped((3, 3), &Warp { matrix: [cos, -sin, sin, cos], ..NONE }, &image)
        };
        assert!(near(&turned(1.0), &[3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]), "{:?}", turned(1.0));
        assert!(near(&turned(-1.0), &[7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0]));
        assert!(near(&turned(2.0), &[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]));
    }

    #[test]
    fn a_scale_takes_pixels_nearer_to_the_centre_or_farther_from_it() {
        let image = [0.0, 1.0, 2.0, 3.0, 4.0];
        let scaled = |factor| warped((1, 5), &Warp { matrix: [factor, 0.0, 0.0, 1.0], ..NONE }, &image);
        assert_eq!(scaled(0.5), [1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(scaled(2.0), [0.0, 0.0, 2.0, 4.0, 4.0]);
    }

    #[test]
    fn a_grid_of_one_displacement_is_a_shift_and_another_is_smooth() {
        let (height, width) = (9, 14);
        let warper = Warper::new(Augment { elastic: 1.0, ..Augment::default() }, (height, width));
        let warp = warper.warp(Warper::key(3, 1), 0);
        for axis in 0..2 {
            let mut largest = 0.0f32;
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                assert!((warper.displacement(&[[2.5; 8]; POINTS], x, y) - 2.5).abs() < 1e-5);
                let at = |x| warper.displacement(&warp.grid[axis], x, y);
                largest = largest.max(at(x).abs());
                assert!(at(x).abs() <= 1.0 && (x == 0 || (at(x) - at(x - 1)).abs() < 1.0 * SPACES as f32 / 14.0));
            }
            assert!(largest > 0.05, "{largest}");
        }
    }

    #[test]
    fn draws_fill_their_bounds_and_differ_by_seed_step_and_row() {
        let augment = Augment { shift: 2.0, rotate: 90.0, scale: 0.25, elastic: 3.0 };
        let warper = Warper::new(augment, (28, 28));
        let warps: Vec<Warp> = (0..2000).map(|row| warper.warp(Warper::key(7, 3), row)).collect();
        let range = |of: &dyn Fn(&Warp) -> f32| {
            let values = warps.iter().map(of);
            values.fold((f32::MAX, f32::MIN), |(least, most), value| (least.min(value), most.max(value)))
        };
        let scale = |x: f32, y: f32| (x * x + y * y).sqrt();
        for ((least, most), (from, to)) in [
            (range(&|warp| warp.shift[0]), (-2.0, 2.0)),
            (range(&|warp| warp.shift[1]), (-2.0, 2.0)),
            (range(&|warp| scale(warp.matrix[0], warp.matrix[2])), (0.75, 1.25)),
            (range(&|warp| scale(warp.matrix[1], warp.matrix[3])), (0.75, 1.25)),
            (range(&|warp| warp.matrix[2].atan2(warp.matrix[0]).to_degrees()), (-90.0, 90.0)),
            (range(&|warp| warp.grid[0][2][6]), (-3.0, 3.0)),
            (range(&|warp| warp.grid[1][6][2]), (-3.0, 3.0)),
        ] {
            let near = 0.02 * (to - from);
            assert!(
                from - 1e-3 <= least && least < from + near && to - near < most && most < to + 1e-3,
                "{least} {most}"
            );
        }
        let first = |seed, step, row| warper.warp(Warper::key(seed, step), row).shift[0];
        assert!(
            first(7, 3, 0) != first(8, 3, 0) && first(7, 3, 0) != first(7, 4, 0) && first(7, 3, 0) != first(7, 3, 1)
        );
    }

    #[test]
    fn sine_and_cosine_are_right_within_a_rounding() {
        for step in -2000..=2000 {
            let quarters = step as f32 / 1000.0;
            let (sin, cos) = sin_cos(quarters);
            let exact = f64::from(quarters) * std::f64::consts::FRAC_PI_2;
            assert!((f64::from(sin) - exact.sin()).abs() < 1.5e-7 && (f64::from(cos) - exact.cos()).abs() < 1.5e-7);
        }
    }
}
