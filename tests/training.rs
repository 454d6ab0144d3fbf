//! The options of training through the real binary: what they do to a run, how a run goes on with them, and what is refused.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use mlp_gpu::checkpoint;
use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1");
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `train` says on standard error, then on standard output.
fn train(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(folder, &[&["train", "--backend", "cpu"], arguments].concat());
    let told = text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    (told, text(&output.stdout))
}

/// Expects bad usage, and all of `parts` in what is said of it.
fn refused(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = run(folder, &[&["train", "--backend", "cpu", "--quiet"], arguments].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(parts.iter().all(|part| told.contains(part)), "{arguments:?}: {told}");
}

fn log(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two tables of 300 rows: `rings.csv` with classes in unlike shares, and `prices.csv` with a price far from 0.
fn tables() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut rings, mut prices) = ("x,y,ring\n".to_owned(), "size,rooms,price\n".to_owned());
    for row in 0..300u32 {
        let (x, y) = (f64::from(row * 37 % 101) / 101.0, f64::from(row * 59 % 103) / 103.0);
        let ring = if x * x + y * y < 0.2 { "inner" } else { "outer" };
        writeln!(rings, "{x:.4},{y:.4},{ring}").unwrap();
        let (size, rooms) = (40.0 + 160.0 * x, row % 6 + 1);
        writeln!(prices, "{size:.2},{rooms},{:.2}", 1e6 + 3000.0 * size + 20_000.0 * f64::from(rooms)).unwrap();
    }
    std::fs::write(folder.path().join("rings.csv"), rings).unwrap();
    std::fs::write(folder.path().join("prices.csv"), prices).unwrap();
    folder
}

const RINGS: [&str; 4] = ["--data", "rings.csv", "--label", "ring"];
const PRICES: [&str; 4] = ["--data", "prices.csv", "--target", "price"];

#[test]
fn a_run_goes_on_with_the_same_bits_in_the_middle_of_a_cosine() {
    let folder = tables();
    let folder = folder.path();
    for (number, options) in [
        &["--optimizer", "adamw", "--schedule", "cosine", "--warmup", "10%", "--dropout", "0.2,0.1"][..],
        &["--optimizer", "nesterov", "--schedule", "one-cycle", "--weight-decay", "0.01", "--activation", "mish"],
        &["--optimizer", "adam", "--schedule", "exponential", "--clip-norm", "0.5", "--input-dropout", "0.1"],
        &["--optimizer", "momentum", "--schedule", "linear", "--label-smoothing", "0.1", "--activation", "gelu"],
        &["--optimizer", "sgd", "--schedule", "step", "--lr-decay-every", "2", "--class-weight", "balanced"],
    ]
    .into_iter()
    .enumerate()
    {
        let (each, whole) = (format!("{number}-{{epoch}}.st"), format!("{number}-006.st"));
        let save =
            ["--hidden", "24,20", "--lr", "0.01", "--epochs", "6", "--quiet", "--save", &each, "--save-every", "2"];
        train(folder, &[&RINGS[..], options, &save].concat());
        let middle = format!("{number}-002.st");
        train(folder, &["--resume", &middle, "--save", "rest.st", "--quiet"]);
        let load = |name: &str| checkpoint::load(&folder.join(name)).unwrap();
        let (whole, rest) = (load(&whole), load("rest.st"));
        assert_eq!(whole.state, rest.state, "{options:?}");
        assert_ne!(load(&middle).state, rest.state, "{options:?}");
        assert_eq!(whole.state.slots.len(), whole.metadata.unwrap().recipe.optimizer.kind.slots(), "{options:?}");
        refused(folder, &["--resume", &middle, "--lr", "0.5"], &["--lr 0.5", "contradicts", "with 0.01"]);
    }
}

#[test]
fn values_are_told_in_their_own_unit() {
    let folder = tables();
    let folder = folder.path();
    let options = ["--hidden", "32,32", "--optimizer", "adam", "--lr", "0.01", "--epochs", "60"];
    let (told, lines) = train(folder, &[&PRICES[..], &options, &["--save", "m.st", "--log", "l.jsonl"]].concat());
    assert!(told.contains("the targets are taken as numbers"), "{told}");
    let last = lines.lines().last().unwrap();
    assert!(last.starts_with("Test RMSE: ") && last.contains("R2: 0.99"), "{last}");
    let logged = log(folder, "l.jsonl");
    let output = run(folder, &["eval", "m.st", "--backend", "cpu", "--json"]);
    let found: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    for key in ["rmse", "mae", "r2"] {
        assert_eq!(found[key], logged[60][format!("test_{key}")], "{key}");
    }
    let rmse = found["rmse"].as_f64().unwrap();
    assert!((1000.0..30_000.0).contains(&rmse), "prices differ by hundreds of thousands: {rmse}");
    std::fs::write(folder.join("rows.csv"), "size,rooms\n100,3\n").unwrap();
    let output = run(folder, &["predict", "m.st", "rows.csv", "--backend", "cpu", "--json"]);
    let predicted: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let price = predicted["values"][0].as_f64().unwrap();
    assert!((price - 1_360_000.0).abs() < 60_000.0, "{price}");
    // Values and classes do not mix.
    refused(folder, &[&PRICES[..], &["--loss", "cross-entropy"]].concat(), &["--loss cross-entropy", "mse"]);
    refused(folder, &[&RINGS[..], &["--loss", "mse"]].concat(), &["--loss mse", "cross-entropy"]);
}

#[test]
fn early_stopping_keeps_the_best_epoch() {
    let folder = tables();
    let folder = folder.path();
    let options =
        ["--hidden", "64", "--optimizer", "adam", "--lr", "0.05", "--epochs", "400", "--validation-split", "0.2"];
    let files = ["--early-stop", "4", "--save", "m.st", "--log", "l.jsonl"];
    let (told, _) = train(folder, &[&RINGS[..], &options, &files].concat());
    let losses: Vec<f64> =
        log(folder, "l.jsonl").iter().skip(1).map(|line| line["validation_loss"].as_f64().unwrap()).collect();
    let best = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap() + 1;
    assert!(losses.len() < 400 && losses.len() == best + 4, "{} epochs, the best is {best}", losses.len());
    assert!(told.contains(&format!("Epoch {best} is kept")) && told.contains("no longer fell"), "{told}");
    assert_eq!(checkpoint::load(&folder.join("m.st")).unwrap().metadata.unwrap().epochs, best as u32);
    let output = run(folder, &["eval", "m.st", "--backend", "cpu", "--json", "--part", "validation"]);
    let found: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert!((found["loss"].as_f64().unwrap() - losses[best - 1]).abs() < 1e-9);
    refused(folder, &[&RINGS[..], &["--early-stop"]].concat(), &["validation"]);
}

#[test]
fn a_run_ends_at_an_accuracy_or_a_time_and_may_evaluate_less() {
    let folder = tables();
    let folder = folder.path();
    let options = [&RINGS[..], &["--hidden", "32", "--lr", "0.2", "--epochs", "300"]].concat();
    let (told, _) = train(folder, &[&options[..], &["--target-accuracy", "0.9"]].concat());
    assert!(told.contains("the accuracy that was asked for was reached"), "{told}");
    let (told, lines) = train(folder, &[&options[..], &["--max-seconds", "0.000001"]].concat());
    assert!(told.contains("the time that was given was up") && lines.lines().count() == 2, "{told}{lines}");
    let (_, lines) =
        train(folder, &[&options[..4], &["--epochs", "7", "--eval-every", "3", "--no-train-eval"]].concat());
    let told: Vec<&str> = lines.lines().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(told[..3], ["Epoch 3/7", "Epoch 6/7", "Epoch 7/7"], "{lines}");
    assert!(!lines.contains("Mean Loss"), "{lines}");
}

#[test]
fn a_rate_by_itself_is_the_rate() {
    let folder = tables();
    let folder = folder.path();
    let rates = |options: &[&str]| -> Vec<f64> {
        train(folder, &[&RINGS[..], options, &["--epochs", "6", "--quiet", "--log", "l.jsonl"]].concat());
        log(folder, "l.jsonl").iter().skip(1).map(|line| (line["lr"].as_f64().unwrap() * 1e6).round() / 1e6).collect()
    };
    assert_eq!(rates(&["--recipe", "notebook", "--lr", "0.1"]), [0.1; 6]);
    assert_eq!(rates(&["--schedule", "constant", "--lr", "0.1"]), [0.1; 6]);
    assert_eq!(rates(&["--lr", "0.2", "--lr-decay", "0.05"]), [0.15, 0.15, 0.15, 0.15, 0.15, 0.1]);
    assert_eq!(rates(&["--recipe", "notebook"]), [0.15, 0.15, 0.15, 0.15, 0.15, 0.1]);
    assert_eq!(rates(&["--lr", "0.1"])[..2], [0.1, 0.093301]);
    assert_eq!(rates(&["--lr", "0.1", "--schedule", "linear"])[0], 0.1);
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let folder = tables();
    for (options, of) in [
        (&["--momentum", "0.9"][..], "--optimizer momentum"),
        (&["--optimizer", "sgd", "--beta2", "0.9"], "--optimizer adam"),
        (&["--schedule", "cosine", "--gamma", "0.5"], "--schedule step"),
        (&["--schedule", "one-cycle", "--warmup", "5"], "one-cycle"),
        (&["--schedule", "constant", "--lr-decay", "0.1"], "--schedule notebook"),
        (&["--hidden", "none", "--dropout", "0.1"], "hidden layers"),
        (&["--recipe", "notebook", "--min-delta", "0.1"], "--early-stop"),
        (&["--recipe", "notebook", "--decay-biases", "false"], "--weight-decay"),
    ] {
        refused(folder.path(), &[&RINGS[..], options].concat(), &["would do nothing", of]);
    }
}

#[test]
fn weights_of_classes_come_from_a_file_or_balance_them() {
    let folder = tables();
    let folder = folder.path();
    let weigh = [&RINGS[..], &["--epochs", "1", "--class-weight", "w.csv", "--log", "l.jsonl"]].concat();
    let write = |content: &str| std::fs::write(folder.join("w.csv"), content).unwrap();
    write("class,weight\nouter,2\ninner,0.5\n");
    train(folder, &weigh);
    assert_eq!(log(folder, "l.jsonl")[0]["class_weight"], serde_json::json!([0.5, 2.0]));
    for (content, found) in [
        ("outer,2\n", "no weight of the class \"inner\""),
        ("outer,2\ninner,-1\n", "the weight \"-1\" in line 2"),
        ("outer,2\nmiddle,1\n", "the class \"middle\" in line 2"),
        ("outer,2\nouter,1\n", "\"outer\" again in line 2"),
    ] {
        write(content);
        let output = run(folder, &[&["train", "--backend", "cpu"], &weigh[..]].concat());
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(found) && told.contains("w.csv"), "{told}");
    }
}

/// Plain gradient descent and ReLU.
const NOTEBOOK: &[&str] = &["--recipe", "notebook"];

#[test]
fn what_was_not_learnt_is_said() {
    let folder = tables();
    let folder = folder.path();
    let (told, _) =
        train(folder, &[&RINGS[..], NOTEBOOK, &["--hidden", "8,8,8,8", "--init", "normal:0.0001"]].concat());
    assert!(
        told.contains("Nothing was learnt") || told.contains("Every row is taken for the class \"outer\""),
        "{told}"
    );
    let (told, _) =
        train(folder, &[&RINGS[..], NOTEBOOK, &["--hidden", "8", "--init", "normal:0", "--lr", "0"]].concat());
    assert!(
        told.contains("Nothing was learnt") && told.contains("8 of the 8 units of hidden layer 1 are dead"),
        "{told}"
    );
}
