//! Folders of image files, one folder per class: `DIR/<class>/*`, or `DIR/train/<class>/*` and `DIR/test/<class>/*`. Every
//! image becomes a row of grey bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use rayon::prelude::*;

use crate::data::classes::{self, MAX_CLASSES};
use crate::data::{Inputs, Note, Raw, Samples};
use crate::error::{Error, Result};

/// The most bytes of pixels that are read.
const MAX_BYTES: usize = 4 << 30;
/// The most pixels of an image that is decoded: more than any camera's.
const MAX_PIXELS: u64 = 1 << 28;
/// The most bytes that a decoder may give or take for itself: four channels of 16 bits a pixel.
const MAX_DECODED: u64 = 8 * MAX_PIXELS;

/// Reads the folder `path` and resizes each image to `size` (height, width). Without a size, all images must have that of
/// the first one. Files that are no images are left out, with a note.
///
/// # Errors
/// [`Error::File`] naming the first file or folder that cannot be used.
pub fn read(path: &Path, size: Option<(usize, usize)>, notes: &mut Vec<Note>) -> Result<Raw> {
    let Listing { classes, train, test, left_out } = list(path)?;
    if let Some(first) = left_out.first() {
        notes.push(
            format!("{} left out that are no images of a class, such as {}", count(left_out.len()), first.display())
                .into(),
        );
    }
    let (first, resize) = (&train[0].0, size.is_some());
    let size = match size {
        Some(size) => size,
        None => open(first)?.1,
    };
    let number = |class: &str| classes.iter().position(|name| name == class).unwrap_or(0) as u32;
    let part = |files: &[(PathBuf, String)]| {
        let (height, width) = size;
        let bytes = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(files.len()));
        if bytes.is_none_or(|bytes| bytes > MAX_BYTES) {
            let found = format!("{} images of {height} x {width}", files.len());
            return Err(Error::file(path, found, "at most 4 GiB of pixels: give a smaller --image-size HEIGHTxWIDTH"));
        }
        let row = |(file, _): &(PathBuf, String)| {
            if resize {
                return decode(file, size);
            }
            let (image, found) = open(file)?;
            if found != size {
                let expected = format!(
                    "{height} x {width}, as {} has (height x width), or --image-size HEIGHTxWIDTH to resize all",
                    first.display()
                );
                return Err(Error::file(file, format!("an image of {} x {}", found.0, found.1), expected));
            }
            Ok(image.into_raw())
        };
        let rows: Vec<Result<Vec<u8>>> = files.par_iter().map(row).collect();
        let mut pixels = Vec::with_capacity(height * width * files.len());
        for row in rows {
            pixels.extend(row?);
        }
        let labels = files.iter().map(|(_, class)| number(class)).collect();
        Samples::new(Inputs::U8(pixels), height * width, labels)?.with_image(size)
    };
    let (train, test) = (part(&train)?, test.as_deref().map(part).transpose()?);
    Ok(Raw {
        name: path.display().to_string(),
        train,
        test,
        validation: None,
        classes,
        target_scale: None,
        columns: None,
        scale: None,
    })
}

/// What a folder of images holds.
struct Listing {
    classes: Vec<String>,
    /// Images of the training part, with the class of each.
    train: Vec<(PathBuf, String)>,
    test: Option<Vec<(PathBuf, String)>>,
    left_out: Vec<PathBuf>,
}

fn list(path: &Path) -> Result<Listing> {
    let mut left_out = Vec::new();
    let (train_folder, test_folder) = match [path.join("train"), path.join("test")] {
        [train, test] if has_folders(&train)? => {
            left_out.extend(entries(path)?.into_iter().filter(|entry| *entry != train && *entry != test));
            (train, Some(test).filter(|test| test.is_dir()))
        }
        _ => (path.to_path_buf(), None),
    };
    let classes = class_names(&train_folder, &mut left_out)?;
    let train = files(&train_folder, &classes, &mut left_out)?;
    let test = match &test_folder {
        None => None,
        Some(folder) => {
            let names = class_names(folder, &mut left_out)?;
            if let Some(name) = names.iter().find(|name| !classes.contains(name)) {
                let expected = format!("the classes of {}: {}", train_folder.display(), classes::list(&classes));
                return Err(Error::file(folder, format!("a folder {name:?}"), expected));
            }
            Some(files(folder, &names, &mut left_out)?)
        }
    };
    Ok(Listing { classes, train, test, left_out })
}

/// The files that [`read`] reads in the folder `path`; none where it is no folder of images.
pub(crate) fn paths(path: &Path) -> Vec<PathBuf> {
    let listing = list(path).ok();
    let images =
        listing.into_iter().flat_map(|listing| listing.train.into_iter().chain(listing.test.into_iter().flatten()));
    images.map(|(path, _)| path).collect()
}

/// The image at `path` as grey bytes, resized to `height x width`.
///
/// # Errors
/// [`Error::File`] when it is no image.
pub fn decode(path: &Path, size: (usize, usize)) -> Result<Vec<u8>> {
    let (image, _) = open(path)?;
    Ok(resized(image.into(), size))
}

/// `image` as grey bytes, resized to `height x width`.
pub(crate) fn resized(image: DynamicImage, (height, width): (usize, usize)) -> Vec<u8> {
    let image = image.into_luma8();
    if (image.height() as usize, image.width() as usize) == (height, width) {
        return image.into_raw();
    }
    let image = DynamicImage::from(image).resize_exact(width as u32, height as u32, FilterType::Triangle);
    image.into_luma8().into_raw()
}

/// The image at `path` in grey, and its (height, width).
fn open(path: &Path) -> Result<(GrayImage, (usize, usize))> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let image = decode_from(path, BufReader::new(file), false)?;
    let size = (image.height() as usize, image.width() as usize);
    Ok((image.into_luma8(), size))
}

/// The image in `source`, which messages call `path`; turned as its camera says if `upright`. Every image is decoded here:
/// what its header claims is checked before memory is taken for it.
///
/// # Errors
/// [`Error::File`] when it is no image, or a larger one than is decoded.
pub(crate) fn decode_from(path: &Path, source: impl BufRead + Seek, upright: bool) -> Result<DynamicImage> {
    let bad = |error| undecodable(path, error);
    let mut reader = ImageReader::new(source);
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(Error::io("read", path))?;
    let mut decoder = reader.into_decoder().map_err(bad)?;
    // Not every decoder holds to its limits.
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || bytes > MAX_DECODED {
        let found = format!("an image of {height} x {width} pixels, {bytes} bytes when it is decoded");
        return Err(Error::file(path, found, format!("at most {MAX_PIXELS} pixels and {MAX_DECODED} bytes")));
    }
    // Decoders and conversions end the process where they get no memory, so it is asked for here first: for the image and
    // for two bytes a pixel, twice.
    let needed = usize::try_from(bytes + 4 * pixels).unwrap_or(usize::MAX);
    if Vec::<u8>::new().try_reserve_exact(needed).is_err() {
        let found = format!("an image of {height} x {width} pixels");
        return Err(Error::file(path, found, format!("a smaller one: there is no memory of {needed} bytes for it")));
    }
    let orientation =
        if upright { decoder.orientation().unwrap_or(Orientation::NoTransforms) } else { Orientation::NoTransforms };
    let mut image = DynamicImage::from_decoder(decoder).map_err(bad)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The error for an image that cannot be decoded.
fn undecodable(path: &Path, error: image::ImageError) -> Error {
    let error = error.to_string().replace('\n', " ");
    let found = format!("an image that cannot be read ({error})");
    Error::file(path, found, "a whole PNG, JPEG, GIF, BMP, WebP, TIFF or PNM")
}

/// Whether the file is an image by its name or by its first bytes.
pub(crate) fn is_image(path: &Path) -> bool {
    let reader = || ImageReader::open(path).ok()?.with_guessed_format().ok()?.format();
    ImageFormat::from_path(path).is_ok() || reader().is_some()
}

/// Whether `content` is an image by its first bytes.
pub(crate) fn is_image_content(content: &[u8]) -> bool {
    image::guess_format(content).is_ok()
}

/// The entries of `folder` that are not hidden, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("read", folder)(error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(|error| Error::io("read", folder)(error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

fn has_folders(folder: &Path) -> Result<bool> {
    Ok(folder.is_dir() && entries(folder)?.iter().any(|entry| entry.is_dir()))
}

/// The names of the folders in `folder`, in the order of classes.
fn class_names(folder: &Path, left_out: &mut Vec<PathBuf>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in entries(folder)? {
        match entry.file_name().and_then(|name| name.to_str()) {
            _ if !entry.is_dir() => left_out.push(entry),
            Some(name) => names.push(name.to_owned()),
            None => return Err(Error::file(&entry, "a folder whose name is not UTF-8", "the name of a class")),
        }
    }
    if names.is_empty() || names.len() > MAX_CLASSES {
        return Err(Error::file(folder, format!("{} folders in it", names.len()), crate::data::UNDERSTOOD));
    }
    classes::sort(&mut names);
    Ok(names)
}

/// The images in the folders `classes` of `folder`, with the class of each.
fn files(folder: &Path, classes: &[String], left_out: &mut Vec<PathBuf>) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for class in classes {
        let (images, others) = sorted_out(&folder.join(class))?;
        if images.is_empty() {
            return Err(Error::file(&folder.join(class), "no image in it", "the images of a class"));
        }
        files.extend(images.into_iter().map(|image| (image, class.clone())));
        left_out.extend(others);
    }
    Ok(files)
}

/// The images in `folder` itself, and its other entries; both in the order of their names, without hidden ones.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub(crate) fn sorted_out(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    Ok(entries(folder)?.into_iter().partition(|entry| !entry.is_dir() && is_image(entry)))
}

/// So many files or folders, and the verb for them.
pub(crate) fn count(entries: usize) -> String {
    match entries {
        1 => "1 file or folder is".into(),
        more => format!("{more} files or folders are"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn save(folder: &Path, name: &str, image: impl Into<DynamicImage>) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.into().save(path).unwrap();
    }

    fn grey(height: u32, width: u32, value: u8) -> GrayImage {
        GrayImage::from_pixel(width, height, image::Luma([value]))
    }

    fn load(folder: &Path, size: Option<(usize, usize)>) -> (Result<Raw>, Vec<Note>) {
        let mut notes = Vec::new();
        (read(folder, size, &mut notes), notes)
    }

    #[test]
    fn folders_are_classes_and_every_format_becomes_grey_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (index, format) in ["png", "bmp", "gif", "jpg", "webp", "tiff", "pgm"].into_iter().enumerate() {
            let image = DynamicImage::from(grey(2, 3, 100));
            let image = if matches!(format, "gif" | "webp") { image.into_rgba8().into() } else { image };
            save(path, &format!("10/{index}.{format}"), image);
        }
        save(path, "9/a.png", image::RgbImage::from_pixel(3, 2, image::Rgb([100, 100, 100])));
        save(path, "9/b.png", image::ImageBuffer::from_pixel(3, 2, image::Luma([100u16 * 257])));
        std::fs::rename(path.join("9/b.png"), path.join("9/b.image")).unwrap();
        std::fs::write(path.join("9/.DS_Store"), "x").unwrap();
        let (raw, notes) = load(path, None);
        let raw = raw.unwrap();
        assert_eq!((&raw.classes[..], raw.train.image, notes.len()), (&["9".into(), "10".into()][..], Some((2, 3)), 0));
        assert_eq!(raw.train.labels(), [0, 0, 1, 1, 1, 1, 1, 1, 1]);
        let bytes = raw.train.inputs.to_f32();
        assert!(bytes.len() == 54 && bytes.iter().all(|value| (99.0..=101.0).contains(value)), "{bytes:?}");
        assert!(raw.test.is_none());
    }

    #[test]
    fn train_and_test_folders_are_the_parts_and_what_is_no_image_is_left_out_with_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (name, value) in [("train/a/1.png", 1), ("train/b/1.png", 2), ("test/b/1.png", 3)] {
            save(path, name, grey(1, 1, value));
        }
        for name in ["README.md", "train/notes.txt", "train/a/notes.txt"] {
            std::fs::write(path.join(name), "text").unwrap();
        }
        let (raw, notes) = load(path, None);
        let raw = raw.unwrap();
        assert_eq!((&raw.train.inputs, raw.train.labels()), (&Inputs::U8(vec![1, 2]), &[0, 1][..]));
        let test = raw.test.unwrap();
        assert_eq!((&test.inputs, test.labels()), (&Inputs::U8(vec![3]), &[1][..]));
        assert!(notes[0].text.starts_with("3 files") && notes[0].contains("README.md"), "{notes:?}");
        save(path, "test/c/1.png", grey(1, 1, 1));
        let error = load(path, None).0.unwrap_err().to_string();
        assert!(error.contains("\"c\"") && error.contains("\"a\", \"b\""), "{error}");
    }

    #[test]
    fn images_of_other_sizes_are_resized_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), "a/1.png", grey(4, 4, 10));
        save(folder.path(), "b/1.png", grey(2, 6, 20));
        let error = load(folder.path(), None).0.unwrap_err().to_string();
        for part in ["b/1.png", "2 x 6", "4 x 4", "--image-size"] {
            assert!(error.contains(part), "no {part}: {error}");
        }
        let raw = load(folder.path(), Some((2, 3))).0.unwrap();
        assert_eq!(raw.train.inputs, Inputs::U8([[10; 6], [20; 6]].concat()));
        assert_eq!(raw.train.image, Some((2, 3)));
    }

    #[test]
    fn what_is_no_folder_of_images_is_one_line_that_names_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(load(path, None).0.unwrap_err().to_string().contains("0 folders"));
        save(path, "a/1.png", grey(2, 2, 1));
        std::fs::create_dir(path.join("b")).unwrap();
        let error = load(path, None).0.unwrap_err().to_string();
        assert!(error.contains("no image in it") && error.contains("/b"), "{error}");
        let whole = std::fs::read(path.join("a/1.png")).unwrap();
        for content in [&b""[..], b"not an image", &whole[..whole.len() / 2]] {
            std::fs::write(path.join("b/2.png"), content).unwrap();
            for size in [None, Some((2, 2))] {
                let error = load(path, size).0.unwrap_err().to_string();
                assert!(
                    error.contains("b/2.png") && error.contains("cannot be read") && !error.contains('\n'),
                    "{error}"
                );
            }
        }
    }
    /// A GIF of one frame: the sizes of screen and frame as its header claims them.
    fn gif(screen: [u16; 2], frame: [u16; 2]) -> Vec<u8> {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let palette = b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0";
        [b"GIF89a", &words(&screen)[..], palette, &words(&frame), b"\0\x02\x02\x4c\x01\0;"].concat()
    }

    #[test]
    fn sizes_that_a_header_claims_are_checked_before_memory_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, 1 << 20, 1 << 20);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[]).unwrap();
        let (mut bmp, mut start) = (std::io::Cursor::new(Vec::new()), [0; 8]);
        DynamicImage::from(grey(1, 1, 0)).into_rgb8().write_to(&mut bmp, ImageFormat::Bmp).unwrap();
        start[..4].copy_from_slice(&60_000i32.to_le_bytes());
        start[4..].copy_from_slice(&60_000i32.to_le_bytes());
        bmp.get_mut()[18..26].copy_from_slice(&start);
        for (name, content, size) in [
            ("a.pgm", b"P5 99999999 99999999 255\n".to_vec(), "99999999 x 99999999"),
            ("b.pam", b"P7\nWIDTH 90000\nHEIGHT 9000\nDEPTH 4\nMAXVAL 65535\nENDHDR\n".to_vec(), "9000 x 90000"),
            ("c.pbm", b"P4 4294967295 4294967295\n".to_vec(), "4294967295 x 4294967295"),
            ("d.gif", gif([65535; 2], [65535; 2]), "65535 x 65535"),
            ("e.bmp", bmp.into_inner(), "60000 x 60000"),
            ("f.png", png, "1048576 x 1048576"),
            // Of a small screen, with a frame that reaches beyond it.
            ("g.gif", gif([1; 2], [65535; 2]), ""),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = decode(&path, (2, 2)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(size), "{error}");
            assert_eq!(error.contains("at most 268435456 pixels"), !size.is_empty(), "{error}");
        }
    }
}
