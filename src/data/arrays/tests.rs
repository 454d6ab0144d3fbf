#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

fn read(path: &Path) -> Result<Raw> {
    arrays(path, None, &mut Vec::new())
}

fn arrays(path: &Path, task: Option<Task>, notes: &mut Vec<Note>) -> Result<Raw> {
    super::read(path, None, &Options::default(), None, task, notes)
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
        assert!(present(file.path(), None));
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
        let file =
            archive(&[("x_train", x), ("y_train", npy(1, "|b1", false, "(2L,)", &[1, 0]))], CompressionMethod::Stored);
        let raw = read(file.path()).unwrap();
        assert_eq!(raw.train.inputs, Inputs::F32(values.map(f32::from).to_vec()), "{descr}");
        assert_eq!((raw.test, raw.train.image, raw.train.labels()), (None, None, &[1, 0][..]));
    }
    let x = npy(1, "|u1", true, "(2, 2, 3, 1)", &[0, 60, 30, 90, 10, 70, 40, 100, 20, 80, 50, 110]);
    let file =
        archive(&[("x_train", x), ("y_train", npy(1, "|u1", false, "(2,)", &[1, 0]))], CompressionMethod::Stored);
    let raw = read(file.path()).unwrap();
    assert_eq!((raw.train.inputs, raw.train.image), (Inputs::U8((0..12).map(|at| 10 * at).collect()), Some((2, 3))));
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
    let raw = arrays(file.path(), None, &mut notes).unwrap();
    assert_eq!((values(&raw), raw.classes.len()), ((vec![0.25, -3.0], &["y".into()][..]), 0));
    assert!((test_values(&raw)[0] - 7.0).abs() < 1e-6 && notes.len() == 1 && notes[0].contains("numbers"), "{notes:?}");

    let file = targets(doubles("(2, 2)", &[1.0, 2.0, 3.0, 4.0]), doubles("(1, 2)", &[5.0, 6.0]));
    let raw = arrays(file.path(), None, &mut notes).unwrap();
    assert_eq!(values(&raw), (vec![1.0, 2.0, 3.0, 4.0], &["y[0]".into(), "y[1]".into()][..]));
    assert_eq!(test_values(&raw), [5.0, 6.0]);

    let whole = || targets(floats("(2,)", &[9.0, 1.0]), floats("(1,)", &[9.0]));
    let raw = read(whole().path()).unwrap();
    assert_eq!((raw.train.labels(), raw.classes), (&[1, 0][..], vec!["1".into(), "9".into()]));
    let raw = arrays(whole().path(), Some(Task::Values), &mut notes).unwrap();
    assert_eq!(values(&raw).0, [9.0, 1.0]);
    let bytes = targets(npy(1, "|u1", false, "(2, 2)", &[1, 2, 3, 4]), npy(1, "|u1", false, "(1, 2)", &[5, 6]));
    let raw = arrays(bytes.path(), Some(Task::Values), &mut notes).unwrap();
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
        let error = arrays(targets(train, test).path(), task, &mut notes).unwrap_err().to_string();
        assert!(error.contains(part), "expected {part}: {error}");
    }
}

#[test]
fn every_kind_of_bad_archive_gets_one_line_that_names_the_array() {
    let x = |descr: &str, shape: &str, body: &[u8]| npy(1, descr, false, shape, body);
    let f32s = |values: &[f32]| little(values, f32::to_le_bytes);
    let huge = "(9999999999, 9999999999, 9999999999)";
    let cases: [(usize, Vec<u8>, &[&str]); 23] = [
        (0, vec![], &["x_train", "no NumPy array"]),
        (0, b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), &["x_train", "header"]),
        (0, b"\x93NUMPY\x09\x00\xff\xff{".to_vec(), &["x_train", "versions 1 to 3"]),
        (0, x("|u1", "(2, 1, 3)", &[0; 5]), &["5 bytes in x_train", "6"]),
        (0, x("|u1", "(2, 1, 3)", &[0; 7]), &["more bytes in x_train", "6"]),
        (0, x("|u1", "(6,)", &[0; 6]), &["y_train of shape [2]", "[6]", "x_train"]),
        (0, x("|u1", "()", &[0]), &["x_train of shape []", "rows x features"]),
        (0, x("|u1", "(0, 3)", &[]), &["x_train of shape [0, 3]"]),
        (0, x("|u1", huge, &[]), &["x_train", "at most 4 GiB"]),
        (0, x("|u1", "(-1, 3)", &[]), &["x_train", "header"]),
        (0, x("|O", "(2, 3)", &[0; 6]), &["x_train of Python objects", "astype"]),
        (
            0,
            x("<f4", "(2, 1, 3)", &f32s(&[1.0, 1.0, 1.0, 1.0, f32::NAN, 1.0])),
            &["x_train with NaN in row 1, value 1"],
        ),
        (0, x("<f8", "(2, 1, 3)", &[1e300f64; 6].map(f64::to_le_bytes).concat()), &["x_train with inf in row 0"]),
        (1, x("<f4", "(2,)", &f32s(&[0.0, f32::NAN])), &["NaN in y_train[1]", "a finite number"]),
        (1, x("<U3", "(2,)", &[0; 24]), &["in y_train[0]", "a label"]),
        (0, x("<U1", "(2, 3)", &[65, 0, 0, 0].repeat(6)), &["x_train of text", "integers or floats"]),
        (0, x("<M8", "(2, 3)", &[0; 48]), &["x_train of dates", "int64"]),
        (1, x("|u1", "(4,)", &[0; 4]), &["y_train of shape [4]", "[2]"]),
        // Found before the rows are unpacked, which are not there.
        (0, x("|u1", "(1000, 3)", &[]), &["y_train of shape [2]", "[1000]"]),
        (1, x("|u1", "(2, 2)", &[0; 4]), &["y_train of shape [2, 2]", "row 0 has no single 1"]),
        (
            0,
            x("|u1", "(1, 3, 2)", &[0; 6]),
            &["x_train of shape [1, 3, 2]", "last axis", "np.moveaxis(x_train, -1, 0)"],
        ),
        (2, x("|u1", "(1, 3)", &[0; 3]), &["rows of 3 values in x_test", "images of 1 x 3"]),
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
        let (other, missing) =
            (["y_train", "x_train", "y_test", "x_test"][missing], ["inputs", "targets"][missing % 2]);
        assert!(error.contains(&format!("no {missing} that belong to {other}")) && !error.contains(name), "{error}");
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

/// A folder of files.
fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn idx(kind: u8, shape: &[u8], body: &[u8]) -> Vec<u8> {
    let lengths = shape.iter().flat_map(|length| [0, 0, 0, *length]);
    [0, 0, kind, shape.len() as u8].into_iter().chain(lengths).chain(body.iter().copied()).collect()
}

/// What is read with `options`, and what is said of it.
fn told(path: &Path, options: &Options) -> Result<(Raw, String)> {
    let mut notes = Vec::new();
    let raw = super::read(path, None, options, None, options.task, &mut notes)?;
    Ok((raw, notes.into_iter().map(|note| note.text).collect::<Vec<_>>().join("; ")))
}

#[test]
fn classes_may_be_text_booleans_halves_or_a_column_each() {
    let words = [b'b', 0, 0, 0, b'e', 0, 0, 0, b'a', 0, 0, 0, 0, 0, 0, 0];
    for (labels, classes) in [
        (npy(1, "<U2", false, "(2,)", &words), ["a", "be"]),
        (npy(1, "|S2", false, "(2,)", b"bea\0"), ["a", "be"]),
        (npy(1, "|b1", false, "(2, 1)", &[1, 0]), ["False", "True"]),
        (npy(1, "<f2", false, "(2,)", &[0, 0x40, 0, 0x3c]), ["1", "2"]),
        (npy(1, "|u1", false, "(2, 3)", &[0, 0, 1, 0, 1, 0]), ["1", "2"]),
        (npy(1, "<f4", false, "(2, 2)", &little(&[0.0f32, 1.0, 1.0, 0.0], f32::to_le_bytes)), ["0", "1"]),
    ] {
        let mut arrays = good();
        arrays.truncate(2);
        arrays[1].1 = labels;
        let raw = read(archive(&arrays, CompressionMethod::Stored).path()).unwrap();
        assert_eq!((raw.train.labels(), &raw.classes[..]), (&[1, 0][..], &classes.map(String::from)[..]));
    }
}

#[test]
fn a_row_without_a_single_1_among_rows_that_have_one_is_a_mistake_in_floats_too() {
    let rows = |zeros: usize| -> Vec<f32> {
        (0..20).flat_map(|row| if row < 5 + zeros && row >= 5 { [0.0; 2] } else { [1.0, 0.0] }).collect()
    };
    let of = |zeros: usize| {
        let y = npy(1, "<f4", false, "(20, 2)", &little(&rows(zeros), f32::to_le_bytes));
        archive(&[("x", npy(1, "|u1", false, "(20, 1)", &[200; 20])), ("y", y)], CompressionMethod::Stored)
    };
    let error = told(of(1).path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("y of shape [20, 2], of which row 5 has no single 1"), "{error}");
    let values = Options { task: Some(Task::Values), ..Options::default() };
    assert_eq!(told(of(1).path(), &values).unwrap().0.classes.len(), 0);
    assert_eq!(told(of(9).path(), &Options::default()).unwrap().0.classes.len(), 0);
}

#[test]
fn each_part_may_hold_pixels_of_its_own_range() {
    let floats = |count: usize, values: &[f32]| {
        npy(1, "<f4", false, &format!("({count}, 1, 3)"), &little(values, f32::to_le_bytes))
    };
    let bytes = |count: usize, values: &[u8]| npy(1, "|u1", false, &format!("({count}, 1, 3)"), values);
    let unit = [0.0, 51.0, 102.0, 153.0, 204.0, 255.0].map(|value: f32| value / 255.0);
    let signed = unit.map(|value| 2.0 * value - 1.0);
    let whole = [0, 51, 102, 153, 204, 255];
    for (train, test, noted) in [
        (floats(2, &unit), bytes(1, &[0, 102, 255]), "x_test holds pixels from 0 to 255"),
        (floats(2, &unit), floats(1, &[0.0, 102.0, 255.0]), "x_test holds pixels from 0 to 255"),
        (bytes(2, &whole), floats(1, &[0.0, 0.4, 1.0]), "x_test holds pixels from 0 to 1"),
        (floats(2, &signed), floats(1, &[0.0, 0.4, 1.0]), "x_test holds pixels from 0 to 1"),
        (floats(2, &unit), floats(1, &[-1.0, -0.2, 1.0]), "x_test holds pixels from -1 to 1"),
        (floats(2, &unit), floats(1, &[0.0, 0.4, 1.0]), ""),
        (bytes(2, &whole), bytes(1, &[0, 102, 255]), ""),
    ] {
        let mut arrays = good();
        (arrays[0].1, arrays[2].1) = (train, test);
        let (raw, notes) = told(archive(&arrays, CompressionMethod::Stored).path(), &Options::default()).unwrap();
        assert_eq!(raw.train.inputs, Inputs::U8(whole.to_vec()), "{notes}");
        assert_eq!(raw.test.unwrap().inputs, Inputs::U8(vec![0, 102, 255]), "{notes}");
        assert_eq!((notes.contains("x_test"), notes.contains(noted)), (!noted.is_empty(), true), "{notes}");
    }
    // About their mean, where the others are not.
    let mut arrays = good();
    arrays[0].1 = floats(2, &[-0.4, 2.1, 0.3, 0.0, 1.1, -0.2]);
    arrays[2].1 = bytes(1, &[0, 102, 255]);
    let error = told(archive(&arrays, CompressionMethod::Stored).path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("pixels from 0 to 255 in x_test") && error.contains("numbers, as in x_train"), "{error}");
}

#[test]
fn colours_before_or_behind_the_pixels_are_the_same_images() {
    let behind: Vec<u8> = (200..224).collect();
    // From [row, pixel, colour] to [row, colour, pixel].
    let before: Vec<u8> = (0..24).map(|at| 200 + at / 12 * 12 + at % 4 * 3 + at % 12 / 4).collect();
    let labels = || ("labels", npy(1, "|u1", false, "(2,)", &[1, 0]));
    for (shape, body) in [("(2, 2, 2, 3)", &behind), ("(2, 3, 2, 2)", &before)] {
        let file = archive(&[("images", npy(1, "|u1", false, shape, body)), labels()], CompressionMethod::Stored);
        let (raw, notes) = told(file.path(), &Options::default()).unwrap();
        assert_eq!((&raw.train.inputs, raw.train.image), (&Inputs::U8(behind.clone()), Some((2, 2))), "{shape}");
        assert_eq!(notes.contains("colours before"), shape == "(2, 3, 2, 2)", "{notes}");
    }
    let grey = npy(1, "|u1", false, "(2, 12)", &behind);
    let file = archive(&[("images", grey), labels()], CompressionMethod::Stored);
    let options = Options { image_size: Some((3, 4)), ..Options::default() };
    assert_eq!(told(file.path(), &options).unwrap().0.train.image, Some((3, 4)));
    let options = Options { image_size: Some((4, 3)), transpose: Some(true), ..options };
    let raw = told(file.path(), &options).unwrap().0;
    assert_eq!(
        (raw.train.inputs.part(0..5), raw.train.image),
        (Inputs::U8(vec![200, 204, 208, 201, 205]), Some((4, 3)))
    );
    let error = told(file.path(), &Options { image_size: Some((5, 5)), ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("rows of 12 values in images") && error.contains("5 x 5"), "{error}");
}

#[test]
fn the_user_may_say_what_arrays_are() {
    let x = || npy(1, "<f4", false, "(2, 2)", &little(&[0.5f32, 1.5, 2.5, 3.5], f32::to_le_bytes));
    let y = || npy(1, "|u1", false, "(2,)", &[1, 0]);
    let arrays = [("data", x()), ("images", x()), ("target", y()), ("names", y())];
    let file = archive(&arrays, CompressionMethod::Stored);
    let error = told(file.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("data and images") && error.contains("arrays"), "{error}");
    let with =
        |given: &[&str]| Options { arrays: given.iter().map(|text| (*text).into()).collect(), ..Options::default() };
    let (raw, _) = told(file.path(), &with(&["X=images", "y=names", "X_test=data", "y_test=target"])).unwrap();
    assert_eq!((raw.train.len(), raw.test.unwrap().len(), raw.validation), (2, 2, None));
    for (given, part) in [
        (&["X=none", "y=names"][..], "no array none"),
        (&["X", "y=names"], "\"X\" names no array"),
        (&["Z=images", "y=names"], "\"Z=images\" names no array"),
        (&["X=images"], "no targets that belong to images"),
    ] {
        let error = told(file.path(), &with(given)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let arrays = [("arr_0", x()), ("arr_1", x()), ("arr_2", y()), ("arr_3", y())];
    let (raw, notes) = told(archive(&arrays, CompressionMethod::Stored).path(), &Options::default()).unwrap();
    assert!(raw.test.is_some() && notes.contains("arr_0 and arr_2 to train on, arr_1 and arr_3 to test"), "{notes}");
}

#[test]
fn files_of_numpy_find_each_other() {
    let x = || npy(1, "<f4", false, "(2, 2)", &little(&[0.5f32, 1.5, 2.5, 3.5], f32::to_le_bytes));
    let y = || npy(1, "|u1", false, "(2,)", &[1, 0]);
    let folder = folder(&[
        ("X_train.npy", x()),
        ("y_train.npy", y()),
        ("X_val.npy", x()),
        ("y_val.npy", y()),
        ("other.npy", y()),
    ]);
    let at = |name: &str| folder.path().join(name);
    for path in [folder.path().to_path_buf(), at("X_train.npy")] {
        assert_eq!(files(&path, &[]).len(), 5);
        let (raw, notes) = told(&path, &Options::default()).unwrap();
        assert!(raw.test.is_none() && raw.validation.is_some(), "{notes}");
    }
    let error = told(&at("other.npy"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("other"), "{error}");
    let options = Options { arrays: vec!["X=X_val".into(), "y=other.npy".into()], ..Options::default() };
    assert_eq!(told(folder.path(), &options).unwrap().0.train.len(), 2);
}

#[test]
fn idx_files_are_known_by_content_and_by_their_part() {
    let images = |first: u8| idx(8, &[2, 2, 2], &(first..first + 8).collect::<Vec<u8>>());
    let labels = || idx(8, &[2], &[7, 3]);
    let dotted = folder(&[
        ("train-images.idx3-ubyte", images(200)),
        ("train-labels.idx1-ubyte", labels()),
        ("t10k_images", images(210)),
        ("t10k_labels", labels()),
        ("README.txt", b"text".to_vec()),
    ]);
    let (raw, _) = told(dotted.path(), &Options::default()).unwrap();
    assert_eq!((raw.train.inputs, raw.classes), (Inputs::U8((200..208).collect()), vec!["3".into(), "7".into()]));
    assert_eq!(raw.test.unwrap().inputs, Inputs::U8((210..218).collect()));
    // QMNIST's labels have eight columns.
    let row = |class: u8| [class, 1, 2, 3, 4, 5, 6, 7].into_iter().flat_map(|value| [0, 0, 0, value]);
    let columns: Vec<u8> = row(7).chain(row(3)).collect();
    let alone = folder(&[
        ("qmnist-train-images-idx3-ubyte", images(200)),
        ("qmnist-train-labels-idx2-int", idx(0x0c, &[2, 8], &columns)),
    ]);
    let (raw, notes) = told(alone.path(), &Options::default()).unwrap();
    assert!(
        raw.test.is_none() && raw.train.labels() == [1, 0] && notes.contains("the first of the 8 columns"),
        "{notes}"
    );
    let several = folder(&[
        ("emnist-letters-train-images-idx3-ubyte", images(200)),
        ("emnist-letters-train-labels-idx1-ubyte", labels()),
        ("emnist-digits-train-images-idx3-ubyte", images(200)),
        ("emnist-digits-train-labels-idx1-ubyte", labels()),
    ]);
    let error = told(several.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("\"emnist-digits\", \"emnist-letters\"") && error.contains("beginning"), "{error}");
    let letters = several.path().join("emnist-letters");
    assert!(
        present(&letters, None) && !present(&several.path().join("kmnist"), None) && files(&letters, &[]).len() == 2
    );
    let (raw, notes) = told(&letters, &Options::default()).unwrap();
    assert!(notes.contains("on their side"), "{notes}");
    assert_eq!(raw.train.inputs.part(0..4), Inputs::U8(vec![200, 202, 201, 203]));
    let as_they_are = Options { transpose: Some(false), ..Options::default() };
    assert_eq!(told(&letters, &as_they_are).unwrap().0.train.inputs, Inputs::U8((200..208).collect()));
}

#[test]
fn labels_in_a_column_per_class_are_that_in_idx_files_too() {
    let one_hot = folder(&[
        ("train-images-idx3-ubyte", idx(8, &[2, 2, 2], &[200; 8])),
        ("train-labels-idx2-ubyte", idx(8, &[2, 3], &[0, 0, 1, 0, 1, 0])),
    ]);
    let raw = told(one_hot.path(), &Options::default()).unwrap().0;
    assert_eq!((raw.train.labels(), raw.classes), (&[1, 0][..], vec!["1".into(), "2".into()]));
}

#[test]
fn shapes_that_would_overflow_are_refused() {
    for shape in ["(0, 1099511627776, 1099511627776)", "(1099511627776, 0, 1099511627776)"] {
        let mut arrays = good();
        arrays[0].1 = npy(1, "<f8", false, shape, &[]);
        let error = read(archive(&arrays, CompressionMethod::Stored).path()).unwrap_err().to_string();
        assert!(error.contains("x_train of shape") && error.contains("at most 4 GiB"), "{error}");
    }
    let long = [&b"\x93NUMPY\x02\x00"[..], &(1u32 << 20).to_le_bytes(), &vec![b' '; 1 << 20]].concat();
    let mut arrays = good();
    arrays[0].1 = long;
    let error = read(archive(&arrays, CompressionMethod::Stored).path()).unwrap_err().to_string();
    assert!(error.contains("a header of 1048576 bytes"), "{error}");
}
