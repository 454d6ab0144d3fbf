//! The log of a search, and what it says of the answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::search::{self, Found};

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What the first line says: trials, folds, seed, recipe, options, data.
    pub head: Map<String, Value>,
    /// What came of each trial in each rung.
    pub found: Vec<Found>,
}

impl Search {
    /// The trials with a loss, each by its last rung: those of the last rung first, in each the least loss first.
    pub fn ranked(&self) -> Vec<&Found> {
        let mut seen = BTreeSet::new();
        let mut all: Vec<&Found> = self.found.iter().filter(|found| found.loss.is_some()).collect();
        let loss = |found: &Found| found.loss.unwrap_or(f64::INFINITY);
        all.sort_by(|one, other| {
            other.rung.cmp(&one.rung).then(loss(one).total_cmp(&loss(other))).then(one.trial.cmp(&other.trial))
        });
        all.retain(|found| seen.insert(found.trial));
        all
    }

    /// The trial that is the answer, as the search itself chooses it, of the last rung that has any.
    pub fn best(&self) -> Option<Found> {
        let ranked = self.ranked();
        let rung = ranked.first()?.rung;
        let last: Vec<Found> = ranked.into_iter().take_while(|found| found.rung == rung).cloned().collect();
        Some(last[search::chosen(&last)].clone())
    }

    /// Whether every trial had its turn in every rung, so that no more will come.
    pub fn is_done(&self) -> bool {
        let epochs = self.own("epochs").and_then(Value::as_u64).unwrap_or(1);
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let trials = number(self.head.get("trials").and_then(Value::as_u64).unwrap_or(0));
        let rungs = search::rungs(trials, number(epochs));
        let of = |rung: u32| -> Vec<(u32, Option<f64>)> {
            self.found.iter().filter(|found| found.rung == rung).map(|found| (found.trial, found.loss)).collect()
        };
        match rungs {
            1 => of(1).len() >= trials as usize,
            rungs => {
                let left = search::promoted(&of(rungs - 1));
                !left.is_empty() && of(rungs).len() >= left.len()
            }
        }
    }

    /// The names of all options that were drawn, in order.
    pub fn drawn(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.found.iter().flat_map(|found| found.setting.keys()).collect();
        names.into_iter().cloned().collect()
    }

    /// The option `name` of a trial: as it was drawn, else the recipe's.
    pub fn option<'a>(&'a self, found: &'a Found, name: &str) -> Option<&'a Value> {
        found.setting.get(name).or_else(|| self.own(name))
    }

    /// The recipe's option `name`.
    fn own(&self, name: &str) -> Option<&Value> {
        self.head.get("recipe")?.get(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_is_that_of_the_last_rung_and_a_search_that_goes_on_is_known() {
        let found = |trial: u32, rung: u32, loss: Option<f64>| Found {
            trial,
            rung,
            epochs: 4 * rung,
            setting: Map::from_iter([("lr".to_owned(), json!(trial))]),
            epoch: vec![1],
            loss,
            blocks: loss.map_or_else(Vec::new, |loss| vec![loss; 4]),
            figures: std::collections::BTreeMap::new(),
            error: None,
        };
        let head = json!({ "trials": 4, "recipe": { "epochs": 8, "lr": 0.5, "activation": "relu" } });
        let head = head.as_object().cloned().unwrap_or_default();
        let first = vec![found(1, 1, Some(0.5)), found(2, 1, Some(0.4)), found(3, 1, None), found(4, 1, Some(0.6))];
        let mut search = Search { head, found: first };
        assert!(!search.is_done() && search.best().is_some_and(|best| best.trial == 2));
        search.found.extend([found(1, 2, Some(0.45)), found(2, 2, Some(0.46))]);
        assert!(search.is_done() && search.best().is_some_and(|best| best.trial == 1));
        let order: Vec<(u32, u32)> = search.ranked().iter().map(|found| (found.trial, found.rung)).collect();
        assert_eq!(order, [(1, 2), (2, 2), (4, 1)]);
        let first = &search.found[0];
        assert_eq!(
            (search.option(first, "lr"), search.option(first, "activation")),
            (Some(&json!(1)), Some(&json!("relu")))
        );
        assert_eq!(search.drawn(), ["lr"]);
    }
}
