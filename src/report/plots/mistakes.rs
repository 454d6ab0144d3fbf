//! The images of which a model is most wrong.

use crate::report::chart::{Anchor, HEADING, Paint, Picture, Shape, TEXT, text, ticks};
use crate::report::evaluation::{Mistake, Mistakes};

/// Pixels of a side of an image, and what is free around it.
const SIDE: f64 = 56.0;
const GAP: f64 = 12.0;
/// From one line of text below an image to the next.
const LINE: f64 = TEXT + 2.0;
/// Images to a row.
const ACROSS: usize = 6;

/// The images of the most confident mistakes, each with its class and what it was taken for; none where rows are no images.
pub fn mistakes(mistakes: &Mistakes) -> Option<Picture> {
    let shown: Vec<_> = mistakes.rows.iter().filter_map(|row| Some((row, row.image.as_ref()?))).collect();
    if shown.is_empty() {
        return None;
    }
    let across = ACROSS.min(shown.len());
    // Names that do not fit a line have two.
    let in_a_line = |actual: &str, predicted: &str| format!("{actual} as {predicted}");
    let fits = |(row, _): &(&Mistake, _)| text::room(&in_a_line(&row.actual, &row.predicted), TEXT) <= SIDE + GAP - 4.0;
    let lines = if shown.iter().all(fits) { 1 } else { 2 };
    let height = SIDE + f64::from(lines + 1) * LINE;
    let cell = (SIDE + GAP, height + GAP);
    let heading = "Mistakes: class as predicted class, its probability";
    let (width, rows) = (across as f64 * cell.0 - GAP, shown.len().div_ceil(ACROSS));
    let width = width.max(text::room(heading, HEADING) + 1.0);
    let top = HEADING + 12.0;
    let about = format!("The {} images of the most confident mistakes.", shown.len());
    let mut picture = Picture::new(width, top + rows as f64 * cell.1, about);
    picture.heading(heading);
    for (number, (row, image)) in shown.into_iter().enumerate() {
        let (x, y) = ((number % ACROSS) as f64 * cell.0, top + (number / ACROSS) as f64 * cell.1);
        picture.add(Shape::Image([x, y, SIDE, SIDE], image.clone()));
        let mut below = |line: i32, text: &str, paint: Paint| {
            let at = (x + SIDE / 2.0, y + SIDE + f64::from(line) * LINE);
            picture.text(at, text::cut(text, SIDE + GAP - 4.0, TEXT), Anchor::Middle, paint);
        };
        if lines == 1 {
            below(1, &in_a_line(&row.actual, &row.predicted), Paint::Ink);
        } else {
            below(1, &row.actual, Paint::Ink);
            below(2, &format!("as {}", row.predicted), Paint::Ink);
        }
        let certainty = match row.certainty {
            (p, Some(_)) => format!("{p:.4}"),
            (error, None) => ticks::number(error, 3),
        };
        below(lines + 1, &certainty, Paint::Muted);
        let tip = format!("row {}: {} taken for {}", row.row, row.actual, row.predicted);
        picture.add(Shape::Tip([x, y, SIDE, SIDE], tip));
    }
    Some(picture)
}
