//! Ensembles in one file, through the real binary and the library: means, figures, exports, and files that are broken.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mlp_gpu::checkpoint::{self, Checkpoint};
use mlp_gpu::data::{self, Inputs};
use mlp_gpu::ensemble::Evaluated;
use mlp_gpu::{Ensemble, Mlp, Recipe, Request, Samples, Trainer};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use binary::{Folder, fails, run, succeeds};

mod binary;

impl Folder {
    /// Trains a model on the CPU and returns its path.
    fn train(&self, name: &str, data: &str, flags: &[&str]) -> String {
        let model = self.path(name);
        let run = ["train", "--backend", "cpu", "--quiet", "--data", data, "--epochs", "4", "--save", &model];
        succeeds(&[&run[..], flags].concat());
        model
    }

    /// Joins the models at `paths` and returns the path of the ensemble.
    fn join(&self, name: &str, paths: &[&str], weights: &[u32]) -> String {
        let members = paths.iter().map(|path| load(path)).collect();
        Ensemble::weighted(members, weights.to_vec()).unwrap().save(self.path(name).as_ref()).unwrap();
        self.path(name)
    }
}

fn load(path: &str) -> Checkpoint {
    checkpoint::load(path.as_ref()).unwrap()
}

/// Rows of three kinds that are not quite easy to tell apart, with a column of names of which some are in one half alone.
fn table(rows: std::ops::Range<usize>, values: bool) -> String {
    let mut text = "x,y,colour,label\n".to_owned();
    for row in rows {
        let kind = row % 3;
        let noise = |salt: usize| ((row * 2_654_435_761 + salt * 40_503) % 1000) as f64 / 1000.0;
        let (x, y) = (kind as f64 + 2.0 * noise(1), 50.0 - 20.0 * kind as f64 + 40.0 * noise(2));
        let colour = ["red", "green", if row < 150 { "blue" } else { "grey" }][(row / 3) % 3];
        let label = if values { format!("{:.3}", 1000.0 + 3.0 * x - y) } else { ["ant", "bee", "cat"][kind].into() };
        writeln!(text, "{x:.3},{y:.3},{colour},{label}").unwrap();
    }
    text
}

/// The lines of `predict --json`, each with its `key`.
fn predicted(model: &str, rows: &str, key: &str, flags: &[&str]) -> Vec<Vec<f64>> {
    let out = succeeds(&[&["predict", model, rows, "--json", "--backend", "cpu"], flags].concat());
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()[key].clone();
    out.lines().map(|text| serde_json::from_value(line(text)).unwrap()).collect()
}

fn figures(model: &str, data: &str, flags: &[&str]) -> Value {
    let run = ["eval", model, "--data", data, "--part", "test", "--test-split", "0", "--json", "--backend", "cpu"];
    serde_json::from_str(&succeeds(&[&run[..], flags].concat())).unwrap()
}

/// The weighted mean over models of what each predicts, and the deviation around it.
fn by_hand(each: &[Vec<Vec<f64>>], weights: &[u32]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let of_output = |row: usize, output: usize| {
        let over = |of: &dyn Fn(f64) -> f64| {
            let parts = each.iter().zip(weights).map(|(model, &weight)| f64::from(weight) * of(model[row][output]));
            parts.sum::<f64>() / total
        };
        let mean = over(&|value| value);
        (mean, over(&|value| (value - mean).powi(2)).sqrt())
    };
    let of_row = |(row, outputs): (usize, &Vec<f64>)| (0..outputs.len()).map(|output| of_output(row, output)).unzip();
    each[0].iter().enumerate().map(of_row).unzip()
}

fn close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found}, expected {expected}");
    }
}

/// Three models of classes of other shapes, activations and seeds, and the table, of which they had all rows.
fn three(folder: &Folder) -> (String, [String; 3]) {
    let data = folder.write("table.csv", table(0..300, false));
    let train = |name: &str, flags: &[&str]| folder.train(name, &data, &[&["--test-split", "0"], flags].concat());
    let models = [
        train("0.safetensors", &["--hidden", "8"]),
        train("1.safetensors", &["--hidden", "6,5", "--seed", "1", "--activation", "tanh"]),
        train("2.safetensors", &["--hidden", "none", "--seed", "2", "--optimizer", "sgd"]),
    ];
    (data, models)
}

#[test]
fn probabilities_are_the_weighted_mean_of_members_of_any_shape() {
    let folder = Folder::new();
    let (data, models) = three(&folder);
    let models = models.each_ref().map(|path| &path[..]);
    for weights in [[1, 1, 1], [2, 7, 1]] {
        let model = folder.join("all.safetensors", &models, &weights);
        let each = models.map(|path| predicted(path, &data, "probabilities", &[]));
        let (means, _) = by_hand(&each, &weights);
        let found = predicted(&model, &data, "probabilities", &[]);
        close(&found, &means, 1e-7);
        assert_eq!(predicted(&model, &data, "probabilities", &["--threads", "5"]), found);
        for (number, alone) in each.iter().enumerate() {
            assert_eq!(&predicted(&model, &data, "probabilities", &["--member", &number.to_string()]), alone);
        }

        // Figures of the ensemble from its own predictions, of the members as of each alone.
        let told = figures(&model, &data, &[]);
        let right = found.iter().enumerate().filter(|(row, p)| p.iter().all(|other| p[row % 3] >= *other)).count();
        assert_eq!(told["accuracy"], json!(right as f64 / 300.0));
        let loss = found.iter().enumerate().map(|(row, p)| -(p[row % 3] / p.iter().sum::<f64>()).ln()).sum::<f64>();
        assert!((told["log_loss"].as_f64().unwrap() - loss / 300.0).abs() < 1e-9, "{told}");
        let alone = models.map(|path| figures(path, &data, &[]));
        let losses = alone.each_ref().map(|of| of["loss"].as_f64().unwrap());
        for (number, alone) in alone.iter().enumerate() {
            let member = &told["members"][number];
            assert_eq!((&member["member"], &member["weight"]), (&json!(number), &json!(weights[number])));
            for key in ["loss", "accuracy", "log_loss", "roc_auc", "f1_macro", "calibration_error"] {
                assert_eq!(member[key], alone[key], "{key} of member {number}");
            }
        }
        let mean = told["mean_member"]["loss"].as_f64().unwrap();
        assert!((mean - losses.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        // Jensen: the loss of a mean is at most the mean of the losses.
        assert!(weights != [1; 3] || told["loss"].as_f64().unwrap() < mean);
        let best = told["best_member"]["member"].as_u64().unwrap() as usize;
        assert!(losses.iter().all(|loss| losses[best] <= *loss));
        assert!(alone.iter().all(|of| of.get("members").is_none() && of.get("best_member").is_none()));
        let text = succeeds(&["eval", &model, "--data", &data, "--backend", "cpu"]);
        assert!(text.contains("3 members") && text.contains("best: member"), "{text}");
    }
}

#[test]
fn values_are_means_in_their_unit_with_the_spread_between_members() {
    let folder = Folder::new();
    let (data, other) = (folder.write("0.csv", table(0..200, true)), folder.write("1.csv", table(100..300, true)));
    let models = [
        folder.train("0.safetensors", &data, &["--hidden", "8"]),
        folder.train("1.safetensors", &other, &["--hidden", "8", "--seed", "1"]),
        folder.train("2.safetensors", &other, &["--hidden", "4", "--seed", "2", "--loss", "huber"]),
    ];
    let models = models.each_ref().map(|path| &path[..]);
    let scales = models.map(|path| load(path).metadata.unwrap().target_scale.unwrap());
    assert!(scales[0].mean != scales[1].mean && scales[0].deviation != scales[1].deviation);
    let weights = [3, 1, 1];
    let model = folder.join("all.safetensors", &models, &weights);
    let each = models.map(|path| predicted(path, &data, "values", &[]));
    let (means, deviations) = by_hand(&each, &weights);
    let found = predicted(&model, &data, "values", &[]);
    close(&found, &means, 1e-12);
    close(&predicted(&model, &data, "spread", &[]), &deviations, 1e-9);
    assert!(deviations.iter().flatten().all(|deviation| *deviation > 0.0));

    let lines = |flags: &[&str]| -> Vec<Vec<String>> {
        let csv = folder.path("out.csv");
        succeeds(&[&["predict", &model, &data, "--backend", "cpu", "--output", &csv], flags].concat());
        fs::read_to_string(csv).unwrap().lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let written = lines(&["--keep", "colour"]);
    assert_eq!(written[0], ["colour", "label", "spread_label"]);
    for (row, cells) in written[1..].iter().enumerate() {
        assert_eq!(cells[1].parse::<f64>().unwrap(), found[row][0]);
        assert!((cells[2].parse::<f64>().unwrap() - deviations[row][0]).abs() < 1e-9);
    }
    assert_eq!(lines(&["--column-names", "cost"])[0], ["cost"]);
    assert_eq!(lines(&["--column-names", "cost,doubt"])[0], ["cost", "doubt"]);
    assert_eq!(lines(&["--member", "1"])[0], ["label"]);
    fails(&["predict", &model, &data, "--output", "o.csv", "--column-names", "a,b,c"], 2, &["3 names for 2 columns"]);
    let line = succeeds(&["predict", &model, &data, "--backend", "cpu"]);
    assert!(line.lines().next().unwrap().contains(&format!("{} (spread ", found[0][0])), "{line}");

    // Of its own table the first one knows the test part, the others do not.
    let eval = ["eval", &model, "--data", &data, "--backend", "cpu"];
    fails(&eval, 1, &["all.safetensors take other rows", "--test-split and --seed"]);
    let drawn = ["--test-split", "0.2", "--seed", "5", "--json"];
    let told: Value = serde_json::from_str(&succeeds(&[&eval[..], &drawn].concat())).unwrap();
    assert_eq!(told["n"], json!(40));
    let told = figures(&model, &data, &[]);
    let targets: Vec<f64> = table(0..200, true).lines().skip(1).map(last).collect();
    let squares = found.iter().zip(&targets).map(|(found, target)| (found[0] - target).powi(2)).sum::<f64>();
    let rmse = (squares / targets.len() as f64).sqrt();
    assert!((told["rmse"].as_f64().unwrap() / rmse - 1.0).abs() < 1e-6, "{rmse} {told}");
    for (number, path) in models.iter().enumerate() {
        assert_eq!(told["members"][number]["mae"], figures(path, &data, &[])["mae"]);
    }
}

fn last(line: &str) -> f64 {
    line.rsplit(',').next().unwrap().parse().unwrap()
}

#[test]
fn members_may_make_other_features_of_the_same_columns() {
    let folder = Folder::new();
    let data = folder.write("all.csv", table(0..300, false));
    let halves = [folder.write("0.csv", table(0..150, false)), folder.write("1.csv", table(150..300, false))];
    let models = [0, 1].map(|half| folder.train(&format!("{half}.safetensors"), &halves[half], &["--hidden", "8"]));
    let models = models.each_ref().map(|path| &path[..]);
    let features = models.map(|path| load(path).metadata.unwrap().schema.unwrap().features);
    assert_ne!(features[0], features[1]);
    let model = folder.join("all.safetensors", &models, &[1, 1]);
    let each = models.map(|path| predicted(path, &data, "probabilities", &[]));
    close(&predicted(&model, &data, "probabilities", &[]), &by_hand(&each, &[1, 1]).0, 1e-7);
    let csv = folder.path("out.csv");
    let rows = fs::read(&data).unwrap();
    succeeds(&["predict", &model, &data, "--backend", "cpu", "--output", &csv, "--keep", "colour,x"]);
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), rows.iter().filter(|byte| **byte == b'\n').count());
    assert_eq!(figures(&model, &data, &[])["n"], json!(300));
    fails(&["eval", &model, "--data", "-"], 2, &["standard input", "2 ways"]);
    let onnx = folder.path("m.onnx");
    fails(&["export", &model, "--output", &onnx], 1, &["members 0 and 1", "different features", "--member I"]);
    succeeds(&["export", &model, "--output", &onnx, "--member", "1"]);
    assert_eq!(predicted(&onnx, &data, "probabilities", &[]), each[1]);
}

#[test]
fn a_file_of_members_gives_each_back_as_it_was() {
    let folder = Folder::new();
    let (data, models) = three(&folder);
    let models = models.each_ref().map(|path| &path[..]);
    let path = folder.join("all.safetensors", &models, &[1, 5, 1]);
    let bytes = fs::read(&path).unwrap();
    let ensemble = Ensemble::load(path.as_ref()).unwrap();
    assert_eq!(ensemble.weights(), [1, 5, 1]);
    for (member, alone) in ensemble.members().iter().zip(models) {
        let alone = load(alone);
        assert_eq!((&member.model, &member.state, &member.metadata), (&alone.model, &alone.state, &alone.metadata));
    }
    let again = folder.path("again.safetensors");
    ensemble.save(again.as_ref()).unwrap();
    assert_eq!(fs::read(&again).unwrap(), bytes);
    succeeds(&["export", &path, "--output", &again]);
    assert_eq!(fs::read(&again).unwrap(), bytes);

    // What PyTorch finds in a ModuleList of Sequentials with a front each, and nothing else.
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let layers = [("0", 2), ("1", 3), ("2", 1)];
    let front = ["bias", "features", "frequencies", "phases", "weight"].map(|part| format!("embedding.{part}"));
    let expected = layers.iter().flat_map(|(member, layers)| {
        let layers = (0..*layers).flat_map(|layer| ["bias", "weight"].map(|part| format!("{}.{part}", 2 * layer)));
        layers.chain(front.clone()).chain(["scale".into()]).map(move |name| format!("members.{member}.{name}"))
    });
    assert_eq!(names, expected.collect::<Vec<_>>());
    let shape = ensemble.members()[1].model.layers()[1].clone();
    assert_eq!(file.tensor("members.1.2.weight").unwrap().shape(), [shape.outputs, shape.inputs]);

    // A member as a model of its own is the file that it came from, state of the optimizer and all.
    for (number, alone) in models.iter().enumerate() {
        succeeds(&["export", &path, "--output", &again, "--member", &number.to_string()]);
        assert_eq!(fs::read(&again).unwrap(), fs::read(alone).unwrap());
    }
    succeeds(&["train", "--backend", "cpu", "--resume", &again, "--epochs", "5", "--quiet"]);
    for flag in ["--resume", "--init-from"] {
        let run = ["train", "--backend", "cpu", "--data", &data, flag, &path];
        fails(&run, 1, &["all.safetensors", "an ensemble of 3 models", "--member I"]);
    }
    fails(&["inspect", &path], 1, &["an ensemble of 3 models", "--member I"]);
    assert!(succeeds(&["inspect", &path, "--member", "1"]).contains("tanh"));
    fails(&["eval", &path, "--member", "3"], 2, &["no member 3", "members 0 to 2"]);
    fails(&["eval", models[0], "--member", "1"], 2, &["no member 1", "a single model"]);
    assert_eq!(succeeds(&["inspect", models[0], "--member", "0"]), succeeds(&["inspect", models[0]]));
    fails(&["export", &path, "--output", &folder.path("m.npz")], 2, &["an archive holds one model", "--member I"]);
    let error = checkpoint::load(path.as_ref()).unwrap_err().to_string();
    assert!(error.contains("an ensemble of 3 models") && !error.contains("--"), "{error}");
}

#[test]
fn one_graph_averages_all_members_and_is_read_back() {
    let folder = Folder::new();
    let (data, models) = three(&folder);
    let models = models.each_ref().map(|path| &path[..]);
    let model = folder.join("all.safetensors", &models, &[1, 2, 1]);
    let onnx = folder.path("m.onnx");
    assert!(succeeds(&["export", &model, "--output", &onnx]).contains("3 members"));
    assert_eq!(predicted(&onnx, &data, "probabilities", &[]), predicted(&model, &data, "probabilities", &[]));
    let [graph, file] = [&onnx, &model].map(|path| Ensemble::load(path.as_ref()).unwrap());
    assert_eq!((graph.weights(), graph.len()), (file.weights(), file.len()));
    fails(&["train", "--data", &data, "--resume", &onnx], 1, &["an ensemble of 3 models"]);
    let whole = fs::read(&onnx).unwrap();
    // Another name for an array of the second member.
    let at = whole.windows(12).position(|bytes| bytes == b"members.1.W2").unwrap();
    let arrays = whole.iter().enumerate().map(|(index, byte)| if index == at + 11 { b'9' } else { *byte });
    let bad = arrays.collect::<Vec<u8>>();
    // The name is in a node first, and then in the array.
    let second = whole[at + 12..].windows(12).position(|bytes| bytes == b"members.1.W2").unwrap() + at + 12;
    let bad: Vec<u8> = bad.iter().enumerate().map(|(i, byte)| if i == second + 11 { b'9' } else { *byte }).collect();
    let path = folder.write("bad.onnx", bad);
    fails(&["eval", &path], 1, &["bad.onnx", "in member 1, no array W2"]);
}

/// The file at `path` with other metadata, and without or with other tensors.
fn changed(path: &str, describe: impl Fn(&mut Value), rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut description = serde_json::from_str(&header.metadata().as_ref().unwrap()["mlp-gpu"]).unwrap();
    describe(&mut description);
    let tensors = file.tensors().into_iter().filter_map(|(name, view)| Some((rename(&name)?, view)));
    let metadata = HashMap::from([("mlp-gpu".to_owned(), description.to_string())]);
    safetensors::serialize(tensors.collect::<Vec<_>>(), Some(metadata)).unwrap()
}

#[test]
fn broken_files_say_which_member_is_wrong_and_why() {
    let folder = Folder::new();
    let (data, models) = three(&folder);
    let path = folder.join("all.safetensors", &models.each_ref().map(|path| &path[..]), &[1, 2, 3]);
    let keep = |name: &str| Some(name.to_owned());
    let weights = |weights: Value| changed(&path, |of| of["weights"] = weights.clone(), keep);
    let of = |key: &'static str, value: Value| {
        let describe = |of: &mut Value| {
            let (own, whole) = (of["members"][1].get(key).cloned(), of["shared"].get(key).cloned());
            assert!(own.is_some() || whole.is_some(), "{key}");
            of["members"][1][key] = value.clone();
        };
        changed(&path, describe, keep)
    };
    let without =
        |gone: &'static str| changed(&path, |_| (), move |name| (!name.starts_with(gone)).then(|| name.to_owned()));
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (weights(json!([1, null, 1])), &["the weight null of member 1", "whole number"]),
        (weights(json!([1, 1, "NaN"])), &["the weight \"NaN\" of member 2"]),
        (weights(json!([1, 1.5, 1])), &["the weight 1.5 of member 1"]),
        (weights(json!([1, -1, 1])), &["the weight -1 of member 1"]),
        (weights(json!([0, 1, 1])), &["the weight 0 of member 0"]),
        (weights(json!([1, 1])), &["2 weights of 3 members"]),
        (weights(json!(3)), &["metadata that does not parse"]),
        (without("members.1."), &["no tensor members.1.0.weight", "3 members"]),
        (without("members.1.2.weight"), &["in member 1, no tensor members.1.2.weight"]),
        (
            changed(&path, |_| (), |name| Some(name.replace("members.2.", "members.3."))),
            &["a tensor members.3.0.bias", "3 members"],
        ),
        (changed(&path, |_| (), |name| Some(name.replace("members.2.", ""))), &["a tensor 0.bias"]),
        (
            changed(&path, |of| drop(of["members"].as_array_mut().unwrap().pop()), keep),
            &["a tensor members.2.0.bias", "2 members"],
        ),
        (changed(&path, |of| of["members"] = json!([]), |_| None), &["no members", "at least one model"]),
        (of("classes", json!(["ant", "cat", "bee"])), &["member 1 tells apart the classes", "\"bee\", \"cat\""]),
        (of("classes", json!(["ant"])), &["in member 1, metadata with 1 classes"]),
        (of("widths", json!([1, 2])), &["in member 1, metadata with widths [1, 2]"]),
        (of("epochs", json!("four")), &["in member 1, metadata that does not parse"]),
        (of("format_version", json!(99)), &["in member 1, format version 99"]),
        (changed(&path, |of| of["format_version"] = json!(99), keep), &["format version 99", "newer mlp-gpu"]),
    ];
    for (bytes, parts) in cases {
        let bad = folder.write("bad.safetensors", bytes);
        fails(&["eval", &bad, "--data", &data], 1, &[&["bad.safetensors"], parts].concat());
    }
    let end = fs::read(&path).unwrap();
    let cut = folder.write("bad.safetensors", &end[..end.len() - 1]);
    fails(&["eval", &cut], 1, &["a broken file"]);
}

#[test]
fn members_that_predict_something_else_or_take_other_inputs_are_refused() {
    let folder = Folder::new();
    let (_, [model, ..]) = three(&folder);
    let two = folder.write("two.csv", table(0..300, false).replace("cat", "bee"));
    let numbers = folder.write("numbers.csv", table(0..300, true));
    let other = folder.write("other.csv", table(0..300, true).replace("label", "cost"));
    let values = folder.train("values.safetensors", &numbers, &["--hidden", "4"]);
    let cases = [
        (
            &model,
            folder.train("two.safetensors", &two, &[]),
            "member 1 tells apart the classes \"ant\", \"bee\", expected",
        ),
        (&model, values.clone(), "member 1 predicts the values \"label\", expected what member 0 does"),
        (
            &values,
            folder.train("cost.safetensors", &other, &["--target", "cost"]),
            "member 1 predicts the values \"cost\"",
        ),
    ];
    let join = |first: &str, second: Checkpoint| Ensemble::new(vec![load(first), second]).unwrap_err().to_string();
    for (first, second, expected) in cases {
        let error = join(first, load(&second));
        assert!(error.contains(expected), "{error}");
    }
    let arrays = |widths: &[usize]| {
        let mut bare = load(&model);
        bare.metadata = None;
        bare.model = Mlp::new(widths).unwrap();
        bare
    };
    let error = Ensemble::new(vec![arrays(&[7, 3]), arrays(&[9, 3])]).unwrap_err().to_string();
    assert!(error.contains("member 1 takes 9 features per row, expected what member 0 does"), "{error}");
    let error = Ensemble::new(vec![arrays(&[7, 3])]).unwrap().save("m".as_ref()).unwrap_err().to_string();
    assert!(error.contains("member 0 of an ensemble") && error.contains("no metadata"), "{error}");
    assert!(Ensemble::new(Vec::new()).unwrap_err().to_string().contains("no members"));
    let error = Ensemble::weighted(vec![load(&model)], vec![1, 1]).unwrap_err().to_string();
    assert!(error.contains("2 weights of 1 members"), "{error}");
}

/// Members with seeds of their own on rows that were drawn by another one, as `Trainer` makes them.
fn of_seeds(folder: &Folder, count: u64) -> (String, Vec<PathBuf>) {
    let reading = data::Options { test_split: Some(0.25), seed: 1, ..data::Options::default() };
    let table = folder.write("table.csv", table(0..300, false));
    let (set, _) = data::load(&table, &reading).unwrap();
    let model = Mlp::new(&[set.train.width, 8, 3]).unwrap();
    let mut members = Vec::new();
    let mut paths = Vec::new();
    for seed in 0..count {
        let recipe = Recipe { seed, epochs: 4, ..Recipe::default() };
        let trained = Trainer::new(model.clone(), &set).on(Request::cpu(1)).recipe(recipe).run().unwrap();
        let path = folder.0.path().join(format!("{seed}.safetensors"));
        trained.save(&path).unwrap();
        paths.push(path);
        members.push(trained.checkpoint);
    }
    let ensemble = Ensemble::new(members).unwrap();
    assert_eq!(ensemble.readers().len(), 1, "all read the rows in one way");
    ensemble.save(folder.path("all.safetensors").as_ref()).unwrap();
    (folder.path("all.safetensors"), paths)
}

#[test]
fn members_of_other_seeds_share_the_rows_that_were_drawn_once() {
    let folder = Folder::new();
    let (model, paths) = of_seeds(&folder, 3);
    let data = folder.path("table.csv");
    let run = ["eval", &model, "--data", &data, "--json", "--backend", "cpu"];
    let (out, err) = self::run(&run, 0);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["n"], json!(75));
    assert_eq!(err.matches("are the test part").count(), 1, "{err}");
    // Each alone is evaluated on the same rows, though its seed is another.
    for (number, path) in paths.iter().enumerate() {
        let (alone, err) =
            self::run(&["eval", path.to_str().unwrap(), "--data", &data, "--json", "--backend", "cpu"], 0);
        let alone: Value = serde_json::from_str(&alone).unwrap();
        assert!(err.contains("seed 1"), "{err}");
        assert_eq!((&alone["n"], &alone["loss"]), (&json!(75), &told["members"][number]["loss"]));
    }
    // The library's short way.
    let ensemble = Ensemble::load(model.as_ref()).unwrap();
    let selected = Request::cpu(2).select().unwrap();
    let rows = Inputs::F32(vec![0.25; 2 * ensemble.first().model.inputs()]);
    let found = ensemble.on(&selected).predict(std::slice::from_ref(&rows)).unwrap();
    assert!(found.spread.is_empty() && found.of.len() == 6);
    let each: Vec<Vec<f32>> =
        ensemble.members().iter().map(|of| of.on(&selected).unwrap().predict(&rows).unwrap()).collect();
    for (index, found) in found.of.iter().enumerate() {
        let mean = each.iter().map(|of| f64::from(of[index])).sum::<f64>() / 3.0;
        assert!((found - mean).abs() < 1e-15, "{found} {mean}");
    }
    // One that runs is not bound to the rows that it was given first.
    let (set, _) = data::load(&data, &data::Options { test_split: Some(0.25), seed: 1, ..Default::default() }).unwrap();
    let (test, mut running) = (set.test.unwrap(), ensemble.on(&selected));
    let mut losses = |samples: &Arc<Samples>| {
        let mut own = Vec::new();
        let each = |_, found: &Evaluated| {
            own.push(found.found.mean_loss());
            Ok(())
        };
        let all = running.evaluate(std::slice::from_ref(samples), each).unwrap().found.mean_loss();
        own.push(all);
        own
    };
    let losses = [losses(&set.train), losses(&test), losses(&set.train)];
    for (member, loss) in losses[1][..3].iter().enumerate() {
        let expected = told["members"][member]["loss"].as_f64().unwrap();
        assert!((loss - expected).abs() < 1e-12 && *loss != losses[0][member], "{losses:?}");
    }
    assert_eq!(losses[0], losses[2]);
    let wrong = ensemble.on(&selected).predict(&[rows.clone(), rows]).unwrap_err().to_string();
    assert!(wrong.contains("in 2 ways"), "{wrong}");
}

#[test]
fn a_gpu_averages_as_the_cpu_does() {
    if !succeeds(&["devices"]).lines().any(|line| line.starts_with("0: ")) {
        assert!(std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_err(), "no adapter");
        println!("no adapter: a_gpu_averages_as_the_cpu_does");
        return;
    }
    let folder = Folder::new();
    let (data, models) = three(&folder);
    let model = folder.join("all.safetensors", &models.each_ref().map(|path| &path[..]), &[1, 2, 1]);
    let out = succeeds(&["predict", &model, &data, "--json", "--backend", "gpu"]);
    let on_gpu: Vec<Vec<f64>> = out
        .lines()
        .map(|line| {
            serde_json::from_value(serde_json::from_str::<Value>(line).unwrap()["probabilities"].clone()).unwrap()
        })
        .collect();
    close(&on_gpu, &predicted(&model, &data, "probabilities", &[]), 1e-5);
    let run = ["eval", &model, "--data", &data, "--test-split", "0", "--json", "--backend", "gpu"];
    let told: Value = serde_json::from_str(&succeeds(&run)).unwrap();
    let expected = figures(&model, &data, &[]);
    for of in [&told["members"][1], &told["mean_member"], &told] {
        assert!(of["loss"].is_f64());
    }
    assert!((told["loss"].as_f64().unwrap() - expected["loss"].as_f64().unwrap()).abs() < 1e-5);
    let losses = [&told, &expected].map(|of| of["members"][1]["loss"].as_f64().unwrap());
    assert!((losses[0] - losses[1]).abs() < 1e-5);
}
