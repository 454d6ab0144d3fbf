//! How predicted values are off.

use crate::report::chart::{Anchor, Axis, Paint, Picture, Plane, Shape, TEXT, WIDTH, ticks};
use crate::report::evaluation::Target;

/// Height of the planes.
const HEIGHT: f64 = 280.0;

/// Predicted values by actual ones: on the diagonal they are equal.
pub fn actual_and_predicted(target: &Target) -> Option<Picture> {
    if target.points.is_empty() {
        return None;
    }
    let all = || target.points.iter().flat_map(|(actual, predicted)| [*actual, *predicted]);
    let name = &target.name;
    let (x, y) = (Axis::of(&format!("actual {name}"), all()), Axis::of(&format!("Predicted {name}"), all()));
    let (low, high) = x.bounds();
    let about = format!("Predicted {name} by actual {name}, of {} rows.", target.points.len());
    let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), x, y, &[]);
    let (opacity, radius) = match target.points.len() {
        0..300 => (0.7, 2.5),
        300..1000 => (0.45, 2.0),
        _ => (0.3, 1.8),
    };
    plane.scatter(&mut picture, &target.points, Paint::Series(0).thin(opacity), radius);
    plane.line(&mut picture, &[(low, low), (high, high)], Paint::Ink, 1.0, Some([4.0, 3.0]));
    Some(picture)
}

/// How often errors are how large.
pub fn errors(target: &Target) -> Option<Picture> {
    let histogram = &target.errors;
    let most = histogram.counts.iter().copied().max().filter(|most| *most > 0)?;
    let count = histogram.counts.len();
    let width = (histogram.to - histogram.from) / count as f64;
    // Where all errors are 0, there is one bar.
    let width = if width > 0.0 { width } else { 1.0 };
    let from = histogram.from;
    let label = format!("error of {}: predicted minus actual", target.name);
    let x = Axis::between(&label, from, from + width * count as f64);
    let y = Axis::from_zero("Errors: rows", [most as f64]);
    let about = format!("How many rows have which error of {}.", target.name);
    let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), x, y, &[]);
    let range = |at: usize| (from + width * at as f64, from + width * (at + 1) as f64);
    for (at, &rows) in histogram.counts.iter().enumerate() {
        plane.bar(&mut picture, range(at), rows as f64, Paint::Series(0));
    }
    let [left, top, wide, height] = plane.place();
    let (zero, _) = plane.point(0.0, 0.0);
    let points = vec![(zero, top), (zero, top + height)];
    picture.add(Shape::Line { points, ink: Paint::Ink.into(), width: 1.0, dash: Some([4.0, 3.0]) });
    for (rows, at, anchor) in
        [(histogram.beyond.0, left + 4.0, Anchor::Start), (histogram.beyond.1, left + wide, Anchor::End)]
    {
        if rows > 0 {
            let rows = ticks::count(rows);
            let text = if anchor == Anchor::Start { format!("{rows} below") } else { format!("{rows} above") };
            picture.text((at, top + TEXT), text, anchor, Paint::Muted);
        }
    }
    for (at, &rows) in histogram.counts.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        let (low, high) = range(at);
        let text = format!("{} to {}\n{} rows", ticks::number(low, 3), ticks::number(high, 3), ticks::count(rows));
        plane.tip(&mut picture, range(at), text);
    }
    Some(picture)
}
