//! Pictures as lists of shapes, which [`svg`] writes and [`png`] draws: what every chart of a report is made of.

use std::borrow::Cow;

pub mod axes;
pub mod colours;
pub mod heat;
pub mod legend;
pub mod png;
pub mod svg;
pub mod text;
pub mod ticks;

pub use axes::{Axis, Plane};
pub use colours::Paint;

/// Height of ordinary text, in pixels.
pub const TEXT: f64 = 12.0;
/// Height of the text above a chart.
pub const HEADING: f64 = 13.0;
/// Width of a chart that stands beside others.
pub const WIDTH: f64 = 400.0;

/// Where a text stands about its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A colour and how much of it covers what is below, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    /// The colour.
    pub paint: Paint,
    /// How much of it covers what is below.
    pub opacity: f64,
}

impl From<Paint> for Ink {
    fn from(paint: Paint) -> Self {
        Self { paint, opacity: 1.0 }
    }
}

impl Paint {
    /// The colour, of which `opacity` (from 0 to 1) covers what is below.
    pub fn thin(self, opacity: f64) -> Ink {
        Ink { paint: self, opacity: opacity.clamp(0.0, 1.0) }
    }
}

/// A shape. Lengths are pixels, `x` grows to the right and `y` downwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A filled rectangle: left, top, width, height.
    Box([f64; 4], Ink),
    /// A line through points.
    Line {
        /// The points.
        points: Vec<(f64, f64)>,
        /// Its colour.
        ink: Ink,
        /// Its width.
        width: f64,
        /// Lengths of dashes and gaps; a whole line where there is none.
        dash: Option<[f64; 2]>,
    },
    /// A filled area inside points.
    Area(Vec<(f64, f64)>, Ink),
    /// A filled disc: its centre and radius.
    Disc((f64, f64), f64, Ink),
    /// A text.
    Text {
        /// Where its baseline is.
        at: (f64, f64),
        /// The text.
        text: String,
        /// Its height.
        size: f64,
        /// Where it stands about `at`.
        anchor: Anchor,
        /// Its colour.
        paint: Paint,
        /// Whether it is turned by 90 degrees to be read from below.
        upright: bool,
    },
    /// A PNG in base64, drawn into left, top, width, height; its pixels stay sharp.
    Image([f64; 4], String),
    /// What is told of the place left, top, width, height when a pointer is there. It is not seen otherwise.
    Tip([f64; 4], String),
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What it shows, in a sentence, for those who cannot see it.
    pub about: String,
    /// What it is made of, the lowest first.
    pub shapes: Vec<Shape>,
    /// The width of the pieces that a narrow page may show below each other in its place.
    pub pieces: Option<f64>,
}

impl Picture {
    /// An empty picture.
    pub fn new(width: f64, height: f64, about: impl Into<String>) -> Self {
        Self { width, height, about: about.into(), shapes: Vec::new(), pieces: None }
    }

    /// Adds a shape.
    pub fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// Adds a text of ordinary height.
    pub fn text(&mut self, at: (f64, f64), text: impl Into<String>, anchor: Anchor, paint: Paint) {
        self.add(Shape::Text { at, text: text.into(), size: TEXT, anchor, paint, upright: false });
    }

    /// Adds the text above the chart.
    pub fn heading(&mut self, text: &str) {
        let text = text::cut(text, self.width, HEADING).into_owned();
        self.add(Shape::Text {
            at: (0.0, HEADING),
            text,
            size: HEADING,
            anchor: Anchor::Start,
            paint: Paint::Ink,
            upright: false,
        });
    }

    /// Adds a whole line from one point to another.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), ink: impl Into<Ink>, width: f64) {
        self.add(Shape::Line { points: vec![from, to], ink: ink.into(), width, dash: None });
    }

    /// These pictures side by side, with their tops in line.
    pub fn beside(pictures: Vec<Self>) -> Option<Self> {
        const GAP: f64 = 28.0;
        let mut pictures = pictures.into_iter();
        let mut whole = pictures.next()?;
        for picture in pictures {
            let left = whole.width + GAP;
            whole.shapes.extend(picture.shapes.into_iter().map(|shape| shape.moved(left)));
            whole.width = left + picture.width;
            whole.height = whole.height.max(picture.height);
            whole.about = format!("{} {}", whole.about, picture.about);
        }
        Some(whole)
    }
}

impl Shape {
    /// The same, further right.
    fn moved(self, by: f64) -> Self {
        let rectangle = |[left, top, width, height]: [f64; 4]| [left + by, top, width, height];
        let all = |points: Vec<(f64, f64)>| points.into_iter().map(|(x, y)| (x + by, y)).collect();
        match self {
            Self::Box(place, ink) => Self::Box(rectangle(place), ink),
            Self::Line { points, ink, width, dash } => Self::Line { points: all(points), ink, width, dash },
            Self::Area(points, ink) => Self::Area(all(points), ink),
            Self::Disc((x, y), radius, ink) => Self::Disc((x + by, y), radius, ink),
            Self::Text { at: (x, y), text, size, anchor, paint, upright } => {
                Self::Text { at: (x + by, y), text, size, anchor, paint, upright }
            }
            Self::Image(place, png) => Self::Image(rectangle(place), png),
            Self::Tip(place, text) => Self::Tip(rectangle(place), text),
        }
    }
}

/// `text` of at most so many characters, with an ellipsis where it is cut.
pub fn short(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().count() <= most {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    Cow::Owned(format!("{}…", kept.trim_end()))
}
