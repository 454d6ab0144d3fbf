//! Figures of predictions against those that `tests/reference/metrics.py` recorded of scikit-learn.
#![allow(missing_docs, clippy::unwrap_used)]

use mlp_gpu::data::TargetScale;
use mlp_gpu::metrics::Evaluation;
use mlp_gpu::metrics::calibration::{calibration_error, log_loss};
use mlp_gpu::metrics::errors::Deviations;
use mlp_gpu::metrics::ranking::Ranking;
use serde_json::{Value, json};

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
