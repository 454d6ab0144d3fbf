//! Data of one's own through the real binary: tables, NumPy archives, folders of images; what is learnt, kept and refused.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mlp_gpu::backend::cpu::Cpu;
use mlp_gpu::backend::{Backend, Split};
use mlp_gpu::checkpoint;
use mlp_gpu::data::{self, Inputs, Known, Options, Part, Task, csv};
use mlp_gpu::error::Error;
use mlp_gpu::model::Mlp;
use mlp_gpu::recipe::Recipe;
use zip::write::SimpleFileOptions;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command.output().unwrap()
}

/// Standard output and standard error of `train`.
fn train_on(backend: &str, data: &Path, more: &[&str]) -> (String, String) {
    let output = run(&[&["train", "--backend", backend, "--data", data.to_str().unwrap()], more].concat());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{more:?}: {err}");
    (out, err)
}

fn train(data: &Path, more: &[&str]) -> (String, String) {
    train_on("cpu", data, more)
}

fn accuracy(out: &str) -> f64 {
    out.lines().last().unwrap().strip_prefix("Test Accuracy: ").unwrap().parse().unwrap()
}

/// Expects the exit code and one line of error that has all of `parts`.
fn refused(data: &Path, more: &[&str], code: i32, parts: &[&str]) {
    let output = run(&[&["train", "--backend", "cpu", "--data", data.to_str().unwrap()], more].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{more:?}: {text}");
    assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("panicked"), "{parts:?}: {text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{text}");
}

/// Three rings around one centre, which no straight line parts: radius, angle and place differ by row.
fn rings(rows: usize) -> Vec<([f64; 2], &'static str)> {
    let ring = |row: usize| {
        let class = row % 3;
        let angle = row as f64 * 2.399_963;
        let radius = [1.0, 2.0, 3.0][class] + 0.3 * (row as f64 * 1.7).sin();
        ([100.0 + radius * angle.cos(), 0.001 * radius * angle.sin()], ["inner", "middle", "outer"][class])
    };
    (0..rows).map(ring).collect()
}

fn table(rows: &[([f64; 2], &str)], header: bool) -> String {
    let mut text = if header { "east,north,ring\n".to_owned() } else { String::new() };
    for ([east, north], ring) in rows {
        writeln!(text, "{east},{north},{ring}").unwrap();
    }
    text
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

const WELL: [&str; 10] =
    ["--hidden", "32", "--epochs", "100", "--batch-size", "16", "--lr-decay", "0", "--threads", "1"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&WELL[..], more].concat()
}

#[test]
fn a_table_is_learnt_that_no_linear_model_can_learn() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rings(600);
    let named = write(folder.path(), "named.csv", table(&rows[..450], true));
    let test = write(folder.path(), "test.csv", table(&rows[450..], true));
    let plain = write(folder.path(), "plain.csv", table(&rows[..450], false));
    let test = test.to_str().unwrap();
    let (out, err) = train(&named, &with(&["--label", "ring", "--test", test]));
    assert!(accuracy(&out) >= 0.97, "{out}");
    assert!(!err.contains("--test-split"), "{err}");
    let (same, _) = train(&plain, &with(&["--label", "last", "--test", test]));
    assert_eq!(accuracy(&same), accuracy(&out));
    let (linear, _) = train(&named, &with(&["--label", "ring", "--test", test, "--hidden", "none"])[2..]);
    assert!(accuracy(&linear) < 0.6, "{linear}");
    let (split, err) = train(&named, &with(&["--label", "ring"]));
    assert!(
        accuracy(&split) >= 0.95 && err.contains("45 of 450 rows") && err.contains("(--test-split says otherwise)"),
        "{err}"
    );
}

#[test]
fn a_larger_table_spares_rows_that_say_when_to_stop_and_all_rows_can_be_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(600), true));
    let model = folder.path().join("m.safetensors");
    let label = ["--label", "ring", "--hidden", "16", "--epochs", "3"];
    let (out, err) = train(&data, &[&label[..], &["--save", model.to_str().unwrap()]].concat());
    assert!(out.lines().next().unwrap().contains("Validation Loss"), "{out}");
    assert!(err.contains("54 training rows are the validation part, 486 are left (--validation-split says"), "{err}");
    assert!(err.contains("is kept, the one with the least validation loss"), "{err}");
    let reading = checkpoint::load(&model).unwrap().metadata.unwrap().reading;
    assert_eq!(reading.validation_split, Some(0.1), "a run that goes on draws the same rows");
    let (out, err) = train(&data, &[&label[..], &["--validation-split", "0", "--test-split", "0"]].concat());
    assert!(!out.contains("Validation") && !out.contains("Test"), "{out}");
    assert!(!err.contains("are the validation part") && !err.contains("are the test part"), "{err}");
    // Few rows are all needed, and the notebook's recipe stops by itself.
    let few = write(folder.path(), "few.csv", table(&rings(400), true));
    assert!(!train(&few, &label).0.contains("Validation"));
    assert!(!train(&data, &[&label[..], &["--recipe", "notebook"]].concat()).0.contains("Validation"));
}

#[test]
fn a_table_trains_on_a_gpu_as_it_does_on_the_cpu() {
    let devices = String::from_utf8(run(&["devices"]).stdout).unwrap();
    if !devices.starts_with("0: ") {
        assert!(std::env::var_os("MLP_GPU_REQUIRE_ADAPTER").is_none(), "{devices}");
        println!("no adapter: a_table_trains_on_a_gpu_as_it_does_on_the_cpu");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(300), true));
    let more = ["--label", "ring", "--epochs", "3", "--validation-split", "0.2", "--hidden", "16", "--verbose"];
    let part = |backend| {
        let (out, _) = train_on(backend, &data, &more);
        let numbers = |line: &str, name: &str| -> f64 {
            let after = line.split_once(&format!("{name}: ")).unwrap().1;
            after.split([',', '\n']).next().unwrap().parse().unwrap()
        };
        let line = out.split_once("Epoch 3/3").unwrap().1.to_owned();
        ["Mean Loss", "Test Loss", "Validation Loss"].map(|name| numbers(&line, name))
    };
    for (gpu, cpu) in part("gpu").iter().zip(part("cpu")) {
        assert!((gpu - cpu).abs() < 1e-3, "{gpu} {cpu}");
    }
}

#[test]
fn a_model_keeps_what_it_takes_to_read_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rings(300);
    let data = write(folder.path(), "rings.csv", table(&rows, true));
    let model = folder.path().join("m.safetensors");
    train(&data, &with(&["--label", "ring", "--scale", "standard", "--save", model.to_str().unwrap()]));
    let checkpoint = checkpoint::load(&model).unwrap();
    let metadata = checkpoint.metadata.as_ref().unwrap();
    assert_eq!(metadata.classes, ["inner", "middle", "outer"]);
    let scaling = metadata.scaling.as_ref().unwrap();
    assert!((scaling.offset[0] - 100.0).abs() < 0.5 && (1e-3..2e-3).contains(&scaling.divisor[1]), "{scaling:?}");
    let columns = metadata.columns.as_ref().unwrap();
    assert_eq!(columns.names.as_deref().unwrap(), ["east", "north", "ring"]);

    let other = write(folder.path(), "other.csv", "ring,north,east\nouter,0.001,98\ninner,0.0005,100.5\n");
    let known = checkpoint.known();
    let load_for = |path: &Path| data::load_for(path.to_str().unwrap(), &Options::default(), &known, Part::Test);
    let (samples, _) = load_for(&other).unwrap();
    let scaled = |value: f32, feature: usize| {
        ((f64::from(value) - f64::from(scaling.offset[feature])) / f64::from(scaling.divisor[feature])) as f32
    };
    let expected = [scaled(98.0, 0), scaled(0.001, 1), scaled(100.5, 0), scaled(0.0005, 1)];
    assert_eq!((&samples.inputs, samples.labels()), (&Inputs::F32(expected.to_vec()), &[2, 0][..]));
    let unlabelled = write(folder.path(), "unlabelled.csv", "north,east\n0.001,98\n");
    let unlabelled = csv::features(&unlabelled, None, &Options::default(), columns, known.schema, &mut Vec::new());
    assert_eq!(unlabelled.unwrap().values, [98.0, 0.001]);
    let unknown = write(folder.path(), "unknown.csv", "ring,north,east\nouter,0.001,98\nfar,0,0\n");
    let error = load_for(&unknown).unwrap_err().to_string();
    assert!(error.contains("\"far\" in line 3") && error.contains("\"inner\""), "{error}");
}

/// A table of houses with 200 rows: a size, a number of rooms, and a price that follows from both.
fn houses() -> String {
    let row = |row: u32| format!("{},{},{}\n", 50 + row, row % 5 + 1, 1_000_000.5 + 2500.0 * f64::from(row % 37));
    format!("size,rooms,price\n{}", (0..200).map(row).collect::<String>())
}

#[test]
fn test_rows_that_were_trained_on_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rings(90);
    let data = write(folder.path(), "rings.csv", table(&rows[..60], true));
    let told = |test: &[([f64; 2], &str)], target: &str| {
        let test = write(folder.path(), "test.csv", table(test, true));
        let flags = ["--test", test.to_str().unwrap(), "--target", target, "--epochs", "1"];
        train(&data, &flags).1
    };
    for target in ["ring", "north"] {
        assert!(told(&rows[..60], target).contains("all 60 test rows are training rows, too"));
        assert!(told(&rows[20..80], target).contains("40 of the 60 test rows are training rows, too"));
        assert!(!told(&rows[30..90], target).contains("training rows, too"));
    }
}

#[test]
fn what_is_for_classes_or_takes_a_validation_part_is_refused_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(60), true));
    let values = ["--target", "north", "--epochs", "1"];
    for option in [["--label-smoothing", "0.1"], ["--target-accuracy", "0.9"]] {
        refused(&data, &[&values[..], &option].concat(), 2, &[option[0], "is for classes", "rings.csv are numbers"]);
    }
    let stops = ["--target", "ring", "--early-stop", "3", "--epochs", "9"];
    refused(&data, &stops, 2, &["--early-stop", "rings.csv has none", "--validation-split"]);
    train(&data, &[&stops[..], &["--validation-split", "0.2"]].concat());
}

#[test]
fn a_table_of_numbers_is_read_with_standardised_targets() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "houses.csv", houses());
    let source = data.to_str().unwrap();
    let options = Options { target: Some("price".into()), test_split: Some(0.25), seed: 1, ..Options::default() };
    let (set, notes) = data::load(source, &options).unwrap();
    assert_eq!(
        (set.task(), set.outputs(), set.train.len(), set.test.as_ref().unwrap().len()),
        (Task::Values, 1, 150, 50)
    );
    assert!(notes.iter().any(|note| note.contains("targets in column 3 (\"price\")")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("taken as numbers")), "{notes:?}");
    let scale = set.target_scale.as_ref().unwrap();
    assert!(scale.names == ["price"] && (1_030_000.0..1_060_000.0).contains(&scale.mean[0]), "{scale:?}");
    let mean = set.train.values().iter().map(|&value| f64::from(value)).sum::<f64>() / 150.0;
    assert!(mean.abs() < 1e-6, "{mean}");

    // What a model of it would know: other data come in the same unit, in whatever order of columns.
    let known = Known {
        model: "m",
        width: 2,
        classes: [].as_slice().into(),
        task: Task::Values,
        target_scale: Some(scale),
        columns: set.columns.as_ref(),
        schema: set.schema.as_ref(),
        image: None,
        framing: data::Framing::Resize,
        trained_on: None,
        scaling: set.scaling.as_ref(),
        range: None,
        of_images: false,
        transpose: None,
        origin: Some(&set.origin),
        described: true,
    };
    let load_for = |path: &Path, options: &Options| data::load_for(path.to_str().unwrap(), options, &known, Part::Test);
    let (test, notes) = load_for(&data, &Options { seed: 1, ..Options::default() }).unwrap();
    assert!(
        test == **set.test.as_ref().unwrap() && notes.iter().any(|note| note.contains("the test part")),
        "{notes:?}"
    );
    let other = write(folder.path(), "other.csv", "price,rooms,size\n1000000,2,60\n1100000,3,70\n");
    let (samples, _) = load_for(&other, &Options::default()).unwrap();
    let prices = scale.undo(samples.values());
    assert!(prices.iter().zip([1e6, 1.1e6]).all(|(found, price)| (found - price).abs() < 1.0), "{prices:?}");
    let bad = write(folder.path(), "bad.csv", "price,rooms,size\n1000000,2,60\n\nmuch,3,70\n");
    let error = load_for(&bad, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("\"much\" in line 4, column 1 (\"price\")") && error.contains("a finite number"), "{error}");
    let error = load_for(&data, &Options { task: Some(Task::Classes), ..Options::default() }).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("m predicts values"), "{error}");
}

#[test]
fn the_task_decides_how_whole_numbers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..90).map(|row| format!("{row},{}\n", row % 3)).collect();
    let data = write(folder.path(), "thirds.csv", format!("a,label\n{rows}"));
    let load = |task| data::load(data.to_str().unwrap(), &Options { task, ..Options::default() }).unwrap();
    let (guessed, notes) = load(None);
    assert_eq!((guessed.classes.len(), guessed.target_scale.is_none()), (3, true));
    assert!(notes.iter().any(|note| note.option == Some("task")), "{notes:?}");
    let (classes, notes) = load(Some(Task::Classes));
    assert!(classes == guessed && !notes.iter().any(|note| note.option == Some("task")), "{notes:?}");
    let (values, _) = load(Some(Task::Values));
    assert_eq!((values.task(), values.classes.len(), values.outputs()), (Task::Values, 0, 1));
    let error = data::load("digits", &Options { task: Some(Task::Values), ..Options::default() }).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("task is for tables and arrays"), "{error}");
}

#[test]
fn backends_refuse_numbers_and_say_so() {
    let model = Mlp::new(&[2, 3, 2]).unwrap();
    let samples = data::Samples::with_values(Inputs::F32(vec![0.5; 8]), 2, vec![1.5; 4], 1).unwrap();
    let mut backend = Cpu::new(model, &Recipe::default(), 1).unwrap();
    let error = backend.upload(Split::Train, &std::sync::Arc::new(samples)).unwrap_err();
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("the targets are numbers"), "{error}");
}

#[test]
fn a_validation_part_is_reported_and_without_one_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(300), true));
    let log = folder.path().join("log.jsonl");
    let more = ["--label", "ring", "--epochs", "2", "--log", log.to_str().unwrap()];
    let (out, err) = train(&data, &[&more[..], &["--validation-split", "0.2"]].concat());
    let first = out.lines().next().unwrap();
    assert!(first.contains(", Validation Loss: ") && first.contains(", Test Accuracy: 0."), "{first}");
    assert!(err.contains("54 training rows are the validation part, 216 are left"), "{err}");
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let head = &lines[0];
    assert_eq!([&head["train_samples"], &head["test_samples"], &head["validation_samples"]], [216, 30, 54]);
    assert_eq!((&head["label"], &head["validation_split"]), (&"ring".into(), &0.2.into()));
    assert!(lines[2]["validation_loss"].is_number() && lines[2]["validation_accuracy"].is_number());
    let (again, _) = train(&data, &[&more[..], &["--validation-split", "0.2"]].concat());
    assert_eq!(again, out);
    let (verbose, _) = train(&data, &[&more[..], &["--validation-split", "0.2", "-v"]].concat());
    for part in ["Global Loss: ", "Test Loss: ", "Validation Accuracy: 0.", "Learning Rate: ", "Train: ", "Eval: "] {
        assert!(verbose.contains(part), "no {part} in {verbose}");
    }
    let (without, _) = train(&data, &more);
    assert!(!without.contains("Validation"), "{without}");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.lines().nth(1).unwrap().contains("validation"), "{text}");
}

/// An array of unsigned bytes as a `.npy` file.
fn npy(shape: &str, bytes: &[u8]) -> Vec<u8> {
    npy_of("|u1", shape, bytes)
}

/// An array of the NumPy type `kind`.
fn npy_of(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), bytes].concat()
}

/// 300 images of 4 x 5 in three classes, named by the row that is lit, 7 rows apart.
fn images() -> (Vec<u8>, Vec<u8>) {
    let labels: Vec<u8> = (0..300).map(|row| [3, 5, 11][row % 3]).collect();
    let lit =
        |row: usize| move |pixel: usize| if pixel / 5 == row % 3 { 200 + (row % 50) as u8 } else { (row % 40) as u8 };
    ((0..300).flat_map(|row| (0..20).map(lit(row))).collect(), labels)
}

#[test]
fn a_numpy_archive_trains_with_its_own_test_part_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, labels) = images();
    let archive = |name: &str, test: bool| {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path().join(name)).unwrap());
        let arrays = [
            ("x_train", npy("(240, 4, 5)", &pixels[..4800])),
            ("y_train", npy("(240,)", &labels[..240])),
            ("x_test", npy("(60, 4, 5)", &pixels[4800..])),
            ("y_test", npy("(60, 1)", &labels[240..])),
        ];
        for (name, array) in arrays.iter().take(if test { 4 } else { 2 }) {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            zip.write_all(array).unwrap();
        }
        zip.finish().unwrap();
        folder.path().join(name)
    };
    let whole = archive("whole.npz", true);
    let model = folder.path().join("m.safetensors");
    let (out, err) = train(&whole, &["--init", "he", "--batch-size", "8", "--save", model.to_str().unwrap()]);
    assert!(accuracy(&out) == 1.0 && !err.contains("drawn"), "{out}{err}");
    let checkpoint = checkpoint::load(&model).unwrap();
    assert_eq!(checkpoint.model.widths(), [20, 7, 3]);
    let metadata = checkpoint.metadata.unwrap();
    assert_eq!((metadata.image, metadata.scaling, metadata.classes[2].as_str()), (Some((4, 5)), None, "11"));
    let (out, err) = train(&archive("part", false), &["--test-split", "0.25", "--epochs", "1"]);
    assert!(out.lines().count() == 2 && err.contains("60 of 240 rows"), "{err}");
    refused(&whole, &["--test-split", "0.25"], 2, &["--test-split", "whole.npz", "a test part of its own"]);
    refused(&whole, &["--label", "x"], 2, &["--label", "is for tables"]);
    let preview = folder.path().join("sheet.png");
    let output = run(&["data", "preview", whole.to_str().unwrap(), "--out", preview.to_str().unwrap()]);
    assert!(output.status.success() && preview.exists());
}

#[test]
fn a_column_of_yes_and_no_may_be_written_in_another_way_in_each_file_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, cell: &dyn Fn(usize) -> &'static str| {
        let lines = (0..80).map(|row| format!("{},{},{}\n", cell(row), row % 7, ["a", "b"][row % 2]));
        write(folder.path(), name, format!("flag,x,label\n{}", lines.collect::<String>()))
    };
    let numbers = table("numbers.csv", &|row| ["0", "1"][row % 2]);
    let words = table("words.csv", &|row| ["False", "True"][row % 2]);
    let missing = table("missing.csv", &|row| if row == 3 { "NA" } else { ["no", "yes"][row % 2] });
    let other = table("other.csv", &|row| if row == 3 { "2" } else { ["no", "yes"][row % 2] });
    let both = table("both.csv", &|row| ["0", "1", "False", "TRUE", "no", "yes"][row % 6]);
    let model = folder.path().join("m.safetensors");
    let model = model.to_str().unwrap();
    let flags = |test: &Path| {
        let test = test.to_str().unwrap().to_owned();
        ["--test", &test, "--epochs", "20", "--batch-size", "8", "--save", model].map(str::to_owned)
    };
    let trained = |data: &Path, test: &Path| {
        let flags = flags(test);
        train(data, &flags.each_ref().map(String::as_str))
    };
    let line = "texts that say yes and no are 1 and 0 in column 1 (\"flag\"), as training had these";
    let (out, err) = trained(&numbers, &words);
    assert!(accuracy(&out) == 1.0 && err.contains(line), "{out}{err}");
    let output = run(&["eval", model, "--data", missing.to_str().unwrap(), "--backend", "cpu"]);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(err.contains(line) && err.contains("missing cells are filled in as in training: flag (1)"), "{out}{err}");
    refused(
        &numbers,
        flags(&other).each_ref().map(String::as_str).as_slice(),
        1,
        &["\"no\" in line 2", "which is text"],
    );
    let (out, err) = trained(&both, &numbers);
    assert!(accuracy(&out) == 1.0 && err.contains("two values become 0 and 1: flag ("), "{out}{err}");
    // Of several faults the one that is none otherwise; and of several files one line.
    let oops = write(folder.path(), "oops.csv", "flag,x,label\nyes,oops,b\n");
    refused(&numbers, flags(&oops).each_ref().map(String::as_str).as_slice(), 1, &["\"oops\" in line 2"]);
    let parts = folder.path().join("parts");
    std::fs::create_dir(&parts).unwrap();
    for name in ["1.csv", "2.csv"] {
        std::fs::copy(&words, parts.join(name)).unwrap();
    }
    let (_, err) = trained(&numbers, &parts);
    assert_eq!(err.matches(line).count(), 1, "{err}");
}

#[test]
fn numbers_with_a_unit_are_numbers_and_another_unit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, cell: &dyn Fn(usize) -> String| {
        let lines = (0..90).map(|row| format!("{},{},{}\n", cell(row), row % 7, 3 * row));
        write(folder.path(), name, format!("power,x,price\n{}", lines.collect::<String>()))
    };
    let power = table("power.csv", &|row| match row {
        7 => "bhp".into(),
        _ => format!("\"{}{}.5 bhp\"", if row > 50 { "1," } else { "" }, 100 + row),
    });
    let bare = table("bare.csv", &|row| (100 + row).to_string());
    let watts = table("watts.csv", &|row| format!("{row} kW"));
    // The same numbers with a decimal comma.
    let rows = |mark: &str| {
        let line = |row: usize| format!("{}{mark}5 bhp;{}{mark}5;{}\n", 100 + row, row % 7, 3 * row);
        format!("power;x;price\n{}", (0..90).map(line).collect::<String>())
    };
    let [points, commas] =
        [".", ","].map(|mark| write(folder.path(), if mark == "," { "commas.csv" } else { "points.csv" }, rows(mark)));
    let model = folder.path().join("m.safetensors");
    let model = model.to_str().unwrap();
    let target = ["--target", "price", "--epochs", "3", "--save", model];
    let (out, err) = train(&power, &target);
    let told =
        ["numbers are read without the unit behind them: power (bhp) (--categories says otherwise)", "power (1)"];
    assert!(told.iter().all(|line| err.contains(line)), "{out}{err}");
    let data = |path: &Path| {
        let output = run(&["eval", model, "--data", path.to_str().unwrap(), "--backend", "cpu"]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(data(&bare).0, Some(0));
    let told = |path: &Path| run(&["eval", model, "--data", path.to_str().unwrap(), "--backend", "cpu"]).stdout;
    assert!(told(&points) == told(&commas) && !told(&commas).is_empty());
    let (code, err) = data(&watts);
    let refusal = "found \"0 kW\" in line 2, column 1 (\"power\"): 90 of 90 cells of this column cannot be read, expected \
                   numbers and bhp behind them, as in training";
    assert!(code == Some(1) && err.contains(refusal), "{err}");
    let inspected = run(&["data", "inspect", power.to_str().unwrap(), "--target", "price"]);
    assert!(
        String::from_utf8(inspected.stdout).unwrap().contains("a number, read without bhp, and whether it is missing")
    );
    let (_, err) = train(&power, &[&target[..], &["--categories", "power"]].concat());
    assert!(!err.contains("without the unit"), "{err}");
}

/// As pandas writes a column of booleans, and other software the same column as numbers.
#[test]
fn labels_that_say_yes_and_no_in_another_way_are_taken_with_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, labels: [&str; 2]| {
        let lines = (0..80).map(|row| format!("{}.5,{}\n", row % 2, labels[row % 2]));
        write(folder.path(), name, format!("x,label\n{}", lines.collect::<String>()))
    };
    let (numbers, words) = (table("numbers.csv", ["0", "1"]), table("words.csv", ["False", "True"]));
    let (words, model) = (words.to_str().unwrap(), folder.path().join("m.safetensors"));
    let model = model.to_str().unwrap();
    let flags = ["--test", words, "--epochs", "20", "--batch-size", "8", "--save", model];
    let (out, err) = train(&numbers, &flags);
    let line = "the label \"False\" is taken as the class \"0\"";
    assert!(accuracy(&out) == 1.0 && err.contains(line), "{out}{err}");
    let evaluated = |data: &str| {
        let output = run(&["eval", model, "--data", data, "--backend", "cpu"]);
        assert!(output.status.success());
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (out, err) = evaluated(words);
    assert!(out.contains("Accuracy: 1.0000") && err.contains(line), "{out}{err}");
    assert!(!evaluated(numbers.to_str().unwrap()).1.contains("is taken as the class"));

    // Arrays: booleans in the test part alone, and in both.
    let labels: Vec<u8> = (0..80).map(|row| row % 2).collect();
    let inputs: Vec<u8> = labels.iter().flat_map(|label| [200 * label, 9]).collect();
    let archive = |name: &str, kinds: [&str; 2]| {
        let path = folder.path().join(name);
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (part, kind) in ["train", "test"].into_iter().zip(kinds) {
            for (of, array) in [("x", npy("(80, 2)", &inputs)), ("y", npy_of(kind, "(80,)", &labels))] {
                zip.start_file(format!("{of}_{part}.npy"), SimpleFileOptions::default()).unwrap();
                zip.write_all(&array).unwrap();
            }
        }
        zip.finish().unwrap();
        path
    };
    let (mixed, booleans) = (archive("mixed.npz", ["|u1", "|b1"]), archive("booleans.npz", ["|b1", "|b1"]));
    let (_, err) = train(&mixed, &["--epochs", "1", "--batch-size", "8", "--save", model]);
    assert!(err.contains(line), "{err}");
    let (_, err) = evaluated(booleans.to_str().unwrap());
    assert!(err.contains(line), "{err}");
}

#[test]
fn a_folder_of_images_trains() {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, labels) = images();
    for (row, (pixels, label)) in pixels.chunks(20).zip(&labels).enumerate().take(90) {
        let path = write(folder.path(), &format!("class {label}/{row}.png"), "");
        image::GrayImage::from_raw(5, 4, pixels.to_vec()).unwrap().save(path).unwrap();
    }
    write(folder.path(), "class 3/notes.txt", "text");
    let elsewhere = tempfile::tempdir().unwrap();
    let model = elsewhere.path().join("m.safetensors");
    let (out, err) = train(folder.path(), &with(&["--init", "he", "--save", model.to_str().unwrap()]));
    assert!(accuracy(&out) == 1.0 && err.contains("notes.txt") && err.contains("9 of 90 rows"), "{out}{err}");
    let metadata = checkpoint::load(&model).unwrap().metadata.unwrap();
    assert_eq!(metadata.classes, ["class 11", "class 3", "class 5"]);
    let (out, _) = train(folder.path(), &["--image-size", "8x6", "--epochs", "1", "--hidden", "none"]);
    assert_eq!(out.lines().count(), 2);
    for number in 0..10 {
        write(folder.path(), &format!("class 5/{number}.png"), "no image");
    }
    refused(folder.path(), &[], 1, &["class 5/0.png", "cannot be read", "--skip-broken"]);
}

#[test]
fn what_goes_wrong_is_one_line_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.csv", "a,b,label\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n");
    let bad = |content: &str| write(folder.path(), "bad.csv", content);
    refused(
        &bad("a,b,label\n1,2,x\n3,?,y\n2,1,x\n2,3,y\n"),
        &["--missing", "refuse"],
        1,
        &["bad.csv", "1 in column 2 (\"b\"), the first in line 3", "a finite number", "--missing fill"],
    );
    refused(&bad("a,b,label\n1,2,x\n3,4,x\n"), &[], 1, &["bad.csv", "a single class", "\"x\""]);
    refused(&bad("a,b,kind\n1,2,x\n"), &[], 2, &["bad.csv", "--label", "\"a\", \"b\", \"kind\""]);
    refused(&bad(""), &[], 1, &["bad.csv", "an empty file"]);
    refused(&good, &["--label", "c"], 2, &["good.csv", "\"c\"", "\"a\", \"b\", \"label\""]);
    refused(&good, &["--label", "4"], 2, &["good.csv", "\"4\""]);
    let test = bad("b,a,label\n1,2,x\n1,2,z\n");
    refused(&good, &["--test", test.to_str().unwrap()], 1, &["bad.csv", "\"z\" in line 3, column 3", "\"x\", \"y\""]);
    refused(&good, &["--test", "none.csv"], 1, &["none.csv"]);
    refused(&good, &["--image-size", "2x2"], 2, &["--image-size", "a table"]);
    refused(&folder.path().join("none.csv"), &[], 1, &["none.csv", "no file or folder"]);
    refused(Path::new("none"), &[], 1, &["none", "digits", "CSV", "Parquet", ".npz", "IDX", "images"]);
    let binary = write(folder.path(), "x.bin", [0u8; 16]);
    refused(&binary, &[], 1, &["x.bin", "CSV", "Parquet", ".npz", "IDX", "images"]);
    std::fs::create_dir(folder.path().join("nothing")).unwrap();
    refused(&folder.path().join("nothing"), &[], 1, &["nothing", "CSV", "Parquet", ".npz", "IDX", "images"]);
    for flags in [["--test-split", "1.5"], ["--test-split", "1"], ["--validation-split", "x"], ["--image-size", "0x4"]]
    {
        let output = run(&[&["train", "--data", good.to_str().unwrap()], &flags[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
}

/// A table as people have them: an index without a name, text, True and False, empty cells, dates, an id of its own per row.
fn mixed(rows: usize) -> String {
    let row = |row: usize| {
        let kind = ["gull", "tern", "auk"][row % 3];
        let size = [10.0, 20.0, 30.0][row % 3] + (row as f64 * 1.7).sin();
        let size = if row % 11 == 5 { String::new() } else { format!("{size:.3}") };
        let place = ["north", "south", "east"][if row.is_multiple_of(7) { row % 2 } else { row % 3 }];
        let ringed = ["True", "False"][row % 2];
        format!("{row},{size},{place},{ringed},2024-{:02}-{:02},b{:05},{kind}\n", row % 12 + 1, row % 28 + 1, row * 37)
    };
    format!(",size,place,ringed,seen,tag,kind\n{}", (0..rows).map(row).collect::<String>())
}

/// What `eval` of a model on what it was trained on says on standard error.
fn evaluated(model: &Path) -> String {
    let output = run(&["eval", model.to_str().unwrap(), "--backend", "cpu"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn a_table_whose_header_has_a_cell_less_is_read_alike_by_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.safetensors");
    let rows: String = (0..60).map(|row| format!("r{row},{},{}\n", row % 7, ["x", "y"][row % 2])).collect();
    let data = write(folder.path(), "r.csv", format!("size,kind\n{rows}"));
    let (_, err) = train(&data, &["--label", "kind", "--epochs", "2", "--save", model.to_str().unwrap()]);
    assert!(err.contains("rows have a cell more than the header"), "{err}");
    assert!(evaluated(&model).contains("is what"), "{}", evaluated(&model));
    let new = write(folder.path(), "new.csv", "size\na,3\nb,4\n");
    let kept = folder.path().join("kept.csv");
    let arguments = [new.to_str().unwrap(), "--keep", "1,size", "--output", kept.to_str().unwrap()];
    predicted_to_file(&model, &arguments);
    let written = std::fs::read_to_string(&kept).unwrap();
    assert!(written.lines().nth(1).unwrap().starts_with("a,3,"), "{written}");
    // An empty cell at the end of each row is no further column.
    let new = write(folder.path(), "open.csv", "size,other\n3,c,\n4,d,\n");
    let arguments = [new.to_str().unwrap(), "--keep", "other", "--output", kept.to_str().unwrap()];
    predicted_to_file(&model, &arguments);
    let written = std::fs::read_to_string(&kept).unwrap();
    assert!(written.lines().nth(1).unwrap().starts_with("c,"), "{written}");
}

fn predicted_to_file(model: &Path, arguments: &[&str]) {
    let output = run(&[&["predict", model.to_str().unwrap(), "--backend", "cpu"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rows_that_training_left_out_are_left_out_in_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.safetensors");
    // The second column is left out, and misses a cell.
    let note = |row: usize| if row == 5 { String::new() } else { format!("note {row}") };
    let rows: String = (0..80).map(|row| format!("{},{},{}\n", row % 7, note(row), ["x", "y"][row % 2])).collect();
    let data = write(folder.path(), "t.csv", format!("size,note,kind\n{rows}"));
    let more = ["--label", "kind", "--missing", "drop", "--epochs", "1", "--save", model.to_str().unwrap()];
    let (_, err) = train(&data, &more);
    assert!(err.contains("1 of 80 rows are left out") && err.contains("a text of its own: note"), "{err}");
    let told = evaluated(&model);
    assert!(told.contains("is what") && told.contains("the test part") && !told.contains("(--missing"), "{told}");
}

#[test]
fn flags_that_draw_nothing_may_be_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.safetensors");
    let model = model.to_str().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(60), true));
    let none = ["--test-split", "0", "--validation-split", "0"];
    train(&data, &[&["--label", "ring", "--epochs", "1", "--save", model][..], &none].concat());
    let (_, err) = train(&data, &[&["--resume", model][..], &none].concat());
    assert!(err.contains("1 of 1 epochs are done"), "{err}");
}

/// Converts `data` to a file beside it.
fn converted(data: &Path, more: &[&str]) -> PathBuf {
    let file = data.with_extension("data");
    let paths = [data.to_str().unwrap(), "--output", file.to_str().unwrap()];
    let output = run(&[&["data", "convert"], &paths[..], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

#[test]
fn a_converted_data_set_trains_to_the_bits_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one.safetensors", "other.safetensors"].map(|name| folder.path().join(name));
    let table = write(folder.path(), "birds.csv", mixed(600));
    let file = converted(&table, &["--label", "kind", "--seed", "3"]);
    let saved = |data: &Path, more: &[&str], model: &Path| {
        let flags = ["--epochs", "2", "--seed", "3", "--save", model.to_str().unwrap()];
        let (out, err) = train(data, &[&flags[..], more].concat());
        let checkpoint = checkpoint::load(model).unwrap();
        let metadata = checkpoint.metadata.unwrap();
        (out, err, checkpoint.state, (metadata.schema, metadata.scaling, metadata.classes, metadata.columns))
    };
    let (out, err, state, kept) = saved(&table, &["--label", "kind"], &one);
    let (converted_out, converted_err, converted_state, converted_kept) = saved(&file, &[], &other);
    assert_eq!((converted_out, converted_state, converted_kept), (out, state, kept));
    for line in err.lines().filter(|line| line.starts_with("Data: ") && !line.contains("(--")) {
        assert!(converted_err.contains(line), "{line}: {converted_err}");
    }
    assert!(converted_err.contains("converted from"), "{converted_err}");
    // Both models are of the same rows, and evaluate on either.
    let eval = |model: &Path, data: &Path| {
        let output = run(&["eval", model.to_str().unwrap(), "--data", data.to_str().unwrap(), "--backend", "cpu"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(eval(&one, &file), eval(&one, &table));
    assert_eq!(eval(&other, &file), eval(&one, &table));
    // What is decided cannot be said again for any of them, but for what a model predicts.
    let told = |more: &[&str]| {
        let fixed = ["eval", one.to_str().unwrap(), "--data", file.to_str().unwrap(), "--backend", "cpu"];
        let output = run(&[&fixed[..], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (flags, part) in [
        (&["--label", "kind"][..], "--label is for tables"),
        (&["--delimiter", "tab"], "options of columns and cells are for tables"),
        (&["--test-split", "0.3"], "--test-split is decided where data are converted"),
        (&["--scale", "none"], "--scale is decided where data are converted"),
    ] {
        let (code, err) = told(flags);
        assert!(code == Some(2) && err.contains(part), "{flags:?}: {err}");
    }
    assert_eq!(told(&["--task", "classes"]).0, Some(0));
    refused(&file, &["--label", "kind"], 2, &["--label is for tables"]);
    refused(&file, &["--validation-split", "0.3"], 2, &["--validation-split", "convert its source anew"]);
    let output = run(&["data", "inspect", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("486 training + 60 test + 54 validation rows"), "{text}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    refused(&file, &[], 1, &["bytes where its header says", "convert the data again"]);
    // Bytes stay bytes, and folds are those of the source.
    let (pixels, labels) = images();
    write(folder.path(), "x.npy", npy("(300, 4, 5)", &pixels));
    let arrays = write(folder.path(), "y.npy", npy("(300,)", &labels)).with_file_name("x.npy");
    let file = converted(&arrays, &["--test-split", "0"]);
    let cv = |data: &Path| {
        let flags = ["--backend", "cpu", "--folds", "3", "--epochs", "2", "--init", "he", "--json"];
        let output = run(&[&["cv", "--data", data.to_str().unwrap()], &flags[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(cv(&file), cv(&arrays));
}

/// What lines of `predict` say, without the names of the inputs.
fn without_names(out: &str) -> Vec<String> {
    let said = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(object) => object["probabilities"].to_string(),
        Err(_) => line.rsplit_once(": ").unwrap().1.to_owned(),
    };
    out.lines().map(said).collect()
}

/// What `predict` says of each row, and what it notes.
fn predicted(model: &Path, arguments: &[&str]) -> (Vec<String>, String) {
    let output = run(&[&["predict", model.to_str().unwrap(), "--backend", "cpu"], arguments].concat());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{err}");
    (without_names(&out), err)
}

#[test]
fn a_table_as_people_have_it_is_learnt_kept_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "birds.csv", mixed(400));
    let model = folder.path().join("m.safetensors");
    let (out, err) = train(&data, &["--label", "kind", "--epochs", "30", "--save", model.to_str().unwrap()]);
    assert!(accuracy(&out) >= 0.95, "{out}");
    for part in [
        "number the rows or tell them apart: 1",
        "a text of its own: tag (--categories says otherwise)",
        "place (3) (--max-categories says otherwise)",
        "ringed (false is 0, true is 1)",
        "seen (%Y-%m-%d)",
        "size (",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let metadata = checkpoint::load(&model).unwrap().metadata.unwrap();
    let features = ["size", "size missing", "place=north", "place=east", "place=south", "ringed", "seen"];
    let mut kept = metadata.schema.unwrap().features;
    kept[2..5].sort();
    assert_eq!(kept.len(), features.len());
    assert!(features.iter().all(|feature| kept.contains(&(*feature).to_owned())), "{kept:?}");

    // The held-out rows are known again, and rows of another file are read by name, whatever else it has.
    let output = run(&["eval", model.to_str().unwrap(), "--json", "--backend", "cpu"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["n"], found["accuracy"].as_f64().unwrap()), (&40.into(), accuracy(&out)));
    let other = "more,ringed,place,seen,size\n1,FALSE,north,2024-01-01,10.1\n2,True,west,2024-05-05,\n3,x,east,?,30\n";
    let other = write(folder.path(), "other.csv", other);
    let (lines, err) = predicted(&model, &[other.to_str().unwrap()]);
    assert!(lines.len() == 3 && lines[0].starts_with("gull") && lines[2].starts_with("auk"), "{lines:?}");
    for part in ["left aside: \"more\"", "such as \"west\"", "such as \"x\"", "size (1), seen (1)"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let lacking = write(folder.path(), "lacking.csv", "ringed,place\nTrue,north\n");
    let output = run(&["predict", model.to_str().unwrap(), lacking.to_str().unwrap(), "--backend", "cpu"]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && err.contains("no column \"size\", \"seen\""), "{err}");
}

#[test]
fn the_same_table_in_other_forms_gives_the_same_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let text = mixed(200);
    let data = write(folder.path(), "birds.csv", &text);
    let model = folder.path().join("m.safetensors");
    train(&data, &["--label", "kind", "--epochs", "2", "--save", model.to_str().unwrap()]);
    let (expected, _) = predicted(&model, &[data.to_str().unwrap(), "--json"]);
    let semicolons = text.replace(',', ";").replace('.', ",");
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.replace(',', "\t").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("birds.csv", SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    let quoted: String = text
        .lines()
        .map(|line| line.split(',').map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>().join(",") + "\r\n")
        .collect();
    for (name, content) in [
        ("semicolons.csv", semicolons.into_bytes()),
        ("sep.csv", format!("sep=|\n{}", text.replace(',', "|")).into_bytes()),
        ("excel.txt", utf16),
        ("birds.csv.gz", gzip.finish().unwrap()),
        ("birds.zip", zip.finish().unwrap().into_inner()),
        ("quoted.csv", quoted.into_bytes()),
        ("trailing.csv", text.replace('\n', ",\n").into_bytes()),
    ] {
        let path = write(folder.path(), name, content);
        let (found, err) = predicted(&model, &[path.to_str().unwrap(), "--json"]);
        assert_eq!(found, expected, "{name}: {err}");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"))
        .env("NODEVICE_SELECT", "1")
        .args(["predict", model.to_str().unwrap(), "-", "--json", "--backend", "cpu"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let found = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(without_names(&found), expected);
}

#[test]
fn columns_are_ruled_by_flags_and_shown_by_inspect() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "birds.csv", mixed(200));
    let path = data.to_str().unwrap();
    let (_, err) = train(&data, &["--label", "kind", "--epochs", "1", "--ignore", "1,tag", "--missing", "drop"]);
    assert!(err.contains("of 200 rows are left out, as cells are missing: size (18)"), "{err}");
    assert!(err.contains("left out, as asked for: 1, tag"), "{err}");
    let (_, err) = train(&data, &["--label", "kind", "--epochs", "1", "--categories", "tag", "--max-categories", "5"]);
    assert!(err.contains("tag (5 and other)"), "{err}");
    refused(&data, &["--label", "kind", "--missing", "refuse"], 1, &["18 in column 2 (\"size\"), the first in line 7"]);
    refused(&data, &["--label", "kind", "--ignore", "weight"], 2, &["no column \"weight\"", "\"place\""]);
    let output = run(&["data", "inspect", path, "--label", "kind", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["rows"], found["columns"].as_array().unwrap().len()), (&200.into(), 7));
    assert_eq!((&found["columns"][1]["kind"], &found["columns"][1]["missing"]), (&"number".into(), &18.into()));
    assert_eq!(found["columns"][6]["kind"], "target");
    let output = run(&["data", "inspect", path, "--label", "kind"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() == 9 && text.contains("days, read as %Y-%m-%d"), "{text}");
}

#[test]
fn seconds_since_1970_and_windows_1252_are_read_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let row = |row: usize| {
        let seconds = (row * 7919 % 6000) as f64 / 100.0;
        format!("{:.2},{}\n", 1_700_000_000.0 + seconds, if seconds > 30.0 { "late" } else { "caf\u{e9}" })
    };
    let text: String = (0..400).map(row).collect();
    let bytes: Vec<u8> = format!("time,label\n{text}").chars().map(|c| c as u8).collect();
    let data = write(folder.path(), "time.csv", bytes);
    let (out, err) = train(&data, &["--epochs", "60"]);
    assert!(accuracy(&out) >= 0.95 && err.contains("\"caf\u{e9}\""), "{out}{err}");
}

#[test]
fn robust_scaling_is_kept_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "rings.csv", table(&rings(300), true));
    let model = folder.path().join("m.safetensors");
    let (out, _) = train(&data, &with(&["--label", "ring", "--save", model.to_str().unwrap()]));
    assert!(accuracy(&out) >= 0.9, "{out}");
    let scaling = checkpoint::load(&model).unwrap().metadata.unwrap().scaling.unwrap();
    assert_eq!(scaling.clip, Some(3.0));
    let onnx = folder.path().join("m.onnx");
    let output = run(&["export", model.to_str().unwrap(), "--output", onnx.to_str().unwrap()]);
    assert!(output.status.success() && String::from_utf8_lossy(&std::fs::read(&onnx).unwrap()).contains("Reciprocal"));
}
