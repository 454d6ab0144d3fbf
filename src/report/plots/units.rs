//! The units of the first layer.

use crate::report::chart::heat::{self, Heat};
use crate::report::chart::{HEADING, Picture, Shape, ticks};
use crate::report::evaluation::FirstLayer;

/// Pixels of a side of a unit's image, what is free around it, and images to a row.
const SIDE: f64 = 48.0;
const GAP: f64 = 4.0;
const ACROSS: usize = 8;

/// The weights of each unit: as an image of the inputs, or by columns.
pub fn units(layer: &FirstLayer) -> Option<Picture> {
    let count = layer.units.len();
    let kept = if count < layer.all {
        format!("the {count} largest of {} units", layer.all)
    } else {
        format!("{count} units")
    };
    if !layer.images.is_empty() {
        let (across, down) = (ACROSS.min(count), count.div_ceil(ACROSS));
        let top = HEADING + 12.0;
        let width = (across as f64 * (SIDE + GAP) - GAP).max(300.0);
        let about =
            format!("The weights of {kept} of the first layer as images: 0 in mid-grey, the largest white or black.");
        let mut picture = Picture::new(width, top + down as f64 * (SIDE + GAP), about);
        picture.heading(&format!("First layer: weights of {kept}"));
        for (number, (unit, image)) in layer.units.iter().zip(&layer.images).enumerate() {
            let (x, y) = ((number % ACROSS) as f64 * (SIDE + GAP), top + (number / ACROSS) as f64 * (SIDE + GAP));
            picture.add(Shape::Image([x, y, SIDE, SIDE], image.clone()));
            picture.add(Shape::Tip([x, y, SIDE, SIDE], format!("unit {unit}")));
        }
        return Some(picture);
    }
    if layer.columns.is_empty() || count == 0 {
        return None;
    }
    let most = layer.weights.iter().fold(f64::MIN_POSITIVE, |most, weight| most.max(*weight));
    let shades: Vec<f64> = layer.weights.iter().map(|weight| weight / most).collect();
    let tip = |(index, weight): (usize, &f64)| {
        format!("{}, unit {}\n{}", layer.columns[index / count], layer.units[index % count], ticks::number(*weight, 3))
    };
    let tips: Vec<String> = layer.weights.iter().enumerate().map(tip).collect();
    let about = format!("How large the weights are by which each of {kept} of the first layer takes each column.");
    let below = format!("unit (strongest: {})", ticks::number(most, 3));
    let heat = Heat {
        about: &about,
        heading: &format!("First layer: norm of the weights of {kept}"),
        sides: ("", &below),
        rows: &layer.columns,
        columns: &[],
        cell: ((heat::across(&layer.columns) / count as f64).clamp(3.0, 24.0), 16.0),
        shades: &shades,
        texts: &[],
        tips: &tips,
    };
    Some(heat.picture())
}
