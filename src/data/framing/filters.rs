//! Statistics and filters of planes.

use image::{ImageBuffer, Luma};

use super::Plane;

/// The quantile of `values` at `share`, from 0 to 1.
pub(super) fn quantile(values: impl Iterator<Item = f32>, share: f32) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    let index = ((values.len() as f32 * share) as usize).min(values.len().checked_sub(1)?);
    Some(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

/// The standard deviation of noise around 0, estimated by the median of its absolute values.
pub(super) fn spread(values: &[f32]) -> f32 {
    1.4826 * quantile(values.iter().map(|value| value.abs()), 0.5).unwrap_or(0.0)
}

/// The morphological opening of `plane`: the maximum of the minimum, which cuts off all that is narrower than the window.
pub(super) fn opened(plane: &Plane, window: u32) -> Plane {
    extreme(&extreme(plane, window, f32::min), window, f32::max)
}

/// The least or the greatest value within `reach` pixels to each side, in rows and then in columns.
fn extreme(plane: &Plane, reach: u32, choose: fn(f32, f32) -> f32) -> Plane {
    let (width, height) = plane.dimensions();
    let lines = |count: u32, length: u32, at: &dyn Fn(u32, u32) -> f32| -> Vec<Vec<f32>> {
        let line = |line: u32| {
            let values: Vec<f32> = (0..length).map(|place| at(line, place)).collect();
            slide(&values, reach as usize, choose)
        };
        (0..count).map(line).collect()
    };
    let rows = lines(height, width, &|y, x| plane.get_pixel(x, y)[0]);
    let columns = lines(width, height, &|x, y| rows[y as usize][x as usize]);
    ImageBuffer::from_fn(width, height, |x, y| Luma([columns[x as usize][y as usize]]))
}

/// The least or greatest of `values` within `reach` of each, by van Herk's two passes over blocks.
fn slide(values: &[f32], reach: usize, choose: fn(f32, f32) -> f32) -> Vec<f32> {
    let block = 2 * reach + 1;
    let edge = |index: usize| values[index.saturating_sub(reach).min(values.len() - 1)];
    let padded: Vec<f32> = (0..(values.len() + 2 * reach).next_multiple_of(block)).map(edge).collect();
    let (mut before, mut after) = (padded.clone(), padded);
    for (before, after) in before.chunks_exact_mut(block).zip(after.chunks_exact_mut(block)) {
        (1..block).for_each(|index| before[index] = choose(before[index], before[index - 1]));
        (0..block - 1).rev().for_each(|index| after[index] = choose(after[index], after[index + 1]));
    }
    (0..values.len()).map(|index| choose(after[index], before[index + block - 1])).collect()
}

/// The threshold that best divides `values` in two: the groups with the most different means (Otsu 1979).
pub(super) fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 256;
    let highest = values.iter().copied().fold(0.0, f32::max);
    let bin = |value: f32| ((value.max(0.0) / highest * (BINS - 1) as f32) as usize).min(BINS - 1);
    let mut counts = [0.0f64; BINS];
    values.iter().for_each(|&value| counts[bin(value)] += 1.0);
    let moment = |counts: &[f64], first: usize| -> (f64, f64) {
        let sum = counts.iter().zip(first..).map(|(count, index)| count * index as f64).sum();
        (counts.iter().sum(), sum)
    };
    let between = |split: &usize| {
        let ((low, low_sum), (high, high_sum)) = (moment(&counts[..*split], 0), moment(&counts[*split..], *split));
        if low == 0.0 || high == 0.0 { 0.0 } else { low * high * (high_sum / high - low_sum / low).powi(2) }
    };
    let best = (1..BINS).max_by(|a, b| between(a).total_cmp(&between(b))).unwrap_or(1);
    best as f32 / BINS as f32 * highest
}
