//! IDX files, and the MNIST family: four of them in a folder, plain or gzipped.
//!
//! Each file is checked here first, whole, so that nothing a file holds can make the `mnist` crate, which decodes them,
//! panic. That crate takes only the published sizes (60,000 and 10,000 images of 28 x 28); files of other sizes are cut
//! out of the checked bytes directly.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::data::arrays::{Array, Element, Kind, MAX_BYTES};
use crate::data::classes::Numbering;
use crate::data::{Dataset, Inputs, Origin, Range, Samples, Targets, numbered};
use crate::error::{Error, Result};
use crate::memory;

const IMAGES: u32 = 0x803;
const LABELS: u32 = 0x801;
/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The number of classes of each set of the family: ten digits, garments or characters.
const CLASSES: usize = 10;
/// The names of the four files, without the ending `.gz`: training images and labels, test images and labels.
pub const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
/// The only sizes that the `mnist` crate takes: the numbers of training and test images, and (height, width).
const PUBLISHED: (usize, usize, (usize, usize)) = (60_000, 10_000, (28, 28));

/// Reads the data set `name` of the family from `folder`: rows of `height * width` bytes, ten classes.
///
/// # Errors
/// [`Error::File`] or [`Error::Io`], naming the first file that is missing or malformed, what was found and what was
/// expected.
pub fn load(folder: &Path, name: &str) -> Result<Dataset> {
    let train = Part::read(folder, NAMES[0], NAMES[1])?;
    let test = Part::read(folder, NAMES[2], NAMES[3])?;
    if train.size != test.size {
        let text = |(rows, columns)| format!("images of {rows} x {columns}");
        let expected = format!("{} as in {}", text(train.size), NAMES[0]);
        return Err(Error::file(&test.path, text(test.size), expected));
    }
    let classes = numbered(CLASSES);
    let [train_labels, test_labels] = [train.classes(&classes)?, test.classes(&classes)?];
    let size = train.size;
    let published = (train.count(), test.count(), size) == PUBLISHED;
    let [mut train, mut test] = if published { decode(train, test)? } else { [train.cut()?, test.cut()?] };
    (train.targets, test.targets) = (Targets::Classes(train_labels), Targets::Classes(test_labels));
    Ok(Dataset {
        name: name.into(),
        train: train.into(),
        test: Some(test.into()),
        validation: None,
        classes,
        target_scale: None,
        columns: None,
        schema: None,
        scaling: None,
        range: Some(Range::BYTES),
        origin: Origin::default(),
    })
}

/// The images and labels of one part: whole, checked files, headers included.
struct Part {
    path: PathBuf,
    images: Vec<u8>,
    labels_path: PathBuf,
    labels: Vec<u8>,
    size: (usize, usize),
}

impl Part {
    fn read(folder: &Path, images: &str, labels: &str) -> Result<Self> {
        let path = find(folder, images)?;
        let Content { bytes: images, dimensions, .. } = read(&path, None, Some(IMAGES))?;
        let size = (dimensions[1] as usize, dimensions[2] as usize);
        let labels_path = find(folder, labels)?;
        let Content { bytes: labels, dimensions: found, .. } = read(&labels_path, None, Some(LABELS))?;
        if dimensions[0] != found[0] {
            let expected = format!("{}, one for each image of {}", dimensions[0], path.display());
            return Err(Error::file(&labels_path, format!("{} labels", found[0]), expected));
        }
        Ok(Self { path, images, labels_path, labels, size })
    }

    fn classes(&self, classes: &[String]) -> Result<Vec<u32>> {
        let mut numbering = Numbering::of(classes);
        let numbers: Vec<_> = (0..=u8::MAX).map(|label| numbering.number(&label.to_string())).collect();
        let class = |(index, label): (usize, &u8)| {
            let bad = |expected| Error::file(&self.labels_path, format!("label {label} at index {index}"), expected);
            numbers[usize::from(*label)].clone().map_err(bad)
        };
        self.labels[8..].iter().enumerate().map(class).collect()
    }

    fn count(&self) -> usize {
        self.labels.len() - 8
    }

    fn cut(self) -> Result<Samples> {
        samples(self.images[16..].to_vec(), &self.labels[8..], self.size)
    }
}

fn samples(images: Vec<u8>, labels: &[u8], (rows, columns): (usize, usize)) -> Result<Samples> {
    let labels = labels.iter().copied().map(u32::from).collect();
    Samples::new(Inputs::U8(images), rows * columns, labels)?.with_image((rows, columns))
}

/// Decodes two parts of the published sizes with the `mnist` crate. The crate reads plain files that are written for it
/// here, so that it reads what was checked even if the user's files change meanwhile.
fn decode(train: Part, test: Part) -> Result<[Samples; 2]> {
    let folder = tempfile::Builder::new()
        .prefix("mlp-gpu-")
        .tempdir()
        .map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
    let Some(base) = folder.path().to_str() else { return Ok([train.cut()?, test.cut()?]) };
    for (name, bytes) in NAMES.iter().zip([&train.images, &train.labels, &test.images, &test.labels]) {
        let path = folder.path().join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).map_err(Error::io("write", &path))?;
    }
    let size = train.size;
    drop((train, test));
    let decoded = mnist::MnistBuilder::new()
        .base_path(base)
        .label_format_digit()
        .training_set_length(PUBLISHED.0 as u32)
        .validation_set_length(0)
        .test_set_length(PUBLISHED.1 as u32)
        .finalize();
    Ok([samples(decoded.trn_img, &decoded.trn_lbl, size)?, samples(decoded.tst_img, &decoded.tst_lbl, size)?])
}

/// The path of the file `name`, such as one of [`NAMES`], in `folder`: the plain file if it exists, else the gzipped one.
///
/// # Errors
/// [`Error::File`] where neither exists.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = folder.join(name);
    let gzipped = folder.join(format!("{name}.gz"));
    [&plain, &gzipped].into_iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let expected = format!("this file or {name}.gz, one of the four IDX files of a data set");
        Error::file(&plain, "no such file", expected)
    })
}

/// A whole IDX file, its header included.
struct Content {
    bytes: Vec<u8>,
    element: Element,
    dimensions: Vec<u32>,
}

/// The number of bytes of a header with so many dimensions.
const fn header(dimensions: usize) -> usize {
    4 + 4 * dimensions
}

/// The type of the elements and the number of dimensions of a file that begins with `start`; none where it is no IDX file.
fn head(start: &[u8]) -> Option<(Element, usize)> {
    let [0, 0, kind, dimensions @ 1..=8, ..] = *start else { return None };
    let (kind, size) = match kind {
        0x08 => (Kind::Unsigned, 1),
        0x09 => (Kind::Signed, 1),
        0x0b => (Kind::Signed, 2),
        0x0c => (Kind::Signed, 4),
        0x0d => (Kind::Float, 4),
        0x0e => (Kind::Float, 8),
        _ => return None,
    };
    Some((Element { kind, size, big_endian: true }, usize::from(dimensions)))
}

/// The file at `path`, or `content`, which messages call `path`; unpacked if it is a gzip file, whatever it is called.
fn open<'a>(path: &Path, content: Option<&'a [u8]>) -> Result<(Box<dyn Read + 'a>, bool)> {
    let failed = |error| Error::io("read", path)(error);
    if let Some(content) = content {
        let gzipped = content.starts_with(&GZIP);
        return Ok((if gzipped { Box::new(MultiGzDecoder::new(content)) } else { Box::new(content) }, gzipped));
    }
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Error::file(path, "something that is not a file", "an IDX file"));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(2).read_to_end(&mut start).map_err(failed)?;
    let gzipped = start == GZIP;
    let whole = Cursor::new(start).chain(file);
    Ok((if gzipped { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) }, gzipped))
}

/// Whether the file at `path`, or `content`, is an IDX file, plain or gzipped.
pub(super) fn is_idx(path: &Path, content: Option<&[u8]>) -> bool {
    let mut start = Vec::new();
    let read = open(path, content).map(|(source, _)| source.take(4).read_to_end(&mut start));
    matches!(read, Ok(Ok(4))) && head(&start).is_some()
}

/// The shape of the array in the IDX file at `path`, or in `content`.
///
/// # Errors
/// Those of [`array`], but for its elements.
pub(super) fn shape(path: &Path, content: Option<&[u8]>) -> Result<Vec<usize>> {
    let mut start = Vec::new();
    let (source, _) = open(path, content)?;
    source.take(header(8) as u64).read_to_end(&mut start).map_err(Error::io("read", path))?;
    let (_, dimensions) = head(&start).ok_or_else(|| Error::file(path, "another kind of file", "an IDX file"))?;
    Ok((0..dimensions).map(|index| word(&start, index + 1).unwrap_or(0) as usize).collect())
}

/// The array in the IDX file at `path`, or in `content`, whatever its type and number of dimensions.
///
/// # Errors
/// [`Error::File`] for a file that is damaged or too large.
pub(super) fn array(path: &Path, content: Option<&[u8]>) -> Result<Array> {
    let Content { mut bytes, element, dimensions } = read(path, content, None)?;
    bytes.drain(..header(dimensions.len()));
    Ok(Array { shape: dimensions.into_iter().map(|length| length as usize).collect(), element, bytes })
}

/// The number at place `index` of those of four bytes in `bytes`.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(4 * index..4 * index + 4)?.try_into().ok()?))
}

/// The whole content of an IDX file. Its first number is `magic`, if one is given.
fn read(path: &Path, content: Option<&[u8]>, magic: Option<u32>) -> Result<Content> {
    let (mut source, gzipped) = open(path, content)?;
    let failed = |error: std::io::Error| {
        if gzipped {
            Error::file(path, format!("a damaged gzip file ({error})"), "a whole one: fetch it again")
        } else {
            Error::io("read", path)(error)
        }
    };
    let mut bytes = Vec::new();
    source.by_ref().take(4).read_to_end(&mut bytes).map_err(failed)?;
    let kind = if magic == Some(LABELS) { "labels" } else { "images" };
    let found = head(&bytes);
    if let Some(first) = word(&bytes, 0)
        && (found.is_none() || magic.is_some_and(|magic| magic != first))
    {
        let expected = magic.map_or_else(|| "an IDX file".into(), |magic| format!("0x{magic:08x}, IDX {kind}"));
        return Err(Error::file(path, format!("magic number 0x{first:08x}"), expected));
    }
    let dimensions = found.map_or(if magic == Some(LABELS) { 1 } else { 3 }, |(_, dimensions)| dimensions);
    let header = header(dimensions);
    source.by_ref().take(header as u64 - 4).read_to_end(&mut bytes).map_err(failed)?;
    let Some((element, _)) = found.filter(|_| bytes.len() == header) else {
        return Err(Error::file(path, format!("{} bytes", bytes.len()), format!("an IDX header of {header} bytes")));
    };
    let dimensions: Vec<u32> = (0..dimensions).filter_map(|index| word(&bytes, index + 1)).collect();
    let text = dimensions.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ");
    if dimensions.contains(&0) {
        return Err(Error::file(path, format!("dimensions {text}"), "dimensions above 0"));
    }
    let promised = dimensions.iter().try_fold(element.size, |size, &n| size.checked_mul(n as usize));
    let Some(promised) = promised.filter(|&size| size <= MAX_BYTES) else {
        return Err(Error::file(path, format!("dimensions {text}"), "at most 4 GiB of data"));
    };
    memory::check(promised as u64, || format!("the data of {}", path.display()))?;
    bytes.reserve_exact(promised + 1);
    // One byte more than promised, to see whether there is one.
    source.take(promised as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let body = bytes.len() - header;
    if body != promised {
        let found = if body > promised {
            format!("more than {promised} bytes after the header")
        } else {
            format!("{body} bytes after the header")
        };
        return Err(Error::file(path, found, format!("exactly {promised} ({text} {kind})")));
    }
    Ok(Content { bytes, element, dimensions })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn idx(magic: u32, dimensions: &[u32], body: &[u8]) -> Vec<u8> {
        let header = [magic].iter().chain(dimensions).flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        [&header, body].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A good set of 3 training and 2 test images of 2 x 3.
    fn good() -> [Vec<u8>; 4] {
        [
            idx(IMAGES, &[3, 2, 3], &(0..18).collect::<Vec<u8>>()),
            idx(LABELS, &[3], &[0, 9, 5]),
            idx(IMAGES, &[2, 2, 3], &(100..112).collect::<Vec<u8>>()),
            idx(LABELS, &[2], &[1, 2]),
        ]
    }

    fn write(files: &[Vec<u8>; 4], ending: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in NAMES.iter().zip(files) {
            std::fs::write(folder.path().join(format!("{name}{ending}")), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn good_files_of_any_size_load_plain_and_gzipped() {
        let plain = load(write(&good(), "").path(), "x").unwrap();
        assert_eq!((plain.image(), plain.classes), (Some((2, 3)), numbered(10)));
        assert_eq!(plain.train.inputs, Inputs::U8((0..18).collect()));
        let test = plain.test.unwrap();
        assert_eq!((plain.train.labels(), test.labels()), (&[0, 9, 5][..], &[1, 2][..]));
        assert_eq!(test.inputs, Inputs::U8((100..112).collect()));
        // Some browsers unpack what they fetch and keep its name.
        for files in [good().map(|bytes| gzip(&bytes)), good()] {
            let gzipped = load(write(&files, ".gz").path(), "x").unwrap();
            assert_eq!(gzipped.test.unwrap().inputs, test.inputs);
        }
    }

    #[test]
    fn the_published_sizes_go_through_the_mnist_crate_and_keep_train_and_test_apart() {
        let image = |count: u32, first: u8| {
            let mut body = vec![first; count as usize * 784];
            *body.last_mut().unwrap() = 77;
            idx(IMAGES, &[count, 28, 28], &body)
        };
        let files = [
            image(60_000, 1),
            idx(LABELS, &[60_000], &[3; 60_000]),
            image(10_000, 2),
            idx(LABELS, &[10_000], &[4; 10_000]),
        ];
        let set = load(write(&files, "").path(), "x").unwrap();
        for (samples, n, pixel, label) in [(&set.train, 60_000, 1, 3), (set.test.as_ref().unwrap(), 10_000, 2, 4)] {
            let Inputs::U8(images) = &samples.inputs else { panic!("bytes") };
            assert_eq!(
                (images.len(), images[0], images[n * 784 - 2], images[n * 784 - 1]),
                (n * 784, pixel, pixel, 77)
            );
            assert_eq!(samples.labels(), vec![label; n]);
        }
    }

    #[test]
    fn every_kind_of_bad_file_gets_one_line_that_names_it() {
        let good = good();
        let cut = |bytes: &[u8], n: usize| bytes[..bytes.len() - n].to_vec();
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        let mut damaged = gzip(&good[0]);
        let checksum = damaged.len() - 6;
        damaged[checksum] ^= 0xff;
        let cases: Vec<(usize, &str, Vec<u8>, &str)> = vec![
            (0, "", vec![], "0 bytes"),
            (0, "", good[0][..10].to_vec(), "10 bytes"),
            (0, "", good[1].clone(), "magic number 0x00000801"),
            (1, "", good[0].clone(), "magic number 0x00000803"),
            (0, "", b"<html>".to_vec(), "magic number 0x3c68746d"),
            (0, "", cut(&good[0], 1), "17 bytes"),
            (2, "", longer(&good[2]), "more than 12 bytes"),
            (1, "", cut(&good[1], 2), "1 bytes"),
            (3, "", idx(LABELS, &[1], &[1]), "1 labels"),
            (3, "", idx(LABELS, &[2], &[1, 10]), "label 10 at index 1"),
            (0, "", idx(IMAGES, &[0, 2, 3], &[]), "dimensions 0 x 2 x 3"),
            (0, "", idx(IMAGES, &[3, 0, 3], &[]), "dimensions 3 x 0 x 3"),
            (0, "", idx(IMAGES, &[u32::MAX; 3], &[1]), "dimensions 4294967295"),
            (2, "", idx(IMAGES, &[2, 3, 2], &[0; 12]), "images of 3 x 2"),
            (0, ".gz", cut(&gzip(&good[0]), 9), "damaged gzip"),
            (0, ".gz", damaged, "damaged gzip"),
            (0, ".gz", [gzip(&good[0]), b"rubbish".to_vec()].concat(), "damaged gzip"),
        ];
        for (at, ending, bytes, found) in cases {
            let folder = write(&good, "");
            let plain = folder.path().join(NAMES[at]);
            std::fs::remove_file(&plain).unwrap();
            std::fs::write(folder.path().join(format!("{}{ending}", NAMES[at])), bytes).unwrap();
            let error = load(folder.path(), "x").unwrap_err().to_string();
            assert!(error.contains(NAMES[at]) && error.contains(found), "expected {found}: {error}");
            assert!(error.contains("expected") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn missing_files_and_folders_in_their_place_are_named() {
        for name in NAMES {
            let folder = write(&good(), "");
            std::fs::remove_file(folder.path().join(name)).unwrap();
            let error = load(folder.path(), "x").unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("no such file"), "{error}");
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let error = load(folder.path(), "x").unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not a file"), "{error}");
        }
        let mnist = crate::data::catalogue::set("mnist").unwrap();
        assert!(!mnist.present(Path::new("/nonexistent")));
        assert!(mnist.complete(write(&good(), ".gz").path()));
    }
}
