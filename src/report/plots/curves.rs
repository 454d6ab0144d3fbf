//! Curves of a run or of several: loss, accuracy or RMSE, and the learning rate, by epochs.

use super::HEIGHT;
use crate::report::chart::axes::Entry;
use crate::report::chart::colours::DISTINCT;
use crate::report::chart::{Axis, Ink, Paint, Picture, Plane, Shape, WIDTH, ticks};
use crate::report::log::{Epoch, Run};

/// The parts of a data set: their names in logs, what they are called, their colours and dashes.
const PARTS: [(&str, &str, usize, Option<[f64; 2]>); 3] = [
    ("train", "training", 0, None),
    ("validation", "validation", 1, Some([7.0, 3.0])),
    ("test", "test", 2, Some([2.5, 2.5])),
];
/// What is shown of each part, and what it is called.
const FIGURES: [(&str, &str); 3] = [("loss", "Loss"), ("accuracy", "Accuracy"), ("rmse", "RMSE")];
/// The most epochs that have a tip each.
const TIPS: usize = 400;

/// The curves of `run`, whose model is that of the epoch `kept`, if it is known.
pub fn curves(run: &Run, kept: Option<u32>) -> Vec<Picture> {
    let best = run.best().map(|(epoch, _)| epoch.number);
    let mark = kept.or(best).filter(|epoch| run.epochs.iter().any(|own| own.number == *epoch));
    let mark = mark.map(|epoch| (epoch, format!("epoch {epoch}, {}", if kept.is_some() { "kept" } else { "best" })));
    let mark = mark.as_ref().map(|(epoch, text)| (*epoch, text.as_str()));
    let mut pictures: Vec<Picture> =
        FIGURES.iter().filter_map(|(figure, name)| of_figure(run, figure, name, mark)).collect();
    let rates = run.series("lr");
    if !rates.is_empty() {
        let y = Axis::from_zero("Learning rate", rates.iter().map(|(_, rate)| *rate));
        let about = "The learning rate of each epoch.";
        let entries: Vec<Entry<'_>> = mark.iter().map(|(_, text)| (*text, Paint::Muted.into(), MARK)).collect();
        let (mut picture, plane) = Plane::new(about, (WIDTH, HEIGHT), epochs(run), y, &entries);
        mark.iter().for_each(|(epoch, _)| marked(&mut picture, &plane, *epoch));
        plane.line(&mut picture, &rates, Paint::Series(3), 2.0, None);
        tips(&mut picture, &plane, run, |epoch| format!("learning rate {}", ticks::number(epoch.figure("lr"), 4)));
        pictures.push(picture);
    }
    pictures
}

/// The curves of a figure of all parts that have it; none where no part has.
fn of_figure(run: &Run, figure: &str, name: &str, mark: Option<(u32, &str)>) -> Option<Picture> {
    let series: Vec<_> = PARTS
        .iter()
        .map(|(part, called, colour, dash)| (*called, run.series(&format!("{part}_{figure}")), *colour, *dash))
        .filter(|(_, points, ..)| !points.is_empty())
        .collect();
    if series.is_empty() {
        return None;
    }
    let values = || series.iter().flat_map(|(_, points, ..)| points.iter().map(|(_, value)| *value));
    let (low, high) = values().fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    let y = match low > 0.0 && high / low > 100.0 {
        true => Axis::logarithmic(name, values()),
        false => Axis::of(name, values()),
    };
    let mut entries: Vec<Entry<'_>> =
        series.iter().map(|(called, _, colour, dash)| (*called, Paint::Series(*colour).into(), *dash)).collect();
    entries.extend(mark.map(|(_, text)| (text, Paint::Muted.into(), MARK)));
    let parts = series.iter().map(|(called, ..)| *called).collect::<Vec<_>>().join(", ");
    let about = format!("{name} by epochs: {parts}.");
    let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), epochs(run), y, &entries);
    mark.iter().for_each(|(epoch, _)| marked(&mut picture, &plane, *epoch));
    for (_, points, colour, dash) in &series {
        plane.line(&mut picture, points, Paint::Series(*colour), 2.0, *dash);
        if let Some(point) = mark.and_then(|(epoch, _)| points.iter().find(|(x, _)| *x == f64::from(epoch))) {
            picture.add(Shape::Disc(plane.point(point.0, point.1), 3.5, Paint::Series(*colour).into()));
        }
    }
    tips(&mut picture, &plane, run, |epoch| {
        let of = |(part, called, ..): &(&str, &str, usize, Option<[f64; 2]>)| {
            let value = epoch.figure(&format!("{part}_{figure}"));
            value.is_finite().then(|| format!("{called} {}", ticks::number(value, 4)))
        };
        PARTS.iter().filter_map(of).collect::<Vec<_>>().join("\n")
    });
    Some(picture)
}

/// The dashes of the line that marks an epoch.
const MARK: Option<[f64; 2]> = Some([3.0, 3.0]);

/// Marks an epoch by an upright line.
fn marked(picture: &mut Picture, plane: &Plane, epoch: u32) {
    let ([_, top, _, height], (x, _)) = (plane.place(), plane.point(f64::from(epoch), 0.0));
    let points = vec![(x, top), (x, top + height)];
    picture.add(Shape::Line { points, ink: Paint::Muted.into(), width: 1.0, dash: MARK });
}

fn epochs(run: &Run) -> Axis {
    let number = |epoch: Option<&Epoch>| epoch.map_or(1.0, |epoch| f64::from(epoch.number));
    Axis::whole("epoch", number(run.epochs.first()), number(run.epochs.last()))
}

/// What is told of each epoch, where a pointer is near it.
fn tips(picture: &mut Picture, plane: &Plane, run: &Run, told: impl Fn(&Epoch) -> String) {
    let every = run.epochs.len().div_ceil(TIPS).max(1);
    let half = 0.5 * every as f64;
    for epoch in run.epochs.iter().step_by(every) {
        let text = told(epoch);
        if !text.is_empty() {
            let number = f64::from(epoch.number);
            plane.tip(picture, (number - half, number + half), format!("epoch {}\n{text}", epoch.number));
        }
    }
}

/// The curves of several runs: the figures that they are judged by, a line for each run.
pub fn curves_of_runs(runs: &[Run]) -> Vec<Picture> {
    let last = runs.iter().filter_map(|run| run.epochs.last()).map(|epoch| epoch.number).max().unwrap_or(1);
    let mut pictures = Vec::new();
    for (part, called, ..) in PARTS.iter().rev() {
        for (figure, name) in FIGURES {
            let key = format!("{part}_{figure}");
            let all: Vec<(&Run, Vec<(f64, f64)>)> = runs.iter().map(|run| (run, run.series(&key))).collect();
            let values = || all.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value));
            // Runs are judged by their training rows only where there are no others.
            if values().next().is_none() || *part == "train" && !pictures.is_empty() {
                continue;
            }
            let heading = format!("{name}, {called}");
            // Of more runs than there are colours none is named.
            let few = runs.len() <= DISTINCT;
            let ink = |at: usize| -> Ink { if few { Paint::Series(at).into() } else { Paint::Series(0).thin(0.45) } };
            let entries: Vec<Entry<'_>> = match few {
                true => runs.iter().enumerate().map(|(at, run)| (run.name.as_str(), ink(at), None)).collect(),
                false => Vec::new(),
            };
            let (x, y) = (Axis::whole("epoch", 1.0, f64::from(last)), Axis::of(&heading, values()));
            let about = format!("{heading}, by epochs, of {} runs.", runs.len());
            let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), x, y, &entries);
            for (at, (_, points)) in all.iter().enumerate() {
                plane.line(&mut picture, points, ink(at), 1.5, None);
            }
            pictures.push(picture);
        }
    }
    pictures
}
