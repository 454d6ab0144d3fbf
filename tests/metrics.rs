//! Figures of predictions against those that `tests/reference/metrics.py` recorded of scikit-learn.
#![allow(missing_docs, clippy::unwrap_used)]

use mlp_gpu::data::TargetScale;
use mlp_gpu::metrics::Evaluation;
use mlp_gpu::metrics::calibration::{calibration_error, log_loss};
use mlp_gpu::metrics::errors::Deviations;
use mlp_gpu::metrics::ranking::Ranking;
use serde_json::{Value, json};

mod binary;

fn cases(kind: &str) -> Vec<Value> {
    let cases: Value = serde_json::from_str(include_str!("reference/metrics.json")).unwrap();
    cases[kind].as_array().unwrap().clone()
}

/// The numbers of a list of lists, one after the other.
fn numbers(rows: &Value) -> Vec<f32> {
    match rows {
        Value::Array(rows) => rows.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// Expects that `found` is `expected`: the same where that is not a number, else within 1e-6.
fn agree(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{place}");
            found.iter().for_each(|(key, value)| agree(value, &expected[key], &format!("{place}: {key}")));
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}");
            let pairs = found.iter().zip(expected).enumerate();
            pairs.for_each(|(index, (found, expected))| agree(found, expected, &format!("{place}: {index}")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{place}: {a} for {b}");
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

#[test]
fn figures_of_classes_are_those_of_scikit_learn() {
    for case in cases("classes") {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let labels: Vec<u32> = numbers(&case["labels"]).into_iter().map(|label| label as u32).collect();
        let share = |row: &[f32]| row.iter().map(|weight| weight / row.iter().sum::<f32>()).collect::<Vec<_>>();
        let p: Vec<f32> = numbers(&case["weights"]).chunks(classes).flat_map(share).collect();
        let mut found = Evaluation::empty(classes);
        for (p, &label) in p.chunks(classes).zip(&labels) {
            let taken = (0..classes).rev().max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
            found.count(0.0, label, taken as u32);
        }
        let ranking = Ranking::of_classes(&p, &labels, classes);
        let baseline = found.baseline().unwrap();
        let mut figures = json!({
            "accuracy": found.accuracy(),
            "balanced_accuracy": found.balanced_accuracy(),
            "log_loss": log_loss(&p, &labels, classes),
            "roc_auc": ranking.map(|ranking| ranking.roc_auc),
            "average_precision": ranking.map(|ranking| ranking.average_precision),
            "precision": found.precision(),
            "recall": found.recall(),
            "f1": found.f1(),
            "f1_macro": found.f1_macro(),
            "matthews": found.matthews(),
            "calibration_error": calibration_error(&p, &labels, classes),
            "support": found.support(),
            "baseline": { "accuracy": baseline.accuracy, "log_loss": baseline.log_loss },
        });
        if classes == 2 {
            figures["f1_positive"] = json!(found.f1()[1].unwrap_or(0.0));
        }
        agree(&figures, &case["expected"], case["name"].as_str().unwrap());
    }
}

#[test]
fn figures_of_values_are_those_of_scikit_learn_in_their_unit() {
    for case in cases("values") {
        let outputs = case["targets"][0].as_array().unwrap().len();
        // The values are recorded in eighths.
        let scale = TargetScale {
            mean: vec![1e6; outputs],
            deviation: vec![0.125; outputs],
            names: (0..outputs).map(|output| output.to_string()).collect(),
        };
        let (predicted, targets) = (numbers(&case["predicted"]), numbers(&case["targets"]));
        let found = Evaluation::of_values(0.0, &predicted, &targets, outputs).in_units(&scale);
        let deviations = Deviations::of(&predicted, &targets, &scale);
        let mean = |of: fn(&Deviations) -> f64| deviations.iter().map(of).sum::<f64>() / outputs as f64;
        let figures = json!({
            "rmse": found.rmse(),
            "mae": found.mae(),
            "r2": deviations.iter().all(|of| !of.constant).then(|| found.r2()),
            "median_absolute_error": mean(|of| of.median),
            "absolute_error_90": mean(|of| of.quantile_90),
            "baseline": { "rmse": mean(|of| of.baseline_rmse), "mae": mean(|of| of.baseline_mae) },
        });
        agree(&figures, &case["expected"], case["name"].as_str().unwrap());
    }
}

/// What a report tells is what `eval` tells, for classes and for values; its page asks for nothing; and each picture is drawn.
#[test]
fn a_report_has_the_figures_of_eval_and_every_picture() {
    let folder = binary::Folder::new();
    let rows = (0..240u32).map(|row| {
        let (x, noise) = (row * 37 % 101, row * 53 % 89);
        let kind = if (x + noise / 9) % 101 > 50 { "high" } else { "low" };
        format!("{x},{noise},{},{kind},{}\n", ["red", "a <b>"][row as usize % 2], 3 * x + noise)
    });
    let data = folder.write("data.csv", format!("x,noise,colour,kind,sum\n{}", rows.collect::<String>()));
    let train =
        ["train", "--data", &data, "--test-split", "0.25", "--validation-split", "0.1", "--backend", "cpu", "--quiet"];
    let small = ["--hidden", "6", "--epochs", "3", "--embed", "none"];
    for (target, other, is_classes) in [("kind", "sum", true), ("sum", "kind", false)] {
        let run = folder.path(target);
        std::fs::create_dir(&run).unwrap();
        let at = |name: &str| format!("{run}/{name}");
        let (model, log) = (at("model.safetensors"), at("log.jsonl"));
        let own = ["--label", target, "--ignore", other, "--save", &model, "--log", &log];
        binary::succeeds(&[&train[..], &small, &own].concat());
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let told = json(&binary::succeeds(&["eval", &model, "--backend", "cpu", "--json"]));
        binary::succeeds(&["report", &run, "--backend", "cpu"]);
        let found = json(&std::fs::read_to_string(at("evaluation.json")).unwrap());
        let page = std::fs::read_to_string(at("report.html")).unwrap();
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<b>"), "{page}");
        assert_eq!((&found["rows"], &found["part"]), (&json!(60), &json!("test")));
        let importance = found["importance"]["columns"].as_array().unwrap();
        assert_eq!((importance.len(), found["model"]["epochs"].as_u64()), (3, Some(3)));
        let pictures = if is_classes {
            let classes = &found["classes"];
            for name in ["accuracy", "log_loss", "roc_auc", "f1_macro", "matthews", "calibration_error"] {
                agree(&classes[name], &told[name], name);
            }
            let flat: Vec<f32> = numbers(&told["confusion"]);
            assert_eq!(numbers(&classes["confusion"]), flat);
            for (index, class) in classes["classes"].as_array().unwrap().iter().enumerate() {
                ["precision", "recall", "f1", "support"]
                    .iter()
                    .for_each(|name| agree(&class[*name], &told[*name][index], name));
            }
            vec!["curves", "confusion", "roc", "calibration", "importance", "units"]
        } else {
            for name in ["rmse", "mae", "r2", "median_absolute_error"] {
                agree(&found["targets"][0][name], &told[name], name);
            }
            vec!["curves", "residuals", "importance", "units"]
        };
        for (number, what) in pictures.into_iter().enumerate() {
            let file = at(if number % 2 == 0 { "picture.png" } else { "picture.svg" });
            binary::succeeds(&["plot", &run, "--what", what, "-o", &file]);
            let bytes = std::fs::read(&file).unwrap();
            let whole = if number % 2 == 0 { bytes.starts_with(b"\x89PNG") } else { bytes.ends_with(b"</svg>\n") };
            assert!(whole, "{what}");
        }
        // A model with its log beside it, to another file; of a log alone the curves.
        let other = at("other.html");
        binary::succeeds(&["report", &model, "--log", &log, "--data", &data, "-o", &other, "--backend", "cpu"]);
        assert!(std::fs::read_to_string(other).unwrap().contains("Learning rate"));
        assert!(binary::succeeds(&["plot", &log, "--what", "curves"]).contains("<polyline"));
        let no_roc: &[&str] = if is_classes { &["residuals"] } else { &["roc", "confusion"] };
        no_roc
            .iter()
            .for_each(|what| binary::fails(&["plot", &run, "--what", what], 1, &["there is no picture", what]));
        binary::fails(&["plot", &model, "--what", "curves"], 2, &["--log"]);
        binary::fails(&["plot", &log, "--what", "rungs"], 1, &["no log of search"]);
        binary::fails(&["plot", &log, "--what", "curves", "-o", "a.pdf"], 2, &[".svg or .png"]);
        binary::fails(&["report", &log, "-o", &log], 2, &["would overwrite"]);
        binary::fails(&["report", &data], 1, &["data.csv"]);
    }
}
