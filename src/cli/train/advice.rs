//! What to say at the end of a run that learnt little, or less than it could.

use std::ops::ControlFlow;

use crate::cli::note;
use crate::data::Dataset;
use crate::error::Result;
use crate::inspect;
use crate::metrics::Evaluation;
use crate::model::{Head, Init, Mlp};
use crate::observe::Observer;
use crate::recipe::{OptimizerKind, Recipe};
use crate::train::{End, Epoch, Event, Outcome, Snapshot};

/// Above this share of a guess's loss nothing was learnt.
const NOTHING: f64 = 0.99;
/// The share of a layer's units that is worth a word when they are dead.
const MANY_DEAD: f64 = 0.1;
/// Rows that units are tried on, at the most and at the least, and multiplications for them.
const ROWS: (usize, usize) = (1000, 100);
const WORK: usize = 200_000_000;

/// Watches the epochs of a run.
pub(super) struct Advice<'a> {
    model: &'a Mlp,
    data: &'a Dataset,
    recipe: &'a Recipe,
    quiet: bool,
    /// The least mean loss, and the last evaluation.
    least: Option<f64>,
    last: Option<Evaluation>,
}

impl<'a> Advice<'a> {
    /// Of a run of `model` on `data` by `recipe`; says nothing if `quiet`.
    pub(super) fn new(model: &'a Mlp, data: &'a Dataset, recipe: &'a Recipe, quiet: bool) -> Self {
        Self { model, data, recipe, quiet, least: None, last: None }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let Some(found) = epoch.train.as_ref().or(epoch.test.as_ref()) else { return };
        let loss = found.mean_loss();
        self.least = Some(self.least.map_or(loss, |least| least.min(loss)));
        self.last = Some(found.clone());
    }

    /// What there is to say of the trained `parameters`.
    fn lines(&self, parameters: &[f32]) -> Result<Vec<String>> {
        let (model, dataset) = (self.model, self.data);
        let mut lines = Vec::new();
        let (Some(least), Some(last)) = (self.least, &self.last) else { return Ok(lines) };
        let guess = (model.outputs() as f64).ln();
        if model.head() == Head::Classes && least > NOTHING * guess {
            lines.push(format!(
                "Nothing was learnt: the loss never left that of a guess, ln({}) = {guess:.4}; try {}",
                model.outputs(),
                remedies(self.recipe)
            ));
        } else if let Some(class) = only_class(last) {
            let (name, share) = (&dataset.classes[class], 100.0 * last.accuracy());
            lines.push(format!(
                "Every row is taken for the class {name:?}, so the accuracy is that class's share, {share:.1} %; train longer, \
                 or try another --lr"
            ));
        }
        let rows = ROWS.0.min(WORK / model.parameters()).min(dataset.train.len());
        if rows < ROWS.1 {
            return Ok(lines);
        }
        let some = dataset.train.select(|row| row < rows)?;
        let reports = inspect::layers(model, parameters, None, Some(&some));
        for (index, report) in reports.iter().enumerate().take(model.hidden().len()) {
            let dead = report.dead_units.as_ref().map_or(0, Vec::len);
            if dead as f64 >= MANY_DEAD * report.outputs as f64 {
                lines.push(format!(
                    "{dead} of the {} units of hidden layer {} are dead, 0 for each of {rows} rows; try {}a lower --lr, or \
                     --activation leaky-relu",
                    report.outputs,
                    index + 1,
                    if self.recipe.init == Init::He { "" } else { "--init he, " }
                ));
            }
        }
        Ok(lines)
    }
}

impl Observer for Advice<'_> {
    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        if let Event::Epoch(epoch, _) = event {
            self.epoch(epoch);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, outcome: &Outcome, end: &mut Snapshot<'_>) -> Result<()> {
        if !self.quiet && outcome.end != End::Stopped {
            self.lines(&end.state()?.parameters)?.iter().for_each(|line| note(line));
        }
        Ok(())
    }
}

/// What to try where nothing was learnt: what `recipe` does not do already.
fn remedies(recipe: &Recipe) -> String {
    let start = (recipe.init != Init::He).then_some("--init he");
    let adaptive = [OptimizerKind::Adam, OptimizerKind::AdamW].contains(&recipe.optimizer.kind);
    let optimizer = (!adaptive).then_some("--optimizer adam --lr 0.001");
    let all: Vec<&str> = start.into_iter().chain(["another --lr"]).chain(optimizer).collect();
    match &all[..] {
        [before @ .., last] if before.len() > 1 => format!("{}, or {last}", before.join(", ")),
        few => few.join(" or "),
    }
}

/// The class that every row is taken for, if there is one.
fn only_class(found: &Evaluation) -> Option<usize> {
    let several = found.classes > 1 && found.rows > 0;
    found.predicted().iter().position(|predicted| several && *predicted == found.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_already_is_not_advised() {
        let mut recipe = Recipe { init: Init::Xavier, ..Recipe::default() };
        recipe.optimizer.kind = OptimizerKind::Sgd;
        assert_eq!(remedies(&recipe), "--init he, another --lr, or --optimizer adam --lr 0.001");
        recipe.init = Init::He;
        assert_eq!(remedies(&recipe), "another --lr or --optimizer adam --lr 0.001");
        recipe.optimizer.kind = OptimizerKind::Adam;
        assert_eq!(remedies(&recipe), "another --lr");
    }

    #[test]
    fn a_single_column_of_the_confusion_matrix_is_one_class_for_all() {
        let found = |confusion: Vec<u64>| Evaluation { rows: 9, confusion, ..Evaluation::empty(3) };
        assert_eq!(only_class(&found(vec![0, 4, 0, 0, 3, 0, 0, 2, 0])), Some(1));
        assert_eq!(only_class(&found(vec![0, 4, 0, 0, 3, 0, 0, 1, 1])), None);
        assert_eq!(only_class(&Evaluation::empty(3)), None);
    }
}
