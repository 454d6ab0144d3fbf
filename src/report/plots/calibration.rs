//! How far predicted probabilities can be believed.

use super::{percent, share};
use crate::report::chart::{Axis, Paint, Picture, Plane, Shape, WIDTH, ticks};
use crate::report::evaluation::Classes;

/// Height of the plane, which holds the bars of the rows at its foot.
const HEIGHT: f64 = 300.0;
/// How much of it the bars take.
const FOOT: f64 = 0.25;

/// For rows by the probability of their predicted class: the share of right predictions. On the diagonal, probabilities are true.
/// Bars say how many rows there are.
pub fn calibration(classes: &Classes) -> Option<Picture> {
    let most = classes.calibration.iter().map(|bin| bin.rows).max().filter(|rows| *rows > 0)?;
    let (x, y) = (
        Axis::between("probability of the predicted class", 0.0, 1.0),
        Axis::between("Calibration: accuracy", 0.0, 1.0),
    );
    let error = share(classes.calibration_error);
    let about = format!("Accuracy by the predicted class's probability; the expected calibration error is {error}.");
    let entries = [
        ("accuracy", Paint::Series(0).into(), None),
        ("as predicted", Paint::Muted.into(), Some([3.0, 3.0])),
        ("rows", Paint::Series(5).thin(0.35), None),
    ];
    let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), x, y, &entries);
    let count = classes.calibration.len() as f64;
    let range = |at: usize| (at as f64 / count, (at + 1) as f64 / count);
    for (at, bin) in classes.calibration.iter().enumerate().filter(|(_, bin)| bin.rows > 0) {
        plane.bar(&mut picture, range(at), FOOT * bin.rows as f64 / most as f64, Paint::Series(5).thin(0.35));
    }
    plane.line(&mut picture, &[(0.0, 0.0), (1.0, 1.0)], Paint::Muted, 1.0, Some([3.0, 3.0]));
    let points: Vec<(f64, f64)> =
        classes.calibration.iter().filter_map(|bin| Some((bin.confidence?, bin.accuracy?))).collect();
    plane.line(&mut picture, &points, Paint::Series(0), 2.0, None);
    for (x, y) in points {
        picture.add(Shape::Disc(plane.point(x, y), 3.5, Paint::Series(0).into()));
    }
    for (at, bin) in classes.calibration.iter().enumerate().filter(|(_, bin)| bin.rows > 0) {
        let shown = |share: Option<f64>| share.map_or_else(|| "–".into(), percent);
        let (rows, confidence, accuracy) = (ticks::count(bin.rows), shown(bin.confidence), shown(bin.accuracy));
        plane.tip(&mut picture, range(at), format!("predicted {confidence}\nright {accuracy}\n{rows} rows"));
    }
    Some(picture)
}
