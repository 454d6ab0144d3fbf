//! What `eval` tells of the members of an ensemble, one by one.

use serde_json::{Map, Value, json};

use crate::checkpoint::Ensemble;
use crate::cli::print;
use crate::error::Result;

/// A figure: its name in JSON, and what it is; none where it is not defined.
pub(in crate::cli) type Figure = (&'static str, Option<f64>);

/// The figures of the members of an ensemble; none of a single model.
pub(super) struct Members<'a> {
    ensemble: &'a Ensemble,
    figures: Vec<Vec<Figure>>,
    /// The figure by which the best one is told: the one that all members have in the same unit.
    by: &'static str,
}

impl<'a> Members<'a> {
    pub(super) fn new(ensemble: &'a Ensemble) -> Self {
        let by = if ensemble.target_scale().is_some() { "rmse" } else { "loss" };
        Self { ensemble, figures: Vec::new(), by }
    }

    /// Adds those of the next member. Of every member they are the same ones in the same order.
    pub(super) fn add(&mut self, figures: Vec<Figure>) {
        self.figures.push(figures);
    }

    /// The mean over the members of each figure; none where one member has none.
    fn mean(&self) -> Vec<Figure> {
        let first = self.figures.first().into_iter().flatten();
        let mean = |(index, (name, _)): (usize, &Figure)| {
            let sum: Option<f64> = self.figures.iter().map(|of| of[index].1).sum();
            (*name, sum.map(|sum| sum / self.figures.len() as f64))
        };
        first.enumerate().map(mean).collect()
    }

    /// The member with the least loss, or errors; of equal ones the first.
    fn best(&self) -> Option<usize> {
        let loss = |number: &usize| {
            let mut figures = self.figures[*number].iter();
            figures.find(|(name, _)| *name == self.by).and_then(|(_, figure)| *figure).unwrap_or(f64::INFINITY)
        };
        (0..self.figures.len()).min_by(|a, b| loss(a).total_cmp(&loss(b)))
    }

    fn json_of(&self, number: usize) -> Value {
        let mut object = object(&self.figures[number]);
        object.insert("member".into(), json!(number));
        object.insert("weight".into(), json!(self.ensemble.weights()[number]));
        Value::Object(object)
    }

    /// Adds to `whole`, the figures of the ensemble, those of the members, the mean and the best one.
    pub(super) fn add_to(&self, whole: &mut Value) {
        let Some(best) = self.best() else { return };
        whole["members"] = (0..self.figures.len()).map(|number| self.json_of(number)).collect();
        whole["mean_member"] = Value::Object(object(&self.mean()));
        whole["best_member"] = self.json_of(best);
    }

    /// Tells the `whole` ensemble's figures beside those of the mean and the best member, as `shown` writes them.
    pub(super) fn tell(&self, whole: &[Figure], shown: impl Fn(Option<f64>) -> String) -> Result<()> {
        let Some(best) = self.best() else { return Ok(()) };
        let count = self.figures.len();
        print(&format!("\n{:<22}  {:>10}  {:>10}  {:>10}", format!("{count} members"), "ensemble", "mean", "best"))?;
        for ((name, whole), ((_, mean), (_, best))) in whole.iter().zip(self.mean().iter().zip(&self.figures[best])) {
            let [whole, mean, best] = [whole, mean, best].map(|figure| shown(*figure));
            print(&format!("{:<22}  {whole:>10}  {mean:>10}  {best:>10}", name.replace('_', " ")))?;
        }
        let by = if self.by == "rmse" { "RMSE" } else { self.by };
        print(&format!("best: member {best}, by the {by} of these rows"))
    }
}

fn object(figures: &[Figure]) -> Map<String, Value> {
    figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))).collect()
}
