//! How much a model depends on each column: its error grows by so much where the column's cells are permuted among the rows (L.
//! Breiman, Random Forests, 2001).

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::{SEED, is_of_images};
use crate::checkpoint::Ensemble;
use crate::data::{Inputs, Samples, Targets};
use crate::ensemble::{Prediction, Running};
use crate::error::Result;
use crate::metrics::{Evaluation, calibration, mean_and_deviation};
use crate::random::{self, Draw};

/// Permutations of each column.
const REPEATS: u32 = 5;
/// The most rows that are used, and the most that are predicted in all.
const ROWS: usize = 4096;
const PREDICTED: usize = 1 << 20;
/// The fewest rows that say something; of more columns than leave as many, nothing is told.
const LEAST_ROWS: usize = 256;

/// How much a model depends on its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importances {
    /// The error that grows: `log loss`, or `RMSE` in the unit of the targets, a mean over them.
    pub by: String,
    /// The error with all columns as they are.
    pub error: f64,
    /// Rows that were used: all or, of many, some that are drawn by [`SEED`].
    pub rows: usize,
    /// Permutations of each column.
    pub repeats: u32,
    /// The columns, the most important first.
    pub columns: Vec<Importance>,
}

/// How much a model depends on a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Its name.
    pub name: String,
    /// By how much the error grows, a mean over the permutations.
    pub mean: f64,
    /// The standard deviation of a sample of that.
    pub deviation: f64,
}

/// How much the ensemble that is `running` depends on its columns; none for images, for columns too many to try, and where an error
/// is not finite. `samples` holds the rows as each reader takes them.
pub(super) fn of(
    ensemble: &Ensemble,
    running: &mut Running<'_>,
    samples: &[Arc<Samples>],
) -> Result<Option<Importances>> {
    let readers: Vec<Columns<'_>> = ensemble.readers().into_iter().map(Columns::of).collect();
    if is_of_images(ensemble.first()) || readers.is_empty() {
        return Ok(None);
    }
    let names = &readers[0].names;
    let all = samples[0].len();
    let rows = all.min(ROWS).min(PREDICTED / (names.len().max(1) * REPEATS as usize));
    if rows < all.min(LEAST_ROWS) {
        return Ok(None);
    }
    let drawn = drawn(all, rows);
    let part: Vec<Samples> = samples.iter().map(|samples| samples.select(|row| drawn[row])).collect::<Result<_>>()?;
    let as_they_are: Vec<Inputs> = part.iter().map(|samples| samples.inputs.clone()).collect();
    let error = error(ensemble, &running.predict(&as_they_are)?, &part[0].targets);
    let Some(error) = error else { return Ok(None) };
    let mut columns = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        let mut grown = Vec::with_capacity(REPEATS as usize);
        for repeat in 0..REPEATS {
            let order = random::order(SEED, number as u64 * u64::from(REPEATS) + u64::from(repeat), rows as u32);
            let permuted = |(reader, samples): (&Columns<'_>, &Samples)| {
                let own = reader.names.iter().position(|other| other == name);
                match own {
                    Some(own) => permuted(samples, &order, reader.features[own].clone()),
                    None => samples.inputs.clone(),
                }
            };
            let inputs: Vec<Inputs> = readers.iter().zip(&part).map(permuted).collect();
            match self::error(ensemble, &running.predict(&inputs)?, &part[0].targets) {
                Some(without) => grown.push(without - error),
                None => return Ok(None),
            }
        }
        let (mean, deviation) = mean_and_deviation(&grown);
        columns.push(Importance { name: name.clone(), mean, deviation });
    }
    columns.sort_by(|one, other| other.mean.total_cmp(&one.mean));
    let by = if ensemble.target_scale().is_some() { "RMSE" } else { "log loss" };
    Ok(Some(Importances { by: by.into(), error, rows, repeats: REPEATS, columns }))
}

/// Which of `all` rows are used, where so many are.
fn drawn(all: usize, rows: usize) -> Vec<bool> {
    let mut wanted = vec![rows == all; all];
    if rows < all {
        let order = random::draw(SEED, Draw::Validation, u32::try_from(all).unwrap_or(u32::MAX));
        order.into_iter().take(rows).for_each(|row| wanted[row as usize] = true);
    }
    wanted
}

/// The rows of `samples`, with the `features` of each row taken from the row that `order` says.
fn permuted(samples: &Samples, order: &[u32], features: std::ops::Range<usize>) -> Inputs {
    fn of<T: Copy + Send + Sync>(
        values: &[T],
        width: usize,
        order: &[u32],
        features: std::ops::Range<usize>,
    ) -> Vec<T> {
        let mut permuted = values.to_vec();
        permuted.par_chunks_exact_mut(width).zip(order).for_each(|(row, &from)| {
            let from = &values[from as usize * width..][..width];
            row[features.clone()].copy_from_slice(&from[features.clone()]);
        });
        permuted
    }
    match &samples.inputs {
        Inputs::U8(values) => Inputs::U8(of(values, samples.width, order, features)),
        Inputs::F32(values) => Inputs::F32(of(values, samples.width, order, features)),
    }
}

/// How wrong a prediction is; none if that is not finite.
fn error(ensemble: &Ensemble, prediction: &Prediction, targets: &Targets) -> Option<f64> {
    match (targets, ensemble.target_scale()) {
        (Targets::Classes(labels), _) => {
            let p: Vec<f32> = prediction.of.iter().map(|&p| p as f32).collect();
            calibration::log_loss(&p, labels, p.len() / labels.len().max(1))
        }
        (Targets::Values(values), Some(scale)) => {
            let found = Evaluation::of_values(0.0, &scale.apply(&prediction.of), values, scale.names.len());
            Some(found.in_units(scale).rmse()).filter(|rmse| rmse.is_finite())
        }
        (Targets::Values(_), None) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::select::Request;
    use crate::data::Dataset;
    use crate::{Mlp, Recipe, Trainer, data};

    #[test]
    fn what_decides_is_important_and_what_does_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let noise = |row: u32| row.wrapping_mul(2_654_435_761) >> 24;
        let rows = (0..600u32).map(|row| {
            let (decides, not) = (noise(row), noise(row + 7777));
            format!("{decides},{not},{}\n", if decides > 127 { "high" } else { "low" })
        });
        std::fs::write(&path, format!("decides,not,label\n{}", rows.collect::<String>())).unwrap();
        let (set, _): (Dataset, _) = data::load(path.to_str().unwrap(), &data::Options::default()).unwrap();
        let recipe = Recipe { epochs: 30, hidden: vec![8], init: crate::Init::He, ..Recipe::default() };
        let trained = Trainer::new(Mlp::new(&[2, 8, 2]).unwrap(), &set).recipe(recipe).run().unwrap();
        let ensemble = Ensemble::from(trained.checkpoint);
        let selected = Request::cpu(1).select().unwrap();
        let test = set.test.clone().unwrap();
        let found = of(&ensemble, &mut ensemble.on(&selected), std::slice::from_ref(&test)).unwrap().unwrap();
        assert_eq!((found.rows, found.columns[0].name.as_str(), found.columns.len()), (60, "decides", 2));
        assert!(found.columns[0].mean > 10.0 * found.columns[1].mean.abs(), "{found:?}");
        let again = of(&ensemble, &mut ensemble.on(&selected), &[test]).unwrap().unwrap();
        assert_eq!(found, again);
    }
}
