//! The sentence at the top of a page: what was trained on what, and how it went.

use super::said;
use crate::metrics::mean_and_deviation;
use crate::report::Evaluation;
use crate::report::chart::ticks;
use crate::report::log::{Run, Search};

/// The sentence about a single run.
pub(super) fn of_run(run: Option<&Run>, evaluation: Option<&Evaluation>) -> String {
    let Some(evaluation) = evaluation else { return of_log(run) };
    let model = &evaluation.model;
    let widths = model.widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
    let network = match model.members {
        1 => format!("A {widths} network ({})", model.activation),
        count => format!("An ensemble of {count} {widths} networks ({})", model.activation),
    };
    let data = if model.data.is_empty() { said(run, "data") } else { Some(model.data.clone()) };
    let noun = if model.images { "images" } else { "rows" };
    let count = if model.training_rows > 0 {
        format!("{} {noun} of ", ticks::count(model.training_rows as u64))
    } else {
        String::new()
    };
    let learnt = data.map_or_else(String::new, |data| format!(" learnt from {count}{}", file_name(&data)));
    let epochs = match model.epochs {
        0 => String::new(),
        1 => " in 1 epoch".into(),
        epochs => format!(" in {epochs} epochs"),
    };
    let (rows, part) = (ticks::count(evaluation.rows), &evaluation.part);
    let how = match (&evaluation.classes, &evaluation.targets[..]) {
        (Some(classes), _) => {
            let right =
                format!("it tells {} classes apart with an accuracy of {:.4}", classes.classes.len(), classes.accuracy);
            match classes.baseline_accuracy {
                Some(baseline) => format!("{right}, where always taking the largest class has {baseline:.4}"),
                None => right,
            }
        }
        (None, [target]) => {
            let shown = |figure: Option<f64>| figure.map_or_else(|| "–".into(), |figure| ticks::number(figure, 4));
            let (rmse, baseline) = (shown(target.rmse), shown(target.baseline_rmse));
            format!(
                "it predicts {} with an RMSE of {rmse}, where always predicting the mean has {baseline}",
                target.name
            )
        }
        (None, targets) => {
            let r2: Option<f64> = targets.iter().map(|target| target.r2).sum();
            let mean = r2.map_or_else(|| "–".into(), |sum| format!("{:.4}", sum / targets.len().max(1) as f64));
            format!("it predicts {} values with a mean R² of {mean}", targets.len())
        }
    };
    format!("{network}{learnt}{epochs}. On {rows} {noun} of the {part} part {how}.")
}

/// The sentence about a run of which only the log is known.
fn of_log(run: Option<&Run>) -> String {
    let Some(run) = run else { return "Nothing is known of this run.".into() };
    let widths = said(Some(run), "widths").map_or_else(String::new, |widths| format!("{} ", widths.replace(',', "-")));
    let data = said(Some(run), "data").map_or_else(String::new, |data| format!(" learnt from {}", file_name(&data)));
    let epochs = run.epochs.len();
    let best = run.best().map(|(epoch, by)| {
        let (number, figure) = (epoch.number, ticks::number(epoch.figure(by), 4));
        format!(
            " The best is epoch {number}, with a {} of {figure}.",
            by.replace('_', " ").replace("train ", "training ")
        )
    });
    format!("A {widths}network{data}, {epochs} epochs.{}", best.unwrap_or_default())
}

/// The sentence about several runs.
pub(super) fn of_runs(runs: &[Run]) -> String {
    let folds = runs.iter().all(|run| run.name.starts_with("fold"));
    let what = if folds { "Cross-validation" } else { "Several runs" };
    let networks = if runs.len() == 1 { "1 network".into() } else { format!("{} networks", runs.len()) };
    let key = if runs.iter().any(|run| run.has("test_accuracy")) { "test_accuracy" } else { "test_rmse" };
    let last: Vec<f64> = runs
        .iter()
        .filter_map(|run| {
            let epoch = if run.has("validation_loss") { run.best()?.0 } else { run.epochs.last()? };
            Some(epoch.figure(key)).filter(|figure| figure.is_finite())
        })
        .collect();
    if last.is_empty() {
        return format!("{what}: {networks}.");
    }
    let (mean, deviation) = mean_and_deviation(&last);
    let name = if key == "test_accuracy" { "accuracy" } else { "RMSE" };
    let part = if folds { "held-back rows" } else { "test rows" };
    let (mean, deviation) = (ticks::number(mean, 4), ticks::number(deviation, 2));
    format!("{what}: {networks}, with a mean {name} of {mean} on {part} (standard deviation {deviation}).")
}

/// The sentence about a search.
pub(super) fn of_search(search: &Search) -> String {
    let number = |name: &str| search.head.get(name).and_then(serde_json::Value::as_u64);
    let trials = number("trials").unwrap_or_default();
    let judged = match number("folds") {
        Some(folds) => format!("the mean loss of {folds} held-back folds"),
        None => "the loss on the validation part".into(),
    };
    let Some(best) = search.best() else {
        return format!("A search of {trials} trials, judged by {judged}. None has ended with a model yet.");
    };
    let so_far = if search.is_done() { "" } else { " so far" };
    let own = if best.trial == 1 { "the recipe's own setting, " } else { "" };
    let loss = best.loss.map_or_else(|| "–".into(), |loss| ticks::number(loss, 4));
    format!(
        "A search of {trials} trials, judged by {judged}. The answer{so_far} is {own}trial {}, with a loss of {loss}.",
        best.trial
    )
}

/// The name of a file without its folder; other names stay.
fn file_name(data: &str) -> &str {
    data.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(data)
}
