//! What `eval` tells of predicted classes.

use serde_json::{Value, json};

use super::members::{Figure, Members};
use crate::cli::{note, print};
use crate::data::classes;
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::metrics::calibration::{self, BINS};
use crate::metrics::ranking::Ranking;

/// Digits behind the point of figures of classes.
const DIGITS: usize = 4;

/// What was found of the predictions of a model of classes.
pub(super) struct Figures<'a> {
    classes: &'a [String],
    found: &'a Evaluation,
    log_loss: Option<f64>,
    calibration_error: Option<f64>,
    ranking: Option<Ranking>,
}

impl<'a> Figures<'a> {
    /// Those of `probabilities` (`rows x classes`, row-major) of rows with `labels`, of which `found` has the counts.
    pub(super) fn new(classes: &'a [String], found: &'a Evaluation, probabilities: &[f32], labels: &[u32]) -> Self {
        Self {
            classes,
            found,
            log_loss: calibration::log_loss(probabilities, labels, classes.len()),
            calibration_error: calibration::calibration_error(probabilities, labels, classes.len()),
            ranking: Ranking::of_classes(probabilities, labels, classes.len()),
        }
    }

    fn roc_auc(&self) -> Option<f64> {
        self.ranking.map(|ranking| ranking.roc_auc)
    }

    fn average_precision(&self) -> Option<f64> {
        self.ranking.map(|ranking| ranking.average_precision)
    }

    /// Of two classes the second, which counts as positive, with its F1.
    fn positive(&self) -> Option<(&'a str, Option<f64>)> {
        match self.classes {
            [_, positive] => Some((positive, self.found.f1()[1])),
            _ => None,
        }
    }

    /// What is undefined, and why.
    fn undefined(&self) -> Vec<String> {
        let without = |counts: &[u64]| -> Vec<String> {
            let classes = self.classes.iter().zip(counts).filter(|(_, count)| **count == 0);
            classes.map(|(class, _)| class.clone()).collect()
        };
        let support = self.found.support();
        let (absent, untaken) = (without(&support), without(&self.found.predicted()));
        let of = |classes: &[String]| match classes {
            [class] => format!("the class {class:?}"),
            several => format!("the classes {}", classes::list(several)),
        };
        let mut lines = Vec::new();
        if let Some(only) = support.iter().position(|rows| *rows == self.found.samples()) {
            let only = &self.classes[only];
            lines.push(format!(
                "All rows are of the class {only:?}: ROC-AUC, average precision, Matthews correlation and the recall of other \
                 classes are undefined"
            ));
        } else if !absent.is_empty() {
            let classes = of(&absent);
            lines.push(format!("No row is of {classes}: recall there, ROC-AUC and average precision are undefined"));
        }
        if !untaken.is_empty() {
            lines.push(format!("No row was taken for {}: precision there is undefined", of(&untaken)));
        }
        if self.log_loss.is_none() {
            lines.push("Some probabilities are not finite numbers: what is made of them is undefined".into());
        }
        lines
    }

    /// The figures that are one number.
    pub(super) fn summary(&self) -> Vec<Figure> {
        let found = self.found;
        vec![
            ("loss", Some(found.mean_loss())),
            ("accuracy", Some(found.accuracy())),
            ("log_loss", self.log_loss),
            ("balanced_accuracy", found.balanced_accuracy()),
            ("roc_auc", self.roc_auc()),
            ("average_precision", self.average_precision()),
            ("f1_macro", found.f1_macro()),
            ("matthews", found.matthews()),
            ("calibration_error", self.calibration_error),
        ]
    }

    fn json(&self) -> Value {
        let found = self.found;
        let baseline = found.baseline().map(|baseline| {
            json!({
                "class": self.classes[baseline.class],
                "accuracy": baseline.accuracy,
                "log_loss": baseline.log_loss,
            })
        });
        let mut figures = json!({
            "n": found.samples(),
            "loss": found.mean_loss(),
            "accuracy": found.accuracy(),
            "precision": found.precision(),
            "recall": found.recall(),
            "confusion": confusion(found),
            "classes": self.classes,
            "log_loss": self.log_loss,
            "balanced_accuracy": found.balanced_accuracy(),
            "roc_auc": self.roc_auc(),
            "average_precision": self.average_precision(),
            "f1": found.f1(),
            "f1_macro": found.f1_macro(),
            "matthews": found.matthews(),
            "calibration_error": self.calibration_error,
            "support": found.support(),
            "baseline": baseline,
        });
        if let Some((class, f1)) = self.positive() {
            figures["positive_class"] = json!(class);
            figures["f1_positive"] = json!(f1);
        }
        figures
    }

    /// The figures of all classes together, each beside the baseline's where it has one.
    fn overview(&self) -> Result<()> {
        let found = self.found;
        let baseline = found.baseline();
        let always = baseline.map_or_else(String::new, |baseline| format!("always {:?}", self.classes[baseline.class]));
        let of_class = match self.positive() {
            Some((class, _)) => format!("of the positive class, {class:?}"),
            None => "each class against the rest, mean".into(),
        };
        let bins = format!("{BINS} bins of the highest probability");
        let mut lines = vec![
            ("accuracy", Some(found.accuracy()), baseline.map(|baseline| baseline.accuracy), &always[..]),
            ("log loss", self.log_loss, baseline.map(|baseline| baseline.log_loss), "the classes' shares"),
            ("balanced accuracy", found.balanced_accuracy(), None, "mean of the classes' recall"),
            ("ROC-AUC", self.roc_auc(), None, &of_class),
            ("average precision", self.average_precision(), None, &of_class),
            ("F1, macro", found.f1_macro(), None, "mean of the classes' F1"),
        ];
        lines.extend(self.positive().map(|(_, f1)| ("F1, positive class", f1, None, "")));
        lines.push(("Matthews correlation", found.matthews(), None, ""));
        lines.push(("calibration error", self.calibration_error, None, &bins));
        print(&format!("\n{:<20}  {:>7}  {:>8}", "", "model", "baseline"))?;
        for (name, figure, beside, about) in lines {
            let beside = if beside.is_some() { shown(beside) } else { String::new() };
            print(format!("{name:<20}  {:>7}  {beside:>8}  {about}", shown(figure)).trim_end())?;
        }
        Ok(())
    }

    fn classes_table(&self) -> Result<()> {
        let width = width_of(self.classes).max(5);
        let (precision, recall, f1) = (self.found.precision(), self.found.recall(), self.found.f1());
        print(&format!("\n{:<width$}  precision  recall      F1  rows", "class"))?;
        let figures = precision.into_iter().zip(recall).zip(f1).zip(self.found.support());
        for (class, (((precision, recall), f1), rows)) in self.classes.iter().zip(figures) {
            let [precision, recall, f1] = [precision, recall, f1].map(shown);
            print(&format!("{class:<width$}  {precision:>9}  {recall:>6}  {f1:>6}  {rows}"))?;
        }
        Ok(())
    }

    fn confusion_table(&self) -> Result<()> {
        let confusion = confusion(self.found);
        let width = width_of(self.classes);
        let most = confusion.iter().copied().flatten().max().copied().unwrap_or(0);
        let cell = width.max(most.to_string().len());
        print("\nconfusion matrix: a row a true class, a column a predicted one")?;
        let line = |name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|text| format!("  {text:>cell$}")).collect();
            print(&format!("{name:<width$}{cells}"))
        };
        line("", self.classes.to_vec())?;
        for (class, row) in self.classes.iter().zip(confusion) {
            line(class, row.iter().map(u64::to_string).collect())?;
        }
        Ok(())
    }
}

/// Tells `figures`, and those of the `members` of an ensemble.
pub(super) fn tell(figures: &Figures<'_>, members: &Members<'_>, as_json: bool) -> Result<()> {
    figures.undefined().iter().for_each(|line| note(line));
    if as_json {
        let mut json = figures.json();
        members.add_to(&mut json);
        return print(&json.to_string());
    }
    let found = figures.found;
    print(&format!("Rows: {}", found.samples()))?;
    print(&format!("Loss: {}", shown(Some(found.mean_loss()))))?;
    print(&format!("Accuracy: {:.4}", found.accuracy()))?;
    if let Some((class, _)) = figures.positive() {
        print(&format!("Positive class: {class}"))?;
    }
    figures.overview()?;
    members.tell(&figures.summary(), shown)?;
    figures.classes_table()?;
    figures.confusion_table()
}

fn confusion(found: &Evaluation) -> Vec<&[u64]> {
    found.confusion.chunks_exact(found.classes.max(1)).collect()
}

fn shown(figure: Option<f64>) -> String {
    super::shown(figure, DIGITS)
}

fn width_of(classes: &[String]) -> usize {
    classes.iter().map(|class| class.chars().count()).max().unwrap_or(0)
}
