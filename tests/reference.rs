//! Training runs of the real binary against losses that `tests/reference/losses.py` recorded in float64.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use mlp_gpu::backend::gpu::device::adapters;
use mlp_gpu::checkpoint;
use mlp_gpu::compare::{Tolerance, compare};
use mlp_gpu::model::Mlp;
use mlp_gpu::recipe::OptimizerKind;
use mlp_gpu::state::State;
use serde_json::Value;

const CLASSES: u64 = 10;

/// As `data` in the script: pixels and labels.
fn data(first: u64, rows: u64, side: u64) -> (Vec<u8>, Vec<u8>) {
    let label = |row: u64| row * 7 % CLASSES;
    let pixel = |row: u64, column: u64| {
        let noise = (row * 2_654_435_761 + column * 40_503) % (1 << 32) / (1 << 13) % 128;
        ((label(row) * 53 + column * 29) % 256 / 2 + noise) as u8
    };
    let rows = first..first + rows;
    let pixels = rows.clone().flat_map(|row| (0..side * side).map(move |column| pixel(row, column))).collect();
    (pixels, rows.map(|row| label(row) as u8).collect())
}

/// As `weights` in the script, of all layers.
fn parameters(model: &Mlp) -> Vec<f32> {
    let mut parameters = Vec::new();
    for (index, layer) in model.layers().iter().enumerate() {
        let scale = 2003.0 * (layer.inputs as f64).sqrt();
        let value = |i: usize| (((i * 7919 + 13 + index) % 2003) as f64 - 1001.0) / scale;
        parameters.extend((0..(layer.inputs + 1) * layer.outputs).map(|i| value(i) as f32));
    }
    parameters
}

fn write_idx(folder: &Path, part: &str, side: u64, (pixels, labels): (Vec<u8>, Vec<u8>)) {
    let header = |words: &[usize]| words.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect::<Vec<u8>>();
    let side = side as usize;
    let images = [header(&[0x803, labels.len(), side, side]), pixels].concat();
    let labels = [header(&[0x801, labels.len()]), labels].concat();
    std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
    std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
}

fn follow(backend: &str) {
    let cases: Vec<Value> = serde_json::from_str(include_str!("reference/losses.json")).unwrap();
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let number = |key: &str| case[key].as_u64().unwrap();
        let (side, train, test) = (number("side"), number("train"), number("test"));
        let hidden: Vec<usize> =
            case["hidden"].as_array().unwrap().iter().map(|width| width.as_u64().unwrap() as usize).collect();
        let model = Mlp::new(&[&[(side * side) as usize], &hidden[..], &[CLASSES as usize]].concat()).unwrap();

        let folder = tempfile::tempdir().unwrap();
        write_idx(folder.path(), "train", side, data(0, train, side));
        write_idx(folder.path(), "t10k", side, data(train, test, side));
        let (initial, log) = (folder.path().join("initial.safetensors"), folder.path().join("log.jsonl"));
        let state = State::new(parameters(&model), OptimizerKind::Sgd);
        checkpoint::save(&initial, &model, &state, None).unwrap();

        let hidden = match hidden.iter().map(usize::to_string).collect::<Vec<_>>().join(",") {
            none if none.is_empty() => "none".into(),
            widths => widths,
        };
        let output = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"))
            .args([
                "train",
                "--backend",
                backend,
                "--recipe",
                "notebook",
                "--no-shuffle",
                "--quiet",
                "--hidden",
                &hidden,
            ])
            .arg("--data")
            .arg(folder.path())
            .arg("--init-from")
            .arg(&initial)
            .arg("--log")
            .arg(&log)
            .args(["--epochs", &case["epochs"].to_string(), "--batch-size", &case["batch"].to_string()])
            .args(["--lr", &case["lr"].to_string(), "--lr-decay", &case["decay"].to_string()])
            .args(["--lr-decay-every", &case["every"].to_string(), "--min-lr", &case["min_lr"].to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let lines: Vec<Value> = std::fs::read_to_string(&log)
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ours = |key: &str, scale: u64| -> Vec<f32> {
            lines.iter().map(|line| (line[key].as_f64().unwrap() * scale as f64) as f32).collect()
        };
        let theirs = |key: &str| -> Vec<f32> {
            case["losses"].as_array().unwrap().iter().map(|epoch| epoch[key].as_f64().unwrap() as f32).collect()
        };
        let tolerance = Tolerance { absolute: 0.0, relative: 1e-4 };
        for (key, ours, theirs) in [
            ("lr", ours("lr", 1), theirs("lr")),
            ("train loss", ours("train_loss_sum", 1), theirs("train_loss_sum")),
            ("test loss", ours("test_loss", test), theirs("test_loss_sum")),
        ] {
            let comparison = compare(&ours, &theirs, tolerance);
            println!("{backend}, {side} x {side}, hidden {hidden}: {key}: {comparison}");
            assert!(comparison.passed(), "{backend}, hidden {hidden}, {key}: {comparison}");
        }
    }
}

#[test]
fn the_cpu_follows_float64() {
    follow("cpu");
}

#[test]
fn the_gpu_follows_float64() {
    if pollster::block_on(adapters()).is_empty() {
        assert!(std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_err(), "no adapter");
        println!("no adapter: the_gpu_follows_float64");
        return;
    }
    follow("gpu");
}
