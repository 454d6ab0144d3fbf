//! Lines that are printed and not written: boxes of forms, rules of paper, frames and underlines. Strokes of digits are straight
//! too, so that a line is only taken for a rule by what is around it: sides that close a box around writing, lines that pass
//! beyond the writing on both sides, underlines apart from it.

use super::lines::{self, Line};
use super::mask::{Bounds, Mask};

/// The share of an image's side that a line's end may be from its edge.
const NEAR_EDGE: f32 = 0.05;
/// The share of a side of a box that must be there: corners may be round.
const CLOSED: f32 = 0.55;
/// The share of a box's height that the writing in it takes, at least.
const WRITTEN: f32 = 0.25;
/// The share of a box's side that a round corner may take.
const CORNER: f32 = 0.25;
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
    fn of(mask: Mask) -> Self {
        let lines = lines::find(&mask);
        Self { mask, lines, erased: Vec::new() }
    }

    /// The lines of these numbers.
    fn of_numbers(&self, numbers: &[usize]) -> Vec<Line> {
        numbers.iter().map(|&number| self.lines[number].clone()).collect()
    }
}

/// The mask without the rules in it; none where there are none.
pub(super) fn erased(mask: &Mask) -> Option<Mask> {
    let (mut lying, mut standing) = (Family::of(mask.clone()), Family::of(mask.transposed()));
    let mut left = mask.clone();
    across(&mut left, &mut lying, &mut standing);
    boxes(&mut left, &mut lying, &mut standing);
    partial(&mut left, &lying, false);
    partial(&mut left, &standing, true);
    (left != *mask).then_some(left)
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
    let numbers = |family: &Family| -> Vec<usize> {
        let (width, height) = (family.mask.width as f32, family.mask.height as f32);
        let [margin, above] = [width, height].map(|side| NEAR_EDGE * side);
        let leaves = |y: f32| y <= above || y + above >= height;
        let reaches = |line: &Line| {
            let [from, to] = [line.from, line.to].map(|x| x as f32);
            let long = to - from >= ALIKE * width || !leaves(line.middle());
            long && (from <= margin || leaves(line.at(from))) && (to + margin >= width || leaves(line.at(to)))
        };
        (0..family.lines.len()).filter(|&number| reaches(&family.lines[number])).collect()
    };
    let (rows, columns) = (numbers(lying), numbers(standing));
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

/// Erases boxes, and what is left of their corners. Around a single one nothing is writing.
fn boxes(left: &mut Mask, lying: &mut Family, standing: &mut Family) {
    if lying.erased.len() > 2 && standing.erased.len() > 2 {
        // Squared paper.
        return;
    }
    let found = rectangles(left, lying, standing, false);
    // The edge of the image may be a side.
    let on_rules = !lying.erased.is_empty() || !standing.erased.is_empty();
    let found = if found.is_empty() && !on_rules { rectangles(left, lying, standing, true) } else { found };
    for (rectangle, [rows, columns]) in &found {
        *left = without(&without(left, &rectangle.lying, false), &rectangle.standing, true);
        lying.erased.extend(rows);
        standing.erased.extend(columns);
    }
    if let [(rectangle, _)] = &found[..] {
        rectangle.clear_outside(left);
    }
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
    let beaten = |closed: f32, numbers| {
        found.iter().any(|(better, _, others)| *better > closed + 0.1 && common(*others, numbers) == 3)
    };
    let best: Vec<bool> = found.iter().map(|(closed, _, numbers)| !beaten(*closed, *numbers)).collect();
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
        let crossing =
            long && is_writing(&writing, line.length()) && pass_beyond(std::slice::from_ref(&line), &writing, 0.08);
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
        let mut within = Mask::empty(mask.width, mask.height);
        for (x, y) in (bounds.top..=bounds.bottom).flat_map(|y| (bounds.left..=bounds.right).map(move |x| (x, y))) {
            within.set(x, y, mask.at(x, y) && self.holds(x, y));
        }
        let tallest = within.pieces().iter().map(|piece| piece.bounds.height()).max().unwrap_or(0);
        tallest as f32 >= WRITTEN * bounds.height() as f32
    }

    /// Clears what is outside, and what is left of round corners.
    fn clear_outside(&self, mask: &mut Mask) {
        let bounds = self.bounds(mask);
        let main = main_piece(mask).map_or(0, |bounds| bounds.longer());
        for piece in mask.pieces() {
            let at_end = |first: usize, last: usize, from: usize, to: usize| {
                let reach = (CORNER * (to - from) as f32) as usize;
                last < from + reach || first + reach > to
            };
            let Bounds { left, top, right, bottom } = piece.bounds;
            let corner = at_end(left, right, bounds.left, bounds.right)
                && at_end(top, bottom, bounds.top, bounds.bottom)
                && piece.bounds.longer() * 2 < main;
            if corner || !piece.places.iter().any(|&(x, y)| self.holds(x, y)) {
                piece.places.iter().for_each(|&(x, y)| mask.set(x, y, false));
            }
        }
    }
}

#[cfg(test)]
mod tests;
