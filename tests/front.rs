//! Embedded numbers and trained factors of inputs: against PyTorch's runs in float64, which tests/reference/front.py recorded, and
//! through the real binary.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::select::{Choice, Request};
use mlp_gpu::backend::{BackendExt, Split, Steps};
use mlp_gpu::checkpoint;
use mlp_gpu::compare::{Tolerance, compare};
use mlp_gpu::data::{Inputs, Samples};
use mlp_gpu::recipe::{Loss, Recipe};
use mlp_gpu::state::State;
use serde_json::{Map, Value};

mod adapter;

/// `scale` times numbers in -1 .. 1, as `values` in tests/reference/front.py makes them.
fn values(count: usize, factor: usize, offset: usize, scale: f64) -> Vec<f32> {
    (0..count).map(|i| (((i * factor + offset) % 2003) as f64 - 1001.0) / 1024.0 * scale).map(|x| x as f32).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// Follows every case that `request` can run; how many these are.
fn follow(request: &Request) -> usize {
    let recorded: Value = serde_json::from_str(include_str!("reference/front.json")).unwrap();
    let shape = &recorded["shape"];
    let number = |name: &str| shape[name].as_u64().unwrap() as usize;
    let (rows, inputs, outputs, batch) = (number("rows"), number("inputs"), number("outputs"), number("batch"));
    let embedded: Vec<u32> = numbers(&shape["embedded"]).into_iter().map(|at| at as u32).collect();
    let selected = request.select().unwrap();
    let mut followed = 0;
    for case in recorded["cases"].as_array().unwrap() {
        let options =
            case.as_object().unwrap().iter().filter(|(name, _)| !["parameters", "last_loss"].contains(&&name[..]));
        let mut options: Map<String, Value> = options.map(|(name, value)| (name.clone(), value.clone())).collect();
        let name = format!("{options:?}");
        options.insert("hidden".into(), shape["hidden"].clone());
        options.insert("batch_size".into(), batch.into());
        options.insert("activation".into(), "tanh".into());
        let recipe = Recipe::default().overlaid(&options).unwrap();
        let model = recipe.model(inputs, outputs).unwrap().with_front(recipe.front(embedded.clone())).unwrap();
        let mut backend = match selected.backend(&model, &recipe) {
            Err(error) if error.is_unfit() => continue,
            backend => backend.unwrap().0,
        };
        let features = Inputs::F32(values(rows * inputs, 7919, 13, 1.0));
        let samples = Arc::new(
            match recipe.loss {
                Loss::CrossEntropy => {
                    Samples::new(features, inputs, (0..rows).map(|row| (row * 7 % outputs) as u32).collect())
                }
                _ => Samples::with_values(features, inputs, values(rows * outputs, 104_729, 7, 2.0), outputs),
            }
            .unwrap(),
        );
        backend.upload(Split::Train, &samples).unwrap();
        let mut parameters = values(model.front_tensors()[4].place.end, 7907, 11, 1.0);
        for (number, layer) in model.layers().iter().enumerate() {
            parameters.extend(values((layer.inputs + 1) * layer.outputs, 7907, 31 + number, 0.5));
        }
        backend.set_state(&State::new(parameters, recipe.optimizer.kind)).unwrap();
        let order: Vec<u32> = (0..rows as u32).collect();
        for step in 0..number("steps") {
            let order = order.chunks(batch).nth(step % rows.div_ceil(batch)).unwrap();
            backend.train(Steps { order, rates: &[recipe.schedule.lr as f32] }).unwrap();
        }
        let found = backend.parameters().unwrap();
        let tolerance = Tolerance { absolute: 2e-6, relative: 1e-5 };
        let comparison = compare(&found, &numbers(&case["parameters"]), tolerance);
        assert!(comparison.passed(), "{} {name}: {comparison}", backend.about().plan);
        let loss = backend.evaluate_now(Split::Train).unwrap().mean_loss();
        assert!((loss - case["last_loss"].as_f64().unwrap()).abs() < 1e-5, "{name}: {loss}");
        followed += 1;
    }
    followed
}

#[test]
fn the_cpu_follows_pytorch() {
    for threads in [1, 3] {
        assert_eq!(follow(&Request::cpu(threads)), 7);
    }
}

fn command(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command.output().unwrap()
}

/// Standard output and standard error of a run that succeeds.
fn run(arguments: &[&str]) -> (String, String) {
    let output = command(arguments);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?}: {err}");
    (out, err)
}

/// The error of a run that is refused.
fn refused(arguments: &[&str]) -> String {
    let output = command(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && !text.contains("panicked"), "{arguments:?}: {text}");
    text.lines().find(|line| line.starts_with("error: ")).unwrap().to_owned()
}

/// A table of numbers, text, booleans and missing cells; the class is a wave of the first number.
fn table(folder: &Path) -> String {
    let mut text = String::from("size,colour,wet,age,kind\n");
    for row in 0..160u32 {
        let size = f64::from(row * 37 % 101) / 10.0;
        let age = if row % 9 == 0 { String::new() } else { (row * 53 % 89).to_string() };
        let (colour, wet) = (["red", "green", "blue"][row as usize % 3], ["no", "yes"][row as usize / 2 % 2]);
        writeln!(text, "{size},{colour},{wet},{age},{}", if size.sin() > 0.0 { "up" } else { "down" }).unwrap();
    }
    let path = folder.join("table.csv");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const FRONT: [&str; 3] = ["--embed", "pbld", "--trained-scale"];

/// Trains on `data` and returns the path of the model, and what was said.
fn train(folder: &Path, name: &str, data: &str, more: &[&str]) -> (String, String) {
    let model = folder.join(name).to_str().unwrap().to_owned();
    let fixed = ["train", "--data", data, "--target", "kind", "--backend", "cpu", "--hidden", "16,9", "--save", &model];
    let (_, err) = run(&[&fixed[..], more].concat());
    (model, err)
}

#[test]
fn numbers_alone_are_embedded_and_the_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path());
    let (model, told) = train(folder.path(), "m", &data, &[&FRONT[..], &["--epochs", "3"]].concat());
    assert!(told.contains("numbers embedded by pbld:0.1, inputs scaled by training"), "{told}");
    let kept = checkpoint::load(Path::new(&model)).unwrap();
    let metadata = kept.metadata.as_ref().unwrap();
    let features = &metadata.schema.as_ref().unwrap().features;
    let embedded = kept.model.front().embedded.iter().map(|&at| &features[at as usize][..]);
    assert_eq!(embedded.collect::<Vec<_>>(), ["size", "age"]);
    assert!(features.contains(&"age missing".to_owned()) && kept.model.front().scaled);
    assert_eq!(kept.model.layers()[0].inputs, features.len() + 6);
    assert_eq!(metadata.format_version, 3);
    let bytes = std::fs::read(&model).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, shape) in [
        ("embedding.features", &[2][..]),
        ("embedding.frequencies", &[2, 16]),
        ("embedding.phases", &[2, 16]),
        ("embedding.weight", &[2, 3, 16]),
        ("embedding.bias", &[2, 3]),
        ("scale", &[features.len() + 6]),
        ("0.weight", &[16, features.len() + 6]),
    ] {
        assert_eq!(file.tensor(name).unwrap().shape(), shape, "{name}");
    }
    let (shown, _) = run(&["inspect", &model]);
    assert!(shown.contains("numbers: embedded by pbld:0.1") && shown.contains("trained factors"), "{shown}");
    // Without a front the file is as it was.
    let plain = ["--embed", "none", "--trained-scale", "false", "--epochs", "1"];
    let (model, _) = train(folder.path(), "plain", &data, &plain);
    assert_eq!(checkpoint::load(Path::new(&model)).unwrap().metadata.unwrap().format_version, 2);
}

#[test]
fn exports_predict_as_the_model_and_every_command_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path());
    for (number, front) in [&FRONT[..], &FRONT[..2], &FRONT[2..]].into_iter().enumerate() {
        let rest = [&[][..], &["--trained-scale", "false"], &["--embed", "none"]][number];
        let (model, _) =
            train(folder.path(), &format!("m{number}"), &data, &[front, rest, &["--epochs", "4"]].concat());
        let found = |model: &str, command: &str| match command {
            "eval" => run(&["eval", model, "--data", &data, "--json", "--backend", "cpu"]).0,
            _ => run(&["predict", model, &data, "--json", "--backend", "cpu"]).0,
        };
        for ending in ["npz", "onnx", "safetensors"] {
            let path = folder.path().join(format!("m{number}.{ending}"));
            let path = path.to_str().unwrap();
            run(&["export", &model, "--output", path]);
            for command in ["eval", "predict"] {
                assert_eq!(found(path, command), found(&model, command), "{front:?} {ending} {command}");
            }
            run(&["inspect", path]);
        }
        // Another run starts from it, with its front.
        let (again, _) = train(folder.path(), "again", &data, &["--init-from", &model, "--epochs", "1"]);
        let front = |path: &str| checkpoint::load(Path::new(path)).unwrap().model.front().clone();
        assert_eq!(front(&again), front(&model));
    }
}

#[test]
fn a_resumed_run_ends_with_the_bits_of_a_whole_one_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path());
    let fixed = [
        "--optimizer",
        "adamw",
        "--schedule",
        "constant",
        "--lr",
        "0.01",
        "--clip-norm",
        "1",
        "--validation-split",
        "0",
    ];
    let fixed = [&FRONT[..], &fixed, &["--input-dropout", "0.1", "--dropout", "0.2"]].concat();
    let (whole, _) = train(folder.path(), "whole", &data, &[&fixed[..], &["--epochs", "4", "--threads", "1"]].concat());
    let (half, _) = train(folder.path(), "half", &data, &[&fixed[..], &["--epochs", "2", "--threads", "3"]].concat());
    let path = folder.path().join("resumed").to_str().unwrap().to_owned();
    run(&["train", "--resume", &half, "--epochs", "4", "--threads", "2", "--save", &path, "--backend", "cpu"]);
    let state = |path: &str| checkpoint::load(Path::new(path)).unwrap().state;
    assert_eq!(state(&path), state(&whole));
}

#[test]
fn members_of_an_ensemble_have_fronts_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path());
    let (model, _) = train(folder.path(), "many", &data, &[&FRONT[..], &["--epochs", "2", "--members", "3"]].concat());
    let ensemble = checkpoint::Ensemble::load(Path::new(&model)).unwrap();
    let places: Vec<_> = ensemble.members().iter().map(|member| &member.state.parameters[..32]).collect();
    assert!(ensemble.len() == 3 && places[0] != places[1] && places[1] != places[2]);
    assert!(ensemble.members().iter().all(|member| member.model.front().embedded.len() == 2));
    let predict = |path: &str| run(&["predict", path, &data, "--json", "--backend", "cpu"]).0;
    let onnx = folder.path().join("many.onnx");
    let onnx = onnx.to_str().unwrap();
    run(&["export", &model, "--output", onnx]);
    assert_eq!(predict(onnx), predict(&model));
}

#[test]
fn what_cannot_be_embedded_or_scaled_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [&FRONT[..2], &FRONT[2..]] {
        let error = refused(&[&["train", "--data", "digits", "--backend", "cpu"], flags].concat());
        assert!(error.contains(flags[0]) && error.contains("for tables"), "{error}");
    }
    let words = folder.path().join("words.csv");
    let rows: String = (0..60).map(|row| format!("{},{}\n", ["a", "b", "c"][row % 3], ["x", "y"][row % 2])).collect();
    std::fs::write(&words, format!("letter,kind\n{rows}")).unwrap();
    let words = words.to_str().unwrap();
    let error = refused(&["train", "--data", words, "--target", "kind", "--backend", "cpu", "--embed", "pbld"]);
    assert!(error.contains("--embed pbld:0.1 is for numbers, and no feature"), "{error}");
    // What nobody asked for is left out.
    run(&["train", "--data", words, "--target", "kind", "--backend", "cpu", "--epochs", "1"]);
    let error = refused(&["train", "--data", words, "--target", "kind", "--embed", "waves"]);
    assert!(error.contains("pbld:DEVIATION"), "{error}");
}

#[test]
fn the_gpu_follows_pytorch() {
    let request = |plan| Request { backend: Choice::Gpu, plan: Some(plan), ..Request::default() };
    if adapter::or_skip(request(PlanName::Fused).select(), "the_gpu_follows_pytorch").is_none() {
        return;
    }
    // The plan fused does not clip gradients, and the plan resident has no front.
    for (plan, runs) in [(PlanName::Elementary, 7), (PlanName::Fused, 6), (PlanName::Resident, 0)] {
        assert_eq!(follow(&request(plan)), runs, "{}", plan.name());
    }
}

#[test]
fn a_gpu_goes_on_with_what_a_cpu_began_and_predicts_the_same() {
    let request = Request { backend: Choice::Gpu, ..Request::default() };
    let test = "a_gpu_goes_on_with_what_a_cpu_began_and_predicts_the_same";
    if adapter::or_skip(request.select(), test).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path());
    let (model, _) = train(folder.path(), "m", &data, &[&FRONT[..], &["--epochs", "2"]].concat());
    let more = folder.path().join("more").to_str().unwrap().to_owned();
    let resume = ["train", "--resume", &model, "--epochs", "3", "--save", &more];
    run(&[&resume[..], &["--backend", "gpu"]].concat());
    let on_gpu = checkpoint::load(Path::new(&more)).unwrap().state.parameters;
    run(&[&resume[..], &["--backend", "cpu"]].concat());
    let on_cpu = checkpoint::load(Path::new(&more)).unwrap().state.parameters;
    let comparison = compare(&on_gpu, &on_cpu, Tolerance { absolute: 1e-4, relative: 1e-3 });
    assert!(comparison.passed(), "{comparison}");
    let accuracy = |backend: &str| {
        let (found, _) = run(&["eval", &more, "--data", &data, "--json", "--backend", backend]);
        serde_json::from_str::<Value>(&found).unwrap()["accuracy"].as_f64().unwrap()
    };
    assert!((accuracy("gpu") - accuracy("cpu")).abs() < 0.02);
}
