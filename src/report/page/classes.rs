//! What the page of a run says of predicted classes.

use super::{Cell, Page};
use crate::report::chart::ticks;
use crate::report::evaluation::{Classes, Evaluation};
use crate::report::plots;

/// The columns of the table of classes.
const HEAD: [&str; 6] = ["class", "rows", "precision", "recall", "F1", "ROC-AUC"];
/// The most classes whose table stands beside charts.
const FEW: usize = 14;

/// A figure with four digits, or what stands for one that is not defined.
fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".into(), |figure| format!("{figure:.4}"))
}

/// The figures that are one number.
pub(super) fn tiles(page: &mut Page, classes: &Classes, evaluation: &Evaluation) {
    let than = |baseline: Option<f64>, what: &str| baseline.map_or_else(String::new, |it| format!("{what} {it:.4}"));
    page.tiles(&[
        ("accuracy", shown(Some(classes.accuracy)), than(classes.baseline_accuracy, "always the largest class:")),
        ("log loss", shown(classes.log_loss), than(classes.baseline_log_loss, "the classes' shares:")),
        ("ROC-AUC", shown(classes.roc_auc), String::new()),
        ("F1, macro", shown(classes.f1_macro), String::new()),
        ("Matthews correlation", shown(classes.matthews), String::new()),
        ("calibration error", shown(classes.calibration_error), String::new()),
        ("rows", ticks::count(evaluation.rows), format!("of the {} part", evaluation.part)),
    ]);
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
        Some((plots::confusion(classes), "The stronger the colour, the larger the share of the class's rows.")),
        plots::roc(classes).map(|picture| (picture, of_roc)),
        plots::calibration(classes).map(|picture| {
            (picture, "Rows by the probability of their predicted class; on the dashed line, probabilities are true.")
        }),
    ];
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
    let few = rows.len() <= FEW;
    page.pictures_and(pictures.into_iter().flatten(), |page| {
        if few {
            page.table(&HEAD, &rows, |_| false);
        }
    });
    if !few {
        page.table(&HEAD, &rows, |_| false);
    }
}
