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
use mlp_gpu::data::{self, Inputs};
use mlp_gpu::error::Error;
use mlp_gpu::{checkpoint, export};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
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
        println!("no adapter: the CPU alone was tested");
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
        for part in ["Rows: 24", "Accuracy: 1.0000", "precision  recall", "confusion matrix"] {
            assert!(words.contains(part), "{words}");
        }
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
    assert_eq!(arrays.keys().collect::<Vec<_>>(), ["W1", "W2", "b1", "b2", "clip", "divisor", "offset"]);
    let layers = loaded.model.layers();
    assert!(arrays["W1"].0.contains("'<f4'") && arrays["W1"].0.contains("(2, 8,)"), "{}", arrays["W1"].0);
    assert_eq!(arrays["W1"].1, loaded.state.parameters[layers[0].weights.clone()]);
    assert_eq!(arrays["b2"].1, loaded.state.parameters[layers[1].biases.clone()]);

    let again = folder.path("again.safetensors");
    succeeds(&["export", &model, "--output", &again]);
    assert_eq!(fs::read(&again).unwrap(), fs::read(&model).unwrap());
    let onnx = folder.path("m.onnx");
    succeeds(&["export", &model, "--output", &onnx]);
    assert_eq!(fs::read(&onnx).unwrap(), export::onnx(&loaded).unwrap());
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
        (&shape, ["net.2.weight", "5"]),
        (&kind, ["net.0.bias", "I32"]),
        (&name, ["net.", "bias"]),
        (&good[..3], ["net.2.", "bias"]),
        (&[], ["", "found"]),
    ] {
        tensors(&path, bad);
        fails(&["inspect", &path], 1, &[&parts[..], &["torch.safetensors", "expected"]].concat());
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
    let frame = |path: &Path| data::Framing::Mnist.row(path, (28, 28)).map(drop);
    type Reader<'a> = &'a dyn Fn(&Path) -> mlp_gpu::error::Result<()>;
    let part = kinds[0].join("0.png");
    let (of_model, of_folder): (Reader<'_>, Reader<'_>) =
        (&|path| checkpoint::load(path).map(drop), &|_| load(&images));
    let formats: [(&Path, Reader<'_>); 5] = [
        (Path::new(&model), of_model),
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
