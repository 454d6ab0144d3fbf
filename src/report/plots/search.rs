//! What a search tried.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::recipe::shown;
use crate::report::chart::{Anchor, Axis, HEADING, Paint, Picture, Plane, Shape, TEXT, WIDTH, legend, text, ticks};
use crate::report::log::Search;
use crate::search::Found;

/// The loss of each trial in each rung, by the rung's epochs; `best` and the recipe's own trial, 1, stand out.
pub fn rungs(search: &Search, best: Option<u32>) -> Option<Picture> {
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
    let middle = crate::metrics::errors::quantile(&losses, 0.5);
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
    let about = format!("The loss of {} trials by the epochs that they had.", search.head["trials"]);
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

/// An option that was drawn, as an axis: where each value is.
enum Scale {
    Numbers(Axis),
    Names(Vec<String>),
}

/// The settings of all trials in parallel coordinates: an axis for each drawn option and one for the loss; `ranked` trials, those of
/// the last rung, are dark, and `best` stands out.
pub fn settings(search: &Search, best: Option<u32>) -> Option<Picture> {
    // What is known best of each trial: its last rung.
    let mut last: BTreeMap<u32, &Found> = BTreeMap::new();
    for found in search.found.iter().filter(|found| found.loss.is_some()) {
        let known = last.entry(found.trial).or_insert(found);
        if found.rung >= known.rung {
            *known = found;
        }
    }
    let rung = last.values().map(|found| found.rung).max()?;
    let mut names: Vec<&String> = last.values().flat_map(|found| found.setting.keys()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let own = search.head.get("recipe").and_then(Value::as_object);
    let value = |found: &Found, name: &str| found.setting.get(name).or(own.and_then(|own| own.get(name))).cloned();
    let axis = |name: &&String| {
        let values: Vec<Value> = last.values().filter_map(|found| value(found, name)).collect();
        let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
        match numbers {
            Some(numbers) => {
                let positive = numbers.iter().all(|number| *number > 0.0);
                let (low, high) = numbers.iter().fold((f64::INFINITY, 0.0f64), |(a, b), n| (a.min(*n), b.max(*n)));
                let wide = positive && high / low > 5.0;
                Scale::Numbers(if wide { Axis::logarithmic("", numbers) } else { Axis::of("", numbers) })
            }
            None => {
                let mut texts: Vec<String> = values.iter().map(shown).collect();
                texts.sort_by(|one, other| natural(one).partial_cmp(&natural(other)).unwrap_or(Ordering::Equal));
                texts.dedup();
                Scale::Names(texts)
            }
        }
    };
    let axes: Vec<Scale> = names.iter().map(axis).collect();
    let mut losses: Vec<f64> = last.values().filter_map(|found| found.loss).collect();
    losses.sort_unstable_by(f64::total_cmp);
    // The loss ends where most trials do, as in the other chart.
    let high = crate::metrics::errors::quantile(&losses, 0.95);
    let loss = Axis::of("", losses.iter().copied().filter(|loss| *loss <= high));
    let (room, height) = (118.0, 230.0);
    let width = room * (axes.len() + 1) as f64;
    let mut picture = Picture::new(width, 0.0, "The settings of all trials, and the loss of each.");
    picture.heading("Settings and loss");
    let entries = [
        ("best", Paint::Series(1).into(), None),
        ("last rung", Paint::Series(0).into(), None),
        ("others", Paint::Series(5).thin(0.5), None),
    ];
    let top = HEADING + 14.0 + legend::add(&mut picture, (0.0, HEADING + 8.0), width, &entries) + TEXT + 6.0;
    let x = |at: usize| 10.0 + room * at as f64;
    let y = |share: f64| top + height * (1.0 - share.clamp(0.0, 1.0));
    let named = |texts: &[String], at: usize| (at as f64 + 0.5) / texts.len().max(1) as f64;
    let place = |axis: &Scale, value: &Value| match axis {
        Scale::Numbers(axis) => number(value).map(|number| y(axis.share(number))),
        Scale::Names(texts) => texts.iter().position(|text| *text == shown(value)).map(|at| y(named(texts, at))),
    };
    let mut order: Vec<&&Found> = last.values().collect();
    order.sort_by_key(|found| (Some(found.trial) == best, found.rung));
    for found in order {
        let (ink, width) = match found {
            found if Some(found.trial) == best => (Paint::Series(1).into(), 2.5),
            found if found.rung == rung => (Paint::Series(0).thin(0.9), 1.6),
            _ => (Paint::Series(5).thin(0.3), 1.0),
        };
        let on = axes.iter().zip(&names).enumerate();
        let mut points: Vec<(f64, f64)> =
            on.filter_map(|(at, (axis, name))| Some((x(at), place(axis, &value(found, name)?)?))).collect();
        points.push((x(axes.len()), y(loss.share(found.loss.unwrap_or(f64::INFINITY)))));
        picture.add(Shape::Line { points, ink, width, dash: None });
    }
    let last_axis = Scale::Numbers(loss);
    let titles = names.iter().map(|name| name.replace('_', "-")).chain(["loss".into()]);
    for (at, (axis, title)) in axes.iter().chain([&last_axis]).zip(titles).enumerate() {
        let x = x(at);
        picture.rule((x, top), (x, top + height), Paint::Muted, 1.5);
        let title = text::cut(&title, room - 8.0, TEXT).into_owned();
        picture.text((x - 6.0, top - 8.0), title, Anchor::Start, Paint::Ink);
        let labels: Vec<(f64, String)> = match axis {
            Scale::Numbers(axis) => axis.ticks().iter().map(|(tick, text)| (axis.share(*tick), text.clone())).collect(),
            Scale::Names(texts) => {
                let every = texts.len().div_ceil(14).max(1);
                texts.iter().enumerate().step_by(every).map(|(at, text)| (named(texts, at), text.clone())).collect()
            }
        };
        for (share, label) in labels {
            let label = text::cut(&label, room - 14.0, TEXT).into_owned();
            let (left, middle) = (x + 6.0, y(share));
            // Lines pass below the text.
            let back = [left - 1.0, middle - TEXT * 0.55, text::room(&label, TEXT), TEXT * 1.1];
            picture.rule((x - 3.0, middle), (x + 3.0, middle), Paint::Muted, 1.5);
            picture.add(Shape::Box(back, Paint::Surface.thin(0.75)));
            picture.text((left, middle + TEXT * 0.35), label, Anchor::Start, Paint::Ink);
        }
    }
    picture.height = top + height + 10.0;
    Some(picture)
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

/// The trials with a loss: those of the last rung first, in each the least loss first.
pub fn ranked(search: &Search) -> Vec<&Found> {
    let mut seen = BTreeSet::new();
    let mut all: Vec<&Found> = search.found.iter().filter(|found| found.loss.is_some()).collect();
    let loss = |found: &Found| found.loss.unwrap_or(f64::INFINITY);
    all.sort_by(|one, other| {
        other.rung.cmp(&one.rung).then(loss(one).total_cmp(&loss(other))).then(one.trial.cmp(&other.trial))
    });
    all.retain(|found| seen.insert(found.trial));
    all
}

/// The trial that is the answer, as the search itself chooses it, of the last rung that has any.
pub fn best(search: &Search) -> Option<Found> {
    let ranked = ranked(search);
    let rung = ranked.first()?.rung;
    let last: Vec<Found> = ranked.into_iter().take_while(|found| found.rung == rung).cloned().collect();
    Some(last[crate::search::chosen(&last)].clone())
}
