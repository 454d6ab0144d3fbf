//! What `eval` tells of predicted values.

use serde_json::json;

use super::shown;
use crate::cli::{note, print};
use crate::data::TargetScale;
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::metrics::errors::Deviations;

/// Tells the errors of predicted values, in the unit of the targets: for each one in words, as means over them in JSON.
pub(super) fn tell(found: &Evaluation, deviations: &[Deviations], scale: &TargetScale, as_json: bool) -> Result<()> {
    for (name, _) in scale.names.iter().zip(deviations).filter(|(_, of)| of.constant) {
        note(&format!("All values of {name} are the same: R2 is undefined"));
    }
    if as_json {
        let mean = |of: fn(&Deviations) -> f64| deviations.iter().map(of).sum::<f64>() / deviations.len().max(1) as f64;
        let varied = deviations.iter().all(|of| !of.constant);
        return print(
            &json!({
                "n": found.samples(),
                "loss": found.mean_loss(),
                "rmse": found.rmse(),
                "mae": found.mae(),
                "r2": varied.then(|| found.r2()),
                "targets": scale.names,
                "median_absolute_error": mean(|of| of.median),
                "absolute_error_90": mean(|of| of.quantile_90),
                "baseline": {
                    "rmse": mean(|of| of.baseline_rmse),
                    "mae": mean(|of| of.baseline_mae),
                },
            })
            .to_string(),
        );
    }
    let rows = found.samples();
    print(&format!("Rows: {rows}"))?;
    print(&format!("Loss: {:.4}, of standardised targets", found.mean_loss()))?;
    for (name, (errors, of)) in scale.names.iter().zip(found.errors.iter().zip(deviations)) {
        let (rmse, mae, r2) = (errors.rmse(rows), errors.mae(rows), errors.r2(rows));
        print(&format!("{name}: RMSE {rmse:.6}, MAE {mae:.6}, R2 {}", shown((!of.constant).then_some(r2))))?;
        let indent = " ".repeat(name.chars().count() + 1);
        print(&format!("{indent} absolute error: median {:.6}, 90 % up to {:.6}", of.median, of.quantile_90))?;
        print(&format!("{indent} baseline, the mean: RMSE {:.6}, MAE {:.6}", of.baseline_rmse, of.baseline_mae))?;
    }
    Ok(())
}
