//! Lines that are printed and not written: boxes of forms, rules of paper, frames and underlines. Strokes of digits are straight
//! too, so that a line is only taken for a rule by what is around it: sides that close a box around writing, lines that pass
//! beyond the writing on both sides, underlines apart from it.

use super::lines::{self, Line};
use super::mask::{Bounds, Mask, Piece, places};

/// The share of an image's side that a line's end may be from its edge.
const NEAR_EDGE: f32 = 0.05;
/// The same where few lines are that near.
const AT_EDGE: f32 = 0.012;
/// The share of a side of a box that must be there: corners may be round.
const CLOSED: f32 = 0.55;
/// The share of a box's height that the writing in it takes, at least.
const WRITTEN: f32 = 0.25;
/// The share of a box's side that a round corner may take.
const CORNER: f32 = 0.25;
/// The share of the shorter side of a frame that its lines may lie from its edge.
const FRAME: f32 = 0.1;
/// The length of rules beside the longest of them, at least.
const ALIKE: f32 = 0.7;

/// A mask and its straight lines, all of one direction, which is that of the mask's rows.
struct Family {
    mask: Mask,
    lines: Vec<Line>,
    /// The numbers of those that go from edge to edge and are erased.
    erased: Vec<usize>,
}

impl Family {
    /// The lines of this length at least.
    fn of(mask: Mask, least: usize) -> Self {
        let lines = lines::find(&mask, least);
        Self { mask, lines, erased: Vec::new() }
    }

    /// The lines of these numbers.
    fn of_numbers(&self, numbers: &[usize]) -> Vec<Line> {
        numbers.iter().map(|&number| self.lines[number].clone()).collect()
    }
}

/// The mask without the rules in it; none where there are none. It is that of `many` pieces of writing, or of one that a box may
/// be around: the number of others that are cleared outside is told too.
pub(super) fn erased(mask: &Mask, many: bool) -> Option<(Mask, usize)> {
    let mut left = mask.clone();
    if many {
        forms(&mut left);
    }
    let least = lines::least(mask);
    let (mut lying, mut standing) = (Family::of(left.clone(), least), Family::of(left.transposed(), least));
    across(&mut left, &mut lying, &mut standing);
    let outside = match &boxes(&mut left, &mut lying, &mut standing)[..] {
        [single] => single.clear_outside(&mut left, many),
        _ => 0,
    };
    partial(&mut left, &lying, false);
    partial(&mut left, &standing, true);
    (left != *mask).then_some((left, outside))
}

/// Erases the boxes of forms, each by itself: in a row of them the sides are short beside the image.
fn forms(left: &mut Mask) {
    for bounds in left.pieces().iter().filter(|piece| is_frame(piece)).map(|piece| piece.bounds) {
        let mut part = left.cropped(&bounds);
        let least = (part.width.min(part.height) / 2).max(24);
        let (mut lying, mut standing) = (Family::of(part.clone(), least), Family::of(part.transposed(), least));
        boxes(&mut part, &mut lying, &mut standing);
        for (x, y) in places(0..part.width, 0..part.height) {
            left.set(bounds.left + x, bounds.top + y, part.at(x, y));
        }
    }
}

/// Whether a piece goes along all four sides of what it takes up.
fn is_frame(piece: &Piece) -> bool {
    let Bounds { left, top, right, bottom } = piece.bounds;
    let (width, height) = (piece.bounds.width(), piece.bounds.height());
    let depth = (FRAME * width.min(height) as f32) as usize;
    let mut sides = [vec![false; width], vec![false; width], vec![false; height], vec![false; height]];
    for &(x, y) in &piece.places {
        sides[0][x - left] |= y - top <= depth;
        sides[1][x - left] |= bottom - y <= depth;
        sides[2][y - top] |= x - left <= depth;
        sides[3][y - top] |= right - x <= depth;
    }
    sides.iter().all(|side| side.iter().filter(|on| **on).count() as f32 >= 0.9 * side.len() as f32)
}

/// The pieces of `mask` with at least this share of the ink of the largest. What reaches the edge is the rest of a rule, if there is
/// anything else.
fn largest(mask: &Mask, share: f32) -> Option<Bounds> {
    let reaches = |Bounds { left, top, right, bottom }: Bounds| {
        left == 0 || top == 0 || right + 1 == mask.width || bottom + 1 == mask.height
    };
    let mut pieces = mask.pieces();
    if pieces.iter().any(|piece| !reaches(piece.bounds)) {
        pieces.retain(|piece| !reaches(piece.bounds));
    }
    let most = pieces.iter().map(|piece| piece.places.len()).max()? as f32;
    let large = pieces.iter().filter(|piece| piece.places.len() as f32 >= share * most);
    large.map(|piece| piece.bounds).reduce(Bounds::with)
}

/// The largest piece of `mask`.
fn main_piece(mask: &Mask) -> Option<Bounds> {
    largest(mask, 1.0)
}

/// What is large in `mask`: strokes that a rule cut are pieces of their own.
fn strokes(mask: &Mask) -> Option<Bounds> {
    largest(mask, 0.1)
}

/// `mask` without `lines`, which lie in its rows, or stand in its columns.
fn without(mask: &Mask, lines: &[Line], standing: bool) -> Mask {
    let mut left = mask.clone();
    if standing {
        let turned = mask.transposed();
        for (y, xs) in lines.iter().flat_map(|line| line.runs(&turned)) {
            xs.for_each(|x| left.set(x, y, false));
        }
    } else {
        for (x, ys) in lines.iter().flat_map(|line| line.runs(mask)) {
            ys.for_each(|y| left.set(x, y, false));
        }
    }
    left
}

/// Erases `lines`, which lie in the rows of `mask`, and stand in the columns of `turned`, which is the same mask.
fn erase(mask: &mut Mask, turned: &mut Mask, lines: &[Line]) {
    let runs: Vec<_> = lines.iter().flat_map(|line| line.runs(mask)).collect();
    for (x, y) in runs.into_iter().flat_map(|(x, ys)| ys.map(move |y| (x, y))) {
        mask.set(x, y, false);
        turned.set(y, x, false);
    }
}

/// Whether all of `lines` pass beyond `writing` at both ends, by the share `by` of their length.
fn pass_beyond(lines: &[Line], writing: &Bounds, by: f32) -> bool {
    lines.iter().all(|line| {
        let margin = by * line.length() as f32;
        writing.left as f32 >= line.from as f32 + margin && writing.right as f32 + margin <= line.to as f32
    })
}

/// Whether something of the size of a digit is left beside lines of this length.
fn is_writing(bounds: &Bounds, length: usize) -> bool {
    bounds.longer() * 8 >= length
}

/// Erases lines from edge to edge: the rules and squares of paper.
fn across(left: &mut Mask, lying: &mut Family, standing: &mut Family) {
    let numbers = |family: &Family, near: f32| -> Vec<usize> {
        let (width, height) = (family.mask.width as f32, family.mask.height as f32);
        let [margin, above] = [near * width, NEAR_EDGE * height];
        let leaves = |y: f32| y <= above || y + above >= height;
        let reaches = |line: &Line| {
            let [from, to] = [line.from, line.to].map(|x| x as f32);
            let long = to - from >= ALIKE * width || !leaves(line.middle());
            long && (from <= margin || leaves(line.at(from))) && (to + margin >= width || leaves(line.at(to)))
        };
        (0..family.lines.len()).filter(|&number| reaches(&family.lines[number])).collect()
    };
    // A stroke may end near the edges of a tight crop, but not three of them.
    let of_paper = |family: &Family| {
        let all = numbers(family, NEAR_EDGE);
        if all.len() >= 3 { all } else { numbers(family, AT_EDGE) }
    };
    let (rows, columns) = (of_paper(lying), of_paper(standing));
    let rest = without(&without(left, &lying.of_numbers(&rows), false), &standing.of_numbers(&columns), true);
    let Some(writing) = main_piece(&rest) else { return };
    for (family, numbers, writing, stands) in
        [(lying, rows, writing, false), (standing, columns, writing.transposed(), true)]
    {
        let lines = family.of_numbers(&numbers);
        let Some(longest) = lines.iter().map(Line::length).max() else { continue };
        let height = family.mask.height as f32;
        // A tight crop of a digit may have a stroke from edge to edge, and others that reach the other edges.
        let apart = writing.top as f32 > 0.02 * height && (writing.bottom as f32) < 0.98 * height;
        let inner = |line: &&Line| (0.03 * height..0.97 * height).contains(&line.at(family.mask.width as f32 / 2.0));
        let ruled = lines.iter().filter(inner).count() >= 3;
        if is_writing(&writing, longest) && (ruled || apart && pass_beyond(&lines, &writing, 0.01)) {
            *left = without(left, &lines, stands);
            family.erased = numbers;
        }
    }
}

/// Erases boxes: those that are erased.
fn boxes(left: &mut Mask, lying: &mut Family, standing: &mut Family) -> Vec<Rectangle> {
    if lying.erased.len() > 2 && standing.erased.len() > 2 {
        // Squared paper.
        return Vec::new();
    }
    let found = rectangles(left, lying, standing, false);
    // The edge of the image may be a side.
    let on_rules = !lying.erased.is_empty() || !standing.erased.is_empty();
    let found = if found.is_empty() && !on_rules { rectangles(left, lying, standing, true) } else { found };
    let mut turned = left.transposed();
    for (rectangle, [rows, columns]) in &found {
        erase(left, &mut turned, &rectangle.lying);
        erase(&mut turned, left, &rectangle.standing);
        lying.erased.extend(rows);
        standing.erased.extend(columns);
    }
    found.into_iter().map(|(rectangle, _)| rectangle).collect()
}

/// The rectangles around writing in `left`, with the numbers of their lines; with one side at the edge of the image, or with none.
fn rectangles(left: &Mask, lying: &Family, standing: &Family, edge: bool) -> Vec<(Rectangle, [[usize; 2]; 2])> {
    let sides = |family: &Family| -> Vec<Line> {
        let Mask { width, height, .. } = family.mask;
        let edges = [0.0, height as f32 - 1.0].map(|at| Line::level(at, width));
        family.lines.iter().cloned().chain(edges.into_iter().filter(|_| edge)).collect()
    };
    let (rows, columns) = (sides(lying), sides(standing));
    let pairs = |lines: &[Line]| -> Vec<[usize; 2]> {
        let all = (0..lines.len()).flat_map(|a| (0..lines.len()).map(move |b| [a, b]));
        all.filter(|[a, b]| lines[*b].is_behind(&lines[*a])).collect()
    };
    let of_edge = |numbers: [usize; 2], family: &Family| {
        numbers.into_iter().filter(|number| *number >= family.lines.len()).count()
    };
    let mut found = Vec::new();
    for upright in pairs(&columns) {
        for level in pairs(&rows) {
            let rectangle = Rectangle {
                lying: level.map(|number| rows[number].clone()),
                standing: upright.map(|number| columns[number].clone()),
            };
            let edges = of_edge(level, lying) + of_edge(upright, standing);
            let closed = rectangle.closed().filter(|_| edges == usize::from(edge));
            if let Some(closed) = closed.filter(|_| rectangle.is_around_writing(left)) {
                found.push((closed, rectangle, [level, upright]));
            }
        }
    }
    // Where a stem stands in the place of a side, that side closes better.
    let sides = |[[a, b], [c, d]]: [[usize; 2]; 2]| [(0, a), (0, b), (1, c), (1, d)];
    let common = |a, b| sides(a).iter().filter(|side| sides(b).contains(side)).count();
    let most = found.iter().map(|(closed, ..)| *closed).fold(0.0, f32::max);
    let beaten = |closed: f32, numbers| {
        let better = |other: f32| other > closed + 0.1;
        better(most) && found.iter().any(|(other, _, others)| better(*other) && common(*others, numbers) == 3)
    };
    // Strokes that end short of the sides of the box around them are none of its. In a grid of many boxes all are joined.
    let written = |inner: &Rectangle, numbers: [[usize; 2]; 2]| {
        let loose = sides(numbers).into_iter().zip(inner.loose(left)).filter(|(_, loose)| *loose);
        let loose: Vec<_> = loose.map(|(side, _)| side).collect();
        let of_outer = |(_, outer, others): &(f32, Rectangle, _)| {
            let own = |side| !sides(*others).contains(side);
            common(*others, numbers) > 0 && outer.is_around(inner) && loose.iter().any(own)
        };
        !loose.is_empty() && found.iter().any(of_outer)
    };
    let is_best =
        |(closed, inner, numbers): &(f32, Rectangle, _)| !beaten(*closed, *numbers) && !written(inner, *numbers);
    let best: Vec<bool> = found.iter().map(is_best).collect();
    let kept = found.into_iter().zip(best).filter(|(_, best)| *best);
    kept.map(|((_, rectangle, numbers), _)| (rectangle, numbers)).collect()
}

/// Erases lines that end within the image: rules that do not reach the edges, and underlines.
fn partial(left: &mut Mask, family: &Family, standing: bool) {
    let left_over = |number: &usize| !family.erased.contains(number);
    let numbers: Vec<usize> = (0..family.lines.len()).filter(left_over).collect();
    let mut lines = family.of_numbers(&numbers);
    let Some(longest) = lines.iter().map(Line::length).max() else { return };
    lines.retain(|line| line.length() as f32 >= ALIKE * longest as f32);
    let turned = |bounds: Bounds| if standing { bounds.transposed() } else { bounds };
    let rest = without(left, &lines, standing);
    if let Some(writing) = strokes(&rest).map(turned)
        && (lines.len() > 2 || lines.len() == 2 && lines.iter().all(|line| line.length() * 5 >= family.mask.width * 4))
        && is_writing(&writing, longest)
        && longest >= writing.longer()
        && pass_beyond(&lines, &writing, 0.05)
    {
        *left = rest;
        return;
    }
    for line in lines {
        let rest = without(left, std::slice::from_ref(&line), standing);
        let Some(writing) = strokes(&rest).map(turned) else { continue };
        // The stem of a 4 passes beyond the rest of it.
        let long = line.length() as f32 >= 1.25 * writing.longer() as f32
            && (!standing || line.length() * 5 >= family.mask.width * 4);
        // A bar at the end of the writing is of it.
        let (middle, margin) = (line.middle(), 0.1 * writing.height() as f32);
        let within = writing.top as f32 + margin < middle && middle + margin < writing.bottom as f32;
        let crossing = long
            && within
            && is_writing(&writing, line.length())
            && pass_beyond(std::slice::from_ref(&line), &writing, 0.08);
        // Apart from the writing and under it. What is left in its place is of another piece.
        let of_line = |mask: &Mask| -> usize {
            let touches = |&(x, y): &(usize, usize)| left.at(x, y) && !rest.at(x, y);
            mask.pieces().iter().filter(|piece| piece.places.iter().any(touches)).map(|piece| piece.places.len()).sum()
        };
        let gap = (line.middle() - line.width / 2.0) - writing.bottom as f32;
        let under = !standing
            && gap >= 3.0f32.max(0.04 * writing.height() as f32)
            && writing.height() * 2 >= line.length()
            && line.length() as f32 >= 0.8 * writing.width() as f32
            && of_line(left) as f32 <= 1.15 * (left.count() - rest.count()) as f32;
        if crossing || under {
            *left = rest;
        }
    }
}

/// Four lines, two of each direction, which may lean.
struct Rectangle {
    /// The upper one and the lower one.
    lying: [Line; 2],
    /// The left one and the right one.
    standing: [Line; 2],
}

impl Rectangle {
    /// The share of the distance between the others that the shortest side goes along; none where that is too little, or the sides
    /// are not alike: corners may be round, and a stem be in the place of a side.
    fn closed(&self) -> Option<f32> {
        let along = |side: &Line, ends: &[Line; 2]| {
            let [first, last] = [0, 1].map(|end| ends[end].at(side.middle()));
            ((side.to as f32).min(last) - (side.from as f32).max(first)) / (last - first)
        };
        let lying = self.lying.each_ref().map(|side| along(side, &self.standing));
        let standing = self.standing.each_ref().map(|side| along(side, &self.lying));
        let all = || lying.into_iter().chain(standing);
        let (least, most) = (all().fold(1.0, f32::min), all().fold(0.0, f32::max));
        let widths = || self.lying.iter().chain(&self.standing).map(|side| side.width).filter(|width| *width > 0.0);
        let (thin, thick) = (widths().fold(f32::MAX, f32::min), widths().fold(0.0, f32::max));
        // Sides that end in the edge of the image go as far as it.
        let closed = if widths().count() < 4 { 0.85 } else { CLOSED };
        (least >= closed && least >= 0.75 * most && thick <= 2.5 * thin + 2.0).then_some(least)
    }

    /// Whether (x, y) is within, apart from the lines.
    fn holds(&self, x: usize, y: usize) -> bool {
        let apart = |lines: &[Line; 2], along: usize, across: usize| {
            let (along, across) = (along as f32, across as f32);
            let inset = |line: &Line| line.width + 2.0;
            across > lines[0].at(along) + inset(&lines[0]) && across < lines[1].at(along) - inset(&lines[1])
        };
        apart(&self.lying, x, y) && apart(&self.standing, y, x)
    }

    /// What it encloses, as if it did not lean.
    fn bounds(&self, mask: &Mask) -> Bounds {
        let within = |line: &Line, side: usize| (line.middle().max(0.0) as usize).min(side - 1);
        Bounds {
            left: within(&self.standing[0], mask.width),
            top: within(&self.lying[0], mask.height),
            right: within(&self.standing[1], mask.width),
            bottom: within(&self.lying[1], mask.height),
        }
    }

    /// Whether there is something in it of the height of writing.
    fn is_around_writing(&self, mask: &Mask) -> bool {
        let bounds = self.bounds(mask);
        let enough = (WRITTEN * bounds.height() as f32).ceil() as usize;
        let mut rest = mask.cropped(&bounds);
        let holds = |x, y| self.holds(bounds.left + x, bounds.top + y);
        let mut all = places(0..rest.width, 0..rest.height);
        all.any(|(x, y)| rest.at(x, y) && holds(x, y) && rest.take(x, y, enough, holds).bounds.height() >= enough)
    }

    /// Whether `inner` is within.
    fn is_around(&self, inner: &Self) -> bool {
        let around = |outer: &[Line; 2], inner: &[Line; 2]| {
            outer[0].middle() <= inner[0].middle() + 2.0 && outer[1].middle() + 2.0 >= inner[1].middle()
        };
        around(&self.lying, &inner.lying) && around(&self.standing, &inner.standing)
    }

    /// Which of the upper, lower, left and right side end short of the sides that they end at.
    fn loose(&self, mask: &Mask) -> [bool; 4] {
        let loose = |side: &Line, ends: &[Line; 2], stands: bool| {
            let on = |along: usize| {
                let across = side.at(along as f32).round() as usize;
                let near = across.saturating_sub(1)..=across + 1;
                let at = |across| if stands { (across, along) } else { (along, across) };
                near.map(at).any(|(x, y)| x < mask.width && y < mask.height && mask.at(x, y))
            };
            let [first, last] = [0, 1].map(|end| ends[end].at(side.middle()).max(0.0) as usize);
            !(first..side.from).chain(side.to + 1..last).all(on)
        };
        let ([upper, lower], [left, right]) = (&self.lying, &self.standing);
        [
            loose(upper, &self.standing, false),
            loose(lower, &self.standing, false),
            loose(left, &self.lying, true),
            loose(right, &self.lying, true),
        ]
    }

    /// Clears what is outside, unless that of `many` pieces is kept, and what is left of round corners. The number of pieces that
    /// are cleared and as large as writing.
    fn clear_outside(&self, mask: &mut Mask, many: bool) -> usize {
        let bounds = self.bounds(mask);
        let largest = main_piece(mask);
        let main = largest.map_or(0, |bounds| bounds.longer());
        let mut cleared = 0;
        for piece in mask.pieces() {
            let at_end = |first: usize, last: usize, from: usize, to: usize| {
                let reach = (CORNER * (to - from) as f32) as usize;
                last < from + reach || first + reach > to
            };
            let Bounds { left, top, right, bottom } = piece.bounds;
            let corner = at_end(left, right, bounds.left, bounds.right)
                && at_end(top, bottom, bounds.top, bounds.bottom)
                && piece.bounds.longer() * 2 < main;
            let outside = !many && !piece.places.iter().any(|&(x, y)| self.holds(x, y));
            let (longer, reaches) = (piece.bounds.longer(), [left, top].contains(&0));
            let whole = !reaches && right + 1 < mask.width && bottom + 1 < mask.height;
            cleared += usize::from(outside && !corner && whole && 2 * longer >= main && longer < bounds.longer());
            if corner || outside {
                piece.places.iter().for_each(|&(x, y)| mask.set(x, y, false));
            }
        }
        cleared
    }
}

#[cfg(test)]
mod tests;
