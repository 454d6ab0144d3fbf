//! The real binary: the main run, each flag's effect, exit codes, output, bad input.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

mod adapter;

/// The binary with no data folder in its environment.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs `train` on the CPU and expects success.
fn train(arguments: &[&str]) -> String {
    let output = run(&[&["train", "--backend", "cpu"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// Expects the exit code and one line on standard error that has all of `parts`.
fn fails(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: no {part:?} in {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    if code == 1 {
        assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{text}");
    }
}

/// Four small IDX files in `folder`: images of 4 x 4, the class shown by the row that is lit.
fn write_idx(folder: &Path) {
    let header = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    for (part, count) in [("train", 200u32), ("t10k", 50)] {
        // All ten classes are there, the later ones once.
        let labels: Vec<u8> = (0..count).map(|row| if row < 10 { row as u8 } else { (row % 4) as u8 }).collect();
        let images = labels.iter().flat_map(|&label| (0..16).map(move |i| if i / 4 == label { 200 } else { 10 }));
        let images = [header(&[0x803, count, 4, 4]), images.collect()].concat();
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [header(&[0x801, count]), labels].concat();
        std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

fn small() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn the_main_run_trains_on_digits_and_says_what_it_uses() {
    let output = run(&["train", "--backend", "cpu"]);
    assert!(output.status.success());
    let (out, err) = (stdout(&output), stderr(&output));
    assert!(err.contains("digits") && err.contains("cpu"), "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 11, "{out}");
    for (index, line) in lines[..10].iter().enumerate() {
        assert!(line.starts_with(&format!("Epoch {}/10, Global Loss: ", index + 1)), "{line}");
        assert!(line.contains(", Mean Loss: 0.") && line.contains(", Test Accuracy: 0."), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
    let accuracy: f64 = lines[10].strip_prefix("Test Accuracy: ").unwrap().parse().unwrap();
    assert!((0.88..0.97).contains(&accuracy), "{accuracy}");
}

#[test]
fn the_notebook_is_reproduced_where_mnist_is_there() {
    let Some(folder) = std::env::var_os("MLP_GPU_DATA") else {
        println!("MLP_GPU_DATA is not set: the run on MNIST is left out");
        return;
    };
    let out = train(&["--data", "mnist", "--data-dir", folder.to_str().unwrap()]);
    let accuracy: f64 = out.lines().last().unwrap().strip_prefix("Test Accuracy: ").unwrap().parse().unwrap();
    assert!((0.90..0.925).contains(&accuracy), "{accuracy}");
}

#[test]
fn what_is_learnt_from_digits_holds_for_mnist() {
    let Some(folder) = std::env::var_os("MLP_GPU_DATA") else {
        println!("MLP_GPU_DATA is not set: digits are not compared with MNIST");
        return;
    };
    let model = tempfile::NamedTempFile::new().unwrap();
    let model = model.path().to_str().unwrap();
    train(&["--data", "digits", "--hidden", "128", "--epochs", "5", "--save", model]);
    let out = train(&[
        "--data",
        "mnist",
        "--data-dir",
        folder.to_str().unwrap(),
        "--hidden",
        "128",
        "--init-from",
        model,
        "--epochs",
        "0",
    ]);
    let accuracy: f64 = out.lines().last().unwrap().strip_prefix("Test Accuracy: ").unwrap().parse().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

#[test]
fn flags_change_the_run_and_the_log_records_them() {
    let (folder, data) = small();
    let log = folder.path().join("log.jsonl");
    let log_path = log.to_str().unwrap();
    let out = train(&[
        "--data",
        &data,
        "--hidden",
        "5,6",
        "--epochs",
        "3",
        "--batch-size",
        "7",
        "--seed",
        "9",
        "--lr",
        "0.3",
        "--lr-decay",
        "0.1",
        "--lr-decay-every",
        "1",
        "--min-lr",
        "0.15",
        "--init",
        "he",
        "--threads",
        "1",
        "--log",
        log_path,
    ]);
    assert_eq!(out.lines().count(), 4);
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["widths"], serde_json::json!([16, 5, 6, 10]));
    assert_eq!((&lines[0]["batch_size"], &lines[0]["seed"]), (&7.into(), &9.into()));
    assert_eq!((&lines[0]["backend"], &lines[0]["data"]), (&"cpu".into(), &data.as_str().into()));
    let rates: Vec<f32> = lines[1..].iter().map(|line| line["lr"].as_f64().unwrap() as f32).collect();
    assert_eq!(rates, [0.2, 0.15, 0.15]);
    for key in ["epoch", "train_loss_sum", "train_loss", "test_loss", "test_accuracy", "train_seconds", "eval_seconds"]
    {
        assert!(lines[1][key].is_number(), "{key}");
    }
    assert!(lines[3]["train_loss"].as_f64() < lines[1]["train_loss"].as_f64());
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let (folder, data) = small();
    let save = |name: &str, seed: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let arguments = ["--data", &data, "--epochs", "2", "--save", path.to_str().unwrap(), "--seed", seed];
        train(&[&arguments, more].concat());
        std::fs::read(path).unwrap()
    };
    let first = save("a", "1", &[]);
    assert_eq!(first, save("b", "1", &[]));
    assert_eq!(first, save("c", "1", &["--threads", "1"]));
    assert_ne!(first, save("d", "2", &[]));
    assert_ne!(first, save("e", "1", &["--no-shuffle"]));
}

#[test]
fn init_from_goes_on_from_saved_parameters() {
    let (folder, data) = small();
    let (path, copy) = (folder.path().join("m.safetensors"), folder.path().join("copy.safetensors"));
    let (path, copy) = (path.to_str().unwrap(), copy.to_str().unwrap());
    train(&["--data", &data, "--epochs", "2", "--save", path]);
    train(&["--data", &data, "--epochs", "0", "--init-from", path, "--save", copy]);
    let load = |path| mlp_gpu::checkpoint::load(Path::new(path)).unwrap().state.parameters;
    assert_eq!(load(path), load(copy));
    let arguments = ["train", "--backend", "cpu", "--data", &data, "--hidden", "8", "--init-from", path];
    fails(&arguments, 1, &["m.safetensors", "[16, 7, 10]", "[16, 8, 10]"]);
}

#[test]
fn quiet_prints_nothing() {
    let (_folder, data) = small();
    let output = run(&["train", "--backend", "cpu", "--data", &data, "--epochs", "1", "--quiet"]);
    assert!(output.status.success());
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
}

#[test]
fn bad_usage_is_exit_code_2() {
    for arguments in [
        &["train", "--hidden", "0"][..],
        &["train", "--hidden", "7,x"],
        &["train", "--batch-size", "0"],
        &["train", "--lr", "nan"],
        &["train", "--lr", "-1"],
        &["train", "--lr-decay-every", "0"],
        &["train", "--init", "normal:x"],
        &["train", "--backend", "tpu"],
        &["train", "--epochs", "-1"],
        &["train", "--nonsense"],
        &["train", "--backend", "cpu", "--adapter", "0"],
        &["train", "--backend", "cpu", "--gpu-memory", "1G"],
        &["train", "--backend", "cpu", "--save", "x", "--log", "x"],
        &["train", "--backend", "cpu", "--plan", "elementary"],
        &["train", "--backend", "cpu", "--plan", "resident"],
        &["nonsense"],
        &[],
        &["data"],
    ] {
        fails(arguments, 2, &[]);
    }
}

#[test]
fn help_and_version_are_exit_code_0() {
    for arguments in [&["--help"][..], &["--version"], &["train", "--help"]] {
        let output = run(arguments);
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn bad_data_is_one_clear_line_and_leaves_no_output() {
    let (folder, data) = small();
    let save = folder.path().join("out.safetensors");
    let save = save.to_str().unwrap();
    let arguments = ["train", "--backend", "cpu", "--save", save, "--data"];
    let with = |source: &str| [&arguments[..], &[source]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let check = |source: &str, parts: &[&str]| {
        let arguments = with(source);
        fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 1, parts);
        assert!(!Path::new(save).exists());
    };
    check("mnist", &["--data-dir", "MLP_GPU_DATA"]);
    check("nonsense", &["nonsense", "digits"]);
    let file = folder.path().join("train-images-idx3-ubyte");
    std::fs::write(&file, b"not an IDX file").unwrap();
    check(&data, &["train-images-idx3-ubyte", "magic number 0x6e6f7420", "an IDX file"]);
    std::fs::remove_file(&file).unwrap();
    check(&data, &["no inputs that belong to train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "--arrays"]);
    check(file.to_str().unwrap(), &["train-images-idx3-ubyte", "there is no file or folder"]);
    let similar = folder.path().join("train-lables-idx1-ubyte");
    check(similar.to_str().unwrap(), &["a similar name there is train-labels-idx1-ubyte"]);
    check("no/such/folder/t.csv", &["there is no file no/such/folder/t.csv", "no folder no/such/folder"]);
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_training() {
    let (folder, data) = small();
    let missing = folder.path().join("none/x");
    for flag in ["--save", "--log"] {
        for path in [folder.path(), &missing] {
            let path = path.to_str().unwrap();
            fails(&["train", "--backend", "cpu", "--data", &data, flag, path], 1, &[path]);
        }
    }
}

#[test]
fn outputs_onto_what_is_read_are_refused_before_anything_runs() {
    let (folder, idx) = small();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, test, model) = (at("in.csv"), at("test.csv"), at("m.safetensors"));
    let rows: String = (0..60).map(|row| format!("{},{},{}\n", row % 7, row % 5, row % 2)).collect();
    for path in [&csv, &test] {
        std::fs::write(path, format!("a,b,label\n{rows}")).unwrap();
    }
    train(&["--data", &csv, "--hidden", "3", "--epochs", "1", "--save", &model]);
    let (images, png) = (at("images"), at("images/x/0.png"));
    for class in ["x", "y"] {
        std::fs::create_dir_all(at(&format!("images/{class}"))).unwrap();
        for number in 0..4 {
            image::GrayImage::new(4, 4).save(at(&format!("images/{class}/{number}.png"))).unwrap();
        }
    }
    let labels = at("t10k-labels-idx1-ubyte");
    let (config, weights, run, of_run) = (at("c.toml"), at("w.csv"), at("run"), at("run/config.toml"));
    std::fs::write(&config, format!("data = {csv:?}\n")).unwrap();
    std::fs::write(&weights, "0,1\n1,2\n").unwrap();
    let twice = at("images/../in.csv");
    let mut cases: Vec<(Vec<&str>, [&str; 3])> = vec![
        (vec!["--data", &csv, "--save", &csv], ["--save", "--data", "in.csv"]),
        (vec!["--data", &csv, "--save-best", &csv], ["--save-best", "--data", "in.csv"]),
        (vec!["--data", &csv, "--save", &csv, "--save-best"], ["--save", "--data", "in.csv"]),
        (vec!["--data", &csv, "--log", &twice], ["--log", "--data", "in.csv"]),
        (vec!["--data", &csv, "--test", &test, "--log", &test], ["--log", "--test", "test.csv"]),
        (vec!["--data", &idx, "--save", &labels], ["--save", "--data", "t10k-labels-idx1-ubyte"]),
        (vec!["--data", &images, "--log", &png], ["--log", "--data", "0.png"]),
        (vec!["--data", &csv, "--init-from", &model, "--save", &model], ["--save", "--init-from", "m.safetensors"]),
        (vec!["--resume", &model, "--log", &model], ["--log", "--resume", "m.safetensors"]),
        (vec!["--config", &config, "--save", &config], ["--save", "--config", "c.toml"]),
        (vec!["--data", &csv, "--class-weight", &weights, "--log", &weights], ["--log", "--class-weight", "w.csv"]),
        (vec!["--data", &csv, "--run-dir", &run, "--log", &of_run], ["--log", "--run-dir", "config.toml"]),
        (vec!["--resume", &model, "--save", &csv], ["--save", "--resume", "in.csv"]),
        (vec!["--data", &csv, "--log", &twice, "--save", &csv], ["--save", "--log", "in.csv"]),
    ];
    let (new, new_twice) = (at("new"), at("images/../new"));
    cases.push((vec!["--data", &csv, "--log", &new_twice, "--save", &new], ["--save", "--log", "new"]));
    let (numbered, second, third) = (at("n-{epoch}"), at("n-002"), at("n-003"));
    cases.push((vec!["--data", &csv, "--log", &second, "--save", &numbered], ["--save", "--log", "n-002"]));
    let (soft, hard) = (at("soft"), at("hard"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&csv, &soft).unwrap();
        std::fs::hard_link(&csv, &hard).unwrap();
        for link in [&soft, &hard] {
            for flag in ["--save", "--log"] {
                cases.push((vec!["--data", &csv, flag, link], [flag, "--data", link]));
            }
        }
    }
    let before = |path: &str| std::fs::read(path).unwrap();
    let files = [&csv, &test, &model, &png, &labels];
    let kept: Vec<Vec<u8>> = files.iter().map(|path| before(path)).collect();
    let refused = |arguments: &[&str], parts: &[&str]| {
        fails(&[&["train", "--backend", "cpu", "--epochs", "2"], arguments].concat(), 2, parts);
    };
    cases.iter().for_each(|(arguments, parts)| refused(arguments, parts));
    #[cfg(unix)]
    {
        std::fs::hard_link(&csv, &second).unwrap();
        refused(&["--data", &csv, "--save", &numbered], &["--save", "--data", "n-002", "in.csv"]);
    }
    assert!(files.iter().zip(&kept).all(|(path, kept)| before(path) == *kept));
    assert!(!Path::new(&new).exists());
    // An epoch that this run has not, and a model that is saved over with what goes on from it.
    train(&["--data", &csv, "--epochs", "1", "--save", &numbered, "--log", &third]);
    train(&["--resume", &model, "--epochs", "2", "--save", &model]);
    assert_ne!(before(&model), kept[2]);
}

#[test]
#[cfg(unix)]
fn a_log_may_go_to_a_pipe_and_a_model_may_not() {
    use std::os::unix::fs::FileTypeExt;
    let (folder, data) = small();
    let out = train(&["--data", &data, "--epochs", "1", "--quiet", "--log", "/dev/stdout"]);
    assert_eq!(out.lines().filter(|line| line.starts_with('{')).count(), 2, "{out}");
    // A run that goes on finds nothing there to go on from, and does not wait for it.
    let model = folder.path().join("m").to_str().unwrap().to_owned();
    train(&["--data", &data, "--epochs", "1", "--quiet", "--save", &model]);
    let out = train(&["--resume", &model, "--epochs", "2", "--quiet", "--log", "/dev/stdout"]);
    assert_eq!(out.lines().filter(|line| line.starts_with('{')).count(), 2, "{out}");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for flag in ["--save", "--save-best"] {
        let arguments = ["train", "--backend", "cpu", "--data", &data, flag, pipe.to_str().unwrap()];
        fails(&arguments, 1, &["pipe", "a device or a pipe"]);
    }
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
}

#[test]
// Elsewhere there are no such names.
#[cfg(target_os = "linux")]
fn paths_that_are_not_utf_8_are_logged_and_found_again() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let odd = |name: &[u8]| folder.path().join(OsStr::from_bytes(name)).into_os_string();
    let (data, test) = (odd(b"in.csv"), odd(b"test\xff.csv"));
    let rows: String = (0..60).map(|row| format!("{},{},{}\n", row % 7, row % 5, row % 2)).collect();
    for path in [&data, &test] {
        std::fs::write(path, format!("a,b,label\n{rows}")).unwrap();
    }
    let run = |arguments: &[&OsString]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
        command.env("MLP_GPU_DATA", OsStr::from_bytes(b"/\xff")).env("MLP_GPU_OFFLINE", "1").args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        stdout(&output)
    };
    let text = |text: &str| OsString::from(text);
    let train =
        |arguments: &[&OsString]| run(&[&[&text("train"), &text("--backend"), &text("cpu")], arguments].concat());
    let (model, more, log) = (odd(b"m\xff"), odd(b"n\xff"), odd(b"l\xff"));
    let [data_flag, test_flag, epochs, ten] = ["--data", "--test", "--epochs", "10"].map(text);
    let [save, best, init_from, resume, log_flag] =
        ["--save", "--save-best", "--init-from", "--resume", "--log"].map(text);
    let first = [&data_flag, &data, &test_flag, &test, &epochs, &ten, &save, &model, &log_flag, &log];
    train(&first);
    let head = |log: &OsString| -> serde_json::Value {
        serde_json::from_str(std::fs::read_to_string(log).unwrap().lines().next().unwrap()).unwrap()
    };
    let lossy = |path: &OsString| serde_json::Value::from(path.to_string_lossy().into_owned());
    assert_eq!((&head(&log)["save"], &head(&log)["test"]), (&lossy(&model), &lossy(&test)));
    assert_eq!((&head(&log)["data_dir"], &head(&log)["save_best"]), (&"/\u{fffd}".into(), &serde_json::Value::Null));
    // The test part is found again by the model's file alone.
    let other = odd(b"k\xff");
    let twelve = [&resume, &model, &epochs, &text("12"), &best, &more, &log_flag, &other];
    assert!(train(&twelve).starts_with("Epoch 11/12"));
    assert_eq!((&head(&other)["resume"], &head(&other)["save_best"]), (&lossy(&model), &lossy(&more)));
    // The log of the run itself goes on.
    train(&[&resume, &model, &epochs, &text("12"), &log_flag, &log]);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 1 + 12);
    assert!(run(&[&text("eval"), &model, &text("--backend"), &text("cpu")]).starts_with("Rows: 60"));
    assert!(run(&[&text("inspect"), &model, &text("--json")]).contains("255"));
    train(&[&data_flag, &data, &init_from, &model, &log_flag, &log]);
    assert_eq!(head(&log)["init_from"], lossy(&model));
}

#[test]
fn a_run_that_diverges_says_so_and_saves_nothing() {
    let (folder, data) = small();
    let save = folder.path().join("x");
    let arguments = [
        "train",
        "--backend",
        "cpu",
        "--data",
        &data,
        "--lr",
        "1e38",
        "--init",
        "he",
        "--save",
        save.to_str().unwrap(),
    ];
    fails(&arguments, 1, &["diverged", "--lr"]);
    assert!(!save.exists());
}

#[test]
fn an_adapter_that_is_not_there_is_exit_code_1() {
    fails(&["train", "--backend", "gpu", "--adapter", "no such adapter"], 1, &["adapter"]);
    fails(&["train", "--backend", "gpu", "--adapter", "999"], 1, &["adapter"]);
    let memory = ["train", "--backend", "cpu", "--gpu-memory", "1G"];
    fails(&memory, 2, &["runs on the CPU", "leave --gpu-memory out, or use --backend gpu"]);
}

#[test]
fn a_preview_is_a_png() {
    let (folder, data) = small();
    let path = folder.path().join("sheet.png");
    let output = run(&["data", "preview", &data, "--out", path.to_str().unwrap(), "--columns", "3"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let plain = std::fs::read(&path).unwrap();
    assert!(plain.starts_with(b"\x89PNG"));
    let preview = |how| {
        let columns = ["--out", path.to_str().unwrap(), "--columns", "3", "--augment", how];
        let output = run(&[&["data", "preview", &data], &columns[..]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        (stdout(&output), std::fs::read(&path).unwrap())
    };
    let (told, augmented) = preview("shift:1,elastic");
    assert!(told.contains("each 3 times augmented by shift:1,elastic:4"), "{told}");
    assert!(augmented.starts_with(b"\x89PNG") && augmented != plain);
    assert_eq!(preview("none").1, plain);
    // Eight images, and 64 augmented ones, drawn twice as large as they are: 4 pixels, and 2 between two.
    let arguments = ["data", "preview", &data, "--out", path.to_str().unwrap(), "--augment", "shift:1"];
    assert!(stdout(&run(&arguments)).contains("the first 8 images"), "{}", stderr(&run(&arguments)));
    let side = |at: usize| u32::from_be_bytes(std::fs::read(&path).unwrap()[at..at + 4].try_into().unwrap());
    assert_eq!([side(16), side(20)], [2 * (9 * 6 + 2), 2 * (8 * 6 + 2)]);
}

#[test]
fn augmentation_changes_training_alone_and_is_kept_in_the_log_and_the_model() {
    let (folder, data) = small();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [whole, half, rest, log] = ["whole.st", "half.st", "rest.st", "log.jsonl"].map(path);
    let network = ["--data", &data, "--recipe", "notebook", "--hidden", "9"];
    let of = [&network[..], &["--batch-size", "32", "--lr", "0.1", "--quiet", "--augment"]].concat();
    let how = "scale:0.2,shift:1,rotate:20,elastic:0.5";
    train(&[&of[..], &[how, "--epochs", "4", "--save", &whole, "--log", &log]].concat());
    let first: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(&log).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(first["augment"], "shift:1,rotate:20,scale:0.2,elastic:0.5");

    // A run that goes on ends with the same bits, and other augmentation contradicts it.
    let state = |path: &str| mlp_gpu::load_model(Path::new(path)).unwrap().state;
    train(&[&of[..], &[how, "--epochs", "2", "--save", &half]].concat());
    train(&["--resume", &half, "--epochs", "4", "--save", &rest, "--quiet", "--threads", "1"]);
    assert_eq!(state(&whole), state(&rest));
    let contradicted = ["--augment shift:3 contradicts", "trained with shift:1,rotate:20"];
    fails(&["train", "--resume", &half, "--augment", "shift:3"], 2, &contradicted);
    train(&[&of[..], &["none", "--epochs", "4", "--save", &rest]].concat());
    assert_ne!(state(&whole), state(&rest));

    // Evaluation does not augment, and every plan evaluates.
    let last = std::fs::read_to_string(&log).unwrap().lines().last().unwrap().to_owned();
    let logged: serde_json::Value = serde_json::from_str(&last).unwrap();
    let plain = folder.path().join("plain.st");
    let plain = plain.to_str().unwrap();
    train(&["--data", &data, "--init-from", &whole, "--epochs", "0", "--save", plain]);
    let mut backends = vec![vec!["--backend", "cpu"]];
    if stdout(&run(&["devices"])).starts_with("0: ") {
        backends.extend(["elementary", "fused", "resident"].map(|plan| vec!["--backend", "gpu", "--plan", plan]));
    }
    for backend in backends {
        let loss = |model: &str| {
            let output = run(&[&["eval", model, "--data", &data, "--json"], &backend[..]].concat());
            assert!(output.status.success(), "{backend:?}: {}", stderr(&output));
            serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap()["loss"].as_f64().unwrap()
        };
        assert_eq!(loss(&whole), loss(plain), "{backend:?}");
        assert!((loss(&whole) - logged["test_loss"].as_f64().unwrap()).abs() < 1e-5, "{backend:?}: {logged}");
    }
}

#[test]
fn augmentation_says_what_it_may_be_and_is_for_images_alone() {
    let (folder, _) = small();
    fails(&["train", "--augment", "flip"], 2, &["shift:PIXELS, rotate:DEGREES, scale:SHARE, elastic[:PIXELS]"]);
    fails(&["train", "--augment", "rotate:200"], 2, &["--augment", "degrees from 0 to 180"]);
    let csv = folder.path().join("in.csv");
    std::fs::write(&csv, "a,b,label\n".to_owned() + &"1,2,x\n3,4,y\n".repeat(20)).unwrap();
    let arguments = ["train", "--backend", "cpu", "--data", csv.to_str().unwrap(), "--augment", "shift:2"];
    fails(&arguments, 2, &["--augment shift:2", "are no images of known size; leave it out"]);
}

#[test]
fn bench_times_networks_in_a_table_or_as_json() {
    let (_folder, data) = small();
    let output = run(&[
        "bench",
        "--backend",
        "cpu",
        "--data",
        &data,
        "--hidden",
        "9,8",
        "--epochs",
        "4",
        "--json",
        "--samples",
        "40",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let line: serde_json::Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    assert_eq!(line["layers"], serde_json::json!([16, 9, 8, 10]));
    assert_eq!(line["all_s"].as_array().unwrap().len(), 4);
    assert!(line["epoch_s"].as_f64().unwrap() > 0.0 && line["samples_per_s"].as_f64().unwrap() > 0.0);
    assert!(line["bytes"].as_u64().unwrap() > 4 * 200);
    assert_eq!((line["precision"].as_str(), line["samples"].as_u64()), (Some("f32"), Some(40)));
    assert!(line["peak_gflops"].as_f64().unwrap() > 0.0 && line["copy_gb_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(line["peak_rss_bytes"].is_u64(), cfg!(target_os = "linux"));
    let output = run(&["bench", "--backend", "cpu", "--data", &data, "--workload", "notebook", "--epochs", "1"]);
    let text = stdout(&output);
    assert!(text.lines().count() == 5 && text.lines().nth(3).unwrap().starts_with("notebook  16-7-10 "), "{text}");
    assert!(text.lines().last().unwrap().contains("test accuracy 0."), "{text}");
    fails(&["bench", "--hidden", "7", "--workload", "deep"], 2, &["--workload"]);
    fails(&["bench", "--backend", "cpu", "--tune"], 2, &["--tune", "--backend gpu"]);
    fails(&["bench", "--backend", "cpu", "--precision", "mixed"], 2, &["--precision mixed", "--backend gpu"]);
    fails(&["bench", "--epochs", "0"], 2, &["--epochs"]);
    fails(&["train", "--backend", "cpu", "--tune", "full"], 2, &["--tune full", "--backend gpu"]);
    fails(&["train", "--members", "2", "--tune", "full"], 2, &["--tune full", "bench --tune"]);
}

#[test]
fn an_exact_run_is_that_of_the_twins_and_goes_on_as_one() {
    let (folder, data) = small();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (epochs, first, second, rest) = (file("{epoch}"), file("001"), file("002"), file("rest"));
    let exact = ["--exact", "--data", &data, "--hidden", "9", "--dropout", "0.2", "--epochs", "2"];
    train(&[&exact[..], &["--save", &epochs, "--save-every", "1"]].concat());
    // The model says that it was trained so.
    let (out, told) = (train(&["--resume", &first, "--save", &rest]), run(&["train", "--resume", &first]));
    assert!(out.contains("Epoch 2/2") && stderr(&told).contains("Backend: reference"), "{out} {}", stderr(&told));
    let engine = file("engine");
    train(&[&exact[1..], &["--save", &engine]].concat());
    let parameters = |path: &str| {
        let bytes = std::fs::read(path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[header..].to_vec()
    };
    assert!(parameters(&rest) == parameters(&second) && parameters(&second) != parameters(&engine));
    fails(&["train", "--exact", "--plan", "fused", "--data", &data], 2, &["sums in another order", "--plan"]);
    fails(&["train", "--exact", "--tune", "full", "--data", &data], 2, &["--tune full", "--exact", "leave one out"]);
    for (flags, flag) in [
        (&["--exact"][..], "--exact"),
        (&["--dashboard"], "--dashboard"),
        (&["--tune", "full"], "--tune full"),
        (&["--checkpoint", "c.st"], "--checkpoint"),
        (&["--run-dir", "auto"], "--run-dir"),
    ] {
        for several in [["--members", "2"], ["--lr", "0.1,0.2"]] {
            let words = [&["train", "--data", &data][..], flags, &several].concat();
            fails(&words, 2, &[&format!("{flag} is for one network"), several[0], "leave one out"]);
        }
    }
}

#[test]
#[ignore = "most of a minute on a software driver: tests/run --all"]
fn a_run_is_tuned_for_when_asked_and_its_choices_are_used_or_left_aside() {
    if adapter::device("a_run_is_tuned_for_when_asked_and_its_choices_are_used_or_left_aside").is_none() {
        return;
    }
    let (folder, data) = small();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let train = |tune: &str, name: &str| {
        let save = file(name);
        let network = ["--hidden", "40", "--batch-size", "8", "--epochs", "1", "--plan", "fused"];
        let run = ["train", "--backend", "gpu", "--data", &data, "--tune", tune, "--save", &save];
        let output = command(&[&run[..], &network].concat()).env("MLP_GPU_CACHE", file("cache")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (stderr(&output), std::fs::read(&save).unwrap())
    };
    // Software drivers and short runs are not tuned for unasked.
    let (told, _) = train("auto", "untuned");
    assert!(!told.contains("Tuning") && !folder.path().join("cache/tuning.json").exists(), "{told}");
    let (told, tuned) = train("full", "tuned");
    for line in ["Tuning: forward ", "Tuning: update ", "tuning.json", "Tuning: the last bits"] {
        assert!(told.contains(line), "{told}");
    }
    // What was measured is used from then on.
    let (told, again) = train("auto", "again");
    assert!(told.contains("choices that were measured on this adapter") && !told.contains("us, stays"), "{told}");
    assert!(again == tuned);
    assert!(!train("off", "off").0.contains("Tuning"));
}

#[test]
fn verbose_says_which_plan_runs_and_why() {
    let (_folder, data) = small();
    let output = run(&["train", "--backend", "cpu", "--data", &data, "--epochs", "0", "-v"]);
    assert!(stderr(&output).contains("Plan: fused: "), "{}", stderr(&output));
    fails(&["train", "-v", "--quiet"], 2, &["--quiet"]);
}

#[test]
fn inspect_shows_a_model_and_draws_its_units() {
    let (folder, data) = small();
    let (model, png) = (folder.path().join("m.safetensors"), folder.path().join("units.png"));
    let (model, png) = (model.to_str().unwrap(), png.to_str().unwrap());
    train(&["--data", &data, "--hidden", "9", "--epochs", "1", "--seed", "4", "--save", model]);
    let output = run(&["inspect", model, "--units", png]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["16-9-10, 253 parameters", "1 epochs with seed 4", "the 9 units"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(std::fs::read(png).unwrap().starts_with(b"\x89PNG"));
    fails(&["inspect", png], 1, &["units.png", "a safetensors file"]);
    fails(&["inspect", "no such file"], 1, &["no such file"]);
}

#[test]
#[cfg(unix)]
fn a_run_that_is_interrupted_before_an_epoch_is_done_is_exit_code_130_and_saves_nothing() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let save = folder.path().join("x");
    let arguments = ["train", "--backend", "cpu", "--data", "digits", "--hidden", "2048,2048", "--lr-decay", "0.05"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"))
        .args(arguments)
        // The floor is told of when the first epoch begins.
        .args(["--batch-size", "8", "--min-lr", "0.5", "--save", save.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("From epoch 1 on")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let told = format!("Interrupted before an epoch was done: {} is not written", save.display());
    assert_eq!(rest, [&told, "error: interrupted"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_a_run_quietly() {
    use std::io::{BufRead, BufReader};
    let (_folder, data) = small();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"))
        .args(["train", "--backend", "cpu", "--data", &data, "--epochs", "1000000"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141), "{}", stderr(&ended));
    assert!(!stderr(&ended).contains("error"), "{}", stderr(&ended));
}

#[test]
fn wgpus_variables_choose_the_adapter_and_nothing_else_is_on_standard_error() {
    let with = |name: &str, value: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
        for unset in ["NODEVICE_SELECT", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "MLP_GPU_DATA"] {
            command.env_remove(unset);
        }
        command.env(name, value).args(arguments).output().unwrap()
    };
    let epochs = ["--data", "digits", "--epochs", "0", "--quiet"];
    let gpu = with("WGPU_ADAPTER_NAME", "no such adapter", &[&["train", "--backend", "gpu"], &epochs[..]].concat());
    assert_eq!(gpu.status.code(), Some(1), "{}", stderr(&gpu));
    let cpu = with("WGPU_ADAPTER_NAME", "no such adapter", &[&["train", "--backend", "cpu"], &epochs[..]].concat());
    assert!(cpu.status.success(), "{}", stderr(&cpu));
    let devices = with("WGPU_BACKEND", "gl", &["devices"]);
    assert!(stdout(&devices).contains("WGPU_BACKEND=gl"), "{}", stdout(&devices));
    assert_eq!(stderr(&with("WGPU_BACKEND", "", &["devices"])), "");
}

#[test]
fn devices_says_what_auto_takes() {
    let output = run(&["devices"]);
    assert!(output.status.success());
    assert!(stdout(&output).lines().last().unwrap().starts_with("auto takes "));
}

#[test]
fn the_cpu_matches_its_twins_whatever_the_threads() {
    let output = run(&["check", "--backend", "cpu"]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).trim_end().ends_with("checks, 0 failed"));
    assert!(stdout(&output).lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn completions_and_man_pages_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&run(&["completions", shell]));
        assert!(script.contains("mlp-gpu") && script.contains("early-stop") && script.contains("merge"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    assert!(run(&["man", pages.to_str().unwrap()]).status.success());
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    for name in ["train", "cv", "search", "merge", "data-fetch"] {
        assert!(page("mlp-gpu.1").contains(name.split('-').next().unwrap()));
        assert!(page(&format!("mlp-gpu-{name}.1")).contains("Print help"), "{name}");
    }
    assert!(page("mlp-gpu-train.1").contains(r"mlp\-gpu train \-\-data table.csv"));
}
