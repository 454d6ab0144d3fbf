//! What came of trials, and which of them is the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What came of a trial in a rung: a line of a search's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Its number, from 1.
    pub trial: u32,
    /// The rung, from 1.
    pub rung: u32,
    /// The epochs that it had.
    pub epochs: u32,
    /// The options that were drawn.
    pub setting: Map<String, Value>,
    /// The epoch that is kept, of each network.
    pub epoch: Vec<u32>,
    /// What it is judged by: the loss on the validation part, or the mean of the held-back ones. None where it failed.
    pub loss: Option<f64>,
    /// The mean losses of so many blocks of the rows that judge it, means over the folds: how sure the loss is. Empty where it
    /// failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<f64>,
    /// Figures of the kept epoch by names such as `validation_accuracy`, means over the folds.
    pub figures: BTreeMap<String, f64>,
    /// What it failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The place in `ranked`, at least one trial and the least loss first, of the trial that is chosen: the first one that beats trial 1
/// by more than a standard error, else trial 1.
pub fn chosen(ranked: &[Found]) -> usize {
    let Some(own) = ranked.iter().position(|found| found.trial == 1 && found.rung == ranked[0].rung) else { return 0 };
    ranked[..own].iter().position(|found| super::beats(&found.blocks, &ranked[own].blocks)).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trial of rung `rung` whose loss is the mean of `blocks`.
    fn found(trial: u32, rung: u32, blocks: [f64; 4]) -> Found {
        let loss = Some(blocks.iter().sum::<f64>() / 4.0);
        let (setting, figures, blocks) = (Map::new(), BTreeMap::new(), blocks.to_vec());
        Found { trial, rung, epochs: 9, setting, epoch: vec![9], loss, blocks, figures, error: None }
    }

    #[test]
    fn the_recipe_stays_where_the_least_loss_may_be_chance() {
        let default = found(1, 3, [0.5, 0.7, 0.5, 0.7]);
        let clear = found(5, 3, [0.4, 0.6, 0.4, 0.5]);
        let lucky = found(6, 3, [0.0, 0.9, 0.4, 0.58]);
        assert_eq!(chosen(&[clear.clone(), default.clone()]), 0);
        assert_eq!(chosen(&[lucky.clone(), default.clone()]), 1);
        assert_eq!(chosen(&[lucky.clone(), clear.clone(), default.clone()]), 1);
        assert_eq!(chosen(&[default.clone(), clear]), 0);
        // Rows differ between rungs, and trial 1 may have failed.
        assert_eq!(chosen(&[lucky.clone(), found(1, 2, [0.5, 0.7, 0.5, 0.7])]), 0);
        assert_eq!(chosen(&[lucky]), 0);
    }
}
