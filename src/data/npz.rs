//! NumPy archives laid out as Keras' `mnist.npz`: a zip of the arrays `x_train` and `y_train`, and of `x_test` and `y_test`
//! if there is a test part.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::data::targets::{Column, Fault, Found};
use crate::data::{Expected, Inputs, Note, Raw, Samples, Task};
use crate::error::{Error, Result};

mod array;

pub(crate) use array::Array;

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

/// Reads the archive at `path`, with targets of the kind `task` or of the kind that they look like. What they were taken for
/// goes to `notes`. Bytes stay bytes, and all other numbers become float32. Rows of `height x width` are images.
///
/// # Errors
/// [`Error::File`] naming the array that is missing or malformed.
pub fn read(path: &Path, task: Option<Task>, notes: &mut Vec<Note>) -> Result<Raw> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let zip = ZipArchive::new(BufReader::new(file))
        .map_err(|error| Error::file(path, format!("a damaged zip archive ({error})"), "a NumPy .npz archive"))?;
    let mut archive = Archive { path, zip };
    let Part { inputs, shape, found, outputs } = archive.part("x_train", "y_train", Expected::of(task))?;
    let width = shape.iter().product();
    notes.extend(found.note.map(Note::from));
    let (classes, cells) = (found.cells.classes().to_vec(), found.cells);
    let target_scale = cells.scale(|| match outputs {
        1 => vec!["y".into()],
        _ => (0..outputs).map(|output| format!("y[{output}]")).collect(),
    });
    let sized = |samples: Samples| match shape[..] {
        [height, width] => samples.with_image((height, width)),
        _ => Ok(samples),
    };
    let mut test = None;
    if archive.has("x_test") || archive.has("y_test") {
        let part = archive.part("x_test", "y_test", cells.expected())?;
        if part.shape != shape {
            let expected = format!("rows of shape {shape:?}, as in x_train");
            return Err(Error::file(path, format!("rows of shape {:?} in x_test", part.shape), expected));
        }
        if std::mem::discriminant(&part.inputs) != std::mem::discriminant(&inputs) {
            return Err(Error::file(path, "bytes in one of x_train and x_test", "the same type in both"));
        }
        if part.outputs != outputs {
            let found = format!("rows of {} targets in y_test", part.outputs);
            return Err(Error::file(path, found, format!("rows of {outputs}, as in y_train")));
        }
        test = Some(sized(part.found.cells.with(part.inputs, width, target_scale.as_ref())?)?);
    }
    let train = sized(cells.with(inputs, width, target_scale.as_ref())?)?;
    Ok(Raw { name: path.display().to_string(), train, test, validation: None, classes, target_scale, columns: None })
}

/// The rows of a training or test part.
struct Part {
    inputs: Inputs,
    /// The shape of a row: `[features]` or `[height, width]`.
    shape: Vec<usize>,
    found: Found,
    /// Number of targets per row.
    outputs: usize,
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

    /// The rows of the array `x` with their targets in the array `y`.
    fn part(&mut self, x: &str, y: &str, expected: Expected<'_>) -> Result<Part> {
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
        let targets = self.array(y)?;
        let count = shape.remove(0);
        let several = expected == Expected::Values || (expected == Expected::Any && targets.is_float());
        let outputs = match targets.shape[..] {
            [n] | [n, 1] if n == count => 1,
            [n, outputs] if n == count && outputs > 0 && several => outputs,
            _ => {
                let found = format!("{y} of shape {:?}", targets.shape);
                return Err(bad(found, &format!("[{count}], a class or a number for each row of {x}")));
            }
        };
        let found = column(path, y, &targets, if outputs == 1 { expected } else { Expected::Values }, outputs)?;
        let several = outputs > 1 && expected == Expected::Any;
        let note = several.then(|| format!("the targets are {outputs} numbers per row, as {y} has columns"));
        let found = Found { note: note.or(found.note), ..found };
        let inputs = rows.inputs().map_err(|found| bad(format!("{x} {found}"), "integers or floats, all finite"))?;
        Ok(Part { inputs, shape, found, outputs })
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

/// The targets in the array `name`, which has `outputs` per row.
fn column(path: &Path, name: &str, array: &Array, expected: Expected<'_>, outputs: usize) -> Result<Found> {
    let what = if matches!(expected, Expected::Classes(_)) { "class " } else { "" };
    let bad = |index: usize, text: &str, expected| {
        let column = if outputs == 1 { String::new() } else { format!(", {}", index % outputs) };
        Error::file(path, format!("{what}{text} in {name}[{}{column}]", index / outputs), expected)
    };
    let mut column = Column::new(expected);
    for (index, text) in array.texts().iter().enumerate() {
        column.push(text).map_err(|expected| bad(index, text, expected))?;
    }
    column.finish().map_err(|Fault { row, text, expected }| bad(row, &text, expected))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn read(path: &Path) -> Result<Raw> {
        super::read(path, None, &mut Vec::new())
    }

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
            assert_eq!((raw.train.image, raw.train.width), (Some((1, 3)), 3));
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
            assert_eq!((raw.test, raw.train.image, raw.train.labels()), (None, None, &[1, 0][..]));
        }
        let x = npy(1, "|u1", true, "(2, 2, 3, 1)", &[0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]);
        let file =
            archive(&[("x_train", x), ("y_train", npy(1, "|u1", false, "(2,)", &[1, 0]))], CompressionMethod::Stored);
        let raw = read(file.path()).unwrap();
        assert_eq!((raw.train.inputs, raw.train.image), (Inputs::U8((0..12).collect()), Some((2, 3))));
    }

    /// An archive of two training rows and a test row with these targets.
    fn targets(train: Vec<u8>, test: Vec<u8>) -> tempfile::NamedTempFile {
        let mut arrays = good();
        (arrays[1].1, arrays[3].1) = (train, test);
        archive(&arrays, CompressionMethod::Stored)
    }

    /// The training targets in their own unit, and the names of the outputs.
    fn values(raw: &Raw) -> (Vec<f64>, &[String]) {
        let scale = raw.target_scale.as_ref().unwrap();
        (scale.undo(raw.train.values()), &scale.names)
    }

    fn test_values(raw: &Raw) -> Vec<f64> {
        raw.target_scale.as_ref().unwrap().undo(raw.test.as_ref().unwrap().values())
    }

    #[test]
    fn targets_are_numbers_where_they_are_not_whole_or_several_per_row_or_the_user_says_so() {
        let floats = |shape: &str, values: &[f32]| npy(1, "<f4", false, shape, &little(values, f32::to_le_bytes));
        let doubles = |shape: &str, values: &[f64]| npy(1, "<f8", false, shape, &little(values, f64::to_le_bytes));
        let mut notes = Vec::new();
        let file = targets(floats("(2,)", &[0.25, -3.0]), npy(1, "<i8", false, "(1, 1)", &7i64.to_le_bytes()));
        let raw = super::read(file.path(), None, &mut notes).unwrap();
        assert_eq!((values(&raw), raw.classes.len()), ((vec![0.25, -3.0], &["y".into()][..]), 0));
        assert!(
            (test_values(&raw)[0] - 7.0).abs() < 1e-6 && notes.len() == 1 && notes[0].contains("numbers"),
            "{notes:?}"
        );

        let file = targets(doubles("(2, 2)", &[1.0, 2.0, 3.0, 4.0]), doubles("(1, 2)", &[5.0, 6.0]));
        let raw = super::read(file.path(), None, &mut notes).unwrap();
        assert_eq!(values(&raw), (vec![1.0, 2.0, 3.0, 4.0], &["y[0]".into(), "y[1]".into()][..]));
        assert_eq!(test_values(&raw), [5.0, 6.0]);

        let whole = || targets(floats("(2,)", &[9.0, 1.0]), floats("(1,)", &[9.0]));
        let raw = read(whole().path()).unwrap();
        assert_eq!((raw.train.labels(), raw.classes), (&[1, 0][..], vec!["1".into(), "9".into()]));
        let raw = super::read(whole().path(), Some(Task::Values), &mut notes).unwrap();
        assert_eq!(values(&raw).0, [9.0, 1.0]);
        let bytes = targets(npy(1, "|u1", false, "(2, 2)", &[1, 2, 3, 4]), npy(1, "|u1", false, "(1, 2)", &[5, 6]));
        let raw = super::read(bytes.path(), Some(Task::Values), &mut notes).unwrap();
        assert_eq!(values(&raw).0, [1.0, 2.0, 3.0, 4.0]);

        let one = || floats("(1,)", &[1.0]);
        for (train, test, task, part) in [
            (floats("(2,)", &[0.5, f32::INFINITY]), one(), None, "inf in y_train[1]"),
            (floats("(2, 2)", &[0.5, 1.0, f32::NAN, 2.0]), one(), None, "NaN in y_train[1, 0]"),
            (floats("(2, 2)", &[0.5; 4]), one(), None, "rows of 1 targets in y_test"),
            (floats("(2, 2)", &[0.5; 4]), one(), Some(Task::Classes), "y_train of shape [2, 2]"),
            (floats("(2,)", &[0.5; 2]), one(), Some(Task::Classes), "0.5 in y_train[0]"),
            (floats("(2,)", &[0.5; 2]), floats("(1,)", &[f32::NAN]), None, "NaN in y_test[0]"),
        ] {
            let error = super::read(targets(train, test).path(), task, &mut notes).unwrap_err().to_string();
            assert!(error.contains(part), "expected {part}: {error}");
        }
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
            (1, x("<f4", "(2,)", &f32s(&[0.0, f32::NAN])), &["NaN in y_train[1]", "a finite number"]),
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
