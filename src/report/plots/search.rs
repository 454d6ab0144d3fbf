//! What a search tried.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::metrics::errors::quantile;
use crate::recipe::shown;
use crate::report::chart::{Anchor, Axis, HEADING, Paint, Picture, Plane, Shape, TEXT, WIDTH, legend, text, ticks};
use crate::report::log::Search;
use crate::search::Found;

/// The loss of each trial in each rung, by the rung's epochs; the best one and the recipe's own trial, 1, stand out.
pub fn rungs(search: &Search) -> Option<Picture> {
    let best = search.best().map(|best| best.trial);
    let with_loss: Vec<&Found> = search.found.iter().filter(|found| found.loss.is_some()).collect();
    let mut epochs: BTreeMap<u32, u32> = BTreeMap::new();
    for found in &with_loss {
        let most = epochs.entry(found.rung).or_insert(found.epochs);
        *most = (*most).max(found.epochs);
    }
    if with_loss.is_empty() {
        return None;
    }
    let names: Vec<String> = epochs.values().map(|epochs| epochs.to_string()).collect();
    let at = |rung: u32| epochs.keys().position(|own| *own == rung).unwrap_or(0) as f64;
    // A few trials that went wrong must not press the others together.
    let mut losses: Vec<f64> = with_loss.iter().filter_map(|found| found.loss).collect();
    losses.sort_unstable_by(f64::total_cmp);
    let middle = quantile(&losses, 0.5);
    let most = middle + 3.0 * (middle - losses[0]).max(1e-12);
    let (inside, beyond): (Vec<f64>, Vec<f64>) = losses.iter().partition(|loss| **loss <= most);
    let entries = [
        ("best", Paint::Series(1).into(), None),
        ("trial 1, the recipe", Paint::Series(2).into(), Some([6.0, 3.0])),
        ("others", Paint::Series(5).thin(0.6), None),
    ];
    let shown = if best == Some(1) { &entries[1..] } else { &entries[..] };
    let (x, y) =
        (Axis::names("epochs of a trial in each rung", &names), Axis::of("Loss that trials are judged by", inside));
    let count = with_loss.iter().map(|found| found.trial).collect::<BTreeSet<_>>().len();
    let about = format!("The loss of {count} trials by the epochs that they had.");
    let (mut picture, plane) = Plane::new(&about, (WIDTH, 260.0), x, y, shown);
    let mut trials: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for found in &with_loss {
        let loss = found.loss.filter(|loss| *loss <= most).unwrap_or(f64::NAN);
        trials.entry(found.trial).or_default().push((at(found.rung), loss));
    }
    let rank = |trial: u32| if Some(trial) == best { 2 } else { u32::from(trial == 1) };
    let mut order: Vec<(&u32, &mut Vec<(f64, f64)>)> = trials.iter_mut().collect();
    order.sort_by_key(|(trial, _)| rank(**trial));
    for (trial, points) in order {
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ink, width, radius, dash) = match *trial {
            1 => (Paint::Series(2).into(), 2.0, 3.5, Some([6.0, 3.0])),
            trial if Some(trial) == best => (Paint::Series(1).into(), 2.0, 3.5, None),
            _ => (Paint::Series(5).thin(0.5), 1.0, 2.0, None),
        };
        plane.line(&mut picture, points, ink, width, dash);
        for (x, y) in points.iter().filter(|(_, y)| y.is_finite()) {
            let (x, y) = plane.point(*x, *y);
            picture.add(Shape::Disc((x, y), radius, ink));
        }
    }
    for found in &with_loss {
        if let Some(loss) = found.loss.filter(|loss| *loss <= most) {
            let (x, y) = plane.point(at(found.rung), loss);
            let text = format!("trial {}, {} epochs\nloss {}", found.trial, found.epochs, ticks::number(loss, 4));
            picture.add(Shape::Tip([x - 8.0, y - 3.0, 16.0, 6.0], text));
        }
    }
    if !beyond.is_empty() {
        let [left, top, width, _] = plane.place();
        let results = if beyond.len() == 1 { "1 result".into() } else { format!("{} results", beyond.len()) };
        let (at, text) = ((left + width, top + TEXT), format!("{results} with more loss not shown"));
        picture.text(at, text, Anchor::End, Paint::Muted);
    }
    Some(picture)
}

/// Width from an axis to the next one, and height of the axes.
const ROOM: f64 = 134.0;
const AXIS: f64 = 230.0;

/// The settings of all trials in parallel coordinates: an axis for each drawn option and one for the loss. Trials of the last rung are
/// dark, and the best one stands out. None where nothing was drawn or no trial has a loss.
pub fn settings(search: &Search) -> Option<Picture> {
    let (ranked, names) = (search.ranked(), search.drawn());
    let (best, rung) = (search.best()?.trial, ranked.first()?.rung);
    if names.is_empty() {
        return None;
    }
    let width = ROOM * (names.len() + 1) as f64;
    let mut picture = Picture::new(width, 0.0, "The settings of all trials, and the loss of each.");
    picture.heading("Settings and loss");
    let entries = [
        ("best", Paint::Series(1).into(), None),
        ("last rung", Paint::Series(0).into(), None),
        ("others", Paint::Series(5).thin(0.5), None),
    ];
    let top = HEADING + 14.0 + legend::add(&mut picture, (0.0, HEADING + 8.0), width, &entries) + TEXT + 6.0;
    let mut scales: Vec<Scale> = names
        .iter()
        .map(|name| Scale::of(ranked.iter().filter_map(|found| search.option(found, name)).collect()))
        .collect();
    let mut losses: Vec<f64> = ranked.iter().filter_map(|found| found.loss).collect();
    losses.sort_unstable_by(f64::total_cmp);
    // The axis ends where most trials do: a few that went wrong must not press the others together.
    let most = quantile(&losses, 0.95);
    scales.push(Scale::Numbers(Axis::of("", losses.into_iter().filter(|loss| *loss <= most))));
    let mut order = ranked;
    order.sort_by_key(|found| (found.trial == best, found.rung));
    for found in order {
        let (ink, width) = match (found.trial == best, found.rung == rung) {
            (true, _) => (Paint::Series(1).into(), 2.5),
            (_, true) => (Paint::Series(0).thin(0.9), 1.6),
            _ => (Paint::Series(5).thin(0.3), 1.0),
        };
        let loss = found.loss.map(Value::from);
        let values = names.iter().map(|name| search.option(found, name)).chain([loss.as_ref()]);
        let points = scales.iter().zip(values).enumerate();
        let points = points
            .filter_map(|(at, (scale, value))| Some((across(at), top + AXIS * (1.0 - scale.share(value?)?))))
            .collect();
        picture.add(Shape::Line { points, ink, width, dash: None });
    }
    let titles = names.iter().map(|name| name.replace('_', "-")).chain(["loss".into()]);
    for (at, (scale, title)) in scales.iter().zip(titles).enumerate() {
        scale.draw(&mut picture, (across(at), top), &title);
    }
    picture.height = top + AXIS + 10.0;
    // Three axes to a piece.
    picture.pieces = Some(3.0 * ROOM);
    Some(picture)
}

/// Where axis `at` is.
fn across(at: usize) -> f64 {
    10.0 + ROOM * at as f64
}

/// Where each value of an option is on its axis.
enum Scale {
    Numbers(Axis),
    Names(Vec<String>),
}

/// The most names that are written on an axis.
const NAMES: usize = 14;

impl Scale {
    fn of(values: Vec<&Value>) -> Self {
        let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
        if let Some(numbers) = numbers {
            let (low, high) = numbers.iter().fold((f64::INFINITY, 0.0f64), |(a, b), n| (a.min(*n), b.max(*n)));
            let spans_decades = low > 0.0 && high / low > 5.0;
            return Self::Numbers(match spans_decades {
                true => Axis::logarithmic("", numbers),
                false => Axis::of("", numbers),
            });
        }
        let mut texts: Vec<String> = values.into_iter().map(shown).collect();
        texts.sort_by(|one, other| natural(one).partial_cmp(&natural(other)).unwrap_or(Ordering::Equal));
        texts.dedup();
        Self::Names(texts)
    }

    /// Where `value` is, as a share of the axis.
    fn share(&self, value: &Value) -> Option<f64> {
        let share = match self {
            Self::Numbers(axis) => axis.share(number(value)?),
            Self::Names(texts) => {
                let at = texts.iter().position(|text| *text == shown(value))?;
                (at as f64 + 0.5) / texts.len() as f64
            }
        };
        Some(share.clamp(0.0, 1.0))
    }

    /// Shares of the axis, and what is written there.
    fn labels(&self) -> Vec<(f64, String)> {
        match self {
            Self::Numbers(axis) => axis.ticks().iter().map(|(tick, text)| (axis.share(*tick), text.clone())).collect(),
            Self::Names(texts) => {
                let every = texts.len().div_ceil(NAMES).max(1);
                let named = texts.iter().enumerate().step_by(every);
                named.map(|(at, text)| ((at as f64 + 0.5) / texts.len() as f64, text.clone())).collect()
            }
        }
    }

    fn draw(&self, picture: &mut Picture, (x, top): (f64, f64), title: &str) {
        picture.rule((x, top), (x, top + AXIS), Paint::Muted, 1.5);
        picture.text((x - 6.0, top - 8.0), text::cut(title, ROOM - 8.0, TEXT), Anchor::Start, Paint::Ink);
        for (share, label) in self.labels() {
            let label = text::cut(&label, ROOM - 14.0, TEXT).into_owned();
            let (left, middle) = (x + 6.0, top + AXIS * (1.0 - share));
            // Lines pass below the text.
            let back = [left - 1.0, middle - TEXT * 0.55, text::room(&label, TEXT), TEXT * 1.1];
            picture.rule((x - 3.0, middle), (x + 3.0, middle), Paint::Muted, 1.5);
            picture.add(Shape::Box(back, Paint::Surface.thin(0.75)));
            picture.text((left, middle + TEXT * 0.35), label, Anchor::Start, Paint::Ink);
        }
    }
}

/// What texts are ordered by: their letters, how many numbers they have, and these.
fn natural(text: &str) -> (String, usize, Vec<f64>) {
    let of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let numbers: Vec<f64> = text.split(|letter| !of_number(letter)).filter_map(|part| part.parse().ok()).collect();
    (text.chars().filter(|letter| letter.is_alphabetic()).collect(), numbers.len(), numbers)
}

/// A number, or the only number of a list.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Array(values) if values.len() == 1 => values[0].as_f64(),
        value => value.as_f64(),
    }
}
