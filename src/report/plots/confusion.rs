//! The confusion matrix.

use super::percent;
use crate::report::chart::heat::{Heat, SMALL};
use crate::report::chart::{Picture, text, ticks};
use crate::report::evaluation::Classes;

/// The most classes whose cells hold their counts.
const COUNTED: usize = 16;
/// The most classes that are named.
const NAMED: usize = 60;

/// How often rows of each class were taken for which: the stronger the colour, the larger the share of the class.
pub fn confusion(classes: &Classes) -> Picture {
    let count = classes.classes.len();
    let names = classes.names();
    let most = ticks::count(classes.confusion.iter().copied().max().unwrap_or(0));
    let room = if count <= COUNTED { text::room(&most, SMALL) + 4.0 } else { 4.0 };
    let side = (320.0 / count.max(1) as f64).clamp(room.min(72.0), 72.0);
    let (mut shades, mut texts, mut tips) = (Vec::new(), Vec::new(), Vec::new());
    for (index, &rows) in classes.confusion.iter().enumerate() {
        let (actual, predicted) = (&classes.classes[index / count.max(1)], &names[index % count.max(1)]);
        let share = if actual.support > 0 { rows as f64 / actual.support as f64 } else { 0.0 };
        shades.push(share);
        if count <= COUNTED {
            texts.push(if rows > 0 { ticks::count(rows) } else { String::new() });
        }
        if count <= NAMED {
            let rows = ticks::count(rows);
            tips.push(format!("{} taken for {predicted}\n{rows} rows, {} of the class", actual.name, percent(share)));
        }
    }
    Heat {
        about: "The confusion matrix: a row for each class, a column for each predicted class.",
        heading: "Confusion matrix (rows)",
        sides: ("class", "predicted class"),
        rows: &names,
        columns: if count <= NAMED { &names } else { &[] },
        cell: (side, side),
        shades: &shades,
        texts: &texts,
        tips: &tips,
    }
    .picture()
}
