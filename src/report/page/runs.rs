//! The body of the page of several runs: those of a cross-validation, of an ensemble, or of lists of options.

use super::{Cell, Page, figure, seconds};
use crate::metrics::mean_and_deviation;
use crate::report::log::Run;
use crate::report::plots;

/// The figures of a table, as far as there are any.
const FIGURES: [(&str, &str); 10] = [
    ("validation_loss", "validation loss"),
    ("validation_accuracy", "validation accuracy"),
    ("validation_rmse", "validation RMSE"),
    ("validation_mae", "validation MAE"),
    ("validation_r2", "validation R²"),
    ("test_loss", "test loss"),
    ("test_accuracy", "test accuracy"),
    ("test_rmse", "test RMSE"),
    ("test_mae", "test MAE"),
    ("test_r2", "test R²"),
];

/// Adds the curves of `runs`, and a table of the best epoch of each with means.
pub(super) fn add(page: &mut Page, runs: &[Run]) {
    page.section("Training");
    page.pictures(plots::curves_of_runs(runs).into_iter().map(|picture| (picture, "")));
    page.section("Runs");
    let judged = runs.iter().any(|run| run.has("validation_loss"));
    page.paragraph(match judged {
        true => "Figures are those of the epoch with the least validation loss; the last line has their mean and the standard deviation of a sample.",
        false => "Figures are those of the last epoch; the last line has their mean and the standard deviation of a sample.",
    });
    let figures: Vec<_> = FIGURES.iter().filter(|(key, _)| runs.iter().any(|run| run.has(key))).collect();
    let mut head = vec!["run", "epoch"];
    head.extend(figures.iter().map(|(_, name)| *name));
    head.push("training");
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); figures.len()];
    for run in runs {
        let epoch = if judged { run.best().map(|(epoch, _)| epoch) } else { run.epochs.last() };
        let Some(epoch) = epoch else { continue };
        let mut row = vec![Cell::Text(run.name.clone()), Cell::Number(epoch.number.to_string())];
        for ((key, _), values) in figures.iter().zip(&mut all) {
            let value = epoch.figure(key);
            values.extend(value.is_finite().then_some(value));
            row.push(Cell::Number(figure(value)));
        }
        row.push(Cell::Number(seconds(run.sum("train_seconds"))));
        rows.push(row);
    }
    let last = rows.len();
    let mut means = vec![Cell::Text("mean ± deviation".into()), Cell::Number(String::new())];
    means.extend(all.iter().map(|values| {
        let (mean, deviation) = mean_and_deviation(values);
        Cell::Number(format!("{} ± {}", figure(mean), figure(deviation)))
    }));
    let total: f64 = runs.iter().map(|run| run.sum("train_seconds")).sum();
    means.push(Cell::Number(seconds(total)));
    rows.push(means);
    page.table(&head, &rows, |row| row == last);
}
