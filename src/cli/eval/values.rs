//! What `eval` tells of predicted values.

use serde_json::json;

use super::members::{Figure, Members};
use super::shown;
use crate::cli::{note, print};
use crate::data::TargetScale;
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::metrics::errors::Deviations;

/// The figures that are one number: means over the targets.
pub(super) fn summary(found: &Evaluation, deviations: &[Deviations]) -> Vec<Figure> {
    let varied = deviations.iter().all(|of| !of.constant);
    vec![
        ("loss", Some(found.mean_loss())),
        ("rmse", Some(found.rmse())),
        ("mae", Some(found.mae())),
        ("r2", varied.then(|| found.r2())),
        ("median_absolute_error", Some(mean(deviations, |of| of.median))),
        ("absolute_error_90", Some(mean(deviations, |of| of.quantile_90))),
    ]
}

fn mean(deviations: &[Deviations], of: fn(&Deviations) -> f64) -> f64 {
    deviations.iter().map(of).sum::<f64>() / deviations.len().max(1) as f64
}

/// Tells the errors of predicted values, in the unit of the targets: for each one in words, as means over them in JSON; and
/// those of the `members` of an ensemble.
pub(super) fn tell(
    found: &Evaluation,
    deviations: &[Deviations],
    scale: &TargetScale,
    members: &Members<'_>,
    as_json: bool,
) -> Result<()> {
    for (name, _) in scale.names.iter().zip(deviations).filter(|(_, of)| of.constant) {
        note(&format!("All values of {name} are the same: R2 is undefined"));
    }
    if as_json {
        let mut whole = json!({
            "n": found.samples(),
            "targets": scale.names,
            "baseline": {
                "rmse": mean(deviations, |of| of.baseline_rmse),
                "mae": mean(deviations, |of| of.baseline_mae),
            },
        });
        summary(found, deviations).into_iter().for_each(|(name, figure)| whole[name] = json!(figure));
        members.add_to(&mut whole);
        return print(&whole.to_string());
    }
    let rows = found.samples();
    print(&format!("Rows: {rows}"))?;
    print(&format!("Loss: {:.4}, of standardised targets", found.mean_loss()))?;
    for (name, (errors, of)) in scale.names.iter().zip(found.errors.iter().zip(deviations)) {
        let (rmse, mae, r2) = (errors.rmse(rows), errors.mae(rows), errors.r2(rows));
        print(&format!("{name}: RMSE {rmse:.6}, MAE {mae:.6}, R2 {}", shown((!of.constant).then_some(r2), 4)))?;
        let indent = " ".repeat(name.chars().count() + 1);
        print(&format!("{indent} absolute error: median {:.6}, 90 % up to {:.6}", of.median, of.quantile_90))?;
        print(&format!("{indent} baseline, the mean: RMSE {:.6}, MAE {:.6}", of.baseline_rmse, of.baseline_mae))?;
    }
    members.tell(&summary(found, deviations), 6)
}
