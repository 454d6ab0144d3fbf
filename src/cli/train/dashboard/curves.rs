//! A chart of a figure by epochs, with a curve per part.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Widget};

use super::board::{Board, Figures, PARTS};
use super::theme::Theme;
use crate::backend::Split;
use crate::cli::terminal::significant;
use crate::report::chart::ticks::widened;

/// Digits of figures in titles.
const DIGITS: usize = 5;

/// Draws the curves of what `figure` says of each part, below a title with the last of each; not below `floor`. Where the parts are not
/// `named` elsewhere, the title names them, and where there is room.
pub(super) fn draw(
    name: &str,
    board: &Board,
    (theme, named): (Theme, bool),
    floor: f64,
    figure: impl Fn(&Figures) -> f64,
    (area, buffer): (Rect, &mut Buffer),
) {
    let points = |part: usize| -> Vec<(f64, f64)> {
        let points = board.told.iter().filter_map(|point| {
            let value = figure(point.figures[part].as_ref()?).max(floor);
            value.is_finite().then_some((f64::from(point.epoch), value))
        });
        points.collect()
    };
    let curves: Vec<(Split, Vec<(f64, f64)>)> =
        PARTS.into_iter().zip((0..PARTS.len()).map(points)).filter(|(_, points)| !points.is_empty()).collect();
    let figures = |with_names: bool| {
        let figures = curves.iter().map(|(split, points)| {
            let last = short(points.last().map_or(0.0, |(_, value)| *value), DIGITS);
            let text = if with_names { format!(" {} {last} ", theme.label(*split)) } else { format!(" {last} ") };
            Span::styled(text, theme.part(*split))
        });
        Line::from_iter(std::iter::once(Span::styled(format!(" {name} "), theme.strong())).chain(figures))
    };
    let title = Some(figures(true)).filter(|title| !named || title.width() <= usize::from(area.width));
    let title = title.unwrap_or_else(|| figures(false));
    let block = Block::new().borders(Borders::TOP).border_style(theme.muted()).title(title);
    let values = || curves.iter().flat_map(|(_, points)| points.iter());
    let Some((first, last)) = values().map(|(epoch, _)| *epoch).fold(None, range) else {
        return block.render(area, buffer);
    };
    let (low, high) = values().map(|(_, value)| *value).fold(None, range).unwrap_or((0.0, 1.0));
    let (low, high) = widened(low, high);
    let last = last.max(first + 1.0);
    let middle = (area.height > 7).then_some((low + high) / 2.0);
    // As many decimals as tell the labels apart.
    let decimals = (1.0 - ((high - low) / 2.0).log10().floor()).clamp(0.0, 6.0) as usize;
    let labels = [Some(low), middle, Some(high)].into_iter().flatten().map(|value| match value.abs() {
        1e6.. => format!("{value:.1e}"),
        _ => format!("{value:.decimals$}"),
    });
    let datasets = curves.iter().map(|(split, points)| {
        let curve = Dataset::default().data(points).marker(theme.marker(*split));
        curve.graph_type(GraphType::Line).style(theme.part(*split))
    });
    let epochs = [format!("epoch {first}"), last.to_string()];
    Chart::new(datasets.collect())
        .block(block)
        .x_axis(Axis::default().bounds([first, last]).labels(epochs).style(theme.muted()))
        .y_axis(Axis::default().bounds([low, high]).labels(labels).style(theme.muted()))
        .legend_position(None)
        .render(area, buffer);
}

/// The range that holds `found` and `value`.
fn range(found: Option<(f64, f64)>, value: f64) -> Option<(f64, f64)> {
    Some(found.map_or((value, value), |(low, high)| (value.min(low), value.max(high))))
}

/// A figure in little room.
pub(super) fn short(value: f64, digits: usize) -> String {
    match value.abs() {
        1e6.. => format!("{value:.1e}"),
        small @ 1e-9..0.1 => format!("{value:.*}", digits - 2 + (-small.log10()).ceil() as usize),
        _ => significant(value, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_say_something() {
        let numbers = [0.001_954, 0.015, 0.0, 0.2, 12.3456, 27766.4, 3.2e7].map(|value| short(value, 4));
        assert_eq!(numbers, ["0.00195", "0.0150", "0.000", "0.200", "12.35", "27766", "3.2e7"]);
    }
}
