//! From an image file to its pixels: whatever its format and depth, turned as its camera says. Every image is decoded here, so
//! that what a header claims is checked before memory is taken for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::formats::{Kind, READ};
use crate::error::{Error, Result};
use crate::memory;

/// The most pixels of an image that is decoded: more than any camera's.
const MAX_PIXELS: u64 = 1 << 28;
/// The most bytes that a decoder may give or take for itself: four channels of 16 bits per pixel.
const MAX_DECODED: u64 = 8 * MAX_PIXELS;

/// The image at `path`, upright.
///
/// # Errors
/// [`Error::Io`], and those of [`decode`].
pub(crate) fn open(path: &Path) -> Result<DynamicImage> {
    decode(path, source(path)?)
}

/// (height, width) of the upright image at `path`, by its header.
///
/// # Errors
/// As [`open`], as far as the header goes.
pub(crate) fn size(path: &Path) -> Result<(usize, usize)> {
    let mut decoder = decoder(path, source(path)?)?;
    let (width, height) = decoder.dimensions();
    let lies = matches!(
        orientation(&mut decoder),
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (height, width) = (height as usize, width as usize);
    Ok(if lies { (width, height) } else { (height, width) })
}

/// The image in `source`, which messages call `path`, upright. Of an animation it is the first picture.
///
/// # Errors
/// [`Error::File`] when it is no image, or a larger one than is decoded.
pub(crate) fn decode(path: &Path, source: impl BufRead + Seek) -> Result<DynamicImage> {
    let mut decoder = decoder(path, source)?;
    let orientation = orientation(&mut decoder);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| undecodable(path, error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn source(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    match Kind::of(path) {
        Kind::Unread(format) => Err(format.error(path)),
        Kind::Picture | Kind::Other => Ok(BufReader::new(file)),
    }
}

fn decoder<'a>(path: &Path, source: impl BufRead + Seek + 'a) -> Result<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::new(source);
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(Error::io("read", path))?;
    let decoder = reader.into_decoder().map_err(|error| undecodable(path, error))?;
    // Not every decoder holds to its limits.
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || bytes > MAX_DECODED {
        let found = format!("an image of {height} x {width} pixels, {bytes} bytes when it is decoded");
        return Err(Error::file(path, found, format!("at most {MAX_PIXELS} pixels and {MAX_DECODED} bytes")));
    }
    // The image, and two bytes a pixel, twice, for what is made of it.
    memory::check(bytes + 4 * pixels, || format!("{}: an image of {height} x {width} pixels", path.display()))?;
    Ok(decoder)
}

/// How the image is to be turned. Metadata that cannot be read say nothing.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// The error for an image that cannot be decoded.
fn undecodable(path: &Path, error: ImageError) -> Error {
    let error = error.to_string().replace('\n', " ");
    Error::file(path, format!("an image that cannot be read ({error})"), format!("a whole {READ}"))
}
