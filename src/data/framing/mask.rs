//! Where there is ink, and its connected pieces.

use std::ops::Range;

use super::Plane;

/// Which pixels have ink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) width: usize,
    pub(super) height: usize,
    on: Vec<bool>,
}

/// The pixels from the first to the last, along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

impl Bounds {
    /// Those of a single pixel.
    pub(super) fn of_pixel(x: usize, y: usize) -> Self {
        Self { left: x, top: y, right: x, bottom: y }
    }

    /// The least that holds both.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.right - self.left + 1
    }

    pub(super) fn height(&self) -> usize {
        self.bottom - self.top + 1
    }

    pub(super) fn longer(&self) -> usize {
        self.width().max(self.height())
    }

    /// The same with rows for columns.
    pub(super) fn transposed(self) -> Self {
        Self { left: self.top, top: self.left, right: self.bottom, bottom: self.right }
    }
}

/// The pixels in these columns and rows, row by row.
pub(super) fn places(columns: Range<usize>, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    rows.flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

/// Pixels that touch each other, also by their corners.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) places: Vec<(usize, usize)>,
    pub(super) bounds: Bounds,
}

impl Mask {
    pub(super) fn empty(width: usize, height: usize) -> Self {
        Self { width, height, on: vec![false; width * height] }
    }

    /// Where `plane` is above `threshold`.
    pub(super) fn of(plane: &Plane, threshold: f32) -> Self {
        let on = plane.iter().map(|value| *value > threshold).collect();
        Self { width: plane.width() as usize, height: plane.height() as usize, on }
    }

    pub(super) fn at(&self, x: usize, y: usize) -> bool {
        self.on[y * self.width + x]
    }

    pub(super) fn set(&mut self, x: usize, y: usize, on: bool) {
        self.on[y * self.width + x] = on;
    }

    /// The number of pixels with ink.
    pub(super) fn count(&self) -> usize {
        self.on.iter().filter(|on| **on).count()
    }

    /// The same with rows for columns.
    pub(super) fn transposed(&self) -> Self {
        let on = (0..self.width).flat_map(|x| (0..self.height).map(move |y| self.at(x, y))).collect();
        Self { width: self.height, height: self.width, on }
    }

    /// The run of ink in the column `x` that has the pixel (x, y): its first pixel and the one behind its last.
    pub(super) fn run(&self, x: usize, y: usize) -> Range<usize> {
        let first = (0..y).rev().take_while(|&y| self.at(x, y)).last().unwrap_or(y);
        let last = (y..self.height).take_while(|&y| self.at(x, y)).last().unwrap_or(y);
        first..last + 1
    }

    /// Whether there is ink at (x, y) or beside it.
    pub(super) fn is_near(&self, x: usize, y: usize) -> bool {
        self.around(x, y).any(|(x, y)| self.at(x, y))
    }

    /// The pixels around (x, y) and itself.
    fn around(&self, x: usize, y: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        places(x.saturating_sub(1)..(x + 2).min(self.width), y.saturating_sub(1)..(y + 2).min(self.height))
    }

    /// What is within `bounds`.
    pub(super) fn cropped(&self, bounds: &Bounds) -> Self {
        let (width, height) = (bounds.width(), bounds.height());
        let row = |y| &self.on[y * self.width + bounds.left..][..width];
        let rows: Vec<&[bool]> = (bounds.top..=bounds.bottom).map(row).collect();
        Self { width, height, on: rows.concat() }
    }

    /// Its connected pieces, in the order of their first pixels.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut rest = self.clone();
        let take = |(x, y)| rest.at(x, y).then(|| rest.take(x, y, usize::MAX, |_, _| true));
        places(0..self.width, 0..self.height).filter_map(take).collect()
    }

    /// Takes the piece out that has the pixel (x, y), of those that `counts` accepts, or as much of it as is of the height `enough`.
    pub(super) fn take(&mut self, x: usize, y: usize, enough: usize, counts: impl Fn(usize, usize) -> bool) -> Piece {
        let mut piece = Piece { places: Vec::new(), bounds: Bounds::of_pixel(x, y) };
        let mut next = vec![(x, y)];
        self.set(x, y, false);
        while let Some((x, y)) = next.pop().filter(|_| piece.bounds.height() < enough) {
            piece.places.push((x, y));
            piece.bounds = piece.bounds.with(Bounds::of_pixel(x, y));
            for (x, y) in self.around(x, y) {
                if self.at(x, y) && counts(x, y) {
                    self.set(x, y, false);
                    next.push((x, y));
                }
            }
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_touch_by_corners_and_runs_go_as_far_as_ink_does() {
        let rows = ["##..#", "..#..", ".....", "#...#", "#...."];
        let mut mask = Mask::empty(5, 5);
        for (y, row) in rows.iter().enumerate() {
            row.bytes().enumerate().for_each(|(x, byte)| mask.set(x, y, byte == b'#'));
        }
        let found: Vec<_> = mask.pieces().iter().map(|piece| (piece.places.len(), piece.bounds)).collect();
        let bounds = |left, top, right, bottom| Bounds { left, top, right, bottom };
        assert_eq!(
            found,
            [(3, bounds(0, 0, 2, 1)), (1, bounds(4, 0, 4, 0)), (2, bounds(0, 3, 0, 4)), (1, bounds(4, 3, 4, 3))]
        );
        assert_eq!((mask.run(0, 4), mask.run(2, 1)), (3..5, 1..2));
        assert!(mask.transposed().at(4, 0) == mask.at(0, 4) && mask.transposed().transposed() == mask);
    }
}
