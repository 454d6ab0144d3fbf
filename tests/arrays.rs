//! Arrays through the program: what they are taken for, and that they give what the same rows give elsewhere.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use zip::write::SimpleFileOptions;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mlp-gpu")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Standard output and standard error of a run that succeeds.
fn succeeds(arguments: &[&str]) -> (String, String) {
    let (code, out, err) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {err}");
    (out, err)
}

fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), body].concat()
}

fn npz(folder: &Path, name: &str, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = folder.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// Images of 6 x 6 with a bright row that says their class, and the classes.
fn images(count: usize) -> (Vec<u8>, Vec<u8>) {
    let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7) as u8 % 60;
    let mut pixels: Vec<u8> = (0..36 * count).map(noise).collect();
    let classes: Vec<u8> = (0..count).map(|row| (row % 3) as u8).collect();
    for (image, class) in pixels.chunks_exact_mut(36).zip(&classes) {
        image[12 * usize::from(*class)..][..6].fill(255);
    }
    (pixels, classes)
}

const FEW: [&str; 8] = ["--backend", "cpu", "--hidden", "8", "--epochs", "20", "--batch-size", "8"];

#[test]
fn pixels_of_every_range_give_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, classes) = images(120);
    let floats: Vec<u8> = pixels.iter().flat_map(|pixel| (f32::from(*pixel) / 255.0).to_le_bytes()).collect();
    let halves: Vec<u8> =
        pixels.iter().flat_map(|pixel| half::f16::from_f32(f32::from(*pixel) / 255.0).to_le_bytes()).collect();
    let labels = || ("labels", npy("|u1", "(120, 1)", &classes));
    let sets = [
        ("bytes.npz", npy("|u1", "(120, 6, 6)", &pixels)),
        ("floats.npz", npy("<f4", "(120, 6, 6, 1)", &floats)),
        ("halves.npz", npy("<f2", "(120, 1, 6, 6)", &halves)),
    ];
    let mut found = Vec::new();
    for (name, images) in sets {
        let path = npz(folder.path(), name, &[("images", images), labels()]);
        let (model, path) = (folder.path().join("model.safetensors"), path.to_str().unwrap());
        let (_, err) = succeeds(&[&["train", "--data", path, "--save", model.to_str().unwrap()], &FEW[..]].concat());
        assert_eq!(err.contains("images holds pixels from 0 to 1"), name != "bytes.npz", "{err}");
        let (told, _) = succeeds(&["eval", model.to_str().unwrap(), "--data", path, "--json", "--backend", "cpu"]);
        let (inside, _) = succeeds(&["inspect", model.to_str().unwrap()]);
        assert!(inside.contains("images of 6 x 6, bytes, / 255"), "{inside}");
        found.push(told);
    }
    assert!(found[0] == found[1] && found[0] == found[2], "{found:?}");
    assert!(found[0].contains("\"accuracy\":1.0"), "{}", found[0]);
}

#[test]
fn rows_of_a_table_are_predicted_alike_from_text_and_from_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut table, mut bytes) = ("id,width,height,kind\n".to_owned(), Vec::new());
    for row in 0..200 {
        let width = f64::from(row % 17) + 0.123_456_789;
        let height = if row % 9 == 0 { f64::NAN } else { 1e9 + f64::from(row) };
        let shown = if height.is_nan() { String::new() } else { height.to_string() };
        writeln!(table, "{row},{width},{shown},{}", if width > 8.0 { "wide" } else { "narrow" }).unwrap();
        bytes.extend([f64::from(row), width, height].into_iter().flat_map(f64::to_le_bytes));
    }
    let path = folder.path().join("table.csv");
    std::fs::write(&path, &table).unwrap();
    let model = folder.path().join("model.safetensors");
    let (path, model) = (path.to_str().unwrap(), model.to_str().unwrap());
    succeeds(&["train", "--data", path, "--label", "kind", "--save", model, "--backend", "cpu", "--epochs", "20"]);
    let array = npz(folder.path(), "rows.npz", &[("X", npy("<f8", "(200, 3)", &bytes))]);
    let single = folder.path().join("rows.npy");
    std::fs::write(&single, npy("<f8", "(200, 3)", &bytes)).unwrap();
    let mut files = Vec::new();
    for (input, more) in
        [(path, &[][..]), (array.to_str().unwrap(), &[]), (single.to_str().unwrap(), &["--arrays", "X=rows"])]
    {
        let output = folder.path().join("out.csv");
        succeeds(
            &[&["predict", model, input, "--backend", "cpu", "--output", output.to_str().unwrap()], more].concat(),
        );
        files.push(std::fs::read_to_string(output).unwrap());
    }
    assert!(files[0].lines().count() == 201 && files[0] == files[1] && files[0] == files[2], "{files:?}");
    let (out, _) = succeeds(&["predict", model, array.to_str().unwrap(), "--backend", "cpu"]);
    assert!(out.lines().nth(7).unwrap().contains("rows.npz[7]: "), "{out}");
    let narrow = npz(folder.path(), "narrow.npz", &[("X", npy("<f8", "(300, 2)", &bytes))]);
    let (code, _, err) = run(&["predict", model, narrow.to_str().unwrap(), "--backend", "cpu"]);
    // Two columns became features, as the first one only counts the rows.
    assert_eq!(code, Some(0), "{err}");
    let wide = npz(folder.path(), "wide.npz", &[("X", npy("<f8", "(100, 6)", &bytes))]);
    let (code, _, err) = run(&["predict", model, wide.to_str().unwrap(), "--backend", "cpu"]);
    assert!(code == Some(1) && err.contains("X of shape [100, 6]") && err.contains("rows of 3 columns"), "{err}");
    let (code, _, err) = run(&["predict", model, array.to_str().unwrap(), "--keep", "id", "--output", "x.csv"]);
    assert!(code == Some(2) && err.contains("--keep is for tables"), "{err}");
}

#[test]
fn a_validation_part_of_its_own_is_used_and_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, classes) = images(90);
    let part = |first: usize, count: usize, name: &'static str| {
        let shape = format!("({count}, 6, 6)");
        let images = npy("|u1", &shape, &pixels[36 * first..36 * (first + count)]);
        let labels = npy("|u1", &format!("({count},)"), &classes[first..first + count]);
        [(format!("{name}_images"), images), (format!("{name}_labels"), labels)]
    };
    let arrays: Vec<_> =
        [part(0, 60, "train"), part(60, 12, "val"), part(72, 18, "test")].into_iter().flatten().collect();
    let arrays: Vec<(&str, Vec<u8>)> = arrays.iter().map(|(name, bytes)| (&name[..], bytes.clone())).collect();
    let path = npz(folder.path(), "parts.npz", &arrays);
    let path = path.to_str().unwrap();
    let model = folder.path().join("model.safetensors");
    let train = [&["train", "--data", path, "--save", model.to_str().unwrap()], &FEW[..]].concat();
    let (out, err) = succeeds(&train);
    assert!(out.contains("Validation") && err.contains("18 test rows"), "{out}{err}");
    let (_, err) = succeeds(&["eval", model.to_str().unwrap(), "--part", "validation", "--backend", "cpu"]);
    assert!(err.contains("12 rows of") && err.contains("the validation part"), "{err}");
    let (out, _) = succeeds(&[&train[..], &["--validation-split", "0"]].concat());
    assert!(!out.contains("Validation"), "{out}");
    let (code, _, err) = run(&[&train[..], &["--validation-split", "0.2"]].concat());
    assert!(code == Some(2) && err.contains("a validation part of its own"), "{err}");
    let (code, _, err) = run(&[&train[..], &["--header", "no"]].concat());
    assert!(code == Some(2) && err.contains("--header is for tables, not for arrays"), "{err}");
}

#[test]
fn arrays_on_standard_input_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, classes) = images(60);
    let (x, y) = (npy("|u1", "(60, 6, 6)", &pixels), npy("|u1", "(60,)", &classes));
    let file = npz(folder.path(), "a.npz", &[("x", x.clone()), ("y", y)]);
    let alone = folder.path().join("x.npy");
    std::fs::write(&alone, x).unwrap();
    let idx = folder.path().join("images");
    std::fs::write(&idx, [&[0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 6, 0, 0, 0, 6][..], &pixels].concat()).unwrap();
    let piped = |arguments: &[&str], file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
        let output = command.args(arguments).stdin(std::fs::File::open(file).unwrap()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let [one, other] = ["one.st", "other.st"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let file_name = file.to_str().unwrap();
    succeeds(&[&["train", "--data", file_name, "--save", &one], &FEW[..]].concat());
    piped(&[&["train", "--data", "-", "--save", &other], &FEW[..]].concat(), &file);
    let parameters = |path: &String| mlp_gpu::checkpoint::load(path.as_ref()).unwrap().state.parameters;
    assert_eq!(parameters(&one), parameters(&other));
    let evaluate = ["eval", &one, "--backend", "cpu", "--json", "--data"];
    assert_eq!(piped(&[&evaluate[..], &["-"]].concat(), &file), succeeds(&[&evaluate[..], &[file_name]].concat()).0);
    let predict = ["predict", &one, "--backend", "cpu", "--json"];
    let (expected, _) = succeeds(&[&predict[..], &[file_name]].concat());
    for file in [&file, &alone, &idx] {
        let told = piped(&[&predict[..], &["-"]].concat(), file);
        assert_eq!(told.replace("\"-[", &format!("\"{file_name}[")), expected, "{file:?}");
    }
}

#[test]
fn a_preview_of_floats_is_that_of_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut pixels, classes) = images(30);
    // What no 255th is.
    pixels[0] = 0;
    let floats = |scale: f32| -> Vec<u8> {
        pixels.iter().flat_map(|pixel| (f32::from(*pixel) * scale + 1e-4).to_le_bytes()).collect()
    };
    let preview = |name: &str, descr: &str, body: &[u8], more: &[&str]| {
        let arrays = [("images", npy(descr, "(30, 6, 6)", body)), ("labels", npy("|u1", "(30,)", &classes))];
        let (file, out) = (npz(folder.path(), &format!("{name}.npz"), &arrays), folder.path().join("out.png"));
        let paths = [file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--columns", "4"];
        succeeds(&[&["data", "preview"], &paths[..], more].concat());
        std::fs::read(out).unwrap()
    };
    for more in [&[][..], &["--augment", "shift:1"]] {
        let bytes = preview("bytes", "|u1", &pixels, more);
        assert_eq!(preview("floats", "<f4", &floats(1.0 / 255.1), more), bytes, "{more:?}");
        // Numbers that are no pixels are drawn from the least to the greatest.
        assert_eq!(preview("numbers", "<f4", &floats(3.0), more), bytes, "{more:?}");
    }
}

#[test]
fn classes_of_published_sets_are_told_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("fashion-mnist");
    std::fs::create_dir(&set).unwrap();
    let (pixels, mut classes) = images(60);
    classes.iter_mut().for_each(|class| *class += 7);
    for part in ["train", "t10k"] {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 6, 0, 0, 0, 6][..], &pixels].concat();
        std::fs::write(set.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [&[0, 0, 8, 1, 0, 0, 0, 60][..], &classes].concat();
        std::fs::write(set.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
    let data = ["--data", "fashion-mnist", "--data-dir", folder.path().to_str().unwrap()];
    let [model, table] = ["m.st", "p.csv"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    succeeds(&[&["train", "--save", &model][..], &data, &FEW].concat());
    let file = npz(folder.path(), "x.npz", &[("x", npy("|u1", "(60, 6, 6)", &pixels))]);
    let predict = ["predict", &model, file.to_str().unwrap(), "--backend", "cpu"];
    let (out, err) = succeeds(&predict);
    assert!(out.lines().next().unwrap().contains(": Sneaker 0.") || out.contains(": Bag 0."), "{out}");
    assert!(err.contains("they are the labels 0 (T-shirt/top)") && err.contains("9 (Ankle boot)"), "{err}");
    let (json, err) = succeeds(&[&predict[..], &["--json"]].concat());
    assert!(json.contains("\"class\":\"7\"") && json.contains("\"name\":\"Sneaker\""), "{json}");
    assert!(!err.contains("T-shirt"), "{err}");
    succeeds(&[&predict[..], &["--output", &table]].concat());
    let written = std::fs::read_to_string(&table).unwrap();
    assert!(written.contains("p_7") && !written.contains("Sneaker"), "{written}");
    let evaluate = [&["eval", &model, "--backend", "cpu"][..], &data].concat();
    assert!(succeeds(&evaluate).0.contains("Ankle boot"));
    assert!(succeeds(&[&evaluate[..], &["--json"]].concat()).0.contains("\"classes\":[\"0\""));
}

#[test]
fn predict_takes_the_folders_that_eval_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, classes) = images(120);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("arrays")).unwrap();
    let x = |rows: usize| npy("|u1", &format!("({rows}, 6, 6)"), &pixels[..36 * rows]);
    let y = |rows: usize| npy("|u1", &format!("({rows},)"), &classes[..rows]);
    for (name, array) in [("x_train", x(120)), ("y_train", y(120)), ("x_test", x(9)), ("y_test", y(9))] {
        std::fs::write(at(&format!("arrays/{name}.npy")), array).unwrap();
    }
    let model = at("m.st");
    succeeds(&[&["train", "--data", &at("arrays"), "--save", &model][..], &FEW].concat());
    let packed = at("out.csv.gz");
    let (_, err) = succeeds(&["predict", &model, &at("arrays"), "--output", &packed]);
    assert!(err.contains("the rows of x_test are taken"), "{err}");
    let mut table = String::new();
    let file = std::fs::File::open(&packed).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut table).unwrap();
    assert_eq!(table.lines().count(), 10, "{table}");
    let (code, _, err) = run(&["predict", &model, &at("arrays"), "--output", &at("out.csv.zst")]);
    assert!(code == Some(2) && err.contains(".csv.gz"), "{err}");

    for (number, (image, class)) in pixels.chunks_exact(36).zip(&classes).take(9).enumerate() {
        let part = if number < 6 { "train" } else { "test" };
        let path = at(&format!("images/{part}/{class}/{number}.png"));
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        image::save_buffer(path, image, 6, 6, image::ColorType::L8).unwrap();
    }
    let (out, err) = succeeds(&["predict", &model, &at("images")]);
    assert!(err.contains("the 3 images of its test part are taken"), "{err}");
    let names: Vec<&str> = out.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(names, [6, 7, 8].map(|number| at(&format!("images/test/{}/{number}.png", number % 3))));
    let (out, err) = succeeds(&["predict", &model, &at("images/train")]);
    assert!(out.lines().count() == 6 && err.contains("folders of classes"), "{err}");
}
