//! Straight lines of even width in a mask: nearly along its rows, whole or dashed, crossed by strokes or not. They are found by
//! Hough's transform of the middles of the runs of ink in its columns.

use std::ops::Range;

use super::mask::Mask;

/// The largest slope of a line.
const STEEPEST: f32 = 0.21;
/// The slopes that are tried to each side of 0.
const SLOPES: i32 = 84;
/// The farthest that the middle of a run is from its line, in pixels.
const REACH: f32 = 2.0;
/// The longest gap in a line, as a share of the mask's width.
const GAP: f32 = 0.08;
/// The most lines that are looked for.
const MOST: usize = 24;

/// A line along the rows of a mask.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    slope: f32,
    /// Its place in the column 0.
    start: f32,
    /// The first column that it is in.
    pub(super) from: usize,
    /// The last one.
    pub(super) to: usize,
    /// The length of its runs in columns, as most are.
    pub(super) width: f32,
}

/// A run of ink in a column.
#[derive(Debug, Clone, Copy)]
struct Run {
    x: usize,
    middle: f32,
    length: usize,
}

impl Line {
    /// A line along the whole row `at`, of no width.
    pub(super) fn level(at: f32, width: usize) -> Self {
        Self { slope: 0.0, start: at, from: 0, to: width - 1, width: 0.0 }
    }

    /// Its row in the column `x`.
    pub(super) fn at(&self, x: f32) -> f32 {
        self.start + self.slope * x
    }

    pub(super) fn middle(&self) -> f32 {
        self.at((self.from + self.to) as f32 / 2.0)
    }

    /// Whether it is farther down than `other`, by more than lines are wide.
    pub(super) fn is_behind(&self, other: &Self) -> bool {
        self.middle() > other.middle() + 16.0
    }

    pub(super) fn length(&self) -> usize {
        self.to - self.from + 1
    }

    /// The runs of ink in `mask` that are of this line alone, by columns. Where a stroke crosses it, the run is longer.
    pub(super) fn runs(&self, mask: &Mask) -> Vec<(usize, Range<usize>)> {
        let longest = 1.3 * self.width + 1.5;
        let columns = self.from.saturating_sub(2)..(self.to + 3).min(mask.width);
        let run = |x: usize| {
            let run = self.run_at(mask, x)?;
            (run.len() as f32 <= longest).then_some((x, run))
        };
        columns.filter_map(run).collect()
    }

    /// The run of ink that it goes through in the column `x`.
    fn run_at(&self, mask: &Mask, x: usize) -> Option<Range<usize>> {
        let middle = self.at(x as f32).round();
        let near = [0.0, -1.0, 1.0, -2.0, 2.0].map(|by| middle + by);
        let near = near.into_iter().filter(|y| *y >= 0.0 && *y < mask.height as f32).map(|y| y as usize);
        near.into_iter().find(|&y| mask.at(x, y)).map(|y| mask.run(x, y))
    }
}

/// The least length of lines in `mask` where it is a whole image.
pub(super) fn least(mask: &Mask) -> usize {
    (mask.width.max(mask.height) / 5).max(24)
}

/// The lines in `mask` of this length at least, those with the most ink first.
pub(super) fn find(mask: &Mask, least: usize) -> Vec<Line> {
    let longer = mask.width.max(mask.height);
    if mask.width < least {
        return Vec::new();
    }
    let mut votes = Votes::of(mask, runs(mask, (longer * 6 / 100).max(3)));
    let (mut lines, mut tried) = (Vec::new(), 0);
    while lines.len() < MOST && tried < 3 * MOST {
        tried += 1;
        let Some((slope, start)) = votes.most(least / 3) else { break };
        let taken = votes.near(slope, start);
        if let Some(line) = line(mask, &votes.runs, &taken, least) {
            // What is near the refined line is of it too.
            let all = votes.near(line.slope, line.start);
            let of_line = |index: &usize| (line.from..=line.to).contains(&votes.runs[*index].x);
            let all: Vec<usize> = all.into_iter().filter(of_line).collect();
            votes.remove(&all);
            lines.push(line);
        }
        votes.remove(&taken);
    }
    lines
}

/// The runs of ink in the columns of `mask` that are no longer than `most`.
fn runs(mask: &Mask, most: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for x in 0..mask.width {
        let mut y = 0;
        while y < mask.height {
            if !mask.at(x, y) {
                y += 1;
                continue;
            }
            let run = mask.run(x, y);
            if run.len() <= most {
                runs.push(Run { x, middle: (run.start + run.end - 1) as f32 / 2.0, length: run.len() });
            }
            y = run.end;
        }
    }
    runs
}

/// How many runs lie on each line that there may be.
struct Votes {
    runs: Vec<Run>,
    /// Whether each run still counts.
    left: Vec<bool>,
    counts: Vec<u32>,
    /// The rows that a line may have in the middle column.
    rows: usize,
    centre: f32,
}

impl Votes {
    fn of(mask: &Mask, runs: Vec<Run>) -> Self {
        let centre = mask.width as f32 / 2.0;
        let rows = mask.height + 2 * (STEEPEST * centre) as usize + 4;
        let mut votes = Self {
            left: vec![true; runs.len()],
            runs,
            counts: vec![0; (2 * SLOPES + 1) as usize * rows],
            rows,
            centre,
        };
        for index in 0..votes.runs.len() {
            votes.count(index, 1);
        }
        votes
    }

    fn slope(number: usize) -> f32 {
        (number as i32 - SLOPES) as f32 / SLOPES as f32 * STEEPEST
    }

    /// The row in the middle column of a line of this slope through a run, from the first on that there may be.
    fn row(&self, run: &Run, slope: f32) -> usize {
        (run.middle - slope * (run.x as f32 - self.centre) + STEEPEST * self.centre + 1.5) as usize
    }

    fn count(&mut self, index: usize, by: i32) {
        let run = self.runs[index];
        for number in 0..(2 * SLOPES + 1) as usize {
            let row = self.row(&run, Self::slope(number));
            let count = &mut self.counts[number * self.rows + row];
            *count = count.wrapping_add_signed(by);
        }
    }

    /// Slope and row in the column 0 of the line with the most runs, if it has more than `least`.
    fn most(&self, least: usize) -> Option<(f32, f32)> {
        let three = |index: usize| self.counts[index - 1..index + 2].iter().sum::<u32>();
        let (best, count) =
            (1..self.counts.len() - 1).map(|index| (index, three(index))).max_by_key(|(_, count)| *count)?;
        let (slope, row) = (Self::slope(best / self.rows), (best % self.rows) as f32);
        let middle = row - STEEPEST * self.centre - 1.0;
        (count as usize > least).then_some((slope, middle - slope * self.centre))
    }

    /// The runs that still count on a line.
    fn near(&self, slope: f32, start: f32) -> Vec<usize> {
        let on = |index: &usize| {
            let run = &self.runs[*index];
            self.left[*index] && (run.middle - start - slope * run.x as f32).abs() <= REACH
        };
        (0..self.runs.len()).filter(on).collect()
    }

    fn remove(&mut self, indices: &[usize]) {
        for &index in indices {
            if std::mem::take(&mut self.left[index]) {
                self.count(index, -1);
            }
        }
    }
}

/// The line through the runs `taken`, if they are one: long enough, without long gaps, and of even width.
fn line(mask: &Mask, runs: &[Run], taken: &[usize], least: usize) -> Option<Line> {
    let mut on_line: Vec<Run> = taken.iter().map(|&index| runs[index]).collect();
    let (slope, start) = fitted(&on_line)?;
    on_line.retain(|run| (run.middle - start - slope * run.x as f32).abs() <= REACH);
    // One run a column: the shortest is the line's, if strokes come near.
    on_line.sort_by_key(|run| (run.x, run.length));
    on_line.dedup_by_key(|run| run.x);
    let hidden = |x: usize| {
        let y = (start + slope * x as f32).round();
        y >= 0.0 && y < mask.height as f32 && mask.at(x, y as usize)
    };
    // The longest part without a gap. Where a stroke covers the line there is none.
    let gap = (GAP * mask.width as f32).max(4.0) as usize;
    let (mut best, mut first) = (0..0, 0);
    for index in 1..=on_line.len() {
        let ends = index == on_line.len()
            || (on_line[index - 1].x + 1..on_line[index].x).filter(|&x| !hidden(x)).count() > gap;
        if ends {
            if best.is_empty()
                || on_line[index - 1].x - on_line[first].x > on_line[best.end - 1].x - on_line[best.start].x
            {
                best = first..index;
            }
            first = index;
        }
    }
    let part = &on_line[best];
    let (from, to) = (part.first()?.x, part.last()?.x);
    let mut lengths: Vec<usize> = part.iter().map(|run| run.length).collect();
    let middle = lengths.len() / 2;
    let width = *lengths.select_nth_unstable(middle).1 as f32;
    let even = part.iter().filter(|run| (run.length as f32 - width).abs() <= (0.35 * width).max(1.5)).count();
    let seen = (from..=to).filter(|&x| !hidden(x)).count() + part.len();
    let long = to - from + 1 >= least && part.len() * 5 >= least;
    let straight = fitted(part)?;
    (long && even * 10 >= part.len() * 7 && part.len() * 5 >= seen * 2).then_some(Line {
        slope: straight.0,
        start: straight.1,
        from,
        to,
        width,
    })
}

/// Slope and row in the column 0 of the line that is nearest to the runs.
fn fitted(runs: &[Run]) -> Option<(f32, f32)> {
    let count = runs.len() as f32;
    let mean = |of: fn(&Run) -> f32| runs.iter().map(of).sum::<f32>() / count;
    let (x, y) = (mean(|run| run.x as f32), mean(|run| run.middle));
    let (mut products, mut squares) = (0.0, 0.0);
    for run in runs {
        products += (run.x as f32 - x) * (run.middle - y);
        squares += (run.x as f32 - x).powi(2);
    }
    let slope = products / squares;
    (squares > 0.0 && slope.abs() <= STEEPEST + 0.02).then_some((slope, y - slope * x))
}
