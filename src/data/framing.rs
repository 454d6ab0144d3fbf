//! From an image file of any kind to the row that a model of images takes. Handwriting is framed as MNIST's is: light ink on
//! dark, scaled so that the box around it fits 20 x 20 pixels, with its centre of mass at the centre of 28 x 28.

use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, LumaA};
use serde::{Deserialize, Serialize};

use crate::data::{Dataset, Inputs, images};
use crate::error::{Error, Result};

mod ink;

use ink::WORKING;

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
/// The longer side of the ink in it.
const INK: u32 = 20;
/// The place of its centre of mass in both directions, in pixels from the centre of the first pixel.
const CENTRE: f32 = 14.0;
/// The least width of strokes in a framed image, in pixels: MNIST's are 2 to 4.
const STROKE: f32 = 2.0;
/// The number of rows of a data set that are looked at.
const LOOKED_AT: usize = 500;

/// An image of one number per pixel.
type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

impl Framing {
    /// The framing of images for a model that learns from `dataset`; none where its rows are no images.
    pub fn of(dataset: &Dataset) -> Option<Self> {
        let other = dataset.image().map(|_| Framing::Resize);
        if dataset.image().is_some_and(|size| size != (SIDE, SIDE)) || dataset.train.width != SIDE * SIDE {
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

    /// The row that an image in `source` becomes, which messages call `path`.
    ///
    /// # Errors
    /// The same as for [`Framing::row`].
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

/// The range from the least to the greatest number that was added.
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

/// The framed writing in `image`: 28 x 28 bytes. An image of this size on a dark ground is taken as it is.
///
/// # Errors
/// A text saying what was found instead of writing.
pub fn frame(image: DynamicImage) -> Result<Vec<u8>, String> {
    let image = flatten(&image.into_luma_alpha8());
    let (width, height) = image.dimensions();
    let side = SIDE as u32;
    if (width, height) == (side, side) && is_dark(&image) {
        return Ok(image.into_raw());
    }
    let ink = ink::find(&image).ok_or_else(|| format!("an image of {height} x {width} pixels of one shade"))?;
    Ok(place(&thicken(&ink)).into_raw())
}

/// Whether the outermost pixels are dark on average.
fn is_dark(image: &GrayImage) -> bool {
    let (width, height) = image.dimensions();
    let outer = image.enumerate_pixels().filter(|(x, y, _)| *x == 0 || *y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) = outer.fold((0, 0), |(sum, count), (_, _, pixel)| (sum + u32::from(pixel[0]), count + 1));
    sum < 128 * count
}

/// The image on an opaque ground, which is white under dark writing and black under light.
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

/// The ink, with strokes as wide as a framed image needs them: those of a fine pen would fade when scaled.
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

/// Scales the ink to fit and puts its centre of mass at the centre.
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
