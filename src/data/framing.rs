//! From an image file of any kind to what a model of images takes. Handwriting is framed as MNIST's is: ink light on dark,
//! the box around it scaled to fit 20 x 20 pixels, its centre of mass at the centre of 28 x 28.

use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, LumaA};
use serde::{Deserialize, Serialize};

use crate::data::{Dataset, Inputs, images};
use crate::error::{Error, Result};

/// How an image file becomes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// As MNIST's digits: ink of any colour found on its background, scaled to 20 x 20, centred in 28 x 28
    Mnist,
    /// In grey and resized, as it is
    Resize,
}

/// Height and width of a framed image.
pub const SIDE: usize = 28;
/// Height or width of the ink in it, whichever is more.
const INK: u32 = 20;
/// Where its centre of mass is, in pixels from the first one's centre on.
const CENTRE: f32 = 14.0;
/// The longer side of the image in which ink is looked for.
const WORKING: u32 = 400;
/// The least difference in brightness, of 255, between ink and background.
const CONTRAST: f32 = 16.0;
/// The least width of strokes in a framed image, in pixels: MNIST's are 2 to 4.
const STROKE: f32 = 2.0;
/// Rows of a data set that are looked at.
const LOOKED_AT: usize = 500;

type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

impl Framing {
    /// How images are to be framed for a model that learns from `dataset`; none where its rows are no images.
    pub fn of(dataset: &Dataset) -> Option<Self> {
        let other = dataset.image.map(|_| Framing::Resize);
        if dataset.image.is_some_and(|size| size != (SIDE, SIDE)) || dataset.train.width != SIDE * SIDE {
            return other;
        }
        let mut looked_at = dataset.train.select(|row| row < LOOKED_AT).ok()?.inputs;
        if let (Inputs::F32(values), Some(scaling)) = (&mut looked_at, &dataset.scaling) {
            scaling.undo(values);
        }
        let pixels: Vec<u8> = looked_at.to_f32().iter().map(|value| value.round() as u8).collect();
        let rows = pixels.chunks_exact(SIDE * SIDE);
        let (count, framed) = (rows.len(), rows.filter(|row| is_framed(row)).count());
        if framed > 0 && framed * 10 >= count * 9 { Some(Framing::Mnist) } else { other }
    }

    /// The row of grey bytes, `height x width`, that the image at `path` becomes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] when it is no image, or has no ink to frame.
    pub fn row(self, path: &Path, size: (usize, usize)) -> Result<Vec<u8>> {
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        self.row_of(path, BufReader::new(file), size)
    }

    /// The same of an image in `source`, which messages call `path`.
    ///
    /// # Errors
    /// As [`Framing::row`].
    pub fn row_of(self, path: &Path, source: impl BufRead + Seek, size: (usize, usize)) -> Result<Vec<u8>> {
        match self {
            Framing::Resize => Ok(images::resized(images::decode_from(path, source, false)?, size)),
            Framing::Mnist => {
                let image = images::decode_from(path, source, true)?;
                frame(image).map_err(|found| Error::file(path, found, "writing that stands out from its background"))
            }
        }
    }
}

/// Whether a row is framed as MNIST's are, or nearly so.
fn is_framed(row: &[u8]) -> bool {
    let ink = |index: &usize| row[*index] >= 64;
    let (mut box_x, mut box_y) = (Range::default(), Range::default());
    for index in (0..row.len()).filter(ink) {
        box_x.add((index % SIDE) as u32);
        box_y.add((index / SIDE) as u32);
    }
    let weight = |index: usize| f32::from(row[index]);
    let mass: f32 = (0..row.len()).map(weight).sum();
    let mean = |place: fn(usize) -> usize| (0..row.len()).map(|i| weight(i) * place(i) as f32).sum::<f32>() / mass;
    // MNIST itself is within 1 of both; images that fill their frame, as garments do, are far from them.
    let centred = |mean: f32| (mean - CENTRE).abs() < 2.0;
    let fits = |range: &Range| range.length() <= INK + 4;
    mass > 0.0 && fits(&box_x) && fits(&box_y) && centred(mean(|i| i % SIDE)) && centred(mean(|i| i / SIDE))
}

/// From the least to the greatest of what was added.
#[derive(Debug, Default, Clone, Copy)]
struct Range(Option<(u32, u32)>);

impl Range {
    fn add(&mut self, value: u32) {
        let (least, greatest) = self.0.unwrap_or((value, value));
        self.0 = Some((least.min(value), greatest.max(value)));
    }

    fn length(&self) -> u32 {
        self.0.map_or(0, |(least, greatest)| greatest - least + 1)
    }
}

/// The writing in `image`, framed: 28 x 28 bytes. An image of this size on a dark ground is taken as it is.
///
/// # Errors
/// What was found instead of writing.
pub fn frame(image: DynamicImage) -> Result<Vec<u8>, String> {
    let image = flatten(&image.into_luma_alpha8());
    let (width, height) = image.dimensions();
    let side = SIDE as u32;
    if (width, height) == (side, side) && is_dark(&image) {
        return Ok(image.into_raw());
    }
    let ink = ink(&image).ok_or_else(|| format!("an image of {height} x {width} pixels of one shade"))?;
    Ok(place(&thicken(&ink)).into_raw())
}

/// Whether the outermost pixels are dark.
fn is_dark(image: &GrayImage) -> bool {
    let (width, height) = image.dimensions();
    let outer = image.enumerate_pixels().filter(|(x, y, _)| *x == 0 || *y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) = outer.fold((0, 0), |(sum, count), (_, _, pixel)| (sum + u32::from(pixel[0]), count + 1));
    sum < 128 * count
}

/// The image on an opaque ground: white under dark writing, black under light.
fn flatten(image: &ImageBuffer<LumaA<u8>, Vec<u8>>) -> GrayImage {
    let (light, opaque) = image.pixels().fold((0, 0), |(light, opaque), pixel| {
        let [value, alpha] = pixel.0.map(u64::from);
        (light + value * alpha, opaque + alpha)
    });
    let ground = if light < 128 * opaque { 255 } else { 0 };
    ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
        let [value, alpha] = image.get_pixel(x, y).0.map(u32::from);
        Luma([((value * alpha + ground * (255 - alpha) + 127) / 255) as u8])
    })
}

/// How much ink there is at each place, from 0 to 1, cut to what holds any; none where nothing stands out.
fn ink(image: &GrayImage) -> Option<Plane> {
    let longer = image.width().max(image.height());
    let scale = |side: u32| ((u64::from(side) * u64::from(WORKING)).div_ceil(u64::from(longer)) as u32).max(1);
    // Where it is resized and blurred brightness is from 0 to 1: the library cuts off what is not.
    let brightness = |x, y| Luma([f32::from(image.get_pixel(x, y)[0]) / 255.0]);
    let plane: Plane = ImageBuffer::from_fn(image.width(), image.height(), brightness);
    let plane = match longer > WORKING {
        true => imageops::resize(&plane, scale(image.width()), scale(image.height()), FilterType::Triangle),
        false => plane,
    };
    // Noise of single pixels is no writing; but a small image has strokes of single pixels.
    let plane = if longer >= WORKING / 2 { imageops::blur(&plane, 1.0) } else { plane };
    let sign = if is_dark_on_light(&plane) { -255.0 } else { 255.0 };

    // A top-hat: what is broader than strokes can be is no ink, nor is the edge of a shadow. What is left of uneven light
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

/// Whether what differs most from the mean around it is darker: strokes cover less of any place than their ground.
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
    /// Fits it to what most pixels have in common, so that ink has no weight.
    fn fit(plane: &Plane) -> Self {
        let (width, height) = plane.dimensions();
        let size = (f64::from(width), f64::from(height));
        // Where light is even the median is the ground, but for writing that covers most of the image: that touches its edge
        // less than it covers the rest.
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

    /// How much brighter `plane` is.
    fn taken_from(&self, plane: &Plane) -> Plane {
        ImageBuffer::from_fn(plane.width(), plane.height(), |x, y| Luma([plane.get_pixel(x, y)[0] - self.at(x, y)]))
    }

    fn at(&self, x: u32, y: u32) -> f32 {
        self.terms(x, y).iter().zip(self.factors).map(|(term, factor)| term * factor).sum::<f64>() as f32
    }
}

/// Solves a symmetric positive definite system by elimination; none where it is singular.
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

/// The value that `share` of the values are below.
fn quantile(values: impl Iterator<Item = f32>, share: f32) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    let index = ((values.len() as f32 * share) as usize).min(values.len().checked_sub(1)?);
    Some(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

/// The standard deviation of noise around 0, by the median of its size.
fn spread(values: &[f32]) -> f32 {
    1.4826 * quantile(values.iter().map(|value| value.abs()), 0.5).unwrap_or(0.0)
}

/// What is left of `plane` when all that is narrower than `window` is cut off: the greatest of the least.
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

/// The value that best parts `values` in two (Otsu 1979): those of most different means.
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

/// 1 where the ink above `threshold` belongs to the writing: not where it is a speck, or an object that reaches in from the
/// edge beside writing that does not.
fn writing(ink: &Plane, threshold: f32) -> GrayImage {
    let (width, height) = ink.dimensions();
    // Of each connected piece: how much ink, whether it reaches the edge, and where it is.
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

/// The ink with its strokes made as wide as a framed image needs them; a fine pen's would fade when it is scaled.
fn thicken(ink: &Plane) -> Plane {
    let on = |x: i64, y: i64| {
        let inside = x >= 0 && y >= 0 && x < i64::from(ink.width()) && y < i64::from(ink.height());
        inside && ink.get_pixel(x as u32, y as u32)[0] > 0.5
    };
    let (mut area, mut edges) = (0.0f32, 0.0f32);
    for (x, y, _) in ink.enumerate_pixels() {
        let (x, y) = (i64::from(x), i64::from(y));
        if on(x, y) {
            area += 1.0;
            edges +=
                [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)].iter().filter(|(x, y)| !on(*x, *y)).count() as f32;
        }
    }
    // Edges of pixels are 4 / pi times as long as a line in any direction.
    let width = 2.0 * area / (edges * std::f32::consts::FRAC_PI_4).max(1.0);
    let wanted = STROKE * ink.width().max(ink.height()) as f32 / INK as f32;
    let reach = ((wanted - width) / 2.0).round().min(WORKING as f32 / 16.0) as i64;
    if reach < 1 || area == 0.0 {
        return ink.clone();
    }
    let margin = reach as u32;
    let mut thick = Plane::new(ink.width() + 2 * margin, ink.height() + 2 * margin);
    for (x, y, pixel) in ink.enumerate_pixels().filter(|(.., pixel)| pixel[0] > 0.0) {
        for (dx, dy) in (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy))) {
            if dx * dx + dy * dy <= reach * reach {
                let (x, y) = (i64::from(x + margin) + dx, i64::from(y + margin) + dy);
                let under = thick.get_pixel_mut(x as u32, y as u32);
                under[0] = under[0].max(pixel[0]);
            }
        }
    }
    thick
}

/// Scales the ink to fit and puts it with its centre of mass at the centre.
fn place(ink: &Plane) -> GrayImage {
    let longer = ink.width().max(ink.height());
    let scale = |side: u32| ((f64::from(side) * f64::from(INK) / f64::from(longer)).round() as u32).max(1);
    let small = imageops::resize(ink, scale(ink.width()), scale(ink.height()), FilterType::Triangle);
    let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in small.enumerate_pixels() {
        mass += pixel[0];
        x_sum += pixel[0] * x as f32;
        y_sum += pixel[0] * y as f32;
    }
    let first = |sum: f32, side: u32| {
        ((CENTRE - sum / mass.max(f32::MIN_POSITIVE)).round() as i64).clamp(0, i64::from(SIDE as u32 - side)) as u32
    };
    let (left, top) = (first(x_sum, small.width()), first(y_sum, small.height()));
    let mut framed = GrayImage::new(SIDE as u32, SIDE as u32);
    for (x, y, pixel) in small.enumerate_pixels() {
        framed.put_pixel(x + left, y + top, Luma([(pixel[0] * 255.0).round().clamp(0.0, 255.0) as u8]));
    }
    framed
}
