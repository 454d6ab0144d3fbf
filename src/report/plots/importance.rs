//! How much a model depends on each column.

use crate::report::chart::{Anchor, HEADING, Paint, Picture, Shape, TEXT, WIDTH, text, ticks};
use crate::report::evaluation::Importances;

/// The most columns that are shown.
const COLUMNS: usize = 20;
/// Height of a bar, with what is free around it.
const BAR: f64 = 20.0;
/// The most of the width that names take.
const NAMES: f64 = 150.0;

/// A bar for each of the most important columns: by how much the error grows without it, with a whisker of a standard deviation to
/// both sides.
pub fn importance(found: &Importances) -> Option<Picture> {
    let shown = &found.columns[..found.columns.len().min(COLUMNS)];
    let first = shown.first()?;
    let ends = |sign: f64| shown.iter().map(move |column| column.mean + sign * column.deviation);
    let (low, high) = (ends(-1.0).fold(0.0, f64::min), ends(1.0).fold(0.0, f64::max));
    let (low, high) = ticks::widened(low, high);
    let names: Vec<_> = shown.iter().map(|column| text::cut(&column.name, NAMES, TEXT)).collect();
    let left = names.iter().map(|name| text::room(name, TEXT)).fold(0.0, f64::max) + 8.0;
    let numbers = shown.iter().map(|column| text::room(&ticks::number(column.mean, 3), TEXT));
    let right = numbers.fold(0.0, f64::max) + 10.0;
    let about = format!("By how much the {} grows where a column is permuted; {} matters most.", found.by, first.name);
    let mut picture = Picture::new(WIDTH, HEADING + 14.0 + BAR * shown.len() as f64 + TEXT + 12.0, about);
    picture.heading(&format!("Rise of the {} where a column is permuted", found.by));
    let (top, bottom) = (HEADING + 12.0, HEADING + 12.0 + BAR * shown.len() as f64);
    let at = |value: f64| left + (value - low) / (high - low) * (WIDTH - left - right);
    let places = ticks::round(low, high, 5);
    let mut free = f64::NEG_INFINITY;
    for (tick, label) in places.iter().zip(ticks::labels(&places)) {
        picture.rule((at(*tick), top), (at(*tick), bottom), Paint::Grid, 1.0);
        // Texts that would touch the one before are left out.
        let half = text::room(&label, TEXT) / 2.0;
        if at(*tick) - half > free {
            picture.text((at(*tick), bottom + TEXT + 4.0), label, Anchor::Middle, Paint::Muted);
            free = at(*tick) + half + 6.0;
        }
    }
    for (number, (column, name)) in shown.iter().zip(names).enumerate() {
        let middle = top + (number as f64 + 0.5) * BAR;
        let (from, to) = (at(column.mean.min(0.0)), at(column.mean.max(0.0)));
        picture.add(Shape::Box([from, middle - BAR * 0.32, to - from, BAR * 0.64], Paint::Series(0).into()));
        let (least, most) = (at(column.mean - column.deviation), at(column.mean + column.deviation));
        picture.rule((least, middle), (most, middle), Paint::Ink, 1.5);
        picture.text((left - 8.0, middle + TEXT * 0.35), name, Anchor::End, Paint::Ink);
        let value = ticks::number(column.mean, 3);
        picture.text((WIDTH, middle + TEXT * 0.35), value, Anchor::End, Paint::Muted);
        let (mean, deviation) = (ticks::number(column.mean, 4), ticks::number(column.deviation, 2));
        let tip = format!("{}\n{mean}, deviation {deviation}", column.name);
        picture.add(Shape::Tip([0.0, middle - BAR / 2.0, WIDTH, BAR], tip));
    }
    picture.rule((at(0.0), top), (at(0.0), bottom), Paint::Muted, 1.0);
    Some(picture)
}
