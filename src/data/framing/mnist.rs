//! Handwriting as MNIST's digits are: light ink on dark, scaled so that the box around it fits 20 x 20 pixels, with its centre of
//! mass at the centre of 28 x 28.

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};

use super::digits;
use super::ink::{Ink, WORKING, WORKING_ON_MANY};
use super::mask::Piece;
use super::{CENTRE, INK, LIT, Plane, SIDE};

/// The least width of strokes in a framed image, in pixels: MNIST's are 2 to 4.
const STROKE: f32 = 2.0;
/// The pixels of a stroke, at least.
const SPECK: usize = 10;
/// More pieces than a digit has, even of broken strokes.
const MANY: usize = 12;
/// So many times as large as strokes is the image around many of them that are no digit.
const TINY: usize = 16;
/// The same where each piece of writing counts.
const TINY_OF_MANY: usize = 64;

/// Why there is no row: what was found, and what is expected.
pub(super) type Unwritten = (String, &'static str);

/// The framed writing in `image`: 28 x 28 bytes, and the number of pieces that are alike in size. Around a box nothing is taken for
/// writing, but counted. An image of this size on a dark ground is taken as it is.
///
/// # Errors
/// [`Unwritten`] for an image without writing.
pub(super) fn frame(image: &GrayImage) -> Result<(Vec<u8>, usize), Unwritten> {
    if let Some(row) = as_it_is(image) {
        return row.map(|row| (row, 1));
    }
    let ink = Ink::of(image, false).ok_or_else(|| unwritten(image))?;
    let pieces = ink.pieces();
    if is_noise(&pieces, image.dimensions(), WORKING, TINY) {
        let count = split(image)?.len();
        let found = format!("an image of {} x {} pixels with {count} small pieces", image.height(), image.width());
        return Err((found, "the writing of one digit, or the option split to predict each piece"));
    }
    let framed = framed(&ink.cropped(&pieces).ok_or_else(|| unwritten(image))?);
    Ok((framed, digits::count(&digits::read(pieces)) + ink.outside))
}

/// Each piece of writing in `image`, framed, in the order of reading.
///
/// # Errors
/// As [`frame`].
pub(super) fn split(image: &GrayImage) -> Result<Vec<Vec<u8>>, Unwritten> {
    if let Some(row) = as_it_is(image) {
        return row.map(|row| vec![row]);
    }
    let ink = Ink::of(image, true).ok_or_else(|| unwritten(image))?;
    let pieces = ink.pieces();
    if is_noise(&pieces, image.dimensions(), WORKING_ON_MANY, TINY_OF_MANY) {
        return Err(unwritten(image));
    }
    let digits = digits::read(pieces);
    let rows: Vec<Vec<u8>> = digits.iter().filter_map(|digit| Some(framed(&ink.cropped(&digit.pieces)?))).collect();
    if rows.is_empty() { Err(unwritten(image)) } else { Ok(rows) }
}

/// Whether `pieces` are specks, or many of which none has the part 1 / `tiny` of the longer side of the image. It has this (width,
/// height), and `working` pixels along the longer side at most where the pieces were found.
fn is_noise(pieces: &[Piece], (width, height): (u32, u32), working: u32, tiny: usize) -> bool {
    let longest = pieces.iter().map(|piece| piece.bounds.longer()).max().unwrap_or(0);
    let side = width.max(height).min(working) as usize;
    let largest = pieces.iter().map(|piece| piece.places.len()).max().unwrap_or(0);
    largest < SPECK || pieces.len() > MANY && longest * tiny < side
}

fn unwritten(image: &GrayImage) -> Unwritten {
    let (height, width) = (image.height(), image.width());
    let found = format!("an image of {height} x {width} pixels in which no writing stands out");
    (found, "writing on a ground of another shade")
}

fn framed(ink: &Plane) -> Vec<u8> {
    place(&thicken(ink)).into_raw()
}

/// The row of an image that is framed already: of this size, on a dark ground.
fn as_it_is(image: &GrayImage) -> Option<Result<Vec<u8>, Unwritten>> {
    if image.dimensions() != (SIDE as u32, SIDE as u32) || !is_dark(image) {
        return None;
    }
    let written = image.iter().any(|value| *value >= LIT);
    Some(if written { Ok(image.as_raw().clone()) } else { Err(unwritten(image)) })
}

/// Whether the outermost pixels are dark on average.
fn is_dark(image: &GrayImage) -> bool {
    let (width, height) = image.dimensions();
    let outer = image.enumerate_pixels().filter(|(x, y, _)| *x == 0 || *y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) = outer.fold((0, 0), |(sum, count), (_, _, pixel)| (sum + u32::from(pixel[0]), count + 1));
    sum < 128 * count
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
