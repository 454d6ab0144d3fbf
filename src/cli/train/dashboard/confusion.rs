//! The confusion matrix in the room there is: counts, shares or shades, and where it has too many classes the worst mistakes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::theme::{Theme, shade};
use crate::metrics::Evaluation;

/// The widest that names of classes stand at their rows, and cells.
const NAME: u16 = 12;
const CELL: u16 = 7;

/// How a matrix is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Rows of each label and prediction.
    Counts,
    /// Their percentages of the label's rows.
    Shares,
    /// A character each.
    Shades,
    /// A line for each kind of mistake, the most frequent first.
    Mistakes,
}

impl Form {
    /// What `area` has room for, and the width of names and cells.
    pub(super) fn of(found: &Evaluation, names: &[String], area: Rect) -> (Self, u16, u16) {
        let classes = u16::try_from(found.classes).unwrap_or(u16::MAX).max(1);
        let longest = names.iter().map(|name| Span::raw(name.as_str()).width()).max().unwrap_or(0);
        let name = u16::try_from(longest).unwrap_or(NAME).min(NAME).min(area.width / 4);
        let cell = area.width.saturating_sub(name + 1) / classes;
        let most = found.confusion.iter().max().map_or(1, |most| most.to_string().len());
        let form = match cell {
            _ if classes >= area.height => Self::Mistakes,
            0 => Self::Mistakes,
            cell if usize::from(cell) > most => Self::Counts,
            1 | 2 => Self::Shades,
            _ => Self::Shares,
        };
        (form, name, cell.min(CELL))
    }

    /// What the matrix of a part is called; its rows are labels, its columns predictions.
    pub(super) fn title(self, part: &str) -> String {
        match self {
            Self::Counts => format!("Confusion, {part}, rows"),
            Self::Shares => format!("Confusion, {part}, % of labels"),
            Self::Shades => format!("Confusion, {part}, labels by predictions"),
            Self::Mistakes => format!("Mistakes, {part}, most frequent"),
        }
    }
}

/// Draws the matrix of `found` in a form, with the width of names and cells, that `area` has room for.
pub(super) fn draw(
    (form, width, cell): (Form, u16, u16),
    found: &Evaluation,
    names: &[String],
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    if form == Form::Mistakes {
        return mistakes(found, names, theme, area, buffer);
    }
    let name = |class: usize| names.get(class).map_or("", |name| name.as_str());
    let first = area.x + width + 1;
    if form != Form::Shades {
        for (class, x) in (0..found.classes).zip((first..).step_by(cell.into())) {
            let text = Span::raw(name(class));
            let own = u16::try_from(text.width()).unwrap_or(cell).min(cell - 1);
            buffer.set_stringn(x + cell - own, area.y, name(class), own.into(), theme.muted());
        }
    }
    let rows = found.confusion.chunks_exact(found.classes.max(1)).zip(found.support());
    for (label, ((row, all), y)) in rows.zip(area.y + 1..).enumerate() {
        buffer.set_stringn(area.x, y, name(label), width.into(), theme.muted());
        for ((class, &count), x) in row.iter().enumerate().zip((first..).step_by(cell.into())) {
            let share = count as f64 / all.max(1) as f64;
            let text = match form {
                Form::Shades => shade(share).to_string().repeat(cell.into()),
                _ if count == 0 => "·".into(),
                Form::Counts => count.to_string(),
                _ => format!("{:.0}", 100.0 * share),
            };
            let text = format!("{text:>width$}", width = usize::from(cell));
            buffer.set_stringn(x, y, text, cell.into(), theme.cell(share, class == label));
        }
    }
}

/// Draws the most frequent mistakes.
fn mistakes(found: &Evaluation, names: &[String], theme: Theme, area: Rect, buffer: &mut Buffer) {
    let classes = found.classes.max(1);
    let wrong = |at: &usize| at / classes != at % classes && found.confusion[*at] > 0;
    let mut places: Vec<usize> = (0..found.confusion.len()).filter(wrong).collect();
    places.sort_by_key(|at| std::cmp::Reverse(found.confusion[*at]));
    let name = |class: usize| names.get(class).map_or("", |name| name.as_str());
    for (at, y) in places.into_iter().zip(area.rows().map(|row| row.y)) {
        let (label, predicted) = (at / classes, at % classes);
        let all: u64 = found.confusion[label * classes..][..classes].iter().sum();
        let count = found.confusion[at];
        let line = format!("{count:>6}  {} taken for {}", name(label), name(predicted));
        let style = theme.cell(count as f64 / all.max(1) as f64, false);
        buffer.set_stringn(area.x, y, line, area.width.into(), style);
    }
}
