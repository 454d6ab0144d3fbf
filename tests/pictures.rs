//! Pictures as people have them, through the real binary: photos of digits, forms, several digits in one picture, colours, files
//! that cannot be read.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output};

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma, Rgb, RgbImage};
use mlp_gpu::data::{self, Inputs};
use tempfile::TempDir;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output and standard error of a run that succeeds.
fn succeeds(arguments: &[&str]) -> (String, String) {
    let output = run(&[arguments, &["--backend", "cpu"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    (String::from_utf8(output.stdout.clone()).unwrap(), told(&output))
}

/// A folder with a model of the embedded digits.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn model(&self) -> String {
        let model = self.path("digits.safetensors");
        let notebook = ["--recipe", "notebook", "--hidden", "32", "--epochs", "3", "--quiet"];
        succeeds(&[&["train", "--data", "digits", "--save", &model][..], &notebook].concat());
        model
    }

    /// Saves an image in this folder, in folders that are made.
    fn save(&self, name: &str, image: &GrayImage) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The first `count` digits of the embedded test part, and their labels.
fn digits(count: usize) -> Vec<(GrayImage, u32)> {
    let test = data::digits().unwrap().test.unwrap();
    let Inputs::U8(bytes) = &test.inputs else { unreachable!("images are bytes") };
    let image = |row: usize| GrayImage::from_raw(28, 28, bytes[row * 784..][..784].to_vec()).unwrap();
    (0..count).map(|row| (image(row), test.labels()[row])).collect()
}

/// Draws `digit` dark on `page`, `side` pixels high and wide.
fn write(page: &mut GrayImage, digit: &GrayImage, (left, top): (u32, u32), side: u32) {
    let drawn = imageops::resize(digit, side, side, FilterType::CatmullRom);
    for (x, y, ink) in drawn.enumerate_pixels() {
        let pixel = page.get_pixel_mut(left + x, top + y);
        pixel[0] = pixel[0].min(235 - (u32::from(ink[0]) * 200 / 255) as u8);
    }
}

fn page(width: u32, height: u32) -> GrayImage {
    GrayImage::from_pixel(width, height, Luma([235]))
}

/// The classes that are predicted, in the order of the lines.
fn classes(out: &str) -> Vec<String> {
    out.lines().map(|line| line.rsplit(' ').nth(1).unwrap().to_owned()).collect()
}

/// The share of the figures that both have.
fn same(a: &[String], b: &[String]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}

#[test]
fn a_folder_of_photos_is_evaluated_as_it_is_predicted() {
    let folder = Folder::new();
    let model = folder.model();
    for (number, (digit, label)) in digits(60).iter().enumerate() {
        let mut photo = page(300, 400);
        write(&mut photo, digit, (40, 90), 180);
        folder.save(&format!("photos/{label}/{number}.png"), &photo);
    }
    let photos = folder.path("photos");
    let accuracy = |arguments: &[&str]| {
        let (out, said) = succeeds(&[&["eval", &model, "--data", &photos, "--json"], arguments].concat());
        (serde_json::from_str::<serde_json::Value>(&out).unwrap()["accuracy"].as_f64().unwrap(), said)
    };
    let (framed, said) = accuracy(&[]);
    assert!(framed > 0.85 && said.contains("framed as MNIST's digits are") && said.contains("--framing"), "{said}");
    assert!(accuracy(&["--framing", "resize"]).0 < 0.5);
    // Training on them does not frame them unless that is asked for, and the model remembers.
    let trained = |framing: &[&str]| {
        let own = folder.path("own.safetensors");
        let train = ["train", "--data", &photos, "--image-size", "28x28", "--hidden", "none", "--epochs", "1"];
        succeeds(&[&train[..], &["--save", &own], framing].concat());
        mlp_gpu::load_model(own.as_ref()).unwrap().framing()
    };
    assert_eq!(trained(&[]), data::Framing::Resize);
    assert_eq!(trained(&["--framing", "mnist"]), data::Framing::Mnist);
}

#[test]
fn digits_in_boxes_and_on_ruled_paper_are_predicted_as_without() {
    let folder = Folder::new();
    let model = folder.model();
    let digits = digits(40);
    let predicted = |kind: &str, rule: &dyn Fn(u32, u32) -> bool| {
        for (number, (digit, _)) in digits.iter().enumerate() {
            let mut photo = GrayImage::from_fn(320, 320, |x, y| Luma([if rule(x, y) { 120 } else { 235 }]));
            write(&mut photo, digit, (70, 70), 180);
            folder.save(&format!("{kind}/{number:02}.png"), &photo);
        }
        let (out, said) = succeeds(&["predict", &model, &folder.path(kind)]);
        assert!(!said.contains("pieces of writing"), "{said}");
        classes(&out)
    };
    let plain = predicted("plain", &|_, _| false);
    let ring = |x: u32, y: u32, width: u32| {
        let from_edge = x.min(y).min(319 - x).min(319 - y);
        (20..20 + width).contains(&from_edge)
    };
    for (kind, rule) in [
        ("box", &(|x, y| ring(x, y, 4)) as &dyn Fn(u32, u32) -> bool),
        ("thick", &|x, y| ring(x, y, 12)),
        ("ruled", &|_, y| y % 52 < 3),
        ("squared", &|x, y| y % 52 < 3 || x % 52 < 3),
    ] {
        let share = same(&predicted(kind, rule), &plain);
        assert!(share >= 0.9, "{kind}: {share}");
    }
}

#[test]
fn pieces_of_writing_are_predicted_in_the_order_of_reading() {
    let folder = Folder::new();
    let model = folder.model();
    let digits = digits(6);
    let mut number = page(560, 400);
    for (index, (digit, _)) in (0..).zip(&digits) {
        write(&mut number, digit, (20 + index % 3 * 180, 20 + index / 3 * 190), 160);
    }
    let several = folder.save("number.png", &number);
    let single: Vec<String> = (0..)
        .zip(&digits)
        .map(|(index, (digit, _))| {
            let mut photo = page(300, 300);
            write(&mut photo, digit, (60, 60), 160);
            folder.save(&format!("{index}.png"), &photo)
        })
        .collect();
    let single: Vec<&str> = single.iter().map(String::as_str).collect();
    let (alone, said) = succeeds(&[&["predict", &model], &single[..]].concat());
    assert!(!said.contains("pieces of writing"), "{said}");
    let (seen, out) = (folder.path("seen.png"), folder.path("out.csv"));
    let (split, _) = succeeds(&["predict", &model, &several, "--split", "--framed", &seen]);
    assert_eq!(classes(&split), classes(&alone));
    assert!(split.lines().nth(5).unwrap().contains("number.png#6: "), "{split}");
    // Six pictures of 28 x 28 in a row, drawn four times as large, with margins.
    assert_eq!(image::image_dimensions(&seen).unwrap(), ((6 * 30 + 2) * 4, (30 + 2) * 4));
    succeeds(&["predict", &model, &several, "--split", "--output", &out]);
    let table = fs::read_to_string(&out).unwrap();
    assert!(table.lines().nth(1).unwrap().contains("number.png#1,") && table.lines().count() == 7, "{table}");
    let (_, said) = succeeds(&["predict", &model, &several]);
    assert!(said.contains("seems to hold 6 pieces of writing; --split predicts each"), "{said}");
    let refused = run(&["predict", &model, &several, "--split", "--framing", "resize", "--backend", "cpu"]);
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
}

#[test]
fn what_cannot_be_read_is_named_or_left_out() {
    let folder = Folder::new();
    let model = folder.model();
    let (digit, _) = &digits(1)[0];
    let photos = folder.path("photos");
    for class in ["0", "1"] {
        for number in 0..12 {
            folder.save(&format!("photos/{class}/{number}.png"), digit);
        }
    }
    let cut = |name: &str| {
        let broken = folder.path(&format!("photos/{name}.png"));
        fs::write(&broken, &fs::read(&broken).unwrap()[..40]).unwrap();
    };
    cut("0/3");
    let heic = folder.path("photos/0/IMG_1.HEIC");
    fs::write(&heic, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    for arguments in [vec!["train", "--data", &photos, "--hidden", "none"], vec!["eval", &model, "--data", &photos]] {
        // One of 24 is no fault of the folder.
        let (_, said) = succeeds(&arguments);
        assert!(said.contains("1 of 24 images is left out as broken: 0/3.png"), "{said}");
        assert!(said.contains("1 HEIC (set the camera to JPEG"), "{said}");
    }
    // A folder says what it leaves out; a file that is named is an error.
    let class = folder.path("photos/0");
    let refused = run(&["predict", &model, &class, "--backend", "cpu"]);
    assert_eq!((refused.status.code(), refused.stdout.iter().filter(|byte| **byte == b'\n').count()), (Some(1), 11));
    let out = folder.path("out.csv");
    let (_, said) = succeeds(&["predict", &model, &class, &heic, "--skip-broken", "--output", &out]);
    assert!(said.contains("left out") && said.contains("2 of 13 inputs are left out as broken"), "{said}");
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 12);
    ["1/4", "1/5"].into_iter().for_each(cut);
    for arguments in [vec!["train", "--data", &photos, "--hidden", "none"], vec!["eval", &model, "--data", &photos]] {
        let refused = run(&[&arguments[..], &["--backend", "cpu"]].concat());
        let said = told(&refused);
        assert!(
            said.contains("3 of 24 images") && said.contains("1/5.png") && said.contains("--skip-broken"),
            "{said}"
        );
        assert_eq!(refused.status.code(), Some(1));
        let (_, said) = succeeds(&[&arguments[..], &["--skip-broken"]].concat());
        assert!(said.contains("3 of 24 images are left out as broken: 0/3.png, 1/4.png, 1/5.png"), "{said}");
    }
    let refused = run(&["predict", &model, &heic, "--backend", "cpu"]);
    assert!(told(&refused).contains("IMG_1.HEIC: found the format HEIC, which is not read"), "{}", told(&refused));
    assert_eq!(run(&["predict", &model, &heic, "--skip-broken", "--backend", "cpu"]).status.code(), Some(1));
}

#[test]
fn colours_are_kept_from_training_to_prediction() {
    let folder = Folder::new();
    // Red and green of one lightness: in grey they are the same.
    let shades = [("red", Rgb([200, 30, 30])), ("green", Rgb([30, 120, 30]))];
    for (class, colour) in shades {
        fs::create_dir_all(folder.path(&format!("images/{class}"))).unwrap();
        for number in 0..40u8 {
            let image =
                RgbImage::from_fn(6, 4, |x, y| if (x + y) as u8 % 7 == number % 7 { Rgb([9; 3]) } else { colour });
            image.save(folder.path(&format!("images/{class}/{number}.png"))).unwrap();
        }
    }
    let (images, model) = (folder.path("images"), folder.path("m.safetensors"));
    let train = ["train", "--data", &images, "--hidden", "8", "--epochs", "40"];
    let (_, said) = succeeds(&train);
    assert!(said.contains("are in colour and are taken in grey (--colour says otherwise)"), "{said}");
    let (out, said) = succeeds(&[&train[..], &["--colour", "--augment", "shift:1", "--save", &model]].concat());
    assert!(out.contains("Test Accuracy: 1.0000") && !said.contains("in grey"), "{out} {said}");
    let red = folder.path("images/red/1.png");
    let grey = folder.path("grey.safetensors");
    succeeds(&[&train[..], &["--save", &grey]].concat());
    let (_, said) = succeeds(&["predict", &grey, &red]);
    assert!(said.contains("1 of 1 images are in colour and are taken in grey"), "{said}");
    assert_eq!(classes(&succeeds(&["predict", &model, &red]).0), ["red"]);
    let (out, _) = succeeds(&["eval", &model, "--data", &images, "--part", "train"]);
    assert!(out.contains("1.0000"), "{out}");
    let sheet = folder.path("sheet.png");
    assert!(run(&["data", "preview", &images, "--colour", "--out", &sheet]).status.success());
    assert_eq!(image::open(&sheet).unwrap().color(), image::ColorType::Rgb8);
    let units = folder.path("units.png");
    assert!(run(&["inspect", &model, "--units", &units]).status.success());
    assert_eq!(image::open(&units).unwrap().color(), image::ColorType::Rgb8);
}

#[test]
fn tables_that_begin_as_pictures_do_and_pipes_are_read_whole() {
    let folder = Folder::new();
    let (table, model) = (folder.path("bmi.csv"), folder.path("bmi.safetensors"));
    let rows: String =
        (0..60).map(|row| format!("{},{},{}\n", row % 30, row, if row % 2 == 0 { "a" } else { "b" })).collect();
    fs::write(&table, format!("BMI,P2,class\n{rows}")).unwrap();
    succeeds(&["train", "--data", &table, "--hidden", "none", "--epochs", "1", "--save", &model]);
    let nameless = folder.path("rows");
    fs::copy(&table, &nameless).unwrap();
    for path in [&table, &nameless] {
        let options = ["--split", "--framing", "resize", "--skip-broken"];
        let (out, said) = succeeds(&[&["predict", &model, path], &options[..]].concat());
        assert_eq!(out.lines().count(), 60, "{said}");
        assert!(options.iter().filter(|flag| flag.starts_with("--")).all(|flag| said.contains(flag)), "{said}");
    }
    #[cfg(unix)]
    {
        let pipe = folder.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut writer = Command::new("cp").args([&table, &pipe]).spawn().unwrap();
        assert_eq!(succeeds(&["predict", &model, &pipe]).0.lines().count(), 60);
        assert!(writer.wait().unwrap().success());
        // One in a folder of images is left out.
        fs::create_dir(folder.path("images")).unwrap();
        fs::rename(&pipe, folder.path("images/pipe.png")).unwrap();
        folder.save("images/1.png", &GrayImage::new(2, 1));
        let said = told(&run(&["predict", &model, &folder.path("images"), "--backend", "cpu"]));
        assert!(said.contains("pipe.png") && said.contains("1.png: found an image"), "{said}");
    }
}

#[test]
fn files_that_a_folder_leaves_out_are_not_overwritten() {
    let folder = Folder::new();
    let model = folder.model();
    for class in ["a", "b"] {
        folder.save(&format!("ow/{class}/1.png"), &digits(1)[0].0);
    }
    let (notes, heic) = (folder.path("ow/a/notes.txt"), folder.path("ow/b/IMG.HEIC"));
    fs::write(&notes, "kept").unwrap();
    fs::write(&heic, "kept").unwrap();
    let (class, pattern, all) = (folder.path("ow/a"), folder.path("ow/b/*"), folder.path("ow"));
    for arguments in [
        ["predict", &model, &class, "--output", &notes],
        ["predict", &model, &class, "--framed", &notes],
        ["predict", &model, &pattern, "--output", &heic],
    ] {
        let refused = run(&[&arguments[..], &["--backend", "cpu"]].concat());
        assert!(told(&refused).contains("would overwrite"), "{}", told(&refused));
    }
    assert!(told(&run(&["data", "preview", &all, "--out", &heic])).contains("would overwrite"));
    assert_eq!([&notes, &heic].map(|path| fs::read_to_string(path).unwrap()), ["kept", "kept"]);
}

#[test]
fn pages_of_small_writing_are_told_from_empty_ones() {
    let folder = Folder::new();
    let model = folder.model();
    let mut full = page(1000, 1000);
    for (index, (digit, _)) in (0..).zip(digits(100)) {
        write(&mut full, &digit, (30 + index % 10 * 96, 30 + index / 10 * 96), 44);
    }
    let (full, empty) = (folder.save("full.png", &full), folder.save("empty.png", &page(300, 300)));
    let refused = |path: &str, split: &[&str]| {
        let output = run(&[&["predict", &model, path, "--backend", "cpu"], split].concat());
        assert_eq!(output.status.code(), Some(1), "{path}: {}", told(&output));
        told(&output)
    };
    let said = refused(&full, &[]);
    assert!(said.contains("small pieces") && said.contains("option split"), "{said}");
    for split in [&[][..], &["--split"]] {
        assert!(refused(&empty, split).contains("no writing stands out"));
    }
    let (out, _) = succeeds(&["predict", &model, &full, "--split"]);
    assert!(out.lines().count().abs_diff(100) < 6, "{out}");
}
