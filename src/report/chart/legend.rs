//! Legends: a line of names above a chart, each behind a piece of its line.

use super::axes::Entry;
use super::{Anchor, Paint, Picture, Shape, TEXT, text};

/// Height of a line of names.
const LINE: f64 = TEXT + 6.0;
/// The piece of a line before a name, and what is between them and behind the name.
const PIECE: f64 = 18.0;
const GAP: f64 = 5.0;
const BETWEEN: f64 = 14.0;

/// Adds a legend of `entries` at `left` and `top`, in as many lines as `width` needs; how high it is.
pub fn add(picture: &mut Picture, (left, top): (f64, f64), width: f64, entries: &[Entry<'_>]) -> f64 {
    let (mut x, mut line) = (left, 0.0);
    for (name, ink, dash) in entries {
        let name = text::cut(name, width - PIECE - GAP, TEXT);
        let needed = PIECE + GAP + text::room(&name, TEXT);
        if x > left && x + needed > left + width {
            (x, line) = (left, line + 1.0);
        }
        let base = top + line * LINE + TEXT;
        let points = vec![(x, base - 4.0), (x + PIECE, base - 4.0)];
        picture.add(Shape::Line { points, ink: *ink, width: 2.5, dash: *dash });
        picture.text((x + PIECE + GAP, base), name, Anchor::Start, Paint::Muted);
        x += needed + BETWEEN;
    }
    if entries.is_empty() { 0.0 } else { (line + 1.0) * LINE }
}
