//! Saved models through the real binary: evaluated, predicted with, resumed, inspected, exported, imported, and broken.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma, RgbImage, RgbaImage};
use mlp_gpu::checkpoint::{ACTIVATION, Normalize, Reading};
use mlp_gpu::data::{self, Inputs, Task};
use mlp_gpu::error::Error;
use mlp_gpu::{checkpoint, export};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Expects the exit code and one line of error that has all of `parts`.
fn fails(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = output(arguments);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
    for part in parts {
        assert!(err.contains(part), "{arguments:?}: no {part:?} in {err}");
    }
    if code == 1 {
        assert_eq!(err.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{err}");
    }
}

/// The backends of this machine.
fn backends() -> Vec<&'static str> {
    let found = succeeds(&["devices"]).lines().any(|line| line.starts_with("0: "));
    if !found {
        let required = std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_ok_and(|value| value == "1");
        assert!(!required, "no GPU adapter, and MLP_GPU_REQUIRE_ADAPTER=1");
        // Not as tests say it that check nothing.
        println!("there is no adapter: the CPU alone is tested");
    }
    if found { vec!["cpu", "gpu"] } else { vec!["cpu"] }
}

/// A folder, and paths in it as text.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

/// A table of three classes that are easy to tell apart: 240 rows, the label last.
fn table(header: bool) -> String {
    let mut lines = if header { "width,height,label\n".to_owned() } else { String::new() };
    for row in 0..240 {
        let (kind, along) = (row % 3, (row / 3) as f64 / 80.0);
        let (x, y) = [(100.0 + along, 0.2 + along), (105.0 - along, 1.0 + along), (110.0 + along, 3.0 - along)][kind];
        lines += &format!("{x:.3},{y:.3},{}\n", ["ant", "bee", "cat"][kind]);
    }
    lines
}

/// A model of [`table`], on the CPU.
fn table_model(folder: &Folder) -> (String, String) {
    let (data, model) = (folder.write("table.csv", table(true)), folder.path("table.safetensors"));
    let run = ["train", "--backend", "cpu", "--data", &data, "--hidden", "8", "--epochs", "60", "--save", &model];
    succeeds(&[&run[..], &["--lr", "0.1", "--lr-decay", "0", "--batch-size", "16"]].concat());
    (data, model)
}

/// A model of the embedded digits, on the CPU.
fn digits_model(folder: &Folder) -> String {
    let model = folder.path("digits.safetensors");
    let run = [
        "train",
        "--backend",
        "cpu",
        "--data",
        "digits",
        "--recipe",
        "notebook",
        "--hidden",
        "32",
        "--epochs",
        "3",
        "--quiet",
    ];
    succeeds(&[&run[..], &["--save", &model]].concat());
    model
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_saved_model_is_evaluated_as_it_was_in_training() {
    let folder = Folder::new();
    let (data, model) = table_model(&folder);
    for backend in backends() {
        let found = json(&succeeds(&["eval", &model, "--data", &data, "--backend", backend, "--json"]));
        // The rows that training held out.
        assert_eq!((found["n"].as_u64(), found["accuracy"].as_f64()), (Some(24), Some(1.0)), "{found}");
        assert_eq!(found["classes"], serde_json::json!(["ant", "bee", "cat"]));
        assert_eq!(found["confusion"], serde_json::json!([[8, 0, 0], [0, 8, 0], [0, 0, 8]]));
        assert!(found["loss"].as_f64().unwrap() < 0.1);
        let learnt =
            json(&succeeds(&["eval", &model, "--data", &data, "--part", "train", "--backend", backend, "--json"]));
        assert_eq!(learnt["n"], 216);
        let words = succeeds(&["eval", &model, "--data", &data, "--backend", backend]);
        for part in [
            "Rows: 24\nLoss: 0.0",
            "\nAccuracy: 1.0000\n",
            "\naccuracy               1.0000    0.3333  always \"ant\"\n",
            "    1.0986  the classes' shares\n",
            "\nROC-AUC                1.0000            each class against the rest, mean\n",
            "\nclass  precision  recall      F1  rows\nant       1.0000  1.0000  1.0000  8\n",
            "confusion matrix",
        ] {
            assert!(words.contains(part), "{part:?} in {words}");
        }
        for key in ["balanced_accuracy", "roc_auc", "average_precision", "f1_macro", "matthews"] {
            assert!((found[key].as_f64().unwrap() - 1.0).abs() < 1e-12, "{key}: {found}");
        }
        for key in ["log_loss", "calibration_error"] {
            let (figure, loss) = (found[key].as_f64().unwrap(), found["loss"].as_f64().unwrap());
            assert!(figure > 0.0 && figure < loss + 1e-6, "{key}: {found}");
        }
        assert_eq!((&found["f1"], &found["support"]), (&json!([1.0, 1.0, 1.0]), &json!([8, 8, 8])));
        assert_eq!((&found["baseline"]["class"], &found["positive_class"]), (&json!("ant"), &Value::Null));
    }
    // Without --data: what it was trained on.
    assert_eq!(json(&succeeds(&["eval", &model, "--backend", "cpu", "--json"]))["n"], 24);
    let other = folder.write("other.csv", "width,label\n1,ant\n");
    fails(&["eval", &model, "--data", &other], 1, &["other.csv", "height"]);
    let strange = folder.write("strange.csv", "width,height,label\n1,2,dog\n");
    fails(&["eval", &model, "--data", &strange], 1, &["strange.csv", "dog"]);
    fails(&["eval", &model, "--data", "digits"], 1, &["784"]);
    fails(&["eval", &folder.path("none"), "--data", &data], 1, &["none", "cannot read"]);
}

#[test]
fn of_two_classes_the_second_is_positive_and_what_is_undefined_is_null_and_said() {
    let folder = Folder::new();
    let rows = table(true);
    let two: String = rows.lines().filter(|line| !line.ends_with("cat")).map(|line| format!("{line}\n")).collect();
    let (data, model) = (folder.write("two.csv", two), folder.path("two.safetensors"));
    let run = ["train", "--backend", "cpu", "--data", &data, "--hidden", "none", "--epochs", "1", "--save", &model];
    succeeds(&run);
    let eval = |data: &str, json: &[&str]| {
        let output = output(&[&["eval", &model, "--backend", "cpu", "--data", data][..], json].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (words, _) = eval(&data, &[]);
    let (found, _) = eval(&data, &["--json"]);
    let found = json(&found);
    assert!(words.contains("\nPositive class: bee\n") && words.contains("\nF1, positive class"), "{words}");
    assert_eq!((&found["positive_class"], &found["f1_positive"]), (&json!("bee"), &found["f1"][1]));

    let one = folder.write("one.csv", "width,height,label\n100.5,0.5,ant\n100.6,0.6,ant\n");
    let (found, said) = eval(&one, &["--json"]);
    let found = json(&found);
    for key in ["roc_auc", "average_precision", "matthews"] {
        assert!(found.get(key).is_some_and(Value::is_null), "{key}: {found}");
    }
    assert_eq!((&found["recall"][1], &found["support"]), (&Value::Null, &json!([2, 0])));
    assert_eq!(found["baseline"], json!({ "class": "ant", "accuracy": 1.0, "log_loss": 0.0 }));
    assert!(said.contains("All rows are of the class \"ant\": ROC-AUC, average precision"), "{said}");
    let (words, _) = eval(&one, &[]);
    assert!(words.contains("\nROC-AUC                     -") && !words.contains("NaN"), "{words}");
}

/// A table of a number to predict, and a model of it: `price = 1000 + 3 size`.
fn values_model(folder: &Folder) -> (String, String) {
    let rows: String =
        (0..200).map(|row| f64::from(row) / 2.0).map(|x| format!("{x},{}\n", 1000.0 + 3.0 * x)).collect();
    let data = folder.write("prices.csv", format!("size,price\n{rows}"));
    let model = folder.path("prices.safetensors");
    let run = ["train", "--backend", "cpu", "--data", &data, "--target", "price", "--hidden", "none", "--epochs", "60"];
    succeeds(&[&run[..], &["--optimizer", "sgd", "--lr", "0.05", "--batch-size", "16", "--save", &model]].concat());
    (data, model)
}

#[test]
fn errors_of_values_stand_beside_those_of_the_mean() {
    let folder = Folder::new();
    let (data, model) = values_model(&folder);
    for backend in backends() {
        let found = json(&succeeds(&["eval", &model, "--data", &data, "--backend", backend, "--json"]));
        let figure = |key: &str| found[key].as_f64().unwrap();
        let baseline = |key: &str| found["baseline"][key].as_f64().unwrap();
        assert_eq!((&found["n"], &found["targets"]), (&json!(20), &json!(["price"])));
        assert!(figure("r2") > 0.99 && figure("rmse") < 0.1 * baseline("rmse"), "{found}");
        assert!(figure("mae") < 0.1 * baseline("mae") && baseline("mae") < baseline("rmse"), "{found}");
        assert!(figure("median_absolute_error") <= figure("absolute_error_90"), "{found}");
        let words = succeeds(&["eval", &model, "--data", &data, "--backend", backend]);
        for part in ["\nprice: RMSE ", "\n       absolute error: median ", "\n       baseline, the mean: RMSE "] {
            assert!(words.contains(part), "{words}");
        }
    }
    let equal = folder.write("equal.csv", "size,price\n1,1003.5\n2,1003.5\n");
    let output = output(&["eval", &model, "--data", &equal, "--backend", "cpu", "--json"]);
    assert_eq!(json(&text(&output.stdout))["r2"], Value::Null);
    assert!(text(&output.stderr).contains("All values of price are the same: R2 is undefined"));
}

/// The lines of a CSV file, as cells.
fn cells(path: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn predictions_are_written_to_a_table_beside_columns_of_the_input() {
    let folder = Folder::new();
    let (_, model) = table_model(&folder);
    let rows = "id,width,name,height\n007,100.5,\"Ant, A.\",0.5\n\n008,104.5,x,1.5\n1e3,110.5,\"a \"\"b\"\"\",2.5\n";
    let rows = folder.write("rows.csv", rows);
    let out = folder.path("out.csv");
    let predict = |arguments: &[&str]| {
        let output =
            output(&[&["predict", &model, &rows, "--backend", "cpu", "--output", &out][..], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr), cells(&out))
    };
    let (shown, said, found) = predict(&["--keep", "id,name"]);
    assert!(
        shown.is_empty() && said.contains("out.csv: predictions of 3 rows") && !said.contains("left aside"),
        "{said}"
    );
    assert_eq!(found[0], ["id", "name", "class", "p_ant", "p_bee", "p_cat"]);
    let beside: Vec<_> = found[1..].iter().map(|row| &row[..3]).collect();
    assert_eq!(beside, [["007", "Ant, A.", "ant"], ["008", "x", "bee"], ["1e3", "a \"b\"", "cat"]]);
    for row in &found[1..] {
        let p: Vec<f32> = row[3..].iter().map(|p| p.parse().unwrap()).collect();
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
    }
    let (shown, said, found) = predict(&["--json"]);
    assert!(shown.lines().count() == 3 && said.contains("left aside: \"id\", \"name\""), "{said}");
    assert_eq!(found[0], ["class", "p_ant", "p_bee", "p_cat"]);
    // For a submission: names in order, without probabilities where they have no names.
    let (_, said, found) = predict(&["--row-numbers", "--column-names", "ImageId,Label"]);
    assert!(said.contains("no probabilities"), "{said}");
    assert_eq!(found, [["ImageId", "Label"], ["1", "ant"], ["2", "bee"], ["3", "cat"]]);
    let (.., found) = predict(&["--keep", "1", "--probabilities", "false"]);
    assert_eq!(found[..2], [["id", "class"], ["007", "ant"]]);

    let before = fs::read(&out).unwrap();
    let bad = |arguments: &[&str], code, parts: &[&str]| {
        fails(&[&["predict", &model, &rows, "--backend", "cpu"][..], arguments].concat(), code, parts);
        assert_eq!(fs::read(&out).unwrap(), before);
    };
    bad(
        &["--output", &out, "--keep", "price"],
        2,
        &["no column price to keep", "\"id\", \"width\"", "out.csv is not written"],
    );
    bad(&["--output", &out, "--column-names", "a,b"], 2, &["2 names for 4 columns", "1 with --probabilities false"]);
    bad(&["--output", &out, "--column-names", "a,b,b,c"], 2, &["two columns \"b\""]);
    bad(&["--output", &rows], 2, &["--output", "<FILE>", "rows.csv"]);
    bad(&["--output", &model], 2, &["--output", "<MODEL>"]);
    bad(&["--output", &out, "--framed", &out], 2, &["are one file"]);
    bad(&["--output", &folder.path("none/out.csv")], 1, &["none/out.csv", "no such folder"]);
    bad(&["--keep", "id"], 2, &["--output"]);
    bad(&["--output", &out, "--top", "2"], 2, &["leave --top out"]);
    let broken = folder.write("broken.csv", "width,height\n1,x\n");
    bad(&[&broken, "--output", &out], 1, &["broken.csv", "line 2", "out.csv is not written: it would lack rows"]);

    // Values are in their own unit.
    let (_, model) = values_model(&folder);
    let rows = folder.write("sizes.csv", "size\n10\n50\n");
    succeeds(&["predict", &model, &rows, "--backend", "cpu", "--output", &out]);
    let found = cells(&out);
    assert_eq!(found[0], ["price"]);
    for (row, price) in found[1..].iter().zip([1030.0, 1150.0]) {
        assert!((row[0].parse::<f64>().unwrap() - price).abs() < 5.0, "{row:?}");
    }
    fails(&["predict", &model, &rows, "--output", &out, "--probabilities", "true"], 2, &["predicts values"]);
}

#[test]
fn folders_and_patterns_of_images_are_predicted_in_the_order_of_their_names() {
    let folder = Folder::new();
    let model = digits_model(&folder);
    let photos = folder.path("photos");
    fs::create_dir_all(folder.path("photos/more")).unwrap();
    for (name, image) in ["c.png", "a.png", "b.png", ".hidden.png"].iter().zip(digits(0..4)) {
        image.save(folder.path(&format!("photos/{name}"))).unwrap();
    }
    folder.write("photos/notes.txt", "not a picture");
    let (pattern, out) = (folder.path("photos/*"), folder.path("out.csv"));
    let names: Vec<String> = ["a.png", "b.png", "c.png"].map(|name| folder.path(&format!("photos/{name}"))).into();
    for input in [&photos, &pattern] {
        let output = output(&["predict", &model, input, "--backend", "cpu", "--output", &out, "--json"]);
        let said = text(&output.stderr);
        assert!(
            output.status.success() && said.contains("2 files or folders are left out that are no images"),
            "{said}"
        );
        let inputs: Vec<String> = cells(&out).iter().map(|row| row[0].clone()).collect();
        assert_eq!(inputs, [&["input".to_owned()], &names[..]].concat());
        let told = text(&output.stdout)
            .lines()
            .map(|line| json(line)["input"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>();
        assert_eq!(told, names);
    }
    fails(&["predict", &model, &folder.path("photos/more")], 1, &["a folder without an image", "photos/more"]);
    fails(&["predict", &model, &folder.path("photos/*.jpg")], 1, &["*.jpg", "found no file"]);
    fails(&["predict", &model, &folder.path("photos/[")], 2, &["not a pattern"]);
    fails(&["predict", &model, &photos, "--output", &out, "--keep", "id"], 2, &["--keep", "a.png is an image"]);
    fails(&["predict", &model, &photos, "--output", &names[0]], 2, &["--output", "would overwrite", "a.png"]);
    // A pattern without images is of tables.
    let (_, model) = table_model(&folder);
    folder.write("part-2.csv", "width,height\n104.5,1.5\n");
    folder.write("part-1.csv", "width,height\n100.5,0.5\n");
    let words = succeeds(&["predict", &model, &folder.path("part-*.csv"), "--backend", "cpu"]);
    let lines: Vec<&str> = words.lines().collect();
    assert!(lines[0].contains("part-1.csv:2: ant") && lines[1].contains("part-2.csv:2: bee"), "{words}");
}

#[test]
fn rows_are_predicted_from_files_and_from_standard_input() {
    let folder = Folder::new();
    let (_, model) = table_model(&folder);
    let rows = folder.write("rows.csv", "width,height\n100.5,0.5\n104.5,1.5\n110.5,2.5\n");
    for backend in backends() {
        let words = succeeds(&["predict", &model, &rows, "--backend", backend]);
        let classes: Vec<&str> = words.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(classes, ["ant", "bee", "cat"], "{words}");
        let lines = succeeds(&["predict", &model, &rows, "--backend", backend, "--json", "--top", "2"]);
        for (line, class) in lines.lines().zip(["ant", "bee", "cat"]) {
            let line = json(line);
            assert_eq!(line["class"], class);
            let p: Vec<f64> = line["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
            assert!(p.len() == 3 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{p:?}");
            assert!(line["input"].as_str().unwrap().starts_with(&rows) && line["top"][0]["class"] == class);
        }
    }
    let mut child = command(&["predict", &model, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"110.5,2.5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(json(&text(&output.stdout))["class"], "cat");

    // A bad input is told of; the others are predicted.
    let bad = folder.write("bad.csv", "width,height\n1,x\n");
    let run = command(&["predict", &model, &bad, &rows]).output().unwrap();
    assert_eq!((run.status.code(), text(&run.stdout).lines().count()), (Some(1), 3));
    assert!(text(&run.stderr).contains("bad.csv") && text(&run.stderr).contains("line 2"), "{}", text(&run.stderr));
    let few = folder.write("few.csv", "1\n2\n");
    fails(&["predict", &model, &few], 1, &["few.csv"]);
    fails(&["predict", &model, &folder.path("")], 1, &["a folder"]);
}

#[test]
fn pictures_and_exports_do_not_overwrite_what_they_are_made_of() {
    let folder = Folder::new();
    let (data, model) = table_model(&folder);
    let digit = folder.path("digit.png");
    digits(0..1)[0].save(&digit).unwrap();
    let images = folder.path("images");
    for class in ["a", "b"] {
        fs::create_dir_all(folder.path(&format!("images/{class}"))).unwrap();
        fs::copy(&digit, folder.path(&format!("images/{class}/0.png"))).unwrap();
    }
    let (link, inner) = (folder.path("link.npz"), folder.path("images/b/0.png"));
    fs::hard_link(&model, &link).unwrap();
    let files = [&data, &model, &digit, &inner];
    let kept: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    fails(&["export", &model, "--output", &link], 2, &["--output", "<MODEL>", "link.npz", "table.safetensors"]);
    fails(&["inspect", &model, "--units", &model], 2, &["--units", "<MODEL>"]);
    fails(&["inspect", &model, "--data", &data, "--units", &data], 2, &["--units", "--data", "table.csv"]);
    fails(&["predict", &model, &digit, "--framed", &digit], 2, &["--framed", "<FILE>", "digit.png"]);
    fails(&["predict", &model, &digit, "--framed", &link], 2, &["--framed", "<MODEL>"]);
    fails(&["data", "preview", &images, "--out", &inner], 2, &["--out", "<NAME|PATH>", "0.png"]);
    assert!(files.iter().zip(&kept).all(|(path, kept)| fs::read(path).unwrap() == *kept));
}

#[test]
fn an_image_that_claims_to_be_huge_is_refused_in_one_line() {
    let folder = Folder::new();
    let model = digits_model(&folder);
    let header = b"P5 99999999 99999999 255\n";
    let huge = folder.write("huge.pgm", header);
    for framing in ["mnist", "resize"] {
        let parts = ["huge.pgm", "99999999 x 99999999 pixels", "at most 268435456 pixels"];
        fails(&["predict", &model, &huge, "--framing", framing, "--backend", "cpu"], 1, &parts);
    }
    let mut child = command(&["predict", &model, "-", "--backend", "cpu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(header).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("standard input: found an image of 99999999 x 99999999 pixels"));
    for class in ["a", "b"] {
        fs::create_dir_all(folder.path(&format!("images/{class}"))).unwrap();
        fs::copy(&huge, folder.path(&format!("images/{class}/huge.pgm"))).unwrap();
    }
    let (images, sheet) = (folder.path("images"), folder.path("sheet.png"));
    fails(&["data", "preview", &images, "--out", &sheet], 1, &["huge.pgm", "99999999 x 99999999"]);
    fails(&["train", "--data", &images, "--image-size", "8x8", "--backend", "cpu"], 1, &["99999999 x 99999999"]);
}

/// The digits with the numbers `rows` of the embedded test part.
fn digits(rows: std::ops::Range<usize>) -> Vec<GrayImage> {
    let Inputs::U8(bytes) = &data::digits().unwrap().test.unwrap().inputs else { unreachable!("images are bytes") };
    let image = |row: usize| GrayImage::from_raw(28, 28, bytes[row * 784..][..784].to_vec()).unwrap();
    rows.map(image).collect()
}

/// A photo of `digit` on paper, 600 x 800: dark on light, off centre, lit from one side, with noise.
fn photo(digit: &GrayImage, number: u32) -> GrayImage {
    let drawn = imageops::resize(digit, 380, 380, FilterType::CatmullRom);
    let (left, top) = (60 + number % 5 * 20, 120 + number % 7 * 30);
    GrayImage::from_fn(600, 800, |x, y| {
        let inside = (left..left + 380).contains(&x) && (top..top + 380).contains(&y);
        let ink = if inside { f32::from(drawn.get_pixel(x - left, y - top)[0]) / 255.0 } else { 0.0 };
        let paper = 225.0 - 0.05 * x as f32 - 0.03 * y as f32;
        let noise = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).wrapping_mul(2_654_435_761) >> 28;
        Luma([(paper * (1.0 - 0.75 * ink) + noise as f32 - 8.0).clamp(0.0, 255.0) as u8])
    })
}

/// Draws a digit, which has a number, to a file.
type Draw<'a> = &'a dyn Fn(&GrayImage, u32, &str);

#[test]
fn photos_of_digits_are_predicted_as_the_framed_digits_are() {
    let folder = Folder::new();
    let model = digits_model(&folder);
    let classes = |paths: &[String]| {
        let arguments: Vec<&str> = ["predict", &model, "--backend", "cpu", "--json"]
            .into_iter()
            .chain(paths.iter().map(String::as_str))
            .collect();
        let lines = succeeds(&arguments);
        let class = |line: &str| {
            let line = json(line);
            let most =
                line["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).fold(0.0, f64::max);
            (line["class"].as_str().unwrap().to_owned(), most)
        };
        lines.lines().map(class).collect::<Vec<_>>()
    };
    let images = digits(0..16);
    let paths = |kind: &str, make: Draw<'_>| -> Vec<String> {
        let path = |(index, image): (usize, &GrayImage)| {
            let path = folder.path(&format!("{index}-{kind}"));
            make(image, index as u32, &path);
            path
        };
        images.iter().enumerate().map(path).collect()
    };
    let framed = classes(&paths("framed.png", &|image, _, path| image.save(path).unwrap()));
    let sure: Vec<usize> = (0..framed.len()).filter(|&index| framed[index].1 > 0.9).collect();
    assert!(sure.len() >= 8, "too few to tell: {}", sure.len());
    let kinds: [(&str, Draw<'_>); 4] = [
        ("photo.png", &|image, number, path| photo(image, number).save(path).unwrap()),
        ("photo.jpg", &|image, number, path| photo(image, number).save(path).unwrap()),
        ("colour.png", &|image, number, path| {
            let blue = |p: u8| image::Rgb([p, p, p.saturating_add(30)]);
            let photo = photo(image, number);
            RgbImage::from_fn(600, 800, |x, y| blue(photo.get_pixel(x, y)[0])).save(path).unwrap();
        }),
        ("alpha.png", &|image, _, path| {
            // Black ink on nothing.
            let large = imageops::resize(image, 200, 200, FilterType::CatmullRom);
            RgbaImage::from_fn(300, 260, |x, y| {
                let inside = (50..250).contains(&x) && (30..230).contains(&y);
                image::Rgba([0, 0, 0, if inside { large.get_pixel(x - 50, y - 30)[0] } else { 0 }])
            })
            .save(path)
            .unwrap();
        }),
    ];
    for (kind, make) in kinds {
        let found = classes(&paths(kind, make));
        let wrong: Vec<_> = sure.iter().filter(|&&index| found[index].0 != framed[index].0).collect();
        assert!(wrong.is_empty(), "{kind}: {} of {} differ: {wrong:?}", wrong.len(), sure.len());
    }
    // Blank paper is no digit, and a picture of what the network sees is drawn.
    let blank = folder.path("blank.png");
    GrayImage::from_pixel(300, 300, Luma([230])).save(&blank).unwrap();
    fails(&["predict", &model, &blank], 1, &["blank.png", "expected writing"]);
    let (seen, one) = (folder.path("seen.png"), folder.path("0-photo.png"));
    succeeds(&["predict", &model, &one, "--framed", &seen]);
    assert!(image::open(&seen).is_ok());
    let (_, rows) = table_model(&folder);
    fails(&["predict", &rows, &one], 1, &["an image", "2 features"]);
}

/// A recipe whose rates do not depend on how many epochs there are to be.
const NOTEBOOK: &[&str] = &["--recipe", "notebook", "--hidden", "5"];

#[test]
fn training_goes_on_as_if_it_had_not_ended() {
    let folder = Folder::new();
    let data = folder.write("table.csv", table(true));
    let options =
        [&["--data", &data, "--batch-size", "16", "--seed", "3", "--validation-split", "0.2"][..], NOTEBOOK].concat();
    let train = |arguments: &[&str]| succeeds(&[&["train", "--backend", "cpu"], arguments].concat());
    let (whole, half, rest) = (folder.path("whole"), folder.path("half"), folder.path("rest"));
    train(&[&options[..], &["--epochs", "12", "--save", &whole]].concat());
    train(&[&options[..], &["--epochs", "5", "--save", &half]].concat());
    let told = train(&["--resume", &half, "--epochs", "12", "--save", &rest]);
    assert!(told.starts_with("Epoch 6/12"), "{told}");
    let [whole, rest] = [&whole, &rest].map(|path| checkpoint::load(Path::new(path)).unwrap());
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&whole.state.parameters), bits(&rest.state.parameters));

    let every = folder.path("every-{epoch}");
    let best = folder.path("best");
    train(&[&options[..], &["--epochs", "6", "--save", &every, "--save-every", "2", "--save-best", &best]].concat());
    let mut names: Vec<String> =
        fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("every") || name == "best");
    names.sort();
    assert_eq!(names, ["best", "every-002", "every-004", "every-006"]);
    let epochs = |name: &str| checkpoint::load(Path::new(&folder.path(name))).unwrap().metadata.unwrap().epochs;
    assert_eq!((epochs("every-002"), epochs("every-006")), (2, 6));
    assert!((1..=6).contains(&epochs("best")));
}

#[test]
fn a_run_of_a_gpu_goes_on_on_the_cpu_whatever_its_plan_was() {
    if !backends().contains(&"gpu") {
        return;
    }
    let folder = Folder::new();
    let data = folder.write("table.csv", table(true));
    let (first, rest) = (folder.path("first"), folder.path("rest"));
    let options = ["--data", &data, "--batch-size", "16", "--clip-norm", "1", "--epochs", "2", "--save", &first];
    succeeds(&[&["train", "--backend", "gpu"], NOTEBOOK, &options].concat());
    let plan = checkpoint::load(Path::new(&first)).unwrap().metadata.unwrap().training.device;
    assert_eq!(plan, Some(("gpu".into(), "elementary".into())));
    succeeds(&["train", "--resume", &first, "--backend", "cpu", "--epochs", "3", "--save", &rest]);
    assert_eq!(checkpoint::load(Path::new(&rest)).unwrap().metadata.unwrap().epochs, 3);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_saves_its_last_whole_epoch_and_training_goes_on_from_it() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new();
    let data = folder.write("table.csv", table(true));
    let options =
        [&["--data", &data, "--batch-size", "16", "--seed", "3", "--validation-split", "0.2"][..], NOTEBOOK].concat();
    for backend in backends() {
        for name in ["it's {epoch}.safetensors", "one.safetensors"] {
            let save = folder.path(&format!("{backend} {name}"));
            let run = ["train", "--backend", backend, "--epochs", "1000000", "--save", &save];
            let mut child =
                command(&[&run[..], &options].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let first: Vec<String> = lines.by_ref().take(3).collect();
            assert!(first.len() == 3 && first.iter().all(|line| line.starts_with("Epoch ")), "{first:?}");
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
            let last = lines.last().unwrap_or_else(|| first[2].clone());
            let err = child.wait_with_output().unwrap();
            assert_eq!(err.status.code(), Some(130), "{}", text(&err.stderr));
            let epoch: u32 = last.strip_prefix("Epoch ").unwrap().split('/').next().unwrap().parse().unwrap();
            let file = save.replace("{epoch}", &format!("{epoch:03}"));
            let quoted = |path: &str| format!("'{}'", path.replace('\'', "'\\''"));
            let [file_quoted, save_quoted] = [&file, &save].map(|path| quoted(path));
            let told = format!(
                "Interrupted: epoch {epoch} of 1000000 is in {file}; to go on: mlp-gpu train --resume {file_quoted} --epochs \
                 1000000 --save {save_quoted}\n"
            );
            assert!(text(&err.stderr).contains(&told), "{}", text(&err.stderr));
            let (whole, rest) = (folder.path("whole"), folder.path("rest"));
            let epochs = (epoch + 3).to_string();
            let run = ["train", "--backend", backend, "--quiet", "--epochs", &epochs];
            succeeds(&[&run[..], &["--save", &whole], &options].concat());
            succeeds(&[&run[..], &["--resume", &file, "--save", &rest]].concat());
            let [before, whole, rest] = [&file, &whole, &rest].map(|path| checkpoint::load(Path::new(path)).unwrap());
            assert_eq!(before.metadata.unwrap().epochs, epoch);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&whole.state.parameters), bits(&rest.state.parameters), "{backend}");
        }
    }
}

#[test]
fn inspect_tells_what_a_model_is() {
    let folder = Folder::new();
    let (data, model) = table_model(&folder);
    let words = succeeds(&["inspect", &model]);
    for part in ["2-8-3", "trained on", "columns: ", "classes: \"ant\", \"bee\", \"cat\"", "|weights|", "layer 0: "] {
        assert!(words.contains(part), "no {part:?} in {words}");
    }
    let object = json(&succeeds(&["inspect", &model, "--data", &data, "--json"]));
    assert_eq!((&object["widths"], &object["rows"]), (&serde_json::json!([2, 8, 3]), &24.into()));
    assert!(object["layers"][0]["dead_units"].is_array() && object["metadata"]["scaling"].is_object(), "{object}");
    // Small weights that nothing moves: after no epoch every unit stands where it began.
    let untrained = folder.path("untrained");
    succeeds(&["train", "--backend", "cpu", "--data", &data, "--hidden", "7", "--epochs", "0", "--save", &untrained]);
    let object = json(&succeeds(&["inspect", &untrained, "--json"]));
    assert_eq!(object["layers"][0]["unmoved_units"].as_array().unwrap().len(), 7);
}

/// The arrays of a NumPy archive by name: shape and values.
fn arrays(path: &str) -> BTreeMap<String, (String, Vec<f32>)> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let array = |name: String| {
        let mut bytes = Vec::new();
        archive.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let values = bytes[start..].chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
        (name.replace(".npy", ""), (text(&bytes[10..start]), values.collect()))
    };
    names.into_iter().map(array).collect()
}

#[test]
fn models_are_exported_for_other_software() {
    let folder = Folder::new();
    let (_, model) = table_model(&folder);
    let loaded = checkpoint::load(Path::new(&model)).unwrap();
    let npz = folder.path("m.npz");
    succeeds(&["export", &model, "--format", "npz", "--output", &npz]);
    let arrays = arrays(&npz);
    let names = ["W1", "W2", "b1", "b2", "clip", "divisor", "metadata", "offset"];
    assert_eq!(arrays.keys().collect::<Vec<_>>(), names);
    let layers = loaded.model.layers();
    assert!(arrays["W1"].0.contains("'<f4'") && arrays["W1"].0.contains("(2, 8,)"), "{}", arrays["W1"].0);
    assert_eq!(arrays["W1"].1, loaded.state.parameters[layers[0].weights.clone()]);
    assert_eq!(arrays["b2"].1, loaded.state.parameters[layers[1].biases.clone()]);

    let again = folder.path("again.safetensors");
    succeeds(&["export", &model, "--output", &again]);
    assert_eq!(fs::read(&again).unwrap(), fs::read(&model).unwrap());
    let onnx = folder.path("m.onnx");
    succeeds(&["export", &model, "--output", &onnx]);
    assert_eq!(fs::read(&onnx).unwrap(), export::onnx(&loaded.into()).unwrap());
    fails(&["export", &model, "--output", &folder.path("m.pt")], 2, &["m.pt", "--format"]);
    fails(&["export", &model, "--output", &folder.path("no/m.onnx")], 1, &["no/m.onnx"]);
    fails(&["export", &folder.path("none"), "--output", &onnx], 1, &["none"]);
}

/// Writes tensors of the given names, types and shapes.
fn tensors(path: &str, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let view = |(name, dtype, shape, bytes): &'_ (&str, Dtype, &[usize], Vec<u8>)| {
        (
            (*name).to_owned(),
            TensorView::new(*dtype, shape.to_vec(), Box::leak(bytes.clone().into_boxed_slice())).unwrap(),
        )
    };
    fs::write(path, safetensors::serialize(tensors.iter().map(view), None).unwrap()).unwrap();
}

#[test]
fn models_of_other_software_are_taken_if_they_fit() {
    let folder = Folder::new();
    let data = folder.write("table.csv", table(true));
    let path = folder.path("torch.safetensors");
    let f32s = |count: usize| (0..count).flat_map(|i| (i as f32 * 0.25 - 0.5).to_le_bytes()).collect::<Vec<u8>>();
    let f64s = |count: usize| (0..count).flat_map(|i| (i as f64 * 0.25 - 0.5).to_le_bytes()).collect::<Vec<u8>>();
    let good: [(&str, Dtype, &[usize], Vec<u8>); 4] = [
        ("net.0.weight", Dtype::F32, &[4, 2], f32s(8)),
        ("net.0.bias", Dtype::F32, &[4], f32s(4)),
        ("net.2.weight", Dtype::F64, &[3, 4], f64s(12)),
        ("net.2.bias", Dtype::F32, &[3], f32s(3)),
    ];
    tensors(&path, &good);
    let loaded = checkpoint::load(Path::new(&path)).unwrap();
    assert_eq!(loaded.model.widths(), [2, 4, 3]);
    // PyTorch keeps outputs x inputs.
    assert_eq!(loaded.state.parameters[..8], [-0.5, 0.0, 0.5, 1.0, -0.25, 0.25, 0.75, 1.25]);
    succeeds(&["train", "--backend", "cpu", "--data", &data, "--init-from", &path, "--epochs", "1"]);
    succeeds(&["inspect", &path]);
    let mut nan = good.clone();
    nan[1].3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut shape = good.clone();
    shape[2] = ("net.2.weight", Dtype::F32, &[3, 5], f32s(15));
    let mut kind = good.clone();
    kind[1] = ("net.0.bias", Dtype::I32, &[4], f32s(4));
    let mut name = good.clone();
    name[3].0 = "net.3.bias";
    for (bad, parts) in [
        (&nan[..], ["net.0.bias", "NaN"]),
        (&shape, ["net.2", "5 to 3"]),
        (&kind, ["net.0.bias", "I32"]),
        (&name, ["net.", "bias"]),
        (&[], ["", "found"]),
    ] {
        tensors(&path, bad);
        fails(&["inspect", &path], 1, &[&parts[..], &["torch.safetensors", "expected"]].concat());
    }
}

/// Little-endian floats that differ.
fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| ((i as f32 * 1.7).sin() * 0.8).to_le_bytes()).collect()
}

/// Writes a network of widths 2-4-3 with these names of its tensors.
fn others_network(path: &str, [w1, b1, w2, b2]: [&str; 4]) {
    let (first, last): (&[usize], &[usize]) = (&[4, 2], &[3, 4]);
    let network = [(w1, first, floats(8)), (b1, &[4], floats(4)), (w2, last, floats(12)), (b2, &[3], floats(3))];
    tensors(path, &network.map(|(name, shape, bytes)| (name, Dtype::F32, shape, bytes)));
}

fn parameters(path: &str, reading: &Reading) -> Vec<f32> {
    checkpoint::load_as(Path::new(path), reading).unwrap().state.parameters
}

#[test]
fn layers_of_others_are_put_in_order_or_refused() {
    let folder = Folder::new();
    let (plain, other) = (folder.path("plain.safetensors"), folder.path("other.safetensors"));
    others_network(&plain, ["0.weight", "0.bias", "2.weight", "2.bias"]);
    let expected = parameters(&plain, &Reading::default());
    for (one, two) in [
        ("_orig_mod.module.0", "_orig_mod.module.2"),
        ("hidden", "classifier"),
        ("zeta", "alpha"),
        ("model.net.z", "head"),
    ] {
        let names = [("weight", one), ("bias", one), ("weight", two), ("bias", two)];
        let names = names.map(|(part, layer)| format!("{layer}.{part}"));
        others_network(&other, [&names[0], &names[1], &names[2], &names[3]]);
        assert_eq!(parameters(&other, &Reading::default()), expected, "{one}, {two}");
    }
    // Shapes that fit in several orders: names say one, or the user does.
    let square = |names: [&str; 3]| {
        let layer = |(index, name): (usize, &'_ str)| {
            let bytes = floats(9 * (index + 1))[36 * index..].to_vec();
            (name.to_owned() + ".weight", bytes)
        };
        let layers: Vec<(String, Vec<u8>)> = names.into_iter().enumerate().map(layer).collect();
        let shape: &[usize] = &[3, 3];
        let all: Vec<_> = layers.iter().map(|(name, bytes)| (&name[..], Dtype::F32, shape, bytes.clone())).collect();
        tensors(&other, &all);
    };
    square(["fc2", "fc10", "out"]);
    let ordered = parameters(&other, &Reading::default());
    square(["input_layer", "hidden", "output"]);
    assert_eq!(parameters(&other, &Reading::default()), ordered);
    square(["b", "c", "a"]);
    fails(&["inspect", &other], 1, &["other.safetensors", "several orders", "a, b, c", "--layers"]);
    let named = Reading { layers: ["b", "c.weight", "a"].map(str::to_owned).to_vec(), ..Reading::default() };
    assert_eq!(parameters(&other, &named), ordered);
    let words = succeeds(&["inspect", &other, "--layers", "b,c,a", "--activation", "tanh"]);
    assert!(words.contains("activation: tanh") && words.contains("assumed: no bias is a bias of 0"), "{words}");
    fails(&["inspect", &other, "--layers", "b,c,d"], 1, &["no layer d among a, b, c"]);
    fails(&["inspect", &other, "--layers", "b,b"], 1, &["named twice"]);
    fails(&["inspect", &plain, "--layers", "2,0"], 1, &["0 with 2 inputs behind 2"]);
    fails(&["inspect", &plain, "--normalize", "1,0"], 2, &["--normalize"]);
    fails(&["train", "--data", "digits", "--layers", "a"], 2, &["--layers", "--init-from"]);
    let output = output(&["eval", &plain, "--data", &folder.write("t.csv", table(true)), "--backend", "cpu"]);
    let err = text(&output.stderr);
    assert!(err.contains("Model: layers 0, 2 (2-4-3)") && err.contains("ReLU is assumed"), "{err}");
    let (_, own) = table_model(&folder);
    fails(&["eval", &own, "--activation", "tanh"], 2, &["table.safetensors", "leave --layers, --activation"]);
}

#[test]
fn norms_kernels_and_one_output_are_worked_in() {
    let folder = Folder::new();
    let path = folder.path("m.safetensors");
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let vector = |name, values: &[f32]| (name, Dtype::F32, &[2usize][..], bytes(values));
    let weight = |name| (name, Dtype::F32, &[2usize, 2][..], bytes(&[1.0, 2.0, 3.0, 4.0]));
    let close = |reading: &Reading, expected: &[f32]| {
        let found = parameters(&path, reading);
        let near = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(near, "{found:?} {expected:?}");
    };
    let norm = [
        vector("1.weight", &[2.0, 4.0]),
        vector("1.bias", &[0.5, 0.0]),
        vector("1.running_mean", &[1.0, 1.0]),
        vector("1.running_var", &[4.0, 16.0]),
    ];
    let network = [weight("0.weight"), vector("0.bias", &[1.0, 2.0]), weight("3.weight"), vector("3.bias", &[0.0; 2])];
    tensors(&path, &[&network[..], &norm].concat());
    // Weights are transposed in the parameters: 1, 3, 2, 4.
    let last = [1.0, 3.0, 2.0, 4.0, 0.0, 0.0];
    close(&Reading::default(), &[&[1.0, 3.0, 2.0, 4.0, 0.5, 1.0][..], &last].concat());
    let behind = ["0", ACTIVATION, "1", "3"].map(str::to_owned).to_vec();
    let first = [1.0, 3.0, 2.0, 4.0, 1.0, 2.0];
    let after = [1.0, 3.0, 2.0, 4.0, -0.5 - 2.0, -1.5 - 4.0];
    close(&Reading { layers: behind, ..Reading::default() }, &[first, after].concat());
    let normalize = Some(Normalize { mean: 0.5, deviation: 0.25 });
    close(
        &Reading { normalize, ..Reading::default() },
        &[&[4.0, 12.0, 8.0, 16.0, 0.5 - 6.0, 1.0 - 14.0][..], &last].concat(),
    );
    tensors(&path, &[weight("dense/kernel"), weight("dense_1/kernel")]);
    close(&Reading::default(), &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
    tensors(&path, &[("fc.weight", Dtype::F32, &[1, 2], bytes(&[1.0, -1.0]))]);
    close(&Reading::default(), &[0.0, 1.0, 0.0, -1.0, 0.0, 0.0]);
    close(&Reading { task: Some(Task::Values), ..Reading::default() }, &[1.0, -1.0, 0.0]);
    let rows = folder.write("rows.csv", "a,b\n2,1\n");
    let line = json(&succeeds(&["predict", &path, &rows, "--json", "--backend", "cpu"]));
    assert!((line["probabilities"][1].as_f64().unwrap() - 0.731_058_6).abs() < 1e-6, "{line}");
    let values = succeeds(&["predict", &path, &rows, "--task", "values", "--backend", "cpu"]);
    assert!(values.trim_end().ends_with(": 1"), "{values}");
    let data = folder.write("table.csv", "a,b,label\n1,0,0\n0,1,1\n1,2,1\n2,0,0\n");
    let fit = ["train", "--backend", "cpu", "--data", &data, "--hidden", "none", "--init-from", &path, "--epochs", "1"];
    succeeds(&fit);
    tensors(&path, &[&network[..], &norm[..2]].concat());
    fails(&["inspect", &path], 1, &["a LayerNorm", "1.weight of shape [2]"]);
}

#[test]
fn exports_are_read_back_by_every_command() {
    let folder = Folder::new();
    let (data, model) = table_model(&folder);
    let rows = folder.write("rows.csv", "width,height\n100.5,0.5\n104.5,1.5\n110.5,2.5\n");
    let numbers =
        folder.write("numbers.csv", table(true).replace("ant", "1.5").replace("bee", "2.25").replace("cat", "9.5"));
    let values = folder.path("values.safetensors");
    let fit = ["train", "--backend", "cpu", "--data", &numbers, "--task", "values", "--hidden", "4", "--epochs", "2"];
    succeeds(&[&fit[..], &["--activation", "tanh", "--save", &values]].concat());
    let others = folder.path("others.safetensors");
    others_network(&others, ["0.weight", "0.bias", "2.weight", "2.bias"]);
    for (from, flags) in [(&model, &[][..]), (&values, &[]), (&others, &["--activation", "gelu"])] {
        let predict = |path: &str, flags: &[&str]| {
            succeeds(&[&["predict", path, &rows, "--json", "--backend", "cpu"], flags].concat())
        };
        let before = predict(from, flags);
        for ending in ["onnx", "npz", "safetensors"] {
            let path = folder.path(&format!("back.{ending}"));
            succeeds(&[&["export", from, "--output", &path], flags].concat());
            assert_eq!(predict(&path, &[]), before, "{from} as {ending}");
            succeeds(&["inspect", &path]);
        }
    }
    for ending in ["onnx", "npz"] {
        let path = folder.path(&format!("m.{ending}"));
        succeeds(&["export", &model, "--output", &path]);
        let found = |model: &str| succeeds(&["eval", model, "--data", &data, "--json", "--backend", "cpu"]);
        assert_eq!(found(&path), found(&model));
        fails(&["eval", &path, "--layers", "W1"], 2, &["leave --layers"]);
        let run = ["train", "--backend", "cpu", "--data", &data, "--hidden", "8", "--epochs", "1"];
        succeeds(&[&run[..], &["--init-from", &path]].concat());
        fails(&["train", "--backend", "cpu", "--resume", &path], 1, &[&path, "how it was trained"]);
    }
}

#[test]
fn files_that_are_no_safetensors_are_named_with_the_way_to_convert_them() {
    let folder = Folder::new();
    let zip = |name: &str, content: &[u8]| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
        archive.finish().unwrap().into_inner()
    };
    // ONNX of another producer: version 8, and a graph of one operator.
    let onnx = b"\x08\x08\x12\x07pytorch\x3a\x08\x0a\x06\x22\x04Gemm".to_vec();
    for (name, bytes, parts) in [
        ("m.pth", zip("m/data.pkl", b"\x80\x02}."), ["PyTorch pickle", "torch.load", "save_file"]),
        ("m.pkl", b"\x80\x04\x95sklearn".to_vec(), ["scikit-learn", "joblib", "save_file"]),
        ("m.onnx", onnx, ["ONNX model of other software", "onnx.load", "save_file"]),
        ("m.h5", b"\x89HDF\r\n\x1a\n".to_vec(), ["HDF5", "keras", "save_file"]),
        ("m.gguf", b"GGUF\x03\0\0\0\0".to_vec(), ["GGUF", "GGUFReader", "save_file"]),
        ("m.zip", zip("a.txt", b"a"), ["without weights", "a.txt", "safetensors"]),
    ] {
        let path = folder.write(name, bytes);
        for command in ["inspect", "eval"] {
            fails(&[command, &path], 1, &[&[name][..], &parts].concat());
        }
    }
}

/// Whether a failure is one line that names the file.
fn is_clear(path: &Path, error: &Error) -> bool {
    let line = error.to_string();
    !line.contains('\n') && line.contains(path.file_name().unwrap().to_str().unwrap()) && error.exit_code() == 1
}

#[test]
fn broken_files_of_every_format_are_clear_errors() {
    let folder = Folder::new();
    let (csv, model) = table_model(&folder);
    let npz = folder.path("m.npz");
    write_archive(&npz);
    let png = folder.path("digit.png");
    digits(0..1)[0].save(&png).unwrap();
    let images = folder.0.path().join("images");
    let kinds = ["0", "1"].map(|class| images.join(class));
    for (kind, digit) in kinds.iter().zip(digits(0..2)) {
        fs::create_dir_all(kind).unwrap();
        (0..4).for_each(|number| digit.save(kind.join(format!("{number}.png"))).unwrap());
    }
    let load = |path: &Path| data::load(path.to_str().unwrap(), &data::Options::default()).map(drop);
    let frame = |path: &Path| data::Form::MNIST.row(path).map(drop);
    type Reader<'a> = &'a dyn Fn(&Path) -> mlp_gpu::error::Result<()>;
    let part = kinds[0].join("0.png");
    let (of_model, of_folder): (Reader<'_>, Reader<'_>) =
        (&|path| checkpoint::load(path).map(drop), &|_| load(&images));
    let [onnx, archive, torch] = ["m.onnx", "model.npz", "torch.safetensors"].map(|name| folder.path(name));
    succeeds(&["export", &model, "--output", &onnx]);
    succeeds(&["export", &model, "--output", &archive]);
    others_network(&torch, ["enc.0.weight", "enc.0.bias", "enc.1.weight", "enc.1.bias"]);
    let formats: [(&Path, Reader<'_>); 8] = [
        (Path::new(&model), of_model),
        (Path::new(&onnx), of_model),
        (Path::new(&archive), of_model),
        (Path::new(&torch), of_model),
        (Path::new(&csv), &load),
        (Path::new(&npz), &load),
        (Path::new(&png), &frame),
        (&part, of_folder),
    ];
    for (path, read) in formats {
        let content = fs::read(path).unwrap();
        read(path).unwrap();
        let step = content.len() / 60 + 1;
        let cut = (0..content.len()).step_by(step).map(|length| content[..length].to_vec());
        let flipped = (0..content.len()).step_by(step / 2 + 1).flat_map(|at| {
            [0xff, 0x01, 0x80].map(|bits| {
                let mut content = content.clone();
                content[at] ^= bits;
                content
            })
        });
        let others =
            [b"".to_vec(), b"\0".repeat(2000), b"<html></html>".to_vec(), b"PK\x03\x04".to_vec(), vec![0xff; 64]];
        for broken in cut.chain(flipped).chain(others) {
            fs::write(path, &broken).unwrap();
            // Many changes are harmless; all others are told of.
            let result = catch_unwind(std::panic::AssertUnwindSafe(|| read(path)));
            let result = result.unwrap_or_else(|_| panic!("{}: {:?}", path.display(), &broken[..broken.len().min(80)]));
            if let Err(error) = result {
                assert!(is_clear(path, &error) || is_clear(&images, &error), "{error}");
            }
        }
        fs::write(path, content).unwrap();
    }
    for missing in [folder.path("none"), folder.path("images")] {
        fails(&["eval", &missing, "--data", &csv], 1, &[&missing]);
        fails(&["inspect", &missing], 1, &[&missing]);
    }
}

/// A small archive as Keras' mnist.npz.
fn write_archive(path: &str) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, rows) in [("train", 20), ("test", 5)] {
        for (array, kind, shape, bytes) in [
            ("x", "|u1", format!("({rows}, 4, 4)"), (0..rows * 16).map(|i| (i * 37) as u8).collect::<Vec<u8>>()),
            ("y", "|u1", format!("({rows},)"), (0..rows).map(|i| (i % 3) as u8).collect()),
        ] {
            let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
            header.push_str(&" ".repeat(117 - header.len()));
            header.push('\n');
            archive.start_file(format!("{array}_{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&[b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &bytes].concat()).unwrap();
        }
    }
    archive.finish().unwrap();
}
