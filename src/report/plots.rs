//! The pictures of a report, each a function of what it shows.

mod calibration;
mod confusion;
mod curves;
mod importance;
mod mistakes;
mod residuals;
mod roc;
mod search;
mod units;

pub use calibration::calibration;
pub use confusion::confusion;
pub use curves::{curves, curves_of_runs};
pub use importance::importance;
pub use mistakes::mistakes;
pub use residuals::{actual_and_predicted, errors};
pub use roc::roc;
pub use search::{rungs, settings};
pub use units::units;

/// Height of the plane of a chart that stands beside others.
const HEIGHT: f64 = 190.0;

/// A share as a percentage.
fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share with four digits, or what stands for one that is not defined.
fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{share:.4}"))
}
