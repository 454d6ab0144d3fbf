//! Axes, the plane between two of them, and what is drawn in it.

use super::{Anchor, HEADING, Ink, Paint, Picture, Shape, TEXT, legend, text, ticks};

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
    logarithmic: bool,
}

impl Axis {
    /// An axis that holds all of `values`, from one round number to another. Values that are not finite do not count.
    pub fn of(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        let (low, high) = ticks::outer(low, high, 5);
        Self::between(label, low, high)
    }

    /// The same from 0 on.
    pub fn from_zero(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        Self::of(label, values.into_iter().chain([0.0]))
    }

    /// An axis from `low` to `high`.
    pub fn between(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = ticks::widened(low, high);
        Self::at(label, (low, high), ticks::round(low, high, 5), false)
    }

    /// An axis of whole numbers from `low` to `high`.
    pub fn whole(label: &str, low: f64, high: f64) -> Self {
        if low == high {
            return Self::at(label, (low - 0.5, high + 0.5), vec![low], false);
        }
        let mut places = ticks::round(low, high, 6);
        places.retain(|tick| tick.fract() == 0.0);
        if places.first() != Some(&low) && places.first().is_none_or(|first| first - low > 0.08 * (high - low)) {
            places.insert(0, low);
        }
        Self::at(label, (low, high), places, false)
    }

    /// A logarithmic axis of values above 0.
    pub fn logarithmic(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values.into_iter().filter(|value| *value > 0.0));
        let (low, high) = match (low, high) {
            (low, high) if low < high => (low, high),
            (low, _) if low.is_finite() => (low / 2.0, low * 2.0),
            _ => (1.0, 10.0),
        };
        Self::at(label, (low, high), ticks::powers(low, high), true)
    }

    /// An axis with places for names, the first one at 0 and the last at `names.len() - 1`.
    pub fn names(label: &str, names: &[String]) -> Self {
        let ticks = names.iter().enumerate().map(|(at, name)| (at as f64, name.clone())).collect();
        let last = names.len().saturating_sub(1) as f64;
        Self { label: label.into(), low: -0.5, high: last + 0.5, ticks, logarithmic: false }
    }

    fn at(label: &str, (low, high): (f64, f64), places: Vec<f64>, logarithmic: bool) -> Self {
        let texts = if logarithmic {
            places.iter().map(|tick| ticks::number(*tick, 3)).collect()
        } else {
            ticks::labels(&places)
        };
        Self { label: label.into(), low, high, ticks: places.into_iter().zip(texts).collect(), logarithmic }
    }

    /// Where `value` is, as a share of the axis.
    pub fn share(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// Its bounds.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Its ticks, each with its text.
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }
}

/// The least and the greatest of those that are finite; NaN for none.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold((f64::NAN, f64::NAN), |(low, high), value| (low.min(value), high.max(value)))
}

/// The place between two axes, within a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    x: Axis,
    y: Axis,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A line of a legend: what it is called, its colour, its dashes.
pub type Entry<'a> = (&'a str, Ink, Option<[f64; 2]>);

/// What is between the ticks' texts and the plane.
const GAP: f64 = 6.0;

impl Plane {
    /// A picture `width` wide with a plane `height` high, below a heading and a legend of `entries`. The heading says what the
    /// upright axis shows.
    pub fn new(about: &str, (width, height): (f64, f64), x: Axis, y: Axis, entries: &[Entry<'_>]) -> (Picture, Self) {
        let mut picture = Picture::new(width, 0.0, about);
        picture.heading(&y.label);
        let top = HEADING + 18.0 + legend::add(&mut picture, (0.0, HEADING + 8.0), width, entries);
        let widest = y.ticks.iter().map(|(_, text)| text::room(text, TEXT)).fold(0.0, f64::max);
        let left = widest + GAP;
        // The last text of the axis below stands half beside it.
        let right = x.ticks.last().map_or(0.0, |(_, text)| text::room(text, TEXT) / 2.0).max(6.0);
        let plane = Self { left, top, width: width - left - right, height, x, y };
        plane.draw(&mut picture);
        picture.height = top + height + GAP + TEXT + if plane.x.label.is_empty() { 4.0 } else { TEXT + 12.0 };
        (picture, plane)
    }

    fn draw(&self, picture: &mut Picture) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for (tick, text) in &self.y.ticks {
            let at = self.height_of(*tick);
            picture.rule((self.left, at), (right, at), Paint::Grid, 1.0);
            picture.text((self.left - GAP, at + TEXT * 0.35), text, Anchor::End, Paint::Muted);
        }
        let mut free = f64::NEG_INFINITY;
        for (tick, text) in &self.x.ticks {
            let (at, half) = (self.across(*tick), text::room(text, TEXT) / 2.0);
            picture.rule((at, bottom), (at, bottom + 4.0), Paint::Muted, 1.0);
            // Texts that would touch the one before are left out.
            if at - half > free {
                picture.text((at, bottom + GAP + TEXT), text, Anchor::Middle, Paint::Muted);
                free = at + half + 6.0;
            }
        }
        picture.rule((self.left, bottom), (right, bottom), Paint::Muted, 1.0);
        if !self.x.label.is_empty() {
            let at = (self.left + self.width / 2.0, bottom + GAP + 2.0 * TEXT + 6.0);
            picture.text(at, &self.x.label, Anchor::Middle, Paint::Muted);
        }
    }

    fn across(&self, x: f64) -> f64 {
        self.left + self.x.share(x) * self.width
    }

    fn height_of(&self, y: f64) -> f64 {
        self.top + (1.0 - self.y.share(y)) * self.height
    }

    /// Where a point is in the picture.
    pub fn point(&self, x: f64, y: f64) -> (f64, f64) {
        (self.across(x), self.height_of(y))
    }

    /// Left, top, width and height in the picture.
    pub fn place(&self) -> [f64; 4] {
        [self.left, self.top, self.width, self.height]
    }

    /// A line through the points that are finite; where one is not, it is broken.
    pub fn line(
        &self,
        picture: &mut Picture,
        points: &[(f64, f64)],
        ink: impl Into<Ink>,
        width: f64,
        dash: Option<[f64; 2]>,
    ) {
        let ink = ink.into();
        let is_there = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        for run in points.split(|point| !is_there(point)).filter(|run| !run.is_empty()) {
            match run {
                [(x, y)] => picture.add(Shape::Disc(self.point(*x, *y), width.max(1.5), ink)),
                run => {
                    let points = run.iter().map(|(x, y)| self.point(*x, *y)).collect();
                    picture.add(Shape::Line { points, ink, width, dash });
                }
            }
        }
    }

    /// Discs at points. Those outside the axes are left out.
    pub fn scatter(&self, picture: &mut Picture, points: &[(f64, f64)], ink: Ink, radius: f64) {
        let inside = |axis: &Axis, value: f64| (-0.001..=1.001).contains(&axis.share(value));
        for (x, y) in points.iter().filter(|(x, y)| inside(&self.x, *x) && inside(&self.y, *y)) {
            picture.add(Shape::Disc(self.point(*x, *y), radius, ink));
        }
    }

    /// A bar on the axis below, from `from` to `to` of it and `value` high.
    pub fn bar(&self, picture: &mut Picture, (from, to): (f64, f64), value: f64, ink: impl Into<Ink>) {
        let (left, right) = (self.across(from), self.across(to));
        let (base, top) = (self.height_of(self.y.low.max(0.0)), self.height_of(value));
        let gap = ((right - left) * 0.06).min(1.0);
        picture.add(Shape::Box([left + gap, top, right - left - 2.0 * gap, base - top], ink.into()));
    }

    /// What is told where a pointer is from `from` to `to` of the axis below.
    pub fn tip(&self, picture: &mut Picture, (from, to): (f64, f64), text: String) {
        let (low, high) = self.x.bounds();
        let (left, right) = (self.across(from.max(low)), self.across(to.min(high)));
        picture.add(Shape::Tip([left, self.top, right - left, self.height], text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_where_axes_say_and_lines_break_where_there_is_none() {
        let (mut picture, plane) =
            Plane::new("", (200.0, 100.0), Axis::whole("epoch", 1.0, 3.0), Axis::of("loss", [0.0, 1.0, f64::NAN]), &[]);
        let [left, top, width, height] = plane.place();
        assert_eq!(plane.point(1.0, 0.0), (left, top + height));
        assert_eq!(plane.point(3.0, 1.0), (left + width, top));
        let lines = picture.shapes.len();
        plane.line(&mut picture, &[(1.0, 0.5), (1.5, f64::NAN), (2.0, 0.5), (3.0, 0.2)], Paint::Ink, 2.0, None);
        assert!(matches!(&picture.shapes[lines..], [Shape::Disc(..), Shape::Line { points, .. }] if points.len() == 2));
        assert!(left + width <= 200.0 && top + height < picture.height);
    }

    #[test]
    fn axes_of_few_and_of_equal_values_have_ticks() {
        let texts = |axis: &Axis| axis.ticks().iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&Axis::whole("", 1.0, 4.0)), ["1", "2", "3", "4"]);
        assert_eq!(texts(&Axis::whole("", 1.0, 200.0))[..2], ["1", "50"]);
        assert!(texts(&Axis::whole("", 1.0, 1.0)).contains(&"1".into()));
        assert!(texts(&Axis::of("", [0.3, 0.3])).len() >= 2 && texts(&Axis::of("", [])).len() >= 2);
        let axis = Axis::logarithmic("", [0.001, 0.1]);
        assert_eq!((axis.share(0.01) * 100.0).round(), 50.0);
        assert_eq!(texts(&axis), ["0.001", "0.01", "0.1"]);
    }
}
