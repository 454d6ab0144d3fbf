//! What the page of a run says of predicted values.

use super::{Cell, Page};
use crate::report::chart::ticks;
use crate::report::evaluation::{Evaluation, Target};
use crate::report::plots;

/// The most values whose charts are shown.
const TARGETS: usize = 6;

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".into(), |figure| ticks::number(figure, 4))
}

/// The figures that are one number, of a single value; of several a table stands further down.
pub(super) fn tiles(page: &mut Page, evaluation: &Evaluation) {
    let mut tiles = Vec::new();
    if let [target] = &evaluation.targets[..] {
        let baseline =
            target.baseline_rmse.map_or_else(String::new, |it| format!("always the mean: {}", shown(Some(it))));
        tiles.extend([
            ("RMSE", shown(target.rmse), baseline),
            ("MAE", shown(target.mae), String::new()),
            ("R²", target.r2.map_or_else(|| "–".into(), |r2| format!("{r2:.4}")), String::new()),
            ("median absolute error", shown(target.median_absolute_error), String::new()),
        ]);
    }
    tiles.push(("rows", ticks::count(evaluation.rows), format!("of the {} part", evaluation.part)));
    page.tiles(&tiles);
}

/// Charts of each value, and tables of errors.
pub(super) fn add(page: &mut Page, evaluation: &Evaluation) {
    page.section("Predicted values");
    let rows = ticks::count(evaluation.rows);
    for target in evaluation.targets.iter().take(TARGETS) {
        let points = target.points.len() as u64;
        let sampled = match points < evaluation.rows {
            true => format!("{} of {rows} rows, drawn at random.", ticks::count(points)),
            false => String::new(),
        };
        let both = [
            plots::actual_and_predicted(target).map(|picture| (picture, sampled.as_str())),
            plots::errors(target).map(|picture| (picture, "")),
        ];
        page.pictures(both.into_iter().flatten());
    }
    if evaluation.targets.len() > 1 {
        let head = ["value", "RMSE", "of the mean", "MAE", "R²", "median absolute error"];
        let row = |target: &Target| {
            let figures =
                [target.rmse, target.baseline_rmse, target.mae, target.r2, target.median_absolute_error].map(shown);
            std::iter::once(Cell::Text(target.name.clone())).chain(figures.map(Cell::Number)).collect()
        };
        page.table(&head, &evaluation.targets.iter().map(row).collect::<Vec<_>>(), |_| false);
    }
    let shares: Vec<String> = evaluation
        .targets
        .first()
        .map(|target| target.error_quantiles.iter().map(|(share, _)| format!("{} %", 100.0 * share)).collect())
        .unwrap_or_default();
    let mut head = vec!["error below which are"];
    head.extend(shares.iter().map(String::as_str));
    let row = |target: &Target| {
        let errors = target.error_quantiles.iter().map(|(_, error)| Cell::Number(ticks::number(*error, 3)));
        std::iter::once(Cell::Text(target.name.clone())).chain(errors).collect()
    };
    page.table(&head, &evaluation.targets.iter().map(row).collect::<Vec<_>>(), |_| false);
}
