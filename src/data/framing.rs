//! From an image file of any kind to the row that a model of images takes: the one way that every command goes.

use std::io::{BufRead, Seek};
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use crate::data::images::decode;
use crate::data::{COLOURS, Dataset, Inputs};
use crate::error::{Error, Result};
use mask::Bounds;

mod digits;
mod filters;
mod ground;
mod ink;
mod lines;
mod mask;
mod mnist;
mod rules;

/// How an image file becomes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// As MNIST's digits: ink of any colour found on its background, scaled to 20 x 20, centred in 28 x 28
    Mnist,
    /// Resized, as it is
    Resize,
}

/// Height and width of a framed image.
pub const SIDE: usize = 28;
/// The longer side of the ink in it.
const INK: u32 = 20;
/// The place of its centre of mass in both directions, in pixels from the centre of the first pixel.
const CENTRE: f32 = 14.0;
/// The brightness of ink on a dark ground, at least.
const LIT: u8 = 64;
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
}

/// What image files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// How they are framed.
    pub framing: Framing,
    /// (height, width) of a row in pixels; [`SIDE`] both where they are framed as MNIST's.
    pub size: (usize, usize),
    /// Whether a row has [`COLOURS`] values per pixel. Grey ones have one.
    pub colour: bool,
}

impl Form {
    /// That of MNIST's digits.
    pub const MNIST: Self = Self { framing: Framing::Mnist, size: (SIDE, SIDE), colour: false };

    /// The number of values of a row.
    pub fn width(&self) -> usize {
        self.size.0 * self.size.1 * if self.colour { COLOURS } else { 1 }
    }

    /// The row of bytes that the image at `path` becomes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] when it is no image, or has no ink to frame.
    pub fn row(&self, path: &Path) -> Result<Vec<u8>> {
        self.row_of_image(path, decode::open(path)?)
    }

    /// The row that an image in `source` becomes, which messages call `path`.
    ///
    /// # Errors
    /// The same as for [`Form::row`].
    pub fn row_of(&self, path: &Path, source: impl BufRead + Seek) -> Result<Vec<u8>> {
        self.row_of_image(path, decode::decode(path, source)?)
    }

    /// The row that `image` becomes, which messages call `path`.
    pub(crate) fn row_of_image(&self, path: &Path, image: DynamicImage) -> Result<Vec<u8>> {
        match (self.framing, self.colour) {
            (Framing::Mnist, _) => self.written(path, image).map(|(row, _)| row),
            (Framing::Resize, false) => Ok(resized(grey(image).into(), self.size).into_luma8().into_raw()),
            (Framing::Resize, true) => Ok(resized(coloured(image).into(), self.size).into_rgb8().into_raw()),
        }
    }

    /// Whether `image` has colours that its row lacks. Writing is told by its shade.
    pub(crate) fn lacks_colours_of(&self, image: &DynamicImage) -> bool {
        self.framing == Framing::Resize && !self.colour && is_colourful(image)
    }

    /// The row that `image` becomes, and how many pieces of writing it has that are alike in size.
    pub(crate) fn written(&self, path: &Path, image: DynamicImage) -> Result<(Vec<u8>, usize)> {
        match self.framing {
            Framing::Mnist => mnist::frame(&grey(image)).map_err(|found| unwritten(path, found)),
            Framing::Resize => Ok((self.row_of_image(path, image)?, 1)),
        }
    }

    /// The rows that the pieces of writing in `image` become, in the order of reading.
    ///
    /// # Errors
    /// [`Error::Usage`] where images are not framed by their writing; [`Error::File`] where there is none.
    pub(crate) fn split(&self, path: &Path, image: DynamicImage) -> Result<Vec<Vec<u8>>> {
        match self.framing {
            Framing::Mnist => mnist::split(&grey(image)).map_err(|found| unwritten(path, found)),
            Framing::Resize => Err(Error::Usage(
                "images are split by the writing in them, for models of handwriting framed as MNIST's".into(),
            )),
        }
    }
}

fn unwritten(path: &Path, (found, expected): mnist::Unwritten) -> Error {
    Error::file(path, found, expected)
}

/// `image`, `height x width`.
fn resized(image: DynamicImage, (height, width): (usize, usize)) -> DynamicImage {
    if (image.height() as usize, image.width() as usize) == (height, width) {
        return image;
    }
    image.resize_exact(width as u32, height as u32, FilterType::Triangle)
}

/// The image in grey, on an opaque ground.
fn grey(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    let ground = ground(image.pixels().map(|pixel| pixel.0));
    ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
        let [value, alpha] = image.get_pixel(x, y).0;
        Luma([laid(value, alpha, ground)])
    })
}

/// The image in colour, on an opaque ground.
fn coloured(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let ground = ground(image.to_luma_alpha8().pixels().map(|pixel| pixel.0));
    let image = image.into_rgba8();
    ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|value| laid(value, alpha, ground)))
    })
}

/// The ground under transparent pixels of (value, opacity): white under dark ones and black under light.
fn ground(pixels: impl Iterator<Item = [u8; 2]>) -> u8 {
    let (light, opaque) = pixels.fold((0, 0), |(light, opaque), pixel| {
        let [value, alpha] = pixel.map(u64::from);
        (light + value * alpha, opaque + alpha)
    });
    if light < 128 * opaque { 255 } else { 0 }
}

fn laid(value: u8, alpha: u8, ground: u8) -> u8 {
    let [value, alpha, ground] = [value, alpha, ground].map(u32::from);
    ((value * alpha + ground * (255 - alpha) + 127) / 255) as u8
}

/// The pixels that [`is_colourful`] looks at.
const SAMPLED: u32 = 1 << 12;
/// The least difference between the colours of a pixel that is not grey. Those of JPEGs of grey pictures differ a little.
const COLOURFUL: u8 = 40;

/// Whether an image is more than a tinted grey: one pixel in a hundred or more has a colour.
fn is_colourful(image: &DynamicImage) -> bool {
    use image::GenericImageView;
    if !image.color().has_color() {
        return false;
    }
    let step = (u64::from(image.width()) * u64::from(image.height()) / u64::from(SAMPLED)).isqrt().max(1) as usize;
    let places = (0..image.height()).step_by(step).flat_map(|y| (0..image.width()).step_by(step).map(move |x| (x, y)));
    let (mut colourful, mut all) = (0, 0);
    for (x, y) in places {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let range = red.max(green).max(blue) - red.min(green).min(blue);
        colourful += u32::from(range >= COLOURFUL && alpha >= 128);
        all += 1;
    }
    colourful * 100 >= all.max(1)
}

/// Whether a row is framed as MNIST's are, or nearly so.
fn is_framed(row: &[u8]) -> bool {
    let ink = (0..row.len()).filter(|index| row[*index] >= LIT);
    let bounds = ink.map(|index| Bounds::of_pixel(index % SIDE, index / SIDE)).reduce(Bounds::with);
    let weight = |index: usize| f32::from(row[index]);
    let mass: f32 = (0..row.len()).map(weight).sum();
    let mean = |place: fn(usize) -> usize| (0..row.len()).map(|i| weight(i) * place(i) as f32).sum::<f32>() / mass;
    // MNIST itself is within 1 of both; images that fill their frame, as garments do, are far from them.
    let centred = |mean: f32| (mean - CENTRE).abs() < 2.0;
    let fits = bounds.is_none_or(|bounds| bounds.longer() <= INK as usize + 4);
    mass > 0.0 && fits && centred(mean(|i| i % SIDE)) && centred(mean(|i| i / SIDE))
}
