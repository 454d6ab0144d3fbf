//! Finding writing in an image of any kind: drawn or photographed, dark on light or light on dark, in uneven light.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};

use super::{Plane, Range};

/// The longer side of the image in which ink is looked for, in pixels.
pub(super) const WORKING: u32 = 400;
/// The least difference in brightness, of 255, between ink and background.
const CONTRAST: f32 = 16.0;

/// The amount of ink at each place, from 0 to 1, cropped to the box that holds any; none where nothing stands out.
pub(super) fn find(image: &GrayImage) -> Option<Plane> {
    let longer = image.width().max(image.height());
    let scale = |side: u32| ((u64::from(side) * u64::from(WORKING)).div_ceil(u64::from(longer)) as u32).max(1);
    // Brightness is from 0 to 1 here, because the library's resizing and blurring clip other values.
    let brightness = |x, y| Luma([f32::from(image.get_pixel(x, y)[0]) / 255.0]);
    let plane: Plane = ImageBuffer::from_fn(image.width(), image.height(), brightness);
    let plane = if longer > WORKING {
        imageops::resize(&plane, scale(image.width()), scale(image.height()), FilterType::Triangle)
    } else {
        plane
    };
    // Noise of single pixels is no writing. But in a small image strokes are single pixels.
    let plane = if longer >= WORKING / 2 { imageops::blur(&plane, 1.0) } else { plane };
    let sign = if is_dark_on_light(&plane) { -255.0 } else { 255.0 };

    // A top-hat filter removes what is broader than strokes can be, and the edges of shadows. The uneven light that is left
    // is smooth. Small images are drawn, not photographed, and their strokes may be as broad as the window.
    let mut ink = plane;
    ink.iter_mut().for_each(|value| *value *= sign);
    if longer >= WORKING / 2 {
        let under = opened(&ink, ink.width().max(ink.height()) / 4);
        ink.iter_mut().zip(under.iter()).for_each(|(value, under)| *value -= under);
    }
    let ink = Ground::fit(&ink).taken_from(&ink);
    let noise = spread(ink.as_raw());

    let threshold = otsu(ink.as_raw()).max(4.0 * noise).max(CONTRAST / 2.0);
    let full = quantile(ink.as_raw().iter().copied().filter(|&value| value > threshold), 0.6)?;
    if full < CONTRAST {
        return None;
    }
    let kept = writing(&ink, threshold);
    let (mut box_x, mut box_y) = (Range::default(), Range::default());
    for (x, y, _) in kept.enumerate_pixels().filter(|(.., pixel)| pixel[0] > 0) {
        box_x.add(x);
        box_y.add(y);
    }
    let ((left, _), (top, _)) = (box_x.0?, box_y.0?);
    // Soft edges reach below the threshold, but no further than a pixel from what is above it.
    let ink = ImageBuffer::from_fn(box_x.length(), box_y.length(), |x, y| {
        let (x, y) = (x + left, y + top);
        let near = (x.saturating_sub(1)..=(x + 1).min(kept.width() - 1))
            .any(|x| (y.saturating_sub(1)..=(y + 1).min(kept.height() - 1)).any(|y| kept.get_pixel(x, y)[0] > 0));
        Luma([if near { (ink.get_pixel(x, y)[0] / full).clamp(0.0, 1.0) } else { 0.0 }])
    });
    Some(ink)
}

/// Whether writing is darker than its ground. Strokes cover less of any place than their ground does, so they are what
/// differs most from the mean around it.
fn is_dark_on_light(plane: &Plane) -> bool {
    let (width, height) = plane.dimensions();
    let part = (width.max(height) / 4).max(1);
    let means = imageops::resize(plane, width.div_ceil(part), height.div_ceil(part), FilterType::Triangle);
    let means = imageops::resize(&means, width, height, FilterType::Triangle);
    let differences = || plane.iter().zip(means.iter()).map(|(value, mean)| value - mean);
    let extreme = |share| quantile(differences(), share).unwrap_or(0.0).abs();
    extreme(0.001) > extreme(0.999)
}

/// The brightness of the ground: a polynomial of degree 2 in both directions.
struct Ground {
    size: (f64, f64),
    factors: [f64; 6],
}

impl Ground {
    /// Fits the ground to the majority of the pixels, so that ink has no weight.
    fn fit(plane: &Plane) -> Self {
        let (width, height) = plane.dimensions();
        let size = (f64::from(width), f64::from(height));
        // In even light the median is the ground, unless writing covers most of the image. The median of the edge is safer,
        // because writing covers less of it.
        let edge = plane.enumerate_pixels().filter(|(x, y, _)| {
            let margin = (width.min(height) / 16).max(1);
            *x < margin || *y < margin || x + margin >= width || y + margin >= height
        });
        let level = quantile(edge.map(|(.., pixel)| pixel[0]), 0.5).unwrap_or(0.0);
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
    fn taken_from(&self, plane: &Plane) -> Plane {
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

/// The quantile of `values` at `share`, from 0 to 1.
fn quantile(values: impl Iterator<Item = f32>, share: f32) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    let index = ((values.len() as f32 * share) as usize).min(values.len().checked_sub(1)?);
    Some(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

/// The standard deviation of noise around 0, estimated by the median of its absolute values.
fn spread(values: &[f32]) -> f32 {
    1.4826 * quantile(values.iter().map(|value| value.abs()), 0.5).unwrap_or(0.0)
}

/// The morphological opening of `plane`: the maximum of the minimum, which cuts off all that is narrower than the window.
fn opened(plane: &Plane, window: u32) -> Plane {
    extreme(&extreme(plane, window, f32::min), window, f32::max)
}

/// The least or the greatest value within `reach` pixels to each side, in rows and then in columns.
fn extreme(plane: &Plane, reach: u32, choose: fn(f32, f32) -> f32) -> Plane {
    let (width, height) = plane.dimensions();
    let lines = |count: u32, length: u32, at: &dyn Fn(u32, u32) -> f32| -> Vec<Vec<f32>> {
        let line = |line: u32| {
            let values: Vec<f32> = (0..length).map(|place| at(line, place)).collect();
            slide(&values, reach as usize, choose)
        };
        (0..count).map(line).collect()
    };
    let rows = lines(height, width, &|y, x| plane.get_pixel(x, y)[0]);
    let columns = lines(width, height, &|x, y| rows[y as usize][x as usize]);
    ImageBuffer::from_fn(width, height, |x, y| Luma([columns[x as usize][y as usize]]))
}

/// The least or greatest of `values` within `reach` of each, by van Herk's two passes over blocks.
fn slide(values: &[f32], reach: usize, choose: fn(f32, f32) -> f32) -> Vec<f32> {
    let block = 2 * reach + 1;
    let edge = |index: usize| values[index.saturating_sub(reach).min(values.len() - 1)];
    let padded: Vec<f32> = (0..(values.len() + 2 * reach).next_multiple_of(block)).map(edge).collect();
    let (mut before, mut after) = (padded.clone(), padded);
    for (before, after) in before.chunks_exact_mut(block).zip(after.chunks_exact_mut(block)) {
        (1..block).for_each(|index| before[index] = choose(before[index], before[index - 1]));
        (0..block - 1).rev().for_each(|index| after[index] = choose(after[index], after[index + 1]));
    }
    (0..values.len()).map(|index| choose(after[index], before[index + block - 1])).collect()
}

/// The threshold that best divides `values` in two: the groups with the most different means (Otsu 1979).
fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 256;
    let highest = values.iter().copied().fold(0.0, f32::max);
    let bin = |value: f32| ((value.max(0.0) / highest * (BINS - 1) as f32) as usize).min(BINS - 1);
    let mut counts = [0.0f64; BINS];
    values.iter().for_each(|&value| counts[bin(value)] += 1.0);
    let moment = |counts: &[f64], first: usize| -> (f64, f64) {
        let sum = counts.iter().zip(first..).map(|(count, index)| count * index as f64).sum();
        (counts.iter().sum(), sum)
    };
    let between = |split: &usize| {
        let ((low, low_sum), (high, high_sum)) = (moment(&counts[..*split], 0), moment(&counts[*split..], *split));
        if low == 0.0 || high == 0.0 { 0.0 } else { low * high * (high_sum / high - low_sum / low).powi(2) }
    };
    let best = (1..BINS).max_by(|a, b| between(a).total_cmp(&between(b))).unwrap_or(1);
    best as f32 / BINS as f32 * highest
}

/// A mask that is 1 where ink above `threshold` belongs to the writing. Specks do not, nor do objects that reach in from the
/// edge beside writing that does not touch it.
fn writing(ink: &Plane, threshold: f32) -> GrayImage {
    let (width, height) = ink.dimensions();
    // For each connected piece: its amount of ink, whether it reaches the edge, and its pixels.
    let mut pieces = Vec::new();
    let mut seen = GrayImage::new(width, height);
    for (x, y, pixel) in ink.enumerate_pixels() {
        if pixel[0] <= threshold || seen.get_pixel(x, y)[0] > 0 {
            continue;
        }
        let (mut mass, mut at_edge, mut places, mut next) = (0.0, false, Vec::new(), vec![(x, y)]);
        seen.put_pixel(x, y, Luma([1]));
        while let Some((x, y)) = next.pop() {
            mass += ink.get_pixel(x, y)[0];
            at_edge |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
            places.push((x, y));
            for y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    if ink.get_pixel(x, y)[0] > threshold && seen.get_pixel(x, y)[0] == 0 {
                        seen.put_pixel(x, y, Luma([1]));
                        next.push((x, y));
                    }
                }
            }
        }
        pieces.push((mass, at_edge, places));
    }
    let heaviest = |edge: bool| {
        let masses = pieces.iter().filter(|(_, at_edge, _)| edge || !at_edge).map(|&(mass, ..)| mass);
        masses.fold(0.0, f32::max)
    };
    let (inner, all) = (heaviest(false), heaviest(true));
    let (inside, least) = if inner > all / 50.0 { (true, inner / 20.0) } else { (false, all / 20.0) };
    let mut kept = GrayImage::new(width, height);
    for (mass, at_edge, places) in pieces {
        if mass >= least && !(inside && at_edge) {
            places.iter().for_each(|&(x, y)| kept.put_pixel(x, y, Luma([1])));
        }
    }
    kept
}
