//! What `eval` tells of predicted values.

use serde_json::json;

use super::members::{Figure, Members};
use super::shown;
use crate::cli::terminal::error_figure;
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
        let r2 = shown((!of.constant).then_some(errors.r2(rows)), 4);
        let error = |value: f64| error_figure(value, 6);
        print(&format!("{name}: RMSE {}, MAE {}, R2 {r2}", error(errors.rmse(rows)), error(errors.mae(rows))))?;
        let indent = " ".repeat(name.chars().count() + 1);
        print(&format!("{indent} absolute error: median {}, 90 % up to {}", error(of.median), error(of.quantile_90)))?;
        let (rmse, mae) = (error(of.baseline_rmse), error(of.baseline_mae));
        print(&format!("{indent} baseline, the mean: RMSE {rmse}, MAE {mae}"))?;
    }
    members
        .tell(&summary(found, deviations), |figure| figure.map_or_else(|| "-".into(), |figure| error_figure(figure, 6)))
}
