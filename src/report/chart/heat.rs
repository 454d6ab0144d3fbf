//! Heat maps: a cell for each number of a matrix, the stronger its colour the larger it is.

use super::{Anchor, HEADING, Ink, Paint, Picture, Shape, TEXT, WIDTH, short, text};

/// A matrix to be drawn.
pub struct Heat<'a> {
    /// What it shows, for those who cannot see it.
    pub about: &'a str,
    /// The text above it.
    pub heading: &'a str,
    /// What its rows and columns are.
    pub sides: (&'a str, &'a str),
    /// Names of the rows.
    pub rows: &'a [String],
    /// Names of the columns; none where they are too many to be named.
    pub columns: &'a [String],
    /// Width and height of a cell.
    pub cell: (f64, f64),
    /// How strong the colour of each cell is, row after row, from 0 to 1.
    pub shades: &'a [f64],
    /// The text of each cell; empty for none at all.
    pub texts: &'a [String],
    /// What is told of each cell where a pointer is; empty for nothing.
    pub tips: &'a [String],
}

/// The most characters of a name.
const MOST: usize = 22;
/// Height of the texts in cells.
pub const SMALL: f64 = 11.0;
/// How strong a cell's colour is from which on its text has the colour of what is below the picture: on white and on black it is read better.
const LIGHT_ON: f64 = 0.68;

/// What is between the names of rows and the cells.
const BESIDE: f64 = 8.0;

/// `names` as they are written.
fn names(names: &[String]) -> Vec<String> {
    names.iter().map(|name| short(name, MOST).into_owned()).collect()
}

fn widest(names: &[String]) -> f64 {
    names.iter().map(|name| text::room(name, TEXT)).fold(0.0, f64::max)
}

/// The room for the cells of a matrix with these `rows`, whose side has no name, in a picture of the width of a chart.
pub fn across(rows: &[String]) -> f64 {
    WIDTH - 1.0 - BESIDE - widest(&names(rows))
}

impl Heat<'_> {
    /// The picture.
    pub fn picture(&self) -> Picture {
        let (width, height) = self.cell;
        let wide = self.shades.len() / self.rows.len().max(1);
        let (rows, columns) = (names(self.rows), names(self.columns));
        let aside = if self.sides.0.is_empty() { 0.0 } else { TEXT + 8.0 };
        let left = aside + widest(&rows) + BESIDE;
        // Names that do not fit their cells are upright.
        let upright = widest(&columns) > width - 4.0;
        let below = match (columns.is_empty(), upright) {
            (true, _) => 6.0,
            (_, true) => widest(&columns) + 10.0,
            (_, false) => TEXT + 10.0,
        };
        let top = HEADING + 14.0;
        let (across, down) = (wide as f64 * width, rows.len() as f64 * height);
        let mut picture = Picture::new((left + across + 1.0).max(text::room(self.heading, HEADING)), 0.0, self.about);
        picture.heading(self.heading);
        // Names that would touch each other are left out, but for every so many.
        let every = |room: f64, size: f64| (size / room).ceil().max(1.0) as usize;
        for (row, name) in rows.iter().enumerate().step_by(every(height, TEXT)) {
            let at = top + (row as f64 + 0.5) * height + TEXT * 0.35;
            picture.text((left - 6.0, at), name, Anchor::End, Paint::Muted);
        }
        for (column, name) in columns.iter().enumerate().step_by(if upright { every(width, TEXT) } else { 1 }) {
            let x = left + (column as f64 + 0.5) * width;
            let (at, anchor) = match upright {
                true => ((x + TEXT * 0.35, top + down + 6.0), Anchor::End),
                false => ((x, top + down + TEXT + 4.0), Anchor::Middle),
            };
            let text = name.clone();
            picture.add(Shape::Text { at, text, size: TEXT, anchor, paint: Paint::Muted, upright });
        }
        let gap = if width.min(height) >= 12.0 { 0.75 } else { 0.0 };
        if gap == 0.0 {
            // Small cells touch: those of nothing are one box.
            picture.add(Shape::Box([left, top, across, down], Paint::Grid.thin(0.35)));
        }
        for (index, &shade) in self.shades.iter().enumerate() {
            let (row, column) = ((index / wide.max(1)) as f64, (index % wide.max(1)) as f64);
            let (x, y) = (left + column * width, top + row * height);
            // A cell of nothing is still seen.
            let ink: Ink = if shade > 0.0 { Paint::Heat.thin(0.06 + 0.94 * shade) } else { Paint::Grid.thin(0.35) };
            if shade > 0.0 || gap > 0.0 {
                picture.add(Shape::Box([x + gap, y + gap, width - 2.0 * gap, height - 2.0 * gap], ink));
            }
            if let Some(text) = self.texts.get(index).filter(|text| !text.is_empty()) {
                let paint = if shade > LIGHT_ON { Paint::Surface } else { Paint::Ink };
                let (at, text) = ((x + width / 2.0, y + height / 2.0 + SMALL * 0.36), text.clone());
                picture.add(Shape::Text { at, text, size: SMALL, anchor: Anchor::Middle, paint, upright: false });
            }
            if let Some(tip) = self.tips.get(index) {
                picture.add(Shape::Tip([x, y, width, height], tip.clone()));
            }
        }
        if !self.sides.0.is_empty() {
            let (at, text) = ((TEXT, top + down / 2.0), self.sides.0.to_owned());
            let (anchor, paint) = (Anchor::Middle, Paint::Muted);
            picture.add(Shape::Text { at, text, size: TEXT, anchor, paint, upright: true });
        }
        picture.height = top + down + below;
        if !self.sides.1.is_empty() {
            picture.text((left + across / 2.0, picture.height + TEXT), self.sides.1, Anchor::Middle, Paint::Muted);
            picture.height += TEXT + 6.0;
        }
        picture
    }
}
