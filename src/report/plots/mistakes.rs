//! The images of which a model is most wrong.

use crate::report::chart::{Anchor, HEADING, Paint, Picture, Shape, TEXT, text, ticks};
use crate::report::evaluation::Mistakes;

/// Pixels of a side of an image, and what is free around it.
const SIDE: f64 = 64.0;
const GAP: f64 = 12.0;
/// Images to a row.
const ACROSS: usize = 6;

/// The images of the most confident mistakes, each with its class and what it was taken for; none where rows are no images.
pub fn mistakes(mistakes: &Mistakes) -> Option<Picture> {
    let shown: Vec<_> = mistakes.rows.iter().filter_map(|row| Some((row, row.image.as_ref()?))).collect();
    if shown.is_empty() {
        return None;
    }
    let across = ACROSS.min(shown.len());
    let cell = (SIDE + GAP, SIDE + 2.0 * TEXT + GAP + 6.0);
    let heading = "Mistakes: class as predicted class, its probability";
    let (width, rows) = (across as f64 * cell.0 - GAP, shown.len().div_ceil(ACROSS));
    let width = width.max(text::room(heading, HEADING));
    let top = HEADING + 12.0;
    let about = format!("The {} images of the most confident mistakes.", shown.len());
    let mut picture = Picture::new(width, top + rows as f64 * cell.1, about);
    picture.heading(heading);
    for (number, (row, image)) in shown.into_iter().enumerate() {
        let (x, y) = ((number % ACROSS) as f64 * cell.0, top + (number / ACROSS) as f64 * cell.1);
        picture.add(Shape::Image([x, y, SIDE, SIDE], image.clone()));
        let half = (SIDE + GAP) / 2.0 - 10.0;
        let (actual, predicted) = (text::cut(&row.actual, half, TEXT), text::cut(&row.predicted, half, TEXT));
        let middle = x + SIDE / 2.0;
        picture.text((middle, y + SIDE + TEXT + 2.0), format!("{actual} as {predicted}"), Anchor::Middle, Paint::Ink);
        let certainty = match row.certainty {
            (p, Some(_)) => format!("{p:.4}"),
            (error, None) => ticks::number(error, 3),
        };
        picture.text((middle, y + SIDE + 2.0 * TEXT + 4.0), certainty, Anchor::Middle, Paint::Muted);
        let tip = format!("row {}: {} taken for {}", row.row, row.actual, row.predicted);
        picture.add(Shape::Tip([x, y, SIDE, SIDE], tip));
    }
    Some(picture)
}
