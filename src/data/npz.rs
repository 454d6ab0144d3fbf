//! NumPy archives laid out as Keras' `mnist.npz`: a zip of the arrays `x_train` and `y_train`, and of `x_test` and `y_test`
//! if there is a test part.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::data::classes::Numbering;
use crate::data::{Inputs, Raw, Samples};
use crate::error::{Error, Result};

mod array;

use array::Array;

/// Whether the file at `path` is a zip archive.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn is_archive(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(4).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}

/// Reads the archive at `path`. Bytes stay bytes, and all other numbers become float32. Rows of `height x width` are images.
///
/// # Errors
/// [`Error::File`] naming the array that is missing or malformed.
pub fn read(path: &Path) -> Result<Raw> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let zip = ZipArchive::new(BufReader::new(file))
        .map_err(|error| Error::file(path, format!("a damaged zip archive ({error})"), "a NumPy .npz archive"))?;
    let mut archive = Archive { path, zip };
    let (mut numbering, mut labels) = (Numbering::default(), Vec::new());
    let (inputs, shape) = archive.part("x_train", "y_train", &mut numbering, &mut labels)?;
    let classes = numbering.finish(&mut labels);
    let width = shape.iter().product();
    let train = Samples::new(inputs, width, labels)?;
    let mut test = None;
    if archive.has("x_test") || archive.has("y_test") {
        let mut labels = Vec::new();
        let (inputs, found) = archive.part("x_test", "y_test", &mut Numbering::of(&classes), &mut labels)?;
        if found != shape {
            let expected = format!("rows of shape {shape:?}, as in x_train");
            return Err(Error::file(path, format!("rows of shape {found:?} in x_test"), expected));
        }
        if std::mem::discriminant(&inputs) != std::mem::discriminant(&train.inputs) {
            return Err(Error::file(path, "bytes in one of x_train and x_test", "the same type in both"));
        }
        test = Some(Samples::new(inputs, width, labels)?);
    }
    let image = match shape[..] {
        [height, width] => Some((height, width)),
        _ => None,
    };
    Ok(Raw { name: path.display().to_string(), train, test, classes, outputs: Vec::new(), image, columns: None })
}

/// An open archive.
struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive<'_> {
    /// Whether there is an array `name`.
    fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// The rows of the array `x` and the shape of one, `[features]` or `[height, width]`. Their labels go to `labels`.
    fn part(
        &mut self,
        x: &str,
        y: &str,
        numbering: &mut Numbering,
        labels: &mut Vec<u32>,
    ) -> Result<(Inputs, Vec<usize>)> {
        let path = self.path;
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let rows = self.array(x)?;
        let mut shape = rows.shape.clone();
        // Keras takes images with one channel.
        if shape.len() == 4 && shape[3] == 1 {
            shape.pop();
        }
        if !(2..=3).contains(&shape.len()) || shape.contains(&0) {
            let found = format!("{x} of shape {:?}", rows.shape);
            return Err(bad(found, "rows x features, or rows x height x width"));
        }
        let classes = self.array(y)?;
        let count = shape.remove(0);
        if !matches!(classes.shape[..], [n] | [n, 1] if n == count) {
            let found = format!("{y} of shape {:?}", classes.shape);
            return Err(bad(found, &format!("[{count}], a class for each row of {x}")));
        }
        for (row, class) in
            classes.integers().map_err(|found| bad(format!("{y} {found}"), "integers"))?.iter().enumerate()
        {
            let number = numbering.number(class);
            labels.push(number.map_err(|expected| bad(format!("class {class} in {y}[{row}]"), &expected))?);
        }
        let inputs = rows.inputs().map_err(|found| bad(format!("{x} {found}"), "integers or floats, all finite"))?;
        Ok((inputs, shape))
    }

    /// The array `name`.
    fn array(&mut self, name: &str) -> Result<Array> {
        let path = self.path;
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let Some(index) = self.zip.index_for_name(&format!("{name}.npy")) else {
            let names: Vec<String> = self.zip.file_names().flatten().take(20).map(Cow::into_owned).collect();
            let found = format!("no array {name} among {:?}", names.join(", "));
            return Err(bad(found, "x_train and y_train, and x_test and y_test or neither"));
        };
        let file = self
            .zip
            .by_index(index)
            .map_err(|error| bad(format!("a damaged {name} ({error})"), "a whole NumPy array"))?;
        Array::read(path, name, file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn npy(version: u8, descr: &str, order: bool, shape: &str, body: &[u8]) -> Vec<u8> {
        let order = if order { "True" } else { "False" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (text.len() as u32).to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length[..] };
        [&b"\x93NUMPY"[..], &[version, 0], length, text.as_bytes(), body].concat()
    }

    fn archive(arrays: &[(&str, Vec<u8>)], method: CompressionMethod) -> tempfile::NamedTempFile {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            let options = SimpleFileOptions::default().compression_method(method).large_file(true);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&zip.finish().unwrap().into_inner()).unwrap();
        file
    }

    fn little<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }

    /// Two training images of 1 x 3 and a test image.
    fn good() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("x_train", npy(1, "|u1", false, "(2, 1, 3)", &[1, 2, 3, 4, 5, 255])),
            ("y_train", npy(1, "<i8", false, "(2,)", &little(&[-7i64, 3], i64::to_le_bytes))),
            ("x_test", npy(2, "|u1", false, "(1, 1, 3)", &[7, 8, 9])),
            ("y_test", npy(3, ">u2", false, "(1, 1)", &[0, 3])),
        ]
    }

    #[test]
    fn stored_and_deflated_archives_of_all_versions_load() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let file = archive(&good(), method);
            assert!(is_archive(file.path()).unwrap());
            let raw = read(file.path()).unwrap();
            assert_eq!(raw.train.inputs, Inputs::U8(vec![1, 2, 3, 4, 5, 255]));
            assert_eq!((raw.train.labels(), raw.classes), (&[0, 1][..], vec!["-7".into(), "3".into()]));
            assert_eq!((raw.image, raw.train.width), (Some((1, 3)), 3));
            let test = raw.test.unwrap();
            assert_eq!((&test.inputs, test.labels()), (&Inputs::U8(vec![7, 8, 9]), &[1][..]));
        }
    }

    #[test]
    fn numbers_of_every_type_and_order_give_the_same_rows() {
        let values = [1i8, -2, 3, 4, 5, -6];
        let columns = [1i8, 4, -2, 5, 3, -6];
        let f64s = values.map(f64::from);
        let cases = [
            ("|i1", false, little(&values, i8::to_le_bytes)),
            ("|i1", true, little(&columns, i8::to_le_bytes)),
            ("<i2", false, little(&values, |v| i16::from(v).to_le_bytes())),
            (">i4", false, little(&values, |v| i32::from(v).to_be_bytes())),
            ("<i8", true, little(&columns, |v| i64::from(v).to_le_bytes())),
            ("<f4", false, little(&values, |v| f32::from(v).to_le_bytes())),
            (">f4", false, little(&values, |v| f32::from(v).to_be_bytes())),
            ("<f8", false, little(&f64s, f64::to_le_bytes)),
            (">f8", true, little(&columns, |v| f64::from(v).to_be_bytes())),
        ];
        for (descr, fortran, body) in cases {
            let x = npy(1, descr, fortran, "(2, 3)", &body);
            let file = archive(
                &[("x_train", x), ("y_train", npy(1, "|b1", false, "(2L,)", &[1, 0]))],
                CompressionMethod::Stored,
            );
            let raw = read(file.path()).unwrap();
            assert_eq!(raw.train.inputs, Inputs::F32(values.map(f32::from).to_vec()), "{descr}");
            assert_eq!((raw.test, raw.image, raw.train.labels()), (None, None, &[1, 0][..]));
        }
        let x = npy(1, "|u1", true, "(2, 2, 3, 1)", &[0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]);
        let file =
            archive(&[("x_train", x), ("y_train", npy(1, "|u1", false, "(2,)", &[1, 0]))], CompressionMethod::Stored);
        let raw = read(file.path()).unwrap();
        assert_eq!((raw.train.inputs, raw.image), (Inputs::U8((0..12).collect()), Some((2, 3))));
    }

    #[test]
    fn every_kind_of_bad_archive_gets_one_line_that_names_the_array() {
        let x = |descr: &str, shape: &str, body: &[u8]| npy(1, descr, false, shape, body);
        let f32s = |values: &[f32]| little(values, f32::to_le_bytes);
        let huge = "(9999999999, 9999999999, 9999999999)";
        let cases: [(usize, Vec<u8>, &[&str]); 20] = [
            (0, vec![], &["x_train", "no NumPy array"]),
            (0, b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), &["x_train", "header"]),
            (0, b"\x93NUMPY\x09\x00\xff\xff{".to_vec(), &["x_train", "versions 1 to 3"]),
            (0, x("|u1", "(2, 1, 3)", &[0; 5]), &["5 bytes in x_train", "6"]),
            (0, x("|u1", "(2, 1, 3)", &[0; 7]), &["more bytes in x_train", "6"]),
            (0, x("|u1", "(6,)", &[0; 6]), &["x_train of shape [6]", "rows x features"]),
            (0, x("|u1", "(2, 1, 1, 3)", &[0; 6]), &["x_train of shape [2, 1, 1, 3]"]),
            (0, x("|u1", "(0, 3)", &[]), &["x_train of shape [0, 3]"]),
            (0, x("|u1", huge, &[]), &["x_train", "at most 4 GiB"]),
            (0, x("|u1", "(-1, 3)", &[]), &["x_train", "header"]),
            (0, x("|O", "(2, 3)", &[0; 6]), &["x_train of type |O"]),
            (
                0,
                x("<f4", "(2, 1, 3)", &f32s(&[1.0, 1.0, 1.0, 1.0, f32::NAN, 1.0])),
                &["x_train with NaN in row 1, value 1"],
            ),
            (0, x("<f8", "(2, 1, 3)", &[1e300f64; 6].map(f64::to_le_bytes).concat()), &["x_train with inf in row 0"]),
            (1, x("<f4", "(2,)", &f32s(&[0.0, 1.0])), &["y_train of floats", "integers"]),
            (1, x("<U3", "(2,)", &[0; 24]), &["y_train of type <U3"]),
            (1, x("|u1", "(3,)", &[0; 3]), &["y_train of shape [3]", "[2]"]),
            (1, x("|u1", "(2, 2)", &[0; 4]), &["y_train of shape [2, 2]"]),
            (2, x("|u1", "(1, 3)", &[0; 3]), &["[3] in x_test", "[1, 3]"]),
            (2, x("<f4", "(1, 1, 3)", &f32s(&[0.0; 3])), &["x_train and x_test"]),
            (3, x("|u1", "(1,)", &[9]), &["class 9 in y_test[0]", "\"-7\", \"3\""]),
        ];
        for (at, array, parts) in cases {
            let mut arrays = good();
            arrays[at].1 = array;
            let file = archive(&arrays, CompressionMethod::Deflated);
            let error = read(file.path()).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "expected {parts:?}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
        }
        for missing in 0..4 {
            let mut arrays = good();
            let (name, _) = arrays.remove(missing);
            let error = read(archive(&arrays, CompressionMethod::Stored).path()).unwrap_err().to_string();
            assert!(error.contains(&format!("no array {name}")), "{error}");
        }
        let whole = std::fs::read(archive(&good(), CompressionMethod::Stored).path()).unwrap();
        let mut damaged = whole.clone();
        let pixel = damaged.windows(6).position(|bytes| bytes == [1, 2, 3, 4, 5, 255]).unwrap();
        damaged[pixel] ^= 1;
        for bytes in [&whole[..whole.len() / 2], &damaged] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            assert!(read(file.path()).unwrap_err().to_string().contains("a damaged "));
        }
    }
}
