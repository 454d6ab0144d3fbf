//! What the page of a run says of predicted classes.

use super::{Cell, Page};
use crate::report::chart::ticks;
use crate::report::evaluation::{Classes, Evaluation};
use crate::report::plots;

/// A figure with four digits, or what stands for one that is not defined.
fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".into(), |figure| format!("{figure:.4}"))
}

/// The figures that are one number.
pub(super) fn tiles(page: &mut Page, classes: &Classes, evaluation: &Evaluation) {
    let tiles = [
        ("accuracy", shown(Some(classes.accuracy))),
        ("always the largest class", shown(classes.baseline_accuracy)),
        ("log loss", shown(classes.log_loss)),
        ("of the classes' shares", shown(classes.baseline_log_loss)),
        ("ROC-AUC", shown(classes.roc_auc)),
        ("F1, macro", shown(classes.f1_macro)),
        ("Matthews correlation", shown(classes.matthews)),
        ("calibration error", shown(classes.calibration_error)),
        ("rows", ticks::count(evaluation.rows)),
    ];
    page.tiles(&tiles.map(|(name, figure)| (name.to_owned(), figure)));
}

/// Confusion matrix, curves, and a table of the classes.
pub(super) fn add(page: &mut Page, classes: &Classes) {
    page.section("Classes");
    let two = classes.classes.len() == 2;
    let of_roc = match (two, classes.classes.len()) {
        (true, _) => "Of the second class, which counts as positive; the area is in brackets.",
        (false, ..=5) => "Each class against the rest; areas are in brackets.",
        (false, _) => "Each class against the rest; named are those with the least area, which is in brackets.",
    };
    let pictures = [
        Some((plots::confusion(classes), "The darker, the larger the share of the class's rows.")),
        plots::roc(classes).map(|picture| (picture, of_roc)),
        plots::calibration(classes).map(|picture| {
            (picture, "Rows by the probability of their predicted class; on the dashed line, probabilities are true.")
        }),
    ];
    page.pictures(pictures.into_iter().flatten());
    let rows: Vec<Vec<Cell>> = classes
        .classes
        .iter()
        .map(|class| {
            let figures = [class.precision, class.recall, class.f1, class.roc_auc];
            let mut row = vec![Cell::Text(class.name.clone()), Cell::Number(ticks::count(class.support))];
            row.extend(figures.map(|figure| Cell::Number(shown(figure))));
            row
        })
        .collect();
    page.table(&["class", "rows", "precision", "recall", "F1", "ROC-AUC"], &rows, |_| false);
}
