//! The pieces of writing in one picture, such as the digits of a number: which strokes are of one, and in which order they are read.

use super::mask::{Bounds, Piece};

/// The height of a whole digit beside the others, at least.
const WHOLE: f32 = 0.6;
/// The longer side of what is a digit and no mark.
const MARK: f32 = 0.25;
/// The gap within a digit, as a share of its height.
const GAP: f32 = 0.25;

/// Strokes of one digit.
#[derive(Debug, Clone)]
pub(super) struct Digit {
    pub(super) pieces: Vec<Piece>,
    pub(super) bounds: Bounds,
}

impl Digit {
    fn join(&mut self, other: Digit) {
        self.bounds = self.bounds.with(other.bounds);
        self.pieces.extend(other.pieces);
    }
}

/// The digits that `pieces` make, in the order in which they are read: rows from top to bottom, each from left to right.
pub(super) fn read(pieces: Vec<Piece>) -> Vec<Digit> {
    let height = typical_height(&pieces);
    let is_whole = |bounds: &Bounds| bounds.height() as f32 >= WHOLE * height;
    let digit = |piece: Piece| Digit { bounds: piece.bounds, pieces: vec![piece] };
    let (mut digits, mut parts): (Vec<Digit>, Vec<Digit>) =
        pieces.into_iter().map(digit).partition(|digit| is_whole(&digit.bounds));
    // The largest parts first: the others may be of them.
    parts.sort_by_key(|part| std::cmp::Reverse(part.bounds.longer()));
    for part in parts {
        let distance = |digit: &Digit| distance(&digit.bounds, &part.bounds);
        let near = digits.iter_mut().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        match near.filter(|digit| {
            let joined = digit.bounds.with(part.bounds);
            distance(digit) <= GAP * height && joined.height() as f32 <= 1.6 * height
        }) {
            Some(digit) => digit.join(part),
            None => digits.push(part),
        }
    }
    digits.retain(|digit| digit.bounds.longer() as f32 >= MARK * height);
    in_order(stacked(digits, height))
}

/// Whether a picture has several pieces of writing that are alike in size: the number of these.
pub(super) fn count(digits: &[Digit]) -> usize {
    let tallest = digits.iter().map(|digit| digit.bounds.height()).max().unwrap_or(0);
    digits.iter().filter(|digit| digit.bounds.height() as f32 >= WHOLE * tallest as f32).count()
}

/// The median height of the pieces that are at least half as high as the highest.
fn typical_height(pieces: &[Piece]) -> f32 {
    let mut heights: Vec<usize> = pieces.iter().map(|piece| piece.bounds.height()).collect();
    let most = heights.iter().copied().max().unwrap_or(0);
    heights.retain(|height| height * 2 >= most);
    heights.sort_unstable();
    heights.get(heights.len() / 2).map_or(0.0, |height| *height as f32)
}

/// How far two boxes are from each other. Strokes of a digit stand above each other rather than beside each other.
fn distance(a: &Bounds, b: &Bounds) -> f32 {
    let gap = |a: (usize, usize), b: (usize, usize)| (a.0.max(b.0) as f32 - a.1.min(b.1) as f32).max(0.0);
    2.0 * gap((a.left, a.right), (b.left, b.right)) + gap((a.top, a.bottom), (b.top, b.bottom))
}

/// How many columns, or rows, both have.
fn common(a: (usize, usize), b: (usize, usize)) -> f32 {
    (a.1.min(b.1) as f32 - a.0.max(b.0) as f32 + 1.0).max(0.0)
}

/// Joins halves that stand above each other and are no higher together than one digit.
fn stacked(digits: Vec<Digit>, height: f32) -> Vec<Digit> {
    let mut joined: Vec<Digit> = Vec::new();
    for digit in digits {
        let other = joined.iter_mut().find(|other| {
            let (a, b) = (&other.bounds, &digit.bounds);
            let narrower = a.width().min(b.width()) as f32;
            common((a.left, a.right), (b.left, b.right)) >= WHOLE * narrower
                && a.with(*b).height() as f32 <= 1.3 * height
        });
        match other {
            Some(other) => other.join(digit),
            None => joined.push(digit),
        }
    }
    joined
}

/// In the order of reading. Rows may rise or fall.
fn in_order(mut digits: Vec<Digit>) -> Vec<Digit> {
    digits.sort_by_key(|digit| digit.bounds.left);
    let mut rows: Vec<Vec<Digit>> = Vec::new();
    for digit in digits {
        let beside = |row: &Vec<Digit>| {
            let last = row[row.len() - 1].bounds;
            let shorter = last.height().min(digit.bounds.height()) as f32;
            common((last.top, last.bottom), (digit.bounds.top, digit.bounds.bottom)) / shorter
        };
        let nearest = rows.iter_mut().max_by(|a, b| beside(a).total_cmp(&beside(b)));
        match nearest.filter(|row| beside(row) >= 0.5) {
            Some(row) => row.push(digit),
            None => rows.push(vec![digit]),
        }
    }
    let middle = |row: &Vec<Digit>| {
        let middles = row.iter().map(|digit| digit.bounds.top + digit.bounds.bottom).sum::<usize>();
        middles / row.len()
    };
    rows.sort_by_key(middle);
    rows.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(left: usize, top: usize, width: usize, height: usize) -> Piece {
        let bounds = Bounds { left, top, right: left + width - 1, bottom: top + height - 1 };
        Piece { places: vec![(left, top)], bounds }
    }

    fn lefts(pieces: &[Piece]) -> Vec<usize> {
        read(pieces.to_vec()).iter().map(|digit| digit.bounds.left).collect()
    }

    #[test]
    fn rows_are_read_from_top_to_bottom_and_each_from_left_to_right() {
        // The second row rises; so does the first, by as much as it is high.
        let pieces = [
            piece(200, 10, 60, 100),
            piece(100, 60, 60, 100),
            piece(0, 110, 60, 100),
            piece(105, 215, 60, 90),
            piece(5, 250, 20, 100),
        ];
        assert_eq!(lefts(&pieces), [0, 100, 200, 5, 105]);
    }

    #[test]
    fn bars_and_broken_strokes_stay_with_their_digit_and_specks_are_none() {
        // A 5 with its bar apart, close to the next digit; an 8 in two halves; a dot.
        let pieces = [
            piece(10, 40, 60, 80),
            piece(20, 20, 70, 12),
            piece(100, 20, 60, 100),
            piece(200, 20, 50, 48),
            piece(202, 72, 52, 48),
            piece(300, 110, 8, 8),
        ];
        let digits = read(pieces.to_vec());
        let counts: Vec<usize> = digits.iter().map(|digit| digit.pieces.len()).collect();
        assert_eq!((counts, count(&digits)), (vec![2, 1, 2], 3));
        assert_eq!(count(&read(vec![piece(0, 0, 50, 100), piece(90, 60, 20, 30)])), 1);
        assert!(read(Vec::new()).is_empty());
    }
}
